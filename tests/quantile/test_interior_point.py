"""Exact minimisers of weighted pinball loss against HiGHS and Clarabel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantile_oracle import CONSTRAINTS, clarabel_optimum, highs_optimum, loss
from statlearn.quantile._constraint import Constraint
from statlearn.quantile._interior_point import solve_pinball, solve_pinball_batch

RTOL = 1e-8


def sample(n, c, *, seed, heavy=False):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, c))
    noise = rng.standard_t(2, size=n) if heavy else rng.normal(size=n)
    return X, X[:, 0] + noise, rng.uniform(0.1, 3.0, n)


def degenerate(kind):
    """Return X, y, weights, leading free columns of a problem that breaks solvers."""
    X, y, weight = sample(60, 5, seed=1)
    n_free = 0
    if kind == "duplicates":
        X[:, 1] = X[:, 2] = X[:, 0]
    elif kind == "ties":
        X, y = np.round(X), np.round(y)
    elif kind == "wide":
        X, y, weight = sample(12, 30, seed=2)
    elif kind == "constants":
        X[:, 0], X[:, 1], n_free = 1.0, 3.0, 1
    elif kind == "zero column":
        X[:, 2] = 0.0
    elif kind == "perfect model":
        X[:, 3] = y
    elif kind == "unequal weights":
        weight = weight * np.r_[1e3, np.ones(58), 1e-3]
    elif kind == "heavy tails":
        X, y, weight = sample(500, 4, seed=3, heavy=True)
    return X, y, weight, n_free


@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
@pytest.mark.parametrize("level", [0.01, 0.3, 0.5, 0.95])
@pytest.mark.parametrize("n_free", [0, 1])
def test_random_problems_have_the_objective_of_both_witnesses(
    constraint, level, n_free
):
    X, y, weight = sample(150, 5, seed=int(100 * level))
    X[:, :n_free] = 1.0
    nonneg, sum_to_one = CONSTRAINTS[constraint]
    rules = {"nonneg": nonneg, "sum_to_one": sum_to_one, "n_free": n_free}
    fit = solve_pinball(X, y, level, weight, constraint=Constraint(**rules))
    assert fit.converged
    for witness in (highs_optimum, clarabel_optimum):
        best = witness(X, y, level, weight, **rules)
        np.testing.assert_allclose(fit.objective, best, rtol=RTOL)


@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
@pytest.mark.parametrize(
    "kind",
    [
        "duplicates",
        "ties",
        "wide",
        "constants",
        "zero column",
        "perfect model",
        "unequal weights",
        "heavy tails",
    ],
)
def test_degenerate_problems_have_the_objective_of_highs(constraint, kind):
    X, y, weight, n_free = degenerate(kind)
    nonneg, sum_to_one = CONSTRAINTS[constraint]
    rules = {"nonneg": nonneg, "sum_to_one": sum_to_one, "n_free": n_free}
    fit = solve_pinball(X, y, 0.3, weight, constraint=Constraint(**rules))
    best = highs_optimum(X, y, 0.3, weight, **rules)
    assert fit.converged
    atol = 1e-11 * weight @ np.abs(y)
    np.testing.assert_allclose(fit.objective, best, rtol=RTOL, atol=atol)
    coef = fit.coef[n_free:]
    assert not nonneg or (coef >= 0.0).all()
    if sum_to_one:
        np.testing.assert_allclose(coef.sum(), 1.0, rtol=1e-12)
    achieved = weight @ loss(y - X @ fit.coef, 0.3)
    np.testing.assert_allclose(achieved, fit.objective, rtol=1e-9, atol=atol)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 60),
    c=st.integers(1, 8),
    level=st.floats(0.02, 0.98),
    constraint=st.sampled_from(list(CONSTRAINTS)),
)
def test_gap_is_a_bound_on_the_distance_to_the_optimum(seed, n, c, level, constraint):
    X, y, weight = sample(n, c, seed=seed)
    nonneg, sum_to_one = CONSTRAINTS[constraint]
    rules = {"nonneg": nonneg, "sum_to_one": sum_to_one}
    best = highs_optimum(X, y, level, weight, **rules)
    scale = weight @ np.abs(y)
    for max_iter in (2, 5, 100):
        fit = solve_pinball(
            X, y, level, weight, constraint=Constraint(**rules), max_iter=max_iter
        )
        assert fit.objective - fit.duality_gap <= best + 1e-10 * scale
        assert fit.objective >= best - 1e-10 * scale


@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
def test_dual_variables_lie_in_their_box_and_prove_the_objective(constraint):
    X, y, weight = sample(200, 4, seed=5)
    nonneg, sum_to_one = CONSTRAINTS[constraint]
    fit = solve_pinball(
        X, y, 0.7, weight, constraint=Constraint(nonneg=nonneg, sum_to_one=sum_to_one)
    )
    assert (fit.dual <= weight * 0.7 * (1 + 1e-12)).all()
    assert (fit.dual >= -weight * 0.3 * (1 + 1e-12)).all()
    nu = -(X.T @ fit.dual).max() if sum_to_one else 0.0
    value = y @ fit.dual + nu
    np.testing.assert_allclose(value, fit.objective, rtol=RTOL)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
def test_scale_of_the_data_scales_the_objective(scale, constraint):
    X, y, weight = sample(100, 4, seed=6)
    nonneg, sum_to_one = CONSTRAINTS[constraint]
    rules = {"nonneg": nonneg, "sum_to_one": sum_to_one}
    best = highs_optimum(X, y, 0.2, weight, **rules)
    fit = solve_pinball(
        scale * X, scale * y, 0.2, weight, constraint=Constraint(**rules)
    )
    np.testing.assert_allclose(fit.objective, scale * best, rtol=RTOL)


@pytest.mark.parametrize("constraint", ["simplex", "unit_sum"])
def test_common_location_changes_nothing_under_a_sum_of_one(constraint):
    X, y, weight = sample(100, 4, seed=7)
    nonneg, sum_to_one = CONSTRAINTS[constraint]
    rules = {"nonneg": nonneg, "sum_to_one": sum_to_one}
    best = highs_optimum(X, y, 0.2, weight, **rules)
    fit = solve_pinball(X + 1e6, y + 1e6, 0.2, weight, constraint=Constraint(**rules))
    np.testing.assert_allclose(fit.objective, best, rtol=1e-8)


def test_rows_without_weight_are_the_same_as_no_rows():
    X, y, weight = sample(80, 3, seed=8)
    weight[::3] = 0.0
    kept = weight > 0.0
    rules = {"nonneg": True, "sum_to_one": True}
    fit = solve_pinball(X, y, 0.4, weight, constraint=Constraint(**rules))
    without = solve_pinball(
        X[kept], y[kept], 0.4, weight[kept], constraint=Constraint(**rules)
    )
    np.testing.assert_array_equal(fit.coef, without.coef)
    assert (fit.dual[~kept] == 0.0).all()


def test_shared_columns_and_own_columns_give_the_same_fits():
    X, y, weight = sample(300, 4, seed=9)
    levels = np.array([0.1, 0.5, 0.8])
    rules = {"nonneg": False, "sum_to_one": False, "n_free": 1}
    X[:, 0] = 1.0
    shared = solve_pinball_batch(X, y, levels, weight, constraint=Constraint(**rules))
    own = solve_pinball_batch(
        np.stack([X] * 3), y, levels, weight, constraint=Constraint(**rules)
    )
    np.testing.assert_allclose(shared.objective, own.objective, rtol=1e-9)
    for k, level in enumerate(levels):
        best = highs_optimum(X, y, level, weight, **rules)
        np.testing.assert_allclose(shared.objective[k], best, rtol=RTOL)


def test_levels_may_differ_between_rows():
    X, y, weight = sample(120, 3, seed=10)
    level = np.random.default_rng(0).choice([0.1, 0.5, 0.9], 120)
    rules = {"nonneg": True, "sum_to_one": True}
    fit = solve_pinball(X, y, level, weight, constraint=Constraint(**rules))
    best = highs_optimum(X, y, level, weight, **rules)
    np.testing.assert_allclose(fit.objective, best, rtol=RTOL)


def test_inputs_are_not_changed():
    X, y, weight = sample(50, 3, seed=11)
    before = X.copy(), y.copy(), weight.copy()
    solve_pinball(
        X, y, 0.4, weight, constraint=Constraint(nonneg=True, sum_to_one=True)
    )
    solve_pinball(X.copy("F"), y, 0.4, weight, constraint=Constraint(sum_to_one=True))
    for now, then in zip((X, y, weight), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_too_few_iterations_are_no_convergence():
    X, y, weight = sample(200, 4, seed=12)
    fit = solve_pinball(
        X,
        y,
        0.4,
        weight,
        constraint=Constraint(nonneg=True, sum_to_one=True),
        max_iter=1,
    )
    assert not fit.converged
    assert fit.duality_gap > 1e-6 * fit.objective
