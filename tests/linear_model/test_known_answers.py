"""Known answers: ten points and a far one, and the stack loss plant."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning

from robust_cases import params, table
from statlearn.linear_model import ReweightedLinearRegression
from statlearn.weights import Bisquare, Huber, LinUpper, get_rule

LINE_X = np.arange(10.0)[:, None]
LINE_Y = 2.0 * LINE_X[:, 0] + 1.0
LINE_Y += [0.1, -0.2, 0.3, 0.0, -0.1, 0.2, -0.3, 0.1, 0.05, 15.0]
# numbers below have ten digits
TIGHT = {"tol": 1e-12, "max_iter": 1000, "random_state": 0}
# What rlm of MASS takes for the third quartile of the normal distribution.
SHORT = 0.6745 / norm.ppf(0.75)


def on_line(weighting, **options):
    return ReweightedLinearRegression(weighting, **TIGHT, **options).fit(LINE_X, LINE_Y)


def on_stackloss(weighting, **options):
    X, y, _ = table("stackloss")
    return ReweightedLinearRegression(weighting, **TIGHT, **options).fit(X, y)


def as_mass_has_it(rule_class, c):
    """A rule whose fit with the exact MAD is that of rlm with its short 0.6745.

    Weights depend on u / c only, so the constant takes the error of the scale.
    """
    return rule_class(c=c / SHORT)


def bse_of_mass(model, rule):
    """Standard errors of H1 with n - 1 in the variance of psi', as rlm has them."""
    n, p = len(model.residuals_), len(model.bse_)
    bend = rule.psi_prime(model.residuals_ / model.scale_)
    ratio = p * bend.var() / (n * bend.mean() ** 2)
    return model.bse_ * (1.0 + ratio * n / (n - 1)) / (1.0 + ratio)


# ------------------------------------------------------------- a line of ten points
def test_uniform_weights_are_least_squares():
    model = on_line("uniform")
    assert_allclose(params(model), [-1.1463636364, 2.8136363636], rtol=1e-9)


def test_huber_on_a_line():
    model = on_line("huber")
    assert_allclose(params(model), [0.9691889537, 2.0232162790], rtol=1e-9)
    assert_allclose(model.scale_, 0.2171012354, rtol=1e-9)
    assert_allclose(model.weights_[-1], 0.0197007037, rtol=1e-8)


def test_h1_takes_the_population_variance_of_psi_prime():
    # as statsmodels does; see the next test for the other variance
    assert_allclose(on_line("huber").bse_, [0.1632979889, 0.0305885159], rtol=1e-8)


def test_rlm_of_mass_is_a_huber_fit_with_another_constant():
    rule = as_mass_has_it(Huber, 1.345)
    model = on_line(rule)
    assert_allclose(params(model), [0.969190100375, 2.023215973233], rtol=1e-11)
    se = [0.164160363932, 0.0307500535]
    assert_allclose(bse_of_mass(model, rule), se, rtol=2e-9)


def test_bisquare_from_least_squares_on_a_line():
    model = on_line("bisquare")
    assert_allclose(params(model), [1.0332343847, 1.9966588068], rtol=1e-9)
    assert_allclose(model.scale_, 0.2248671630, rtol=1e-9)


def test_s_estimate_on_a_line():
    model = on_line("s")
    assert_allclose(params(model), [1.0258054681, 2.0046276353], rtol=1e-9)
    assert_allclose(model.scale_, 0.2886047290, rtol=1e-9)


def test_mm_estimate_on_a_line():
    model = on_line("mm")
    assert_allclose(params(model), [1.0345930541, 1.9959847676], rtol=1e-9)
    assert_allclose(model.init_coef_, [1.0258054681, 2.0046276353], rtol=1e-9)
    assert_allclose(model.scale_, 0.2886047290, rtol=1e-9)
    assert model.weights_[-1] == 0.0


def test_standard_errors_of_mm_are_avar1_by_default():
    model = on_line("mm")
    assert_allclose(model.bse_, [0.1068897468, 0.0199900569], rtol=1e-8)
    assert_allclose(on_line("mm", cov_type="avar1").cov_, model.cov_, rtol=1e-12)


def test_trimmed_squares_on_a_line():
    model = on_line("lts")
    assert_allclose(model.init_coef_, [1.0447791165, 2.0030120482], rtol=1e-9)
    assert_allclose(model.objective_path_[-1], 0.0517068273, rtol=1e-8)
    assert_allclose(model.scale_, 0.2003963740, rtol=1e-9)


def test_trimmed_squares_fit_six_rows_of_the_line():
    rows = [0, 3, 4, 5, 7, 8]
    design = np.column_stack([np.ones(6), LINE_X[rows]])
    expected, squares = np.linalg.lstsq(design, LINE_Y[rows], rcond=None)[:2]
    model = on_line("lts")
    assert_allclose(model.init_coef_, expected, rtol=1e-10)
    assert_allclose(model.objective_path_[-1], squares[0], rtol=1e-10)
    nearest = np.argsort(
        np.abs(LINE_Y - model.init_coef_ @ [np.ones(10), LINE_X[:, 0]])
    )
    assert sorted(nearest[:6]) == rows


