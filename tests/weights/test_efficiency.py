"""Efficiency at the normal, and the constants that reach it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import chi2, norm

from statlearn import weights
from statlearn.weights import Fair, Hampel, Huber, Talwar, Welsch

# Constants for 95, 85, 90 and 99 % of efficiency, from tables and adaptive quadrature.
CONSTANTS = {
    "Huber": (1.34499751, 0.73173882, 0.98180232, 2.01018905),
    "Bisquare": (4.68506495, 3.44368978, 3.88266158, 7.04139163),
    "Cauchy": (2.38494712, 1.37374546, 1.72487061, 4.29024189),
    "Welsch": (2.98463718, 2.05946227, 2.38311580, 4.74071930),
    "Fair": (1.39977681, 0.33334057, 0.63508231, 4.95790799),
    "Logistic": (1.20470669, 0.54591878, 0.78254067, 2.36389303),
    "Andrews": (1.33871086, 0.98835875, 1.11171272, 2.01696785),
    "Talwar": (2.79548348, 2.30587247, 2.50027771, 3.36821418),
    "GemanMcClure": (3.78741876, 2.41606578, 2.89371578, 6.38089777),
}
FAMILIES = [*CONSTANTS, "Hampel"]
MONOTONE = ("Huber", "Fair", "Logistic")
# Where psi is not smooth, in units of the constant.
KINKS = {"Andrews": (np.pi,), "Fair": (), "Hampel": (1.0, 2.0, 4.0)}


def unit(rule):
    constant = rule.tuning()
    return constant[0] if isinstance(constant, tuple) else constant


def efficiency_by_quadrature(rule):
    """(E Z psi)^2 / E psi^2, by adaptive quadrature between the kinks."""
    kinks = unit(rule) * np.array(KINKS.get(type(rule).__name__, (1.0,)))
    edges = [0.0, *sorted(k for k in kinks if k < 12.0), 12.0]

    def mean(f):
        pieces = [
            quad(lambda z: f(z) * norm.pdf(z), a, b, epsabs=1e-13, limit=200)[0]
            for a, b in pairwise(edges)
        ]
        return 2.0 * sum(pieces)

    # With c^-1 psi, a small constant stays above the absolute tolerance.
    c = unit(rule)
    covariance = mean(lambda z: z * rule.psi(z) / c)
    return covariance**2 / mean(lambda z: (rule.psi(z) / c) ** 2)


@pytest.mark.parametrize("name", CONSTANTS)
@pytest.mark.parametrize(
    ("position", "efficiency"), list(enumerate((0.95, 0.85, 0.90, 0.99)))
)
def test_constant_has_the_digits_of_the_table(name, position, efficiency):
    rule = getattr(weights, name)(efficiency=efficiency)
    assert rule.tuning() == pytest.approx(CONSTANTS[name][position], abs=5.1e-9)


def test_hampel_scales_its_three_constants_by_one_factor():
    scaled = Hampel(efficiency=0.95).tuning()
    assert scaled == pytest.approx(0.69099872 * np.array([2.0, 4.0, 8.0]), abs=4.1e-8)


def test_hampel_of_another_unit_reaches_the_same_constants():
    small = Hampel(0.2, 0.4, 0.8, efficiency=0.95).tuning()
    assert small == pytest.approx(Hampel(efficiency=0.95).tuning(), rel=1e-12)


def test_default_hampel_is_as_efficient_as_the_literature_says():
    assert efficiency_by_quadrature(Hampel()) == pytest.approx(0.98968, abs=5e-6)


@pytest.mark.parametrize("name", CONSTANTS)
def test_conventional_constant_is_close_to_95_percent(name):
    rule = getattr(weights, name)()
    assert efficiency_by_quadrature(rule) == pytest.approx(0.95, abs=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("efficiency", [0.3, 0.64, 0.7, 0.95, 0.9999])
def test_constant_has_the_efficiency_asked_for(name, efficiency):
    if name in MONOTONE and efficiency <= 0.64:
        efficiency = 0.645
    rule = getattr(weights, name)(efficiency=efficiency)
    assert efficiency_by_quadrature(rule) == pytest.approx(efficiency, abs=1e-10)


@given(st.floats(1e-5, 1.0 - 1e-9))
def test_talwar_has_a_closed_form(efficiency):
    # E Z^2 of |Z| < c is the probability that chi-squared with 3 degrees is below c^2.
    expected = np.sqrt(chi2.ppf(efficiency, 3))
    constant = Talwar(efficiency=efficiency).tuning()
    assert chi2.cdf(constant**2, 3) == pytest.approx(efficiency, abs=1e-14, rel=1e-12)
    assert constant == pytest.approx(expected, rel=1e-7)


@given(st.floats(1e-5, 1.0 - 1e-9))
def test_welsch_has_a_closed_form(efficiency):
    s = Welsch(efficiency=efficiency).tuning() ** -2
    reached = (np.sqrt(1.0 + 4.0 * s) / (1.0 + 2.0 * s)) ** 3
    assert reached == pytest.approx(efficiency, abs=1e-14, rel=1e-12)


@given(st.floats(0.637, 1.0 - 1e-9))
def test_huber_has_a_closed_form(efficiency):
    c = Huber(efficiency=efficiency).tuning()
    inside = 1.0 - 2.0 * norm.sf(c)
    square = inside - 2.0 * c * norm.pdf(c) + 2.0 * c**2 * norm.sf(c)
    # `inside` loses digits for small c, where the efficiency tends to 2 / pi.
    assert inside**2 / square == pytest.approx(efficiency, rel=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_more_efficiency_needs_a_larger_constant(name):
    grid = np.linspace(0.65, 0.999, 25)
    constants = [unit(getattr(weights, name)(efficiency=e)) for e in grid]
    assert np.all(np.diff(constants) > 0.0)


@pytest.mark.parametrize("efficiency", [0.0, -0.5, 1.0, 1.5, np.nan, np.inf])
@pytest.mark.parametrize("name", ["Huber", "Bisquare", "Hampel", "Talwar"])
def test_efficiency_outside_of_the_unit_interval_is_refused(name, efficiency):
    rule = getattr(weights, name)(efficiency=efficiency)
    with pytest.raises(
        ValueError, match=rf"The 'efficiency' of {name} must lie .* Got .*; pass"
    ):
        rule.tuning()


@pytest.mark.parametrize("name", MONOTONE)
def test_monotone_family_names_the_least_efficiency_that_it_has(name):
    # The median is the limit of small constants.
    rule = getattr(weights, name)(efficiency=0.63)
    with pytest.raises(ValueError, match=r"between 0\.63[67]\d* and 1, exclusive"):
        rule.weight([1.0])


def test_efficiency_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match=r"The 'efficiency' of Fair .* Got 'high'"):
        Fair(efficiency="high").tuning()
