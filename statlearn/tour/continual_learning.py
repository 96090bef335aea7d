"""Section on continual learning: what a little replay keeps, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statlearn.tour._section import Figure, Progress, Section, SectionResult, Table

if TYPE_CHECKING:
    from statlearn.tour._digits_study import Digits


def run(progress: Progress, *, n_seeds: int = 2) -> SectionResult:
    """Learn digits, then changed ones, with and without old rows.

    Parameters
    ----------
    progress : Progress
        Where to report.
    n_seeds : int, default=2
        Number of splits of the images, each with a start of the network of its own.

    Returns
    -------
    SectionResult
        Losses of old and new task, what was kept, figures.
    """
    from statlearn.tour import _digits_study as study

    digits = study.learn(progress, n_seeds)
    return SectionResult(
        data=(
            f"Handwritten digits ({digits.n_rows} images), then the same moved by a "
            f"pixel, or with pixels permuted; {n_seeds} splits"
        ),
        measured=" ".join(_say(digits, shift) for shift in study.SHIFTS),
        peer=(
            "scikit-learn's MLPClassifier: partial_fit alone on one task after the "
            "other, and fit to both at once"
        ),
        supported=digits.holds(),
        figures=_figures(digits),
        tables=(_losses(digits), _costs(digits)),
        notes=_notes(digits, n_seeds),
    )


def _say(digits: Digits, shift: str) -> str:
    from statlearn.tour import _digits_study as study

    none, share = study.SHARES[:2]
    return (
        f"{shift.capitalize()}: loss of the old task {digits.old(shift, none):.3f} "
        f"without replay, {digits.old(shift, share):.3f} with {100 * share:.0f} % "
        f"({100 * digits.kept(shift, share):.0f} % of the rise avoided), "
        f"{digits.old(shift, study.ALONE):.3f} with partial_fit alone, "
        f"{digits.old(shift, study.TOGETHER):.3f} with a fit to both; loss of the new "
        f"task {digits.new(shift, none):.3f}, {digits.new(shift, share):.3f}, "
        f"{digits.new(shift, study.ALONE):.3f} and "
        f"{digits.new(shift, study.TOGETHER):.3f}."
    )


def _losses(digits: Digits) -> Table:
    from statlearn.tour import _digits_study as study

    runs: dict[str, float | str] = {f"{100 * s:.0f} % replay": s for s in study.SHARES}
    runs |= {name: name for name in (study.ALONE, study.TOGETHER)}
    first = [
        f"{value:.3f}"
        for shift in study.SHIFTS
        for value in digits.before[shift].mean(axis=0)
    ]
    rows = [("after the first task", *first)]
    for name, key in runs.items():
        cells = (
            f"{mean(shift, key):.3f}"
            for shift in study.SHIFTS
            for mean in (digits.old, digits.new)
        )
        rows.append((name, *cells))
    return Table(
        f"Log loss on images left out after two tasks of {study.N_STEPS} steps, mean "
        "of the splits",
        (
            "Run",
            *(f"{task}, {shift}" for shift in study.SHIFTS for task in ("Old", "New")),
        ),
        tuple(rows),
    )


def _costs(digits: Digits) -> Table:
    from statlearn.tour import _digits_study as study

    return Table(
        "What replay keeps and costs, against none: share of the rise of the old loss "
        "that is avoided, and change of the new loss",
        (
            "Old rows in a batch",
            *(f"{word}, {shift}" for shift in study.SHIFTS for word in ("Kept", "New")),
        ),
        tuple(
            (
                f"{100 * share:.0f} %",
                *(
                    cell
                    for shift in study.SHIFTS
                    for cell in (
                        f"{100 * digits.kept(shift, share):.0f} %",
                        f"{100 * digits.cost(shift, share):+.0f} %",
                    )
                ),
            )
            for share in study.SHARES[1:]
        ),
    )


def _figures(digits: Digits) -> tuple[Figure, ...]:
    from statlearn.tour import _digits_figures as figures
    from statlearn.tour import _digits_study as study

    losses = "; ".join(
        f"{shift}, old task "
        + ", ".join(f"{digits.old(shift, share):.3f}" for share in study.SHARES)
        + ", new task "
        + ", ".join(f"{digits.new(shift, share):.3f}" for share in study.SHARES)
        for shift in study.SHIFTS
    )
    shares = ", ".join(f"{100 * share:.0f} %" for share in study.SHARES)
    return (
        Figure(
            "Loss of the old and the new task against the share of old rows",
            f"Two panels, one a shift, of log loss at {shares} replay: {losses}.",
            "Dots are splits. A few old rows in each batch take the old task most of "
            "the way down to the dotted line, the fit to everything; more of them cost "
            "the new task.",
            lambda canvas: figures.draw_losses(canvas, digits),
            (7.6, 3.4),
        ),
        Figure(
            "The course of one run, pixels permuted",
            "Three panels over the steps: losses of both tasks without replay, with "
            f"{100 * study.SHARES[1]:.0f} % replay, and the learning rate. Without "
            "replay the loss of the old task rises as soon as the new one begins.",
            "A dashed line is where the new task begins. The learning rate rises again "
            "there and falls again, in both runs alike.",
            lambda canvas: figures.draw_course(canvas, digits),
            (7.6, 2.6),
        ),
    )


def _notes(digits: Digits, n_seeds: int) -> tuple[str, ...]:
    from statlearn.tour import _digits_study as study

    share, more = study.SHARES[1:]
    cost = " and ".join(f"{100 * digits.cost(s, more):+.0f} %" for s in study.SHIFTS)
    return (
        f"The verdict holds when {100 * share:.0f} % replay avoids more than "
        f"{100 * study.KEPT:.0f} % of the rise of the old loss and the new loss rises "
        f"by less than {100 * study.COST:.0f} %, for both shifts, in the mean of "
        f"{n_seeds} splits.",
        "The paper trains language models of 405 million parameters and more; only the "
        "direction can be compared, not its losses.",
        "The shares are of each batch, so replay costs no steps but takes them from "
        f"the new task: at {100 * more:.0f} % its loss changes by {cost}.",
        "A constant rate learns the new task further in so few steps, and forgets the "
        "more; re-decay is about the old task.",
    )


SECTION = Section(
    name="continual_learning",
    method="Learning on: re-warmed learning rate and replay",
    classes=(
        "statlearn.continual.ContinualLearner",
        "statlearn.continual.ForgettingDisplay",
        "statlearn.sampling.ReplayMixer",
        "statlearn.schedules.Cosine",
    ),
    paper=(
        "A. Ibrahim, B. Thérien, K. Gupta, M. L. Richter, Q. Anthony, T. Lesort, "
        "E. Belilovsky, I. Rish, Simple and Scalable Strategies to Continually "
        "Pre-train Large Language Models, TMLR 2024"
    ),
    status="stable",
    claim=(
        "Re-warming and re-decaying the learning rate, with a few percent of old rows "
        "in each batch, keeps most of the old task at little cost to the new one."
    ),
    run=run,
)
