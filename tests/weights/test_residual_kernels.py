"""Families of residual rules: weights, rho, psi and the derivative of psi."""

from __future__ import annotations

import decimal
from decimal import Decimal as D

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from statsmodels.robust import norms

from residual_cases import (
    BOUNDED,
    CUT_OFF,
    DEFAULTS,
    FUNCTIONS,
    every_family,
    make,
    unit,
)
from statlearn import weights
from statlearn.weights import (
    Bisquare,
    Hampel,
    Huber,
    Talwar,
    hampel_weights,
    huber_weights,
)
from stub_tensor import Tensor

# |u| / c away from every kink, over all scales.
AWAY = np.concatenate(
    [[1e-9, 1e-6, 1e-3, 0.03], np.linspace(0.07, 4.97, 50), [9.0, 30.0, 1e3, 1e6, 1e9]]
)

residuals = st.floats(-1e308, 1e308, allow_subnormal=True)


# --- known answers -----------------------------------------------------------


@every_family
def test_constant_in_use_is_the_conventional_one(name):
    assert make(name).tuning() == DEFAULTS[name]


@every_family
def test_function_and_class_give_the_same_weights(name):
    u = np.array([-12.0, -3.0, -0.5, 0.0, 1.0, 2.5, 6.0])
    function = getattr(weights, FUNCTIONS[name])
    np.testing.assert_array_equal(function(u), make(name).weight(u))
    constants = 1.7 * np.atleast_1d(DEFAULTS[name])
    np.testing.assert_array_equal(function(u, *constants), make(name, 1.7).weight(u))


@pytest.mark.parametrize(
    ("name", "constants", "u", "expected"),
    [
        ("Huber", (2.0,), [1.0, 2.0, 4.0], [1.0, 1.0, 0.5]),
        ("Bisquare", (2.0,), [1.0, 2.0, 3.0], [0.5625, 0.0, 0.0]),
        (
            "Hampel",
            (1.0, 2.0, 4.0),
            [0.5, 1.0, 2.0, 3.0, 4.0, 5.0],
            [1, 1, 0.5, 1 / 6, 0, 0],
        ),
        ("Cauchy", (2.0,), [2.0, 4.0], [0.5, 0.2]),
        ("Welsch", (2.0,), [2.0, 4.0], [np.exp(-1.0), np.exp(-4.0)]),
        ("Fair", (2.0,), [2.0, 6.0], [0.5, 0.25]),
        ("Logistic", (2.0,), [2.0 * np.arctanh(0.5)], [0.5 / np.arctanh(0.5)]),
        ("Andrews", (2.0,), [np.pi, 2 * np.pi, 7.0], [2.0 / np.pi, 0.0, 0.0]),
        ("Talwar", (2.0,), [1.999, 2.0, 3.0], [1.0, 0.0, 0.0]),
        ("GemanMcClure", (2.0,), [2.0, 4.0], [0.25, 0.04]),
    ],
)
def test_weights_are_those_of_the_formula(name, constants, u, expected):
    found = getattr(weights, FUNCTIONS[name])(u, *constants)
    np.testing.assert_allclose(found, expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("rule", "peer"),
    [
        (Huber(1.345), norms.HuberT(1.345)),
        (Bisquare(4.685), norms.TukeyBiweight(4.685)),
        (Hampel(), norms.Hampel(2.0, 4.0, 8.0)),
        (weights.Andrews(1.339), norms.AndrewWave(1.339)),
        (Talwar(2.795), norms.TrimmedMean(2.795)),
    ],
)
def test_family_agrees_with_statsmodels(rule, peer):
    u = np.linspace(-10.0, 10.0, 401) + 1e-3
    np.testing.assert_allclose(rule.weight(u), peer.weights(u), atol=1e-14)
    np.testing.assert_allclose(rule.psi(u), peer.psi(u), atol=1e-13)
    np.testing.assert_allclose(rule.psi_prime(u), peer.psi_deriv(u), atol=1e-13)
    if not isinstance(rule, Bisquare):  # theirs differs by a constant
        np.testing.assert_allclose(rule.rho(u), peer.rho(u), atol=1e-12)


# --- rho, psi and the derivative of psi --------------------------------------


def in_decimals(name, v):
    """rho and psi at c = 1 with 60 digits, of the families that could cancel."""
    if name == "Cauchy":
        return (1 + v * v).ln() / 2, v / (1 + v * v)
    if name == "Welsch":
        return (1 - (-v * v).exp()) / 2, v * (-v * v).exp()
    if name == "Fair":
        return v - (1 + v).ln(), v / (1 + v)
    if name == "Logistic":
        e = (-2 * v).exp()
        return v + ((1 + e) / 2).ln(), (1 - e) / (1 + e)
    return v * v / (1 + v * v) / 2, v / (1 + v * v) ** 2


