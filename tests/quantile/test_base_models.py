"""Any estimator as a base model: how it is fitted and asked for quantiles."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from statlearn.quantile._base_models import fit_base, predict_grid, require_quantiles

LEVELS = np.array([0.1, 0.5, 0.9])
X = np.arange(12.0).reshape(6, 2)
Y = np.arange(6.0)


class Grid(RegressorMixin, BaseEstimator):
    """Predicts the first column plus the level, in a frame if asked to."""

    def __init__(self, as_frame=False, penalty=1.0):
        self.as_frame = as_frame
        self.penalty = penalty

    def fit(self, X, y, sample_weight=None):
        self.weight_ = sample_weight
        return self

    def predict(self, X):
        return np.asarray(X)[:, 0]

    def predict_quantiles(self, X, quantiles):
        grid = np.asarray(X)[:, :1] + np.asarray(quantiles)
        return pd.DataFrame(grid) if self.as_frame else grid


class Forest(RegressorMixin, BaseEstimator):
    """Takes quantiles in predict, and drops the second axis for one of them."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X, quantiles=None):
        assert isinstance(quantiles, list)
        return np.squeeze(X[:, :1] + np.array(quantiles))


class Constant(Grid):
    """Predicts a fixed array."""

    def __init__(self, grid=None):
        self.grid = grid

    def predict_quantiles(self, X, levels):
        return self.grid


@pytest.mark.parametrize("as_frame", [False, True])
def test_predict_quantiles_is_used_whatever_its_argument_is_called(as_frame):
    grid = predict_grid(Grid(as_frame=as_frame).fit(X, Y), X, LEVELS)
    assert type(grid) is np.ndarray
    np.testing.assert_array_equal(grid, X[:, :1] + LEVELS)


def test_predict_with_quantiles_is_used_as_forests_have_it():
    np.testing.assert_array_equal(
        predict_grid(Forest().fit(X, Y), X, LEVELS), X[:, :1] + LEVELS
    )


def test_one_level_without_a_second_axis_is_a_column():
    grid = predict_grid(Forest().fit(X, Y), X, np.array([0.5]))
    np.testing.assert_array_equal(grid, X[:, :1] + 0.5)


def test_pipelines_transform_rows_before_they_ask_their_last_step():
    scaler = StandardScaler()
    pipe = Pipeline([("skip", "passthrough"), ("scale", scaler), ("grid", Grid())])
    grid = predict_grid(pipe.fit(X, Y), X, LEVELS)
    np.testing.assert_allclose(grid, StandardScaler().fit_transform(X)[:, :1] + LEVELS)


def test_searches_answer_by_their_best_estimator_also_inside_pipelines():
    search = GridSearchCV(make_pipeline(Grid()), {"grid__penalty": [1.0, 2.0]}, cv=2)
    require_quantiles(search)
    pipe = make_pipeline(StandardScaler(), search).fit(X, Y)
    grid = predict_grid(pipe, X, LEVELS)
    np.testing.assert_allclose(grid, StandardScaler().fit_transform(X)[:, :1] + LEVELS)


def test_frozen_models_keep_what_they_have_learnt():
    frozen = FrozenEstimator(Grid().fit(X, Y, np.ones(6)))
    fitted = fit_base(frozen, X[:2], Y[:2])
    assert fitted.weight_.shape == (6,)
    assert predict_grid(fitted, X, LEVELS).shape == (6, 3)


@pytest.mark.parametrize(
    "model",
    [Ridge(), make_pipeline(StandardScaler(), Ridge()), GridSearchCV(Ridge(), {})],
    ids=["ridge", "pipeline", "search"],
)
def test_models_without_quantiles_are_refused_by_name_before_any_fit(model):
    message = (
        "The model 'boost' must give quantiles, by predict_quantiles(X, levels) or "
        "predict(X, quantiles=[...]). Got Ridge"
    )
    with pytest.raises(TypeError, match=re.escape(message)):
        require_quantiles(model, "boost")


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (np.zeros((6, 2)), r"'bad' must predict one column for each of 3 levels"),
        (np.zeros(6), r"'bad' must predict one column for each of 3 levels"),
        (
            np.where(np.eye(6, 3, k=-2) == 1.0, np.nan, 0.0),
            "'bad' must predict numbers. Got NaN in 3 of 6 rows, the first at row 2",
        ),
    ],
    ids=["columns", "one axis", "nan"],
)
def test_bad_predictions_are_refused_with_the_name_of_the_model(grid, message):
    with pytest.raises(ValueError, match=message):
        predict_grid(Constant(grid).fit(X, Y), X, LEVELS, "bad")


def test_infinite_quantiles_pass():
    grid = np.tile([-np.inf, 0.0, np.inf], (6, 1))
    found = predict_grid(Constant(grid).fit(X, Y), X, LEVELS)
    np.testing.assert_array_equal(found, grid)


def test_fitting_leaves_the_estimator_alone():
    model = LinearRegression()
    fitted = fit_base(model, X, Y)
    assert not hasattr(model, "coef_")
    assert hasattr(fitted, "coef_")


def test_weights_reach_a_model_inside_a_pipeline():
    weight = np.array([1.0, 0.0, 2.0, 1.0, 1.0, 3.0])
    fitted = fit_base(make_pipeline(StandardScaler(), Grid()), X, Y, weight)
    np.testing.assert_array_equal(fitted[-1].weight_, weight)


def test_weights_for_a_model_that_takes_none_are_refused_by_name():
    with pytest.raises(TypeError, match="'near' must accept sample_weight"):
        fit_base(KNeighborsRegressor(), X, Y, np.ones(6), "near")


def test_further_metadata_goes_to_fit():
    class Noted(Grid):
        def fit(self, X, y, note=None):
            self.note_ = note
            return self

    assert fit_base(Noted(), X, Y, note="kept").note_ == "kept"
