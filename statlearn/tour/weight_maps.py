"""Section on maps between a stored weight and the one that a layer uses."""

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
    from statlearn.tour._weight_maps_study import FloatArray, Study


def run(progress: Progress, *, n_seeds: int = 2) -> SectionResult:
    """Adapt, bound and quantise networks of digits, each by a map of their weights.

    Parameters
    ----------
    progress : Progress
        Where to report.
    n_seeds : int, default=2
        Number of splits of the images, each with a start of its own.

    Returns
    -------
    SectionResult
        Accuracies, sizes and scales of the weights, figures; without PyTorch, how to
        get it.
    """
    if not installed("torch"):
        return left_out("PyTorch", "neural")
    from statlearn.tour import _weight_maps_runs as runs
    from statlearn.tour import _weight_maps_study as study

    found = study.learn(progress, n_seeds)
    claims = found.claims()
    return SectionResult(
        data=(
            "Handwritten digits (1797 images): turned or shifted ones to adapt to, "
            f"{runs.N_NOISY} with {100 * runs.WRONG:.0f} % random labels, and as "
            f"they are for {runs.BITS} bits; {n_seeds} splits"
        ),
        measured=(
            f"{say_claims(claims)} {_adapting(found)} {_bounding(found)} "
            f"{_quantising(found)}"
        ),
        peer=(
            "LoRA, PiSSA and training all weights; PyTorch's SGD at the same and at a "
            "tuned rate; quantisation with learned scales (LSQ)"
        ),
        supported=all(claims.values()),
        figures=_figures(found),
        tables=(_adapted(found), _bounded(found), _quantised(found)),
        notes=_notes(found),
    )


def _mean(values: FloatArray) -> str:
    return f"{100.0 * values.mean():.1f} %"


def _adapting(found: Study) -> str:
    from statlearn.tour import _weight_maps_runs as runs

    told = "; ".join(
        f"{view} images "
        + ", ".join(
            f"{_mean(found.adapted[name, view])} ({name})" for name in runs.METHODS
        )
        for view in runs.VIEWS
    )
    back = "merging and taking off changed no bit" if found.back else "bits were lost"
    return f"Accuracy by adapters: {told}; {back}."


def _bounding(found: Study) -> str:
    from statlearn.tour import _weight_maps_runs as runs

    told = ", ".join(
        f"{_mean(found.learnt(name))} ({name}, rate {rate:g})"
        for name, rate in runs.RATES.items()
    )
    return f"Accuracy after wrong labels: {told}."


def _quantising(found: Study) -> str:
    from statlearn.tour import _weight_maps_runs as runs

    told = ", ".join(
        f"{_mean(found.coded(name, 'accuracy'))} ({name})" for name in found.quantised
    )
    loose, held = (
        found.coded(name, "drift").mean() for name in (runs.STATSQ, runs.ANNEALED)
    )
    return (
        f"Accuracy with {runs.BITS} bits: {told}; with annealing scales drift "
        f"{loose / held:.0f} times less."
    )


def _adapted(found: Study) -> Table:
    from statlearn.tour import _weight_maps_runs as runs

    before = ("not adapted", "0", *(_mean(found.before[v]) for v in runs.VIEWS))
    rows = [
        (
            name,
            f"{found.n_trained[name]}",
            *(_mean(found.adapted[name, view]) for view in runs.VIEWS),
        )
        for name in runs.METHODS
    ]
    return Table(
        f"Adapting in {runs.N_STEPS} steps: trained numbers and accuracy on images "
        "left out that are turned by 90 degrees, or shifted by one pixel",
        ("Method", "Trained", "Turned", "Shifted"),
        (before, *rows),
    )


def _bounded(found: Study) -> Table:
    from statlearn.tour import _weight_maps_runs as runs

    rows = []
    for name, rate in runs.RATES.items():
        each = found.bounded[name]
        largest = max(float(abs(one.weights).max()) for one in each)
        bound = f"{each[0].bound:.3f}" if name == runs.BOUNDED else "none"
        near = f"{100.0 * found.near_zero(name):.1f} %"
        accuracy = _mean(found.learnt(name))
        rows.append((name, f"{rate:g}", accuracy, near, f"{largest:.3f}", bound))
    return Table(
        f"Bounding: accuracy after learning with wrong labels, weights below "
        f"{runs.NEAR:g}, and the largest weight of the first layer",
        ("Weights", "Learning rate", "Accuracy", "Near zero", "Largest", "Bound"),
        tuple(rows),
    )


