"""What the estimator can be asked to fit, each composed of the kernels beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.linear_model._design import Design
from statlearn.linear_model._irls import (
    LossWeigher,
    ResidualWeigher,
    Weigher,
    iterate,
    solve_positive,
)
from statlearn.linear_model._sgd import sgd_steps
from statlearn.linear_model._start import (
    Options,
    lts_search,
    s_search,
    scale_step,
    start_coefficients,
)
from statlearn.utils._rules import kind_of
from statlearn.weights import Bisquare

Array = NDArray[np.float64]

# Bisquare constant of the M-step after an S-estimate, 95 % efficient.
MM_CONSTANT = 4.685061
# Rows within this many scales of the raw LTS plane take part in its last step.
LTS_CUTOFF = 2.5
# Epochs without a better mean loss after which stochastic descent stops.
_PATIENCE = 5
# A mean loss so many times that of the first epoch has not settled.
_DIVERGED = 1e6


@dataclass(slots=True)
class RegressionFit:
    """A finished fit, in the basis of its design.

    Attributes
    ----------
    coef, start : ndarray of shape (p,)
        Coefficients at the end and at the start.
    residuals, weights : ndarray of shape (n,)
        Weights without the base weights.
    scale : float
    n_iter : int
    converged, exact : bool
        Whether it ended by its criterion; whether half of the data lie on the plane.
    objectives : list of float
        One for each iterate.
    start_residuals : ndarray of shape (n,)
        Of the S-estimate before an MM-step, empty without one.
    """

    coef: Array
    start: Array
    residuals: Array
    weights: Array
    scale: float
    n_iter: int
    converged: bool
    exact: bool = False
    objectives: list[float] = field(default_factory=list)
    start_residuals: Array = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, slots=True)
class Descent:
    """Options of stochastic gradient descent.

    Attributes
    ----------
    batch_size : int
    learning_rate : float
    fit_intercept : bool
    alpha : float
        Ridge penalty.
    """

    batch_size: int
    learning_rate: float
    fit_intercept: bool
    alpha: float


def fit(
    design: Design, y: Array, weighting: Any, init: Any, options: Options
) -> RegressionFit:
    """Choose the fit that a weighting, a preset's name or a rule, asks for."""
    if isinstance(weighting, str):
        return {"mm": fit_mm, "s": fit_s, "lts": fit_lts}[weighting](design, y, options)
    if is_residual_rule(weighting):
        return fit_residual_rule(design, y, weighting, init, options)
    return fit_loss_rule(design, y, weighting, init, options)


def is_residual_rule(weighting: Any) -> bool:
    """Tell the weightings that look at residuals from those that look at losses."""
    if isinstance(weighting, str):
        return weighting in ("mm", "s")
    return kind_of(weighting) == "residual"


def fit_residual_rule(
    design: Design, y: Array, rule: Any, init: Any, options: Options
) -> RegressionFit:
    """Fit an M-estimator."""
    start = start_coefficients(design, y, init, options)
    weigher = ResidualWeigher(design, rule, scale_step(options.scale, design))
    return _run(design, y, weigher, start, options)


def fit_loss_rule(
    design: Design, y: Array, rule: Any, init: Any, options: Options
) -> RegressionFit:
    """Fit weighted least squares whose weights come from the losses."""
    start = start_coefficients(design, y, init, options)
    last_step = max(options.max_iter - options.warmup, 0)
    weigher = LossWeigher(design, rule, last_step)
    fit = _run(design, y, weigher, start, options)
    fit.scale = scale_step(options.scale, design)(fit.residuals, np.nan)
    return fit


def fit_mm(design: Design, y: Array, options: Options) -> RegressionFit:
    """Fit an MM-estimator: the scale of an S-estimate, then an efficient M-step."""
    found = s_search(design, y, options)
    weigher = ResidualWeigher(
        design, Bisquare(c=MM_CONSTANT), lambda residuals, before: found.scale
    )
    # Plain least squares would lose the breakdown point of the start.
    fit = _run(design, y, weigher, found.coef, replace(options, warmup=0))
    fit.start_residuals = y - design.basis @ found.coef
    return fit


def fit_s(design: Design, y: Array, options: Options) -> RegressionFit:
    """Fit an S-estimator."""
    found = s_search(design, y, options)
    return RegressionFit(
        coef=found.coef,
        start=found.coef,
        residuals=y - design.basis @ found.coef,
        weights=found.weights,
        scale=found.scale,
        n_iter=found.n_iter,
        converged=found.converged,
        exact=found.scale == 0.0,
        objectives=[found.scale],
    )


