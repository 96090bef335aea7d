"""Quantiles of out-of-fold residuals around any regressor, with or without a scale."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import norm
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    TimeSeriesSplit,
    cross_val_predict,
    cross_validate,
)
from sklearn.neighbors import KNeighborsRegressor

from statlearn.metrics import pinball_loss
from statlearn.quantile import LocationScaleQuantiles
from statlearn.quantile.location_scale_quantiles import weighted_quantiles

LEVELS = [0.1, 0.25, 0.5, 0.9]


def sample(n=300, seed=0):
    """Rows whose errors grow with the first column."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(0.0, 2.0, size=(n, 2))
    return X, 3.0 * X[:, 0] + (0.2 + X[:, 0]) * rng.normal(size=n)


class Recorder(RegressorMixin, BaseEstimator):
    """Predicts zero and keeps what it was fitted to."""

    def fit(self, X, y, sample_weight=None):
        self.rows_, self.target_, self.weight_ = np.asarray(X)[:, 0], y, sample_weight
        return self

    def predict(self, X):
        return np.zeros(len(X))


@given(
    values=st.lists(st.integers(-3, 3), min_size=1, max_size=12),
    data=st.data(),
    level=st.sampled_from([0.05, 0.1, 0.3, 0.5, 0.7, 0.95]),
)
def test_weighted_quantiles_are_those_of_repeated_values(values, data, level):
    values = np.array(values, dtype=float)
    count = np.array([data.draw(st.integers(1, 4)) for _ in values])
    found = weighted_quantiles(values, np.array([level]), count.astype(float))
    repeated = np.sort(np.repeat(values, count))
    # The smallest value with a share of at least `level` at or below it.
    place = int(np.ceil(level * len(repeated) - 1e-9)) - 1
    assert found[0] == repeated[place]


def test_fractional_weights_reach_a_level_up_to_rounding():
    weight = np.full(10, 0.1)
    found = weighted_quantiles(np.arange(10.0), np.array([0.3, 0.7]), weight)
    np.testing.assert_array_equal(found, [2.0, 6.0])


def test_a_constant_scale_adds_quantiles_of_the_out_of_fold_residuals():
    X, y = sample()
    model = LocationScaleQuantiles(LinearRegression(), levels=LEVELS).fit(X, y)
    residuals = y - cross_val_predict(LinearRegression(), X, y, cv=5)
    np.testing.assert_allclose(model.residuals_, residuals)
    quantiles = np.quantile(residuals, LEVELS, method="inverted_cdf")
    np.testing.assert_allclose(model.residual_quantiles_, quantiles)
    center = LinearRegression().fit(X, y).predict(X)
    np.testing.assert_allclose(model.predict_quantiles(X), center[:, None] + quantiles)
    assert model.scale_estimator_ is None


def test_a_scale_makes_quantiles_wider_where_errors_are_larger():
    X, y = sample(2000)
    how = {"levels": LEVELS, "cv": KFold(5)}
    plain = LocationScaleQuantiles(LinearRegression(), **how).fit(X, y)
    scaled = LocationScaleQuantiles(
        LinearRegression(), scale_estimator=LinearRegression(), **how
    ).fit(X, y)
    new_X, new_y = sample(4000, seed=1)
    assert scaled.score(new_X, new_y) > 1.02 * plain.score(new_X, new_y)
    exact = 3.0 * new_X[:, :1] + (0.2 + new_X[:, :1]) * norm.ppf(LEVELS)
    best = pinball_loss(new_y, exact, LEVELS)
    assert -scaled.score(new_X, new_y) < 1.01 * best


def test_the_scale_learns_absolute_residuals_and_never_those_of_its_fold():
    X, y = sample(60)
    rows = np.column_stack((np.arange(60.0), X))
    seen = []

    class Scale(Recorder):
        def fit(self, X, y, sample_weight=None):
            seen.append((np.asarray(X)[:, 0], y))
            return super().fit(X, y, sample_weight)

    model = LocationScaleQuantiles(
        LinearRegression(), levels=LEVELS, scale_estimator=Scale(), cv=3
    ).fit(rows, y)
    assert len(seen) == 4
    for fold, (number, target) in zip(np.split(np.arange(60), 3), seen, strict=False):
        assert not np.isin(number, fold).any()
        size = np.abs(model.residuals_[number.astype(int)])
        np.testing.assert_array_equal(target, size)
    assert len(seen[-1][0]) == 60


