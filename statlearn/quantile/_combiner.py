"""How the quantiles of many models become those of one: learnt, shrunk, in order."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from statlearn.exceptions import StatlearnWarning
from statlearn.metrics import pinball_loss
from statlearn.quantile._averaging import pool_grids
from statlearn.quantile._gate import LinearGate
from statlearn.quantile._monotone import monotone_rows
from statlearn.quantile._pool_weights import fit_pool_weights
from statlearn.quantile._quantile_weights import (
    QuantileWeights,
    fit_quantile_weights,
    plain_average,
)
from statlearn.utils._levels import read_levels
from statlearn.utils._sklearn import take_rows
from statlearn.utils._validation import as_numbers

Array = NDArray[np.float64]

_REPORTED = ("objective_", "duality_gap_", "n_iter_")

# Shares of the plain average that cross-validation chooses from. The loss is convex in
# the share, so that a finer grid gains next to nothing.
_SHARES = np.linspace(0.0, 1.0, 21)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a user asked of an aggregator.

    Attributes
    ----------
    levels : ndarray of shape (q,)
    resolution, constraint, intercept, local, shrinkage, monotone, average
        Parameters of :class:`~statlearn.quantile.QuantileAggregator`.
    """

    levels: Array
    resolution: str | int
    constraint: str
    intercept: bool
    local: Any
    shrinkage: str | float
    monotone: str | None
    average: str


def read_recipe(aggregator: Any) -> Recipe:
    """Return the parameters of an aggregator's weights, or say which do not agree."""
    local = aggregator.local is not None
    pool = aggregator.average == "probabilities"
    plain = aggregator.constraint == "simplex" and not aggregator.intercept
    caller = type(aggregator).__name__
    if (local or pool) and not plain:
        what = "local weights" if local else "average='probabilities'"
        raise ValueError(
            f"The 'constraint' of {caller} must be 'simplex' without an intercept for "
            f"{what}. Got constraint={aggregator.constraint!r}, intercept="
            f"{aggregator.intercept}; leave them at their defaults."
        )
    if local and pool:
        raise ValueError(
            f"The 'average' of {caller} must be 'quantiles' for local weights. Got "
            f"'probabilities'; pass local=None, or average='quantiles'."
        )
    linear = isinstance(aggregator.local, str)
    if linear and aggregator.resolution not in ("coarse", "medium"):
        raise ValueError(
            f"The 'resolution' of {caller} must be 'coarse' or 'medium' for "
            f"local='linear'. Got {aggregator.resolution!r}; pass one of them."
        )
    named = {field.name: getattr(aggregator, field.name) for field in fields(Recipe)}
    named["levels"] = read_levels(aggregator.levels, caller)
    return Recipe(**named)


@dataclass(frozen=True, slots=True)
class Stack:
    """Predictions of m models for rows that none of them has seen.

    Attributes
    ----------
    Q : ndarray of shape (n, m, q)
    y : ndarray of shape (n,)
    weight : ndarray of shape (n,)
    fold : ndarray of shape (n,)
        Which fold of the cross-fitting each row was in, -1 for none.
    X : array-like of shape (n, n_features) or None
        Features, for weights that depend on them.
    """

    Q: Array
    y: Array
    weight: Array
    fold: NDArray[np.intp]
    X: Any = None

    def take(self, rows: NDArray[np.intp]) -> Stack:
        """Return the stack of some rows, by position."""
        X = None if self.X is None else take_rows(self.X, rows)
        return Stack(self.Q[rows], self.y[rows], self.weight[rows], self.fold[rows], X)


class _Mixture(Protocol):
    """Learnt weights of models."""

    @property
    def weights(self) -> Array:
        """Weights (m,), (q, m) or (q, m, q), the mean over rows if they vary."""

    def grids(self, Q: Array, X: Any, shares: Array) -> Iterable[Array]:
        """Return a grid (n, q) for each share (s,) of the plain average in it."""


@dataclass(frozen=True, slots=True)
class GlobalMixture:
    """The same weights for all rows: a linear program."""

    found: QuantileWeights

    @property
    def weights(self) -> Array:
        return self.found.weights

    def grids(self, Q: Array, X: Any, shares: Array) -> Iterable[Array]:
        return _towards_average(self.found.predict(Q), Q, shares)


@dataclass(frozen=True, slots=True)
class PoolMixture:
    """The same weights for all rows, on distribution functions."""

    weights: Array
    levels: Array

    def grids(self, Q: Array, X: Any, shares: Array) -> Iterable[Array]:
        rows = np.stack([shrink(self.weights, share) for share in shares])
        return pool_grids(Q, self.levels, rows)


@dataclass(frozen=True, slots=True)
class LocalMixture:
    """Weights that depend on the features of the row."""

    gate: Any
    weights: Array

    def grids(self, Q: Array, X: Any, shares: Array) -> Iterable[Array]:
        weights = self.gate.weights(X)
        across = "nm" if weights.ndim == 2 else "nmq"
        learnt = np.einsum(f"nmq,{across}->nq", Q, weights)
        return _towards_average(learnt, Q, shares)


