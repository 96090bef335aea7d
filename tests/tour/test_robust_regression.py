from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import brentq

from ordinal_cases import golden
from statlearn.tour import _stackloss_study as study
from statlearn.tour import robust_regression
from statlearn.tour._progress import SilentProgress
from statlearn.tour._run import run_section


def record(name, **wanted):
    """The one fit of the stack loss in a reference file that has some values."""
    (found,) = (
        fit
        for fit in golden(name)["fits"]
        if fit["dataset"] == "stackloss"
        and all(fit[key] == value for key, value in wanted.items())
    )
    return found


RLM = record("robust_rlm", family="huber", scale_est="mad", mad="0.6745")
LMROB = record("robust_lmrob")


@pytest.fixture(scope="module")
def plant():
    return study.fit_stackloss(repeats=1)


@pytest.mark.parametrize(
    ("published", "answer"), [(study.RLM, RLM), (study.LMROB, LMROB)]
)
def test_published_digits_are_those_of_the_reference_files(published, answer):
    assert_allclose(published.coef, answer["params"], atol=5e-9)
    assert_allclose(published.errors, answer["bse"], atol=1e-7)
    assert_allclose(published.scale, answer["scale"], atol=1e-9)


def test_published_weights_and_start_are_those_of_the_reference_files():
    assert_allclose(study.LMROB_WEIGHTS, LMROB["weights"], atol=5e-7)
    assert_allclose(study.LMROB_START, LMROB["s_params"], atol=5e-9)


def test_every_number_agrees_with_the_published_digits(plant):
    assert plant.largest_gap < robust_regression.TOLERANCE
    assert len(plant.gaps()) == 7


@pytest.mark.parametrize("field", ["coef", "errors", "weights"])
def test_a_single_wrong_number_is_seen(plant, field):
    values = getattr(plant.fits[study.MM], field).copy()
    values[1] += 0.01
    wrong = dataclasses.replace(plant.fits[study.MM], **{field: values})
    changed = dataclasses.replace(plant, fits={**plant.fits, study.MM: wrong})
    assert_allclose(changed.largest_gap, 0.01, rtol=1e-3)


def test_errors_of_huber_differ_from_those_of_rlm_by_the_divisor_of_a_variance(plant):
    assert_allclose(
        plant.fits[study.HUBER].errors, RLM["bse_population"], atol=1e-6, rtol=0
    )
    assert_allclose(plant.huber_errors, RLM["bse"], atol=1e-6, rtol=0)
    assert np.all(plant.huber_errors > 1.001 * plant.fits[study.HUBER].errors)


def test_least_squares_has_the_usual_errors_and_scale(plant):
    design = np.column_stack([np.ones(21), plant.X])
    coef, squares, *_ = np.linalg.lstsq(design, plant.y, rcond=None)
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * squares[0] / 17)
    fit = plant.fits[study.OLS]
    assert_allclose(fit.coef, coef, rtol=1e-9)
    assert_allclose(fit.errors, errors, rtol=1e-8)
    assert_allclose(fit.scale, np.sqrt(squares[0] / 17), rtol=1e-9)


def test_intervals_are_those_of_the_normal_distribution(plant):
    for fit in plant.fits.values():
        wanted = fit.coef[:, None] + np.outer(fit.errors, [-1.959964, 1.959964])
        assert_allclose(fit.intervals, wanted, atol=1e-4)


def test_mm_names_the_two_days_that_least_squares_hides(plant):
    assert plant.fits[study.MM].outliers == (4, 21)
    assert plant.fits[study.OLS].outliers == ()
    assert plant.fits[study.MM].weights[20] == 0.0


def test_distances_are_residuals_over_scale(plant):
    design = np.column_stack([np.ones(21), plant.X])
    for fit in plant.fits.values():
        residuals = plant.y - design @ fit.coef
        assert_allclose(fit.distances * fit.scale, residuals, atol=1e-10)


def s_scale(residuals, degrees):
    """The scale at which the mean bisquare loss is one half, lmrob's constant."""

    def excess(scale):
        u = np.minimum(np.abs(residuals) / (1.54764 * scale), 1.0)
        return np.sum(1.0 - (1.0 - u**2) ** 3) / degrees - 0.5

    return brentq(excess, 1e-3, 1e3)


def test_starts_of_both_programs_are_judged_by_one_scale(plant):
    design = np.column_stack([np.ones(21), plant.X])
    ours = s_scale(plant.y - design @ plant.start, 17)
    assert_allclose(plant.fits[study.MM].scale, ours, rtol=1e-6)
    assert plant.peer.s_scale >= ours - 1e-6


def test_scale_of_the_peer_is_that_of_its_start(plant):
    from statsmodels.robust.resistant_linear_model import RLMDetSMM

    design = np.column_stack([np.ones(21), plant.X])
    start = RLMDetSMM(plant.y, design).fit().results_dets.params
    residuals = plant.y - design @ start
    assert_allclose(plant.peer.s_scale, s_scale(residuals, 17), rtol=1e-6)


@pytest.mark.slow
def test_the_section_runs_from_data_to_drawings():
    outcome = run_section(robust_regression.SECTION, SilentProgress())
    assert outcome.error == ""
    assert outcome.caught == ()
    assert outcome.result.supported
    assert len(outcome.drawings) == len(outcome.result.figures) == 2
    assert "day 4 (+3.8 scales) and day 21 (-5.5 scales)" in outcome.result.measured
    outliers = outcome.result.tables[3]
    assert [row[0] for row in outliers.rows] == ["day 1", "day 3", "day 4", "day 21"]
