"""Weights of all levels together as one sparse linear program, solved by HiGHS.

Slower than the interior point method by far, and the only way to keep the combined
quantiles of every row in order: that couples the levels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linprog

from ._interior_point import PinballFit

Array = NDArray[np.float64]

_INFEASIBLE = 2  # among the states of linprog


def solve_linear_program(
    X: Array,
    y: Array,
    level: Array,
    weight: Array,
    *,
    nonneg: bool,
    sum_to_one: bool,
    n_free: int,
    noncrossing: bool,
    tol: float,
) -> PinballFit:
    """Minimise the summed weighted pinball loss of B problems by HiGHS.

    The variables are the coefficients of all problems and the two parts u - v of all
    residuals: B (c + 2 N) of them under B N equations, and (B - 1) N inequalities if
    the fits of each row have to increase from problem to problem.

    Parameters
    ----------
    X : ndarray of shape (B, N, c)
    y, weight : ndarray of shape (N,)
    level : ndarray of shape (B,) or (B, N)
    nonneg, sum_to_one : bool
        For the columns behind the `n_free` leading ones.
    n_free : int
    noncrossing : bool
    tol : float
        Of the duality gap, relative to the objective.

    Returns
    -------
    fit : PinballFit
        Coefficients (B, c) and dual variables (B, N); the rest concerns the sum.

    Raises
    ------
    ValueError
        If no coefficients keep the fits in order.
    RuntimeError
        If HiGHS fails.
    """
    n_problems, n, c = X.shape
    up = weight * np.broadcast_to(level.reshape(n_problems, -1), (n_problems, n))
    down = weight - up
    unit = float(np.abs(y - X.mean(axis=2)).mean()) or 1.0
    rows = sparse.block_diag([*(X / unit)], format="csr")
    eye = sparse.eye_array(n_problems * n, format="csr")
    equal = [sparse.hstack([rows, eye, -eye], format="csr")]
    right = [np.tile(y / unit, n_problems)]
    empty = sparse.csr_array((n_problems, 2 * n_problems * n))
    if sum_to_one:
        summed = np.tile(np.arange(c) >= n_free, n_problems).reshape(n_problems, c)
        sums = sparse.block_diag([row[None].astype(float) for row in summed])
        equal.append(sparse.hstack([sums, empty], format="csr"))
        right.append(np.ones(n_problems))
    least = np.full((n_problems, c), -np.inf)
    least[:, n_free:] = 0.0 if nonneg else -np.inf
    order = None
    if noncrossing and n_problems > 1:
        steps = rows[:-n] - rows[n:]
        order = sparse.hstack(
            [steps, sparse.csr_array((len(right[0]) - n, empty.shape[1]))], format="csr"
        )
    result = linprog(
        np.r_[np.zeros(n_problems * c), up.ravel(), down.ravel()],
        A_ub=order,
        b_ub=None if order is None else np.zeros(order.shape[0]),
        A_eq=sparse.vstack(equal, format="csr"),
        b_eq=np.concatenate(right),
        bounds=np.c_[
            np.r_[least.ravel(), np.zeros(empty.shape[1])],
            np.full(n_problems * c + empty.shape[1], np.inf),
        ],
        method="highs",
        options={
            "primal_feasibility_tolerance": 1e-10,
            "dual_feasibility_tolerance": 1e-10,
        },
    )
    if result.status == _INFEASIBLE and noncrossing:
        raise ValueError(
            f"Noncrossing weights were expected to exist. Got none that keep the "
            f"quantiles of all {n} rows in order: those of the models cross; sort "
            f"them first, or allow an intercept or another constraint."
        )
    if result.x is None:
        raise RuntimeError(
            f"HiGHS was expected to solve the linear program of the weights. Got "
            f"status {result.status}: {result.message} Scale the predictions, or use "
            f"another solver."
        )
    coef = result.x[: n_problems * c].reshape(n_problems, c)
    if nonneg:
        coef[:, n_free:] = np.maximum(coef[:, n_free:], 0.0)
    if sum_to_one:
        coef[:, n_free:] /= coef[:, n_free:].sum(axis=1, keepdims=True)
    e = y / unit - (rows @ coef.ravel()).reshape(n_problems, n)
    objective = float((up * np.maximum(e, 0.0) + down * np.maximum(-e, 0.0)).sum())
    # The bound that the dual variables give, once they are inside of their boxes.
    marginal = result.eqlin.marginals
    d = np.clip(marginal[: n_problems * n].reshape(n_problems, n), -down, up)
    pull = rows.T @ d.ravel()
    if order is not None:
        pull += steps.T @ np.minimum(result.ineqlin.marginals, 0.0)
    pull = pull.reshape(n_problems, c)
    bound = float((d @ y).sum() / unit)
    inner = pull[:, n_free:]
    if sum_to_one:
        nu = -inner.max(axis=1) if nonneg else marginal[n_problems * n :]
        bound, inner = bound + float(nu.sum()), inner + nu[:, None]
    missed = np.abs(pull)
    missed[:, n_free:] = np.maximum(inner, 0.0) if nonneg else np.abs(inner)
    gap = max(objective - bound + float((np.abs(coef) * missed).sum()), 0.0)
    return PinballFit(
        coef,
        np.array(objective * unit),
        np.array(gap * unit),
        np.array(result.nit),
        d,
        np.array(gap <= max(tol * objective, 1e-10 * float(weight.sum()))),
    )