@pytest.mark.parametrize(
    "name", ["Cauchy", "Welsch", "Fair", "Logistic", "GemanMcClure"]
)
@pytest.mark.parametrize(
    "v", [1e-12, 1e-8, 1e-4, 0.1, 0.24999, 0.25, 0.7, 1.0, 1.5, 20.0, 1e5, 1e12, 1e150]
)
def test_rho_and_psi_keep_their_digits_on_every_scale(name, v):
    with decimal.localcontext(prec=60):
        rho, psi = in_decimals(name, D(v))
    rule = getattr(weights, name)(1.0)
    assert rule.rho(v) == pytest.approx(float(rho), rel=4e-15, abs=0.0)
    assert rule.psi(v) == pytest.approx(float(psi), rel=4e-14, abs=1e-300)


def slope(f, u):
    """The derivative by differences at four points, of order four."""
    h = 1e-3 * np.abs(u)
    near, far = f(u + h) - f(u - h), f(u + 2.0 * h) - f(u - 2.0 * h)
    return (8.0 * near - far) / (12.0 * h)


@every_family
@pytest.mark.parametrize("scale", [1e-100, 0.3, None, 1e100])
def test_psi_is_the_slope_of_rho(name, scale):
    rule = make(name, scale)
    u = unit(rule) * np.concatenate([-AWAY, AWAY])
    psi = rule.psi(u)
    # What truncation and the rounding of rho leave, no more.
    error = 1e-8 * np.abs(psi) + 1e-11 * rule.rho(u) / np.abs(u)
    error += 1e-12 * np.minimum(np.abs(u), unit(rule))
    assert np.all(np.abs(slope(rule.rho, u) - psi) <= error)


@every_family
@pytest.mark.parametrize("scale", [1e-100, 0.3, None, 1e100])
def test_psi_prime_is_the_slope_of_psi(name, scale):
    rule = make(name, scale)
    u = unit(rule) * np.concatenate([-AWAY, AWAY])
    slopes = rule.psi_prime(u)
    error = (
        1e-8 * np.abs(slopes)
        + 1e-10 * rule.weight(u)
        + 1e-12 * (np.abs(u) < 1e3 * unit(rule))
    )
    assert np.all(np.abs(slope(rule.psi, u) - slopes) <= error)


@every_family
def test_rho_is_the_area_under_psi(name):
    rule = make(name)
    kinks = [k * unit(rule) for k in (1.0, 2.0, np.pi, 4.0)]
    for end in (0.5, 3.0, 11.0):
        inner = [k for k in kinks if k < end]
        area, _ = quad(rule.psi, 0.0, end, points=inner or None, epsabs=1e-13)
        assert rule.rho(end) == pytest.approx(area, rel=1e-11)


@every_family
def test_family_is_least_squares_near_zero(name):
    rule = make(name)
    assert rule.rho(0.0) == 0.0
    assert rule.psi(0.0) == 0.0
    assert rule.psi_prime(0.0) == 1.0
    assert rule.weight(0.0) == 1.0
    tiny = 1e-12
    assert rule.rho(tiny) == pytest.approx(0.5 * tiny**2, rel=1e-10)


@every_family
def test_rho_max_is_the_loss_of_a_row_at_infinity(name):
    rule = make(name)
    assert rule.rho_max() == pytest.approx(rule.rho(np.inf), rel=1e-15)
    assert np.isfinite(rule.rho_max()) == (name in BOUNDED)
    if name in BOUNDED:
        assert rule.rho(1e6) == pytest.approx(rule.rho_max(), rel=1e-9)


@every_family
def test_monotone_says_whether_psi_ever_falls(name):
    rule = make(name)
    falls = np.any(np.diff(rule.psi(np.linspace(0.0, 60.0, 5001))) < -1e-9)
    assert rule.monotone is not bool(falls)


# --- laws of the weights -----------------------------------------------------


@every_family
@given(u=st.lists(residuals, min_size=1, max_size=20))
def test_weight_is_even_and_falls_from_one_with_the_residual(name, u):
    rule = make(name)
    u = np.sort(np.abs(u))
    weight = rule.weight(u)
    np.testing.assert_array_equal(rule.weight(-u), weight)
    assert np.all((weight >= 0.0) & (weight <= 1.0))
    assert np.all(np.diff(weight) <= 4e-16)


