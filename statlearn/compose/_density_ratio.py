r"""Ratios of the density of target rows to that of training rows.

Each function takes arrays and returns a ratio that can be evaluated at any rows.
Training rows count by shares :math:`p_i` that sum to one, so that a row of twice the
share is the same as two rows; only the choice of width or penalty sees which rows there
are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.linear_model import LogisticRegression

from statlearn.compose._kernels import (
    KernelRatio,
    gamma_grid,
    kernel,
    moments,
    sample_rows,
    squared_distances,
)
from statlearn.compose._mixture import mixture_weights

Array = NDArray[np.float64]

# Rows that a width or penalty is chosen on; estimates themselves use all.
_CHOICE = 1000
_CHOICE_LOGISTIC = 10_000
# A choice needs few digits of the optimum.
_CHOICE_TOL = 1e-4
_ULSIF_ALPHAS = np.geomspace(10.0, 1e-3, 9)
_LOGISTIC_ALPHAS = np.geomspace(1.0, 1e-5, 6)


# -- KLIEP ---------------------------------------------------------------------


def kliep(
    X: Array,
    X_target: Array,
    share: Array,
    centers: Array,
    *,
    gamma: float | None,
    n_folds: int,
    generator: np.random.Generator,
) -> KernelRatio:
    r"""Fit the ratio of largest likelihood of the target rows.

    Maximises :math:`\frac{1}{m} \sum_j \log w(z_j)` over
    :math:`w(x) = \sum_l a_l e^{-\gamma |x - c_l|^2}`, :math:`a \ge 0`, with mean
    :math:`\sum_i p_i w(x_i) = 1` over the training rows.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Training rows.
    X_target : ndarray of shape (m, p)
        Target rows.
    share : ndarray of shape (n,)
    centers : ndarray of shape (b, p)
    gamma : float or None
        None chooses by the likelihood of target rows held out.
    n_folds : int
        Number of folds.
    generator : numpy.random.Generator
    """
    if gamma is None:
        gammas = gamma_grid(X, X_target, centers, generator)
        means = moments(X, share, centers, gammas, second=False).first
        seen = sample_rows(X_target, _CHOICE, generator)
        folds = _folds(len(seen), n_folds, generator)
        distances = squared_distances(seen, centers)
        scores = [
            _held_out_likelihood(distances, mean, g, folds)
            for mean, g in zip(means, gammas, strict=True)
        ]
        gamma = float(gammas[int(np.argmax(scores))])
    mean = moments(X, share, centers, np.array([gamma]), second=False).first[0]
    distances = squared_distances(X_target, centers)
    coef = _kliep_coef(distances, mean, gamma, 1e-9)
    return KernelRatio(centers, gamma, coef)


def _kliep_coef(distances: Array, mean: Array, gamma: float, tol: float) -> Array:
    """Return coefficients (b,) from squared distances (m, b) and mean kernels (b,)."""
    # A kernel that no training row can feel would have any coefficient at no cost.
    felt = mean > np.finfo(np.float64).tiny
    if not felt.any():
        raise ValueError(
            f"CovariateShift expected training rows near target rows. Got none within "
            f"the width of a kernel (gamma={gamma:.3g}), so there is no ratio of "
            f"densities; check the columns of X_target, or pass a smaller gamma."
        )
    distances = distances[:, felt]
    # Factors of rows do not matter: far rows keep their digits.
    nearest = distances.min(axis=1, keepdims=True)
    parts = kernel(distances - nearest, gamma) / mean[felt]
    coef = np.zeros(len(mean))
    coef[felt] = mixture_weights(parts, tol=tol)[0] / mean[felt]
    return coef


def _held_out_likelihood(
    distances: Array, mean: Array, gamma: float, folds: list[NDArray[np.intp]]
) -> float:
    """Return the mean log ratio of target rows, each fitted without its fold."""
    if not (mean > np.finfo(np.float64).tiny).any():
        return -np.inf
    total = 0.0
    for fold in folds:
        rest = np.delete(distances, fold, axis=0)
        coef = _kliep_coef(rest, mean, gamma, _CHOICE_TOL)
        own = distances[fold]
        nearest = own.min(axis=1)
        with np.errstate(divide="ignore"):
            likelihood = np.log(kernel(own - nearest[:, None], gamma) @ coef)
        total += float((likelihood - gamma * nearest).sum())
    return total / len(distances)


# -- uLSIF ---------------------------------------------------------------------


def ulsif(
    X: Array,
    X_target: Array,
    share: Array,
    centers: Array,
    *,
    gamma: float | None,
    alpha: float | None,
    generator: np.random.Generator,
) -> tuple[KernelRatio, float]:
    r"""Fit the ratio by regularised least squares.

    The coefficients are :math:`\max(0, (H + \alpha I)^{-1} h)` with
    :math:`H = \sum_i p_i \varphi(x_i) \varphi(x_i)^\top` over training rows and
    :math:`h` the mean of :math:`\varphi` over target rows.

    Parameters
    ----------
    X, X_target : ndarray of shape (n, p), (m, p)
    share : ndarray of shape (n,)
    centers : ndarray of shape (b, p)
    gamma, alpha : float or None
        None chooses by leaving one row out at a time.
    generator : numpy.random.Generator

    Returns
    -------
    ratio : KernelRatio
    alpha : float
        As given or chosen.
    """
    gammas = (
        gamma_grid(X, X_target, centers, generator)
        if gamma is None
        else np.array([float(gamma)])
    )
    alphas = _ULSIF_ALPHAS if alpha is None else np.array([float(alpha)])
    train = moments(X, share, centers, gammas, second=True).second
    assert train is not None
    even = np.full(len(X_target), 1.0 / len(X_target))
    target = moments(X_target, even, centers, gammas, second=False).first
    at, k = 0, 0
    if len(gammas) * len(alphas) > 1:
        rows = sample_rows(np.arange(len(X)), _CHOICE, generator)
        seen = sample_rows(X_target, _CHOICE, generator)
        near = squared_distances(X[rows], centers)
        far = squared_distances(seen, centers)
        scores = [
            leave_one_out(
                kernel(near, g),
                share[rows],
                kernel(far, g),
                len(X_target),
                H,
                h,
                alphas,
            )
            for g, H, h in zip(gammas, train, target, strict=True)
        ]
        at, k = divmod(int(np.argmin(scores)), len(alphas))
    system = train[at].copy()
    system.flat[:: len(system) + 1] += alphas[k]
    coef = np.maximum(np.linalg.solve(system, target[at]), 0.0)
    return KernelRatio(centers, float(gammas[at]), coef), float(alphas[k])


def leave_one_out(
    train: Array,
    share: Array,
    target: Array,
    n_target: int,
    H: Array,
    h: Array,
    alphas: Array,
) -> Array:
    r"""Return the criterion of uLSIF with each row left out of its own term.

    It is :math:`\frac{1}{2} \sum_i p_i w_{-i}(x_i)^2 - \frac{1}{m} \sum_j w_{-j}(z_j)`,
    where the ratios are fitted without training row i and without target row j.

    Parameters
    ----------
    train : ndarray of shape (n_seen, b)
        Kernels of training rows.
    share : ndarray of shape (n_seen,)
        Their shares of all training rows.
    target : ndarray of shape (m_seen, b)
        Kernels of target rows.
    n_target : int
        Number of all target rows.
    H, h : ndarray of shape (b, b), (b,)
        Moments of all rows.
    alphas : ndarray of shape (k,)

    Returns
    -------
    scores : ndarray of shape (k,)
        Less is better.
    """
    values, vectors = eigh(H)
    values = np.maximum(values, 0.0)
    rotated, right = train @ vectors, vectors.T @ h
    without = (n_target * right - target @ vectors) / (n_target - 1)
    p = share[:, None]
    scores = np.empty(len(alphas))
    for number, alpha in enumerate(alphas):
        # (H - p f f')/(1 - p) + alpha I, inverted by Sherman and Morrison.
        inverse = 1.0 / (values + (1.0 - p) * alpha)
        u, v = right * inverse, rotated * inverse
        gain = p * (rotated * u).sum(axis=1, keepdims=True)
        gain /= 1.0 - p * (rotated * v).sum(axis=1, keepdims=True)
        coef = np.maximum(((1.0 - p) * (u + gain * v)) @ vectors.T, 0.0)
        squares = float(share @ (train * coef).sum(axis=1) ** 2 / share.sum())
        coef = np.maximum((without / (values + alpha)) @ vectors.T, 0.0)
        scores[number] = 0.5 * squares - float((target * coef).sum(axis=1).mean())
    return scores


# -- logistic regression -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogisticRatio:
    """A density ratio that is the exponential of a linear function.

    Attributes
    ----------
    coef : ndarray of shape (p,)
    intercept : float
    """

    coef: Array
    intercept: float

    def log(self, X: Array) -> Array:
        """Return the logarithm of the ratio at rows (n, p)."""
        return X @ self.coef + self.intercept

    def __call__(self, X: Array) -> Array:
        """Return the ratio at rows (n, p)."""
        return np.exp(np.minimum(self.log(X), 700.0))


def logistic(
    X: Array,
    X_target: Array,
    share: Array,
    *,
    alpha: float | None,
    n_folds: int,
    generator: np.random.Generator,
) -> tuple[LogisticRatio, float]:
    r"""Fit the ratio by telling target rows from training rows.

    A logistic regression with penalty :math:`\frac{\alpha}{2} |\beta|^2` on the mean
    loss, in which both samples have half of the weight, gives probabilities q of being
    a target row; the ratio is then :math:`q / (1 - q)`.

    Parameters
    ----------
    X, X_target : ndarray of shape (n, p), (m, p)
    share : ndarray of shape (n,)
    alpha : float or None
        None chooses by the log loss of rows held out.
    n_folds : int
        Number of folds.
    generator : numpy.random.Generator

    Returns
    -------
    ratio : LogisticRatio
    alpha : float
        As given or chosen.
    """
    if alpha is None:
        rows = sample_rows(np.arange(len(X)), _CHOICE_LOGISTIC, generator)
        seen = sample_rows(X_target, _CHOICE_LOGISTIC, generator)
        scores = _held_out_losses(X[rows], seen, share[rows], n_folds, generator)
        alpha = float(_LOGISTIC_ALPHAS[int(np.argmin(scores))])
    return _fit_logistic(X, X_target, share, [alpha])[0], alpha


def _fit_logistic(
    X: Array, X_target: Array, share: Array, alphas: Array | list[float]
) -> list[LogisticRatio]:
    """Return the ratio for each penalty; each fit starts at the one before."""
    table = np.concatenate((X, X_target))
    is_target = np.repeat((0, 1), (len(X), len(X_target)))
    weight = np.concatenate((share / share.sum(), np.full(len(X_target), 1.0)))
    weight[len(X) :] /= len(X_target)
    model = LogisticRegression(
        solver="newton-cholesky", warm_start=True, tol=1e-10, max_iter=1000
    )
    ratios = []
    for alpha in alphas:
        model.set_params(C=1.0 / alpha).fit(table, is_target, 0.5 * weight)
        ratios.append(LogisticRatio(model.coef_[0].copy(), float(model.intercept_[0])))
    return ratios


def _held_out_losses(
    X: Array,
    X_target: Array,
    share: Array,
    n_folds: int,
    generator: np.random.Generator,
) -> Array:
    """Return the log loss of rows held out, for each penalty."""
    losses = np.zeros(len(_LOGISTIC_ALPHAS))
    k = min(n_folds, len(X), len(X_target))
    folds = zip(
        _folds(len(X), k, generator), _folds(len(X_target), k, generator), strict=True
    )
    for own, other in folds:
        ratios = _fit_logistic(
            np.delete(X, own, axis=0),
            np.delete(X_target, other, axis=0),
            np.delete(share, own),
            _LOGISTIC_ALPHAS,
        )
        for number, ratio in enumerate(ratios):
            wrong = np.logaddexp(0.0, ratio.log(X[own]))
            missed = np.logaddexp(0.0, -ratio.log(X_target[other]))
            losses[number] += share[own] @ wrong / share.sum()
            losses[number] += missed.sum() / len(X_target)
    return losses


def _folds(n: int, k: int, generator: np.random.Generator) -> list[NDArray[np.intp]]:
    """Return the positions of n shuffled rows in k folds of nearly equal size."""
    return np.array_split(generator.permutation(n), min(k, n))
