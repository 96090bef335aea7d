"""Section on unequal domains: how to draw them, and what cooling keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statlearn.tour._section import Figure, Progress, Section, SectionResult, Table

if TYPE_CHECKING:
    from statlearn.tour._domains_study import Domains


def run(progress: Progress, *, n_seeds: int = 3) -> SectionResult:
    """Train one network on three unequal domains in five ways.

    Parameters
    ----------
    progress : Progress
        Where to report.
    n_seeds : int, default=3
        Number of splits of the images.

    Returns
    -------
    SectionResult
        Losses by domain and length of training, gradient noise, figures.
    """
    from statlearn.tour import _domains_study as study

    domains = study.learn(progress, n_seeds)
    sizes = ", ".join(
        f"{size} {name}" for size, name in zip(study.SIZES, study.CAMERAS, strict=True)
    )
    return SectionResult(
        data=(
            f"Handwritten digits ({domains.n_rows} images) of three cameras: {sizes}; "
            f"{n_seeds} splits"
        ),
        measured=f"{_say_noise(domains)} {_say_losses(domains)}",
        peer=(
            "the same network on shuffled rows, which is training in proportion to "
            "size, and on rows that are weighted by domain"
        ),
        supported=bool(
            (domains.ratios() > 1.0).all() and domains.cooling_is_best_of_both().all()
        ),
        figures=_figures(domains),
        tables=(
            _losses_table(domains),
            _errors_table(domains),
            _noise_table(domains),
        ),
        notes=_notes(domains),
    )


def _say_noise(domains: Domains) -> str:
    before, after = domains.ratios().mean(axis=0)
    return (
        "The squared gradient of weighting is larger than that of sampling: "
        f"{before:.2f} times at the start, {after:.2f} times after training."
    )


def _say_losses(domains: Domains) -> str:
    from statlearn.tour import _domains_study as study

    compared = (study.PLAIN, study.HOT, study.COOLED, study.WEIGHTED)
    large = [domains.of_domain(scheme, 0)[1] for scheme in compared]
    others = [domains.others(scheme)[1] for scheme in compared]
    ends = [domains.mean_loss(scheme)[-1] for scheme in compared]

    def spell(values: list[float]) -> str:
        plain, hot, cooled, weighted = values
        return (
            f"{plain:.3f} in proportion to size, {hot:.3f} hot, {cooled:.3f} cooled, "
            f"{weighted:.3f} weighted"
        )

    return (
        f"Log loss after {study.BUDGETS[1]} batches, largest domain: {spell(large)}; "
        f"the other two: {spell(others)}. Mean of the domains after "
        f"{study.BUDGETS[-1]}: {spell(ends)}."
    )


def _losses_table(domains: Domains) -> Table:
    from statlearn.tour import _domains_study as study

    rows = []
    for scheme in study.SCHEMES:
        mean = domains.mean_loss(scheme)
        spread = domains.losses[scheme].mean(axis=2).std(axis=0)
        cells = []
        for column in range(len(study.BUDGETS)):
            losses = domains.losses[scheme][:, column].mean(axis=0)
            cells += [f"{loss:.3f}" for loss in losses]
            cells.append(f"{mean[column]:.3f} ± {spread[column]:.3f}")
        rows.append((scheme, *cells))
    return Table(
        f"Log loss on fresh images, mean of {domains.n_seeds} splits (± standard "
        "deviation over the splits); each number of batches is a training of its own",
        (
            "Batches drawn",
            *(
                f"{name}, {budget}"
                for budget in study.BUDGETS
                for name in (*study.CAMERAS, "mean")
            ),
        ),
        tuple(rows),
    )


def _errors_table(domains: Domains) -> Table:
    from statlearn.tour import _domains_study as study

    rows = []
    for scheme in study.SCHEMES:
        errors = 100 * domains.errors[scheme].mean(axis=0)
        cells = [f"{error:.1f} %" for budget in errors for error in budget]
        epochs = domains.epochs[scheme][-1]
        rows.append((scheme, *cells, " / ".join(f"{count:.0f}" for count in epochs)))
    return Table(
        "Wrong answers on fresh images, and how often a row of each domain is drawn in "
        "the longest training",
        (
            "Batches drawn",
            *(f"{name}, {n}" for n in study.BUDGETS for name in study.CAMERAS),
            "Draws of a row",
        ),
        tuple(rows),
    )


def _noise_table(domains: Domains) -> Table:
    from statlearn.sampling import gradient_variance_ratio
    from statlearn.tour import _domains_study as study

    ratios, moments = domains.ratios(), domains.moments.mean(axis=0)
    equal = gradient_variance_ratio(study.SIZES, study.TAU)
    ones = ["1"] * len(study.SIZES)
    rows: list[tuple[str, ...]] = [("equal in all domains", *ones, f"{equal:.2f}")]
    for number, label in enumerate(("at the start", "after training")):
        cells = [f"{moment:.2f}" for moment in moments[number]]
        low, high = ratios[:, number].min(), ratios[:, number].max()
        ratio = f"{ratios[:, number].mean():.2f} ({low:.2f} to {high:.2f})"
        rows.append((label, *cells, ratio))
    return Table(
        "Mean squared gradient of one row in each domain, and the ratio of weighting "
        f"over sampling at temperature {study.TAU:g} (range over the splits)",
        ("Gradients", *study.CAMERAS, "Weighting / sampling"),
        tuple(rows),
    )


def _figures(domains: Domains) -> tuple[Figure, ...]:
    from statlearn.sampling import gradient_variance_ratio
    from statlearn.tour import _domains_figures as figures
    from statlearn.tour import _domains_study as study

    ends = "; ".join(
        f"{scheme} {', '.join(f'{loss:.2f}' for loss in domains.mean_loss(scheme))}"
        for scheme in study.SCHEMES
    )
    before, after = domains.ratios().mean(axis=0)
    equal = gradient_variance_ratio(study.SIZES, study.TAU)
    return (
        Figure(
            "Loss in each domain against the length of training",
            "Three panels, one a domain, of log loss against batches, one line a "
            f"scheme. Mean of the domains after {', '.join(map(str, study.BUDGETS))} "
            f"batches: {ends}.",
            "The largest domain is on the left. A cooled training is close to one in "
            "proportion to size there, and lies between it and hot sampling in the "
            "small domains. The scales differ.",
            lambda canvas: figures.draw_losses(canvas, domains),
            (7.6, 3.6),
        ),
        Figure(
            "Shares of the domains and noise of weighting, by temperature",
            "Left, lines of the share of each domain against the temperature, which "
            "meet at a third. Right, the squared gradient of weighting over that of "
            f"sampling; at temperature {study.TAU:g} it is {equal:.2f} if all domains "
            f"have the same gradients, {before:.2f} at the start, {after:.2f} after "
            "training.",
            f"Dotted upright line: temperature {study.TAU:g}. Weights multiply the "
            "gradients of few rows; the ratio falls once the rows of the small domains "
            "are learnt by heart and have small gradients.",
            lambda canvas: figures.draw_noise(canvas, domains),
            (7.6, 3.0),
        ),
    )


def _notes(domains: Domains) -> tuple[str, ...]:
    from statlearn.tour import _domains_study as study

    kept = domains.cooling_is_best_of_both()
    tolerance = f"{100 * study.TOLERANCE:.0f} %"
    return (
        f"The verdict holds when weighting has the larger squared gradient in every "
        f"split and, with each number of batches, cooling is within {tolerance} of "
        f"training in proportion to size in the largest domain and within {tolerance} "
        "of hot sampling in the others. The second part holds with "
        f"{int(kept.sum())} of {len(kept)} numbers of batches.",
        "The network is not told the camera and has to share its weights, so that what "
        "it does for the largest domain after the switch undoes a part of what it had "
        "learnt of the others. The paper trains far larger models, which have room for "
        "all domains. A temperature that ends above 1 lies between.",
        "Noisier gradients are no worse solutions: weighted rows are repeated less "
        "often than sampled ones (see the draws of a row), and in long trainings they "
        "end at lower losses here.",
        "The images are real; the cameras and their numbers of images are arranged. "
        "The paper's translation and language models are not repeated.",
    )


SECTION = Section(
    name="unequal_domains",
    method="Unequal domains: temperature sampling and cooldown",
    classes=(
        "statlearn.compose.DomainBalanced",
        "statlearn.sampling.DomainBatchSampler",
        "statlearn.sampling.UniMax",
        "statlearn.sampling.gradient_variance_ratio",
        "statlearn.sampling.scalarization_weights",
        "statlearn.sampling.temperature_probs",
        "statlearn.schedules.StepCooldown",
    ),
    paper=(
        "T. Li, H. Xu, W. Tan, K. Murray, D. Khashabi, Upsample or Upweight? Balanced "
        "Training on Heavily Imbalanced Datasets, NAACL 2025"
    ),
    status="stable",
    claim=(
        "Weighting domains has noisier gradients than sampling them, of the same mean. "
        "Sampling hot at first and in proportion to size later serves large domains as "
        "well as the latter and small ones as well as the former."
    ),
    run=run,
)
