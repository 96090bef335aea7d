"""The M-scale of residuals, and one step of proposal 2."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import integrate, stats
from scipy.optimize import brentq

from statlearn.linear_model._m_scale import m_scale, proposal2_step

# Constants of robustbase, which the known answers were computed with.
HALF = {"c": 1.54764, "b": 0.5}
CONSTANTS = [(1.547645, 0.5), (2.937015, 0.25), (5.182361, 0.1)]
RESIDUALS = np.array([-3.0, -1.0, 0.0, 1.0, 2.0, 10.0])


def rho_sum(residuals, scale, c, base=None):
    u = np.minimum(np.abs(residuals) / (c * scale), 1.0)
    rho = 1.0 - (1.0 - u**2) ** 3
    return rho.sum() if base is None else base @ rho


def root_by_bracketing(residuals, base, c, b, degrees):
    size = np.abs(residuals[residuals != 0.0])

    def excess(log_scale):
        return rho_sum(residuals, np.exp(log_scale), c, base) - b * degrees

    low, high = np.log(size.min() / c) - 1.0, np.log(size.max()) + 5.0
    return np.exp(brentq(excess, low, high, xtol=1e-14, rtol=1e-14))


@pytest.mark.parametrize(
    ("degrees", "expected"), [(6, 2.4047011364), (5, 3.0401335432)]
)
def test_scale_is_that_of_the_reference(degrees, expected):
    found = m_scale(RESIDUALS, **HALF, degrees=degrees)
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("c", "b"), CONSTANTS)
@pytest.mark.parametrize("weighted", [False, True])
def test_scale_is_the_root_that_bracketing_finds(c, b, weighted):
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(4, 40))
        residuals = rng.standard_cauchy(n) ** rng.integers(1, 4)
        base = rng.uniform(0.1, 3.0, n) if weighted else None
        degrees = (n if base is None else base.sum()) * rng.uniform(0.6, 1.0)
        found = m_scale(residuals, base, c=c, b=b, degrees=degrees)
        expected = root_by_bracketing(residuals, base, c, b, degrees)
        assert found == pytest.approx(expected, rel=3e-12)


@pytest.mark.parametrize(("c", "b"), CONSTANTS)
def test_constants_make_the_scale_of_normal_residuals_one(c, b):
    inside = integrate.quad(
        lambda u: (1.0 - (1.0 - (u / c) ** 2) ** 3) * stats.norm.pdf(u), 0.0, c
    )[0]
    assert 2.0 * inside + 2.0 * stats.norm.sf(c) == pytest.approx(b, rel=3e-6)


@given(
    arrays(np.float64, st.integers(3, 20), elements=st.floats(-1e3, 1e3, width=32)),
    st.floats(1e-6, 1e6),
)
def test_scale_is_equivariant_and_solves_its_equation(residuals, factor):
    found = m_scale(residuals, **HALF, degrees=len(residuals))
    if np.count_nonzero(residuals) <= 0.5 * len(residuals):
        assert found == 0.0
        return
    assert rho_sum(residuals, found, HALF["c"]) == pytest.approx(
        0.5 * len(residuals), rel=1e-9
    )
    scaled = m_scale(-factor * residuals, **HALF, degrees=len(residuals))
    assert scaled == pytest.approx(factor * found, rel=1e-10)


@pytest.mark.parametrize("degrees", [4, 5, 6])
def test_scale_is_zero_exactly_if_few_enough_residuals_are_not(degrees):
    for n_zero in range(7):
        residuals = np.arange(1.0, 7.0)
        residuals[:n_zero] = 0.0
        found = m_scale(residuals, **HALF, degrees=degrees)
        assert (found == 0.0) == (6 - n_zero <= 0.5 * degrees)


def test_weights_that_reach_the_goal_up_to_rounding_give_zero():
    base = np.full(10, 0.1)
    residuals = np.r_[np.zeros(5), np.ones(5)]
    assert m_scale(residuals, base, **HALF, degrees=float(base.sum())) == 0.0


def test_columns_are_solved_as_if_alone():
    rng = np.random.default_rng(1)
    residuals = rng.standard_t(2, (50, 7)) * 10.0 ** np.arange(-3, 4)
    residuals[:, 3] = 0.0
    base = rng.uniform(0.5, 2.0, 50)
    together = m_scale(residuals, base, **HALF, degrees=40.0)
    alone = [m_scale(column, base, **HALF, degrees=40.0) for column in residuals.T]
    assert together.shape == (7,)
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    assert together[3] == 0.0


def test_integer_base_weight_is_a_repeated_row():
    rng = np.random.default_rng(2)
    residuals, base = rng.standard_normal(30), rng.integers(1, 5, 30).astype(float)
    repeated = np.repeat(residuals, base.astype(int))
    found = m_scale(residuals, base, **HALF, degrees=base.sum() - 3)
    expected = m_scale(repeated, **HALF, degrees=len(repeated) - 3)
    assert found == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("start", [0.0, 1e-300, 1e-3, 1.0, 2.4, 1e5, 1e300])
def test_the_start_does_not_matter(start):
    found = m_scale(RESIDUALS, **HALF, degrees=6, start=start)
    assert found == pytest.approx(2.4047011364, rel=1e-10)


@pytest.mark.parametrize("unit", [1e-200, 1e160])
def test_squares_that_leave_the_range_of_floats_do_no_harm(unit):
    found = m_scale(RESIDUALS * unit, **HALF, degrees=6)
    assert found / unit == pytest.approx(2.4047011364, rel=1e-10)


def test_one_outlier_moves_the_scale_by_a_bounded_amount():
    far = RESIDUALS.copy()
    far[-1] = 1e12
    assert m_scale(far, **HALF, degrees=6) == pytest.approx(
        m_scale(RESIDUALS, **HALF, degrees=6), rel=1e-12
    )


def test_proposal_2_is_a_mean_of_bounded_squares_over_its_expectation():
    k, scale = 1.345, 1.5
    rng = np.random.default_rng(3)
    residuals, base = rng.standard_t(2, 20), rng.integers(1, 4, 20).astype(float)
    expected = integrate.quad(
        lambda u: min(u * u, k * k) * stats.norm.pdf(u), -np.inf, np.inf
    )[0]
    assert expected == pytest.approx(0.7101645483, rel=1e-8)
    bounded = base @ np.minimum(residuals**2, (k * scale) ** 2)
    found = proposal2_step(residuals, base, scale, k=k, degrees=base.sum() - 2)
    assert found == pytest.approx(
        np.sqrt(bounded / ((base.sum() - 2) * expected)), rel=1e-8
    )
    repeated = np.repeat(residuals, base.astype(int))
    again = proposal2_step(repeated, None, scale, k=k, degrees=len(repeated) - 2)
    assert again == pytest.approx(found, rel=1e-13)


def test_proposal_2_stays_at_zero():
    assert proposal2_step(RESIDUALS, None, 0.0, k=1.345, degrees=5) == 0.0
