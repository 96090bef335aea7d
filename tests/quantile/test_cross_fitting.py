"""Out-of-fold predictions: who predicts which rows, and after how many fits."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneOut,
    ShuffleSplit,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from statlearn.quantile._cross_fitting import (
    cross_fit,
    nested_cross_fit,
    read_folds,
    seeded,
)

LEVELS = np.array([0.25, 0.75])
N = 20
X = np.arange(float(N))[:, np.newaxis]
Y = np.arange(float(N))


class Memory(RegressorMixin, BaseEstimator):
    """Predict a code of the rows that it was fitted to, and count its fits."""

    log: list = []

    def __init__(self, factor=1.0, random_state=None):
        self.factor = factor
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        self.seen_ = frozenset(np.asarray(X)[:, 0].astype(int).tolist())
        self.weight_ = sample_weight
        Memory.log.append(self.seen_)
        return self

    def predict(self, X):
        return self.predict_quantiles(X, LEVELS)[:, 0]

    def predict_quantiles(self, X, levels):
        code = sum(2.0**row for row in self.seen_)
        return self.factor * code * np.ones((len(X), len(levels)))


class Noise(RegressorMixin, BaseEstimator):
    """Predict random numbers, by a seed that may be None."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        self.draw_ = np.random.default_rng(self.random_state).normal()
        return self

    def predict(self, X):
        return np.full(len(X), self.draw_)

    def predict_quantiles(self, X, levels):
        return np.full((len(X), len(levels)), self.draw_)


@pytest.fixture(autouse=True)
def forget():
    Memory.log = []


def code(rows):
    return sum(2.0**row for row in rows)


def folds_of(cv, groups=None):
    return read_folds(cv, X, Y, groups, "Caller")


# -------------------------------------------------------------------------------- folds
def test_integer_means_folds_of_consecutive_rows():
    folds = folds_of(5)
    assert_array_equal(folds.fold, np.repeat(np.arange(5), 4))
    assert_array_equal(folds.covered, np.arange(N))
    assert len(folds) == 5


def test_groups_stay_together():
    groups = np.arange(N) % 7
    folds = folds_of(GroupKFold(3), groups)
    for group in range(7):
        assert len(set(folds.fold[groups == group])) == 1


def test_first_rows_of_a_time_series_are_not_covered():
    folds = folds_of(TimeSeriesSplit(4))
    assert_array_equal(folds.covered, np.arange(4, N))
    assert_array_equal(folds.fold, np.repeat(np.arange(4), 4))


def test_folds_can_be_masks():
    mask = np.arange(N) < 8
    folds = folds_of([(~mask, mask), (mask, ~mask)])
    assert_array_equal(folds.fold, np.where(mask, 0, 1))


def test_folds_can_come_out_of_order():
    order = np.random.default_rng(0).permutation(N)
    folds = folds_of(iter([(order[5:], order[:5]), (order[:5], order[5:])]))
    assert_array_equal(folds.fold[order[:5]], 0)
    assert_array_equal(folds.fold[order[5:]], 1)


BAD_FOLDS = {
    "more folds than rows": (21, "no more folds than rows. Got 21.*n_samples=20"),
    "rows held out twice": (
        ShuffleSplit(3, test_size=0.5, random_state=0),
        "hold each row out once at most.*KFold",
    ),
    "nothing held out": ([(np.arange(N), [])], "one that is empty"),
    "nothing to fit to": ([([], np.arange(N))], "one that is empty"),
    "no folds": ([], "Got 0 folds"),
}


@pytest.mark.parametrize("case", BAD_FOLDS)
def test_bad_folds_are_refused(case):
    cv, message = BAD_FOLDS[case]
    with pytest.raises(ValueError, match=f"'cv' of Caller.*{message}"):
        folds_of(cv)


# ------------------------------------------------------------------------ one fold out
def test_no_row_is_predicted_by_a_model_that_has_seen_it():
    folds = folds_of(KFold(4, shuffle=True, random_state=0))
    models = [("one", Memory()), ("two", Memory(factor=3.0))]
    fit = cross_fit(models, X, Y, LEVELS, folds, keep=True)
    assert fit.stack.shape == (N, 2, 2)
    for row in range(N):
        expected = code(folds.train[folds.fold[row]])
        assert row not in folds.train[folds.fold[row]]
        assert_array_equal(fit.stack[row], [[expected] * 2, [3.0 * expected] * 2])
    assert len(Memory.log) == 2 * (4 + 1)
    assert [model.seen_ for model in fit.estimators] == [frozenset(range(N))] * 2
    for k, kept in enumerate(fit.fold_estimators):
        assert [model.factor for model in kept] == [1.0, 3.0]
        assert kept[0].seen_ == frozenset(folds.train[k].tolist())


def test_models_are_kept_and_refitted_on_demand_only():
    fit = cross_fit([("one", Memory())], X, Y, LEVELS, folds_of(4), refit=False)
    assert (fit.fold_estimators, fit.estimators, len(Memory.log)) == ([], [], 4)


def test_uncovered_rows_are_fitted_to_but_not_predicted():
    folds = folds_of(TimeSeriesSplit(4))
    fit = cross_fit([("one", Memory())], X, Y, LEVELS, folds)
    assert fit.stack.shape == (16, 1, 2)
    assert_array_equal(fit.stack[0], code(range(4)))
    assert_array_equal(fit.stack[-1], code(range(16)))


