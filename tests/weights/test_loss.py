"""Dynamic loss-based weights: published numbers, bounds, and the claim behind them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.weights import (
    Extremes,
    LinUpper,
    Quadratic,
    Uniform,
    Upper,
    effective_sample_size,
    extremes_weights,
    lin_upper_weights,
    quadratic_weights,
    upper_weights,
)

LOSSES = np.array([0.2, 0.5, 1.0, 2.0, 4.0])
FUNCTIONS = {
    "linupper": lin_upper_weights,
    "quadratic": quadratic_weights,
    "extremes": extremes_weights,
    "upper": upper_weights,
}
CLASSES = {
    "linupper": LinUpper,
    "quadratic": Quadratic,
    "extremes": Extremes,
    "upper": Upper,
}
# Made with the code published with the paper; its weights sum to one. The last line
# has the height of the score doubled, which is the same as half the temperature.
PUBLISHED = [
    ("linupper", 0.4, "0354456787 0526011609 1015582907 3785781029 4318167668"),
    ("linupper", 1.0, "1112123970 1302344901 1694392559 2868072192 3023066377"),
    ("quadratic", 0.4, "0466468162 0965201206 2458335147 5643527324 0466468162"),
    ("extremes", 0.4, "3208723763 2162222082 1119902578 0300427813 3208723763"),
    ("upper", 0.4, "0516489521 0629183798 0874253858 1687942357 6292130467"),
    ("linupper", 0.2, "0036509934 0080403529 0299719650 4164812289 5418554599"),
]
each_name = pytest.mark.parametrize("name", list(FUNCTIONS))
batches = arrays(np.float64, st.integers(1, 12), elements=st.floats(-1e3, 1e3))
temperatures = st.floats(0.05, 50.0)


def by_the_formula(name, losses, r):
    """The same weights from the formula of the paper, without care for rounding."""
    low, high = losses.min(), losses.max()
    h = 2.0 * (losses - (high + low) / 2.0) / (high - low)
    score = {
        "linupper": np.minimum(h + 1.0, 1.0),
        "quadratic": 1.0 - h**2,
        "extremes": np.abs(h),
        "upper": 0.5 * h + 0.5,
    }[name]
    weights = np.exp(score / r)
    return weights * len(losses) / weights.sum()


# ----------------------------------------------------------------------- numbers
@pytest.mark.parametrize(("name", "r", "digits"), PUBLISHED)
def test_weights_are_those_of_the_published_code(name, r, digits):
    expected = np.array([float(f"0.{part}") for part in digits.split()])
    assert_allclose(FUNCTIONS[name](LOSSES, r) / 5.0, expected, atol=6e-11)


@each_name
def test_default_temperature_is_that_of_the_large_models(name):
    assert_array_equal(FUNCTIONS[name](LOSSES), FUNCTIONS[name](LOSSES, 0.4))


@each_name
@given(losses=batches, r=temperatures)
def test_weights_are_those_of_the_formula(name, losses, r):
    if np.ptp(losses) < 1e-6 * np.abs(losses).max() or not np.ptp(losses):
        return
    assert_allclose(
        FUNCTIONS[name](losses, r), by_the_formula(name, losses, r), rtol=1e-6
    )


@each_name
def test_class_and_function_agree(name):
    base = [1.0, 2.0, 0.0, 1.0, 0.5]
    losses = [*LOSSES[:4], np.inf]
    for r in (0.3, 2.0):
        by_class = CLASSES[name](r)(LOSSES, base_weight=base)
        assert_array_equal(by_class, FUNCTIONS[name](LOSSES, r, base_weight=base))
    with pytest.warns(UserWarning, match="1 of 5 rows"):
        dropped = FUNCTIONS[name](losses, nonfinite="drop")
    assert_allclose(dropped[:4], FUNCTIONS[name](LOSSES[:4]) * 5 / 4, rtol=1e-13)


@each_name
@pytest.mark.parametrize("value", [0.0, -3.0, 1e300, 5e-324])
def test_equal_losses_have_equal_weights(name, value):
    assert_array_equal(FUNCTIONS[name](np.full(7, value)), 1.0)


@each_name
def test_losses_that_differ_by_rounding_have_equal_weights(name):
    losses = np.array([1.0, np.nextafter(1.0, 2.0), np.nextafter(1.0, 0.0)]) * 0.3
    assert_array_equal(FUNCTIONS[name](losses), 1.0)


@each_name
def test_infinite_temperature_gives_equal_weights(name):
    assert_array_equal(FUNCTIONS[name](LOSSES, np.inf), 1.0)


@each_name
def test_a_very_small_temperature_keeps_the_best_score_alone(name):
    weights = FUNCTIONS[name](LOSSES, 1e-3)
    best = {"linupper": [4], "quadratic": [3], "extremes": [0, 4], "upper": [4]}[name]
    expected = np.zeros(5)
    expected[best] = 5.0 / len(best)
    assert_allclose(weights, expected, atol=1e-12)


# ------------------------------------------------------------------- invariances
@each_name
@pytest.mark.parametrize("factor", [1e-307, 1e-30, 7.0, 1e307])
def test_unit_of_the_loss_does_not_matter(name, factor):
    assert_allclose(
        FUNCTIONS[name](LOSSES * factor), FUNCTIONS[name](LOSSES), rtol=1e-12
    )


@each_name
def test_a_large_constant_added_to_the_losses_does_not_matter(name):
    losses = np.array([0.25, 0.5, 1.0, 2.0, 4.0])  # exact after the addition
    assert_allclose(
        FUNCTIONS[name](losses + 2.0**40), FUNCTIONS[name](losses), rtol=1e-13
    )


@each_name
def test_a_range_beyond_the_largest_number_is_no_harm(name):
    expected = FUNCTIONS[name](np.array([-1.0, 0.0, 0.5, 1.0]))
    assert_allclose(
        FUNCTIONS[name](np.array([-1.0, 0.0, 0.5, 1.0]) * 1.7e308), expected, rtol=1e-13
    )


@pytest.mark.parametrize("name", ["quadratic", "extremes"])
def test_scores_of_both_ends_are_symmetric(name):
    assert_allclose(FUNCTIONS[name](-LOSSES), FUNCTIONS[name](LOSSES), rtol=1e-14)


# ------------------------------------------------------------------------ bounds
@each_name
@given(losses=batches, r=temperatures)
def test_ratio_of_weights_is_bounded(name, losses, r):
    weights = FUNCTIONS[name](losses, r)
    assert weights.max() <= weights.min() * np.exp(1.0 / r) * (1.0 + 1e-12)


@each_name
@given(losses=batches, r=temperatures)
def test_effective_sample_size_is_bounded_from_below(name, losses, r):
    k = np.exp(1.0 / r)
    bound = len(losses) * 4.0 * k / (1.0 + k) ** 2
    assert effective_sample_size(FUNCTIONS[name](losses, r)) >= bound * (1.0 - 1e-12)


@pytest.mark.parametrize("name", ["linupper", "upper"])
@given(losses=batches, r=temperatures)
def test_rising_scores_never_lower_the_weighted_loss(name, losses, r):
    # Chebyshev's sum inequality, on which the bound on convergence rests
    gain = (FUNCTIONS[name](losses, r) - 1.0) @ losses
    assert gain >= -1e-9 * max(1.0, np.abs(losses).max())


def test_quadratic_can_lower_the_weighted_loss():
    losses = np.array([0.0, 2.0, 4.0, 4.0])
    assert (quadratic_weights(losses) - 1.0) @ losses < 0.0


@each_name
def test_order_of_the_weights_is_that_of_the_scores(name):
    h = np.linspace(-1.0, 1.0, 9)
    change = np.sign(np.diff(FUNCTIONS[name](h))).astype(int).tolist()
    assert (
        change
        == {
            "linupper": [1] * 4 + [0] * 4,
            "quadratic": [1] * 4 + [-1] * 4,
            "extremes": [-1] * 4 + [1] * 4,
            "upper": [1] * 8,
        }[name]
    )


# ------------------------------------------------------------ steps and bad input
@pytest.mark.parametrize("rule_class", [Uniform, *CLASSES.values()])
def test_base_weights_hold_until_the_warm_up_is_over(rule_class):
    rule = rule_class(warmup=5)
    base = np.array([1.0, 0.0, 2.0, 1.0, 1.0])
    assert_allclose(rule(LOSSES, base_weight=base, step=4), base, rtol=1e-15)
    after = rule_class()(LOSSES, base_weight=base)
    assert_array_equal(rule(LOSSES, base_weight=base, step=5), after)
    assert_array_equal(rule(LOSSES, base_weight=base), after)


@each_name
def test_losses_that_are_not_finite_are_refused_in_the_warm_up_too(name):
    with pytest.raises(ValueError, match="must be finite"):
        CLASSES[name](warmup=5)([1.0, np.nan], step=0)


@each_name
def test_a_schedule_is_looked_up_at_the_step(name):
    rule = CLASSES[name](lambda step: 100.0 if step < 10 else 0.4)
    assert_array_equal(rule(LOSSES, step=9), FUNCTIONS[name](LOSSES, 100.0))
    assert_array_equal(rule(LOSSES, step=10), FUNCTIONS[name](LOSSES, 0.4))


@each_name
def test_a_schedule_without_a_step_is_refused(name):
    message = rf"'step' of {CLASSES[name].__name__} must be .* Got None; pass step=0"
    with pytest.raises(ValueError, match=message):
        CLASSES[name](lambda step: 1.0)(LOSSES)


@each_name
def test_a_schedule_is_not_asked_in_the_warm_up(name):
    rule = CLASSES[name](lambda step: 1.0 / (step - 2), warmup=3)
    assert_array_equal(rule(LOSSES, step=2), 1.0)


@each_name
@pytest.mark.parametrize("r", [0.0, -1.0, np.nan, -np.inf])
def test_a_temperature_that_is_not_positive_is_refused(name, r):
    with pytest.raises(ValueError, match=r"'temperature' of .* must be positive. Got"):
        FUNCTIONS[name](LOSSES, r)
    with pytest.raises(ValueError, match="must be positive"):
        CLASSES[name](r)(LOSSES)


@pytest.mark.parametrize("warmup", ["3", None, 1.5, True], ids=str)
def test_warmup_that_is_no_integer_is_refused(warmup):
    with pytest.raises(TypeError, match="The 'warmup' of LinUpper must be an integer"):
        LinUpper(warmup=warmup)([1.0, 2.0], step=1)
    with pytest.raises(ValueError, match=r"must be an integer >= 0. Got -1; pass"):
        LinUpper(warmup=-1)([1.0, 2.0], step=1)
