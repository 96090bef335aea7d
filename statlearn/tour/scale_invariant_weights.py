"""Section on momentum and weights whose length does not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statlearn.tour._installed import installed
from statlearn.tour._section import (
    Figure,
    Progress,
    Section,
    SectionResult,
    Table,
    left_out,
    say_claims,
)

if TYPE_CHECKING:
    from statlearn.tour._adamp_study import Study


def run(progress: Progress, *, n_seeds: int = 3) -> SectionResult:
    """Measure how momentum lengthens weights, and what keeping them short brings.

    Parameters
    ----------
    progress : Progress
        Where to report.
    n_seeds : int, default=3
        Number of splits of the images, each with a start of its own.

    Returns
    -------
    SectionResult
        Growth and accuracy by optimizer, figures; without PyTorch, how to get it.
    """
    if not installed("torch"):
        return left_out("PyTorch", "neural")
    from statlearn.tour import _adamp_study as study

    found = study.learn(progress, n_seeds)
    claims = found.claims()
    return SectionResult(
        data=(
            "A quotient of quadratic forms in five dimensions; handwritten digits "
            f"(1797 images), a perceptron with {study.NORMALISED}, {n_seeds} splits"
        ),
        measured=f"{say_claims(claims)} {_say_growth(found)} {_say_accuracy(found)}",
        peer="PyTorch: SGD with momentum, AdamW, at the same learning rates",
        supported=all(claims.values()),
        figures=_figures(found),
        tables=(_digits(found), _quotient(found), _views(found)),
        notes=_notes(found),
    )


def _say_growth(found: Study) -> str:
    from statlearn.tour import _adamp_study as study

    told = ", ".join(
        f"{100.0 * found.growths(plain).mean():.0f} % by {plain} and "
        f"{100.0 * found.growths(projected).mean():.1f} % by {projected}"
        for plain, projected in study.PAIRS.items()
    )
    return f"A weight in front of a normalisation grows by {told}."


def _say_accuracy(found: Study) -> str:
    from statlearn.tour import _adamp_study as study

    told = " and ".join(
        f"{_points(*found.gain(plain))} ({projected} over {plain})"
        for plain, projected in study.PAIRS.items()
    )
    return f"Accuracy gains {told}."


def _points(mean: float, width: float) -> str:
    return f"{100.0 * mean:+.2f} ± {100.0 * width:.2f} points"


def _digits(found: Study) -> Table:
    from statlearn.tour import _adamp_study as study

    rows = []
    for plain, projected in study.PAIRS.items():
        for name in (plain, projected):
            ours = name == projected
            rows.append(
                (
                    name,
                    f"{study.RATES[name]:g}",
                    f"{100.0 * found.growths(name).mean():.1f} %",
                    f"{found.factor(plain):.1f}" if ours else "",
                    f"{100.0 * found.left_over(name)[-1]:.0f} %",
                    f"{100.0 * found.accuracies(name).mean():.2f} %",
                    _points(*found.gain(plain)) if ours else "",
                )
            )
    return Table(
        "Digits: the weight of the second layer and accuracy on images left out, "
        "means of the splits; gains split by split, with a 95 % interval",
        (
            "Optimizer",
            "Learning rate",
            "Growth of the norm",
            "Times less",
            "Of the last step is left",
            "Accuracy",
            "Gain",
        ),
        tuple(rows),
    )


def _quotient(found: Study) -> Table:
    return Table(
        "The quotient w'Aw / w'w from a weight of length 1: how far squared lengths "
        "are from the identity, and the weight from the solution",
        ("Method", "Length at the end", "Off the identity", "Angle to the solution"),
        tuple(
            (
                name,
                f"{each.lengths[-1]:.3f}",
                f"{each.error:.0e}",
                f"{each.angle:.2f} degrees",
            )
            for name, each in found.descents.items()
        ),
    )


def _views(found: Study) -> Table:
    from statlearn.tour import _adamp_study as study

    rows = [
        (
            f"{parameter}, {kind}",
            *(f"{100.0 * shares[view]:.1f} %" for view in study.VIEWS),
        )
        for kind, views in found.views.items()
        for parameter, shares in views.items()
        if not parameter.endswith("bias")
    ]
    return Table(
        "What the test for scale invariance finds: share of the steps of AdamP by the "
        "rows of the first axis that passed (channel), the tensor as one row (layer), "
        "or neither; biases never pass",
        ("Parameter", *study.VIEWS),
        tuple(rows),
    )


def _figures(found: Study) -> tuple[Figure, ...]:
    from statlearn.tour import _adamp_figures as figures
    from statlearn.tour import _adamp_study as study

    lengths = ", ".join(
        f"{each.lengths[-1]:.2f} by {name}" for name, each in found.descents.items()
    )
    left_over = ", ".join(
        f"{100.0 * found.left_over(name)[-1]:.0f} % ({name})" for name in study.RATES
    )
    return (
        Figure(
            "Weights grow much less, accuracy is the same",
            f"Left, bars: {_say_growth(found)} Right, accuracy "
            f"of four optimizers, all alike. {_say_accuracy(found)}",
            "Filled bars project. Lines on the right are means, dots are splits.",
            lambda canvas: figures.draw_growth(canvas, found),
            (7.6, 3.0),
        ),
        Figure(
            "The longer the weight, the smaller the step",
            f"Left, length of a weight over {study.N_STEPS} steps, at the end "
            f"{lengths}. Right, effective step in training: at the end {left_over} of "
            "what the schedule asks for is left.",
            "A step turns a weight by less the longer it is. Dotted: the schedule of "
            "the learning rate alone; what a line lacks is lost to the length.",
            lambda canvas: figures.draw_paths(canvas, found),
            (7.6, 3.0),
        ),
    )


def _notes(found: Study) -> tuple[str, ...]:
    from statlearn.tour import _adamp_study as study

    limit = 1.0 + 2.0 * study.MEMORY / (1.0 - study.MEMORY)
    bare = [
        shares["layer"]
        for name, shares in found.views[study.BARE].items()
        if not name.endswith("bias")
    ]
    return (
        "The verdict holds when every claim does: "
        + "; ".join(
            f"{claim}, {'yes' if holds else 'no'}"
            for claim, holds in found.claims().items()
        )
        + ".",
        "What did not reproduce: the paper reports gains of accuracy on thirteen "
        "benchmarks, with large networks and long training. Here all four optimizers "
        "find what there is to find before their steps are short.",
        f"With a memory of {study.MEMORY:g}, momentum lengthens a weight in the long "
        f"run {limit:.0f} times as much as the same steps without it would. In the "
        "quotient this ends all progress: the weight stays "
        f"{found.descents[study.HEAVY].angle:.0f} degrees from the solution, and SGDP "
        f"comes within {found.descents[study.PROJECTED].angle:.1f}.",
        "Length that grows is a decay of the step of its own. Without it a schedule "
        "has to do this work; with a large and constant learning rate, optimizers that "
        "project end worse, as the notebook of the same name measures.",
        "Without a normalisation layer nothing should be projected. The test looks at "
        "one gradient, and passes by chance: in the layer view for random gradients in "
        f"8 % of steps, here in {100.0 * min(bare):.1f} to {100.0 * max(bare):.1f} %.",
        "Weights that are projected get a tenth of the weight decay (`wd_ratio`), so "
        "the decay of AdamW does not carry over.",
    )


SECTION = Section(
    name="scale_invariant_weights",
    method="What momentum does to scale-invariant weights: AdamP, SGDP",
    classes=(
        "statlearn.neural.optim.AdamP",
        "statlearn.neural.optim.SGDP",
        "statlearn.neural.optim.is_scale_invariant",
        "statlearn.neural.optim.project_update",
    ),
    paper=(
        "B. Heo, S. Chun, S. J. Oh, D. Han, S. Yun, G. Kim, Y. Uh, J.-W. Ha, AdamP: "
        "Slowing Down the Slowdown for Momentum Optimizers on Scale-invariant Weights, "
        "ICLR 2021"
    ),
    status="stable",
    claim=(
        "Momentum makes weights in front of a normalisation longer and longer, so that "
        "steps turn them less and less. Without the part of a step along such a weight "
        "they stay short, and networks become more accurate."
    ),
    run=run,
)