def fit_lts(design: Design, y: Array, options: Options) -> RegressionFit:
    """Fit least trimmed squares, then least squares on the rows that are near."""
    found = lts_search(design, y, options)
    residuals = y - design.basis @ found.coef
    if found.scale == 0.0:
        weights = np.asarray(found.kept, dtype=np.float64)
        return RegressionFit(
            found.coef, found.coef, residuals, weights, 0.0, found.n_iter, True, True
        )
    weights = (np.abs(residuals) <= LTS_CUTOFF * found.scale).astype(np.float64)
    gram = design.mean_outer(weights) + design.penalty
    coef = solve_positive(gram, design.mean_product(weights * y))
    return RegressionFit(
        coef=coef,
        start=found.coef,
        residuals=y - design.basis @ coef,
        weights=weights,
        scale=found.scale,
        n_iter=found.n_iter,
        converged=True,
        objectives=[found.objective],
    )


def _run(
    design: Design, y: Array, weigher: Weigher, start: Array, options: Options
) -> RegressionFit:
    steps = iterate(
        design,
        y,
        weigher,
        start,
        tol=options.tol,
        warmup=options.warmup,
        damping=options.damping,
    )
    objectives = []
    for last in islice(steps, options.max_iter + 1):
        objectives.append(last.objective)
    return RegressionFit(
        coef=last.coef,
        start=start,
        residuals=last.residuals,
        weights=last.weighing.weights,
        scale=last.weighing.scale,
        n_iter=len(objectives) - 1,
        converged=last.converged,
        exact=last.exact,
        objectives=objectives,
    )


# -- stochastic descent ----------------------------------------------------------


def fit_by_descent(
    X: Array,
    y: Array,
    design: Design,
    rule: Any,
    init: Any,
    options: Options,
    descent: Descent,
) -> RegressionFit:
    """Fit by stochastic gradient descent on the raw columns."""
    shift = int(descent.fit_intercept)
    columns = np.hstack((np.ones((len(X), shift)), X))
    start = np.zeros(columns.shape[1]) if isinstance(init, str) else init
    steps = sgd_steps(
        columns,
        y,
        design.base,
        rule,
        start,
        penalty=np.r_[np.zeros(shift), np.full(X.shape[1], float(descent.alpha))],
        batch_size=descent.batch_size,
        learning_rate=descent.learning_rate,
        warmup=options.warmup,
        generator=options.generator,
    )
    coef, losses, converged = _epochs(steps, options)
    if not np.isfinite(losses[-1]):
        raise ValueError(
            "ReweightedLinearRegression expected the descent to stay finite. Got "
            f"coefficients that overflow with learning_rate={descent.learning_rate}; "
            "scale the features, or lower learning_rate."
        )
    residuals = y - columns @ coef
    scale = scale_step(options.scale, design)(residuals, np.nan)
    n_batches = -(-len(y) // descent.batch_size)
    last_step = max(n_batches * (len(losses) - options.warmup) - 1, 0)
    return RegressionFit(
        coef=design.to_basis(coef),
        start=design.to_basis(start),
        residuals=residuals,
        weights=_final_weights(rule, residuals, scale, design.base, last_step),
        scale=scale,
        n_iter=len(losses),
        converged=converged,
        exact=scale == 0.0,
        objectives=losses,
    )


def _epochs(
    steps: Iterator[tuple[Array, float, bool]], options: Options
) -> tuple[Array, list[float], bool]:
    """Run epochs until the mean loss no longer falls."""
    losses: list[float] = []
    batch_losses: list[float] = []
    best, stale = np.inf, 0
    with np.errstate(over="ignore", invalid="ignore"):
        # The coefficients are one array, changed in place.
        for coef, loss, ends in steps:  # noqa: B007
            batch_losses.append(loss)
            if not ends:
                continue
            losses.append(float(np.mean(batch_losses)))
            batch_losses.clear()
            stale = 0 if losses[-1] < best * (1.0 - options.tol) else stale + 1
            best = min(best, losses[-1])
            settled = losses[-1] <= _DIVERGED * losses[0] < np.inf
            done = stale >= _PATIENCE or not np.isfinite(losses[-1])
            if done or len(losses) == options.max_iter:
                break
    return coef, losses, bool(done and settled)


def _final_weights(
    rule: Any, residuals: Array, scale: float, base: Array | None, step: int
) -> Array:
    """Return the weights that a rule gives all rows at the end of a descent."""
    if is_residual_rule(rule):
        if scale == 0.0:
            return (residuals == 0.0).astype(np.float64)
        return rule.weight(residuals / scale)
    weights = rule(0.5 * residuals**2, base_weight=base, step=step)
    return weights if base is None else weights / base
