from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from statlearn.utils._fitted import column_names, feature_names, fitted_or_refuse

X, Y = np.eye(3)[:, :2], np.arange(3.0)


def test_features_without_names_are_numbered():
    assert column_names(3) == ["x0", "x1", "x2"]
    assert feature_names(LinearRegression().fit(X, Y)) == ["x0", "x1"]


def test_features_have_the_names_of_the_table():
    table = pd.DataFrame(X, columns=["age", "dose"])
    found = feature_names(LinearRegression().fit(table, Y))
    assert found == ["age", "dose"]
    assert all(type(name) is str for name in found)


def test_estimator_that_is_not_fitted_is_refused_in_the_name_of_the_caller():
    fitted_or_refuse(LinearRegression().fit(X, Y), "it")
    with pytest.raises(NotFittedError, match=r"^it expected a fitted Linear"):
        fitted_or_refuse(LinearRegression(), "it")
