"""What is inside of pipelines, searches and frozen estimators."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from statlearn.utils._delegate import model_inside, weight_keyword

X = np.array([[0.0], [2.0], [4.0], [6.0]])
Y = np.array([0.0, 1.0, 2.0, 4.0])


class Grid(LinearRegression):
    def predict_quantiles(self, X):
        return self.predict(X)[:, None]


def test_rows_reach_the_model_of_a_pipeline_transformed():
    pipeline = make_pipeline(StandardScaler(), "passthrough", Grid()).fit(X, Y)
    model, rows = model_inside(pipeline, X, "predict_quantiles")
    assert model is pipeline[-1]
    np.testing.assert_allclose(rows, StandardScaler().fit_transform(X))


def test_what_a_search_chose_is_found():
    search = GridSearchCV(Grid(), {"fit_intercept": [True]}, cv=2)
    assert model_inside(search, None, "predict_quantiles")[0] is search.estimator
    search.fit(X, Y)
    assert model_inside(search, X, "predict_quantiles") == (search.best_estimator_, X)


def test_wrappers_may_be_nested():
    pipeline = make_pipeline(StandardScaler(), Grid()).fit(X, Y)
    model, rows = model_inside(FrozenEstimator(pipeline), X, "predict_quantiles")
    assert model is pipeline[-1]
    np.testing.assert_allclose(rows.mean(), 0.0, atol=1e-12)


def test_a_wrapper_that_has_the_method_is_taken_itself():
    pipeline = make_pipeline(StandardScaler(), Ridge())
    assert model_inside(pipeline, X, "predict") == (pipeline, X)


def test_the_innermost_model_is_returned_where_none_has_the_method():
    model, _ = model_inside(make_pipeline(Ridge()), None, "predict_quantiles")
    assert isinstance(model, Ridge)


@pytest.mark.parametrize(
    ("estimator", "keyword"),
    [
        (Ridge(), "sample_weight"),
        (make_pipeline(StandardScaler(), Ridge()), "ridge__sample_weight"),
        (StandardScaler(), "sample_weight"),
    ],
    ids=["plain", "pipeline", "transformer"],
)
def test_weights_go_by_the_name_that_fit_knows(estimator, keyword):
    assert weight_keyword(estimator) == keyword
