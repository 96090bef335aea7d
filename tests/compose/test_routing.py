"""Metadata and callbacks through estimators that hold another one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.datasets import make_regression
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Ridge,
    SGDRegressor,
)
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from statlearn.compose import CovariateShift, LossReweighted
from statlearn.exceptions import StatlearnWarning
from statlearn.ordinal import PrestoClassifierCV
from statlearn.weights import InverseFrequency, KLTilt

X, Y = make_regression(60, 2, noise=5.0, random_state=0)
WEIGHT = np.linspace(0.5, 1.5, 60)
GROUPS = np.repeat(["a", "b", "c"], [30, 20, 10])
TARGET = np.random.default_rng(0).normal(0.4, 0.8, (40, 2))


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(params=[False, True], ids=["routing off", "routing on"])
def either(request):
    with sklearn.config_context(enable_metadata_routing=request.param):
        yield


def grouped(**requests):
    return LossReweighted(LinearRegression(), InverseFrequency()).set_fit_request(
        **requests
    )


# --------------------------------------------------------------------------- direct use
@pytest.mark.usefixtures("either")
def test_metadata_given_to_fit_are_used():
    model = LossReweighted(LinearRegression(), InverseFrequency())
    model.fit(X, Y, sample_weight=WEIGHT, groups=GROUPS)
    expected = InverseFrequency()(GROUPS, base_weight=WEIGHT)
    assert_allclose(model.weights_, expected)


@pytest.mark.usefixtures("either")
def test_two_levels_multiply_their_weights():
    inner = LossReweighted(LinearRegression(), KLTilt(500.0), max_iter=200)
    outer = LossReweighted(inner, InverseFrequency())
    outer.fit(X, Y, sample_weight=WEIGHT, groups=GROUPS)
    base = InverseFrequency()(GROUPS, base_weight=WEIGHT)
    losses = (outer.predict(X) - Y) ** 2 / 2
    expected = KLTilt(500.0)(losses, base_weight=base)
    assert_allclose(outer.estimator_.weights_, expected, rtol=1e-5)


def test_target_rows_reach_the_inner_level_without_routing():
    inner = CovariateShift(LinearRegression(), "logistic", random_state=0)
    outer = LossReweighted(inner, "huber", max_iter=2).fit(X, Y, X_target=TARGET)
    assert outer.estimator_.ess_ < 55


@pytest.mark.usefixtures("routing")
def test_target_rows_reach_the_inner_level_that_asked_for_them():
    inner = CovariateShift(LinearRegression(), "logistic", random_state=0)
    inner.set_fit_request(X_target=True)
    outer = LossReweighted(inner, "huber", max_iter=2).fit(X, Y, X_target=TARGET)
    assert outer.estimator_.ess_ < 55


@pytest.mark.usefixtures("routing")
def test_metadata_that_nobody_asked_for_are_refused():
    with pytest.raises(TypeError, match="X_target"):
        LossReweighted(LinearRegression()).fit(X, Y, X_target=TARGET)


@pytest.mark.usefixtures("routing")
def test_weights_by_an_alias_of_the_inner_estimator_are_refused():
    inner = LinearRegression().set_fit_request(sample_weight="counts")
    with pytest.raises(TypeError, match="Got sample_weight by an alias"):
        LossReweighted(inner).fit(X, Y, counts=WEIGHT)


@pytest.mark.usefixtures("routing")
def test_pipeline_inside_must_hand_weights_on():
    with pytest.raises(TypeError, match="Got Pipeline"):
        LossReweighted(make_pipeline(StandardScaler(), Ridge())).fit(X, Y)
    last = Ridge().set_fit_request(sample_weight=True)
    scaled = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), last)
    model = LossReweighted(scaled, "huber", max_iter=5).fit(X, Y)
    assert model.score(X, Y) > 0.9


# ----------------------------------------------------------------- inside other objects
@pytest.mark.usefixtures("routing")
def test_cross_validation_routes_weights_and_groups():
    model = grouped(sample_weight=True, groups=True).set_score_request(
        sample_weight=True
    )
    result = cross_validate(
        model,
        X,
        Y,
        cv=GroupKFold(3),
        params={"sample_weight": WEIGHT, "groups": GROUPS},
        return_estimator=True,
        return_indices=True,
    )
    for fitted, train in zip(
        result["estimator"], result["indices"]["train"], strict=True
    ):
        expected = InverseFrequency()(GROUPS[train], base_weight=WEIGHT[train])
        assert_allclose(fitted.weights_, expected)
    test = result["indices"]["test"][0]
    score = result["estimator"][0].estimator_.score(X[test], Y[test], WEIGHT[test])
    assert result["test_score"][0] == pytest.approx(score)


@pytest.mark.usefixtures("routing")
def test_cross_validation_hands_all_target_rows_to_each_fold():
    model = CovariateShift(LinearRegression(), "logistic", random_state=0)
    model.set_fit_request(X_target=True)
    result = cross_validate(
        model, X, Y, cv=KFold(2), params={"X_target": TARGET}, return_estimator=True
    )
    for fitted, (train, _) in zip(result["estimator"], KFold(2).split(X), strict=True):
        direct = clone(model).fit(X[train], Y[train], X_target=TARGET)
        assert_allclose(fitted.weights_, direct.weights_)


@pytest.mark.usefixtures("routing")
def test_pipeline_around_routes_to_its_last_step():
    steps = make_pipeline(StandardScaler(), grouped(groups=True, sample_weight=True))
    steps[0].set_fit_request(sample_weight=False)
    steps.fit(X, Y, sample_weight=WEIGHT, groups=GROUPS)
    assert_allclose(steps[-1].weights_, InverseFrequency()(GROUPS, base_weight=WEIGHT))


def test_pipeline_around_takes_parameters_of_its_step_without_routing():
    steps = make_pipeline(
        StandardScaler(), LossReweighted(LinearRegression(), "temperature")
    )
    steps.fit(X, Y, lossreweighted__groups=GROUPS)
    assert steps[-1].weights_[-1] > steps[-1].weights_[0]


@pytest.mark.usefixtures("routing")
def test_weights_that_nobody_requested_are_an_error_of_cross_validation():
    with pytest.raises(ValueError, match="sample_weight"):
        cross_validate(
            LossReweighted(LinearRegression()), X, Y, params={"sample_weight": WEIGHT}
        )


@pytest.mark.usefixtures("routing")
def test_minibatches_route_nothing_further():
    model = LossReweighted(SGDRegressor(random_state=0), mode="minibatch")
    model.set_fit_request(sample_weight=True)
    steps = make_pipeline(StandardScaler(), model)
    steps[0].set_fit_request(sample_weight=False)
    steps.fit(X, Y, sample_weight=WEIGHT)
    assert steps[-1].weights_.mean() == pytest.approx(1.0)


# ---------------------------------------------------------------------------- callbacks
class Recorder:
    """Remember the tasks that end, and what they have fitted."""

    def __init__(self, stop_after=None):
        self.names, self.fitted, self.stop_after = Counter(), [], stop_after

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.names[context.task_name] += 1
        self.fitted.append(fitted_estimator)
        return self.names[context.task_name] == self.stop_after


def test_each_round_is_a_task_with_its_model():
    recorder = Recorder()
    model = LossReweighted(LinearRegression(), max_iter=4).set_callbacks(recorder)
    model.fit(X, Y)
    assert recorder.names == {"round": 4, "fit": 1}
    first = LinearRegression().fit(X, Y)
    assert_allclose(recorder.fitted[0].predict(X), first.predict(X))
    assert_allclose(recorder.fitted[-1].predict(X), model.predict(X))


@pytest.mark.parametrize("mode", ["refit", "minibatch"])
def test_callback_can_stop_the_rounds(mode):
    inner = SGDRegressor(random_state=0)
    model = LossReweighted(inner, mode=mode, random_state=0)
    model.set_callbacks(Recorder(stop_after=3)).fit(X, Y)
    assert model.n_iter_ == len(model.loss_path_) == 3


def test_weighted_fit_is_a_task():
    recorder = Recorder()
    model = CovariateShift(LinearRegression(), "logistic").set_callbacks(recorder)
    model.fit(X, Y, X_target=TARGET)
    assert recorder.names == {"weighted-fit": 1, "fit": 1}


def test_progress_reaches_an_estimator_that_reports(capsys):
    inner = PrestoClassifierCV(n_alphas=3, cv=2)
    model = LossReweighted(inner, max_iter=2).set_callbacks(ProgressBar())
    model.fit(X, np.digitize(Y, [-50, 50]))
    shown = capsys.readouterr().out
    assert "LossReweighted - fit" in shown
    assert "PrestoClassifierCV - folds" in shown


def test_progress_of_an_estimator_that_reports_nothing_is_silent(capsys):
    model = LossReweighted(LogisticRegression(), max_iter=2)
    model.set_callbacks(ProgressBar()).fit(X, Y > 0)
    assert "LossReweighted - fit" in capsys.readouterr().out


def test_search_over_two_levels_keeps_its_names():
    inner = CovariateShift(LinearRegression(), "logistic", random_state=0)
    grid = {"estimator__estimator__fit_intercept": [True, False]}
    with pytest.warns(StatlearnWarning, match="X_target"):
        search = GridSearchCV(LossReweighted(inner, "huber"), grid, cv=2).fit(X, Y)
    assert search.best_score_ > 0.8
