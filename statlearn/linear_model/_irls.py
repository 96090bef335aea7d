"""Iteratively reweighted least squares in the basis of a `Design`.

One step solves ``H delta = g`` with the gradient ``g = Q' B w r / W - P gamma`` of
weights w and residuals r. With H made of the current weights it is the classical IRLS
step. A weigher says what the weights of residuals are, and which H suits them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from statlearn.linear_model._design import Design
from statlearn.utils._scale import ZERO, size_of
from statlearn.utils._validation import read_rule_weights
from statlearn.weights._settled import is_settled

Array = NDArray[np.float64]
# residuals (n,), scale before or nan -> scale
ScaleStep = Callable[[Array, float], float]

# Steps that shrink less than this ask for a Hessian of their own.
_SLOW = 0.25
# First share of a damped step, the shortest one, and that of a stretched one.
_HALF, _SHORTEST, _LONGEST = 0.5, 1e-3, 1.9
# Weighted Gram matrices, relative to the plain one, that are too flat to divide by.
_TOO_FLAT, _HOLD = 1e-6, 0.1
# A change of the fitted values below this share of the size of y is rounding.
_ROUNDING = 16.0 * np.finfo(np.float64).eps


@dataclass(frozen=True, slots=True)
class Weighing:
    """What a weigher makes of residuals.

    Attributes
    ----------
    weights : ndarray of shape (n,)
        Without the base weights.
    scale : float
        Scale of the residuals, nan for rules that need none.
    size : float
        What a change of the fitted values is compared with.
    loss : float
        Mean loss.
    """

    weights: Array
    scale: float
    size: float
    loss: float


@dataclass(frozen=True, slots=True)
class Iterate:
    """One step of a fit.

    Attributes
    ----------
    coef : ndarray of shape (p,)
        Coefficients in the basis.
    residuals : ndarray of shape (n,)
        Of these coefficients.
    weighing : Weighing
        Of these residuals.
    objective : float
        Mean loss, with the penalty.
    converged : bool
        Whether the iteration has ended by its criterion.
    exact : bool
        Whether half of the weight lies on the plane, so that the scale is zero.
    """

    coef: Array
    residuals: Array
    weighing: Weighing
    objective: float
    converged: bool
    exact: bool


class Weigher(Protocol):
    """Weights of residuals, and the matrix that turns gradients into steps."""

    first_share: float
    longest: float

    def weigh(self, residuals: Array, step: int) -> Weighing:
        """Return the weights of residuals (n,); negative steps are a warm-up."""
        ...

    def settled(self, residuals: Array, step: int) -> bool:
        """Tell whether these residuals get the same weights at all later steps."""
        ...

    def hessian(self, weighing: Weighing, shrunk: float) -> Array:
        """Return H (p, p); `shrunk` is the last step relative to the one before.

        By it a weigher may tell that a cheaper matrix no longer leads on fast enough.
        """
        ...


def iterate(
    design: Design,
    y: Array,
    weigher: Weigher,
    start: Array,
    *,
    tol: float,
    warmup: int,
    damping: float | None,
) -> Iterator[Iterate]:
    """Yield the iterates of a reweighted regression.

    Parameters
    ----------
    design : Design
    y : ndarray of shape (n,)
    weigher : Weigher
    start : ndarray of shape (p,)
        Coefficients in the basis.
    tol : float
        Largest change of the fitted values, root mean square, relative to the size
        that the weigher states.
    warmup : int
        Steps of plain least squares.
    damping : float or None
        Share of each step that is taken. None begins with that of the weigher and
        adapts it: weights and fit could chase each other for ever.
    """
    gamma = start
    share = weigher.first_share if damping is None else damping
    top = size_of(y, design.base)
    zero = ZERO * top
    before, shrunk = np.inf, 0.0
    last = np.zeros_like(gamma)
    step = -warmup
    still, scale = False, np.nan
    while True:
        residuals = y - design.basis @ gamma
        found = weigher.weigh(residuals, step)
        exact = found.scale <= zero
        if exact:
            on_plane = (np.abs(residuals) <= zero).astype(np.float64)
            found = Weighing(on_plane, 0.0, 0.0, 0.0)
        # A scale that is found step by step may move after the fit has stopped.
        moved = abs(found.scale - scale) > tol * found.scale
        converged, scale = still and not moved, found.scale
        objective = found.loss + 0.5 * float(gamma @ design.penalty @ gamma)
        yield Iterate(gamma, residuals, found, objective, converged or exact, exact)
        if converged or exact:
            return
        gradient = design.mean_product(found.weights * residuals)
        gradient -= design.penalty @ gamma
        delta = solve_positive(weigher.hessian(found, shrunk), gradient)
        change = _fitted_change(design, delta)
        shrunk = change / before if before > 0.0 else 0.0
        # The last change times this is what is still to come at a linear rate.
        to_come = max(1.0, 1.0 / (1.0 / min(shrunk, 0.99) - 1.0)) if shrunk else 1.0
        enough = max(tol * found.size, _ROUNDING * top if found.size <= zero else 0.0)
        still = step >= 0 and change * to_come <= enough
        # A rule may stand still only until the next phase of its schedule.
        still = still and weigher.settled(residuals, step)
        if damping is None:
            turned = bool(delta @ last < 0.0)
            share = _next_share(share, shrunk, turned, weigher)
        gamma = gamma + share * delta
        before, last = change, delta
        step += 1


def _next_share(share: float, shrunk: float, turned: bool, weigher: Weigher) -> float:
    """Return a shorter share where steps go to and fro, a longer one where they creep.

    A creeping step of IRLS may be stretched to nearly twice its length: the quadratic
    that bounds the loss from above has its minimum in the middle.
    """
    if turned:
        share = min(share, 1.0)
        return max(_HALF * share, _SHORTEST) if shrunk > 0.8 else share
    if shrunk > 0.5:
        return min(1.2 * share, weigher.longest)
    return max(share, min(1.2 * share, 1.0))


class ResidualWeigher:
    """Weights from residuals divided by their scale: an M-estimator.

    Where psi is monotone there is one solution and every road leads to it, so the mean
    of psi' takes the place of a Gram matrix until steps shrink too slowly: a step then
    costs two products of matrix and vector.

    Parameters
    ----------
    design : Design
    rule : residual rule
        With ``rho``, ``psi_prime``, ``weight`` and ``monotone``.
    scale_step : callable
        Next scale from residuals and the scale before, nan at first.
    """

    first_share = 1.0
    longest = _LONGEST

    def __init__(self, design: Design, rule: Any, scale_step: ScaleStep) -> None:
        self.design = design
        self.rule = rule
        self.scale_step = scale_step
        self._scale = np.nan
        self._u: Array | None = None
        self._cheap = bool(rule.monotone)

    def weigh(self, residuals: Array, step: int) -> Weighing:
        """Update the scale, then the weights."""
        scale = self._scale = self.scale_step(residuals, self._scale)
        if scale == 0.0:
            return Weighing(np.ones_like(residuals), 0.0, 0.0, 0.0)
        u = residuals / scale
        self._u = u if step >= 0 else None
        weights = self.rule.weight(u) if step >= 0 else np.ones_like(u)
        # The square of a scale can overflow.
        loss = self.design.mean(self.rule.rho(u)) * scale * scale
        return Weighing(weights, scale, scale, loss)

    def settled(self, residuals: Array, step: int) -> bool:
        """Return True: rules on residuals know no steps."""
        return True

    def hessian(self, weighing: Weighing, shrunk: float) -> Array:
        """Return the mean of psi' times the plain Gram matrix, or that of IRLS."""
        self._cheap = self._cheap and shrunk <= _SLOW
        if not self._cheap or self._u is None:
            return self.design.mean_outer(weighing.weights) + self.design.penalty
        bend = max(self.design.mean(self.rule.psi_prime(self._u)), _SLOW)
        identity = np.eye(len(self.design.penalty))
        return bend * (identity - self.design.penalty) + self.design.penalty


