"""Section on ordinal regression: published estimates, tests, and a peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statlearn.tour._section import Figure, Progress, Section, SectionResult, Table

if TYPE_CHECKING:
    from statlearn.tour._wine_study import Wine


def run(progress: Progress, *, repeats: int = 5) -> SectionResult:
    """Fit proportional odds to the ratings of wine and compare number by number.

    Parameters
    ----------
    progress : Progress
        Where to report.
    repeats : int, default=5
        How often each program is timed.

    Returns
    -------
    SectionResult
        Estimates, tests, times, figures.
    """
    from statlearn.tour import _wine_study as study
    from statlearn.tour._timing import format_seconds

    with progress.step("wine: two programs"):
        wine = study.fit_wine(repeats)
    faster = wine.peer_seconds / wine.our_seconds
    return SectionResult(
        data="Bitterness of white wine (72 ratings from 1 to 5, two treatments)",
        measured=(
            f"Log-likelihood {wine.loglik:.4f}, temperature {wine.slopes[0]:.4f} "
            f"(s.e. {wine.slope_errors[0]:.4f}), contact {wine.slopes[1]:.4f} "
            f"({wine.slope_errors[1]:.4f}); largest gap to the published digits "
            f"{wine.largest_gap:.0e}. {format_seconds(wine.our_seconds)} against "
            f"{format_seconds(wine.peer_seconds)} ({faster:.0f} times faster)."
        ),
        peer="R ordinal::clm (published digits); statsmodels OrderedModel (timed)",
        supported=wine.largest_gap < 1e-5,
        figures=_figures(wine),
        tables=(_estimates(wine), _tests(wine), _programs(wine)),
        notes=(
            "The verdict holds when every estimate, standard error and test is "
            "within 1e-5 of the published digits.",
            "clm writes threshold minus slope; the slopes here have the opposite "
            "sign, since the linear part is added. The table shows clm's sign.",
            "statsmodels takes no weights, so it sees the 72 ratings row by row; "
            "here the 15 occurring combinations carry their counts as weights.",
        ),
    )


def _estimates(wine: Wine) -> Table:
    from statlearn.tour import _wine_study as study

    rows = [
        (f"threshold {k} | {k + 1}", value, error, *published)
        for k, (value, error, published) in enumerate(
            zip(wine.thresholds, wine.threshold_errors, study.THRESHOLDS, strict=True),
            start=1,
        )
    ]
    rows += [
        (name, value, error, *study.SLOPES[name])
        for name, value, error in zip(
            wine.names, wine.slopes, wine.slope_errors, strict=True
        )
    ]
    return Table(
        "Estimates, proportional odds, in the sign of clm",
        ("Parameter", "Here", "s.e.", "R clm", "s.e. in R", "Larger gap"),
        tuple(
            (
                name,
                f"{value:.8f}",
                f"{error:.7f}",
                f"{published:.8f}",
                f"{known:.7f}",
                f"{max(abs(value - published), abs(error - known)):.0e}",
            )
            for name, value, error, published, known in rows
        ),
    )


def _tests(wine: Wine) -> Table:
    from statlearn.tour import _wine_study as study

    return Table(
        "Is a feature proportional? Likelihood-ratio test of slopes of its own at "
        "each threshold",
        ("Feature", "Statistic", "d.f.", "p-value", "Statistic in R", "p-value in R"),
        tuple(
            (
                name,
                f"{statistic:.6f}",
                f"{df:.0f}",
                f"{p_value:.5f}",
                f"{study.NOMINAL[name][0]:.6f}",
                f"{study.NOMINAL[name][1]:.5f}",
            )
            for name, (statistic, df, p_value) in wine.nominal.items()
        ),
    )


def _programs(wine: Wine) -> Table:
    from statlearn.tour import _wine_study as study
    from statlearn.tour._timing import format_seconds

    return Table(
        "The same model in three programs; best time of several, one thread",
        ("Program", "Log-likelihood", "Time"),
        (
            (
                "statlearn OrdinalRegression",
                f"{wine.loglik:.8f}",
                format_seconds(wine.our_seconds),
            ),
            (
                "statsmodels OrderedModel (bfgs)",
                f"{wine.peer_loglik:.8f}",
                format_seconds(wine.peer_seconds),
            ),
            ("R ordinal::clm (published)", f"{study.LOGLIK:.8f}", ""),
        ),
    )


def _figures(wine: Wine) -> tuple[Figure, ...]:
    from statlearn.tour import _wine_figures as figures

    effects = "; ".join(
        f"{name} {slope:.2f}, from {low:.2f} to {high:.2f}"
        for name, slope, (low, high) in zip(
            wine.names, wine.slopes, wine.intervals, strict=True
        )
    )
    return (
        Figure(
            "Effects on bitterness with 95 % intervals",
            f"Two points with horizontal intervals: {effects}. The published "
            "estimates lie on the points.",
            "Filled points and lines: estimate and interval here. Diamonds: R clm. "
            "Both treatments raise the rating, since neither interval reaches 0.",
            lambda canvas: figures.draw_effects(canvas, wine),
            (7.2, 2.2),
        ),
        Figure(
            "Observed and fitted ratings under the four treatments",
            "Four panels of bars, one a combination of temperature and contact: "
            "share of each rating from 1 to 5, with the fitted probability as a "
            "point on each bar. Ratings rise from cold without contact to warm with "
            "contact.",
            "Bars: observed share of 18 ratings. Points: fitted probability.",
            lambda canvas: figures.draw_ratings(canvas, wine),
            (7.2, 3.0),
        ),
    )


SECTION = Section(
    name="ordinal_regression",
    method="Ordinal regression with tests",
    classes=("statlearn.ordinal.OrdinalRegression",),
    paper=(
        "P. McCullagh, Regression Models for Ordinal Data, Journal of the Royal "
        "Statistical Society B 42, 1980; digits from R. H. B. Christensen's R package "
        "ordinal"
    ),
    status="stable",
    claim=(
        "R clm: log-likelihood -86.4919, temperature 2.5031 (s.e. 0.5287), contact "
        "1.5278 (0.4766); the test of proportionality gives p = 0.365 and 0.904."
    ),
    run=run,
)
