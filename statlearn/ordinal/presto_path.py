"""Coefficients of PRESTO along a sequence of penalties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from statlearn.ordinal._path import descending_alphas, path_coefficients, run_path
from statlearn.ordinal.presto import PrestoClassifier
from statlearn.utils._numbers import number_in, positive_integer
from statlearn.utils._sklearn import fit_context

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OrdinalPath:
    """Coefficients of PRESTO over a sequence of penalties.

    Attributes
    ----------
    alphas : ndarray of shape (n_alphas,)
        Penalties in descending order.
    intercepts : ndarray of shape (n_alphas, n_classes - 1)
        Intercepts on the raw scale.
    coefs : ndarray of shape (n_alphas, n_classes - 1, n_features)
        Slopes on the raw scale.
    objectives : ndarray of shape (n_alphas,)
        Penalised mean negative log-likelihoods.
    n_iter : ndarray of shape (n_alphas,)
        Newton steps at each penalty.
    kkt : ndarray of shape (n_alphas,)
        Largest violations of the optimality conditions.
    alpha_max : float
        Smallest penalty at which every penalised coefficient is zero.
    classes : ndarray of shape (n_classes,)
        Classes from low to high.
    feature_names : ndarray of shape (n_features,)
        Names of the columns of X.
    """

    alphas: Array
    intercepts: Array
    coefs: Array
    objectives: Array
    n_iter: NDArray[np.int64]
    kkt: Array
    alpha_max: float
    classes: NDArray[Any]
    feature_names: NDArray[np.str_]


def presto_path(
    X: Any,
    y: Any,
    *,
    alphas: ArrayLike | None = None,
    n_alphas: int = 20,
    eps: float = 1e-2,
    sample_weight: ArrayLike | None = None,
    callbacks: Sequence[Any] = (),
    **options: Any,
) -> OrdinalPath:
    """Fit PRESTO for a descending sequence of penalties, each started at the last.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training rows.
    y : array-like of shape (n_samples,)
        Ordered labels.
    alphas : array-like of shape (n_alphas,), default=None
        Penalties; by default a log-spaced grid from the smallest penalty at which all
        penalised coefficients are zero.
    n_alphas : int, default=20
        Length of the grid.
    eps : float, default=1e-2
        Ratio of the last value of the grid to the first.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the rows.
    callbacks : sequence, default=()
        Callbacks of :mod:`sklearn.callback`, e.g. a ``ProgressBar``.
    **options : dict
        Any parameter of :class:`PrestoClassifier` but ``alpha`` and ``warm_start``.

    Returns
    -------
    path : OrdinalPath
        Coefficients, objectives and iteration counts for each penalty.

    See Also
    --------
    PrestoClassifierCV : Chooses a penalty from such paths.
    OrdinalPathDisplay : Draws one.

    References
    ----------
    Gregory Faletto, Jacob Bien. Predicting Rare Events by Shrinking Towards
    Proportional Odds. ICML, 2023.

    Examples
    --------
    >>> from statlearn.datasets import make_rare_ordinal
    >>> from statlearn.ordinal import presto_path
    >>> X, y = make_rare_ordinal(n_samples=500, random_state=0)
    >>> path = presto_path(X, y, n_alphas=5)
    >>> path.coefs.shape
    (5, 3, 10)
    >>> bool((path.coefs[0] == 0).all())
    True
    """
    caller = "presto_path"
    positive_integer(n_alphas, "n_alphas", caller, "20 is the default")
    hint = "0.01 is the default"
    number_in(eps, "eps", caller, hint, 0.0, 1.0, closed="neither")
    for name in ("alpha", "warm_start"):
        if name in options:
            raise TypeError(
                f"presto_path expected options of PrestoClassifier but {name!r}. Got "
                f"{name}={options[name]!r}; pass penalties as alphas=[...]."
            )
    estimator = PrestoClassifier(**options).set_callbacks(*callbacks)
    return _fit_path(estimator, X, y, sample_weight, (alphas, n_alphas, eps))


@fit_context(prefer_skip_nested_validation=True)
def _fit_path(
    estimator: PrestoClassifier,
    X: Any,
    y: Any,
    sample_weight: Any,
    grid: tuple[Any, int, float],
) -> OrdinalPath:
    data = estimator._read(X, y, sample_weight, reset=True)
    problem = estimator._pose(data)
    alphas = descending_alphas(problem.alpha_max, *grid)
    ctx = estimator._init_callback_context(max_subtasks=len(alphas))
    ctx.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    fits = run_path(estimator, problem, alphas, ctx)
    estimator._warn_unless_converged(fits, alphas)
    ctx.call_on_fit_task_end(estimator=estimator, X=X, y=y)
    intercepts, coefs = path_coefficients(problem, fits)
    return OrdinalPath(
        alphas=alphas,
        intercepts=intercepts,
        coefs=coefs,
        objectives=np.array([fit.solution.objective for fit in fits]),
        n_iter=np.array([fit.solution.n_iter for fit in fits]),
        kkt=np.array([fit.solution.kkt for fit in fits]),
        alpha_max=problem.alpha_max,
        classes=estimator.classes_,
        feature_names=data.feature_names,
    )
