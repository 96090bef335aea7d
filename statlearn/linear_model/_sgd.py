"""Stochastic gradient descent on squared errors with weights from each minibatch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._rules import kind_of
from statlearn.utils._scale import mad
from statlearn.utils._validation import read_rule_weights

Array = NDArray[np.float64]


def sgd_steps(
    columns: Array,
    y: Array,
    base: Array | None,
    rule: Any,
    start: Array,
    *,
    penalty: Array,
    batch_size: int,
    learning_rate: float,
    warmup: int,
    generator: np.random.Generator,
) -> Iterator[tuple[Array, float, bool]]:
    """Yield coefficients after each step, until they overflow.

    Parameters
    ----------
    columns : ndarray of shape (n, p)
        Design, with a column of ones for the intercept.
    y : ndarray of shape (n,)
    base : ndarray of shape (n,) or None
        Positive base weights; a batch is a plain draw of rows, and one of heavy rows
        makes a long step, so that the mean step is that of all rows.
    rule : rule on losses or residuals
        Residuals are divided by the median absolute one of their batch.
    start : ndarray of shape (p,)
    penalty : ndarray of shape (p,)
        Ridge penalty of each coefficient.
    batch_size : int
    learning_rate : float
    warmup : int
        Epochs with base weights only.
    generator : numpy.random.Generator

    Yields
    ------
    coef : ndarray of shape (p,)
        The same array at each step, changed in place; nan after an overflow, which
        ends the epoch and the descent.
    loss : float
        Loss of the batch before the step, without the rule, such that the mean over an
        epoch is that over its rows.
    ends : bool
        Whether the step ends an epoch.
    """
    coef = start.copy()
    n = len(y)
    usual = 1.0 if base is None else float(base.mean())
    on_residuals = kind_of(rule) == "residual"
    starts = range(0, n, batch_size)
    epoch = step = 0
    while True:
        order = generator.permutation(n)
        for first in starts:
            rows = order[first : first + batch_size]
            part = columns[rows]
            residuals = y[rows] - part @ coef
            losses = 0.5 * residuals * residuals
            weight = np.ones(len(rows)) if base is None else base[rows]
            size = usual * len(rows)
            loss = float(weight @ losses) / (usual * n) * len(starts)
            if not np.isfinite(loss):
                # Rules refuse such losses with a message of their own.
                coef[:] = np.nan
                yield coef, loss, True
                return
            if epoch >= warmup:
                own = None if base is None else weight
                weight = _weights(rule, on_residuals, residuals, losses, own, step)
                step += 1
            slope = (weight * residuals) @ part / size - penalty * coef
            coef += learning_rate * slope
            yield coef, loss, first == starts[-1]
        epoch += 1


def _weights(
    rule: Any,
    on_residuals: bool,
    residuals: Array,
    losses: Array,
    base: Array | None,
    step: int,
) -> Array:
    if not on_residuals:
        found = rule(losses, base_weight=base, step=step)
        return read_rule_weights(found, len(losses), "ReweightedLinearRegression")
    scale = mad(residuals, base)
    # With half a batch on the plane, the rest of it is infinitely far.
    weights = rule.weight(residuals / scale) if scale > 0.0 else 1.0 * (residuals == 0)
    return weights if base is None else weights * base
