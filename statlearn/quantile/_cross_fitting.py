"""Cross-fitting: base models that predict only rows they were not fitted to.

Each row gets its prediction from the model of the fold that held it out. Nested
cross-fitting leaves out pairs of folds: what is learnt from the out-of-fold predictions
of the other folds, such as weights of an ensemble, has then not seen fold k either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils.parallel import Parallel, delayed

from statlearn.quantile._base_models import fit_base, predict_grid
from statlearn.quantile._fit_rows import FitRows
from statlearn.utils._rng import as_generator
from statlearn.utils._sklearn import take_rows

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
Models = Sequence[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Folds:
    """Folds of n rows, each of which is held out once or never.

    Attributes
    ----------
    train : list of K ndarray
        Rows that the models of each fold are fitted to.
    test : list of K ndarray
        Rows that are held out of it, in ascending order.
    covered : ndarray of shape (n_covered,)
        Rows that are held out of some fold, in ascending order.
    fold : ndarray of shape (n_covered,)
        The fold of each of them.
    """

    train: list[Rows]
    test: list[Rows]
    covered: Rows
    fold: Rows

    def __len__(self) -> int:
        """Return the number of folds."""
        return len(self.test)


@dataclass(frozen=True, slots=True)
class CrossFit:
    """Out-of-fold predictions, and the models behind them.

    Attributes
    ----------
    folds : Folds
    stack : ndarray of shape (n_covered, m, q)
        Predictions for the covered rows by the models without their fold.
    fold_estimators : list of K lists of m estimators
        Empty unless they were to be kept.
    estimators : list of m estimators
        Fitted to all rows; empty without `refit`.
    """

    folds: Folds
    stack: Array
    fold_estimators: list[list[Any]]
    estimators: list[Any]


@dataclass(frozen=True, slots=True)
class NestedCrossFit(CrossFit):
    """Out-of-fold predictions inside of each fold's training rows as well.

    Attributes
    ----------
    folds : Folds
    stack : ndarray of shape (n_covered, m, q)
    fold_estimators : list of K lists of m estimators
    estimators : list of m estimators
    inner : list of K ndarray, each of shape (n_covered - n_k, m, q)
        For the covered rows outside of fold k: predictions by the models without fold
        k and without their own fold.
    """

    inner: list[Array]

    def outside(self, k: int) -> Rows:
        """Return the positions of rows of ``inner[k]`` among the covered ones."""
        return np.flatnonzero(self.folds.fold != k)


def read_folds(cv: Any, X: Any, y: Any, groups: Any, caller: str) -> Folds:
    """Return the folds of a splitter, or say what they should be.

    Parameters
    ----------
    cv : int, splitter or iterable of (train, test)
        An integer means that many folds of consecutive rows.
    X : array-like of shape (n, n_features)
    y : ndarray of shape (n,)
    groups : array-like of shape (n,) or None
        For splitters that keep groups together.
    caller : str

    Returns
    -------
    folds : Folds
        Rows that are never held out, as the first ones of a time series, are not
        covered.

    Raises
    ------
    ValueError
        If there are fewer rows than folds, a fold is empty, or a row is held out twice.
    """
    n = len(y)
    splitter = check_cv(cv, classifier=False)
    n_splits = splitter.get_n_splits(X, y, groups)
    if n_splits > n:
        raise ValueError(
            f"The 'cv' of {caller} must have no more folds than rows. Got {n_splits} "
            f"folds for n_samples={n}; pass fewer folds or more rows."
        )
    train, test = [], []
    for kept, held in splitter.split(X, y, groups):
        train.append(np.arange(n)[kept])
        test.append(np.sort(np.arange(n)[held]))
    times = np.bincount(np.concatenate([np.empty(0, np.intp), *test]), minlength=n)
    if not test or any(not len(rows) for rows in [*train, *test]):
        raise ValueError(
            f"The 'cv' of {caller} must give folds with rows to fit to and rows to "
            f"hold out. Got {len(test)} folds, or one that is empty; pass other folds."
        )
    if times.max() > 1:
        raise ValueError(
            f"The 'cv' of {caller} must hold each row out once at most. Got "
            f"{(times > 1).sum()} rows that are held out more often, the first is row "
            f"{np.argmax(times > 1)}; pass folds that do not overlap, such as KFold."
        )
    fold = np.full(n, -1, np.intp)
    for k, rows in enumerate(test):
        fold[rows] = k
    covered = np.flatnonzero(fold >= 0)
    return Folds(train, test, covered, fold[covered])


def cross_fit(
    models: Models,
    X: Any,
    y: Array,
    levels: Array,
    folds: Folds,
    *,
    sample_weight: Array | None = None,
    random_state: Any = None,
    n_jobs: int | None = None,
    keep: bool = False,
    refit: bool = True,
) -> CrossFit:
    """Fit each model without each fold, and predict the rows of the fold.

    Parameters
    ----------
    models : sequence of m pairs (name, estimator)
    X : array-like of shape (n, n_features)
    y : ndarray of shape (n,)
    levels : ndarray of shape (q,)
    folds : Folds
    sample_weight : ndarray of shape (n,), default=None
    random_state : int, Generator, RandomState or None, default=None
        Seeds the parameters ``random_state`` of the models that are None.
    n_jobs : int, default=None
    keep : bool, default=False
        Keep the K m models of the folds.
    refit : bool, default=True
        Fit the m models to all rows as well.

    Returns
    -------
    fit : CrossFit
        After K m fits, and m more with `refit`.
    """
    tasks = [
        _Task((k,), folds.train[k], (folds.test[k],), keep) for k in range(len(folds))
    ]
    if refit:
        tasks.append(_ALL_ROWS)
    plan = _FitPlan(models, levels, tasks, random_state, n_jobs)
    done = plan.fit(FitRows(X, y, sample_weight, None))
    stack = _stack(folds, [(k, done[(k,)].grids[0]) for k in range(len(folds))])
    fold_estimators = [done[(k,)].fitted for k in range(len(folds))] if keep else []
    return CrossFit(folds, stack, fold_estimators, done[()].fitted if refit else [])


def nested_cross_fit(
    models: Models,
    X: Any,
    y: Array,
    levels: Array,
    folds: Folds,
    *,
    sample_weight: Array | None = None,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> NestedCrossFit:
    """Fit each model without each fold and without each pair of folds, and keep them.

    The model without folds k and l predicts both: l for what is learnt without k, and
    k for what is learnt without l.

    Parameters
    ----------
    models : sequence of m pairs (name, estimator)
    X : array-like of shape (n, n_features)
    y : ndarray of shape (n,)
    levels : ndarray of shape (q,)
    folds : Folds
    sample_weight : ndarray of shape (n,), default=None
    random_state : int, Generator, RandomState or None, default=None
    n_jobs : int, default=None

    Returns
    -------
    fit : NestedCrossFit
        After K (K - 1) / 2 + K + 1 fits of each model; memory of K n m q numbers.

    Raises
    ------
    ValueError
        If no rows are left outside of two folds.
    """
    numbers = range(len(folds))
    tasks = [_Task((k,), folds.train[k], (folds.test[k],)) for k in numbers]
    for k, other in combinations(numbers, 2):
        both = np.intersect1d(folds.train[k], folds.train[other])
        if not len(both):
            raise ValueError(
                f"Nested cross-fitting expected rows to fit to outside of any two "
                f"folds. Got none outside of folds {k} and {other} of {len(folds)}; "
                f"pass a 'cv' of three folds or more."
            )
        tasks.append(_Task((k, other), both, (folds.test[k], folds.test[other])))
    plan = _FitPlan(models, levels, [*tasks, _ALL_ROWS], random_state, n_jobs)
    done = plan.fit(FitRows(X, y, sample_weight, None))
    stack = _stack(folds, [(k, done[(k,)].grids[0]) for k in numbers])
    inner = []
    for k in numbers:
        parts = []
        for other in numbers:
            if other != k:
                pair = (min(k, other), max(k, other))
                parts.append((other, done[pair].grids[pair.index(other)]))
        inner.append(_stack(folds, parts)[folds.fold != k])
    fold_estimators = [done[(k,)].fitted for k in numbers]
    return NestedCrossFit(folds, stack, fold_estimators, done[()].fitted, inner)


@dataclass(slots=True)
class _Done:
    """Models fitted to the same rows, and their predictions for others.

    Attributes
    ----------
    fitted : list of m estimators
    grids : list of ndarray, each of shape (n_rows, m, q)
        For each set of rows to predict.
    """

    fitted: list[Any]
    grids: list[Array]


@dataclass(frozen=True, slots=True)
class _Task:
    """Rows to fit models to, and sets of rows that they predict.

    Attributes
    ----------
    left_out : tuple of int
        Folds that are left out, which name the task.
    train : ndarray or None
        None for all rows.
    tests : tuple of ndarray
    keep : bool, default=True
        Whether the fitted models are kept.
    """

    left_out: tuple[int, ...]
    train: Rows | None
    tests: tuple[Rows, ...]
    keep: bool = True


_ALL_ROWS = _Task((), None, ())


@dataclass(frozen=True, slots=True)
class _FitPlan:
    """What to fit m models to, and what they predict.

    Attributes
    ----------
    models : sequence of m pairs (name, estimator)
    levels : ndarray of shape (q,)
    tasks : list of _Task
    random_state : int, Generator, RandomState or None
    n_jobs : int or None
    """

    models: Models
    levels: Array
    tasks: list[_Task]
    random_state: Any
    n_jobs: int | None

    def fit(self, rows: FitRows) -> dict[tuple[int, ...], _Done]:
        """Fit all models to the rows of each task, named by the folds left out."""
        m = len(self.models)
        # Drawn here, so that the answer does not depend on who runs what.
        rng = as_generator(self.random_state)
        seeds = rng.integers(2**31, size=(len(self.tasks), m))
        found = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_one)(name, seeded(model, seed), rows, task, self.levels)
            for task, row in zip(self.tasks, seeds.tolist(), strict=True)
            for (name, model), seed in zip(self.models, row, strict=True)
        )
        done = {}
        for number, task in enumerate(self.tasks):
            own = found[number * m : (number + 1) * m]
            by_rows = zip(*(grids for _, grids in own), strict=True)
            grids = [np.stack(parts, axis=1) for parts in by_rows]
            done[task.left_out] = _Done([fitted for fitted, _ in own], grids)
        return done


def _fit_one(
    name: str, model: Any, rows: FitRows, task: _Task, levels: Array
) -> tuple[Any, list[Array]]:
    """Return a fitted model, if it is to be kept, and its grids for sets of rows."""
    own = rows if task.train is None else rows.take(task.train)
    if own.weight is not None and not own.weight.any():
        raise ValueError(
            f"Cross-fitting expected rows with weight to fit {name!r} to outside "
            f"of each fold. Got none in {len(own.y)} rows; leave out rows of zero "
            f"weight, or pass a 'cv' that shuffles."
        )
    fitted = fit_base(model, own.X, own.y, own.weight, name)
    grids = [
        predict_grid(fitted, take_rows(rows.X, test), levels, name)
        for test in task.tests
    ]
    return (fitted if task.keep else None), grids


def seeded(estimator: Any, seed: int) -> Any:
    """Return a clone whose parameters ``random_state`` are set where they are None."""
    model = clone(estimator)
    missing = [
        name
        for name, value in sorted(model.get_params(deep=True).items())
        if value is None and name.rpartition("__")[2] == "random_state"
    ]
    rng = np.random.default_rng(seed)
    drawn = {name: int(rng.integers(2**31)) for name in missing}
    return model.set_params(**drawn) if drawn else model


def _stack(folds: Folds, parts: Sequence[tuple[int, Array]]) -> Array:
    """Return grids of folds as one array (n_covered, m, q), NaN for other folds."""
    stack = np.full((len(folds.covered), *parts[0][1].shape[1:]), np.nan)
    for k, grids in parts:
        stack[folds.fold == k] = grids
    return stack
