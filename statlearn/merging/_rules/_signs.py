"""Election of signs, and the mean of the updates that agree with them."""

from __future__ import annotations

import numpy as np

from statlearn.merging._state._entry import Array


def elect(updates: Array, zero: float = 1.0) -> Array:
    """Return the sign of the sum over models, (T, b) to (b,); `zero` if it is zero."""
    total = updates.sum(axis=0)
    positive = total >= 0.0 if zero > 0.0 else total > 0.0
    return np.where(positive, 1.0, -1.0)


def disjoint_mean(updates: Array, signs: Array, factors: Array, shares: Array) -> Array:
    """Average the updates whose sign is the elected one, (b,); 0 where there is none.

    Parameters
    ----------
    updates : (T, b), overwritten
    signs : (b,), of +1 and -1
    factors : (T,)
        Weights of the models in the sum.
    shares : (T,), not negative
        What each model that agrees adds to the divisor.
    """
    updates *= signs
    np.maximum(updates, 0.0, out=updates)
    merged = factors @ updates
    divisor = np.zeros(len(merged))
    for share, update in zip(shares, updates, strict=True):
        divisor += share * (update > 0.0)
    divisor[divisor == 0.0] = 1.0  # nobody agrees: the sum is zero as well
    merged *= signs
    merged /= divisor
    return merged


def combine(updates: Array, weights: Array, *, consensus: bool) -> Array:
    """Merge updates, (T, b) overwritten to (b,): their sum, or the mean that agrees.

    The mean is over the models whose weighted update has the sign of the weighted sum,
    and divides by the sizes of their weights, so that a negative weight turns an
    update around and nothing else.
    """
    if not consensus:
        return weights @ updates
    updates *= weights[:, np.newaxis]
    signs = elect(updates)
    return disjoint_mean(updates, signs, np.ones(len(weights)), np.abs(weights))
