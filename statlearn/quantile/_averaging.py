"""Averages of several grids: of their quantiles, or of their probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.quantile._distribution import between, cdf_between, count_not_above
from statlearn.utils._grids import FloatArray, read_grid
from statlearn.utils._levels import read_levels
from statlearn.utils._validation import as_numbers

Array = NDArray[np.float64]

# Numbers of a block of rows that are pooled in one go.
_BLOCK = 60_000

# Probabilities closer than this are the same: they are sums of products.
_SAME_SHARE = 1e-12


def vincentize(Q: Any, weights: Any = None) -> FloatArray:
    r"""Average the quantiles of several models, level by level.

    Parameters
    ----------
    Q : array-like of shape (n, m, q)
        Quantiles of m models; infinite ones are allowed.
    weights : array-like of shape (m,), default=None
        Numbers >= 0, how much each model counts; by default all the same.

    Returns
    -------
    grid : ndarray of shape (n, q)
        Of the same floating type. Infinite where a quantile of a model with weight is.

    Raises
    ------
    ValueError
        If a quantile is missing, models have infinite quantiles of opposite signs at
        one place, or the weights are no weights.

    See Also
    --------
    linear_pool : Averages probabilities instead, and is wider.
    fit_quantile_weights : Learns the weights.

    Notes
    -----
    With weights that add up to one, :math:`\bar q(\tau) = \sum_j w_j q_j(\tau)`. The
    average of models of one location-scale family is of that family. Its mean is that
    of the linear pool, and its even central moments are no larger. O(n m q) time.

    References
    ----------
    Kenneth C. Lichtendahl, Yael Grushka-Cockayne, Robert L. Winkler. Is It Better to
    Average Probabilities or Quantiles? Management Science 59, 2013.

    Examples
    --------
    >>> from statlearn.quantile import vincentize
    >>> vincentize([[[0.0, 1.0, 2.0], [2.0, 3.0, 8.0]]])
    array([[1., 2., 5.]])
    """
    stack, share = _read(Q, weights, "vincentize")
    high, low = (stack == np.inf).any(axis=1), (stack == -np.inf).any(axis=1)
    if (high & low).any():
        raise ValueError(
            f"The 'Q' of vincentize must not hold +inf and -inf at one row and level. "
            f"Got both at {(high & low).sum()} places; leave one of these models out."
        )
    return np.einsum("imk,m->ik", stack, share.astype(stack.dtype))


def linear_pool(Q: Any, levels: Any, weights: Any = None) -> FloatArray:
    r"""Average the probabilities of several models, value by value.

    Parameters
    ----------
    Q : array-like of shape (n, m, q)
        Quantiles of m models; infinite ones are allowed. Rows that cross are sorted.
    levels : array-like of shape (q,)
        Their levels, strictly increasing in (0, 1), two or more.
    weights : array-like of shape (m,), default=None
        Numbers >= 0, how much each model counts; by default all the same.

    Returns
    -------
    grid : ndarray of shape (n, q)
        Quantiles of the mixture, of the same floating type.

    Raises
    ------
    ValueError
        If a quantile is missing, shapes disagree, or the weights are no weights.

    See Also
    --------
    vincentize : Averages quantiles instead, and is sharper.
    scipy.stats.make_distribution : Distributions in place of grids.

    Notes
    -----
    Quantiles of the mixture :math:`F = \sum_j w_j F_j`, with weights that add up to
    one. Each :math:`F_j` is linear between the quantiles of the model and linear in
    normal scores beyond them; their mean is taken at all quantiles of the row, and
    linear between these. The probability below a quantile is so known up to the
    distance of neighbouring levels, and in practice to a small part of it.

    Equal quantiles of a model are a jump of its function. Where the mixture is flat,
    its quantile is the lower end of the flat part. Between a finite and an infinite
    quantile of a model all its mass lies at the infinite one.

    O(n m^2 q) time, and O(m q) memory for each of the rows that are pooled in one go.

    References
    ----------
    Mervyn Stone. The Opinion Pool. Annals of Mathematical Statistics 32, 1961.

    Examples
    --------
    >>> from statlearn.quantile import linear_pool
    >>> Q = [[[0.0, 1.0, 2.0], [4.0, 5.0, 6.0]]]
    >>> linear_pool(Q, [0.25, 0.5, 0.75]).round(2)
    array([[0.99, 3.  , 5.01]])
    """
    caller = "linear_pool"
    known = read_levels(levels, caller)
    if len(known) < 2:
        raise ValueError(
            f"The 'levels' of {caller} must be two or more, to make a distribution. "
            f"Got {known.tolist()}; use vincentize, or pass more levels."
        )
    stack, share = _read(Q, weights, caller, known)
    return pool_grids(stack, known, share[np.newaxis])[0]


def pool_grids(stack: FloatArray, levels: Array, shares: Array) -> FloatArray:
    """Return the quantiles of several mixtures of the same models.

    Parameters
    ----------
    stack : ndarray of shape (n, m, q)
    levels : ndarray of shape (q,)
    shares : ndarray of shape (s, m)
        Weights of the models in each mixture, of total one.

    Returns
    -------
    grids : ndarray of shape (s, n, q)
    """
    kept = shares.any(axis=0)
    stack, shares = stack[:, kept], shares[:, kept]
    n, m, q = stack.shape
    out = np.empty((len(shares), n, q), dtype=stack.dtype)
    step = max(1, _BLOCK // (m * q))
    for start in range(0, n, step):
        block = stack[start : start + step].astype(np.float64)
        out[:, start : start + step] = _pool(np.sort(block, axis=2), levels, shares)
    return out


def _read(
    Q: Any, weights: Any, caller: str, levels: Array | None = None
) -> tuple[FloatArray, Array]:
    """Return the models that have weight (n, m, q), and weights (m,) of total one."""
    stack = read_grid(Q, caller, levels, name="Q")
    if stack.ndim != 3 or not stack.shape[1]:
        raise ValueError(
            f"The 'Q' of {caller} must have shape (n, m, q): rows, models, levels. Got "
            f"shape {stack.shape}; stack grids by np.stack(grids, axis=1)."
        )
    if weights is None:
        return stack, np.full(stack.shape[1], 1.0 / stack.shape[1])
    share = as_numbers(weights)
    good = share.shape == stack.shape[1:2] and np.isfinite(share).all()
    if not (good and share.min() >= 0.0 and share.any()):
        raise ValueError(
            f"The 'weights' of {caller} must hold one finite number >= 0 for each of "
            f"{stack.shape[1]} models, not all of them zero. Got {weights!r}; correct "
            f"them or pass None."
        )
    kept = share > 0.0
    return stack[:, kept], share[kept] / share.sum()


def _pool(stack: Array, levels: Array, shares: Array) -> Array:
    """Return quantiles (s, n, q) of mixtures (s, m) of ordered grids (n, m, q)."""
    n, m, q = stack.shape
    knots = stack.reshape(n, m * q)
    order = np.argsort(knots, axis=1, kind="stable")
    knots, owner = np.take_along_axis(knots, order, axis=1), order // q
    pooled = np.zeros((len(shares), *knots.shape))
    for j in range(m):
        count = np.cumsum(owner == j, axis=1)
        function = cdf_between(stack[:, j], levels, knots, count)
        for mixture, share in zip(pooled, shares[:, j], strict=True):
            mixture += share * function
    return np.stack([_invert(knots, mixture, levels) for mixture in pooled])


def _invert(knots: Array, pooled: Array, levels: Array) -> Array:
    """Return where piecewise linear functions (n, s) reach levels: (n, q)."""
    wanted = np.broadcast_to(levels, (len(knots), len(levels)))
    above = count_not_above(pooled, wanted - _SAME_SHARE)
    low = np.maximum(above - 1, 0)
    high = np.minimum(above, knots.shape[1] - 1)
    start, end = (np.take_along_axis(pooled, at, axis=1) for at in (low, high))
    gap = end - start
    share = np.where(gap > 0.0, (wanted - start) / np.where(gap > 0.0, gap, 1.0), 1.0)
    return between(
        np.take_along_axis(knots, low, axis=1),
        np.take_along_axis(knots, high, axis=1),
        np.clip(share, 0.0, 1.0),
    )
