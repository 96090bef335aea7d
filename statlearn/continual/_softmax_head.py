r"""The softmax regression on top of fixed features, fitted until it has converged.

With weights :math:`s_i` of total one, logits :math:`o_i = W \phi_i + b` and rows
:math:`\theta_c` of :math:`\theta = [W, b]`, the objective is

.. math:: \sum_i s_i \big[(1 - \lambda) \operatorname{CE}(o_i, y_i)
          + \lambda \operatorname{KD}_i\big]
          + \frac{\alpha}{2} \|\theta - \theta^0\|^2,

where :math:`\operatorname{KD}_i = -\sum_{c\ \mathrm{old}} q_{ic} \log
\operatorname{softmax}(o_{i,\mathrm{old}} / T)_c` compares with the softmax
:math:`q_i` of the logits of the model before, divided by T as well. It is strictly
convex: there is one minimum, wherever the search for it starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, minimize
from scipy.special import log_softmax, softmax

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Distillation:
    """What a new model is to keep of the one before.

    Attributes
    ----------
    old : ndarray of shape (n_old,)
        Rows of the new head that the old model has too.
    target : ndarray of shape (n_old, n)
        Probabilities of the old model at the temperature.
    share : float
        Weight of the distillation in the loss.
    temperature : float
    """

    old: NDArray[np.intp]
    target: Array
    share: float
    temperature: float


def distillation(
    old: NDArray[np.intp], old_logits: Array, n_classes: int, temperature: float
) -> Distillation:
    """Return what to keep of logits (n_old, n), the more the more classes are old."""
    target = softmax(old_logits / temperature, axis=0)
    return Distillation(old, target, len(old) / n_classes, temperature)


def distillation_losses(logits: Array, keep: Distillation) -> tuple[Array, Array]:
    """Return losses (n,) of new logits (n_classes, n), and their slopes (n_old, n)."""
    log_p = log_softmax(logits[keep.old] / keep.temperature, axis=0)
    losses = -np.einsum("cn,cn->n", keep.target, log_p)
    return losses, (np.exp(log_p) - keep.target) / keep.temperature


def cross_entropies(logits: Array, codes: NDArray[np.intp]) -> tuple[Array, Array]:
    """Return losses (n,) of logits (n_classes, n), and their slopes (n_classes, n)."""
    own = (codes, np.arange(len(codes)))
    shifted = logits - logits.max(axis=0)
    losses = -shifted[own]
    # One pass of exponentials, most of the work here, serves losses and slopes.
    slopes = np.exp(shifted, out=shifted)
    total = slopes.sum(axis=0)
    losses += np.log(total)
    slopes /= total
    slopes[own] -= 1.0
    return losses, slopes


def logits_of(X: Any, theta: Array) -> Array:
    """Return logits (n_classes, n) of rows (n, d) under [W, b] (n_classes, d + 1)."""
    product = theta[:, :-1] @ X.T
    # Classes first: sums over few classes are then sums of long rows.
    return np.ascontiguousarray(product) + theta[:, -1:]


@dataclass(frozen=True, slots=True)
class HeadProblem:
    """A head to fit.

    Attributes
    ----------
    X : ndarray or CSR table of shape (n, d)
        Features, float64.
    codes : ndarray of shape (n,)
        Classes of the rows, from 0.
    weight : ndarray of shape (n,)
        Weights with a total of one.
    centre : ndarray of shape (n_classes, d + 1)
        Rows [w, b] towards which the penalty pulls.
    alpha : float
        Strength of the penalty, positive.
    fit_intercept : bool
        Whether b may differ from zero.
    keep : Distillation or None
    """

    X: Any
    codes: NDArray[np.intp]
    weight: Array
    centre: Array
    alpha: float
    fit_intercept: bool
    keep: Distillation | None = None

    def loss_and_slope(self, theta: Array) -> tuple[float, Array]:
        """Return the objective and its gradient at [W, b] (n_classes, d + 1)."""
        logits = logits_of(self.X, theta)
        losses, slopes = cross_entropies(logits, self.codes)
        if self.keep is not None:
            share = self.keep.share
            kept, more = distillation_losses(logits, self.keep)
            losses = (1.0 - share) * losses + share * kept
            slopes *= 1.0 - share
            slopes[self.keep.old] += share * more
        slopes *= self.weight
        away = theta - self.centre
        loss = self.weight @ losses + 0.5 * self.alpha * np.vdot(away, away)
        gradient = self.alpha * away
        gradient[:, :-1] += slopes @ self.X
        gradient[:, -1] += slopes.sum(axis=1)
        if not self.fit_intercept:
            gradient[:, -1] = 0.0
        return float(loss), gradient

    def scale(self) -> Array:
        """Return a scale (d + 1,) on which all columns curve the objective alike."""
        square = self.X.multiply(self.X) if sparse.issparse(self.X) else self.X**2
        curvature = np.append(self.weight @ square, 1.0)
        return np.sqrt(0.25 * curvature + self.alpha)


def fit_head(
    problem: HeadProblem,
    *,
    non_negative: bool,
    max_iter: int,
    tol: float,
    watch: Callable[[Array], bool],
) -> tuple[Array, int, bool]:
    """Minimise by L-BFGS, from the centre of the penalty.

    Parameters
    ----------
    problem : HeadProblem
    non_negative : bool
        Whether W, but not b, is kept at zero or above.
    max_iter : int
    tol : float
        Largest slope at the end, per unit of the scale of a column.
    watch : callable
        Gets theta after each iteration, and tells whether to stop there.

    Returns
    -------
    theta : ndarray of shape (n_classes, d + 1)
    n_iter : int
        At least one.
    converged : bool
        Also if it was told to stop.
    """
    shape, scale = problem.centre.shape, problem.scale()
    lower = np.full(shape, -np.inf)
    if non_negative:
        lower[:, :-1] = 0.0
    stopped = False

    def scaled(flat: Array) -> tuple[float, Array]:
        loss, gradient = problem.loss_and_slope(flat.reshape(shape) / scale)
        return loss, (gradient / scale).ravel()

    def after(flat: Array) -> None:
        nonlocal stopped
        stopped = watch(flat.reshape(shape) / scale)
        if stopped:
            raise StopIteration

    found = minimize(
        scaled,
        (np.maximum(problem.centre, lower) * scale).ravel(),
        jac=True,
        method="L-BFGS-B",
        bounds=Bounds(lower.ravel()) if non_negative else None,
        callback=after,
        options={"maxiter": max_iter, "gtol": tol, "ftol": 0.0, "maxls": 50},
    )
    converged = stopped or bool(found.success)
    return found.x.reshape(shape) / scale, max(int(found.nit), 1), converged
