from __future__ import annotations

import io
import time

import pytest

from statlearn.tour import _progress
from statlearn.tour._progress import (
    LineProgress,
    RichProgress,
    SilentProgress,
    make_progress,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def wait_for(condition):
    """Wait for the timer's thread; a time limit only ends a hopeless wait."""
    deadline = time.monotonic() + 10.0
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


def test_a_file_gets_no_bar():
    assert isinstance(make_progress(io.StringIO()), SilentProgress)


def test_a_terminal_gets_the_bars_of_rich():
    assert isinstance(make_progress(Terminal()), RichProgress)


def test_a_terminal_without_rich_gets_plain_lines(monkeypatch):
    monkeypatch.setattr(_progress, "installed", lambda name: False)
    assert isinstance(make_progress(Terminal()), LineProgress)


@pytest.mark.parametrize("kind", [SilentProgress, LineProgress, RichProgress])
def test_every_step_is_handed_on(kind):
    progress = kind() if kind is SilentProgress else kind(Terminal())
    assert list(progress.track(range(5), "counting")) == [0, 1, 2, 3, 4]
    with progress.step("waiting"):
        pass


@pytest.mark.parametrize("kind", [LineProgress, RichProgress])
def test_quick_work_shows_nothing(kind):
    stream = Terminal()
    progress = kind(stream, delay=600.0)
    list(progress.track(range(3), "quick work"))
    with progress.step("quick step"):
        pass
    assert "quick" not in stream.getvalue()


@pytest.mark.parametrize("kind", [LineProgress, RichProgress])
def test_slow_work_is_announced_even_within_its_first_step(kind):
    stream = Terminal()
    for _ in kind(stream, delay=0.0).track([0], "slow work"):
        wait_for(lambda: "slow work" in stream.getvalue())


@pytest.mark.parametrize("kind", [LineProgress, RichProgress])
def test_a_slow_step_of_unknown_length_is_announced(kind):
    stream = Terminal()
    with kind(stream, delay=0.0).step("slow step"):
        wait_for(lambda: "slow step" in stream.getvalue())


def test_a_plain_bar_moves_and_is_wiped():
    stream = Terminal()
    for number in LineProgress(stream, delay=0.0).track(range(2), "work"):
        if number == 0:
            wait_for(lambda: "0/2" in stream.getvalue())
    text = stream.getvalue()
    assert "[" + "#" * 12 + "-" * 12 + "] 1/2" in text
    assert text.endswith("\r")
    assert text.split("\r")[-2].strip() == ""


def test_a_failure_inside_a_step_ends_the_bar():
    stream = Terminal()
    with (
        pytest.raises(RuntimeError, match="inside"),
        LineProgress(stream, delay=600.0).step("work"),
    ):
        raise RuntimeError("inside")
