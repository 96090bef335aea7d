"""Masses of trajectories that grow with the exponential of their scores."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf, log

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from statlearn.exceptions import DegenerateWeightsWarning
from statlearn.utils._warn import warn
from statlearn.weights import tilt

Array = NDArray[np.float64]

# Temperatures searched, in units of the range of the scores.
_COLDEST, _WARMEST = 1e-12, 1e12


def tilted_masses(
    scores: Array,
    alpha: float,
    lengths: NDArray[np.int64],
    *,
    by_transition: bool,
    codes: NDArray[np.intp] | None = None,
) -> Array:
    """Return masses (N,) proportional to exp(score / alpha).

    Parameters
    ----------
    scores : (N,) array
    alpha : float
        Temperature, infinity included.
    lengths : (N,) integers
    by_transition : bool
        Whether the exponential is that of each transition, so that the mass is in
        proportion to the length as well.
    codes : (N,) integers, default=None
        Groups, of which each keeps its share of the starts.
    """
    base = lengths if by_transition else None
    if codes is None:
        return np.asarray(tilt(scores, alpha, base_weight=base))
    # From the top of each group, so that no group vanishes.
    top = np.full(codes.max() + 1, -inf)
    np.maximum.at(top, codes, scores)
    mass = np.asarray(tilt(scores - top[codes], alpha, base_weight=base))
    starts = np.bincount(codes, weights=mass / lengths)
    return mass * (np.bincount(codes) / starts)[codes]


def temperature_for(
    target: float, scores: Array, ess: Callable[[float], float], caller: str
) -> float:
    """Return the temperature at which an effective sample size is reached.

    Parameters
    ----------
    target : float
        Transitions.
    scores : (N,) array
    ess : callable
        From a temperature to the effective number of transitions.
    caller : str
        For messages.
    """
    spread = float(np.ptp(scores))
    if spread == 0.0:
        return inf
    coldest = max(_COLDEST * spread, 1e-300)
    warmest = min(_WARMEST * spread, 1e300)
    low, high = ess(coldest), ess(inf)
    if target >= high:
        if target > high * (1.0 + 1e-9):
            _warn_of_bound(target, high, "largest", caller)
        return inf
    if target <= low:
        if target < low * (1.0 - 1e-9):
            _warn_of_bound(target, low, "smallest", caller)
        return coldest

    def excess(log_alpha: float) -> float:
        return ess(exp(log_alpha)) - target

    if excess(log(warmest)) <= 0.0:  # so close to all transitions that it is them
        return warmest
    return exp(brentq(excess, log(coldest), log(warmest), xtol=1e-10))


def _warn_of_bound(target: float, bound: float, which: str, caller: str) -> None:
    warn(
        f"The 'target_ess' of {caller} must be one that some alpha reaches. Got "
        f"{target:.4g} transitions, while the {which} effective sample size is "
        f"{bound:.4g}, which is used; change target_ess or uniform_mix.",
        DegenerateWeightsWarning,
    )
