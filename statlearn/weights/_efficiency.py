"""Efficiency of an M-estimator of location at the normal, and constants that reach it.

The asymptotic variance of the estimator is E psi(Z)^2 / (E psi'(Z))^2, the least
possible one is 1, and E psi'(Z) = E Z psi(Z) holds even where psi jumps. So the
efficiency is the squared correlation of Z and psi(Z).
"""

from __future__ import annotations

from functools import cache, lru_cache
from numbers import Real

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from statlearn.weights._residual_kernels import Kernel, refuse

Array = NDArray[np.float64]

_END = 10.0  # the normal has less than 1e-21 of its second moment beyond
_N_NODES = 20
# Efficiencies of constants outside of this range are those of its ends, to rounding.
_RANGE = (1e-4, 1e8)


@cache
def _rule() -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(_N_NODES)


def normal_efficiency(kernel: Kernel, c: float) -> float:
    """Return the asymptotic efficiency of a family with constant c.

    Parameters
    ----------
    kernel : Kernel
    c : float
        Positive.

    Returns
    -------
    efficiency : float
        Between 0 and 1, exact to a few units of rounding.
    """
    # Pieces of length 1 for the normal; for psi its kinks, and pieces that grow from
    # half the constant on, so that its poles stay far from each of them.
    scale = 2.0 ** np.arange(-1.0, np.log2(max(_END / c, 1.0)))
    edges = np.concatenate((np.arange(_END), c * scale, c * np.array(kernel.kinks)))
    edges = np.append(np.unique(edges[edges < _END]), _END)
    node, weight = _rule()
    half = 0.5 * np.diff(edges)[:, None]
    z = (edges[:-1, None] + half * (1.0 + node)).ravel()
    mass = (half * weight).ravel() * np.exp(-0.5 * z * z)
    psi = kernel.psi(z / c)
    covariance = mass @ (z * psi)
    return float(np.sqrt(2.0 / np.pi) * covariance**2 / (mass @ (psi * psi)))


def constant_for(kernel: Kernel, efficiency: float, caller: str) -> float:
    """Return the constant with which a family has a given efficiency.

    Parameters
    ----------
    kernel : Kernel
    efficiency : float
    caller : str
        For messages.

    Returns
    -------
    c : float

    Raises
    ------
    ValueError, TypeError
        If no constant has that efficiency, or it is no number.
    """
    low, high = _reach(kernel)
    if not isinstance(efficiency, Real) or not low < efficiency < high:
        refuse(
            efficiency,
            "efficiency",
            caller,
            f"lie between {low:.4g} and 1, exclusive",
            "pass for example 0.95",
        )
    return _solve(kernel, float(efficiency))


@lru_cache(maxsize=64)
def _reach(kernel: Kernel) -> tuple[float, float]:
    low, high = (normal_efficiency(kernel, c) for c in _RANGE)
    return low, min(high, 1.0)


@lru_cache(maxsize=256)
def _solve(kernel: Kernel, target: float) -> float:
    def excess(log_c: float) -> float:
        return normal_efficiency(kernel, float(np.exp(log_c))) - target

    low, high = np.log(_RANGE)
    return float(np.exp(brentq(excess, low, high, xtol=1e-14)))
