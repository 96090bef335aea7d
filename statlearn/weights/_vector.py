"""Mathematics on one weight vector: scale it, soften it, bound it, project it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._arrays import to_float64
from statlearn.utils._numbers import number_in, real_number
from statlearn.utils._validation import weight_problem
from statlearn.weights._measure import as_base_weight, reweigh
from statlearn.weights._worst_case import tilt_density

Array = NDArray[np.float64]

# Sums of numbers below this power of two are finite.
_LARGE = 900


def normalize(weights: Any, *, total: float | None = None) -> Any:
    """Scale weights to a given total.

    Parameters
    ----------
    weights : array-like or torch tensor of shape (n,)
        Numbers >= 0, not all zero.
    total : float, default=None
        The sum wanted: 1 makes probabilities; None makes the mean equal to one.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        In the same proportions.

    Raises
    ------
    ValueError
        If the weights are not finite, negative, or all zero.

    Examples
    --------
    >>> from statlearn.weights import normalize
    >>> normalize([1.0, 2.0, 5.0], total=1.0)
    array([0.125, 0.25 , 0.625])
    """
    values, restore = as_weights(weights, "normalize")
    total = _positive(len(values) if total is None else total, "total", "normalize")
    share = values / values.max()  # the sum of huge weights would overflow
    return restore(share * (total / share.sum()))


def temper(weights: Any, temperature: float, *, base_weight: Any = None) -> Any:
    r"""Flatten or sharpen weights by a power.

    Parameters
    ----------
    weights : array-like or torch tensor of shape (n,)
        Numbers >= 0, not all zero.
    temperature : float
        Positive. 1 leaves the proportions as they are, infinity makes all positive
        weights equal, values below 1 sharpen.
    base_weight : array-like of shape (n,), default=None
        Weights that a row has by itself; the ratio of ``weights`` to them is tempered.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        :math:`w_i^{1/\tau}`, scaled to the total of the input. Zeros stay zero.

    Raises
    ------
    ValueError
        If the temperature is not positive or the weights are no weights.

    Examples
    --------
    >>> from statlearn.weights import temper
    >>> temper([1.0, 4.0], 2.0)
    array([1.66666667, 3.33333333])
    """
    values, restore = as_weights(weights, "temper")
    temperature = _positive(temperature, "temperature", "temper")
    base = as_base_weight(base_weight, len(values), "temper")
    density = values if base is None else _divide(values, base)
    if base is not None and not np.isfinite(density.max()):
        out = _tempered_by_logarithms(values, base, temperature)
    else:
        if temperature < 1.0:
            density = density / density.max()  # high powers would overflow
        out = np.where(density > 0.0, density ** (1.0 / temperature), 0.0)
        out = out / out.max()
        out = out if base is None else out * base
    return restore(_with_total_of(values, out))


def tilt(scores: Any, temperature: float, *, base_weight: Any = None) -> Any:
    r"""Weigh rows by the exponential of their scores.

    Parameters
    ----------
    scores : array-like or torch tensor of shape (n,)
        Finite numbers of any sign.
    temperature : float
        Not zero. Infinity gives the base weights; a negative one favours low scores.
    base_weight : array-like of shape (n,), default=None
        Weights that a row has without its score.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        Proportional to :math:`b_i \exp(s_i / r)`; their sum is that of the base
        weights, n without them.

    Raises
    ------
    ValueError
        If the temperature is zero or NaN, or an input has a wrong shape or value.

    Notes
    -----
    These are the weights that maximise :math:`\sum_i w_i s_i - r\,\mathrm{KL}(w \| b)`
    over all weights of that total: Gibbs weights, or a softmax.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.weights import tilt
    >>> tilt(np.log([1.0, 2.0, 3.0]), 1.0)
    array([0.5, 1. , 1.5])
    """
    temperature = real_number(temperature, "temperature", "tilt")
    if temperature == 0.0 or np.isnan(temperature):
        raise ValueError(
            "The 'temperature' of tilt must be a number other than zero. Got "
            f"{temperature}; pass a positive one to favour high scores."
        )
    return reweigh(
        scores,
        lambda s, _: tilt_density(s, temperature),
        base_weight=base_weight,
        caller="tilt",
        name="scores",
    )


def clip_ratio(weights: Any, max_ratio: float, *, base_weight: Any = None) -> Any:
    """Bound how many times the smallest positive weight the largest may be.

    Parameters
    ----------
    weights : array-like or torch tensor of shape (n,)
        Numbers >= 0, not all zero.
    max_ratio : float
        At least 1; 1 makes all positive weights equal.
    base_weight : array-like of shape (n,), default=None
        Weights that a row has by itself; the ratio of ``weights`` to them is bounded.

    Returns
    -------
    weights : ndarray or tensor of shape (n,)
        Of the same total. Large weights are cut to one common value, all others keep
        their proportions; zeros stay zero.

    Raises
    ------
    ValueError
        If the ratio is below 1 or the weights are no weights.

    Examples
    --------
    >>> from statlearn.weights import clip_ratio
    >>> clip_ratio([1.0, 2.0, 9.0], 3.0)
    array([2., 4., 6.])
    """
    values, restore = as_weights(weights, "clip_ratio")
    max_ratio = _positive(max_ratio, "max_ratio", "clip_ratio")
    if max_ratio < 1.0:
        raise ValueError(
            f"The 'max_ratio' of clip_ratio must be at least 1. Got {max_ratio}; pass "
            "1 for equal weights, infinity for no bound."
        )
    base = as_base_weight(base_weight, len(values), "clip_ratio")
    if base is not None and (top := base[values > 0.0].max()) > 0.0:
        base = base / top
    density = values if base is None else _divide(values, base)
    bound = max_ratio * float(density[values > 0.0].min())  # infinity is no bound
    cut = values
    if np.isfinite(bound):
        cut = np.minimum(values, bound if base is None else bound * base)
    return restore(_with_total_of(values, cut))


def project_simplex(values: Any, *, total: float = 1.0) -> Any:
    r"""Project onto the simplex of non-negative vectors of a given sum.

    Parameters
    ----------
    values : array-like or torch tensor of shape (..., n)
        Finite numbers; each vector along the last axis is projected.
    total : float, default=1.0
        Sum of the result, positive.

    Returns
    -------
    projected : ndarray or tensor of shape (..., n)
        The nearest point in Euclidean distance.

    Raises
    ------
    ValueError
        If a value is not finite or the total is not positive.

    Notes
    -----
    The solution is :math:`(v - \theta)_+` with the one threshold that gives the sum;
    sorting finds it in :math:`O(n \log n)`.

    References
    ----------
    Michael Held, Philip Wolfe, Harlan P. Crowder. Validation of subgradient
    optimization. Mathematical Programming, 1974.

    Examples
    --------
    >>> from statlearn.weights import project_simplex
    >>> project_simplex([0.4, 0.8, -1.0])
    array([0.3, 0.7, 0. ])
    """
    vectors, restore = to_float64(values)
    total = _positive(total, "total", "project_simplex")
    if vectors.ndim == 0 or vectors.size == 0 or not np.isfinite(vectors).all():
        raise ValueError(
            "The 'values' of project_simplex must be finite, of shape (..., n). Got "
            f"shape {vectors.shape}, with {np.sum(~np.isfinite(vectors))} non-finite "
            "numbers; drop or correct them."
        )
    # The projection does not change when a vector moves along (1, ..., 1). From its
    # maximum down, only entries within `total` of it can stay positive.
    shifted = vectors - vectors.max(axis=-1, keepdims=True)
    descending = -np.sort(-shifted, axis=-1)
    excess = np.cumsum(descending, axis=-1) - total
    counts = np.arange(1, vectors.shape[-1] + 1)
    n_positive = (descending * counts > excess).sum(axis=-1, keepdims=True)
    threshold = np.take_along_axis(excess, n_positive - 1, axis=-1) / n_positive
    return restore(np.maximum(shifted - threshold, 0.0))


def as_weights(weights: Any, caller: str) -> tuple[Array, Any]:
    """Return weights as float64 and the way back, or say what they should be."""
    values, restore = to_float64(weights)
    problem = weight_problem(values)
    if problem is not None:
        raise ValueError(
            f"The 'weights' of {caller} must be finite numbers >= 0 of shape (n,), not "
            f"all of them zero. Got {problem}; drop or correct these rows."
        )
    return values, restore


def _with_total_of(values: Array, share: Array) -> Array:
    """Return numbers scaled to the total of others, whose sum may overflow."""
    # A power of two takes no digits from numbers that count beside the largest.
    exponent = max(int(np.frexp(values.max())[1]) - _LARGE, 0)
    total = np.ldexp(values, -exponent).sum()
    share = share / share.max()  # the sum of the smallest numbers divides nothing
    return np.ldexp(share * (total / share.sum()), exponent)


def _tempered_by_logarithms(values: Array, base: Array, temperature: float) -> Array:
    """Return b (w / b)^(1 / temperature), at most one, where w / b may overflow."""
    out = np.zeros_like(values)
    kept = values > 0.0
    log_base = np.log(base[kept])
    exponent = (np.log(values[kept]) - log_base) / temperature + log_base
    out[kept] = np.exp(exponent - exponent.max())
    return out


def _positive(value: Any, name: str, caller: str) -> float:
    hint = "pass a value above zero"
    return number_in(value, name, caller, hint, 0.0, np.inf, "right")


def _divide(values: Array, base: Array) -> Array:
    """Return the density of weights against base weights, 0 where both are."""
    if np.any((base == 0.0) & (values > 0.0)):
        raise ValueError(
            "The 'base_weight' must be positive where 'weights' are. Got a row of "
            "base weight 0 with a positive weight; use the base weights that the "
            "weights were made with."
        )
    with np.errstate(over="ignore"):
        return np.divide(values, base, out=np.zeros_like(values), where=base > 0.0)
