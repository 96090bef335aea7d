"""Simulated ordered outcomes whose last class is rare, with the truth attached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from statlearn.utils._choices import one_of
from statlearn.utils._numbers import closed_share, positive_integer
from statlearn.utils._rng import as_generator
from statlearn.utils._validation import as_numbers

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
RandomState = int | np.random.Generator | np.random.RandomState | None

#: Half-width of a uniform slope, and size of a non-zero one in the sparse design.
_SLOPE = 0.5
_MAX_DRAWS = 2_000


@overload
def make_rare_ordinal(
    n_samples: int = ...,
    n_features: int = ...,
    *,
    design: Literal["sparse", "dense"] = ...,
    sparsity: float = ...,
    intercepts: Sequence[float] | ArrayLike = ...,
    return_proba: Literal[False] = ...,
    random_state: RandomState = ...,
) -> tuple[FloatArray, IntArray]: ...
@overload
def make_rare_ordinal(
    n_samples: int = ...,
    n_features: int = ...,
    *,
    design: Literal["sparse", "dense"] = ...,
    sparsity: float = ...,
    intercepts: Sequence[float] | ArrayLike = ...,
    return_proba: Literal[True],
    random_state: RandomState = ...,
) -> tuple[FloatArray, IntArray, FloatArray, FloatArray]: ...
def make_rare_ordinal(
    n_samples: int = 2500,
    n_features: int = 10,
    *,
    design: Literal["sparse", "dense"] = "sparse",
    sparsity: float = 0.5,
    intercepts: Sequence[float] | ArrayLike = (0.0, 3.0, 5.0),
    return_proba: bool = False,
    random_state: RandomState = None,
) -> tuple[FloatArray, IntArray] | tuple[FloatArray, IntArray, FloatArray, FloatArray]:
    r"""Draw ordered classes 1..K whose last class is a rare event.

    Every boundary between neighbouring classes has slopes of its own, which differ
    from those of the boundary before in a sparse or in a dense way. These are the
    designs on which fusing neighbouring slopes was proposed; use them to compare an
    estimate with the true probabilities.

    Parameters
    ----------
    n_samples : int, default=2500
        Number of rows.
    n_features : int, default=10
        Number of features, each uniform on (-1, 1).
    design : {"sparse", "dense"}, default="sparse"
        In the sparse design a first slope is 0.5 with probability `sparsity` and 0
        otherwise, and a change from one boundary to the next is 0.5 or -0.5, each
        with probability `sparsity` / 2, and 0 otherwise. In the dense design all
        first slopes and all changes are uniform on (-0.5, 0.5).
    sparsity : float, default=0.5
        Probability, in [0, 1], that an entry of the sparse design is not zero. The
        dense design ignores it.
    intercepts : array-like of shape (n_classes - 1,), default=(0.0, 3.0, 5.0)
        Strictly increasing intercepts of the boundaries on the logit scale; the
        number of classes follows from their number. A larger last one makes the last
        class rarer.
    return_proba : bool, default=False
        Whether to return the true probabilities and slopes as well.
    random_state : int, Generator, RandomState or None, default=None
        Source of random numbers.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        The features.
    y : ndarray of shape (n_samples,)
        Classes 1, 2, ..., `n_classes`; the last one is the rare event.
    proba : ndarray of shape (n_samples, n_classes)
        True probabilities of the classes. Only with ``return_proba=True``.
    coef : ndarray of shape (n_classes - 1, n_features)
        True slopes :math:`\beta_k`. Only with ``return_proba=True``.

    See Also
    --------
    load_marriage_rating : A survey in which the lowest of five answers is rare.
    sklearn.datasets.make_classification : Unordered classes.

    Notes
    -----
    The model is

    .. math::
        P(y \le k \mid x) = \frac{1}{1 + \exp(-\alpha_k - x^\top \beta_k)},
        \qquad \beta_k = \psi_1 + \dots + \psi_k ,

    so a positive slope favours the lower classes. Since the boundaries have different
    slopes, they may cross; features, slopes and classes are then drawn anew until
    every true probability is non-negative and every class occurs.

    References
    ----------
    Gregory Faletto and Jacob Bien, "Predicting Rare Events by Shrinking Towards
    Proportional Odds", ICML 2023.

    Examples
    --------
    >>> from statlearn.datasets import make_rare_ordinal
    >>> X, y, proba, coef = make_rare_ordinal(return_proba=True, random_state=0)
    >>> X.shape, proba.shape, coef.shape
    ((2500, 10), (2500, 4), (3, 10))
    >>> bool((y == 4).mean() < 0.03)
    True
    """
    alpha = _check_design(n_samples, n_features, design, sparsity, intercepts)
    rng = as_generator(random_state)
    n_classes = len(alpha) + 1
    for _ in range(_MAX_DRAWS):
        coef = _draw_slopes(rng, design, sparsity, (len(alpha), n_features))
        X = rng.uniform(-1.0, 1.0, size=(n_samples, n_features))
        proba = _class_probabilities(alpha + X @ coef.T)
        if proba.min() < 0.0:
            continue
        y = _draw_classes(rng, proba)
        if len(np.unique(y)) == n_classes:
            return (X, y, proba, coef) if return_proba else (X, y)
    raise ValueError(
        "The 'intercepts' parameter must leave room for non-negative probabilities "
        f"and for every class to occur. Got {alpha.tolist()} with {n_samples} rows, "
        f"for which none of {_MAX_DRAWS} draws was valid; space the intercepts "
        "further apart, lower the last one, or ask for more rows or fewer features."
    )


def _check_design(
    n_samples: int,
    n_features: int,
    design: str,
    sparsity: float,
    intercepts: Sequence[float] | ArrayLike,
) -> FloatArray:
    """Validate the arguments and return the intercepts, shape (n_classes - 1,)."""
    caller = "make_rare_ordinal"
    for name, value in (("n_samples", n_samples), ("n_features", n_features)):
        positive_integer(value, name, caller, "pass for example 100")
    one_of(design, ("sparse", "dense"), "design", caller)
    hint = "pass the share of entries that are not zero"
    closed_share(sparsity, "sparsity", caller, hint)
    alpha = as_numbers(intercepts)
    increasing = alpha.ndim == 1 and alpha.size and np.all(np.diff(alpha) > 0)
    if not increasing or not np.isfinite(alpha).all():
        raise ValueError(
            "The 'intercepts' parameter of make_rare_ordinal must be a strictly "
            f"increasing list of finite numbers. Got {intercepts!r}; pass something "
            "like (0, 3, 5)."
        )
    return alpha


def _draw_slopes(
    rng: np.random.Generator, design: str, sparsity: float, shape: tuple[int, int]
) -> FloatArray:
    """Slopes of every boundary as running sums of their changes, (K-1, p)."""
    if design == "dense":
        psi = rng.uniform(-_SLOPE, _SLOPE, size=shape)
    else:
        sign = rng.choice([-1.0, 1.0], size=shape)
        sign[0] = 1.0
        psi = _SLOPE * sign * (rng.random(shape) < sparsity)
    return np.cumsum(psi, axis=0)


def _class_probabilities(eta: FloatArray) -> FloatArray:
    """Class probabilities (n, K) from eta (n, K-1); negative at a crossing."""
    inner = _logistic_difference(eta[:, :-1], eta[:, 1:])
    return np.column_stack([expit(eta[:, :1]), inner, expit(-eta[:, -1:])])


def _logistic_difference(low: FloatArray, high: FloatArray) -> FloatArray:
    """``expit(high) - expit(low)`` without cancellation in the upper tail."""
    return expit(high) * expit(-low) * -np.expm1(low - high)


def _draw_classes(rng: np.random.Generator, proba: FloatArray) -> IntArray:
    """One class 1..K a row by inversion of the cumulative probabilities."""
    cumulative = np.cumsum(proba[:, :-1], axis=1)
    uniform = rng.random((len(proba), 1))
    return 1 + (uniform > cumulative).sum(axis=1, dtype=np.int64)
