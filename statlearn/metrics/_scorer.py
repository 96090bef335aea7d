"""Losses of quantiles as scores, for the model selection of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import UNUSED

from statlearn.metrics._calibration import crossing_rate, level_calibration_error
from statlearn.metrics._crps import crps_from_quantiles
from statlearn.metrics._intervals import interval_coverage, interval_score
from statlearn.metrics._quantiles import pinball_loss, weighted_interval_score
from statlearn.utils._choices import one_of
from statlearn.utils._delegate import model_inside
from statlearn.utils._levels import read_levels
from statlearn.utils._numbers import read_coverage

Metric = Callable[..., float]


def make_quantile_scorer(
    metric: str | Metric = "pinball",
    *,
    levels: Any = None,
    coverage: float = 0.8,
    greater_is_better: bool = False,
) -> QuantileScorer:
    """Make a scorer of quantile estimators, for ``scoring=`` in scikit-learn.

    Parameters
    ----------
    metric : str or callable, default="pinball"
        Of quantiles: "pinball", "wis", "crps", "calibration", the mean absolute error
        of the shares below, or "crossing", the share of neighbours that cross. Of
        intervals: "interval_score" or "coverage_error", how far their coverage is from
        `coverage`. All of them are losses, so the score is minus the number. A callable
        gets ``(y_true, y_pred, levels)``, with ``sample_weight`` as a keyword where
        there is one, and returns a number.
    levels : array-like of shape (q,), default=None
        Levels of the quantiles that are asked for; by default the ``levels_`` of the
        fitted estimator. Not used for intervals.
    coverage : float, default=0.8
        Coverage of the intervals that are asked for. Not used for quantiles.
    greater_is_better : bool, default=False
        Whether a callable is a score, and not a loss whose sign changes.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y, sample_weight=None)`` returns a float, the greater the
        better. With metadata routing, ask for weights by
        ``scorer.set_score_request(sample_weight=True)``.

    Raises
    ------
    ValueError
        For an unknown metric, or levels or a coverage that are none.

    See Also
    --------
    pinball_loss, weighted_interval_score, crps_from_quantiles : The metrics.
    sklearn.metrics.make_scorer : The same for one number a row.

    Notes
    -----
    The estimator needs ``predict_quantiles(X, levels)``, for intervals
    ``predict_interval(X, coverage)``; of a pipeline the last step does.

    Examples
    --------
    >>> from statlearn.metrics import make_quantile_scorer
    >>> make_quantile_scorer("wis", levels=[0.1, 0.5, 0.9])
    QuantileScorer(levels=[0.1, 0.5, 0.9], metric='wis')
    """
    caller = "make_quantile_scorer"
    if not callable(metric):
        names = (*_OF_QUANTILES, *_OF_INTERVALS)
        one_of(metric, names, "metric", caller, "pass one of them, or a function")
    if levels is not None:
        read_levels(levels, caller)
    read_coverage(coverage, caller)
    return QuantileScorer(
        metric=metric,
        levels=levels,
        coverage=coverage,
        greater_is_better=greater_is_better,
    )


def _coverage_error(
    y_true: Any, interval: Any, coverage: float, *, sample_weight: Any = None
) -> float:
    """Return how far the coverage of intervals is from what it should be."""
    found = interval_coverage(y_true, interval, sample_weight=sample_weight)
    return abs(found - coverage)


def _crossing(
    y_true: Any, grid: Any, levels: Any, *, sample_weight: Any = None
) -> float:
    """Return how often neighbouring quantiles cross, whatever the targets."""
    return float(crossing_rate(grid, sample_weight=sample_weight))


_OF_QUANTILES: dict[Any, Metric] = {
    "pinball": pinball_loss,
    "wis": weighted_interval_score,
    "crps": crps_from_quantiles,
    "calibration": level_calibration_error,
    "crossing": _crossing,
}
_OF_INTERVALS: dict[Any, Metric] = {
    "interval_score": interval_score,
    "coverage_error": _coverage_error,
}


class QuantileScorer(BaseEstimator):
    """A scorer of quantile estimators; made by :func:`make_quantile_scorer`.

    A ``BaseEstimator`` for its ``repr`` and its requests of metadata.

    Parameters
    ----------
    metric : str or callable
    levels : array-like of shape (q,) or None
    coverage : float
    greater_is_better : bool
    """

    # The requests of metadata are read from the signature of `score`.
    __metadata_request__score = {"estimator": UNUSED}

    def __init__(
        self,
        *,
        metric: str | Metric = "pinball",
        levels: Any = None,
        coverage: float = 0.8,
        greater_is_better: bool = False,
    ) -> None:
        self.metric = metric
        self.levels = levels
        self.coverage = coverage
        self.greater_is_better = greater_is_better

    def __call__(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any = None
    ) -> float:
        """Return the score of a fitted estimator on rows, as `score` does."""
        return self.score(estimator, X, y, sample_weight)

    def score(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score of a fitted estimator on rows.

        Parameters
        ----------
        estimator : estimator
            Fitted.
        X : array-like of shape (n, n_features)
        y : array-like of shape (n,)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        score : float
        """
        weighted = {} if sample_weight is None else {"sample_weight": sample_weight}
        if self.metric in _OF_INTERVALS:
            model, X = self._ask(estimator, X, "predict_interval")
            interval = model.predict_interval(X, self.coverage)
            metric, told = _OF_INTERVALS[self.metric], self.coverage
            return -metric(y, interval, told, **weighted)
        model, X = self._ask(estimator, X, "predict_quantiles")
        levels = self._levels_of(model)
        grid = model.predict_quantiles(X, levels)
        if self.metric in _OF_QUANTILES:
            return -_OF_QUANTILES[self.metric](y, grid, levels, **weighted)
        sign = 1.0 if self.greater_is_better else -1.0
        return sign * self.metric(y, grid, levels, **weighted)  # type: ignore[operator]

    def _accept_sample_weight(self) -> bool:
        """Return whether searches may hand weights on without metadata routing."""
        return True

    def _ask(self, estimator: Any, X: Any, method: str) -> tuple[Any, Any]:
        """Return the model that has a method, and the rows as they reach it."""
        model, rows = model_inside(estimator, X, method)
        if not hasattr(model, method):
            raise TypeError(
                f"The 'estimator' of {self!r} must have {method}. Got "
                f"{type(model).__name__}, which has none; score another estimator, or "
                f"wrap it in MultiQuantileRegressor."
            )
        return model, rows

    def _levels_of(self, model: Any) -> Any:
        levels = self.levels
        if levels is None:
            levels = getattr(model, "levels_", None)
        if levels is None:
            raise TypeError(
                f"{self!r} expected levels, or a fitted estimator that has levels_. "
                f"Got {type(model).__name__} without; pass levels to "
                f"make_quantile_scorer."
            )
        return read_levels(levels, "QuantileScorer")
