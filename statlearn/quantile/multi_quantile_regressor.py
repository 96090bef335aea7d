"""`MultiQuantileRegressor`: a grid of quantiles from an estimator of one level."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.parallel import Parallel, delayed

from statlearn.quantile._base_models import HoldsEstimator, fit_base
from statlearn.quantile._grid import GridRegressor
from statlearn.quantile._level_parameter import find_level_parameter
from statlearn.quantile._monotone import monotone_rows
from statlearn.utils._levels import read_levels
from statlearn.utils._sklearn import HasMethods, StrOptions, fit_context
from statlearn.utils._validation import read_sample_weight

Array = NDArray[np.float64]


class MultiQuantileRegressor(HoldsEstimator, GridRegressor):
    r"""A grid of quantiles from clones of an estimator, one for each level.

    For estimators that fit one quantile at a time: quantile boosting and
    ``QuantileRegressor`` of scikit-learn, LightGBM, XGBoost, alone or in a pipeline.
    Estimators that give many quantiles by themselves need it not.

    Parameters
    ----------
    estimator : estimator
        A regressor of one conditional quantile, set to that loss.
    levels : array-like of shape (n_levels,)
        Quantile levels, strictly increasing in (0, 1).
    level_param : str, default="auto"
        Parameter of `estimator` that takes the level, in a pipeline with the name of
        its step: ``"step__quantile"``. "auto" knows ``quantile``, ``alpha`` of
        scikit-learn's ``GradientBoostingRegressor(loss="quantile")`` and LightGBM's
        ``objective="quantile"``, and ``quantile_alpha`` of XGBoost's
        ``objective="reg:quantileerror"``.
    monotone : {"sort", "isotonic", "minmax"} or None, default=None
        How the quantiles of a row are put in order. None leaves them as the clones
        predict them, which may cross.
    n_jobs : int, default=None
        Levels that are fitted at the same time, as in joblib.

    Attributes
    ----------
    estimators_ : list of estimators of length n_levels
        The fitted clones.
    levels_ : ndarray of shape (n_levels,)
        Their levels.
    level_param_ : str
        The parameter that was set.
    n_features_in_ : int
        Number of features, if the clones know it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, if the clones know them.

    See Also
    --------
    LinearQuantileRegression : Linear quantiles at many levels in one fit.
    LocationScaleQuantiles : A grid from an estimator of the mean.
    sklearn.ensemble.HistGradientBoostingRegressor : Boosting with a quantile loss.

    Notes
    -----
    The clone of level :math:`\tau_k` minimises its own loss, as a rule

    .. math:: \frac{1}{W} \sum_i s_i\, \psi_{\tau_k}(y_i - q_k(x_i)), \qquad
        \psi_\tau(e) = \max(\tau e, (\tau - 1) e),

    where s are the sample weights and W is their sum. What weights mean is up to the
    estimator. The clones know nothing of each other, so their quantiles may cross; to
    sort them never raises the sum of the pinball losses over the levels.

    One fit of `estimator` a level. Results do not depend on `n_jobs`, unless the
    estimator draws random numbers without a seed. With metadata routing, request
    weights of this estimator by ``set_fit_request(sample_weight=True)``, and other
    metadata of the one inside.

    References
    ----------
    Roger Koenker, Gilbert Bassett. Regression Quantiles. Econometrica 46(1), 1978.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import HistGradientBoostingRegressor
    >>> from statlearn.quantile import MultiQuantileRegressor
    >>> X = np.arange(200.0)[:, None]
    >>> y = X[:, 0] + np.tile([-20.0, -10.0, 0.0, 10.0, 20.0], 40)
    >>> boosting = HistGradientBoostingRegressor(loss="quantile", max_iter=20)
    >>> model = MultiQuantileRegressor(boosting, levels=[0.1, 0.5, 0.9]).fit(X, y)
    >>> model.level_param_
    'quantile'
    >>> model.predict_quantiles(X[:2]).shape
    (2, 3)
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit", "predict", "set_params"])],
        "levels": ["array-like"],
        "level_param": [str],
        "monotone": [StrOptions({"sort", "isotonic", "minmax"}), None],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self, estimator, *, levels, level_param="auto", monotone=None, n_jobs=None
    ):
        self.estimator = estimator
        self.levels = levels
        self.level_param = level_param
        self.monotone = monotone
        self.n_jobs = n_jobs

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what this estimator and the one inside ask of metadata.

        Returns
        -------
        routing : MetadataRouter
            Weights are asked for here; other metadata goes to the one inside.
        """
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(
                estimator=self.estimator,
                method_mapping=MethodMapping().add(caller="fit", callee="fit"),
            )
        )

    def _routed(self, fit_params: dict[str, Any]) -> dict[str, Any]:
        """Return the metadata for the ``fit`` of the clones."""
        if not (fit_params and get_config()["enable_metadata_routing"]):
            return fit_params
        return dict(process_routing(self, "fit", **fit_params)["estimator"]["fit"])

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any
    ) -> MultiQuantileRegressor:
        """Fit a clone for each level.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, handed on as they are.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, taken by position.
        **fit_params : dict
            Further metadata for the ``fit`` of the clones.

        Returns
        -------
        self : MultiQuantileRegressor
            The fitted estimator.

        Raises
        ------
        TypeError
            If there are weights and the estimator takes none.
        ValueError
            For levels that are unsorted, repeated or outside (0, 1), for bad weights,
            and if no parameter takes the level.
        """
        caller = type(self).__name__
        levels = read_levels(self.levels, caller)
        name = find_level_parameter(self.estimator, self.level_param, caller)
        y = self._read_target(y)
        if sample_weight is not None:
            sample_weight = read_sample_weight(sample_weight, y, caller)
        params = self._routed(fit_params)
        self.estimators_ = Parallel(n_jobs=self.n_jobs)(
            delayed(fit_base)(
                clone(self.estimator).set_params(**{name: float(level)}),
                X,
                y,
                sample_weight,
                **params,
            )
            for level in levels
        )
        self.levels_, self.level_param_ = levels, name
        self._learn_features(self.estimators_[0])
        return self

    def _predict_grid(self, X: Any) -> Array:
        columns = [estimator.predict(X) for estimator in self.estimators_]
        grid = np.column_stack(columns).astype(np.float64, copy=False)
        return monotone_rows(grid, self.monotone)