def _quantised(found: Study) -> Table:
    return Table(
        "Quantising: before a last phase at a small rate, weights that flip between "
        "levels; in it, drift of the scales and weights that are frozen",
        ("Method", "Flip", "Drift", "Frozen", "Accuracy", "Codes give the same bits"),
        tuple(
            (
                name,
                f"{100.0 * found.coded(name, 'oscillating').mean():.2f} %",
                f"{100.0 * found.coded(name, 'drift').mean():.5f} %",
                f"{100.0 * found.coded(name, 'frozen').mean():.1f} %",
                _mean(found.coded(name, "accuracy")),
                "yes" if found.coded(name, "exact").all() else "no",
            )
            for name in found.quantised
        ),
    )


def _figures(found: Study) -> tuple[Figure, ...]:
    from statlearn.tour import _weight_maps_figures as figures
    from statlearn.tour import _weight_maps_runs as runs

    return (
        Figure(
            "Which adapter fits depends on what has changed",
            f"Dots for each method and view. {_adapting(found)}",
            "Large marks are means, small ones splits; dotted lines: not adapted.",
            lambda canvas: figures.draw_adapting(canvas, found),
            (7.2, 3.2),
        ),
        Figure(
            "Weights within a bound, scales that stay",
            "Left, densities of the first layer's weights: bounded ones end at "
            f"{found.bounded[runs.BOUNDED][0].bound:.2f} and lie less at zero. Right, "
            f"change of scales over the last phase. {_quantising(found)}",
            "Left: first split; dotted, the bound; plain weights go beyond the axis. "
            "Right: mean over rows and splits, on a logarithmic axis.",
            lambda canvas: figures.draw_bound_and_scales(canvas, found),
            (7.6, 3.2),
        ),
    )


def _notes(found: Study) -> tuple[str, ...]:
    from statlearn.tour import _weight_maps_runs as runs

    flips = ", ".join(
        f"{100.0 * found.coded(name, 'oscillating').mean():.2f} % ({name})"
        for name in runs.CODERS
    )
    return (
        "The verdict holds when every claim does: "
        + "; ".join(
            f"{claim}, {'yes' if holds else 'no'}"
            for claim, holds in found.claims().items()
        )
        + ".",
        "All three are one mechanism: a map between the stored weight and the one that "
        "a layer computes with. It is attached, trained by any optimizer, and folded "
        "into a plain weight or stripped off; make the optimizer after attaching.",
        "What did not reproduce: the paper on Bone reports a lead over LoRA and PiSSA "
        f"on language models. After {runs.N_STEPS} steps here, rows of blocks, which "
        "mix inputs, are as good as LoRA on a shift and far behind on a rotation. That "
        "is short training: with smaller steps, and 300 of them, rows learn most of a "
        "rotation and stay some points behind. Columns cope with both and lead in "
        "neither.",
        "A bound forgives a learning rate that is too high. A plain network at "
        f"{runs.RATES[runs.SLOWER]:g} in place of {runs.RATES[runs.PLAIN]:g} does "
        "no worse, so this is no substitute for tuning. What the bound does to the "
        "distribution of the weights did reproduce.",
        "What did not reproduce either: that scales which are learned make more "
        f"weights flip: {flips}. Annealing freezes nearly all weights, and their "
        "scales with them, but accuracy is the same.",
        "All of this is at the size of small perceptrons on one processor; the papers "
        "have language models, deep networks and vision transformers.",
    )


SECTION = Section(
    name="weight_maps",
    method="Three maps on one weight: Bone, weight compander, StatsQ with CGA",
    classes=(
        "statlearn.neural.WeightMap",
        "statlearn.neural.attach",
        "statlearn.neural.fold",
        "statlearn.neural.strip",
        "statlearn.neural.adapters.apply_bone",
        "statlearn.neural.regularization.compand",
        "statlearn.neural.quantization.quantize_model",
        "statlearn.neural.quantization.ConfidenceGuidedAnnealing",
    ),
    paper=(
        "J. Kang, Bone: Block-Affine Adaptation of Large Language Models, "
        "arXiv:2409.15371, 2024; R. Cakaj, J. Mehnert, B. Yang, Weight Compander: A "
        "Simple Weight Reparameterization for Regularization, arXiv:2306.16993, 2023; "
        "S.-Y. Liu, Z. Liu, K.-T. Cheng, Oscillation-free Quantization for Low-bit "
        "Vision Transformers, ICML 2023"
    ),
    status="stable",
    claim=(
        "Blocks of a frozen weight times small trained matrices adapt it better than "
        "LoRA and PiSSA. Weights that are bounded and pushed from zero generalise "
        "better. Learned scales make low-bit weights flip between levels; scales from "
        "statistics and a last phase that freezes decided weights raise accuracy."
    ),
    run=run,
)
