"""Scorers of quantiles select models as the metrics say."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import config_context
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from statlearn.metrics import (
    crps_from_quantiles,
    interval_coverage,
    interval_score,
    level_calibration_error,
    make_quantile_scorer,
    pinball_loss,
    weighted_interval_score,
)

LEVELS = np.array([0.1, 0.5, 0.9])


class Shifted(RegressorMixin, BaseEstimator):
    """Empirical quantiles of the training targets, moved by a shift."""

    def __init__(self, shift=0.0):
        self.shift = shift

    def fit(self, X, y, sample_weight=None):
        self.y_, self.levels_ = np.asarray(y), LEVELS
        return self

    def predict(self, X):
        return self.predict_quantiles(X, [0.5])[:, 0]

    def predict_quantiles(self, X, levels=None):
        wanted = self.levels_ if levels is None else levels
        return np.tile(np.quantile(self.y_, wanted) + self.shift, (len(X), 1))

    def predict_interval(self, X, coverage=0.8):
        return self.predict_quantiles(X, [(1 - coverage) / 2, (1 + coverage) / 2])


RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 2))
Y = RNG.gamma(2.0, size=120)
WEIGHT = RNG.integers(0, 4, size=120).astype(float)
METRICS = {
    "pinball": pinball_loss,
    "wis": weighted_interval_score,
    "crps": crps_from_quantiles,
    "calibration": level_calibration_error,
}


@pytest.mark.parametrize("name", METRICS)
def test_score_is_minus_the_metric_of_the_quantiles(name):
    model = Shifted().fit(X, Y)
    scorer = make_quantile_scorer(name)
    expected = METRICS[name](Y, model.predict_quantiles(X), LEVELS)
    assert_allclose(scorer(model, X, Y), -expected)
    weighted = METRICS[name](
        Y, model.predict_quantiles(X), LEVELS, sample_weight=WEIGHT
    )
    assert_allclose(scorer(model, X, Y, sample_weight=WEIGHT), -weighted)


def test_levels_given_are_those_that_are_asked_for():
    model = Shifted().fit(X, Y)
    expected = mean_pinball_loss(Y, np.full(120, np.quantile(Y, 0.3)), alpha=0.3)
    assert_allclose(make_quantile_scorer(levels=[0.3])(model, X, Y), -expected)


def test_intervals_are_scored_at_the_coverage():
    model = Shifted().fit(X, Y)
    interval = model.predict_interval(X, 0.5)
    found = make_quantile_scorer("interval_score", coverage=0.5)(model, X, Y)
    assert_allclose(found, -interval_score(Y, interval, 0.5))
    found = make_quantile_scorer("coverage_error", coverage=0.5)(model, X, Y)
    assert_allclose(found, -abs(interval_coverage(Y, interval) - 0.5))


def test_a_callable_is_a_loss_unless_it_says_so():
    model = Shifted().fit(X, Y)
    loss = make_quantile_scorer(pinball_loss)
    assert_allclose(loss(model, X, Y), make_quantile_scorer()(model, X, Y))
    score = make_quantile_scorer(pinball_loss, greater_is_better=True)
    assert_allclose(score(model, X, Y), -loss(model, X, Y))


def test_grid_search_chooses_the_model_of_least_loss():
    search = GridSearchCV(
        Shifted(),
        {"shift": [-0.5, 0.0, 2.0]},
        scoring=make_quantile_scorer("wis"),
        cv=3,
    ).fit(X, Y)
    assert search.best_params_ == {"shift": 0.0}
    assert search.best_score_ < 0.0


def test_a_pipeline_is_scored_by_its_last_step():
    model = make_pipeline(StandardScaler(), "passthrough", Shifted()).fit(X, Y)
    bare = make_quantile_scorer()(Shifted().fit(X, Y), X, Y)
    assert_allclose(make_quantile_scorer()(model, X, Y), bare)


def expected_scores(weight):
    return [
        make_quantile_scorer()(
            Shifted().fit(X[train], Y[train]), X[test], Y[test], weight[test]
        )
        for train, test in KFold(4).split(X)
    ]


def test_weights_of_a_search_reach_the_scorer_without_routing():
    search = GridSearchCV(
        Shifted(), {"shift": [0.0]}, scoring=make_quantile_scorer(), cv=KFold(4)
    )
    search.fit(X, Y, sample_weight=WEIGHT)
    assert_allclose(search.best_score_, np.mean(expected_scores(WEIGHT)))


def test_weights_reach_the_scorer_by_routing():
    with config_context(enable_metadata_routing=True):
        model = Shifted().set_fit_request(sample_weight=True)
        scorer = make_quantile_scorer().set_score_request(sample_weight=True)
        assert scorer.get_metadata_routing().score.requests == {"sample_weight": True}
        found = cross_validate(
            model,
            X,
            Y,
            scoring={"loss": scorer},
            cv=KFold(4),
            params={"sample_weight": WEIGHT},
        )
    assert_allclose(found["test_loss"], expected_scores(WEIGHT))


def test_several_scorers_serve_in_one_search():
    search = GridSearchCV(
        Shifted(),
        {"shift": [0.0, 1.0]},
        scoring={"loss": make_quantile_scorer(), "crps": make_quantile_scorer("crps")},
        refit="loss",
        cv=KFold(4),
    )
    search.fit(X, Y, sample_weight=WEIGHT)
    assert_allclose(
        search.cv_results_["mean_test_loss"][0], np.mean(expected_scores(WEIGHT))
    )
    assert search.best_params_ == {"shift": 0.0}


def test_scorer_survives_pickling_and_cloning():
    scorer = make_quantile_scorer("interval_score", coverage=0.5)
    model = Shifted().fit(X, Y)
    for again in (pickle.loads(pickle.dumps(scorer)), clone(scorer)):
        assert repr(again) == "QuantileScorer(coverage=0.5, metric='interval_score')"
        assert again(model, X, Y) == scorer(model, X, Y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"metric": "r2"}, "'metric' of make_quantile_scorer.* Got 'r2'"),
        ({"levels": [0.5, 0.1]}, "'levels' of make_quantile_scorer.* sorted"),
        ({"coverage": 80}, "'coverage' of make_quantile_scorer.* Got 80"),
    ],
    ids=["metric", "levels", "coverage"],
)
def test_bad_parameters_are_refused_at_once(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_quantile_scorer(**parameters)


def test_an_estimator_without_quantiles_is_refused():
    model = LinearRegression().fit(X, Y)
    for levels in (None, [0.5]):
        with pytest.raises(TypeError, match=r"predict_quantiles\. Got LinearRegress"):
            make_quantile_scorer(levels=levels)(model, X, Y)
