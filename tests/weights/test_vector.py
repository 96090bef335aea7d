"""Mathematics on one weight vector."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import rel_entr, softmax

from statlearn.weights import clip_ratio, normalize, project_simplex, temper, tilt
from stub_tensor import Tensor

weights_of_any_size = arrays(
    np.float64,
    st.integers(1, 10),
    elements=st.floats(1e-6, 1e6) | st.just(0.0),
).filter(lambda w: w.any())
FUNCTIONS = {
    "normalize": normalize,
    "temper": lambda w: temper(w, 2.0),
    "clip_ratio": lambda w: clip_ratio(w, 3.0),
    "project_simplex": project_simplex,
    "tilt": lambda w: tilt(w, 2.0),
}
each_function = pytest.mark.parametrize("name", list(FUNCTIONS))
each_function_of_weights = pytest.mark.parametrize(
    "name", ["normalize", "temper", "clip_ratio"]
)


# ----------------------------------------------------------------------- common
@each_function
def test_a_tensor_gives_a_tensor(name):
    values = np.array([1.0, 0.5, 4.0], dtype=np.float32)
    out = FUNCTIONS[name](Tensor(values, device="cuda", requires_grad=True))
    assert isinstance(out, Tensor)
    assert (out.device, out.requires_grad, out.dtype) == ("cuda", False, np.float32)
    assert_allclose(out.data, FUNCTIONS[name](values), rtol=1e-6)


@each_function
@pytest.mark.parametrize(
    ("given_as", "kept"),
    [(np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float64)],
)
def test_floating_type_is_kept(name, given_as, kept):
    assert FUNCTIONS[name](np.array([1, 2, 5], dtype=given_as)).dtype == kept


@each_function
def test_input_is_not_written(name):
    values = np.array([1.0, 2.0, 9.0])
    values.flags.writeable = False
    out = FUNCTIONS[name](values)
    assert not np.shares_memory(out, values)


@each_function_of_weights
@pytest.mark.parametrize(
    ("bad", "came"),
    [
        ([], r"shape \(0,\)"),
        ([[1.0]], r"shape \(1, 1\)"),
        (1.0, r"shape \(\)"),
        ([1.0, np.nan], "NaN or infinity, first at 1"),
        ([np.inf, 1.0], "NaN or infinity, first at 0"),
        ([1.0, -1.0], "-1.0 at 1"),
        ([0.0, 0.0], "zeros only"),
    ],
)
def test_what_is_no_weight_is_refused(name, bad, came):
    message = rf"'weights' of {name} must be .* Got {came}; drop or correct"
    with pytest.raises(ValueError, match=message):
        FUNCTIONS[name](bad)


# --------------------------------------------------------------------- normalize
@given(weights_of_any_size)
def test_normalize_makes_the_mean_one_and_keeps_proportions(weights):
    out = normalize(weights)
    assert_allclose(out.mean(), 1.0, rtol=1e-13)
    assert_allclose(out * weights.sum(), weights * len(weights), rtol=1e-12)


def test_normalize_to_a_given_total():
    assert_allclose(normalize([1.0, 3.0], total=1.0), [0.25, 0.75])


def test_normalize_survives_weights_whose_sum_overflows():
    assert_allclose(normalize([1e308, 1e308, 0.0]), [1.5, 1.5, 0.0])
    assert_allclose(normalize([5e-324, 5e-324]), [1.0, 1.0])


@pytest.mark.parametrize("total", [0.0, -1.0, np.nan])
def test_normalize_refuses_a_total_that_is_not_positive(total):
    with pytest.raises(ValueError, match="'total' of normalize must be a number > 0"):
        normalize([1.0], total=total)


# ------------------------------------------------------------------------ temper
@given(weights_of_any_size, st.floats(0.2, 20.0))
def test_temper_takes_the_power_and_keeps_total_and_zeros(weights, temperature):
    out = temper(weights, temperature)
    power = np.where(weights > 0.0, weights ** (1.0 / temperature), 0.0)
    assert_allclose(out, power * weights.sum() / power.sum(), rtol=1e-9)
    assert_array_equal(out == 0.0, weights == 0.0)


def test_temper_at_one_changes_nothing_and_at_infinity_makes_equal():
    weights = np.array([0.0, 1.0, 2.0, 6.0])
    assert_allclose(temper(weights, 1.0), weights, rtol=1e-15)
    assert_allclose(temper(weights, np.inf), [0.0, 3.0, 3.0, 3.0])


def test_temper_keeps_positive_weights_that_are_far_apart():
    out = temper([1e-300, 1e300], 1000.0)
    assert_allclose(out[0] / out[1], 10.0 ** (-600 / 1000), rtol=1e-12)


def test_temper_sharpens_without_overflow():
    assert_allclose(temper([1e300, 1e300, 1.0], 0.01), [1e300, 1e300, 0.0])


def test_temper_survives_weights_whose_sum_or_ratio_overflows():
    assert_allclose(temper([1e308] * 3, 2.0), 1e308, rtol=1e-12)
    # b (w / b)^(1/2) = sqrt(w b): 1e-150 and sqrt(2), whose sum is to be 3
    found = temper([1.0, 2.0], 2.0, base_weight=[1e-300, 1.0])
    assert_allclose(found, [1.5 * np.sqrt(2.0) * 1e-150, 3.0], rtol=1e-12)
    found = temper([1e30, 2e30], 2.0, base_weight=[1e-300, 1.0])
    assert_allclose(found, [1.5 * np.sqrt(2.0) * 1e-120, 3e30], rtol=1e-12)
    found = temper([1.0, 2.0], 2.0, base_weight=[1e-320, 1.0])
    assert_allclose(found, [1.5 * np.sqrt(2.0) * 1e-160, 3.0], rtol=1e-3)


def test_temper_acts_on_the_ratio_to_the_base_weights():
    base = np.array([1.0, 2.0, 4.0, 0.0])
    density = np.array([1.0, 4.0, 1.0, 0.0])
    out = temper(base * density, 2.0, base_weight=base)
    expected = base * np.sqrt(density)
    total = (base * density).sum()
    assert_allclose(out, expected * total / expected.sum(), rtol=1e-14)
    assert_allclose(temper(base, 3.0, base_weight=base), base, rtol=1e-14)


# -------------------------------------------------------------------------- tilt
@given(
    arrays(np.float64, st.integers(1, 8), elements=st.floats(-50, 50)),
    st.floats(0.1, 10.0) | st.floats(-10.0, -0.1),
)
def test_tilt_is_a_softmax(scores, temperature):
    expected = softmax(scores / temperature) * len(scores)
    assert_allclose(tilt(scores, temperature), expected, rtol=1e-10, atol=1e-300)


def test_tilt_maximises_the_mean_score_less_the_divergence():
    rng = np.random.default_rng(0)
    scores, base = rng.normal(size=6), rng.uniform(0.5, 2.0, size=6)
    p, q = tilt(scores, 0.7, base_weight=base) / base.sum(), base / base.sum()

    def value(candidate):
        return candidate @ scores - 0.7 * rel_entr(candidate, q).sum()

    others = rng.dirichlet(1e3 * p, size=200)
    assert all(value(p) > value(other) for other in others)


def test_tilt_at_infinite_temperature_gives_the_base_weights():
    base = [1.0, 3.0, 0.0]
    assert_allclose(tilt([5.0, -2.0, 1.0], np.inf, base_weight=base), base)


def test_tilt_survives_scores_whose_differences_overflow():
    out = tilt([-1.7e308, 1.7e308], 1e308)
    assert_allclose(out[0] / out[1], np.exp(-3.4), rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.0, np.nan])
def test_tilt_refuses_a_temperature_without_meaning(temperature):
    with pytest.raises(ValueError, match=r"other than zero. Got"):
        tilt([1.0], temperature)


# -------------------------------------------------------------------- clip_ratio
@given(weights_of_any_size, st.floats(1.0, 100.0))
def test_clip_ratio_bounds_the_ratio_and_cuts_only_the_largest(weights, max_ratio):
    out = clip_ratio(weights, max_ratio)
    positive = weights > 0.0
    assert_allclose(out.sum(), weights.sum(), rtol=1e-12)
    assert_array_equal(out == 0.0, ~positive)
    assert out.max() <= out[positive].min() * max_ratio * (1.0 + 1e-12)
    below = positive & (weights <= weights[positive].min() * max_ratio)
    growth = out[below] / weights[below]
    assert_allclose(growth, growth[0], rtol=1e-12)
    cut = out[positive & ~below]
    assert_allclose(cut, out.max(), rtol=1e-12)


def test_clip_ratio_of_one_makes_equal_and_of_infinity_nothing():
    weights = np.array([0.0, 1.0, 2.0, 6.0])
    assert_allclose(clip_ratio(weights, 1.0), [0.0, 3.0, 3.0, 3.0])
    assert_allclose(clip_ratio(weights, np.inf), weights)


def test_clip_ratio_survives_the_largest_and_the_smallest_numbers():
    assert_allclose(clip_ratio([1e308] * 3, 2.0), 1e308, rtol=1e-12)
    assert_allclose(clip_ratio([1.5e308, 5e307, 1e308], 2.0), [1.2e308, 6e307, 1.2e308])
    assert_allclose(clip_ratio([5e-324, 1.0], 10.0), np.array([1.0, 10.0]) / 11.0)
    assert_allclose(
        clip_ratio([1.0, 2.0], 10.0, base_weight=[1e-300, 1.0]), [3e-299, 3.0]
    )


def test_clip_ratio_acts_on_the_ratio_to_the_base_weights():
    base = np.array([10.0, 1.0, 1.0, 0.0])
    assert_allclose(clip_ratio(base, 1.0, base_weight=base), base)
    out = clip_ratio(base * [1.0, 4.0, 8.0, 0.0], 2.0, base_weight=base)
    assert_allclose(out, base * [1.0, 2.0, 2.0, 0.0] * 22.0 / 14.0)


def test_clip_ratio_refuses_a_ratio_below_one():
    with pytest.raises(ValueError, match=r"must be at least 1. Got 0.5; pass 1"):
        clip_ratio([1.0], 0.5)


@pytest.mark.parametrize("function", [temper, clip_ratio])
def test_a_weight_on_a_row_without_base_weight_is_refused(function):
    with pytest.raises(ValueError, match="'base_weight' must be positive where"):
        function([1.0, 1.0], 2.0, base_weight=[1.0, 0.0])


# --------------------------------------------------------------- project_simplex
@given(
    arrays(np.float64, st.integers(1, 10), elements=st.floats(-1e3, 1e3)),
    st.floats(0.1, 10.0),
)
def test_projection_has_one_threshold_for_all_entries(values, total):
    # the conditions of optimality, which determine the projection
    out = project_simplex(values, total=total)
    assert (out >= 0.0).all()
    assert_allclose(out.sum(), total, rtol=1e-9)
    threshold = (values - out)[out > 0.0]
    assert_allclose(threshold, threshold[0], atol=1e-9)
    assert (values[out == 0.0] <= threshold[0] + 1e-9).all()


def test_projection_is_that_of_a_convex_solver():
    values = np.random.default_rng(3).normal(size=12)
    p = cp.Variable(12)
    problem = cp.Problem(
        cp.Minimize(cp.sum_squares(p - values)), [p >= 0, cp.sum(p) == 2]
    )
    problem.solve(solver=cp.CLARABEL)
    assert problem.status == "optimal"
    assert_allclose(project_simplex(values, total=2.0), p.value, atol=1e-6)


def test_each_vector_along_the_last_axis_is_projected():
    values = np.random.default_rng(0).normal(size=(2, 3, 4))
    out = project_simplex(values)
    assert out.shape == values.shape
    for index in np.ndindex(2, 3):
        assert_allclose(out[index], project_simplex(values[index]), rtol=1e-14)


def test_projection_survives_a_large_offset():
    values = np.array([0.5, 0.25, -2.0])
    assert_allclose(project_simplex(values + 2.0**50), project_simplex(values))


@pytest.mark.parametrize("bad", [1.0, [], [1.0, np.nan]])
def test_projection_refuses_what_is_no_vector_of_numbers(bad):
    with pytest.raises(ValueError, match="'values' of project_simplex must be finite"):
        project_simplex(bad)
