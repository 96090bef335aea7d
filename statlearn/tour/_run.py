"""Run the sections one after the other; a failure is a result like any other."""

from __future__ import annotations

import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from statlearn.tour._section import Figure, Progress, Section, SectionResult
from statlearn.tour._svg import can_draw, render

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure and its SVG text."""

    figure: Figure
    svg: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one section.

    Parameters
    ----------
    section : Section
        The section.
    seconds : float
        How long it took, drawing included.
    result : SectionResult or None
        What it found; None when it failed before the end.
    drawings : tuple of Drawing
        The figures, empty without matplotlib.
    error : str
        One line on the failure; empty when there was none.
    trace : str
        The traceback of the failure.
    caught : tuple of str
        Warnings that came up, each once, with a count.
    """

    section: Section
    seconds: float
    result: SectionResult | None = None
    drawings: tuple[Drawing, ...] = ()
    error: str = ""
    trace: str = ""
    caught: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the section did not run to its end."""
        return bool(self.error)


def run_sections(
    sections: Sequence[Section], progress: Progress, report: Report
) -> tuple[Outcome, ...]:
    """Run all sections, with one line before and one after each."""
    outcomes = []
    for number, section in enumerate(sections, start=1):
        place = f"[{number}/{len(sections)}] {section.name}"
        report(f"{place}: {section.method}")
        outcome = run_section(section, progress)
        end = f"failed: {outcome.error}" if outcome.failed else "done"
        report(f"{place}: {end} ({outcome.seconds:.1f} s)")
        outcomes.append(outcome)
    return tuple(outcomes)


def run_section(section: Section, progress: Progress) -> Outcome:
    """Run one section and draw its figures."""
    start = time.perf_counter()
    result: SectionResult | None = None
    drawings: tuple[Drawing, ...] = ()
    error = trace = ""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = _checked(section.run(progress))
            drawings = _draw_all(section.name, result.figures)
        except Exception as fault:
            error = f"{type(fault).__name__}: {fault}"
            trace = traceback.format_exc()
    return Outcome(
        section=section,
        seconds=time.perf_counter() - start,
        result=result,
        drawings=drawings,
        error=error,
        trace=trace,
        caught=_summarise(caught),
    )


def _checked(result: SectionResult) -> SectionResult:
    """Refuse anything but a result, at the place where it is easy to mend."""
    if isinstance(result, SectionResult):
        return result
    raise TypeError(
        "The function 'run' of a section must return a SectionResult. "
        f"Got {type(result).__name__}; build one with statlearn.tour.SectionResult."
    )


def _draw_all(name: str, figures: Sequence[Figure]) -> tuple[Drawing, ...]:
    """Draw the figures, or none when matplotlib is not installed."""
    if not can_draw():
        return ()
    return tuple(
        Drawing(figure, render(figure, f"{name}-{number}"))
        for number, figure in enumerate(figures, start=1)
    )


def _summarise(caught: Sequence[warnings.WarningMessage]) -> tuple[str, ...]:
    """Each different warning once, with the number of times it came."""
    counts = Counter(f"{w.category.__name__}: {w.message}" for w in caught)
    return tuple(f"{text} ({n} times)" if n > 1 else text for text, n in counts.items())
