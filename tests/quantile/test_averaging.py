"""Averages of quantiles and of probabilities: known answers, laws, ties, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq
from scipy.stats import norm

from statlearn.quantile import linear_pool, sort_quantiles, vincentize

INF = np.inf
ASKED = [0.05, 0.25, 0.5, 0.9, 0.95]


def normal_stack(locations, scales, levels):
    """One row of normal quantiles (1, m, q)."""
    scores = norm.ppf(levels)
    return np.array([[a + b * scores for a, b in zip(locations, scales, strict=True)]])


# -- known answers ----------------------------------------------------------------


def test_quantile_average_of_two_normals_known():
    stack = normal_stack([0.0, 2.0], [1.0, 1.0], ASKED)
    expected = [-0.6448536, 0.3255102, 1.0, 2.2815516, 2.6448536]
    assert_allclose(vincentize(stack)[0], expected, atol=5e-8)
    stack = normal_stack([0.0, 0.0], [1.0, 3.0], [0.95])
    assert_allclose(vincentize(stack)[0], [3.2897073], atol=5e-8)


@pytest.mark.parametrize("n_levels", [99, 999, 9999], ids=str)
def test_pool_of_two_normals_known_to_the_accuracy_of_the_grid(n_levels):
    levels = np.arange(1, n_levels + 1) / (n_levels + 1)
    at = [int(np.argmin(np.abs(levels - level))) for level in ASKED]
    stack = normal_stack([0.0, 2.0], [1.0, 1.0], levels)
    expected = [-1.2844680, -0.0505443, 1.0, 2.8494683, 3.2844680]
    step = 1.0 / (n_levels + 1)
    assert_allclose(linear_pool(stack, levels)[0, at], expected, atol=step)
    stack = normal_stack([0.0, 0.0], [1.0, 3.0], levels)
    assert_allclose(linear_pool(stack, levels)[0, at[-1]], 3.8456824, atol=step)


def test_pool_of_far_models_is_exact_on_their_lines():
    levels = [0.2, 0.5, 0.8]
    stack = np.array([[[0.0, 3.0, 6.0], [100.0, 103.0, 106.0]]])
    # The tails between them hold next to nothing: 0.2 is met half way up the first.
    assert_allclose(linear_pool(stack, levels)[0, [0, 2]], [2.0, 104.0], atol=1e-9)


def test_weights_of_the_pool_are_those_of_the_mixture():
    levels = np.arange(1, 1000) / 1000
    stack = normal_stack([0.0, 3.0, -50.0], [1.0, 2.0, 1.0], levels)
    found = linear_pool(stack, levels, weights=[3.0, 1.0, 0.0])[0]
    for k in (49, 499, 899):

        def gap(v, k=k):
            return 0.75 * norm.cdf(v) + 0.25 * norm.cdf(v, 3.0, 2.0) - levels[k]

        assert_allclose(found[k], brentq(gap, -20.0, 20.0), atol=1e-4)


# -- laws -----------------------------------------------------------------------

rows = st.lists(st.floats(-100.0, 100.0), min_size=4, max_size=4)
stacks = st.lists(rows, min_size=1, max_size=4).map(
    lambda models: sort_quantiles(np.array([models]))
)
LEVELS = np.array([0.1, 0.4, 0.6, 0.9])


@given(stacks)
def test_averages_lie_between_the_models_and_do_not_cross(stack):
    for grid in (vincentize(stack), linear_pool(stack, LEVELS)):
        assert (grid >= stack.min(axis=1) - 1e-9).all()
        assert (grid <= stack.max(axis=1) + 1e-9).all()
        assert (np.diff(grid) >= -1e-9).all()


@given(rows)
def test_average_of_equal_models_is_the_model(row):
    row = np.sort(row)
    stack = np.tile(row, (1, 3, 1))
    assert_allclose(vincentize(stack)[0], row, atol=1e-12)
    assert_allclose(linear_pool(stack, LEVELS)[0], row, atol=1e-7)


@given(
    st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3),
    st.lists(st.floats(0.2, 3.0), min_size=3, max_size=3),
    st.lists(st.floats(0.1, 1.0), min_size=3, max_size=3),
)
def test_quantile_average_has_the_mean_of_the_pool_and_is_sharper(
    locations, scales, weights
):
    levels = (np.arange(1000) + 0.5) / 1000
    stack = normal_stack(locations, scales, levels)
    average = vincentize(stack, weights)[0]
    pool = linear_pool(stack, levels, weights)[0]
    assert_allclose(average.mean(), pool.mean(), atol=0.01)
    for power in (2, 4):
        sharp = ((average - average.mean()) ** power).mean()
        wide = ((pool - pool.mean()) ** power).mean()
        assert sharp <= wide * (1.0 + 1e-3)


def test_quantile_average_stays_in_a_location_scale_family():
    stack = normal_stack([0.0, 2.0], [1.0, 3.0], LEVELS)
    expected = normal_stack([0.5], [1.5], LEVELS)[0]
    assert_allclose(vincentize(stack, [3.0, 1.0]), expected, atol=1e-14)


def test_rows_are_pooled_each_on_its_own_and_models_may_change_places():
    rng = np.random.default_rng(0)
    stack = rng.normal(size=(20_001, 3, 4))
    weights = np.array([0.5, 0.2, 0.3])
    before = stack.copy()
    whole = linear_pool(stack, LEVELS, weights)
    assert_array_equal(stack, before)
    for row in (0, 16_665, 16_666, 20_000):
        alone = linear_pool(stack[[row]], LEVELS, weights)[0]
        assert_array_equal(whole[row], alone)
        turned = linear_pool(stack[[row], ::-1], LEVELS, weights[::-1])[0]
        assert_allclose(turned, alone, rtol=1e-12)
        ordered = linear_pool(np.sort(stack[[row]]), LEVELS, weights)[0]
        assert_array_equal(ordered, alone)


def test_single_precision_is_kept():
    stack = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    for grid in (vincentize(stack), linear_pool(stack, LEVELS)):
        assert grid.dtype == np.float32


# -- ties and infinite quantiles -----------------------------------------------------


def test_models_that_are_sure_of_one_value_make_steps():
    levels = [0.2, 0.5, 0.7, 0.8]
    stack = np.array([[[1.0] * 4, [3.0] * 4]])
    assert_array_equal(linear_pool(stack, levels)[0], [1.0, 1.0, 3.0, 3.0])
    found = linear_pool(stack, levels, weights=[0.75, 0.25])[0]
    assert_array_equal(found, [1.0, 1.0, 1.0, 3.0])


def test_a_jump_of_one_model_is_a_jump_of_the_pool():
    levels = np.arange(1, 10) / 10
    spread = np.linspace(0.1, 0.9, 9)
    jump = np.array([0.1, 0.2, 0.5, 0.5, 0.5, 0.5, 0.5, 0.8, 0.9])
    # Half of the uniform F(v) = v and half of one that jumps at 0.5 from 0.3 to 0.7.
    found = linear_pool(np.array([[spread, jump]]), levels)[0]
    assert_allclose(found[3:6], [0.5, 0.5, 0.5], atol=1e-12)
    assert_allclose(found[[0, 8]], [0.1, 0.9], atol=1e-12)
    assert found[2] < 0.5 < found[6]


def test_infinite_ends_of_one_model_are_mass_at_infinity():
    stack = np.array([[[-INF, 1.0, 2.0, INF], [0.0, 1.0, 2.0, 3.0]]])
    assert_array_equal(vincentize(stack)[0], [-INF, 1.0, 2.0, INF])
    found = linear_pool(stack, LEVELS)[0]
    assert found[0] == -INF
    assert_allclose(found[1:3], [1.0, 2.0])
    assert found[3] == INF
    weighted = linear_pool(stack, LEVELS, weights=[0.0, 1.0])[0]
    assert_allclose(weighted, [0.0, 1.0, 2.0, 3.0], atol=1e-9)
    assert_array_equal(vincentize(stack, [0.0, 1.0])[0], [0.0, 1.0, 2.0, 3.0])


@given(
    st.lists(
        st.lists(st.sampled_from([-INF, -1.0, 0.0, 1.0, INF]), min_size=4, max_size=4),
        min_size=1,
        max_size=3,
    )
)
def test_pool_of_ties_and_infinite_quantiles_is_a_quantile_function(models):
    found = linear_pool(np.array([models]), LEVELS)[0]
    assert not np.isnan(found).any()
    assert (found[1:] >= found[:-1] - 1e-9).all()


def test_opposite_infinite_quantiles_have_no_average():
    with pytest.raises(ValueError, match=r"\+inf and -inf .* at 1 places"):
        vincentize([[[0.0, INF], [0.0, -INF]]])


# -- bad input ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("Q", "weights", "message"),
    [
        (np.zeros((3, 4)), None, "'Q' of .* shape .n, m, q.*np.stack"),
        (np.zeros((3, 0, 4)), None, "'Q' of .* shape .n, m, q"),
        (np.full((1, 2, 4), np.nan), None, "'Q' of .* no NaN. Got 8 of 8"),
        (np.zeros((3, 2, 4)), [1.0], "'weights' of .* each of 2 models"),
        (np.zeros((3, 2, 4)), [1.0, -0.5], "'weights' of .* >= 0"),
        (np.zeros((3, 2, 4)), [0.0, 0.0], "'weights' of .* not all of them zero"),
        (np.zeros((3, 2, 4)), [np.nan, 1.0], "'weights' of .* finite"),
    ],
    ids=["2-d", "no models", "missing", "short", "negative", "zero", "nan"],
)
def test_bad_stacks_and_weights_are_refused(Q, weights, message):
    for average in (
        lambda: vincentize(Q, weights),
        lambda: linear_pool(Q, LEVELS, weights),
    ):
        with pytest.raises(ValueError, match=message):
            average()


def test_levels_have_to_fit_the_stack_and_be_two_or_more():
    with pytest.raises(ValueError, match=r"'Q' of linear_pool .* each of 3 levels"):
        linear_pool(np.zeros((1, 2, 4)), [0.1, 0.5, 0.9])
    with pytest.raises(ValueError, match="'levels' of linear_pool must be two or more"):
        linear_pool(np.zeros((1, 2, 1)), [0.5])
