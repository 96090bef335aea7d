from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from statlearn.tour import _wine_study as study
from statlearn.tour import ordinal_regression
from statlearn.tour._progress import SilentProgress
from statlearn.tour._run import run_section


@pytest.fixture(scope="module")
def wine():
    return study.fit_wine(repeats=1)


def test_every_number_agrees_with_the_published_digits(wine):
    assert wine.largest_gap < 1e-5


def test_a_single_wrong_number_is_seen(wine):
    errors = wine.slope_errors.copy()
    errors[1] += 0.01
    wrong = dataclasses.replace(wine, slope_errors=errors)
    np.testing.assert_allclose(wrong.largest_gap, 0.01, rtol=1e-4)


def test_intervals_are_those_of_the_normal_distribution(wine):
    for number, (slope, error) in enumerate(study.SLOPES.values()):
        wanted = slope + error * 1.959964 * np.array([-1.0, 1.0])
        np.testing.assert_allclose(wine.intervals[number], wanted, atol=1e-5)


def test_observed_shares_are_counts_over_eighteen(wine):
    counts = [(4, 9, 5, 0, 0), (1, 7, 8, 2, 0), (0, 5, 8, 3, 2), (0, 1, 5, 7, 5)]
    np.testing.assert_allclose(wine.observed, np.array(counts) / 18)
    np.testing.assert_allclose(wine.fitted.sum(axis=1), 1.0)


def test_the_peer_finds_the_same_likelihood(wine):
    np.testing.assert_allclose(wine.peer_loglik, wine.loglik, rtol=1e-6)


def test_the_section_runs_from_data_to_drawings():
    outcome = run_section(ordinal_regression.SECTION, SilentProgress())
    assert outcome.error == ""
    assert outcome.result.supported
    assert len(outcome.drawings) == len(outcome.result.figures) == 2
