"""Convex combinations of very many columns, of which few are ever looked at.

An optimal combination has few columns of positive weight. The problem is solved on some
of them; its dual variables price all others, and those that would lower the loss most
join. Dual variables lie in the box of the whole problem too, so that the price of the
best column gives a lower bound for all columns, and its distance to the loss tells when
to stop.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from statlearn.quantile._constraint import Constraint
from statlearn.quantile._interior_point import PinballFit, solve_pinball

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_JOINING = 10
_MAX_ROUNDS = 100
# Columns of hardly any weight leave in the first rounds only: later they might come and
# go. Interior solutions spread weight over all columns of a tie.
_LEAVING_ROUNDS = 3
_HARDLY_ANY = 1e-2
# Gap of the first rounds, and what is left of the last known gap in a round.
_ROUGH = 1e-3
_SHARPER = 0.03
# A gap of this share of the size of y is rounding: the fit is perfect.
_ZERO = 1e-13


def solve_many_columns(
    columns: Array,
    y: Array,
    level: float,
    weight: Array,
    first: Index,
    *,
    intercept: bool,
    tol: float,
    max_iter: int,
) -> PinballFit:
    """Minimise weighted pinball loss over convex combinations of columns.

    Parameters
    ----------
    columns : ndarray of shape (c, N)
        Not far from zero in location.
    y, weight : ndarray of shape (N,)
        Weights are positive.
    level : float
    first : ndarray of int
        Columns to begin with.
    intercept : bool
        Whether a constant is added, as the first of the coefficients.
    tol : float
        Of the duality gap over all columns, relative to the objective.
    max_iter : int
        Of the interior point solves.

    Returns
    -------
    fit : PinballFit
        Coefficients (c,), or (1 + c,) with an intercept.
    """
    ones, rough, n_iter = np.ones((int(intercept), len(y))), _ROUGH, 0
    chosen = np.unique(first)
    constraint = Constraint(nonneg=True, sum_to_one=True, n_free=int(intercept))
    for n_round in range(_MAX_ROUNDS):
        fit = solve_pinball(
            np.concatenate([ones, columns[chosen]]).T,
            y,
            level,
            weight,
            constraint=constraint,
            tol=rough,
            max_iter=max_iter,
        )
        n_iter += int(fit.n_iter)
        price = columns @ fit.dual - y @ fit.dual
        constant = fit.coef[0] * fit.dual.sum() if intercept else 0.0
        gap = fit.objective + price.max() + abs(constant)
        best = price[chosen].max()
        joining = np.argsort(-price)[:_JOINING]
        joining = np.setdiff1d(joining[price[joining] > best], chosen)
        if gap <= tol * fit.objective or (rough <= 0.1 * tol and not len(joining)):
            break
        rough = max(0.1 * tol, min(_SHARPER * gap / max(fit.objective, gap), rough))
        if not len(joining):
            rough = 0.1 * tol
        if n_round < _LEAVING_ROUNDS and len(joining):
            inner = fit.coef[int(intercept) :]
            chosen = chosen[inner > _HARDLY_ANY * inner.max()]
        chosen = np.union1d(chosen, joining)
    coef = np.zeros(len(ones) + len(columns))
    coef[: len(ones)] = fit.coef[: len(ones)]
    coef[len(ones) + chosen] = fit.coef[len(ones) :]
    gap = np.maximum(gap, 0.0)
    solved = gap <= max(tol * fit.objective, _ZERO * (weight @ np.abs(y)))
    return PinballFit(coef, fit.objective, gap, np.array(n_iter), fit.dual, solved)
