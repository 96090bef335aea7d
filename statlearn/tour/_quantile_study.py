"""Numbers of the section on quantiles: four models and their aggregates on real tables.

Each table is cut in three at random, several times: rows that models and weights are
learnt from, rows to calibrate with, and rows that all are judged on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.linear_model import QuantileRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from statlearn.metrics import interval_coverage, interval_length, pinball_loss
from statlearn.quantile import (
    LinearQuantileRegression,
    LocationScaleQuantiles,
    MultiQuantileRegressor,
    QuantileAggregator,
    calibrate_interval,
    vincentize,
)
from statlearn.tour._section import Progress
from statlearn.tour._timing import time_call
from statlearn.utils._optional import require

FloatArray = NDArray[np.float64]

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
COVERAGE = 0.8
#: Levels of the race of two programs for linear quantiles.
RACE_LEVELS = tuple(round(0.1 * step, 1) for step in range(1, 10))

#: Trees of a level; few, so that the tour stays short.
BOOSTING_STEPS = 20

LINEAR, BOOSTING = "linear", "boosting"
FOREST, NEIGHBOURS = "forest", "neighbours"
MODELS = (LINEAR, BOOSTING, FOREST, NEIGHBOURS)
AVERAGE, MEDIUM, FINE = "plain average", "medium weights", "fine weights"
AGGREGATES = (AVERAGE, MEDIUM, FINE)
METHODS = (*MODELS, *AGGREGATES)

#: Measures of a nucleus that do not say how large it is.
SHAPES = (
    "texture",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)

_CV = 3


@dataclass(frozen=True, slots=True)
class Trial:
    """What one split of a table gave.

    Attributes
    ----------
    losses : ndarray of shape (7,)
        Mean pinball loss on test rows, by method.
    out_of_fold : ndarray of shape (4,)
        The same of each model on training rows that it has not seen.
    covered : ndarray of shape (2, 7)
        Share of test rows in the 80 % interval, raw and calibrated.
    lengths : ndarray of shape (2, 7)
        Mean length of the intervals.
    weights : ndarray of shape (5, 4)
        Medium weights of the models at each level.
    n_calibration, n_test : int
        Numbers of rows.
    """

    losses: FloatArray
    out_of_fold: FloatArray
    covered: FloatArray
    lengths: FloatArray
    weights: FloatArray
    n_calibration: int
    n_test: int

    @property
    def relative(self) -> FloatArray:
        """Losses over that of the model which is best on the test rows."""
        return self.losses / self.losses[: len(MODELS)].min()

    @property
    def chosen(self) -> float:
        """Relative loss of the model that was best out of fold."""
        return float(self.relative[self.out_of_fold.argmin()])

    @property
    def expected(self) -> tuple[float, float]:
        """Mean and variance of the share that calibrated intervals cover.

        Given the calibration rows it is a beta variable, if there are no ties.
        """
        n = self.n_calibration + 1
        share = np.ceil(COVERAGE * n - 1e-9) / n
        spread = share * (1.0 - share)
        return share, spread * (n + self.n_test) / (self.n_test * (n + 1))


@dataclass(frozen=True, slots=True)
class Race:
    """Nine linear quantiles by two programs.

    Attributes
    ----------
    seconds, peer_seconds : float
        Time of one fit with nine levels, and of nine fits of scikit-learn.
    gap : float
        Largest relative difference of the losses.
    n_rows : int
        Rows of the table.
    """

    seconds: float
    peer_seconds: float
    gap: float
    n_rows: int

    @property
    def faster(self) -> float:
        """How many times as long the peer took."""
        return self.peer_seconds / self.seconds


@dataclass(frozen=True, slots=True)
class Study:
    """Trials of every table, and the race.

    Attributes
    ----------
    trials : dict of str to tuple of Trial
        By table.
    shapes : dict of str to tuple of int
        Rows and features of the tables.
    race : Race
        Time of two programs.
    """

    trials: dict[str, tuple[Trial, ...]]
    shapes: dict[str, tuple[int, int]]
    race: Race

    @property
    def every_trial(self) -> list[Trial]:
        """Trials of all tables."""
        return [trial for trials in self.trials.values() for trial in trials]

    def relative(self, trials: list[Trial] | tuple[Trial, ...]) -> FloatArray:
        """Geometric mean (7,) of losses over the best model of each trial."""
        return np.exp(np.mean([np.log(trial.relative) for trial in trials], axis=0))

    def overall(self, method: str) -> float:
        """Relative loss of a method on all tables."""
        return float(self.relative(self.every_trial)[METHODS.index(method)])

    def chosen(self) -> float:
        """Relative loss of the models that were best out of fold, all tables."""
        logs = [np.log(trial.chosen) for trial in self.every_trial]
        return float(np.exp(np.mean(logs)))

    def wins(self, method: str) -> int:
        """Count the trials in which a method beats every single model."""
        place = METHODS.index(method)
        return sum(bool(trial.relative[place] < 1.0) for trial in self.every_trial)

    def weights_help(self) -> bool:
        """Whether both aggregates beat the best model and the plain average."""
        bar = min(1.0, self.overall(AVERAGE))
        return self.overall(MEDIUM) < bar and self.overall(FINE) < bar

    def intervals_hold(self) -> list[bool]:
        """Whether calibrated intervals of an aggregate are honest, by table."""
        return [
            is_honest(trials, method)
            for trials in self.trials.values()
            for method in (MEDIUM, FINE)
        ]


def coverage(trials: list[Trial] | tuple[Trial, ...], method: str) -> FloatArray:
    """Share of rows covered (2,), raw and calibrated, mean of trials."""
    place = METHODS.index(method)
    return np.mean([trial.covered[:, place] for trial in trials], axis=0)


def stretch(trials: list[Trial] | tuple[Trial, ...], method: str) -> float:
    """Length of calibrated intervals over that of raw ones, geometric mean."""
    place = METHODS.index(method)
    ratios = [trial.lengths[1, place] / trial.lengths[0, place] for trial in trials]
    return float(np.exp(np.mean(np.log(ratios))))


def expected(trials: list[Trial] | tuple[Trial, ...]) -> tuple[float, float]:
    """Share that honest intervals cover in the mean of trials, and standard error."""
    means, variances = np.transpose([trial.expected for trial in trials])
    return float(means.mean()), float(np.sqrt(variances.sum()) / len(trials))


def is_honest(trials: list[Trial] | tuple[Trial, ...], method: str) -> bool:
    """Whether calibrated coverage is within two standard errors."""
    share, error = expected(trials)
    return bool(abs(coverage(trials, method)[1] - share) <= 2.0 * error)


def learn(progress: Progress, n_seeds: int) -> Study:
    """Try every method on every table, and time linear quantiles."""
    tables = {name: load() for name, load in TABLES.items()}
    trials: dict[str, list[Trial]] = {name: [] for name in tables}
    jobs = [(name, seed) for name in tables for seed in range(n_seeds)]
    for name, seed in progress.track(jobs, "quantiles: three tables"):
        trials[name].append(try_split(*tables[name], seed))
    with progress.step("quantiles: two programs"):
        race = time_linear(*tables["diabetes"])
    return Study(
        {name: tuple(found) for name, found in trials.items()},
        {name: X.shape for name, (X, _) in tables.items()},
        race,
    )


def try_split(X: FloatArray, y: FloatArray, seed: int) -> Trial:
    """Learn from 60 % of the rows, calibrate with 20 %, judge on the others."""
    order = np.random.default_rng(seed).permutation(len(y))
    n_train, n_known = int(0.6 * len(y)), int(0.8 * len(y))
    train, known, test = np.split(order, [n_train, n_known])
    medium = QuantileAggregator(models(), levels=LEVELS, cv=_CV)
    medium.fit(X[train], y[train])
    # The same out-of-fold quantiles serve again: models are fitted only once.
    fine = QuantileAggregator(levels=LEVELS, resolution="fine", cv=_CV)
    fine.fit_predictions(medium.oof_quantiles_, y[train])

    def grids(rows: Any) -> list[FloatArray]:
        fitted = medium.estimators_
        P = np.stack([m.predict_quantiles(X[rows], LEVELS) for m in fitted], axis=1)
        combined = [vincentize(P), medium.predict_quantiles(X[rows]), fine.combine(P)]
        return [*P.swapaxes(0, 1), *combined]

    covered, lengths = np.empty((2, len(METHODS))), np.empty((2, len(METHODS)))
    losses = np.empty(len(METHODS))
    for place, (held, fresh) in enumerate(zip(grids(known), grids(test), strict=True)):
        losses[place] = pinball_loss(y[test], fresh, LEVELS)
        ends = calibrate_interval(held[:, 0], held[:, -1], y[known], COVERAGE)
        raw = fresh[:, [0, -1]]
        for row, interval in enumerate((raw, ends.apply(*raw.T))):
            covered[row, place] = interval_coverage(y[test], interval)
            lengths[row, place] = interval_length(interval)
    return Trial(
        losses,
        medium.base_scores_,
        covered,
        lengths,
        medium.weights_,
        len(known),
        len(test),
    )


def models() -> list[tuple[str, Any]]:
    """Four quantile models of different kinds, small enough for a tour."""
    boosting = HistGradientBoostingRegressor(
        loss="quantile",
        quantile=0.5,
        learning_rate=0.3,
        max_iter=BOOSTING_STEPS,
        max_leaf_nodes=4,
        min_samples_leaf=10,
        early_stopping=False,
        random_state=0,
    )
    forest = ExtraTreesRegressor(10, min_samples_leaf=3, random_state=0)
    return [
        (LINEAR, LinearQuantileRegression(LEVELS, cov_type=None)),
        (BOOSTING, MultiQuantileRegressor(boosting, levels=LEVELS)),
        (FOREST, _with_scale(forest)),
        (NEIGHBOURS, _with_scale(_neighbours(10))),
    ]


def _with_scale(mean: Any) -> LocationScaleQuantiles:
    return LocationScaleQuantiles(
        mean, levels=LEVELS, scale_estimator=_neighbours(30), cv=_CV
    )


def _neighbours(n: int) -> Any:
    return make_pipeline(StandardScaler(), KNeighborsRegressor(n))


def time_linear(X: FloatArray, y: FloatArray, repeats: int = 1) -> Race:
    """Fit nine linear quantiles at once, and one after the other by scikit-learn."""
    levels = np.array(RACE_LEVELS)

    def by_peer() -> FloatArray:
        fits = [QuantileRegressor(quantile=level, alpha=0.0) for level in RACE_LEVELS]
        return np.stack([fit.fit(X, y).predict(X) for fit in fits], axis=1)

    def by_ours() -> FloatArray:
        return LinearQuantileRegression(levels).fit(X, y).predict_quantiles(X)

    ours, seconds = time_call(by_ours, repeats)
    theirs, peer_seconds = time_call(by_peer, repeats)
    losses = [
        pinball_loss(y, grid, levels, multioutput="raw_values")
        for grid in (ours, theirs)
    ]
    gap = float(np.abs(losses[0] / losses[1] - 1.0).max())
    return Race(seconds, peer_seconds, gap, len(y))


def _load_diabetes() -> tuple[FloatArray, FloatArray]:
    return load_diabetes(return_X_y=True)


def _load_nuclei() -> tuple[FloatArray, FloatArray]:
    """Mean area of the nuclei of a tumour's cells, from their texture and shape.

    Radius and perimeter say the same as the area and are left out.
    """
    data = load_breast_cancer()
    names = [f"mean {name}" for name in SHAPES]
    columns = [list(data.feature_names).index(name) for name in names]
    area = list(data.feature_names).index("mean area")
    return data.data[:, columns], data.data[:, area]


def _load_ocean() -> tuple[FloatArray, FloatArray]:
    """Temperature of the sea, from the six months before and the time of the year."""
    data = require("statsmodels.datasets.elnino", None, "the tour").load_pandas()
    series = data.data.iloc[:, 1:].to_numpy(float).ravel()
    past = np.lib.stride_tricks.sliding_window_view(series, 6)[:-1]
    angle = 2.0 * np.pi * np.arange(6, len(series)) / 12.0
    return np.column_stack([past, np.cos(angle), np.sin(angle)]), series[6:]


TABLES: dict[str, Callable[[], tuple[FloatArray, FloatArray]]] = {
    "diabetes": _load_diabetes,
    "nuclei": _load_nuclei,
    "ocean": _load_ocean,
}
