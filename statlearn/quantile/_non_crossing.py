"""Linear quantile regression by HiGHS, which can keep the levels in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, sparse

from statlearn.quantile._linear_fit import (
    LinearFit,
    move_to_vertex,
    row_loss,
    stack_fits,
)

Array = NDArray[np.float64]

# Quantiles of neighbouring levels may fall by this much, in the unit of the response.
_SLACK = 1e-9
# The smallest tolerance that HiGHS accepts.
_TIGHT = 1e-10
_MOST_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Box:
    """The range of each feature, as differences of coefficients (k,) see it.

    Attributes
    ----------
    corner : ndarray of shape (k,)
        The row where every feature is smallest.
    spans : ndarray of shape (p, k)
        What the row gains if a feature moves to its other end.
    """

    corner: Array
    spans: Array

    def lowest(self, steps: Array) -> Array:
        """Return the smallest value of linear functions (q - 1, k) in the box."""
        return steps @ self.corner + np.minimum(steps @ self.spans.T, 0.0).sum(axis=1)


def fit_by_linear_program(
    X: Array, y: Array, levels: Array, weight: Array
) -> LinearFit:
    """Solve each level alone.

    Parameters
    ----------
    X : ndarray of shape (N, k)
    y, weight : ndarray of shape (N,)
    levels : ndarray of shape (q, N)

    Returns
    -------
    fit : LinearFit
    """
    parts = []
    for row in range(len(levels)):
        found = solve_jointly(X, y, levels[row : row + 1], weight)
        move_to_vertex(found, 0, X, y, levels[row], weight, np.zeros(len(y)))
        parts.append(found)
    return stack_fits(parts)


def fit_in_order(
    X: Array,
    y: Array,
    levels: Array,
    weight: Array,
    free: LinearFit,
    *,
    rows: Array,
    box: Box | None,
) -> LinearFit:
    """Minimise the sum of the objectives, with quantiles that do not cross.

    Parameters
    ----------
    X : ndarray of shape (N, k)
    y, weight : ndarray of shape (N,)
    levels : ndarray of shape (q, N)
    free : LinearFit
        Solution without constraints, which is the answer if it keeps the order.
    rows : ndarray of shape (n, k)
        Where the quantiles must not cross; nor do they between these rows.
    box : Box or None
        The order holds in all of it instead, if there is one.

    Returns
    -------
    fit : LinearFit
        The gap is that of the sum, in every entry.
    """
    if box is not None:
        if (box.lowest(np.diff(free.coef, axis=0)) >= -_SLACK).all():
            return free
        order = _order_in_box(box, len(levels))
        return solve_jointly(X, y, levels, weight, order)
    # Few rows decide: those where the last solution crosses join the program.
    pairs = np.zeros((len(levels) - 1, len(rows)), dtype=bool)
    fit = free
    for _ in range(_MOST_ROUNDS):
        crossed = np.diff(fit.coef, axis=0) @ rows.T < -_SLACK
        if not (crossed & ~pairs).any():
            break
        pairs |= crossed
        order = _order_at_rows(rows, pairs)
        fit = solve_jointly(X, y, levels, weight, order)
    return fit


@dataclass(frozen=True, slots=True)
class _Order:
    """The constraints ``on_coef @ b + on_parts @ g >= 0`` with ``g >= 0``.

    Attributes
    ----------
    on_coef : sparse array of shape (m, q * k)
    on_parts : sparse array of shape (m, n_parts)
    """

    on_coef: Any
    on_parts: Any


def _order_at_rows(rows: Array, pairs: NDArray[np.bool_]) -> _Order:
    blocks = []
    for pair, chosen in enumerate(pairs):
        step = np.zeros((1, len(pairs) + 1))
        step[0, pair : pair + 2] = -1.0, 1.0
        blocks.append(sparse.kron(step, rows[chosen], format="csr"))
    on_coef = sparse.vstack(blocks, format="csr")
    return _Order(on_coef, sparse.csr_array((on_coef.shape[0], 0)))


def _order_in_box(box: Box, q: int) -> _Order:
    """Return the constraints on the lowest corner of each step between levels.

    With parts ``g >= max(-spans @ step, 0)`` it lies at ``corner @ step - sum(g)``.
    """
    p = len(box.spans)
    steps = sparse.csr_array(np.diff(np.eye(q), axis=0))
    each = sparse.eye_array(q - 1, format="csr")
    return _Order(
        sparse.vstack(
            [sparse.kron(steps, box.corner[None, :]), sparse.kron(steps, box.spans)],
            format="csr",
        ),
        sparse.vstack(
            [
                sparse.kron(each, -np.ones((1, p))),
                sparse.kron(each, sparse.eye_array(p)),
            ],
            format="csr",
        ),
    )


def solve_jointly(
    X: Array,
    y: Array,
    levels: Array,
    weight: Array,
    order: _Order | None = None,
) -> LinearFit:
    """Solve the dual linear program of q levels by HiGHS.

    With a multiplier of each constraint, ``X'd_k + (on_coef' multipliers)_k = 0`` for
    every level and ``on_parts' multipliers <= 0``; the coefficients are the prices of
    the equations. It has a row for each coefficient instead of one for each residual.

    Parameters
    ----------
    X : ndarray of shape (N, k)
    y, weight : ndarray of shape (N,)
    levels : ndarray of shape (q, N)
    order : _Order, default=None

    Returns
    -------
    fit : LinearFit

    Raises
    ------
    RuntimeError
        If HiGHS gives up.
    """
    (n, k), q = X.shape, len(levels)
    cost = weight / weight.mean()
    equations = sparse.kron(sparse.eye_array(q), X.T, format="csc")
    lower, upper = -(1.0 - levels) * cost, levels * cost
    bounds = np.column_stack((lower.ravel(), upper.ravel()))
    gain, limits = np.tile(y, q), {}
    if order is not None:
        m = order.on_coef.shape[0]
        equations = sparse.hstack([equations, order.on_coef.T], format="csc")
        bounds = np.vstack((bounds, np.tile([0.0, np.inf], (m, 1))))
        gain = np.r_[gain, np.zeros(m)]
        if order.on_parts.shape[1]:
            empty = sparse.csc_array((order.on_parts.shape[1], n * q))
            limits["A_ub"] = sparse.hstack([empty, order.on_parts.T], format="csc")
            limits["b_ub"] = np.zeros(order.on_parts.shape[1])
    result = optimize.linprog(
        -gain,
        A_eq=equations,
        b_eq=np.zeros(q * k),
        bounds=bounds,
        method="highs",
        options={
            "primal_feasibility_tolerance": _TIGHT,
            "dual_feasibility_tolerance": _TIGHT,
        },
        **limits,
    )
    if result.status != 0:
        raise RuntimeError(
            f"The linear program expected a solution by HiGHS. Got {result.message!r}; "
            f"centre and scale the features, or fit without 'non_crossing'."
        )
    coef = -result.eqlin.marginals.reshape(q, k)
    objective = row_loss(y - coef @ X.T, levels, weight)
    gap = max(objective.sum() + result.fun * weight.mean(), 0.0)
    return LinearFit(
        coef,
        objective,
        np.full(q, gap),
        np.full(q, result.nit),
        np.ones(q, dtype=bool),
    )