def test_scales_have_a_floor_of_a_share_of_the_mean_residual():
    X, y = sample(100)
    model = LocationScaleQuantiles(
        LinearRegression(), levels=LEVELS, scale_estimator=Recorder()
    ).fit(X, y)
    least = 0.05 * np.abs(model.residuals_).mean()
    assert model.least_scale_ == pytest.approx(least)
    # All scales are the floor, so that it cancels.
    plain = LocationScaleQuantiles(LinearRegression(), levels=LEVELS).fit(X, y)
    np.testing.assert_allclose(
        model.predict_quantiles(X), plain.predict_quantiles(X), rtol=1e-12
    )


def test_targets_that_are_met_exactly_have_quantiles_without_width():
    X = np.arange(20.0)[:, None]
    for scale in (None, LinearRegression()):
        model = LocationScaleQuantiles(
            KNeighborsRegressor(), levels=LEVELS, scale_estimator=scale
        ).fit(X, np.full(20, 4.0))
        np.testing.assert_allclose(model.predict_quantiles(X), 4.0)


def test_quantiles_never_cross():
    X, y = sample()
    levels = np.arange(1, 100) / 100
    model = LocationScaleQuantiles(
        RandomForestRegressor(10, random_state=0),
        levels=levels,
        scale_estimator=RandomForestRegressor(10, random_state=0),
    ).fit(X, y)
    assert (np.diff(model.predict_quantiles(X), axis=1) >= 0.0).all()


# -- folds and weights --------------------------------------------------------------


@pytest.mark.parametrize("scale", [None, LinearRegression()], ids=["constant", "scale"])
def test_whole_weights_are_repeated_rows_if_folds_are_the_same(scale):
    X, y = sample(60)
    count = np.random.default_rng(0).integers(0, 4, size=60)
    fold = np.arange(60) % 5
    rows = np.repeat(np.arange(60), count)

    def splits(fold):
        return [
            (np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(5)
        ]

    model = LocationScaleQuantiles(
        LinearRegression(), levels=LEVELS, scale_estimator=scale
    )
    weighted = clone(model).set_params(cv=splits(fold))
    weighted.fit(X, y, sample_weight=count)
    repeated = clone(model).set_params(cv=splits(fold[rows])).fit(X[rows], y[rows])
    np.testing.assert_allclose(
        weighted.predict_quantiles(X), repeated.predict_quantiles(X), rtol=1e-7
    )


def test_weights_reach_both_estimators():
    X, y = sample(50)
    weight = np.linspace(1.0, 2.0, 50)
    model = LocationScaleQuantiles(
        Recorder(), levels=LEVELS, scale_estimator=Recorder()
    ).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(model.estimator_.weight_, weight)
    np.testing.assert_array_equal(model.scale_estimator_.weight_, weight)


def test_rows_that_no_fold_holds_out_are_left_out_of_the_quantiles():
    X, y = sample(60)
    model = LocationScaleQuantiles(
        LinearRegression(), levels=LEVELS, cv=TimeSeriesSplit(3)
    ).fit(X, y)
    assert np.isnan(model.residuals_[:15]).all()
    known = model.residuals_[15:]
    assert np.isfinite(known).all()
    np.testing.assert_allclose(
        model.residual_quantiles_, np.quantile(known, LEVELS, method="inverted_cdf")
    )


def test_scales_of_a_time_series_learn_from_earlier_residuals_only():
    X, y = sample(60)
    model = LocationScaleQuantiles(
        LinearRegression(),
        levels=LEVELS,
        scale_estimator=KNeighborsRegressor(1),
        cv=TimeSeriesSplit(3),
    ).fit(X, y)
    # The first fold has no residuals before it: rows 30 to 59 are left.
    later, size = np.arange(30, 60), np.abs(model.residuals_)
    scale = np.r_[
        KNeighborsRegressor(1).fit(X[15:30], size[15:30]).predict(X[30:45]),
        KNeighborsRegressor(1).fit(X[15:45], size[15:45]).predict(X[45:]),
    ]
    shares = model.residuals_[later] / np.maximum(scale, model.least_scale_)
    np.testing.assert_allclose(
        model.residual_quantiles_, np.quantile(shares, LEVELS, method="inverted_cdf")
    )


def test_groups_stay_together():
    X, y = sample(60)
    groups = np.arange(60) % 6
    seen = []

    class Location(Recorder):
        def fit(self, X, y, sample_weight=None):
            seen.append(np.asarray(X)[:, 0].astype(int))
            return super().fit(X, y, sample_weight)

    rows = np.column_stack((np.arange(60.0), X))
    LocationScaleQuantiles(Location(), levels=LEVELS, cv=GroupKFold(3)).fit(
        rows, y, groups=groups
    )
    for train in seen[:3]:
        out = np.setdiff1d(np.arange(60), train)
        assert not np.isin(groups[out], groups[train]).any()


# -- contract -------------------------------------------------------------------------


def test_frames_and_sparse_rows_reach_the_estimator_as_they_are():
    X, y = sample(60)
    frame = pd.DataFrame(X, columns=["a", "b"])
    model = LocationScaleQuantiles(LinearRegression(), levels=LEVELS)
    grid = clone(model).fit(X, y).predict_quantiles(X)
    named = clone(model).fit(frame, y)
    assert named.feature_names_in_.tolist() == ["a", "b"]
    np.testing.assert_allclose(named.predict_quantiles(frame), grid, rtol=1e-12)
    thin = sparse.csr_array(X)
    found = LocationScaleQuantiles(Ridge(1e-8), levels=LEVELS).fit(thin, y)
    np.testing.assert_allclose(found.predict_quantiles(thin), grid, rtol=1e-4)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"levels": [0.9, 0.1]}, "'levels' of LocationScaleQuantiles must be strictly"),
        (
            {"cv": 61},
            "'cv' of LocationScaleQuantiles must have no more folds than rows",
        ),
        (
            {"cv": [(np.arange(60), np.arange(0))]},
            "'cv' of LocationScaleQuantiles must",
        ),
    ],
    ids=["levels", "too many folds", "empty fold"],
)
def test_bad_parameters_are_refused(params, message):
    X, y = sample(60)
    model = LocationScaleQuantiles(LinearRegression(), **{"levels": LEVELS, **params})
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)