class LossWeigher:
    """Weights from the losses ``r^2 / 2`` of all rows.

    The loss reported is the weighted mean loss.

    Parameters
    ----------
    design : Design
    rule : rule on losses
        The base weights are its base measure; what it adds to them is the weight.
    last_step : int
        The last that the budget allows.
    """

    first_share = _HALF
    longest = 1.0

    def __init__(self, design: Design, rule: Any, last_step: int) -> None:
        self.design = design
        self.rule = rule
        self.last_step = last_step

    def weigh(self, residuals: Array, step: int) -> Weighing:
        """Ask the rule."""
        losses = 0.5 * residuals**2
        weights = np.ones_like(losses)
        if step >= 0:
            base = self.design.base
            weights = self._ask(losses, step)
            weights = weights if base is None else weights / base
        size = np.sqrt(2.0 * self.design.mean(losses))
        return Weighing(weights, np.nan, size, self.design.mean(weights * losses))

    def _ask(self, losses: Array, step: int) -> Array:
        weights = self.rule(losses, base_weight=self.design.base, step=step)
        return read_rule_weights(weights, len(losses), "ReweightedLinearRegression")

    def settled(self, residuals: Array, step: int) -> bool:
        """Ask the rule, whose warm-up or schedule may go on."""
        losses = 0.5 * residuals**2
        return is_settled(
            self.rule,
            step,
            losses,
            lambda at: self._ask(losses, at),
            self.last_step,
        )

    def hessian(self, weighing: Weighing, shrunk: float) -> Array:
        """Return the Gram matrix of the weights, the only one that there is here."""
        design = self.design
        hessian = design.mean_outer(weighing.weights) + design.penalty
        if np.linalg.eigvalsh(hessian)[0] < _TOO_FLAT:
            # The rule leaves too few rows: a share of all rows holds the rest in place.
            hessian += _HOLD * np.eye(len(hessian))
        return hessian


def solve_positive(hessian: Array, gradient: Array) -> Array:
    """Solve a small positive definite system, or say that the weights leave too few.

    Parameters
    ----------
    hessian : ndarray of shape (p, p)
    gradient : ndarray of shape (p,)
    """
    try:
        return cho_solve(cho_factor(hessian), gradient)
    except LinAlgError as error:
        raise ValueError(
            "The 'weighting' must leave more rows of positive weight than there are "
            f"coefficients, {len(gradient)}. Got fewer, or dependent ones; use a "
            "softer rule, a larger scale, or alpha > 0."
        ) from error


def _fitted_change(design: Design, delta: Array) -> float:
    """Return the root mean square change of the fitted values."""
    moved = float(delta @ delta - delta @ design.penalty @ delta)
    return float(np.sqrt(max(moved, 0.0)))
