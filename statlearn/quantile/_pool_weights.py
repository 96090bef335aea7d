r"""Weights under which a mixture of forecasts has the lowest CRPS.

With step functions :math:`F_{ij}` for the forecast of model j at row i and
:math:`H_i` for the step at :math:`y_i`, the CRPS of the mixture is a quadratic form of
its weights, because they add up to one:

.. math:: \sum_i s_i \int \Bigl(\sum_j w_j F_{ij} - H_i\Bigr)^2 dz = w^T G w,
          \quad G_{jk} = \sum_i s_i \int (F_{ij} - H_i)(F_{ik} - H_i) \, dz.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, eigh
from scipy.optimize import nnls

Array = NDArray[np.float64]

# Numbers of a block of rows, so that its distribution functions stay in the cache.
_BLOCK = 500_000


def fit_pool_weights(Q: Array, y: Array, levels: Array, weight: Array) -> Array:
    """Return the weights (m,) of the linear pool that has the lowest mean CRPS.

    Parameters
    ----------
    Q : ndarray of shape (n, m, q)
        Quantiles of m models.
    y : ndarray of shape (n,)
    levels : ndarray of shape (q,)
    weight : ndarray of shape (n,)
        Weights of the rows.

    Returns
    -------
    weights : ndarray of shape (m,)
        Non-negative, of total one.

    Notes
    -----
    O(n m q log(m q)) for sorting and O(n m² (m q)) for one matrix product.
    """
    return shortest_mixture(crps_form(Q, y, levels, weight))


def shortest_mixture(form: Array) -> Array:
    """Return the w of the simplex with the lowest w' form w, form (m, m) >= 0.

    Non-negative least squares on a root R of the form, below it a row of ones with
    target 1: along a ray t u with total one of u the objective is
    t² |R u|² + (1 - t)², at best |R u|² / (1 + |R u|²), so that the best direction
    is the shortest mixture, to be divided by its total.
    """
    m = len(form)
    size = np.trace(form) / m
    if size <= 0.0:
        return np.full(m, 1.0 / m)
    try:
        root = cholesky(form / size)
    except LinAlgError:
        # Equal models make the form singular: take the root by eigenvectors.
        values, vectors = eigh(form / size)
        root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    design = np.vstack([root, np.ones(m)])
    weights = nnls(design, np.append(np.zeros(m), 1.0))[0]
    return weights / weights.sum()


def crps_form(Q: Array, y: Array, levels: Array, weight: Array) -> Array:
    """Return the matrix (m, m) whose quadratic form is the mean CRPS of mixtures.

    The distribution of a model has mass at its quantiles: at each as much as there is
    between the midpoints to the neighbouring levels.
    """
    n, m, q = Q.shape
    edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2.0, [1.0]])
    # One entry a knot: (m q) quantiles with their model and mass, and the outcome.
    mass = np.append(np.tile(np.diff(edges), m), 1.0)
    owner = np.append(np.repeat(np.arange(m), q), m)
    total = np.zeros((m, m))
    step = max(1, _BLOCK // (m * len(mass)))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        knots = np.concatenate([Q[rows].reshape(-1, m * q), y[rows, None]], axis=1)
        order = np.argsort(knots, axis=1, kind="stable")
        width = np.diff(np.take_along_axis(knots, order, axis=1), axis=1)
        steps = np.zeros((len(order), len(mass), m + 1))
        np.put_along_axis(
            steps, owner[order][:, :, None], mass[order][:, :, None], axis=2
        )
        functions = steps.cumsum(axis=1)[:, :-1]
        gaps = functions[:, :, :m] - functions[:, :, m:]
        scaled = gaps * (width * weight[rows, None])[:, :, None]
        total += scaled.reshape(-1, m).T @ gaps.reshape(-1, m)
    return total / weight.sum()
