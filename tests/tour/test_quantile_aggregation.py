from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import betabinom
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import QuantileRegressor
from sklearn.metrics import mean_pinball_loss

from statlearn.quantile import QuantileAggregator
from statlearn.tour import _quantile_study as study
from statlearn.tour import quantile_aggregation
from statlearn.tour._progress import SilentProgress
from statlearn.tour._run import run_section

N_METHODS = len(study.METHODS)


def trial_of(losses=None, covered=None, out_of_fold=None):
    """A trial in which every loss is 1 but those that are given, by method."""
    values = dict.fromkeys(study.METHODS, 1.0) | (losses or {})
    shares = dict.fromkeys(study.METHODS, (0.8, 0.8)) | (covered or {})
    return study.Trial(
        losses=np.array(list(values.values())),
        out_of_fold=np.array(out_of_fold or [1.0, 2.0, 3.0, 4.0]),
        covered=np.array(list(shares.values())).T,
        lengths=np.ones((2, N_METHODS)),
        weights=np.full((len(study.LEVELS), 4), 0.25),
        n_calibration=99,
        n_test=100,
    )


GOOD = {study.MEDIUM: 0.9, study.FINE: 0.9}


def study_of(*trials):
    return study.Study(
        trials={"one": trials},
        shapes={"one": (500, 3)},
        race=study.Race(0.1, 1.0, 0.0, 500),
    )


@pytest.fixture(scope="module")
def ocean():
    return study.TABLES["ocean"]()


@pytest.fixture(scope="module")
def parts(ocean):
    order = np.random.default_rng(0).permutation(len(ocean[1]))
    return np.split(order, [int(0.6 * len(order)), int(0.8 * len(order))])


@pytest.fixture(scope="module")
def trial(ocean):
    return study.try_split(*ocean, seed=0)


def test_features_of_a_month_are_the_six_months_before_it(ocean):
    X, y = ocean
    assert_allclose(X[6:, 5], y[5:-1])
    assert_allclose(X[6:, 0], y[:-6])
    assert_allclose(X[12:, 6:], X[:-12, 6:], atol=1e-10)
    assert len(y) == 61 * 12 - 6


def test_no_feature_of_a_nucleus_tells_its_size():
    X, y = study.TABLES["nuclei"]()
    data = load_breast_cancer(as_frame=True).frame
    assert_allclose(y, data["mean area"])
    for known in ("mean radius", "mean perimeter", "mean area"):
        assert not any(np.allclose(column, data[known]) for column in X.T)
    # An area is quadratic in the radius: without it there is something left to learn.
    assert max(abs(np.corrcoef(column, y)[0, 1]) for column in X.T) < 0.9


def test_the_linear_model_alone_is_that_of_scikit_learn(trial, ocean, parts):
    X, y = ocean
    train, _, test = parts
    losses = []
    for level in study.LEVELS:
        peer = QuantileRegressor(quantile=level, alpha=0.0).fit(X[train], y[train])
        losses.append(mean_pinball_loss(y[test], peer.predict(X[test]), alpha=level))
    assert_allclose(trial.losses[0], np.mean(losses), rtol=1e-5)


def test_intervals_are_those_that_the_aggregator_predicts(trial, ocean, parts):
    X, y = ocean
    train, known, test = parts
    model = QuantileAggregator(study.models(), levels=study.LEVELS, cv=3)
    model.fit(X[train], y[train])
    place = study.METHODS.index(study.MEDIUM)
    for row in range(2):
        low, high = model.predict_interval(X[test], coverage=0.8).T
        assert_allclose(
            trial.covered[row, place], np.mean((low <= y[test]) & (y[test] <= high))
        )
        assert_allclose(trial.lengths[row, place], np.mean(high - low))
        model.calibrate(X[known], y[known])
    assert_allclose(trial.weights, model.weights_)
    assert_allclose(trial.out_of_fold, model.base_scores_)