@every_family
@given(u=residuals)
def test_psi_is_the_residual_times_its_weight(name, u):
    rule = make(name)
    # Below the smallest normal number, weights have fewer digits.
    error = (1e-307 if abs(u) > 1e150 else 5e-323) * abs(u) + 1e-320
    assert u * rule.weight(u) == pytest.approx(rule.psi(u), rel=4e-14, abs=error)


@every_family
@pytest.mark.parametrize("c", [1e-300, 1e-3, 1.0, 1e300])
@pytest.mark.parametrize("u", [5e-324, 1e-310, 1e-200, 1e200, 1e308, np.inf])
def test_extreme_residuals_have_the_limits(name, c, u):
    rule = getattr(weights, name)(
        *(c * np.array([1.0, 2.0, 4.0])[: 1 + 2 * (name == "Hampel")])
    )
    weight, psi, slope = rule.weight(u), rule.psi(u), rule.psi_prime(u)
    if u < 1e-9 * c:
        assert weight == pytest.approx(1.0, abs=2e-9)
        assert slope == pytest.approx(1.0, abs=2e-9)
        assert psi == pytest.approx(u, rel=2e-9, abs=max(c, 1.0) * 5e-324)
    else:
        assert weight <= 1e-7
        assert abs(slope) <= 1e-7
        bound = c if rule.monotone else 0.0
        assert psi == pytest.approx(bound, rel=1e-7, abs=1e-7 * c)
    assert rule.rho(u) >= 0.0


@pytest.mark.parametrize("name", CUT_OFF)
def test_weight_is_exactly_zero_from_the_last_constant_on(name):
    rule = make(name)
    end = np.max(rule.tuning()) * (np.pi if name == "Andrews" else 1.0)
    beyond = end * np.array([1.0 + 1e-15, 2.0, 1e10])
    for part in (rule.weight, rule.psi):
        np.testing.assert_array_equal(part(beyond), 0.0)


@every_family
def test_missing_residual_stays_missing(name):
    rule = make(name)
    for part in (rule.weight, rule.rho, rule.psi, rule.psi_prime):
        assert np.isnan(part([1.0, np.nan])).tolist() == [False, True]


# --- types and shapes --------------------------------------------------------


@every_family
def test_float32_comes_back_as_float32(name):
    u = np.array([[-3.0, 0.0], [1.0, 3e38]], dtype=np.float32)
    rule = make(name, 20.0)
    for part in (rule.weight, rule.rho, rule.psi, rule.psi_prime):
        out = part(u)
        assert out.dtype == np.float32
        with np.errstate(over="ignore"):  # a loss may be too large for the type
            expected = part(u.astype(np.float64)).astype(np.float32)
        np.testing.assert_array_equal(out, expected)
    assert rule(u.ravel()).dtype == np.float32


@every_family
def test_tensor_comes_back_as_a_tensor_of_its_type(name):
    u = Tensor(np.array([[-3.0, 0.0], [1.0, 9.0]], dtype=np.float32))
    rule = make(name)
    for part in (rule.weight, rule.rho, rule.psi, rule.psi_prime):
        out = part(u)
        assert isinstance(out, Tensor)
        np.testing.assert_array_equal(out.data, part(u.data))
    flat = Tensor(u.data.ravel())
    np.testing.assert_array_equal(rule(flat).data, rule(flat.data))


def test_real_tensor_carries_no_gradient(torch):
    u = torch.tensor([0.0, 1.0, 9.0], requires_grad=True)
    out = Bisquare().weight(u)
    assert out.dtype == torch.float32
    assert not out.requires_grad
    np.testing.assert_allclose(out.numpy(), Bisquare().weight(u.detach().numpy()))


@every_family
def test_any_shape_keeps_its_shape_and_is_not_written_to(name):
    rule = make(name, 1.0)
    for shape in ((), (0,), (4,), (2, 3), (2, 1, 2)):
        u = np.full(shape, 1.5)
        for part in (rule.weight, rule.rho, rule.psi, rule.psi_prime):
            assert np.shape(part(u)) == shape
        np.testing.assert_array_equal(u, 1.5)
    # A division by one could hand out the input itself.
    u = np.array([0.5, -7.0])
    huber_weights(u, 1.0)
    hampel_weights(u, 1.0)
    assert u.tolist() == [0.5, -7.0]


def test_lists_of_integers_are_taken_as_numbers():
    np.testing.assert_allclose(huber_weights([0, -2, 4], 2.0), [1.0, 1.0, 0.5])
    number = huber_weights(4, 2.0)
    assert isinstance(number, float)
    assert number == 0.5
