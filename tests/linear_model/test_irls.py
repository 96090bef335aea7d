"""The iteration ends where independent optimisers do, and where its equations hold."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize
from sklearn.linear_model import LinearRegression, Ridge

from reweighted_oracle import (
    LOSS_RULES,
    MAD,
    MAY_CYCLE,
    PSI,
    RESIDUAL_RULES,
    counts,
    dirty,
    full_coef,
    rel,
    with_ones,
)
from statlearn.exceptions import StatlearnWarning
from statlearn.linear_model import ReweightedLinearRegression
from statlearn.weights import Fair, Huber, LinUpper, Logistic, get_rule

X, Y = dirty(4)
D = with_ones(X)
COUNTS = counts(5, len(Y))
ERRORS = [0.1, -0.2, 0.3, 0.0, -0.1, 0.2, -0.3, 0.1, 0.05, 15.0]
LINE = np.arange(10.0)[:, None]
LINE_Y = 2.0 * np.arange(10.0) + 1.0 + ERRORS

RHO = {
    "huber": lambda u, c: np.where(
        abs(u) <= c, 0.5 * u**2, c * abs(u) - 0.5 * c**2
    ).sum(),
    "fair": lambda u, c: (c**2 * (abs(u) / c - np.log1p(abs(u) / c))).sum(),
    "logistic": lambda u, c: (
        c**2 * (abs(u) / c + np.log1p(np.exp(-2.0 * abs(u) / c)) - np.log(2.0))
    ).sum(),
}


def fit(weighting="huber", X=X, y=Y, sample_weight=None, **options):
    model = ReweightedLinearRegression(weighting, **({"random_state": 0} | options))
    return model.fit(X, y, sample_weight)


# --------------------------------------------------------------- independent optimisers
@pytest.mark.parametrize(
    ("name", "rule", "c"),
    [
        ("huber", Huber(0.9), 0.9),
        ("fair", Fair(1.1), 1.1),
        ("logistic", Logistic(), 1.205),
    ],
)
def test_fit_at_a_fixed_scale_minimises_rho(name, rule, c):
    scale = 1.7
    found = optimize.minimize(
        lambda b: RHO[name]((Y - D @ b) / scale, c),
        np.zeros(4),
        method="BFGS",
        options={"gtol": 1e-9},
    )
    model = fit(rule, scale=scale)
    assert rel(full_coef(model), found.x) < 1e-6
    ours = RHO[name](model.residuals_ / scale, c)
    assert ours <= found.fun * (1.0 + 1e-12)
    assert_allclose(model.objective_path_[-1], ours * scale**2 / len(Y), rtol=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_huber_is_the_minimum_that_a_cone_solver_finds(alpha):
    b, a = cp.Variable(3), cp.Variable()
    scale, c = 1.2, 1.345
    loss = cp.sum(cp.huber((Y - X @ b - a) / scale, c)) * 0.5 * scale**2 / len(Y)
    problem = cp.Problem(cp.Minimize(loss + 0.5 * alpha * cp.sum_squares(b)))
    problem.solve(solver=cp.CLARABEL)
    model = fit(Huber(c), scale=scale, alpha=alpha)
    assert rel(full_coef(model), np.r_[a.value, b.value]) < 1e-5
    assert_allclose(model.objective_path_[-1], problem.value, rtol=1e-8)


@pytest.mark.parametrize("alpha", [1e-3, 0.5, 20.0])
@pytest.mark.parametrize("weight", [None, COUNTS], ids=["plain", "weighted"])
def test_uniform_weights_with_a_penalty_are_ridge_regression(alpha, weight):
    total = len(Y) if weight is None else weight.sum()
    ridge = Ridge(alpha=total * alpha).fit(X, Y, sample_weight=weight)
    model = fit("uniform", sample_weight=weight, alpha=alpha)
    assert_allclose(model.coef_, ridge.coef_, rtol=1e-9)
    assert_allclose(model.intercept_, ridge.intercept_, rtol=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_penalty_fits_fewer_rows_than_columns(n, fit_intercept):
    ridge = Ridge(alpha=n * 0.7, fit_intercept=fit_intercept).fit(X[:n], Y[:n])
    options = {"alpha": 0.7, "fit_intercept": fit_intercept}
    model = fit("uniform", X[:n], Y[:n], **options)
    assert_allclose(model.coef_, ridge.coef_, rtol=1e-9)
    robust = fit("huber", X[:n], Y[:n], scale=1e6, **options)
    assert_allclose(robust.coef_, ridge.coef_, rtol=1e-6)
    assert np.isnan(model.bse_).all() == (n <= len(model.bse_))


# ------------------------------------------------------------------------ its equations
@pytest.mark.parametrize("name", PSI)
@pytest.mark.parametrize("scale", ["mad", "proposal2", "mscale", 1.5])
@pytest.mark.parametrize("weight", [None, COUNTS], ids=["plain", "weighted"])
def test_scores_are_orthogonal_to_the_columns(name, scale, weight):
    psi = PSI[name][0]
    model = fit(name, scale=scale, sample_weight=weight)
    base = np.ones(len(Y)) if weight is None else weight
    scores = base * psi((Y - D @ full_coef(model)) / model.scale_)
    balance = np.abs(D.T @ scores) / (np.abs(D).T @ np.abs(scores))
    assert balance.max() < 1e-6


@pytest.mark.parametrize("name", PSI)
def test_mad_of_the_residuals_is_the_scale(name):
    model = fit(name)
    assert_allclose(model.scale_, MAD * np.median(np.abs(model.residuals_)), rtol=1e-7)
    weighted = fit(name, sample_weight=COUNTS)
    repeated = np.repeat(np.abs(weighted.residuals_), COUNTS)
    assert_allclose(weighted.scale_, MAD * np.median(repeated), rtol=1e-7)


def test_m_scale_solves_its_equation():
    model = fit("huber", scale="mscale")
    v = np.minimum((model.residuals_ / model.scale_ / 1.54764) ** 2, 1.0)
    total = np.sum(1.0 - (1.0 - v) ** 3)
    assert_allclose(total / (len(Y) - 4), 0.5, rtol=1e-6)


def test_proposal_2_solves_its_equation():
    model = fit("huber", scale="proposal2")
    k, beta = 1.345, 0.7101645483
    capped = np.minimum(np.abs(model.residuals_) / model.scale_, k) ** 2
    assert_allclose(capped.sum() / ((len(Y) - 4) * beta), 1.0, rtol=1e-6)


@pytest.mark.parametrize("name", [n for n in LOSS_RULES if n not in MAY_CYCLE])
@pytest.mark.parametrize("weight", [None, COUNTS], ids=["plain", "weighted"])
def test_rule_on_losses_ends_where_its_own_weights_fit(name, weight):
    model = fit(name, sample_weight=weight)
    base = np.ones(len(Y)) if weight is None else weight
    again = LinearRegression().fit(X, Y, sample_weight=base * model.weights_)
    assert rel(again.coef_, model.coef_) < 1e-6
    losses = 0.5 * (Y - model.predict(X)) ** 2
    weights = get_rule(name)(losses, base_weight=weight)
    kept = base > 0
    assert_allclose((base * model.weights_)[kept], weights[kept], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("damping", [None, 0.5, 0.3])
def test_linupper_on_the_line_has_its_known_fixed_point(damping):
    model = fit(LinUpper(1.0), LINE, LINE_Y, damping=damping, max_iter=1000)
    assert model.converged_
    expected = [-2.0671251780, 3.0782549125]
    assert_allclose(full_coef(model), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", RESIDUAL_RULES)
def test_weights_are_those_of_the_last_residuals(name):
    model = fit(name)
    u = (Y - model.predict(X)) / model.scale_
    assert_allclose(model.weights_, get_rule(name).weight(u), rtol=1e-6, atol=1e-9)


def test_presets_end_where_their_equations_hold():
    mm = fit("mm")
    s = fit("s")
    assert mm.scale_ == s.scale_
    assert_allclose(mm.init_coef_, full_coef(s), rtol=1e-9)
    psi = PSI["bisquare"][0]
    for model, c in ((mm, 4.685061), (s, 1.54764)):
        u = (Y - D @ full_coef(model)) / model.scale_
        scores = psi(u * 4.685 / c)
        balance = np.abs(D.T @ scores) / (np.abs(D).T @ np.abs(scores))
        assert balance.max() < 1e-6
    lts = fit("lts")
    raw = Y - D @ lts.init_coef_
    assert_array_equal(lts.weights_, (np.abs(raw) <= 2.5 * lts.scale_).astype(float))
    kept = lts.weights_ == 1.0
    assert_allclose(lts.coef_, LinearRegression().fit(X[kept], Y[kept]).coef_)


def test_options_of_an_iteration_do_not_touch_the_breakdown_of_a_preset():
    X, Y = dirty(6, n=100, p=2, n_outliers=0)
    X[:25, 0], Y[:25] = 10.0, -30.0
    plain = fit("mm", X, Y)
    assert abs(plain.coef_[0] - 1.0) < 0.5
    for options in (
        {"warmup_iter": 3},
        {"scale": 100.0},
        {"init": "ols"},
    ):
        assert_allclose(fit("mm", X, Y, **options).coef_, plain.coef_, rtol=1e-7)
    with pytest.warns(StatlearnWarning, match="left aside"):
        penalised = fit("mm", X, Y, alpha=10.0)
    assert_allclose(penalised.coef_, plain.coef_, rtol=1e-7)


# ---------------------------------------------------------------------------- the steps
@pytest.mark.parametrize("name", ["huber", "fair", "logistic", "bisquare", "welsch"])
def test_objective_at_a_fixed_scale_never_rises(name):
    path = fit(name, scale=1.5, init=[5.0, -5.0, 5.0, -5.0]).objective_path_
    assert len(path) > 3
    assert np.diff(path).max() <= 1e-12 * path[0]


def test_objective_path_has_one_entry_for_each_iterate():
    for options in ({}, {"weighting": "linupper"}, {"weighting": "mm"}):
        model = fit(**options)
        assert model.objective_path_.shape == (model.n_iter_ + 1,)


def test_smaller_tolerance_takes_more_steps_and_comes_nearer():
    best = full_coef(fit("fair", tol=1e-13))
    loose, tight = fit("fair", tol=1e-3), fit("fair", tol=1e-9)
    assert loose.n_iter_ < tight.n_iter_
    assert rel(full_coef(tight), best) < 1e-7 < rel(full_coef(loose), best)


def test_damped_and_full_steps_end_at_the_same_fit():
    plain = full_coef(fit("huber"))
    for damping in (0.3, 0.7, 1.0):
        damped = fit("huber", damping=damping)
        assert damped.converged_
        assert rel(full_coef(damped), plain) < 1e-6


def test_warm_up_takes_plain_steps_first():
    start = [5.0, -5.0, 5.0, -5.0]
    ols = LinearRegression().fit(X, Y)
    with pytest.warns(UserWarning, match="max_iter=1"):
        warm = fit("huber", init=start, warmup_iter=1, max_iter=1)
    assert_allclose(warm.coef_, ols.coef_, rtol=1e-9)
    assert_allclose(full_coef(fit("huber", warmup_iter=3)), full_coef(fit()), rtol=1e-6)
    losses = fit("linupper", warmup_iter=3)
    assert_allclose(losses.coef_, fit("linupper").coef_, rtol=1e-6)


def test_rule_sees_the_steps_after_the_warm_up():
    steps = []

    def watch(losses, *, groups=None, base_weight=None, step=None):
        steps.append(step)
        return np.ones(len(losses))

    fit(watch, warmup_iter=2, init=[5.0, -5.0, 5.0, -5.0])
    # Before the fit ends, a function is asked once whether its last step is the same.
    steps.remove(200 - 2)
    assert steps[0] == 0
    assert steps == sorted(steps)
    assert steps[:3] != [0, 0, 0]


def test_least_squares_takes_one_step():
    model = fit("uniform")
    assert model.n_iter_ == 1
    assert_allclose(model.coef_, LinearRegression().fit(X, Y).coef_, rtol=1e-12)


def test_lad_start_minimises_absolute_residuals():
    start = fit("huber", init="lad").init_coef_
    b = cp.Variable(4)
    problem = cp.Problem(cp.Minimize(cp.norm1(Y - D @ b)))
    problem.solve(solver=cp.CLARABEL)
    assert_allclose(np.abs(Y - D @ start).sum(), problem.value, rtol=1e-7)
