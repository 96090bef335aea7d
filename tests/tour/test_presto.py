from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import log_loss
from statsmodels.stats.proportion import proportion_confint

from statlearn.datasets import load_marriage_rating
from statlearn.tour import _presto_study as study
from statlearn.tour import presto
from statlearn.tour._progress import SilentProgress
from statlearn.tour._run import run_section


@pytest.fixture
def simulation():
    return study.Simulation(
        {
            study.PRESTO: np.array([1.0, 2.0, 3.0]),
            study.LOGIT: np.array([2.0, 2.5, 2.0]),
            study.ODDS: np.array([10.0, 4.0, 4.0]),
        },
        rare_share=0.01,
    )


def test_ratios_are_taken_data_set_by_data_set(simulation):
    assert simulation.median_ratios() == {study.LOGIT: 0.8, study.ODDS: 0.5}
    assert simulation.medians()[study.LOGIT] == 2.0
    assert simulation.wins(study.LOGIT) == 2


def test_interval_of_the_median_covers_it_and_stays_among_the_ratios(simulation):
    low, high = simulation.interval(study.ODDS)
    assert 0.1 <= low <= 0.5 <= high <= 0.75


def test_observed_shares_carry_the_intervals_of_statsmodels():
    keys = np.repeat([1.0, 2.0], [40, 200])
    event = np.zeros(240, dtype=bool)
    event[[0, 1, 2, 50]] = True
    rows = study._observed(keys, event, np.array([1.0, 2.0]))
    for row, hits, size in zip(rows, (3, 1), (40, 200), strict=True):
        low, high = proportion_confint(hits, size, 0.05, method="jeffreys")
        np.testing.assert_allclose(row, [hits / size, low, high], rtol=1e-10)


@pytest.fixture(scope="module")
def survey():
    return study.split_survey(SilentProgress(), n_splits=2, n_train=800)


def test_scores_without_features_are_those_of_the_shares(survey):
    data = load_marriage_rating()
    shares = [np.mean(data.target == label) for label in data.categories]
    codes = np.argmax(data.target[:, None] == np.array(data.categories), axis=1)
    everywhere = np.tile(shares, (len(codes), 1))
    # Stratified splits reproduce the shares up to rounding to whole rows.
    wanted = log_loss(codes, everywhere, labels=np.arange(5))
    np.testing.assert_allclose(
        survey.scores["class_log_loss"][study.SHARES], wanted, rtol=1e-3
    )


def test_every_score_covers_every_split_and_features_help(survey):
    for by_method in survey.scores.values():
        assert {len(values) for values in by_method.values()} == {2}
    loss = survey.mean("class_log_loss")
    assert loss[study.PRESTO] < loss[study.SHARES]
    assert loss[study.ODDS] < loss[study.SHARES]


def test_gaps_and_wins_are_taken_split_by_split(survey):
    values = survey.scores["event_log_loss"]
    excess = values[study.LOGIT] - values[study.PRESTO]
    gap, deviation = survey.paired_difference("event_log_loss")[study.LOGIT]
    np.testing.assert_allclose(gap, excess.mean())
    np.testing.assert_allclose(deviation, abs(excess[0] - excess[1]) / 2**0.5)
    assert survey.wins("event_log_loss")[study.LOGIT] == (excess > 0).sum()


def test_two_programs_agree_on_proportional_odds(survey):
    np.testing.assert_allclose(survey.agreement.ours, survey.agreement.peers, rtol=1e-6)


@pytest.mark.slow
def test_the_section_runs_from_data_to_drawings():
    def run(progress):
        return presto.run(progress, n_simulations=2, n_splits=2, n_train=800)

    section = dataclasses.replace(presto.SECTION, run=run)
    outcome = run_section(section, SilentProgress())
    assert outcome.error == ""
    assert len(outcome.drawings) == len(outcome.result.figures) == 3
    assert "Simulation: squared error" in outcome.result.measured
    assert len(outcome.result.tables) == 3