def test_leave_one_out_predicts_each_row_by_all_others():
    fit = cross_fit([("one", Memory())], X, Y, LEVELS, folds_of(LeaveOneOut()))
    expected = code(range(N)) - 2.0 ** np.arange(N)
    assert_array_equal(fit.stack[:, 0, 0], expected)


def test_weights_go_with_their_rows():
    folds, weight = folds_of(4), np.arange(1.0, N + 1)
    fit = cross_fit(
        [("one", Memory())], X, Y, LEVELS, folds, sample_weight=weight, keep=True
    )
    assert_array_equal(fit.estimators[0].weight_, weight)
    for k, (model,) in enumerate(fit.fold_estimators):
        assert_array_equal(model.weight_, weight[folds.train[k]])


def test_rows_of_a_frame_reach_the_models_as_a_frame():
    class Frame(Memory):
        def fit(self, X, y, sample_weight=None):
            assert list(X.columns) == ["a"]
            return super().fit(X, y)

    frame = pd.DataFrame({"a": X[:, 0]}, index=np.arange(N)[::-1])
    fit = cross_fit([("one", Frame())], frame, Y, LEVELS, folds_of(4))
    expected = cross_fit([("one", Memory())], X, Y, LEVELS, folds_of(4))
    assert_array_equal(fit.stack, expected.stack)


def test_model_that_predicts_nan_is_named_with_its_rows():
    class Broken(Memory):
        def predict_quantiles(self, X, levels):
            grid = super().predict_quantiles(X, levels)
            grid[:3] = np.nan
            return grid

    models = [("good", Memory()), ("broken", Broken())]
    with pytest.raises(ValueError, match=r"'broken' must.*NaN in 3 of 5 rows"):
        cross_fit(models, X, Y, LEVELS, folds_of(4))


# ----------------------------------------------------------------------- two folds out
@pytest.mark.parametrize(("n_folds", "n_fits"), [(3, 7), (4, 11), (5, 16)])
def test_nested_fit_leaves_out_each_pair_once(n_folds, n_fits):
    folds = folds_of(KFold(n_folds, shuffle=True, random_state=0))
    nested_cross_fit([("one", Memory())], X, Y, LEVELS, folds)
    assert len(Memory.log) == n_fits
    assert len(set(Memory.log)) == n_fits
    left_out = [frozenset(range(N)) - seen for seen in Memory.log]
    tests = [frozenset(rows.tolist()) for rows in folds.test]
    pairs = [a | b for i, a in enumerate(tests) for b in tests[:i]]
    assert set(left_out) == {frozenset(), *tests, *pairs}


def test_nested_fit_predicts_rows_without_their_fold_and_without_fold_k():
    folds = folds_of(KFold(4, shuffle=True, random_state=0))
    models = [("one", Memory()), ("two", Memory(factor=3.0))]
    fit = nested_cross_fit(models, X, Y, LEVELS, folds)
    everything = code(range(N))
    assert_array_equal(
        fit.stack, cross_fit(models, X, Y, LEVELS, folds, refit=False).stack
    )
    for k in range(4):
        rows = fit.outside(k)
        assert_array_equal(np.sort(np.append(rows, folds.test[k])), np.arange(N))
        for row, found in zip(rows, fit.inner[k], strict=True):
            own = folds.test[folds.fold[row]]
            expected = everything - code(folds.test[k]) - code(own)
            assert_array_equal(found, [[expected] * 2, [3.0 * expected] * 2])


def test_nested_fit_of_a_time_series_covers_the_later_rows():
    folds = folds_of(TimeSeriesSplit(4))
    fit = nested_cross_fit([("one", Memory())], X, Y, LEVELS, folds)
    assert fit.inner[0].shape == (12, 1, 2)
    assert np.isfinite(fit.inner[0]).all()


def test_nested_fit_needs_three_folds():
    with pytest.raises(ValueError, match=r"outside of folds 0 and 1 of 2.*three folds"):
        nested_cross_fit([("one", Memory())], X, Y, LEVELS, folds_of(2))
    assert Memory.log == []


# ---------------------------------------------------------------- seeds and processes
def test_missing_seeds_are_drawn_and_others_kept():
    steps = make_pipeline(StandardScaler(), RandomForestRegressor())
    one, other = seeded(steps, 1), seeded(steps, 2)
    assert one[-1].random_state != other[-1].random_state
    assert one[-1].random_state == seeded(steps, 1)[-1].random_state
    assert steps[-1].random_state is None
    assert seeded(RandomForestRegressor(random_state=7), 1).random_state == 7


def stack(**options):
    models = [("one", Noise()), ("two", Noise()), ("three", Noise(random_state=3))]
    return nested_cross_fit(
        models, X, Y, LEVELS, folds_of(4), random_state=0, **options
    )


def agree(one, other):
    assert_array_equal(one.stack, other.stack)
    for left, right in zip(one.inner, other.inner, strict=True):
        assert_array_equal(left, right)
    assert [m.draw_ for m in one.estimators] == [m.draw_ for m in other.estimators]


def test_same_seed_gives_the_same_fit_and_folds_differ():
    fit = stack()
    agree(fit, stack())
    assert len(np.unique(fit.stack[:, :2])) == 8
    assert len(np.unique(fit.stack[:, 2])) == 1


def test_threads_give_the_result_of_one():
    alone = stack()
    with joblib.parallel_config(backend="threading", n_jobs=2):
        agree(stack(), alone)
