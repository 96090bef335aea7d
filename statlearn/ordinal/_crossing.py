"""What to do where estimated boundaries cross.

With a slope vector for each boundary, ``eta[k] > eta[k+1]`` can happen at some x, and
the cumulative family would then give a class a negative probability. Because the link
is increasing, the repairs work on linear predictors and lose no accuracy in the tails.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from statlearn.exceptions import CrossingError
from statlearn.ordinal._families import OrdinalModel

Array = NDArray[np.float64]

MONOTONE_POLICIES = ("tail", "rearrange", "clip", "raise")


def log_class_probabilities(
    model: OrdinalModel, eta: Array, policy: str, caller: str
) -> Array:
    """Return log probabilities (n, K) that form a distribution in every row.

    Parameters
    ----------
    model : OrdinalModel
    eta : (n, m)
        Linear predictors in the user's boundary order.
    policy : {"tail", "rearrange", "clip", "raise"}
        "tail" lowers each boundary to the smallest one above it, which keeps the
        probability of the last class; "rearrange" sorts them; "clip" sets negative
        cells to zero and renormalises; "raise" refuses.
    caller : str
        Class name for the message.
    """
    crossed = model.can_cross and bool((np.diff(eta, axis=1) < 0.0).any())
    if not crossed:
        return model.log_proba(eta)
    if policy == "raise":
        raise CrossingError(_crossing_message(eta, caller))
    if policy == "tail":
        eta = np.minimum.accumulate(eta[:, ::-1], axis=1)[:, ::-1]
    elif policy == "rearrange":
        eta = np.sort(eta, axis=1)
    else:
        return _clipped(model, eta)
    return model.log_proba(eta)


def _clipped(model: OrdinalModel, eta: Array) -> Array:
    # A cell whose boundaries are in the wrong order is closed by `log_proba`; the rest
    # sums to more than one.
    log_proba = model.log_proba(eta)
    total = np.logaddexp.reduce(log_proba, axis=1, keepdims=True)
    return log_proba - total


def _crossing_message(eta: Array, caller: str) -> str:
    bad = (np.diff(eta, axis=1) < 0.0).any(axis=1)
    return (
        f"{caller} with monotone='raise' expected boundaries in increasing order for "
        f"every row. Got crossing boundaries in {bad.sum()} of {len(eta)} rows, the "
        f"first at row {np.argmax(bad)}; use monotone='tail', 'rearrange' or 'clip', a "
        f"larger alpha, constrain_train=True, or family='sratio', whose probabilities "
        f"cannot cross."
    )
