"""One clone for each level, and how the parameter of the level is found."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import QuantileRegressor, Ridge, SGDRegressor
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from statlearn.quantile import MultiQuantileRegressor

LEVELS = [0.1, 0.5, 0.9]


class Keywords(RegressorMixin, BaseEstimator):
    """What LightGBM and XGBoost share: parameters that __init__ does not list."""

    def __init__(self, objective="regression", n_estimators=10, **kwargs):
        self.objective = objective
        self.n_estimators = n_estimators
        self.kwargs = kwargs

    @classmethod
    def _get_param_names(cls):
        return ["n_estimators", "objective"]

    def get_params(self, deep=True):
        return {**super().get_params(deep), **self.kwargs}

    def set_params(self, **params):
        for name, value in params.items():
            if name in ("objective", "n_estimators"):
                setattr(self, name, value)
            else:
                self.kwargs[name] = value
        return self

    def fit(self, X, y, sample_weight=None):
        self.n_features_in_ = np.shape(X)[1]
        self.quantile_ = np.quantile(y, self.kwargs[self.parameter])
        return self

    def predict(self, X):
        return np.full(len(X), self.quantile_)


class LightStub(Keywords):
    parameter = "alpha"


class XStub(Keywords):
    parameter = "quantile_alpha"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    return X, X[:, 0] + (1.0 + 0.5 * np.abs(X[:, 1])) * rng.normal(size=200)


KNOWN = {
    "quantile": (QuantileRegressor(alpha=0.0), "quantile"),
    "hist": (HistGradientBoostingRegressor(loss="quantile", max_iter=5), "quantile"),
    "gradient": (GradientBoostingRegressor(loss="quantile", n_estimators=5), "alpha"),
    "lightgbm": (LightStub("quantile"), "alpha"),
    "lightgbm with a level": (LightStub("quantile", alpha=0.3), "alpha"),
    "xgboost": (XStub("reg:quantileerror"), "quantile_alpha"),
    "pipeline": (
        make_pipeline(StandardScaler(), QuantileRegressor(alpha=0.0)),
        "quantileregressor__quantile",
    ),
    "pipeline of keywords": (
        make_pipeline(StandardScaler(), LightStub("quantile")),
        "lightstub__alpha",
    ),
    "search": (
        GridSearchCV(QuantileRegressor(), {"alpha": [0.0, 0.1]}, cv=2),
        "estimator__quantile",
    ),
}


@pytest.mark.parametrize("kind", KNOWN)
def test_the_parameter_of_the_level_is_found(data, kind):
    estimator, name = KNOWN[kind]
    model = MultiQuantileRegressor(estimator, levels=LEVELS).fit(*data)
    assert model.level_param_ == name
    for level, fitted in zip(LEVELS, model.estimators_, strict=True):
        assert fitted.get_params()[name] == level


@pytest.mark.parametrize("kind", ["quantile", "hist", "gradient", "lightgbm"])
def test_each_column_is_what_the_estimator_predicts_at_that_level(data, kind):
    estimator, name = KNOWN[kind]
    X, y = data
    estimator = clone(estimator)
    if kind in ("hist", "gradient"):
        estimator.set_params(random_state=0)
    grid = MultiQuantileRegressor(estimator, levels=LEVELS).fit(X, y)
    for column, level in zip(grid.predict_quantiles(X).T, LEVELS, strict=True):
        alone = clone(estimator).set_params(**{name: level}).fit(X, y)
        np.testing.assert_array_equal(column, alone.predict(X))


def test_a_parameter_named_by_the_user_needs_no_known_loss(data):
    model = MultiQuantileRegressor(
        XStub("custom"), levels=LEVELS, level_param="quantile_alpha"
    ).fit(*data)
    np.testing.assert_allclose(
        model.predict_quantiles(data[0][:1])[0], np.quantile(data[1], LEVELS)
    )


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (
            HistGradientBoostingRegressor(),
            "with loss='squared_error'; pass loss='quantile' to it",
        ),
        (
            GradientBoostingRegressor(),
            "with loss='squared_error'; pass loss='quantile' to it",
        ),
        (
            make_pipeline(StandardScaler(), HistGradientBoostingRegressor()),
            "with histgradientboostingregressor__loss='squared_error'; pass",
        ),
        (LightStub(), "with objective='regression'; pass objective='quantile'"),
        (SGDRegressor(), "with loss='squared_error'; pass loss='quantile' to it if"),
        (Ridge(), "Got Ridge with none that is known; name it by level_param="),
        (RandomForestRegressor(), "wrap the estimator in LocationScaleQuantiles"),
    ],
    ids=["hist", "gradient", "pipeline", "lightgbm", "sgd", "ridge", "forest"],
)
def test_estimators_of_another_loss_are_refused_with_what_to_pass(
    data, estimator, message
):
    with pytest.raises(ValueError, match=message):
        MultiQuantileRegressor(estimator, levels=LEVELS).fit(*data)


def test_several_parameters_are_refused_with_their_names(data):
    class Two(QuantileRegressor):
        def __init__(self, inner=None, quantile=0.5):
            self.inner = inner
            self.quantile = quantile

    with pytest.raises(ValueError, match=r"\['inner__quantile', 'quantile'\]"):
        MultiQuantileRegressor(Two(QuantileRegressor()), levels=LEVELS).fit(*data)


def test_an_unknown_parameter_is_refused_with_the_known_ones(data):
    with pytest.raises(ValueError, match=r"Got 'tau', which QuantileRegressor does"):
        MultiQuantileRegressor(
            QuantileRegressor(), levels=LEVELS, level_param="tau"
        ).fit(*data)


@pytest.mark.parametrize("levels", [[0.5, 0.1], [0.5, 0.5], [0.0, 0.5], [10, 50]])
def test_bad_levels_are_refused_before_any_fit(data, levels):
    with pytest.raises(ValueError, match="'levels' of MultiQuantileRegressor must"):
        MultiQuantileRegressor(QuantileRegressor(), levels=levels).fit(*data)


def test_quantiles_are_left_as_they_are_unless_an_order_is_asked_for(data):
    X, y = data
    boosting = HistGradientBoostingRegressor(
        loss="quantile", max_iter=40, min_samples_leaf=3, random_state=0
    )
    levels = [0.4, 0.45, 0.5, 0.55, 0.6]
    grid = MultiQuantileRegressor(boosting, levels=levels).fit(X, y)
    raw = grid.predict_quantiles(X)
    assert (np.diff(raw, axis=1) < 0.0).any()
    ordered = MultiQuantileRegressor(boosting, levels=levels, monotone="sort")
    np.testing.assert_array_equal(
        ordered.fit(X, y).predict_quantiles(X), np.sort(raw, axis=1)
    )


def test_weights_reach_every_clone(data):
    X, y = data
    count = np.random.default_rng(1).integers(0, 3, size=len(y))
    model = MultiQuantileRegressor(
        make_pipeline(QuantileRegressor(alpha=0.01)), levels=LEVELS
    )
    weighted = clone(model).fit(X, y, sample_weight=count)
    repeated = clone(model).fit(np.repeat(X, count, axis=0), np.repeat(y, count))
    np.testing.assert_allclose(
        weighted.predict_quantiles(X), repeated.predict_quantiles(X), rtol=1e-7
    )


def test_weights_for_an_estimator_that_takes_none_are_refused(data):
    X, y = data
    near = KNeighborsRegressor()
    with pytest.raises(TypeError, match="'KNeighborsRegressor' must accept sample_w"):
        MultiQuantileRegressor(near, levels=[0.5], level_param="n_neighbors").fit(
            X, y, sample_weight=np.ones(len(y))
        )


def test_negative_weights_are_refused(data):
    X, y = data
    with pytest.raises(ValueError, match="'sample_weight' parameter of Multi"):
        MultiQuantileRegressor(QuantileRegressor(), levels=LEVELS).fit(
            X, y, sample_weight=-np.ones(len(y))
        )


def test_the_answer_does_not_depend_on_the_number_of_jobs(data):
    X, y = data
    boosting = GradientBoostingRegressor(
        loss="quantile", n_estimators=5, subsample=0.5, random_state=0
    )
    grids = [
        MultiQuantileRegressor(boosting, levels=LEVELS, n_jobs=n_jobs)
        .fit(X, y)
        .predict_quantiles(X)
        for n_jobs in (None, 2)
    ]
    np.testing.assert_array_equal(*grids)


def test_weights_and_further_metadata_are_routed(data):
    class Noted(QuantileRegressor):
        def fit(self, X, y, sample_weight=None, note=None):
            self.note_ = note
            self.weight_ = sample_weight
            return super().fit(X, y, sample_weight)

    X, y = data
    weight = np.linspace(0.5, 1.5, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        inner = Noted(alpha=0.01).set_fit_request(note=True)
        model = MultiQuantileRegressor(inner, levels=LEVELS)
        model.set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        model.fit(X, y, sample_weight=weight, note="kept")
        assert model.estimators_[1].note_ == "kept"
        np.testing.assert_array_equal(model.estimators_[1].weight_, weight)
        found = cross_validate(
            model, X, y, cv=2, params={"sample_weight": weight}, return_estimator=True
        )
        fitted = found["estimator"][1].estimators_[0]
        np.testing.assert_array_equal(fitted.weight_, weight[: len(y) // 2])
        with pytest.raises(TypeError, match="unexpected"):
            model.fit(X, y, other=1)


@pytest.mark.parametrize(
    "frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"]
)
def test_names_of_columns_are_kept_and_checked(data, frame):
    X, y = data
    table = frame({name: X[:, j] for j, name in enumerate(["a", "b", "c"])})
    model = MultiQuantileRegressor(QuantileRegressor(), levels=LEVELS).fit(table, y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert model.n_features_in_ == 3
    with pytest.raises(ValueError, match="feature names"):
        model.predict_quantiles(table[["c", "b", "a"]])


def test_pickled_and_cloned_models_predict_the_same(data):
    X, y = data
    model = MultiQuantileRegressor(QuantileRegressor(), levels=LEVELS).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        again.predict_quantiles(X), model.predict_quantiles(X)
    )
    other = clone(model).fit(X, y)
    np.testing.assert_array_equal(
        other.predict_quantiles(X), model.predict_quantiles(X)
    )


def test_a_column_vector_of_targets_is_taken_with_a_warning(data):
    X, y = data
    model = MultiQuantileRegressor(QuantileRegressor(), levels=[0.5])
    with pytest.warns(sklearn.exceptions.DataConversionWarning):
        column = clone(model).fit(X, y[:, None])
    np.testing.assert_array_equal(column.predict(X), model.fit(X, y).predict(X))
