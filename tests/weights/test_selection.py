"""Trimming and self-paced learning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar

from statlearn.exceptions import DegenerateWeightsWarning
from statlearn.weights import (
    SelfPaced,
    Trimmed,
    cvar_weights,
    self_paced_weights,
    trimmed_weights,
)

FIVE = np.arange(1.0, 6.0)


# ------------------------------------------------------------------------- trimming
def test_fraction_of_whole_rows_is_left_out():
    weights = trimmed_weights([9.0, 1.0, 5.0, 3.0, 7.0], 0.4)
    assert_allclose(weights, [0.0, 5 / 3, 5 / 3, 5 / 3, 0.0], rtol=1e-15)


def test_row_at_the_boundary_keeps_what_is_left():
    # Half of five rows is two and a half.
    assert_allclose(trimmed_weights(FIVE, 0.5), [2.0, 2.0, 1.0, 0.0, 0.0])


def test_tied_rows_at_the_boundary_keep_the_same_part():
    weights = trimmed_weights([1.0, 2.0, 2.0, 3.0], 0.5, base_weight=[2, 1, 3, 4])
    # 5 of 10 stay: 2 on the first row, 3 of 4 on the tied ones; scaled by 2.
    assert_allclose(weights, [4.0, 1.5, 4.5, 0.0], rtol=1e-15)


def test_trimmed_mean_is_the_smallest_mean_of_a_subset_of_that_size():
    losses = np.random.default_rng(0).normal(size=11)
    mean = np.average(losses, weights=trimmed_weights(losses, 4 / 11))
    assert_allclose(mean, np.sort(losses)[:7].mean(), rtol=1e-14)


@pytest.mark.parametrize("base", [None, np.ones(10)])
def test_trimming_whole_rows_leaves_no_dust(base):
    weights = trimmed_weights(np.arange(10.0), 0.7, base_weight=base)
    assert_array_equal(weights > 0.0, np.arange(10) < 3)


def test_nothing_trimmed_gives_base_weights():
    assert_array_equal(trimmed_weights(FIVE, 0.0), np.ones(5))
    base = [1.0, 2.0, 0.0, 0.3, 5.0]
    assert_allclose(trimmed_weights(FIVE, 0.0, base_weight=base), base, rtol=1e-15)


def test_extreme_fraction_keeps_the_best_rows():
    weights = trimmed_weights([2.0, 1.0, 1.0, 3.0], 1.0 - 1e-16)
    assert_array_equal(weights, [0.0, 2.0, 2.0, 0.0])


@given(
    losses=arrays(np.float64, 7, elements=st.sampled_from([-3.0, 0.0, 0.5, 1e300])),
    fraction=st.floats(0.01, 0.99),
)
def test_trimming_and_the_tail_of_the_same_mass_make_up_the_whole(losses, fraction):
    kept = trimmed_weights(losses, fraction)
    dropped = cvar_weights(losses, 1.0 - fraction)
    assert_allclose((1 - fraction) * kept + fraction * dropped, 1.0, atol=1e-9)


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_unit_of_losses_does_not_matter_for_trimming(scale):
    losses = np.array([4.0, 1.0, 1.0, 8.0, 2.0])
    assert_array_equal(
        trimmed_weights(scale * losses, 0.3), trimmed_weights(losses, 0.3)
    )


@pytest.mark.parametrize("fraction", [-0.1, 1.0, np.nan])
def test_fraction_outside_the_unit_interval_is_refused(fraction):
    with pytest.raises(ValueError, match=r"'fraction' of trimmed_weights must lie in"):
        trimmed_weights(FIVE, fraction)


# ----------------------------------------------------------------------- self-paced
def test_linear_weights_of_five_losses():
    weights = self_paced_weights(FIVE, 2.5, mode="linear")
    assert_allclose(weights / weights.sum() * 0.8, [0.6, 0.2, 0, 0, 0], atol=1e-15)


def test_hard_weights_admit_losses_below_the_threshold_only():
    assert_array_equal(self_paced_weights(FIVE, 3.0), [2.5, 2.5, 0, 0, 0])


@pytest.mark.parametrize(
    ("mode", "g"), [("hard", lambda v: v), ("linear", lambda v: v - v * v / 2)]
)
def test_self_paced_weights_minimise_their_objective(mode, g):
    losses, lam = np.array([0.1, 0.9, 1.4, 2.2]), 1.7
    best = [
        minimize_scalar(
            lambda v, x=x: v * x - lam * g(v), bounds=(0, 1), method="bounded"
        ).x
        for x in losses
    ]
    weights = self_paced_weights(losses, lam, mode=mode)
    assert_allclose(weights / 4, best / np.sum(best), atol=1e-4)


@pytest.mark.parametrize("mode", ["hard", "linear"])
def test_without_easy_rows_the_easiest_have_the_weight(mode):
    with pytest.warns(DegenerateWeightsWarning, match="losses below lam=1. Got none"):
        weights = self_paced_weights([3.0, 1.0, 1.0, 2.0], 1.0, mode=mode)
    assert_array_equal(weights, [0.0, 2.0, 2.0, 0.0])


def test_warning_points_at_the_caller():
    with pytest.warns(DegenerateWeightsWarning) as caught:
        self_paced_weights([3.0, 2.0], 1.0)
    assert caught[0].filename == __file__


def test_threshold_grows_with_the_step():
    rule = SelfPaced(lam=1.5, growth=1.4)
    admitted = [int((rule(FIVE, step=step) > 0).sum()) for step in range(5)]
    # 1.5, 2.1, 2.94, 4.116, 5.7624
    assert admitted == [1, 2, 2, 4, 5]
    assert_array_equal(rule(FIVE), rule(FIVE, step=0))


@pytest.mark.parametrize("mode", ["hard", "linear"])
def test_threshold_beyond_all_numbers_admits_all_rows_alike(mode):
    assert_array_equal(self_paced_weights(FIVE, np.inf, mode=mode), np.ones(5))
    late = SelfPaced(growth=10.0, mode=mode)(FIVE, step=1_000_000)
    assert_array_equal(late, np.ones(5))


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_linear_weights_of_huge_and_tiny_losses(scale):
    losses = scale * np.array([-1.0, 0.0, 0.5, 1.5])
    weights = self_paced_weights(losses, scale, mode="linear")
    assert_allclose(weights, np.array([2.0, 1.0, 0.5, 0.0]) * 4 / 3.5, rtol=1e-13)


@pytest.mark.parametrize("lam", [0.0, -1.0, np.nan])
def test_threshold_must_be_positive(lam):
    with pytest.raises(ValueError, match="'lam' of self_paced_weights must be pos"):
        self_paced_weights(FIVE, lam)


@pytest.mark.parametrize("growth", [0.0, -1.0, np.nan, np.inf])
def test_growth_must_be_positive(growth):
    with pytest.raises(
        ValueError, match="'growth' of SelfPaced must be a finite number > 0"
    ):
        SelfPaced(growth=growth)(FIVE)


def test_unknown_mode_is_refused():
    with pytest.raises(ValueError, match=r"'mode' .* 'hard' or 'linear'. Got 'soft'"):
        SelfPaced(mode="soft")(FIVE)


# -------------------------------------------------------------------------- classes
@pytest.mark.parametrize(
    ("rule", "function", "parameters"),
    [
        (Trimmed(0.3), trimmed_weights, {"fraction": 0.3}),
        (SelfPaced(2.7), self_paced_weights, {"lam": 2.7}),
        (
            SelfPaced(2.7, mode="linear"),
            self_paced_weights,
            {"lam": 2.7, "mode": "linear"},
        ),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_rule_gives_the_numbers_of_its_function(rule, function, parameters):
    base = np.array([1.0, 0.5, 2.0, 0.0, 3.0])
    assert_array_equal(
        rule(FIVE, base_weight=base), function(FIVE, base_weight=base, **parameters)
    )
    rule.set_params(warmup=3)
    assert_array_equal(rule(FIVE, step=2), np.ones(5))
    assert_array_equal(rule(FIVE, step=3), function(FIVE, **parameters))


def test_falling_threshold_stays_positive():
    rule = SelfPaced(1.0, growth=0.5)
    with pytest.warns(DegenerateWeightsWarning):
        assert_array_equal(rule([1.0, 2.0], step=5000), [2.0, 0.0])
    rule = SelfPaced(1.0, growth=0.5, mode="linear")
    assert_array_equal(rule([0.0, 2.0], step=5000), [2.0, 0.0])
    with pytest.raises(ValueError, match=r"'lam' .* must be positive. Got -1"):
        SelfPaced(-1.0, growth=0.5)([1.0], step=5000)