def _towards_average(learnt: Array, Q: Array, shares: Array) -> Iterator[Array]:
    """Yield the learnt grid (n, q) mixed with the plain average of Q (n, m, q)."""
    average = Q.mean(axis=1) if shares.any() else learnt
    for share in shares:
        yield (1.0 - share) * learnt + share * average if share else learnt


@dataclass(frozen=True, slots=True)
class Combiner:
    """Learnt weights, mixed with equal ones, and the order of the result.

    Attributes
    ----------
    mixture : GlobalMixture, PoolMixture or LocalMixture
    share : float
        Share of the plain average.
    monotone : str or None
    """

    mixture: _Mixture
    share: float
    monotone: str | None

    @property
    def weights(self) -> Array:
        """Weights (m,), (q, m) or (q, m, q) with the share of the plain average."""
        return shrink(self.mixture.weights, self.share)

    def report(self) -> dict[str, Any]:
        """Return further attributes of an estimator, by name."""
        if not isinstance(self.mixture, GlobalMixture):
            return {}
        found = self.mixture.found
        report = {name: getattr(found, name[:-1]) for name in _REPORTED}
        return {**report, "intercept_": (1.0 - self.share) * found.intercept}

    def combine(self, Q: Array, X: Any = None) -> Array:
        """Return one grid (n, q) from a stack (n, m, q)."""
        [grid] = self.mixture.grids(Q, X, np.array([self.share]))
        return monotone_rows(grid, self.monotone)


def fit_combiner(recipe: Recipe, stack: Stack) -> Combiner:
    """Learn weights, and how much to shrink them, on rows that no model has seen."""
    if isinstance(recipe.shrinkage, str):
        share = _choose_share(recipe, stack)
    else:
        share = float(recipe.shrinkage)
    return Combiner(_learn(recipe, stack), share, recipe.monotone)


def _learn(recipe: Recipe, stack: Stack) -> _Mixture:
    Q, y, weight, levels = stack.Q, stack.y, stack.weight, recipe.levels
    if recipe.local is not None:
        if isinstance(recipe.local, str):
            coarse = recipe.resolution == "coarse"
            gate = LinearGate(resolution="coarse" if coarse else "medium")
        else:
            gate = clone(recipe.local, safe=False)
        gate.fit(Q, y, stack.X, levels, sample_weight=weight)
        rows = _read_local(gate.weights(stack.X), Q.shape, gate)
        mean = np.tensordot(weight / weight.sum(), rows, axes=1)
        return LocalMixture(gate, mean.T if mean.ndim == 2 else mean)
    if recipe.average == "probabilities":
        return PoolMixture(fit_pool_weights(Q, y, levels, weight), levels)
    found = fit_quantile_weights(
        Q,
        y,
        levels,
        resolution=recipe.resolution,
        constraint=recipe.constraint,
        intercept=recipe.intercept,
        sample_weight=weight,
    )
    return GlobalMixture(found)


def _read_local(weights: Any, shape: tuple[int, ...], gate: Any) -> Array:
    """Return weights (n, m) or (n, m, q) of a gate, or say what they should be."""
    found = as_numbers(weights)
    if found.shape not in (shape, shape[:2]) or not np.isfinite(found).all():
        raise ValueError(
            f"The 'local' of QuantileAggregator must give finite weights of shape "
            f"{shape[:2]} or {shape}: rows, models, and perhaps levels. Got shape "
            f"{found.shape} from {type(gate).__name__}.weights; correct it."
        )
    return found


def _choose_share(recipe: Recipe, stack: Stack) -> float:
    """Return the share of the plain average that does best on folds left out."""
    folds = np.unique(stack.fold[stack.fold >= 0])
    if stack.Q.shape[1] == 1 or len(folds) < 2:
        return 0.0
    loss = np.zeros(len(_SHARES))
    for number in folds:
        out = stack.fold == number
        held = stack.take(np.flatnonzero(out))
        if not (stack.weight[out].any() and stack.weight[~out].any()):
            continue
        with warnings.catch_warnings():
            # What there is to say is said of the weights of all rows.
            warnings.simplefilter("ignore", StatlearnWarning)
            mixture = _learn(recipe, stack.take(np.flatnonzero(~out)))
        for position, grid in enumerate(mixture.grids(held.Q, held.X, _SHARES)):
            ordered = monotone_rows(grid, recipe.monotone)
            loss[position] += held.weight.sum() * pinball_loss(
                held.y, ordered, recipe.levels, sample_weight=held.weight
            )
    # Among equals the plain average is the safest.
    return float(_SHARES[loss <= loss.min() * (1.0 + 1e-12)].max())


def shrink(weights: Array, share: float) -> Array:
    """Return weights (m,), (q, m) or (q, m, q) moved towards the plain average."""
    return (1.0 - share) * weights + share * plain_average(weights)
