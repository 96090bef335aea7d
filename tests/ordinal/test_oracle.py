"""PRESTO against an interior point method, SciPy, and the optimality conditions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ordinal_cases import each_direction
from ordinal_oracle import (
    CONVEX,
    FAMILIES,
    LINKS,
    Problem,
    class_probabilities,
    random_problem,
    solve_cvxpy,
    solve_scipy,
)
from statlearn.ordinal import PrestoClassifier, presto_path

TOL = 1e-11

PENALTIES = {
    "lasso": {},
    "elastic net": {"l1_ratio": 0.5},
    "ridge": {"l1_ratio": 0.0},
    "free first slopes": {"penalize_first": 0.0},
    "light first slopes": {"penalize_first": 0.3},
    "column factors": {"penalty_factor": np.array([1.0, 0.0, 2.5])},
    "raw columns": {"standardize": False},
    "all at once": {
        "l1_ratio": 0.7,
        "penalize_first": 0.3,
        "penalty_factor": np.array([0.5, 2.0, 0.0]),
        "weights": True,
    },
}


def fitted(problem, **more):
    """The package's answer to an oracle's problem."""
    model = PrestoClassifier(**problem.options, tol=TOL, **more)
    weight = None if (problem.weight == 1).all() else problem.weight
    return model.fit(problem.X, problem.y, sample_weight=weight)


def check(problem, optimum, proba_atol=2e-5):
    """
    Objectives agree to 1e-8, and the probabilities of the rows to its square root.

    An interior point that is 1e-12 above the optimum is about 1e-6 away from it.
    """
    model = fitted(problem)
    own = problem.objective(model.intercept_, model.coef_)
    assert_allclose(model.objective_, own, rtol=1e-11)
    assert_allclose(own, optimum.objective, rtol=1e-8)
    assert own <= optimum.objective + 1e-10
    assert problem.kkt_violation(model.intercept_, model.coef_) < 1e-9
    eta = model.linear_predictor(problem.X)
    proba = class_probabilities(eta, problem.family, problem.link, problem.reverse)
    assert_allclose(proba, optimum.probabilities, atol=proba_atol)
    return model


# ------------------------------------------------------- interior point, logit
@pytest.mark.parametrize("penalty", PENALTIES)
@each_direction
@pytest.mark.parametrize("family", FAMILIES)
def test_logit_fit_equals_the_interior_point_optimum(family, reverse, penalty):
    seed = 10 * FAMILIES.index(family) + list(PENALTIES).index(penalty)
    problem = random_problem(
        seed, alpha=0.02, family=family, reverse=reverse, **PENALTIES[penalty]
    )
    check(problem, solve_cvxpy(problem))


@pytest.mark.parametrize("alpha", [0.1, 0.01, 0.002])
def test_weighted_fit_equals_the_interior_point_optimum(alpha):
    problem = random_problem(3, n=120, p=4, n_classes=5, weights=True, alpha=alpha)
    check(problem, solve_cvxpy(problem))


def test_more_columns_than_rows_equals_the_interior_point_optimum():
    problem = random_problem(8, n=40, p=60, n_classes=3, alpha=0.05)
    model = check(problem, solve_cvxpy(problem))
    assert 0 < np.count_nonzero(model.diff_coef_) < 60


def test_every_point_of_a_path_equals_the_interior_point_optimum():
    problem = random_problem(5, alpha=1.0)
    path = presto_path(problem.X, problem.y, n_alphas=6, eps=0.02, tol=TOL)
    for i, alpha in enumerate(path.alphas):
        at = Problem(problem.X, problem.y, problem.n_classes, float(alpha))
        optimum = solve_cvxpy(at)
        assert_allclose(path.objectives[i], optimum.objective, rtol=1e-8)
        own = at.objective(path.intercepts[i], path.coefs[i])
        assert_allclose(own, optimum.objective, rtol=1e-8)


# -------------------------------------------------------- fit without crossing
def crossing_problem(seed, reverse=False, constrain_train=True):
    """Rows on which the unconstrained boundaries of a small penalty cross."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 2))
    # the spread grows with the first column: boundaries fan out from a point
    latent = X[:, 1] + np.exp(1.3 * X[:, 0]) * rng.logistic(size=60)
    y = np.digitize(latent, [-1.0, 0.0, 1.0])
    return Problem(X, y, 4, 1e-3, reverse=reverse, constrain_train=constrain_train)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("seed", [0, 2, 3])
