"""Numbers of the ordinal regression section: estimates beside published digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.datasets import load_wine_bitterness
from statlearn.ordinal import OrdinalRegression
from statlearn.tour._timing import time_call
from statlearn.utils._optional import require

FloatArray = NDArray[np.float64]

#: Output of clm(rating ~ temp + contact) and nominal_test() of the R package ordinal.
THRESHOLDS = (
    (-1.344383411, 0.5171020),
    (1.250808798, 0.4378802),
    (3.466886926, 0.5977604),
    (5.006404204, 0.7309063),
)
SLOPES = {"temp": (2.503102008, 0.5286801), "contact": (1.527797658, 0.4766226)}
LOGLIK = -86.49192337
NOMINAL = {"temp": (3.174977, 0.36543), "contact": (0.566740, 0.90400)}


@dataclass(frozen=True, slots=True)
class Wine:
    """Fit of the ratings of wine, in the sign of clm (threshold minus slope).

    Attributes
    ----------
    thresholds : ndarray of shape (4,)
        Where one rating passes into the next, at cold and without contact.
    threshold_errors : ndarray of shape (4,)
        Their standard errors.
    slopes : ndarray of shape (2,)
        Effect of temperature and contact on the logit scale.
    slope_errors : ndarray of shape (2,)
        Their standard errors.
    intervals : ndarray of shape (2, 2)
        Ends of the 95 % intervals of the slopes.
    nominal : dict of str to tuple of float
        Statistic, degrees of freedom and p-value by feature.
    observed : ndarray of shape (4, 5)
        Share of each rating for each combination of treatments.
    fitted : ndarray of shape (4, 5)
        The same from the model.
    """

    names: tuple[str, ...]
    thresholds: FloatArray
    threshold_errors: FloatArray
    slopes: FloatArray
    slope_errors: FloatArray
    intervals: FloatArray
    loglik: float
    nominal: dict[str, tuple[float, float, float]]
    observed: FloatArray
    fitted: FloatArray
    our_seconds: float
    peer_seconds: float
    peer_loglik: float

    @property
    def largest_gap(self) -> float:
        """Largest distance of any number from its published digits."""
        thresholds = np.column_stack([self.thresholds, self.threshold_errors])
        gaps = [np.abs(thresholds - THRESHOLDS).max(), abs(self.loglik - LOGLIK)]
        for number, name in enumerate(self.names):
            slope, error = SLOPES[name]
            statistic, p_value = NOMINAL[name]
            gaps += [
                abs(self.slopes[number] - slope),
                abs(self.slope_errors[number] - error),
                abs(self.nominal[name][0] - statistic),
                abs(self.nominal[name][2] - p_value),
            ]
        return float(max(gaps))


def fit_wine(repeats: int) -> Wine:
    """Fit, test, and time against statsmodels."""
    data = load_wine_bitterness()
    names = tuple(data.feature_names)
    model, our_seconds = time_call(
        lambda: OrdinalRegression().fit(
            data.data, data.target, sample_weight=data.sample_weight
        ),
        repeats,
    )
    peer_loglik, peer_seconds = _fit_peer(repeats)
    n_thresholds = len(model.intercept_)
    treatments = np.array([(0, 0), (0, 1), (1, 0), (1, 1)], dtype=float)
    return Wine(
        names=names,
        thresholds=model.intercept_,
        threshold_errors=model.bse_[:n_thresholds],
        slopes=-model.coef_[0],
        slope_errors=model.bse_[n_thresholds:],
        intervals=-model.conf_int()[n_thresholds:, ::-1],
        loglik=model.loglik_,
        nominal=_nominal(model, names),
        observed=_shares(data, treatments),
        fitted=model.predict_proba(treatments),
        our_seconds=our_seconds,
        peer_seconds=peer_seconds,
        peer_loglik=peer_loglik,
    )


def _fit_peer(repeats: int) -> tuple[float, float]:
    """Log-likelihood and time of statsmodels on the single ratings."""
    ordered = require("statsmodels.miscmodels.ordinal_model", None, "the tour")
    X, y = load_wine_bitterness(return_X_y=True)
    result, seconds = time_call(
        lambda: ordered.OrderedModel(y - 1, X, distr="logit").fit(
            method="bfgs", disp=False
        ),
        repeats,
    )
    return float(result.llf), seconds


def _nominal(
    model: OrdinalRegression, names: tuple[str, ...]
) -> dict[str, tuple[float, float, float]]:
    """Statistic, degrees of freedom and p-value of the nominal test, by feature."""
    test = model.nominal_test()
    return {
        name: (float(statistic), float(df), float(p_value))
        for name, statistic, df, p_value in zip(
            names, test.statistic, test.df, test.pvalue, strict=True
        )
    }


def _shares(data: Any, treatments: FloatArray) -> FloatArray:
    """Observed share of the five ratings for each combination of treatments."""
    rows = []
    for treatment in treatments:
        here = (data.data == treatment).all(axis=1)
        counts = np.bincount(
            data.target[here], weights=data.sample_weight[here], minlength=6
        )[1:]
        rows.append(counts / counts.sum())
    return np.array(rows)