def test_weights_on_rows_that_are_never_held_out_only_are_refused():
    X, y = sample(60)
    weight = np.r_[np.ones(15), np.zeros(45)]
    for scale in (None, LinearRegression()):
        model = LocationScaleQuantiles(
            LinearRegression(),
            levels=LEVELS,
            cv=TimeSeriesSplit(3),
            scale_estimator=scale,
        )
        with pytest.raises(ValueError, match="expected a row with positive weight"):
            model.fit(X, y, sample_weight=weight)


def test_weights_for_an_estimator_that_takes_none_are_refused():
    X, y = sample(60)
    with pytest.raises(TypeError, match="'KNeighborsRegressor' must accept sample_w"):
        LocationScaleQuantiles(KNeighborsRegressor(), levels=LEVELS).fit(
            X, y, sample_weight=np.ones(60)
        )


def test_weights_and_groups_are_routed():
    X, y = sample(60)
    weight, groups = np.linspace(1.0, 2.0, 60), np.arange(60) % 6
    with sklearn.config_context(enable_metadata_routing=True):
        model = LocationScaleQuantiles(Recorder(), levels=LEVELS, cv=GroupKFold(3))
        model.set_fit_request(sample_weight=True, groups=True)
        model.set_score_request(sample_weight=True)
        found = cross_validate(
            model,
            X,
            y,
            cv=2,
            params={"sample_weight": weight, "groups": groups},
            return_estimator=True,
        )
    np.testing.assert_array_equal(found["estimator"][0].estimator_.weight_, weight[30:])


def test_pickled_and_cloned_models_predict_the_same():
    X, y = sample(60)
    model = LocationScaleQuantiles(
        LinearRegression(), levels=LEVELS, scale_estimator=LinearRegression()
    ).fit(X, y)
    grid = model.predict_quantiles(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_quantiles(X), grid)
    np.testing.assert_array_equal(clone(model).fit(X, y).predict_quantiles(X), grid)
    np.testing.assert_array_equal(model.predict(X), grid[:, 2])
