from __future__ import annotations

import pytest

from statlearn.tour import _timing
from statlearn.tour._timing import format_seconds, time_call


def test_value_and_shortest_time_of_the_calls_come_back(monkeypatch):
    ticks = iter([0.0, 3.0, 10.0, 11.0, 20.0, 22.0])
    monkeypatch.setattr(_timing.time, "perf_counter", lambda: next(ticks))
    calls = []
    assert time_call(lambda: calls.append(1) or len(calls), 3) == (3, 1.0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.00123, "1.23 ms"), (0.5, "500 ms"), (2.5, "2.5 s")]
)
def test_seconds_are_written_for_readers(seconds, text):
    assert format_seconds(seconds) == text