@pytest.mark.parametrize(
    ("name", "gradient"),
    [
        ("linupper", [-21.1780178993, -173.2987502369]),
        ("quadratic", [-13.1202286740, -88.9846691441]),
        ("extremes", [-10.9351913182, -71.5003080263]),
    ],
)
def test_first_step_of_descent_is_the_weighted_gradient_at_zero(name, gradient):
    rate = 1e-3
    rule = get_rule(name).set_params(temperature=0.4)
    model = ReweightedLinearRegression(
        rule, solver="sgd", batch_size=10, learning_rate=rate, max_iter=1
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(LINE_X, LINE_Y)
    assert_allclose(params(model) / -rate, gradient, rtol=1e-10)


def test_fixed_point_of_linupper_on_a_line():
    model = on_line(LinUpper(temperature=1.0))
    assert model.converged_
    assert_allclose(params(model), [-2.0671251780, 3.0782549125], rtol=1e-9)


# -------------------------------------------------------------------------- stack loss
def test_huber_of_mass_on_stackloss():
    rule = as_mass_has_it(Huber, 1.345)
    model = on_stackloss(rule)
    expected = [-41.026485373, 0.829385770, 0.926059416, -0.127846318]
    assert_allclose(params(model), expected, rtol=1e-8)
    assert_allclose(model.scale_ / SHORT, 2.440489046, rtol=1e-9)
    se = [9.8068723, 0.1111750, 0.3033934, 0.1288463]
    assert_allclose(bse_of_mass(model, rule), se, rtol=1e-6)


def test_bisquare_of_mass_on_stackloss():
    model = on_stackloss(as_mass_has_it(Bisquare, 4.685))
    expected = [-42.285321536, 0.927558993, 0.650711198, -0.112333123]
    assert_allclose(params(model), expected, rtol=1e-8)
    assert_allclose(model.scale_ / SHORT, 2.281853315, rtol=1e-9)


@pytest.mark.parametrize("rule", ["huber", "bisquare"])
def test_exact_mad_moves_the_sixth_digit_of_mass(rule):
    printed = {
        "huber": [-41.026485373, 0.829385770, 0.926059416, -0.127846318],
        "bisquare": [-42.285321536, 0.927558993, 0.650711198, -0.112333123],
    }[rule]
    ratio = params(on_stackloss(rule)) / printed - 1.0
    assert 1e-7 < np.abs(ratio).max() < 2e-5


def test_proposal2_of_mass_on_stackloss():
    model = on_stackloss("huber", scale="proposal2")
    expected = [-41.140878413, 0.816732448, 0.983794408, -0.131433293]
    assert_allclose(params(model), expected, rtol=1e-8)
    assert_allclose(model.scale_, 2.855132720, rtol=1e-9)


def test_s_estimate_of_stackloss_is_the_global_minimum():
    # over all 5985 subsets of four rows
    model = on_stackloss("s", n_starts=6000)
    expected = [-36.925422925, 0.849574807, 0.430473906, -0.073538849]
    assert_allclose(params(model), expected, rtol=1e-8)
    assert_allclose(model.scale_, 1.912351906641, rtol=1e-10)


def test_mm_estimate_of_stackloss():
    model = on_stackloss("mm")
    expected = [-41.524611670, 0.938845477, 0.579552744, -0.112921862]
    assert_allclose(params(model), expected, rtol=1e-8)
    start = [-36.925422925, 0.849574807, 0.430473906, -0.073538849]
    assert_allclose(model.init_coef_, start, rtol=1e-8)
    assert_allclose(model.scale_, 1.912351906641, rtol=1e-10)


def test_standard_errors_of_mm_on_stackloss():
    expected = [5.297797665, 0.117429411, 0.262963025, 0.069889932]
    assert_allclose(on_stackloss("mm").bse_, expected, rtol=1e-8)


def test_mm_puts_the_last_day_of_stackloss_aside():
    model = on_stackloss("mm")
    assert model.weights_[20] == 0.0
    assert np.all(np.delete(model.weights_, 20) > 0.0)
    assert model.outliers()[20]


def test_trimmed_squares_of_stackloss():
    model = on_stackloss("lts")
    expected = [-37.323326471, 0.740921064, 0.391526723, 0.011134540]
    assert_allclose(model.init_coef_, expected, rtol=1e-7)
    # the best 13 rows, by the sum of their squares
    X, y, _ = table("stackloss")
    r = y - np.column_stack([np.ones(21), X]) @ model.init_coef_
    assert_allclose(np.sort(r**2)[:13].sum(), model.objective_path_[-1], rtol=1e-10)