@pytest.mark.slow
def test_constrained_fit_equals_the_constrained_optimum(seed, reverse):
    problem = crossing_problem(seed, reverse)
    optimum = solve_cvxpy(problem)
    free = solve_cvxpy(crossing_problem(seed, reverse, constrain_train=False))
    assert free.probabilities.min() < -0.03  # the constraint binds
    assert optimum.objective > free.objective + 1e-3

    model = fitted(problem)
    eta = model.linear_predictor(problem.X)
    assert np.diff(eta, axis=1).min() > -1e-8
    own = problem.objective(model.intercept_, model.coef_)
    assert_allclose(own, optimum.objective, rtol=1e-8)
    proba = class_probabilities(eta, reverse=reverse)
    assert_allclose(proba, optimum.probabilities, atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
def test_unconstrained_fit_may_cross_and_is_still_the_optimum(reverse):
    problem = crossing_problem(0, reverse, constrain_train=False)
    model = check(problem, solve_cvxpy(problem))
    assert np.diff(model.linear_predictor(problem.X), axis=1).min() < -0.1
    proba = model.predict_proba(problem.X)
    assert proba.min() >= 0
    assert_allclose(proba.sum(axis=1), 1.0)


def test_constraint_that_does_not_bind_changes_nothing():
    free = random_problem(2, alpha=0.05)
    bound = random_problem(2, alpha=0.05, constrain_train=True)
    assert_allclose(fitted(bound).coef_, fitted(free).coef_, atol=1e-9)


# ------------------------------------------------------------- SciPy, any link
@each_direction
@pytest.mark.parametrize(("family", "link"), CONVEX)
@pytest.mark.slow
def test_fit_equals_the_split_variable_optimum(family, link, reverse):
    problem = random_problem(
        40, alpha=0.02, family=family, link=link, reverse=reverse, weights=True
    )
    check(problem, solve_scipy(problem))


@pytest.mark.parametrize("family", ["cumulative", "sratio", "cratio"])
def test_cauchit_fit_is_not_worse_than_the_split_variable_optimum(family):
    # not convex: a local optimum is all that either side promises
    problem = random_problem(41, alpha=0.02, family=family, link="cauchit")
    model, optimum = fitted(problem), solve_scipy(problem)
    assert model.objective_ <= optimum.objective + 1e-8


# --------------------------------------------------------- optimality conditions
@each_direction
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.slow
def test_optimality_conditions_hold(family, link, reverse):
    seed = FAMILIES.index(family) + 7 * LINKS.index(link)
    for options in ({"alpha": 0.03}, {"alpha": 0.004, "l1_ratio": 0.5}):
        problem = random_problem(
            seed, family=family, link=link, reverse=reverse, weights=True, **options
        )
        model = fitted(problem)
        assert problem.kkt_violation(model.intercept_, model.coef_) < 1e-9
        assert model.kkt_ < 1e-9


@pytest.mark.parametrize("n_classes", [2, 3, 7])
@pytest.mark.parametrize("family", FAMILIES)
def test_optimality_conditions_hold_for_any_number_of_classes(family, n_classes):
    problem = random_problem(
        n_classes, n=150, p=5, n_classes=n_classes, alpha=0.01, family=family
    )
    model = fitted(problem)
    assert problem.kkt_violation(model.intercept_, model.coef_) < 1e-9


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_default_path_starts_at_the_smallest_alpha_without_slopes(family, reverse):
    problem = random_problem(
        6, alpha=1.0, family=family, reverse=reverse, weights=True, penalize_first=0.3
    )
    options = problem.options
    options.pop("alpha")
    options.pop("constrain_train")
    path = presto_path(
        problem.X,
        problem.y,
        sample_weight=problem.weight,
        n_alphas=2,
        eps=0.99,
        tol=TOL,
        **options,
    )
    assert not path.coefs[0].any()
    assert path.coefs[1].any()
    _, gradient = problem.gradients(path.intercepts[0], path.coefs[0])
    rho = np.array([[0.3], [1.0], [1.0]])
    assert_allclose(path.alphas[0], (np.abs(gradient) / rho).max(), rtol=1e-9)


# ------------------------------------------------------------------ wide sweep
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_random_logit_problems_equal_the_interior_point_optimum(seed):
    rng = np.random.default_rng(seed)
    for family, reverse in itertools.product(FAMILIES, [False, True]):
        problem = random_problem(
            int(rng.integers(10_000)),
            n=int(rng.integers(50, 160)),
            p=int(rng.integers(1, 8)),
            n_classes=int(rng.integers(2, 7)),
            weights=bool(rng.integers(2)),
            alpha=float(10 ** rng.uniform(-3, -1)),
            l1_ratio=float(rng.choice([1.0, 1.0, 0.5, 0.1])),
            penalize_first=float(rng.choice([1.0, 0.3, 0.0])),
            family=family,
            reverse=reverse,
        )
        check(problem, solve_cvxpy(problem), proba_atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_random_constrained_problems_equal_the_constrained_optimum(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(80, 3))
    latent = X[:, 1] + np.exp(0.8 * X[:, 0]) * rng.logistic(size=80)
    y = np.digitize(latent, np.quantile(latent, [0.3, 0.6, 0.85]))
    problem = Problem(X, y, 4, 1e-3, constrain_train=True)
    model = fitted(problem)
    own = problem.objective(model.intercept_, model.coef_)
    assert np.diff(model.linear_predictor(X), axis=1).min() > -1e-8
    assert_allclose(own, solve_cvxpy(problem).objective, rtol=1e-7)
