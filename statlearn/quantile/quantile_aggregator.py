"""`QuantileAggregator`: many quantile models, one calibrated grid of quantiles."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from statlearn.metrics import pinball_loss
from statlearn.quantile._base_models import predict_stack
from statlearn.quantile._calibrated_grid import CalibratedGridRegressor
from statlearn.quantile._calibration_split import split_rows
from statlearn.quantile._combiner import Recipe, read_recipe
from statlearn.quantile._ensemble import (
    Ensemble,
    Evidence,
    cross_fit_models,
    evidence_of_forecasts,
)
from statlearn.quantile._fit_rows import FitRows, read_fit_rows, take
from statlearn.quantile._forecasts import (
    Forecasts,
    read_fit_forecasts,
    read_new_forecasts,
)
from statlearn.quantile._gate import read_features
from statlearn.quantile._named_models import HoldsNamedModels, read_models
from statlearn.utils._rng import as_generator
from statlearn.utils._sklearn import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    fit_context,
)

Array = NDArray[np.float64]

_LEVELS = tuple((np.arange(1, 20) / 20).tolist())


class QuantileAggregator(
    CallbackSupportMixin, CalibratedGridRegressor, HoldsNamedModels
):
    r"""Combine quantile models by learnt weights, in order and calibrated.

    Gradient boosting, forests and linear models each predict some quantiles well, on
    some rows. This fits them out of fold, learns which weight each deserves, for all
    levels together or level by level, and gives one grid of quantiles that does not
    cross. For a single model see :class:`ConformalQuantileRegressor`.

    Parameters
    ----------
    estimators : list of (str, estimator) or of estimators, default=None
        Models that give quantiles, named by their class where they come without a
        name: by ``predict_quantiles(X, levels)`` or
        ``predict(X, quantiles=[...])``. Others are wrapped in
        :class:`MultiQuantileRegressor` or :class:`LocationScaleQuantiles` first. None
        is for forecasts that are there already, see :meth:`fit_predictions`.
    levels : array-like of shape (q,), default=(0.05, 0.1, ..., 0.95)
        Quantile levels, strictly increasing in (0, 1).
    resolution : {"coarse", "medium", "fine"} or int, default="medium"
        One weight for each model; for each model and level; for each model, output
        level and input level; or for each model and each of so many groups of
        neighbouring levels.
    constraint : {"simplex", "unit_sum", "nonneg", "free"}, default="simplex"
        Weights >= 0 of total one, of total one, >= 0, or any numbers.
    intercept : bool, default=False
        Add a constant to each weight vector.
    local : {None, "linear"} or object, default=None
        Weights that depend on the row: a softmax that is linear in X, which then has
        to be numbers, or an object with methods ``fit(Q, y, X, levels,
        sample_weight=)`` and ``weights(X)`` as of :class:`LinearGate`.
    shrinkage : {"cv"} or float, default="cv"
        Share in [0, 1] of the plain average that is mixed in; "cv" takes the one of
        0, 0.05, ..., 1 that does best on the folds of `cv`.
    cv : int, splitter or iterable, default=5
        Folds that are held out for predictions that weights are learnt from; an
        integer means folds of consecutive rows. Rows that are never held out, as the
        first ones of a time series, only serve for fitting.
    monotone : {"sort", "isotonic", None}, default="sort"
        How the quantiles of a row are put in order; None leaves them as they are,
        unless they are calibrated.
    average : {"quantiles", "probabilities"}, default="quantiles"
        Average quantile functions, or distribution functions (the linear pool), whose
        weights, one for each model, minimise the CRPS whatever the `resolution`.
    calibration : {None, "split", "cv+", "jackknife-minmax"}, default=None
        Conformal calibration: on rows that are held out of everything, or across
        folds of nested cross-fitting, which fits each model K(K-1)/2 + K + 1 times.
    calibration_size : float or int, default=0.25
        Share or number of rows that "split" holds out.
    refit : bool, default=True
        Predict by models fitted to all rows; otherwise by the mean of those of the
        folds.
    n_jobs : int, default=None
        Fits that run at the same time, through joblib. Results do not depend on it.
    random_state : int, Generator, RandomState or None, default=None
        Rows held out by "split", and seeds for models whose own is None.

    Attributes
    ----------
    weights_ : ndarray of shape (m,), (q, m) or (q, m, q)
        Weights by model, level and input level, as far as they differ, with the share
        of the plain average; their mean over rows if they are local.
    intercept_ : ndarray of shape (q,)
        What is added to each level. Only with global weights of quantiles.
    shrinkage_ : float
        Share of the plain average.
    levels_ : ndarray of shape (q,)
        The levels.
    estimators_ : list of m estimators
        Models fitted to all rows. Not for given forecasts or without `refit`.
    estimator_names_ : list of m str
        Names of the models.
    fold_estimators_ : list of K lists of m estimators
        Models fitted without each fold. Only with calibration across folds, or
        without `refit`.
    oof_quantiles_ : ndarray of shape (n, m, q)
        Predictions by models that have not seen the row; NaN for rows that were never
        held out, or are held out for calibration, or have no weight beside such.
    base_scores_ : ndarray of shape (m,)
        Mean pinball loss of each model on these predictions.
    objective_, duality_gap_ : float
        Mean pinball loss of the weights before they are shrunk, and how far at most
        it is above the least one. Only with global weights of quantiles.
    n_iter_ : int
        Iterations of their solver.
    conformity_scores_, offsets_, n_calibration_, groups_
        As of :class:`ConformalQuantileRegressor`. Only with calibration.
    n_features_in_ : int
        Number of features, if the models know it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, if the models know them.

    See Also
    --------
    fit_quantile_weights : The weights alone.
    linear_pool : The average of distribution functions alone.
    ConformalQuantileRegressor : Calibrates a single model.
    sklearn.ensemble.StackingRegressor : Learnt weights for means.

    Notes
    -----
    With out-of-fold quantiles :math:`Q_{ijk}` of row i, model j and level
    :math:`\tau_k`, weights at resolution "medium" solve the linear program

    .. math:: \min_w \frac{1}{q \sum_i s_i} \sum_{i,k} s_i\,
              \rho_{\tau_k}\Bigl(y_i - \sum_j w_{kj} Q_{ijk}\Bigr)

    over the set of the `constraint`, exactly, with :math:`\rho` the pinball loss; see
    :func:`fit_quantile_weights` for the others. Weights that are not unique (equal
    models) are one of the solutions.

    Base models take almost all of the time: K fits of each and one more. Weights take
    O(n m² q) a solver's step, times K + 1 with ``shrinkage="cv"``; out-of-fold
    predictions n m q numbers of memory, K times as many with calibration across folds.

    Calibration across folds is honest: the weights of fold k are learnt from models
    that have seen neither fold k nor their own row. Sample weights reach the models,
    the weights and the calibration, where they are counts. ``groups`` in `fit` are
    rows that belong together, for splitters such as GroupKFold; in `calibrate` and in
    predict methods they are groups that are calibrated each by itself.

    Sorting and isotonic regression never make the mean pinball loss of a row worse.

    References
    ----------
    Rasool Fakoor, Taesup Kim, Jonas Mueller, Alexander J. Smola, Ryan J. Tibshirani.
    Flexible Model Aggregation for Quantile Regression. JMLR, 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import HistGradientBoostingRegressor
    >>> from statlearn.quantile import (
    ...     LinearQuantileRegression, MultiQuantileRegressor, QuantileAggregator
    ... )
    >>> X, y = load_diabetes(return_X_y=True)
    >>> levels = [0.1, 0.5, 0.9]
    >>> trees = HistGradientBoostingRegressor(
    ...     loss="quantile", quantile=0.5, max_iter=20
    ... )
    >>> models = [
    ...     ("linear", LinearQuantileRegression(levels)),
    ...     ("trees", MultiQuantileRegressor(trees, levels=levels)),
    ... ]
    >>> model = QuantileAggregator(models, levels=levels).fit(X, y)
    >>> model.weights_.shape, model.predict_quantiles(X[:2]).shape
    ((3, 2), (2, 3))
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimators": [list, tuple, None],
        "levels": ["array-like"],
        "resolution": [
            StrOptions({"coarse", "medium", "fine"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "constraint": [StrOptions({"simplex", "unit_sum", "nonneg", "free"})],
        "intercept": ["boolean"],
        "local": [StrOptions({"linear"}), HasMethods(["fit", "weights"]), None],
        "shrinkage": [StrOptions({"cv"}), Interval(Real, 0, 1, closed="both")],
        "cv": ["cv_object"],
        "monotone": [StrOptions({"sort", "isotonic"}), None],
        "average": [StrOptions({"quantiles", "probabilities"})],
        "calibration": [StrOptions({"split", "cv+", "jackknife-minmax"}), None],
        "calibration_size": [
            Interval(RealNotInt, 0, 1, closed="neither"),
            Interval(Integral, 1, None, closed="left"),
        ],
        "refit": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state", np.random.Generator],
    }

    _calibration_optional = True
    _fitted: tuple[str, ...] = (
        "_fold_combiners",
        "duality_gap_",
        "estimators_",
        "feature_names_in_",
        "fold_estimators_",
        "intercept_",
        "n_features_in_",
        "n_iter_",
        "objective_",
    )

    def __init__(
        self,
        estimators=None,
        *,
        levels=_LEVELS,
        resolution="medium",
        constraint="simplex",
        intercept=False,
        local=None,
        shrinkage="cv",
        cv=5,
        monotone="sort",
        average="quantiles",
        calibration=None,
        calibration_size=0.25,
        refit=True,
        n_jobs=None,
        random_state=None,
    ):
        self.estimators = estimators
        self.levels = levels
        self.resolution = resolution
        self.constraint = constraint
        self.intercept = intercept
        self.local = local
        self.shrinkage = shrinkage
        self.cv = cv
        self.monotone = monotone
        self.average = average
        self.calibration = calibration
        self.calibration_size = calibration_size
        self.refit = refit
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        """Return tags; sparse rows are for the models to take."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags

    # -- fitting ----------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None
    ) -> QuantileAggregator:
        """Fit the models out of fold, learn their weights, and fit them to all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, handed on to the models as they are.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, taken by position.
        groups : array-like of shape (n_samples,), default=None
            Labels of rows that folds and splits do not part, for splitters that keep
            groups together.

        Returns
        -------
        self : QuantileAggregator
            The fitted estimator.

        Raises
        ------
        TypeError
            If a model gives no quantiles, or takes no weights where there are some.
        ValueError
            For bad levels, weights or groups, parameters that exclude each other, too
            few rows, folds that overlap, or a model that predicts NaN.
        """
        caller = type(self).__name__
        recipe = read_recipe(self)
        models = read_models(self.estimators, recipe.levels, caller)
        rows = read_fit_rows(X, y, sample_weight, groups, caller)
        if self.local == "linear":
            read_features(rows.X, caller)
        return self._fit(rows, recipe, models)

    @fit_context(prefer_skip_nested_validation=False)
    def fit_predictions(
        self,
        P: Any,
        y: Any,
        sample_weight: Any = None,
        X: Any = None,
        groups: Any = None,
    ) -> QuantileAggregator:
        """Learn the weights of forecasts that are there already.

        They must be honest: made without the targets of their rows. Predict methods
        then take forecasts (n, m, q) of the same models in the place of X.

        Parameters
        ----------
        P : array-like of shape (n_samples, m, q)
            Quantiles of m models at the levels.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows.
        X : array-like of shape (n_samples, n_features), default=None
            Features, for `local` weights.
        groups : array-like of shape (n_samples,), default=None
            Labels of rows that folds and splits do not part.

        Returns
        -------
        self : QuantileAggregator
            The fitted estimator.

        Raises
        ------
        ValueError
            For forecasts of another shape or that are missing, bad levels, weights or
            groups, or parameters that exclude each other.
        """
        caller = type(self).__name__
        recipe = read_recipe(self)
        if self.estimators is not None:
            raise ValueError(
                f"The 'estimators' of {caller} must be None for given forecasts. Got "
                f"{len(self.estimators)} models; call fit(X, y) to fit them."
            )
        given = read_fit_forecasts(P, y, X, recipe.levels, self.local, caller)
        rows = read_fit_rows(given.P, y, sample_weight, groups, caller)
        names = [(f"model_{number}", None) for number in range(given.P.shape[1])]
        return self._fit(replace(rows, X=given), recipe, names)

    def _fit(
        self, rows: FitRows, recipe: Recipe, models: list[tuple[str, Any]]
    ) -> QuantileAggregator:
        """Learn from rows, or all that are not held out, and calibrate."""
        self._forget_calibration()
        for name in self._fitted:
            self.__dict__.pop(name, None)
        train, held = self._hold_out(rows)
        fit_rows = rows.take(train)
        ctx = self._init_callback_context(max_subtasks=2)
        ctx.call_on_fit_task_begin(estimator=self, X=rows.X, y=rows.y)
        task = self._begin(ctx, "cross-fitting", rows)
        evidence = self._gather(fit_rows, recipe, models)
        self._end(task, rows)
        task = self._begin(ctx, "weights", rows)
        self._ensemble = Ensemble.of(recipe, evidence)
        self._end(task, rows)
        self.levels_ = recipe.levels
        self.estimator_names_ = [name for name, _ in models]
        self._describe(evidence, train[evidence.rows], len(rows.y))
        if self.calibration == "split":
            self._calibrate(rows.take(held), None)
        elif self.calibration is not None:
            self._calibrate_folds(evidence, fit_rows)
        self._end(ctx, rows)
        return self

    def _gather(
        self, rows: FitRows, recipe: Recipe, models: list[tuple[str, Any]]
    ) -> Evidence:
        caller = type(self).__name__
        nested = self.calibration in ("cv+", "jackknife-minmax")
        if isinstance(rows.X, Forecasts):
            return evidence_of_forecasts(
                rows, recipe, self.cv, nested=nested, caller=caller
            )
        return cross_fit_models(
            models,
            rows,
            recipe,
            self.cv,
            nested=nested,
            refit=self.refit,
            random_state=self.random_state,
            n_jobs=self.n_jobs,
            caller=caller,
        )

    def _describe(self, evidence: Evidence, rows: NDArray[np.intp], n: int) -> None:
        """Store what was learnt; the evidence is about some of n rows."""
        stack, combiner = evidence.stack, self._ensemble.combiner
        self.weights_, self.shrinkage_ = combiner.weights, combiner.share
        self.__dict__ |= combiner.report()
        self.oof_quantiles_ = np.full((n, *stack.Q.shape[1:]), np.nan)
        self.oof_quantiles_[rows] = stack.Q
        self.base_scores_ = np.array(
            [
                pinball_loss(stack.y, grid, self.levels_, sample_weight=stack.weight)
                for grid in stack.Q.swapaxes(0, 1)
            ]
        )
        if evidence.estimators:
            self.estimators_ = evidence.estimators
        if evidence.fold_estimators:
            self.fold_estimators_ = evidence.fold_estimators
        for model in evidence.estimators or next(iter(evidence.fold_estimators), []):
            for name in ("n_features_in_", "feature_names_in_"):
                if hasattr(model, name) and not hasattr(self, name):
                    setattr(self, name, getattr(model, name))

    def _begin(self, ctx: Any, name: str, rows: FitRows) -> Any:
        task = ctx.subcontext(task_name=name)
        task.call_on_fit_task_begin(estimator=self, X=rows.X, y=rows.y)
        return task

    def _end(self, task: Any, rows: FitRows) -> None:
        task.call_on_fit_task_end(estimator=self, X=rows.X, y=rows.y)

    # -- calibration ------------------------------------------------------------

    def _hold_out(self, rows: FitRows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows to learn from and the rows to calibrate with."""
        n, size = len(rows.y), self.calibration_size
        if self.calibration != "split":
            return np.arange(n), np.arange(0)
        rng = as_generator(self.random_state)
        # Rows without weight must not change what is drawn.
        counted = np.arange(n) if rows.weight is None else np.flatnonzero(rows.weight)
        groups = take(rows.groups, counted)
        train, held = split_rows(
            len(counted), size, groups, True, rng, type(self).__name__
        )
        return counted[train], counted[held]

    def _calibrate_folds(self, evidence: Evidence, rows: FitRows) -> None:
        """Calibrate with rows of each fold, by the ensemble that has not seen it."""
        stack = evidence.stack
        kept = np.flatnonzero(stack.fold >= 0)
        grid = self._ensemble.held_out_grid(stack)[kept]
        self._store_scores(
            stack.y[kept, np.newaxis] - grid,
            method=self.calibration,
            folds=stack.fold[kept],
            sample_weight=None if rows.weight is None else stack.weight[kept],
            groups=None,
        )

    # -- prediction -------------------------------------------------------------

    def combine(
        self, P: Any, X: Any = None, groups: Any = None, sample_weight: Any = None
    ) -> Array:
        """Combine given forecasts of the same models into one grid.

        Parameters
        ----------
        P : array-like of shape (n_samples, m, q)
            Quantiles of the m models at the levels of the fit.
        X : array-like of shape (n_samples, n_features), default=None
            Features, for `local` weights.
        groups : array-like of shape (n_samples,), default=None
            Their groups, if groups were calibrated by themselves.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights, if calibration had weights; by default 1.

        Returns
        -------
        grid : ndarray of shape (n_samples, q)
            Weighted, put in order, and calibrated if there was a calibration.

        Raises
        ------
        ValueError
            For forecasts of another shape or that are missing, or an unknown group.
        """
        check_is_fitted(self)
        return self.predict_quantiles(Forecasts(P, X), None, groups, sample_weight)

    def _full_grid(self, X: Any) -> Array:
        if self.estimators is None or isinstance(X, Forecasts):
            given = self._read_given(X)
            return self._ensemble.combiner.combine(given.P, given.X)
        if hasattr(self, "estimators_"):
            stack = self._stack(X, self.estimators_)
        else:
            stacks = [self._stack(X, models) for models in self.fold_estimators_]
            stack = np.mean(stacks, axis=0)
        return self._ensemble.combiner.combine(stack, X)

    def _base_grids(self, X: Any) -> Array:
        combiners = self._ensemble.fold_combiners
        if self._calibration_rows.method == "split":
            return self._full_grid(X)
        if self.estimators is None or isinstance(X, Forecasts):
            given = self._read_given(X)
            return np.stack([each.combine(given.P, given.X) for each in combiners])
        return np.stack(
            [
                combiner.combine(self._stack(X, models), X)
                for combiner, models in zip(
                    combiners, self.fold_estimators_, strict=True
                )
            ]
        )

    def _stack(self, X: Any, models: list[Any]) -> Array:
        """Return what models predict (n, m, q)."""
        named = zip(self.estimator_names_, models, strict=True)
        return predict_stack(named, X, self.levels_)

    def _read_given(self, X: Any) -> Forecasts:
        """Return forecasts that came in the place of X."""
        m, caller = len(self.estimator_names_), type(self).__name__
        return read_new_forecasts(X, self.levels_, m, self.local, caller)