def test_weights_of_a_level_have_sum_one(trial):
    assert trial.weights.shape == (len(study.LEVELS), len(study.MODELS))
    assert_allclose(trial.weights.sum(axis=1), 1.0)


def test_honest_intervals_cover_a_beta_binomial_number_of_rows():
    trial = trial_of()
    # The 80th of 99 scores: 80 of the 100 places of a new one are inside.
    answer = betabinom(100, 80, 20)
    share, variance = trial.expected
    assert_allclose(share, answer.mean() / 100)
    assert_allclose(variance, answer.var() / 100**2)
    pair = study.expected([trial, trial])
    assert_allclose(pair, (answer.mean() / 100, answer.std() / 100 / np.sqrt(2)))


def test_losses_are_compared_with_the_best_model_of_each_split():
    first = trial_of({study.LINEAR: 0.5, study.FINE: 0.25})
    second = trial_of({study.FOREST: 0.8, study.FINE: 1.6})
    found = study_of(first, second)
    assert_allclose(found.overall(study.FINE), np.sqrt(0.5 * 2.0))
    assert found.wins(study.FINE) == 1
    # Out of fold the linear model was best, which the second split did not bear out.
    assert_allclose(found.chosen(), np.sqrt(1.0 * 1.25))


def test_coverage_and_length_are_means_of_splits():
    first = trial_of(covered={study.FINE: (0.5, 0.7)})
    second = trial_of(covered={study.FINE: (0.7, 0.9)})
    longer = dataclasses.replace(second, lengths=np.array([[1.0], [4.0]]) * np.ones(7))
    assert_allclose(study.coverage([first, second], study.FINE), [0.6, 0.8])
    assert_allclose(study.stretch([first, longer], study.FINE), 2.0)


@pytest.mark.parametrize(
    ("trial", "verdict"),
    [
        (trial_of(GOOD), True),
        (trial_of({**GOOD, study.MEDIUM: 1.1}), False),
        (trial_of({**GOOD, study.FINE: 1.1}), False),
        (trial_of({**GOOD, study.AVERAGE: 0.85}), False),
        (trial_of(GOOD, {study.MEDIUM: (0.8, 0.6)}), False),
        (trial_of(GOOD, {study.FINE: (0.8, 1.0)}), False),
        (trial_of(GOOD, {study.FINE: (0.5, 0.85)}), True),
    ],
    ids=[
        "all hold",
        "medium loses",
        "fine loses",
        "the average wins",
        "too short",
        "too long",
        "raw ones may miss",
    ],
)
def test_the_verdict_follows_the_numbers(monkeypatch, trial, verdict):
    monkeypatch.setattr(study, "learn", lambda progress, n: study_of(trial))
    assert quantile_aggregation.run(SilentProgress()).supported is verdict


def test_both_programs_of_the_race_find_the_same_losses(ocean):
    race = study.time_linear(*ocean)
    assert race.gap < 1e-7
    assert race.n_rows == len(ocean[1])


@pytest.fixture(scope="module")
def outcome():
    section = dataclasses.replace(
        quantile_aggregation.SECTION,
        run=lambda progress: quantile_aggregation.run(progress, n_seeds=1),
    )
    return run_section(section, SilentProgress())


@pytest.mark.slow
def test_the_section_runs_from_data_to_drawings(outcome):
    assert outcome.error == ""
    assert outcome.caught == ()
    assert len(outcome.drawings) == len(outcome.result.figures) == 3
    losses, intervals, race = outcome.result.tables
    assert [row[0] for row in losses.rows] == list(study.METHODS)
    assert [row[0] for row in intervals.rows] == list(study.METHODS)
    assert len(race.rows) == 2


@pytest.mark.slow
def test_what_speaks_against_the_claim_is_told_beside_it(outcome):
    for words in ("hindsight", "plain average", "best out of fold", "honest"):
        assert words in outcome.result.measured
    assert "diabetes" in " ".join(outcome.result.notes)
