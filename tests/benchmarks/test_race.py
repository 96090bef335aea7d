from __future__ import annotations

import numpy as np
import pytest

from _race import Race, bar, finish, race, resident_peak, traced_peak

MEGABYTE = 2**20

# Newer interpreters warn when a process with threads forks; the child makes one
# call and leaves without touching them.
forks = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


def example():
    return Race(
        "Fit",
        "n=10",
        wall={"ours": (1.0, 2.0, 9.0), "peer": (8.0, 30.0, 10.0)},
        cpu={"ours": (1.0, 1.0, 1.0), "peer": (3.0, 3.0, 3.0)},
    )


def test_ratio_is_that_of_medians():
    assert example().ratio("peer", "ours") == 5.0
    assert example().ratio("peer", "ours", clock="cpu") == 3.0


def test_report_states_size_both_times_and_ratio():
    title, ours, peer = (" ".join(x.split()) for x in example().report().splitlines())
    assert title == "Fit (n=10; median of 3)"
    assert ours == "ours wall 2.0000 s cpu 1.0000 s x 1.00"
    assert peer == "peer wall 10.0000 s cpu 3.0000 s x 5.00"


def test_contestants_take_turns_and_each_starts_a_round():
    calls = []
    result = race(
        "Turns",
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")},
        size="nothing",
        repeats=4,
        warmup=0,
    )
    assert calls == list("abbaabba")
    assert {name: len(times) for name, times in result.wall.items()} == {"a": 4, "b": 4}


def test_warmup_rounds_are_run_but_not_reported():
    calls = []
    result = race(
        "Warm", {"a": lambda: calls.append("a")}, size="nothing", repeats=2, warmup=3
    )
    assert len(calls) == 5
    assert len(result.wall["a"]) == 2


@pytest.mark.parametrize(
    ("bounds", "holds"),
    [
        ({"at_least": 3}, True),
        ({"at_least": 4}, False),
        ({"at_most": 3}, True),
        ({"at_most": 2}, False),
        ({"at_least": 2, "at_most": 2.5}, False),
    ],
)
def test_bar_compares_and_says_so(bounds, holds, capsys):
    assert bar("ratio", 3.0, **bounds) is holds
    assert ("holds" if holds else "MISSED") in capsys.readouterr().out


def test_missed_bar_ends_the_script_with_an_error():
    with pytest.raises(SystemExit) as ended:
        finish(True, False)
    assert ended.value.code == 1


@forks
@pytest.mark.parametrize("measure", [traced_peak, resident_peak])
def test_peak_counts_the_largest_moment_and_not_the_input(measure):
    held = np.ones(32 * MEGABYTE // 8)

    def call():
        # Too large for memory that earlier tests gave back and the process kept.
        np.ones(48 * MEGABYTE // 8)
        return held[:8] + 1

    assert 47 * MEGABYTE < measure(call) < 56 * MEGABYTE


@forks
def test_peak_of_a_failing_call_is_an_error_not_a_number():
    with pytest.raises(RuntimeError, match="failed; run it"):
        resident_peak(lambda: 1 / 0)
