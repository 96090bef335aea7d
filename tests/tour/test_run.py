from __future__ import annotations

import warnings

import pytest

from statlearn.tour import Figure, SectionResult, _run
from statlearn.tour._progress import SilentProgress
from statlearn.tour._run import run_section, run_sections


def result_with(draw):
    figure = Figure("Title", "Alt.", "Caption.", draw)
    return lambda progress: SectionResult("data", "number", "peer", figures=(figure,))


def fail(_):
    raise RuntimeError("the data are gone")


def test_result_and_drawings_come_back(make_section):
    outcome = run_section(
        make_section(result_with(lambda canvas: canvas.subplots())), SilentProgress()
    )
    assert not outcome.failed
    assert outcome.result.measured == "number"
    assert outcome.drawings[0].svg.startswith("<svg")


def test_a_failure_is_kept_with_its_traceback(make_section):
    outcome = run_section(make_section(fail), SilentProgress())
    assert outcome.failed
    assert outcome.error == "RuntimeError: the data are gone"
    assert "in fail" in outcome.trace
    assert outcome.result is None


def test_a_failing_figure_keeps_the_numbers(make_section):
    outcome = run_section(make_section(result_with(fail)), SilentProgress())
    assert outcome.failed
    assert outcome.result.measured == "number"


def test_the_sections_after_a_failure_still_run(make_section):
    lines = []
    outcomes = run_sections(
        [make_section(fail), make_section(name="second")],
        SilentProgress(),
        lines.append,
    )
    assert [outcome.failed for outcome in outcomes] == [True, False]
    assert len(lines) == 4
    assert lines[0] == "[1/2] fake: Fake"
    assert "failed: RuntimeError: the data are gone" in lines[1]
    assert lines[3].startswith("[2/2] second: done")


def test_something_else_than_a_result_is_a_failure(make_section):
    outcome = run_section(make_section(lambda progress: {"a": 1}), SilentProgress())
    assert "must return a SectionResult. Got dict" in outcome.error


def test_warnings_are_kept_once_each_with_their_number(make_section):
    def run(progress):
        for _ in range(3):
            warnings.warn("shaky", UserWarning, stacklevel=1)
        warnings.warn("odd", RuntimeWarning, stacklevel=1)
        return SectionResult("data", "number", "peer")

    outcome = run_section(make_section(run), SilentProgress())
    assert outcome.caught == ("UserWarning: shaky (3 times)", "RuntimeWarning: odd")


def test_without_matplotlib_there_are_numbers_but_no_figures(make_section, monkeypatch):
    monkeypatch.setattr(_run, "can_draw", lambda: False)
    outcome = run_section(make_section(result_with(fail)), SilentProgress())
    assert not outcome.failed
    assert outcome.drawings == ()


def test_an_interruption_is_not_swallowed(make_section):
    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_section(make_section(interrupt), SilentProgress())
