"""Worst-case weights against known answers and a general convex solver."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import rel_entr

from statlearn.weights import (
    Chi2Ball,
    CVaR,
    KLBall,
    chi2_ball_weights,
    cvar_weights,
    kl_ball_weights,
)
from worst_case import FIVE, measure, sample, shares, worst_case

# name: (function, a parameter, one that reaches the limit on five distinct losses)
BALLS = {
    "kl": (kl_ball_weights, 0.3, 2.0),
    "chi2": (chi2_ball_weights, 0.7, 5.0),
    "cvar": (cvar_weights, 0.6, 0.9),
}
each_ball = pytest.mark.parametrize("name", BALLS)
each_function = pytest.mark.parametrize("function", [f for f, *_ in BALLS.values()])


# ------------------------------------------------------------------ known answers
def test_kl_ball_of_five_losses():
    weights = kl_ball_weights(FIVE, 0.1)
    expected = [0.0936640438, 0.1298959595, 0.1801434106, 0.2498280047, 0.3464685815]
    assert_allclose(weights / 5, expected, atol=1e-10)
    assert_allclose(np.average(FIVE, weights=weights), 3.6255411206, atol=1e-10)
    assert_allclose(1.0 / np.diff(np.log(weights)), 3.0579221768, atol=1e-9)


def test_chi2_ball_of_five_losses():
    expected = [0.0735088936, 0.1367544468, 0.2, 0.2632455532, 0.3264911064]
    assert_allclose(chi2_ball_weights(FIVE, 0.2) / 5, expected, atol=1e-10)


def test_tail_of_five_losses():
    weights = cvar_weights(FIVE, 0.5)
    assert_array_equal(weights, [0.0, 0.0, 1.0, 2.0, 2.0])
    assert_allclose(np.average(FIVE, weights=weights), 4.2, rtol=1e-15)


# ------------------------------------------------------------- a general solver
@pytest.mark.parametrize("base_seed", [None, 5])
@pytest.mark.parametrize("seed", range(3))
class TestAgainstSolver:
    @pytest.mark.parametrize("rho", [0.01, 0.2, 0.6])
    def test_kl_ball(self, seed, base_seed, rho):
        losses = sample(seed)
        base, p = measure(len(losses), base_seed)
        q, value = worst_case(losses, p, lambda d: p @ cp.kl_div(d, 1.0) <= rho)
        found = shares(kl_ball_weights(losses, rho, base_weight=base))
        assert_allclose(found, q, atol=1e-6)
        assert_allclose(found @ losses, value, rtol=1e-8)
        assert_allclose(rel_entr(found, p).sum(), rho, rtol=1e-12)

    @pytest.mark.parametrize("rho", [0.01, 0.5, 1.2])
    def test_chi2_ball(self, seed, base_seed, rho):
        losses = sample(seed)
        base, p = measure(len(losses), base_seed)
        q, value = worst_case(
            losses,
            p,
            lambda d: cp.norm(cp.multiply(np.sqrt(p), d - 1.0)) <= rho**0.5,
        )
        found = shares(chi2_ball_weights(losses, rho, base_weight=base))
        assert_allclose(found, q, atol=1e-6)
        assert_allclose(found @ losses, value, rtol=1e-8)
        assert_allclose(p @ (found / p - 1.0) ** 2, rho, rtol=1e-12)

    @pytest.mark.parametrize("alpha", [0.1, 0.77, 0.9])
    def test_tail(self, seed, base_seed, alpha):
        losses = sample(seed)
        base, p = measure(len(losses), base_seed)
        q, value = worst_case(losses, p, lambda d: d <= 1.0 / (1.0 - alpha))
        found = shares(cvar_weights(losses, alpha, base_weight=base))
        assert_allclose(found, q, atol=1e-6)
        assert_allclose(found @ losses, value, rtol=1e-8)


def test_value_of_the_tail_is_that_of_its_dual():
    losses, p = sample(8), measure(25, 3)[1]
    mean = shares(cvar_weights(losses, 0.8, base_weight=p)) @ losses
    # The minimum over eta is attained at one of the losses.
    dual = [eta + p @ np.maximum(losses - eta, 0.0) / 0.2 for eta in losses]
    assert_allclose(mean, min(dual), rtol=1e-13)


# ------------------------------------------------------------- many rows, few cells
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.normal(size=n),
        lambda rng, n: rng.standard_cauchy(size=n) ** 2,
        lambda rng, n: np.sort(rng.exponential(size=n)),
        lambda rng, n: rng.integers(0, 7, size=n).astype(float),
        lambda rng, n: np.r_[np.ones(n - 3), 2.0, 1e9, 1e9],
        lambda rng, n: np.r_[-1e9, 1.0 + 1e-3 * rng.random(n - 1)],
        lambda rng, n: np.tile([5.0, 1.0, 1.0, 1.0, 1.0, 1.0], n // 6),
    ],
    ids=["normal", "cauchy", "sorted", "ties", "outliers", "cluster", "periodic"],
)
class TestManyRows:
    @staticmethod
    def data(draw, weighted, n=60_000):
        rng = np.random.default_rng(1)
        losses = draw(rng, n)
        base = rng.integers(1, 4, size=n).astype(float) if weighted else None
        p = np.full(n, 1.0 / n) if base is None else base / base.sum()
        return losses, base, p

    @pytest.mark.parametrize("rho", [1e-9, 0.1, 1.5])
    def test_kl_ball_is_tight_and_exponential(self, draw, weighted, rho):
        losses, base, p = self.data(draw, weighted)
        found = shares(kl_ball_weights(losses, rho, base_weight=base))
        # x log x - x + 1 >= 0: its sum has no cancellation
        w = found / p
        kl = p @ (rel_entr(w, 1.0) - w + 1.0) if rho > 1e-6 else p @ (w - 1.0) ** 2 / 2
        assert_allclose(kl, rho, rtol=1e-9 if rho > 1e-6 else 0.02)
        order = np.argsort(losses)
        assert np.all(np.diff(w[order]) >= -1e-12 * w.max())

    @pytest.mark.parametrize("rho", [1e-9, 0.5, 3.0])
    def test_chi2_ball_is_tight_and_piecewise_linear(self, draw, weighted, rho):
        losses, base, p = self.data(draw, weighted)
        w = shares(chi2_ball_weights(losses, rho, base_weight=base)) / p
        assert_allclose(p @ (w - 1.0) ** 2, rho, rtol=1e-6)
        on = w > 0.0
        line = np.polyfit(losses[on], w[on], 1) if np.ptp(losses[on]) else None
        if line is not None:
            assert_allclose(np.polyval(line, losses[on]), w[on], atol=1e-7 * w.max())
            # Rows without weight are where the line is negative.
            assert np.all(np.polyval(line, losses[~on]) <= 1e-7 * w.max())

    @pytest.mark.parametrize("alpha", [0.001, 0.5, 0.99])
    def test_tail_has_its_mass_and_value(self, draw, weighted, alpha):
        losses, base, p = self.data(draw, weighted)
        found = shares(cvar_weights(losses, alpha, base_weight=base))
        assert found.max() <= (p / (1.0 - alpha)).max() * (1.0 + 1e-9)
        order = np.argsort(-losses)
        left = np.clip(1.0 - alpha - (np.cumsum(p[order]) - p[order]), 0.0, p[order])
        assert_allclose(found @ losses, left @ losses[order] / (1 - alpha), rtol=1e-9)


# --------------------------------------------------------------------------- limits
@each_ball
def test_beyond_the_limit_all_weight_is_on_the_largest_losses(name):
    function, _, limit = BALLS[name]
    assert_array_equal(function(FIVE, limit), [0, 0, 0, 0, 5])
    tied = function([1.0, 4.0, 4.0, 2.0, 4.0], limit, base_weight=[1, 1, 2, 1, 0])
    assert_allclose(tied, [0, 5 / 3, 10 / 3, 0, 0], rtol=1e-15)


@pytest.mark.parametrize("function", [kl_ball_weights, chi2_ball_weights])
def test_infinite_radius_is_the_limit(function):
    assert_array_equal(function(FIVE, np.inf), [0, 0, 0, 0, 5])


@pytest.mark.parametrize(
    ("function", "limit"), [(kl_ball_weights, np.log(2.5)), (chi2_ball_weights, 1.5)]
)
def test_limit_is_reached_continuously_and_at_the_right_radius(function, limit):
    losses = np.array([0.0, 1.0, 2.0, 3.0, 3.0])
    before = function(losses, limit * (1.0 - 1e-6))
    assert 0.0 < before[:3].sum() < 1e-2
    assert_allclose(function(losses, limit), [0, 0, 0, 2.5, 2.5], atol=1e-12)


@each_ball
def test_zero_gives_base_weights(name):
    function = BALLS[name][0]
    assert_array_equal(function(FIVE, 0.0), np.ones(5))
    base = np.array([1.0, 2.0, 0.0, 3.0, 1.5])
    assert_allclose(function(FIVE, 0.0, base_weight=base), base, rtol=1e-15)


@pytest.mark.parametrize("rho", [1e-14, 1e-20, 1e-40])
def test_tiny_radius_moves_weights_by_its_root(rho):
    rate = np.sqrt(2.0 * rho / FIVE.var())
    moved = kl_ball_weights(FIVE, rho) - 1.0
    assert_allclose(moved, rate * (FIVE - 3.0), atol=1e-3 * rate + 1e-15)


def test_kl_ball_between_two_scales_of_differences():
    # The divergence is flat at log(3 / 2) over twelve orders of the temperature.
    losses = np.array([0.0, 1.0, 1.0 + 1e-12])
    plateau = np.log(1.5)
    below = kl_ball_weights(losses, plateau - 0.1)
    assert_allclose(below[1], below[2], rtol=1e-10)
    above = kl_ball_weights(losses, plateau + 0.2)
    assert above[0] == 0.0
    assert_allclose(rel_entr(above[1:] / 3, 1 / 3).sum(), plateau + 0.2, rtol=1e-12)


# ------------------------------------------------------------------------- numerics
@each_function
@pytest.mark.parametrize("scale", [1e300, 1e-300, 1.7e308])
def test_huge_and_tiny_losses_give_finite_weights(function, scale):
    weights = function(scale * np.array([-1.0, 0.0, 0.5, 1.0]))
    assert np.all(np.isfinite(weights))
    assert_allclose(weights.sum(), 4.0)


@each_ball
@pytest.mark.parametrize("scale", [1e300, 1e-300, 3e-5])
@pytest.mark.parametrize("shift", [0.0, 7.0, -1e3])
def test_unit_and_origin_of_losses_do_not_matter(name, scale, shift):
    function, parameter, _ = BALLS[name]
    losses = np.array([1.0, 2.0, 2.0, 7.0, 11.0])
    moved = function(scale * (losses + shift), parameter)
    assert_allclose(moved, function(losses, parameter), rtol=1e-12)


@each_function
def test_equal_losses_give_base_weights(function):
    assert_array_equal(function(np.full(4, 1e300)), np.ones(4))
    base = [1.0, 2.0, 0.5]
    assert_allclose(function([0.3, 0.3, 0.3], base_weight=base), base, rtol=1e-15)


@pytest.mark.parametrize("function", [kl_ball_weights, chi2_ball_weights])
def test_losses_equal_up_to_rounding_are_equal(function):
    assert_array_equal(function([0.3, 0.1 + 0.2, 0.3]), np.ones(3))


@each_function
def test_one_row_has_weight_one(function):
    assert_array_equal(function([3.0]), [1.0])


def test_two_rows_of_the_chi2_ball():
    # (1 - d, 1 + d) with d^2 = rho
    assert_allclose(chi2_ball_weights([0.0, 9.0], 0.25), [0.5, 1.5], rtol=1e-15)


def test_two_rows_of_the_kl_ball():
    q = shares(kl_ball_weights([0.0, 9.0], 0.25))
    assert_allclose(rel_entr(q, 0.5).sum(), 0.25, rtol=1e-13)


def test_tied_rows_at_the_boundary_share_it_by_base_weight():
    weights = cvar_weights([1.0, 2.0, 2.0, 3.0], 0.5, base_weight=[4, 1, 3, 2])
    # Half of the mass 10 is 5: 2 on the last row, 3 of the 4 on the tied ones.
    assert_allclose(weights, [0.0, 1.5, 4.5, 4.0], rtol=1e-15)


@pytest.mark.parametrize("base", [None, np.ones(10)])
def test_whole_number_of_rows_leaves_no_dust_on_the_next(base):
    # (1 - 0.7) * 10 is a little more than 3 in binary, (1 - 0.9) * 10 less than 1.
    weights = cvar_weights(np.arange(10.0), 0.7, base_weight=base)
    assert_array_equal(weights > 0.0, np.arange(10) >= 7)
    weights = cvar_weights(np.arange(10.0), 0.9, base_weight=base)
    assert_array_equal(weights, [0.0] * 9 + [10.0])


# ----------------------------------------------------------------------- properties
finite = st.floats(-1e6, 1e6)
batches = arrays(np.float64, st.integers(2, 12), elements=finite)


@given(losses=batches, rho=st.floats(1e-6, 3.0))
def test_kl_ball_is_never_left_and_never_beaten_by_the_base(losses, rho):
    q = shares(kl_ball_weights(losses, rho))
    assert rel_entr(q, 1.0 / len(q)).sum() <= rho * (1.0 + 1e-8) + 1e-13
    assert q @ losses >= losses.mean() - 1e-9 * np.abs(losses).max()


@given(losses=batches, rho=st.floats(1e-6, 8.0))
def test_chi2_ball_is_never_left_and_never_beaten_by_the_base(losses, rho):
    weights = chi2_ball_weights(losses, rho)
    assert np.mean((weights - 1.0) ** 2) <= rho * (1.0 + 1e-8) + 1e-13
    assert np.mean(weights * losses) >= losses.mean() - 1e-9 * np.abs(losses).max()


@each_ball
@given(losses=batches, data=st.data())
def test_larger_balls_have_worse_cases(name, losses, data):
    function, parameter, _ = BALLS[name]
    low, high = sorted(data.draw(st.tuples(*[st.floats(0.01, parameter)] * 2)))
    means = [np.average(losses, weights=function(losses, x)) for x in (low, high)]
    assert means[0] <= means[1] + 1e-9 * np.abs(losses).max()


@given(
    losses=arrays(np.float64, 6, elements=st.sampled_from([0.0, 1.0, 1.5, 4.0])),
    counts=arrays(np.int64, 6, elements=st.integers(1, 3)),
    alpha=st.floats(0.0, 0.99),
)
def test_tail_of_counts_is_that_of_repeated_rows(losses, counts, alpha):
    once = cvar_weights(losses, alpha, base_weight=counts)
    repeated = cvar_weights(np.repeat(losses, counts), alpha)
    assert_allclose(np.repeat(once / counts, counts), repeated, atol=1e-12)


# -------------------------------------------------------------------------- classes
@pytest.mark.parametrize(
    ("rule", "function", "parameter"),
    [
        (KLBall(0.3), kl_ball_weights, 0.3),
        (Chi2Ball(0.3), chi2_ball_weights, 0.3),
        (CVaR(0.3), cvar_weights, 0.3),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_rule_gives_the_numbers_of_its_function(rule, function, parameter):
    base = measure(5, 1)[0]
    assert_array_equal(
        rule(FIVE, base_weight=base), function(FIVE, parameter, base_weight=base)
    )
    rule.set_params(warmup=3)
    assert_array_equal(rule(FIVE, step=2), np.ones(5))
    assert_array_equal(rule(FIVE, step=3), function(FIVE, parameter))


# --------------------------------------------------------------------------- errors
@pytest.mark.parametrize("rho", [-0.1, -np.inf, np.nan])
@pytest.mark.parametrize("function", [kl_ball_weights, chi2_ball_weights])
def test_negative_radius_is_refused(function, rho):
    with pytest.raises(ValueError, match=r"'rho' of .*_ball_weights must be a number"):
        function(FIVE, rho)


@pytest.mark.parametrize("alpha", [-0.1, 1.0, 2.0, np.nan])
def test_alpha_outside_the_unit_interval_is_refused(alpha):
    with pytest.raises(ValueError, match=r"'alpha' of cvar_weights must be in \[0, 1"):
        cvar_weights(FIVE, alpha)


@pytest.mark.parametrize("function", [kl_ball_weights, cvar_weights])
@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ([[1.0, 2.0]], r"must have shape \(n,\)"),
        ([], r"must have shape \(n,\)"),
        ([1.0, np.nan], "must be finite. Got NaN or infinity in 1 of 2"),
    ],
)
def test_bad_losses_are_refused_by_name(function, losses, message):
    with pytest.raises(ValueError, match=f"'losses' of {function.__name__} {message}"):
        function(losses)


@each_ball
@pytest.mark.parametrize("base", [[1e-300, 1e300], [1e-310, 1.0]])
def test_share_too_small_for_a_number_is_no_row(name, base):
    function, parameter, _ = BALLS[name]
    weights = function([10.0, 0.0], parameter, base_weight=base)
    assert_allclose(weights, [0.0, base[1]], rtol=1e-12)
