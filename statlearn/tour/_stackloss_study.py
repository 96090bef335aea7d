"""Numbers of the robust regression section: three fits of the stack loss plant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from statlearn.linear_model import ReweightedLinearRegression
from statlearn.linear_model._m_scale import m_scale
from statlearn.linear_model._start import S_BREAKDOWN, S_CONSTANT
from statlearn.tour._timing import time_call
from statlearn.utils._optional import require
from statlearn.weights import Huber

FloatArray = NDArray[np.float64]

OLS = "least squares"
HUBER = "Huber"
MM = "MM"

#: Days are counted from 1, residuals beyond this many scales make an outlier.
CUTOFF = 2.5


@dataclass(frozen=True, slots=True)
class Published:
    """What a program of R printed: coefficients, their standard errors, the scale."""

    coef: tuple[float, ...]
    errors: tuple[float, ...]
    scale: float


#: rlm of MASS, run to convergence. Its scale is the median absolute residual / 0.6745.
RLM = Published(
    coef=(-41.026485373, 0.829385770, 0.926059416, -0.127846318),
    errors=(9.8068723, 0.1111750, 0.3033934, 0.1288463),
    scale=2.440489046,
)
#: lmrob of robustbase, covariance .vcov.avar1; the scale is the smallest over all
#: elemental subsets.
LMROB = Published(
    coef=(-41.524611670, 0.938845477, 0.579552744, -0.112921862),
    errors=(5.297797665, 0.117429411, 0.262963025, 0.069889932),
    scale=1.912351906641,
)
#: The S-estimate that it starts from.
LMROB_START = (-36.925422925, 0.849574807, 0.430473906, -0.073538849)
#: Its robustness weights of the days.
LMROB_WEIGHTS = (
    0.811794, 0.873202, 0.674857, 0.121524, 0.936478, 0.884144, 0.970546,
    0.999792, 0.949426, 0.997344, 0.988184, 0.999391, 0.774791, 0.949129,
    0.883001, 0.981587, 0.997777, 0.993986, 0.973993, 0.935853, 0.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fit:
    """One fit.

    Attributes
    ----------
    coef, errors : ndarray of shape (4,)
        Estimates and standard errors, the intercept first.
    intervals : ndarray of shape (4, 2)
        95 % intervals from the normal distribution.
    scale : float
        What residuals are divided by.
    distances : ndarray of shape (21,)
        Residuals in scales.
    weights : ndarray of shape (21,)
        What the fit made of each day.
    """

    coef: FloatArray
    errors: FloatArray
    intervals: FloatArray
    scale: float
    distances: FloatArray
    weights: FloatArray

    @property
    def outliers(self) -> tuple[int, ...]:
        """Days whose residual is larger than the cut-off, counted from 1."""
        found = np.flatnonzero(np.abs(self.distances) > CUTOFF)
        return tuple(int(day) + 1 for day in found)


@dataclass(frozen=True, slots=True)
class Peer:
    """The MM-estimate of statsmodels, and the S-scale of its start by our measure."""

    coef: FloatArray
    s_scale: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Stackloss:
    """Fits of the stack loss of 21 days on three features.

    Attributes
    ----------
    X : ndarray of shape (21, 3)
        Air flow, temperature of the cooling water, acid concentration.
    y : ndarray of shape (21,)
        Share of ammonia that escapes, in tenths of a percent.
    fits : dict of str to Fit
        By method.
    huber_errors : ndarray of shape (4,)
        Standard errors of Huber's fit with the variance that rlm takes.
    start : ndarray of shape (4,)
        The S-estimate that the MM-estimate starts from.
    start_distances : ndarray of shape (21,)
        Residuals of that start, in scales.
    """

    X: FloatArray
    y: FloatArray
    fits: dict[str, Fit]
    huber_errors: FloatArray
    start: FloatArray
    start_distances: FloatArray
    seconds: float
    peer: Peer

    def gaps(self) -> dict[str, float]:
        """Largest distance from the published digits, by what was published."""
        mm, huber = self.fits[MM], self.fits[HUBER]
        pairs = {
            "coefficients, MM": (mm.coef, LMROB.coef),
            "standard errors, MM": (mm.errors, LMROB.errors),
            "scale, MM": (mm.scale, LMROB.scale),
            "weights, MM": (mm.weights, LMROB_WEIGHTS),
            "coefficients, S": (self.start, LMROB_START),
            "coefficients, Huber": (huber.coef, RLM.coef),
            "standard errors, Huber": (self.huber_errors, RLM.errors),
        }
        return {
            name: float(np.abs(np.asarray(ours) - np.asarray(theirs)).max())
            for name, (ours, theirs) in pairs.items()
        }

    @property
    def largest_gap(self) -> float:
        """Largest distance of any number from its published digits."""
        return max(self.gaps().values())


def fit_stackloss(repeats: int) -> Stackloss:
    """Fit by least squares, Huber and MM, and time the last against statsmodels."""
    data = require("statsmodels.datasets.stackloss", None, "the tour").load_pandas()
    X, y = np.asarray(data.exog, float), np.asarray(data.endog, float)
    mm, seconds = time_call(
        lambda: ReweightedLinearRegression("mm", random_state=0).fit(X, y), repeats
    )
    huber = ReweightedLinearRegression(Huber(c=1.345), scale=RLM.scale).fit(X, y)
    design = np.column_stack([np.ones(len(y)), X])
    return Stackloss(
        X=X,
        y=y,
        fits={OLS: _least_squares(design, y), HUBER: _read(huber), MM: _read(mm)},
        huber_errors=_errors_of_rlm(huber),
        start=mm.init_coef_,
        start_distances=(y - design @ mm.init_coef_) / mm.scale_,
        seconds=seconds,
        peer=_fit_peer(design, y, repeats),
    )


def _read(model: ReweightedLinearRegression) -> Fit:
    """Take from a model what the section shows."""
    return Fit(
        coef=np.r_[model.intercept_, model.coef_],
        errors=np.asarray(model.bse_),
        intervals=model.conf_int(),
        scale=model.scale_,
        distances=model.residuals_ / model.scale_,
        weights=model.weights_,
    )


def _least_squares(design: FloatArray, y: FloatArray) -> Fit:
    """Fit by statsmodels, with the usual errors and the usual scale."""
    module = require("statsmodels.regression.linear_model", None, "the tour")
    result = module.OLS(y, design).fit()
    scale = float(np.sqrt(result.scale))
    reach = norm.ppf(0.975) * result.bse
    return Fit(
        coef=result.params,
        errors=result.bse,
        intervals=np.column_stack([result.params - reach, result.params + reach]),
        scale=scale,
        distances=result.resid / scale,
        weights=np.ones(len(y)),
    )


def _errors_of_rlm(model: ReweightedLinearRegression) -> Any:
    """Take n - 1 in the variance of psi' that standard errors contain, as rlm does."""
    n, p = len(model.residuals_), model.n_features_in_ + 1
    bend = model.weighting.psi_prime(model.residuals_ / model.scale_)
    spread = p / (n * bend.mean() ** 2)
    return model.bse_ * (1.0 + spread * bend.var(ddof=1)) / (1.0 + spread * bend.var())


def _fit_peer(design: FloatArray, y: FloatArray, repeats: int) -> Peer:
    """MM-estimate of statsmodels, which starts at deterministic subsets."""
    module = require("statsmodels.robust.resistant_linear_model", None, "the tour")
    result, seconds = time_call(lambda: module.RLMDetSMM(y, design).fit(), repeats)
    n, p = design.shape
    residuals = y - design @ np.asarray(result.results_dets.params)
    return Peer(
        coef=np.asarray(result.params),
        s_scale=m_scale(residuals, c=S_CONSTANT, b=S_BREAKDOWN, degrees=n - p),
        seconds=seconds,
    )
