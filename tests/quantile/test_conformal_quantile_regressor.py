"""Calibrated quantile estimators: splits, folds, groups, weights, and bad input."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, QuantileRegressor
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    TimeSeriesSplit,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conformal_cases import ResidualQuantiles, skewed_table
from statlearn.exceptions import SmallCalibrationWarning
from statlearn.quantile._conformal import calibrate_grid, calibrate_interval
from statlearn.quantile.conformal_quantile_regressor import ConformalQuantileRegressor
from statlearn.quantile.multi_quantile_regressor import MultiQuantileRegressor

LEVELS = [0.1, 0.25, 0.5, 0.75, 0.9]
X, Y = skewed_table(240, seed=0)
NEW, Y_NEW = skewed_table(50, seed=1)
GROUPS = np.where(np.arange(240) % 3 == 0, "north", "south")
NEW_GROUPS = np.where(np.arange(50) % 3 == 0, "north", "south")
WEIGHT = np.random.default_rng(2).exponential(size=240)
FOLD_METHODS = ["cv+", "jackknife-minmax"]


def conformal(base=None, **settings):
    settings = {"levels": LEVELS, "random_state": 0} | settings
    return ConformalQuantileRegressor(base or ResidualQuantiles(0.7), **settings)


class ByLabel(RegressorMixin, BaseEstimator):
    """Predict by a function of the first column, whatever it is fitted to."""

    def fit(self, X, y):
        self.n_ = len(y)
        self.rows_ = np.asarray(X)[:, 0]
        return self

    def predict(self, X, quantiles=0.5):
        return np.asarray(X)[:, [0]] + np.asarray(quantiles)


# -------------------------------------------------------------------------------- split
def test_split_calibrates_on_the_rows_that_it_held_out():
    numbered = np.arange(200.0)[:, np.newaxis]
    model = conformal(ByLabel()).fit(numbered, numbered[:, 0])
    assert (model.estimator_.n_, model.n_calibration_) == (150, 50)
    # Targets minus x minus level.
    assert_allclose(model.conformity_scores_, -np.tile(LEVELS, (50, 1)))
    other = conformal(ByLabel(), random_state=1).fit(numbered, numbered[:, 0])
    assert set(other.estimator_.rows_) != set(model.estimator_.rows_)
    again = conformal(ByLabel()).fit(numbered, numbered[:, 0])
    assert_array_equal(again.estimator_.rows_, model.estimator_.rows_)


def test_split_is_the_functions_on_arrays():
    base = ResidualQuantiles(0.7).fit(X[:100], Y[:100])
    model = conformal(FrozenEstimator(base), symmetric=False).fit(X[100:], Y[100:])
    known, new = (base.predict_quantiles(rows, LEVELS) for rows in (X[100:], NEW))
    grid = calibrate_grid(known, Y[100:], LEVELS)
    assert_allclose(model.offsets_, grid.offsets)
    assert_allclose(
        model.predict_quantiles(NEW), np.sort(grid.apply(new), axis=1), atol=1e-12
    )
    interval = calibrate_interval(
        known[:, 0], known[:, 4], Y[100:], 0.8, symmetric=False
    )
    assert_allclose(
        model.predict_interval(NEW), interval.apply(new[:, 0], new[:, 4]), atol=1e-12
    )
    assert_allclose(model.conformity_scores_, Y[100:, np.newaxis] - known)


def test_interval_between_levels_is_that_of_the_interpolated_pair():
    base = ResidualQuantiles(0.7).fit(X[:100], Y[:100])
    model = conformal(FrozenEstimator(base)).fit(X[100:], Y[100:])
    known, new = (base.predict_quantiles(rows, LEVELS) for rows in (X[100:], NEW))
    # Levels 0.15 and 0.85: a third of the way from 0.1 to 0.25, and from 0.9 to 0.75.
    ends = [
        (grid[:, k] * 2 + grid[:, j]) / 3 for grid in (known, new) for k, j in PAIRS
    ]
    interval = calibrate_interval(ends[0], ends[1], Y[100:], 0.7)
    found = model.predict_interval(NEW, coverage=0.7)
    assert_allclose(found, interval.apply(ends[2], ends[3]), atol=1e-12)


PAIRS = ((0, 1), (4, 3))


def test_rows_of_a_grid_are_in_order_and_interpolated():
    model = conformal(levels=np.arange(1, 40) / 40).fit(X, Y)
    grid = model.predict_quantiles(NEW)
    assert (np.diff(grid, axis=1) >= 0.0).all()
    assert_allclose(
        model.predict_quantiles(NEW, [0.5, 0.5125]),
        np.column_stack([grid[:, 19], (grid[:, 19] + grid[:, 20]) / 2]),
    )
    assert_array_equal(model.predict(NEW), grid[:, 19])


def test_ends_that_cross_are_put_in_order():
    # The base misses nothing by far, so that intervals shrink past a point.
    y = np.random.default_rng(0).normal(size=99) * 1e-3
    wide = MultiQuantileRegressor(QuantileRegressor(alpha=0.0), levels=[0.1, 0.9])
    wide.fit(np.ones((50, 1)), np.linspace(-1.0, 1.0, 50))
    model = ConformalQuantileRegressor(FrozenEstimator(wide)).fit(np.ones((99, 1)), y)
    found = model.predict_interval(np.ones((1, 1)))
    assert found[0, 0] <= found[0, 1]


@pytest.mark.parametrize(("size", "n"), [(0.1, 24), (0.5, 120), (30, 30)])
def test_calibration_size_is_a_share_or_a_number(size, n):
    assert conformal(calibration_size=size).fit(X, Y).n_calibration_ == n


def test_rows_without_weight_take_no_part():
    weight = np.where(np.arange(240) < 100, 0.0, WEIGHT)
    one = conformal().fit(X, Y, weight)
    other = conformal().fit(X[100:], Y[100:], weight[100:])
    assert_allclose(one.predict_quantiles(NEW), other.predict_quantiles(NEW))
    assert one.n_calibration_ == 35


# ---------------------------------------------------------------------------- calibrate
def test_calibrate_replaces_what_fit_has_calibrated():
    model = conformal().fit(X, Y)
    before = model.offsets_
    estimator = model.estimator_
    assert model.calibrate(NEW, Y_NEW) is model
    assert model.estimator_ is estimator
    assert model.n_calibration_ == 50
    expected = calibrate_grid(estimator.predict_quantiles(NEW, LEVELS), Y_NEW, LEVELS)
    assert_allclose(model.offsets_, expected.offsets)
    assert (model.offsets_ != before).any()


@pytest.mark.parametrize("method", FOLD_METHODS)
def test_calibrate_after_folds_is_split_calibration_of_the_full_model(method):
    model = conformal(method=method).fit(X, Y).calibrate(NEW, Y_NEW)
    base = ResidualQuantiles(0.7).fit(X, Y)
    expected = conformal(FrozenEstimator(base)).fit(NEW, Y_NEW)
    assert not hasattr(model, "fold_estimators_")
    assert_allclose(model.predict_quantiles(X), expected.predict_quantiles(X))
    assert_allclose(model.predict_interval(X), expected.predict_interval(X))


def test_calibrate_replaces_groups_and_weights_too():
    model = conformal().fit(X, Y, WEIGHT, GROUPS).calibrate(NEW, Y_NEW)
    expected = conformal(FrozenEstimator(model.estimator_)).fit(NEW, Y_NEW)
    assert not hasattr(model, "groups_")
    assert_allclose(model.predict_quantiles(X), expected.predict_quantiles(X))


def test_frozen_estimator_needs_no_fit():
    base = ResidualQuantiles(0.7).fit(X, Y)
    model = conformal(FrozenEstimator(base)).calibrate(NEW, Y_NEW)
    assert model.estimator_ is base
    assert model.n_features_in_ == 4
    assert_allclose(
        model.predict_quantiles(X),
        conformal(FrozenEstimator(base)).fit(NEW, Y_NEW).predict_quantiles(X),
    )


def test_frozen_pipeline_is_calibrated():
    steps = make_pipeline(StandardScaler(), ResidualQuantiles(0.7)).fit(X, Y)
    plain = ResidualQuantiles(0.7).fit(X, Y)
    one, other = (
        conformal(FrozenEstimator(base)).fit(NEW, Y_NEW).predict_interval(X)
        for base in (steps, plain)
    )
    assert_allclose(one, other)


def test_calibration_can_be_left_to_calibrate():
    model = conformal(calibration_size=None).fit(X, Y)
    for predict in (model.predict, model.predict_quantiles, model.predict_interval):
        with pytest.raises(NotFittedError, match=r"call calibrate\(X, y\) first"):
            predict(NEW)
    model.calibrate(NEW, Y_NEW)
    expected = conformal(FrozenEstimator(ResidualQuantiles(0.7).fit(X, Y)))
    assert_allclose(
        model.predict_quantiles(X), expected.fit(NEW, Y_NEW).predict_quantiles(X)
    )


def test_calibrate_before_fit_is_refused():
    with pytest.raises(NotFittedError):
        conformal().calibrate(X, Y)


def test_fit_forgets_the_calibration_before():
    model = conformal(method="cv+").fit(X, Y, WEIGHT, GROUPS)
    model.set_params(method="split", calibration_size=None).fit(X, Y)
    for name in ("groups_", "offsets_", "fold_estimators_", "conformity_scores_"):
        assert not hasattr(model, name)


# -------------------------------------------------------------------------------- folds
def by_hand(folds, rows):
    """Out-of-fold grid, and the grids of all fold models for new rows."""
    grid = np.empty((len(Y), 5))
    new = []
    for train, test in folds:
        base = ResidualQuantiles(0.7).fit(X[train], Y[train])
        grid[test] = base.predict_quantiles(X[test], LEVELS)
        new.append(base.predict_quantiles(rows, LEVELS))
    return grid, np.stack(new)


@pytest.mark.parametrize("method", FOLD_METHODS)
def test_folds_are_the_functions_on_arrays(method):
    cv = KFold(6, shuffle=True, random_state=0)
    model = conformal(method=method, cv=cv).fit(X, Y)
    grid, new = by_hand(cv.split(X), NEW)
    held = np.empty(240, int)
    for k, (_, test) in enumerate(cv.split(X)):
        held[test] = k
    full = ResidualQuantiles(0.7).fit(X, Y).predict_quantiles(NEW, LEVELS)
    found = calibrate_grid(grid, Y, LEVELS, method=method, folds=held).apply(new)
    found[:, 2] = full[:, 2]
    assert_allclose(model.predict_quantiles(NEW), np.sort(found, axis=1))
    interval = calibrate_interval(
        grid[:, 0], grid[:, 4], Y, 0.8, method=method, folds=held
    )
    assert_allclose(
        model.predict_interval(NEW), interval.apply(new[:, :, 0], new[:, :, 4])
    )
    assert (model.n_calibration_, len(model.fold_estimators_)) == (240, 6)
    assert_allclose(model.predict(NEW), full[:, 2])


def test_first_rows_of_a_time_series_only_serve_for_fitting():
    model = conformal(method="cv+", cv=TimeSeriesSplit(5)).fit(X, Y)
    assert (model.n_calibration_, len(model.fold_estimators_)) == (200, 5)
    assert np.isfinite(model.predict_interval(NEW)).all()


def test_folds_do_not_depend_on_processes():
    one = conformal(method="cv+").fit(X, Y)
    other = conformal(method="cv+", n_jobs=2).fit(X, Y)
    assert_array_equal(one.predict_quantiles(NEW), other.predict_quantiles(NEW))


# ------------------------------------------------------------------- groups and weights
@pytest.mark.parametrize("method", ["split", *FOLD_METHODS])
def test_groups_are_calibrated_by_themselves(method):
    base = ResidualQuantiles(0.7).fit(X, Y)
    if method == "split":
        base = FrozenEstimator(base)
    model = conformal(base, method=method).fit(X, Y, groups=GROUPS)
    assert model.groups_ == ["north", "south"]
    assert model.offsets_.shape == (2, 5)
    mixed = model.predict_interval(NEW, groups=NEW_GROUPS)
    for name in ("north", "south"):
        rows = name == NEW_GROUPS
        alone = model.predict_interval(NEW[rows], groups=[name] * rows.sum())
        assert_array_equal(mixed[rows], alone)
    if method == "split":
        own = GROUPS == "north"
        alone = conformal(base).fit(X[own], Y[own])
        rows = NEW_GROUPS == "north"
        assert_allclose(mixed[rows], alone.predict_interval(NEW[rows]))


def test_split_holds_out_a_share_of_each_group():
    rare = np.where(np.arange(240) < 8, "rare", "common")
    with pytest.warns(SmallCalibrationWarning, match=r"Got 4 in group 'rare'"):
        model = conformal(calibration_size=0.5).fit(X, Y, groups=rare)
    rows = model._calibration_rows
    codes = [rows.labels[code] == "rare" for code in rows.codes]
    assert (sum(codes), len(codes)) == (4, 120)


def test_all_ways_to_predict_take_groups_and_weights():
    model = conformal().fit(X, Y, WEIGHT, GROUPS)
    context = {"groups": NEW_GROUPS, "sample_weight": np.full(50, 2.0)}
    grid = model.predict_quantiles(NEW, **context)
    assert_array_equal(model.predict(NEW, **context), grid[:, 2])
    assert model.predict_cdf(NEW, [0.0, 1.0], **context).shape == (50, 2)
    assert model.sample(NEW, 3, random_state=0, **context).shape == (50, 3)
    ends = model.predict_interval(NEW, 0.8, **context)
    lighter = {"groups": NEW_GROUPS, "sample_weight": np.zeros(50)}
    narrow = model.predict_interval(NEW, 0.8, **lighter)
    assert (narrow[:, 0] >= ends[:, 0]).all()
    assert (narrow[:, 1] <= ends[:, 1]).all()
    assert (narrow != ends).any()


def test_new_rows_count_once_by_default():
    model = conformal().fit(X, Y, WEIGHT)
    ones = model.predict_interval(NEW, sample_weight=np.ones(50))
    assert_array_equal(model.predict_interval(NEW), ones)


def test_score_is_minus_the_weighted_pinball_loss():
    model = conformal().fit(X, Y, groups=GROUPS)
    weight = np.arange(50.0)
    error = Y_NEW[:, None] - model.predict_quantiles(NEW, groups=NEW_GROUPS)
    loss = np.maximum(np.array(LEVELS) * error, (np.array(LEVELS) - 1.0) * error)
    found = model.score(NEW, Y_NEW, sample_weight=weight, groups=NEW_GROUPS)
    assert found == pytest.approx(-np.average(loss.mean(axis=1), weights=weight))


@pytest.mark.parametrize("method", ["split", "cv+"])
def test_groups_that_belong_together_are_not_parted(method):
    clusters = np.arange(240) % 20
    numbered = np.column_stack([clusters, np.arange(240)]).astype(float)
    model = conformal(
        ByLabel(), method=method, cv=GroupKFold(4), group_conditional=False
    )
    model.fit(numbered, Y, groups=clusters)
    assert not hasattr(model, "groups_")
    fitted = [model.estimator_] if method == "split" else model.fold_estimators_
    for estimator in fitted:
        seen = np.unique(estimator.rows_)
        assert len(seen) == 15
        assert estimator.n_ == 15 * 12
    assert model.predict_interval(numbered).shape == (240, 2)


def test_labels_of_groups_can_be_pairs():
    pairs = [("a", 1), ("a", 2)] * 120
    model = conformal().fit(X, Y, groups=pairs)
    assert model.groups_ == [("a", 1), ("a", 2)]


# ------------------------------------------------------------------------------- levels
def test_levels_are_those_of_the_estimator_by_default():
    known = ResidualQuantiles(levels=[0.2, 0.5, 0.8])
    steps = make_pipeline(StandardScaler(), known)
    assert_array_equal(conformal(steps, levels=None).fit(X, Y).levels_, [0.2, 0.5, 0.8])
    model = conformal(ResidualQuantiles(), levels=None).fit(X, Y)
    assert_allclose(model.levels_, np.linspace(0.05, 0.95, 19))


def test_small_sample_gives_infinite_ends_and_says_how_many_rows_would_do():
    message = r"ConformalQuantileRegressor expected at least 9 .* levels 0\.1 and 0\.9"
    with pytest.warns(SmallCalibrationWarning, match=message):
        model = conformal(calibration_size=8).fit(X, Y)
    grid = model.predict_quantiles(NEW)
    assert_array_equal(grid[:, [0, 4]], np.tile([-np.inf, np.inf], (50, 1)))
    assert np.isfinite(grid[:, 1:4]).all()
    # An interval of both ends needs 4 rows for 80 %, and each by itself 9.
    assert np.isfinite(model.predict_interval(NEW, 0.8)).all()
    model.set_params(symmetric=False)
    with pytest.warns(SmallCalibrationWarning, match=r"9 .* coverage 0\.8\. Got 8"):
        found = model.predict_interval(NEW, 0.8)
    assert np.isinf(found).all()


# ----------------------------------------------------------------- inside other objects
@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_cross_validation_routes_groups_and_weights():
    model = conformal(ResidualQuantiles(0.7).set_fit_request(sample_weight=True))
    model.set_fit_request(groups=True, sample_weight=True)
    model.set_score_request(groups=True, sample_weight=True)
    result = cross_validate(
        model,
        X,
        Y,
        cv=KFold(3),
        params={"groups": GROUPS, "sample_weight": WEIGHT},
        return_estimator=True,
        return_indices=True,
    )
    train, test = (result["indices"][part][0] for part in ("train", "test"))
    direct = clone(model).fit(X[train], Y[train], WEIGHT[train], GROUPS[train])
    assert direct.groups_ == ["north", "south"]
    expected = direct.score(X[test], Y[test], WEIGHT[test], GROUPS[test])
    assert result["test_score"][0] == pytest.approx(expected)


@pytest.mark.usefixtures("routing")
def test_pipeline_routes_groups_to_predict():
    last = conformal().set_fit_request(groups=True).set_predict_request(groups=True)
    steps = make_pipeline(StandardScaler(), last).fit(X, Y, groups=GROUPS)
    expected = conformal().fit(StandardScaler().fit_transform(X), Y, groups=GROUPS)
    found = steps.predict(NEW, groups=NEW_GROUPS)
    scaled = StandardScaler().fit(X).transform(NEW)
    assert_allclose(found, expected.predict(scaled, groups=NEW_GROUPS))


def test_parameters_of_the_estimator_can_be_searched_for():
    search = GridSearchCV(conformal(), {"estimator__factor": [0.1, 1.0]}, cv=3)
    assert search.fit(X, Y).best_params_ == {"estimator__factor": 1.0}


def test_scores_of_folds_are_finite():
    assert np.isfinite(cross_val_score(conformal(method="cv+"), X, Y, cv=3)).all()


def test_model_survives_pickling():
    model = conformal(method="cv+").fit(X, Y, WEIGHT, GROUPS)
    again = pickle.loads(pickle.dumps(model))
    context = {"groups": NEW_GROUPS}
    assert_array_equal(
        again.predict_interval(NEW, **context), model.predict_interval(NEW, **context)
    )


def test_frames_reach_the_estimator_with_their_names():
    names = list("abcd")
    model = conformal(method="cv+").fit(pd.DataFrame(X, columns=names), pd.Series(Y))
    assert model.feature_names_in_.tolist() == names
    found = model.predict(pd.DataFrame(NEW, columns=names))
    assert_allclose(found, conformal(method="cv+").fit(X, Y).predict(NEW))


def test_sparse_rows_are_handed_on():
    base = MultiQuantileRegressor(QuantileRegressor(alpha=0.0), levels=[0.2, 0.8])
    thin = sparse.coo_array(X.round())
    one = ConformalQuantileRegressor(base, random_state=0).fit(thin, Y)
    other = ConformalQuantileRegressor(base, random_state=0).fit(X.round(), Y)
    assert_allclose(
        one.predict_interval(NEW, 0.6), other.predict_interval(NEW, 0.6), atol=1e-6
    )


# ---------------------------------------------------------------------------- bad input
BAD_FITS = {
    "unsorted levels": ({"levels": [0.9, 0.1]}, {}, "'levels'.*strictly increasing"),
    "a level of zero": ({"levels": [0.0, 0.5]}, {}, r"'levels'.*\(0, 1\)"),
    "repeated levels": ({"levels": [0.1, 0.1]}, {}, "'levels'.*twice"),
    "no such method": ({"method": "plus"}, {}, "'method' parameter"),
    "nothing to fit to": ({"calibration_size": 240}, {}, "calibration_size=240"),
    "no calibration rows": ({"calibration_size": 0.0}, {}, "'calibration_size'"),
    "more folds than rows": ({"method": "cv+", "cv": 241}, {}, "'cv'.*Got 241"),
    "groups of few rows": ({}, {"groups": GROUPS[:9]}, r"'groups'.*\(240,\).*\(9,\)"),
    "negative weights": ({}, {"sample_weight": -WEIGHT}, "'sample_weight'.*>= 0"),
    "frozen folds": (
        {"method": "cv+", "estimator": FrozenEstimator(ResidualQuantiles().fit(X, Y))},
        {},
        "'method'.*must be 'split' for a frozen",
    ),
    "one group": (
        {"group_conditional": False},
        {"groups": np.zeros(240)},
        "expected groups both to fit to and to calibrate",
    ),
    "missing y": ({}, {"y": np.where(Y > 2.0, np.nan, Y)}, "Input y contains NaN"),
    "y of fewer rows": ({}, {"y": Y[:9]}, "inconsistent numbers of samples"),
    "no y": ({}, {"y": None}, "requires y"),
}


@pytest.mark.parametrize("case", BAD_FITS)
def test_bad_fit_is_refused(case):
    settings, data, message = BAD_FITS[case]
    model = conformal().set_params(**settings)
    with pytest.raises(ValueError, match=message):
        model.fit(**({"X": X, "y": Y} | data))


def test_estimator_without_quantiles_is_refused():
    with pytest.raises(TypeError, match="MultiQuantileRegressor"):
        conformal(LinearRegression()).fit(X, Y)


def test_estimator_that_takes_no_weights_is_refused():
    with pytest.raises(TypeError, match="must accept sample_weight"):
        conformal(ByLabel()).fit(X, Y, WEIGHT)


def test_column_of_targets_is_flattened_with_a_warning():
    with pytest.warns(DataConversionWarning):
        model = conformal().fit(X, Y[:, np.newaxis])
    assert_array_equal(model.predict(NEW), conformal().fit(X, Y).predict(NEW))


BAD_NEW_ROWS = {
    "coverage of one": ({}, {"coverage": 1.0}, r"'coverage'.*\(0, 1\)"),
    "coverage in percent": ({}, {"coverage": 80}, r"'coverage'.*\(0, 1\)"),
    "coverage beyond the grid": ({}, {"coverage": 0.9}, "'coverage'.*at most 0.8"),
    "no groups": ({"groups": GROUPS}, {}, "'groups' of Conf.*Got None; pass the group"),
    "groups of fewer rows": (
        {"groups": GROUPS},
        {"groups": ["north"]},
        r"'groups' of Conf.*\(50,\)",
    ),
    "an unknown group": (
        {"groups": GROUPS},
        {"groups": ["west", *NEW_GROUPS[1:]]},
        "'groups' of Conf.*Got 'west' in 1 rows",
    ),
    "weights out of the blue": (
        {},
        {"sample_weight": np.ones(50)},
        "'sample_weight' of Conf.*Got weights; leave them out",
    ),
}


@pytest.mark.parametrize("case", BAD_NEW_ROWS)
def test_bad_new_rows_are_refused(case):
    data, new, message = BAD_NEW_ROWS[case]
    model = conformal().fit(X, Y, **data)
    with pytest.raises(ValueError, match=message):
        model.predict_interval(NEW, **new)
