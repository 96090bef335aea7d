"""Section on models as weights: merged, lined up, patched, aligned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statlearn.tour._section import (
    Figure,
    Progress,
    Section,
    SectionResult,
    Table,
    say_claims,
)

if TYPE_CHECKING:
    from statlearn.tour._merging_study import FloatArray, Study


def run(progress: Progress, *, n_seeds: int = 2) -> SectionResult:
    """Do algebra on the weights of models of digits, and measure what comes out.

    Parameters
    ----------
    progress : Progress
        Where to report.
    n_seeds : int, default=2
        Number of splits of the images, each with starts of its own.

    Returns
    -------
    SectionResult
        Accuracies of merged, matched, patched and aligned models, figures.
    """
    from statlearn.tour import _merging_study as study

    found = study.learn(progress, n_seeds)
    return SectionResult(
        data=(
            "Handwritten digits (1797 images): four views of them for experts, images "
            "of little contrast for a patch, classes that come two by two; "
            f"{n_seeds} splits"
        ),
        measured=" ".join(
            (
                say_claims(found.claims()),
                _say_merging(found),
                _say_matching(found),
                _say_patch(found),
                _say_classes(found),
            )
        ),
        peer=(
            "scikit-learn: MLPClassifier trained on all views, or on grey images; "
            "LogisticRegression on all rows. Rules: the plain average, TIES, TSV-M; "
            "networks as trained; a plain difference of weights; balanced classes"
        ),
        supported=all(found.claims().values()),
        figures=_figures(found),
        tables=(_merging(found), _matching(found), _patches(found), _classes(found)),
        notes=_notes(found),
    )


def _percent(values: FloatArray) -> str:
    return f"{100.0 * values.mean():.1f} %"


def _say_merging(found: Study) -> str:
    from statlearn.tour import _merging_study as study

    told = ", ".join(f"{_percent(found.merged[rule])} ({rule})" for rule in study.RULES)
    return (
        f"Accuracy of merged experts on four views: {told}, against "
        f"{_percent(found.merged[study.MIXTURE])} by training on the mixture."
    )


def _say_matching(found: Study) -> str:
    from statlearn.tour import _merging_study as study

    before, after = study.BEFORE, study.AFTER
    closer = 1.0 - found.apart[after].mean() / found.apart[before].mean()
    return (
        f"Barrier of log loss between two networks: {found.barrier(before):.3f} as "
        f"trained, {found.barrier(after):.3f} matched, at a distance that is "
        f"{100.0 * closer:.0f} % smaller; accuracy of their mean "
        f"{_percent(found.middle[before])} and {_percent(found.middle[after])}."
    )


def _say_patch(found: Study) -> str:
    from statlearn.tour import _merging_study as study

    told = ", ".join(
        f"{_percent(found.patched[name][:, 0])} ({name})"
        for name in (study.CLEAN, study.PATCHED, study.ROBUST)
    )
    lost = found.patched[study.CLEAN] - found.patched[study.PATCHED]
    return (
        f"Accuracy on grey images: {told}; on clean ones the patch costs "
        f"{100.0 * lost[:, 1].mean():.1f} points."
    )


def _say_classes(found: Study) -> str:
    from statlearn.tour import _merging_study as study

    told = ", ".join(f"{100.0 * found.final(n):.1f} % ({n})" for n in study.CLASSIFIERS)
    return (
        f"Accuracy after ten classes in five steps, {study.MEMORY} rows kept: {told}, "
        f"{100.0 * found.final(study.ALL_ROWS):.1f} % by a fit to all rows."
    )


def _merging(found: Study) -> Table:
    from statlearn.tour import _merging_study as study

    rows = []
    for name, values in found.merged.items():
        best, at = "", ""
        if name in found.scaled:
            means = found.scaled[name].mean(axis=0)
            best, at = _percent(means.max()), f"{study.SCALES[means.argmax()]:g}"
        rows.append((name, _percent(values), best, at))
    return Table(
        "Accuracy on four views of the digits, images left out. The scale of the last "
        "columns is chosen on the same images, so they flatter the rules",
        ("Network", "Scale 1", "Best scale", "Which is"),
        tuple(rows),
    )


def _matching(found: Study) -> Table:
    from statlearn.tour import _merging_study as study

    return Table(
        "Two networks from different starts, before and after the units of one were "
        "put in the order of the other",
        (
            "Networks",
            "Barrier",
            "Distance",
            "Accuracy in the middle",
            "Alignment, all singular vectors",
            f"Alignment, values of at least {study.GAMMAS[1]:g} of the largest",
        ),
        tuple(
            (
                name,
                f"{found.barrier(name):.3f}",
                f"{found.apart[name].mean():.1f}",
                _percent(found.middle[name]),
                *(f"{value:.3f}" for value in found.agreement[name].mean(axis=0)),
            )
            for name in (study.BEFORE, study.AFTER)
        ),
    )


def _patches(found: Study) -> Table:
    return Table(
        "Accuracy on images of little contrast and on clean ones",
        ("Network", "Grey images", "Clean images"),
        tuple(
            (name, _percent(values[:, 0]), _percent(values[:, 1]))
            for name, values in found.patched.items()
        ),
    )


def _classes(found: Study) -> Table:
    from statlearn.tour import _merging_study as study

    n_steps = found.steps[study.ALIGNED].shape[1]
    return Table(
        "Accuracy on the classes so far, when two new ones come at a time",
        ("Classifier", *(f"{2 * (step + 1)} classes" for step in range(n_steps))),
        tuple(
            (name, *(_percent(values) for values in found.steps[name].T))
            for name in study.CLASSIFIERS
        ),
    )


def _figures(found: Study) -> tuple[Figure, ...]:
    from statlearn.tour import _merging_figures as figures
    from statlearn.tour import _merging_study as study

    others = found.cosines[found.cosines < 1.0 - 1e-6]
    closed = 100.0 * found.recovered(study.PATCHED)
    return (
        Figure(
            "One network from four experts",
            "Left, a line for each rule: accuracy over the scale of the merged update, "
            "with the mixture of data as a level far above. Right, a heat map of the "
            f"cosines of the experts' updates, {others.min():.2f} to "
            f"{others.max():.2f} between different ones. {_say_merging(found)}",
            "Scale 1 needs no tuning. Updates that are almost orthogonal have learnt "
            "different things.",
            lambda canvas: figures.draw_merging(canvas, found),
            (7.6, 3.6),
        ),
        Figure(
            "Two networks, and what lies between them",
            "Left, loss along the line between two networks: a hill as they were "
            "trained, almost none once matched. Right, bars of the alignment of "
            f"singular vectors. {_say_matching(found)}",
            "First split on the left, means on the right. Dashed: no barrier at all. "
            "Matching aligns the directions of large singular values most.",
            lambda canvas: figures.draw_matching(canvas, found),
            (7.6, 3.2),
        ),
        Figure(
            "A patch that can be taken off, and new classes",
            "Left, accuracy on grey and on clean images over the strength of a patch. "
            "Right, accuracy over the number of classes that were learnt. "
            f"{_say_patch(found)} {_say_classes(found)}",
            f"Left: at strength 1 the patch closes {closed:.0f} % of the gap on grey "
            "images. Right: each step forgets, and aligned weights forget less.",
            lambda canvas: figures.draw_patch_and_steps(canvas, found),
            (7.6, 3.2),
        ),
    )


def _notes(found: Study) -> tuple[str, ...]:
    from statlearn.tour import _merging_study as study

    tuned = {name: values.mean(axis=0).max() for name, values in found.scaled.items()}
    plain = found.patched[study.PLAIN].mean(axis=0)
    balanced = 100.0 * found.final(study.BALANCED)
    lead = 100.0 * (found.merged["R-TSVM"] - found.merged["TSV-M"])
    return (
        "The verdict holds when every claim does: "
        + "; ".join(
            f"{claim}, {'yes' if holds else 'no'}"
            for claim, holds in found.claims().items()
        )
        + ".",
        "What did not reproduce: the paper on merging finds it better than mixtures of "
        "data, for language models whose goals conflict. Here one network learns all "
        "views when it sees them all, and no merge of experts comes near. Merge when "
        "the data cannot be brought together.",
        "The exact formulas of R-TSVM are not public; ours is a reconstruction from "
        "the paper's words. Its lead over TSV-M is small, split by split "
        f"{' and '.join(f'{points:+.1f}' for points in lead)} points, and "
        f"{100.0 * (tuned['R-TSVM'] - tuned['TSV-M']):+.1f} with the best scale of "
        "each.",
        f"The plain difference of weights makes as good a patch ({100 * plain[0]:.1f} "
        f"% grey, {100 * plain[1]:.1f} % clean): what the projection takes away is "
        "small here. With a patch on all layers the network is all but the robust one, "
        "and loses as much on clean images; that on the first layer loses less.",
        "Classes of equal weight in the fit do most of what aligning does afterwards "
        f"({balanced:.1f} %). Aligning needs no data, so it also serves models that "
        "are fitted already.",
        f"The base has seen {study.N_BASE} images in each view. From a base that had "
        "seen one view alone, no rule merged experts well, and the average was often "
        "ahead of TSV-M and R-TSVM. Networks without a common base have to be matched "
        "first, and narrow ones keep a barrier.",
        "All of this is at the size of small perceptrons on one processor; the papers "
        "have language models and deep networks, of which only directions can be "
        "compared.",
    )


SECTION = Section(
    name="model_merging",
    method="Models as weights: merging, matching, patches, aligned classes",
    classes=(
        "statlearn.merging.merge_weights",
        "statlearn.merging.r_tsv_merge",
        "statlearn.merging.TaskVectorDisplay",
        "statlearn.merging.match_weights",
        "statlearn.merging.loss_barrier",
        "statlearn.merging.BarrierDisplay",
        "statlearn.merging.weight_signature",
        "statlearn.merging.SignaturePatchedClassifier",
        "statlearn.continual.IncrementalClassifier",
        "statlearn.continual.align_classifier",
    ),
    paper=(
        "J. Yang et al., Mix Data or Merge Models?, arXiv:2502.06876, 2025; A. Ito, "
        "M. Yamada, A. Kumagai, Analysis of Linear Mode Connectivity via "
        "Permutation-Based Weight Matching, ICLR 2025; R. Cai, Z. Zhang, Z. Wang, "
        "Robust Weight Signatures: Gaining Robustness as Easy as Patching Weights?, "
        "ICML 2023; B. Zhao, X. Xiao, G. Gan, B. Zhang, S.-T. Xia, Maintaining "
        "Discrimination and Fairness in Class Incremental Learning, CVPR 2020"
    ),
    status="stable",
    claim=(
        "Experts tuned from one base merge into one model that balances their skills, "
        "best by R-TSVM and better than by mixing their data. Reordering the units of "
        "one network removes the barrier to another: not because they come nearer, but "
        "because large singular directions are aligned. What robust training adds can "
        "be put on a clean model as a patch, at little cost. Weights of new classes "
        "scaled to the norms of old ones keep a classifier from forgetting these."
    ),
    run=run,
)
