"""The solver: optimality, screening, Hessian reuse, and the operator form."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from statlearn.ordinal import _curvature, _solver
from statlearn.ordinal._families import FAMILY_NAMES, OrdinalModel
from statlearn.ordinal._problem import (
    PenaltySpec,
    alpha_grid,
    merge_boundaries,
    pose,
)


def data(n=400, p=6, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    latent = X[:, 0] - 0.7 * X[:, 1] + rng.logistic(size=n)
    cuts = np.quantile(latent, [0.4, 0.7, 0.93][: n_classes - 1])
    return X, np.digitize(latent, cuts), rng.uniform(0.5, 2.0, n)


def posed(family="cumulative", link="logit", spec=None, form=np.asarray, **options):
    X, codes, weight = data()
    model = OrdinalModel.create(family, link, options.pop("reverse", False))
    spec = PenaltySpec() if spec is None else spec
    return pose(form(X), codes, weight, 4, model, spec, **options)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "loglog", "cauchit"])
def test_every_fit_of_a_path_meets_the_tolerance(family, link):
    problem = posed(family, link)
    for fit in problem.path(alpha_grid(problem.alpha_max, 6, 1e-2)):
        assert fit.solution.converged
        assert fit.solution.kkt <= 1e-7 * problem.scale


def test_nothing_is_selected_at_alpha_max_and_something_below():
    problem = posed()
    at, below = problem.path([problem.alpha_max, 0.99 * problem.alpha_max])
    assert not at.coef.any()
    assert below.coef.any()


def test_cold_and_warm_fits_agree():
    alphas = alpha_grid(posed().alpha_max, 5, 1e-2)
    warm = list(posed(tol=1e-11).path(alphas))
    for alpha, fit in zip(alphas, warm, strict=True):
        cold = posed(tol=1e-11).fit_at(alpha)
        assert_allclose(cold.solution.objective, fit.solution.objective, rtol=1e-12)
        assert_allclose(cold.coef, fit.coef, atol=1e-8)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_operator_form_reaches_the_same_optimum(monkeypatch, form):
    alphas = alpha_grid(posed().alpha_max, 5, 1e-2)
    explicit = list(posed(form=form).path(alphas))
    monkeypatch.setattr(_curvature, "_EXPLICIT_LIMIT", 0)
    implicit = list(posed(form=form).path(alphas))
    for one, other in zip(explicit, implicit, strict=True):
        assert other.solution.converged
        assert_allclose(other.solution.objective, one.solution.objective, rtol=1e-11)


def test_many_columns_are_walked_to_and_screened():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(150, 1100))
    codes = np.digitize(X[:, 0] + rng.logistic(size=150), [-0.5, 1.0])
    model = OrdinalModel.create("cumulative", "logit")
    problem = pose(X, codes, np.ones(150), 3, model, PenaltySpec())
    fit = problem.fit_at(0.5 * problem.alpha_max)
    assert fit.solution.converged
    assert 0 < (fit.coef != 0).any(axis=0).sum() < 100


def test_hessians_are_reused_along_the_path():
    problem = posed()
    fits = list(problem.path(alpha_grid(problem.alpha_max, 20, 1e-2)))
    steps = sum(fit.solution.n_iter for fit in fits)
    assert problem.solver.n_hessians < 0.5 * steps


def test_unpenalised_features_enter_the_null_model():
    spec = PenaltySpec(factor=np.array([0.0, 1, 1, 1, 1, 1]))
    problem = posed(spec=spec)
    at, _ = problem.path([problem.alpha_max, 0.5 * problem.alpha_max])
    assert at.coef[:, 0].all()
    assert not at.coef[:, 1:].any()


def test_free_first_vector_shrinks_to_proportional_odds():
    problem = posed(spec=PenaltySpec(first=0.0))
    (fit,) = problem.path([1.001 * problem.alpha_max])
    assert fit.coef[0].all()
    assert_allclose(fit.coef, np.tile(fit.coef[0], (3, 1)), rtol=1e-12)


def test_reverse_anchors_at_the_last_boundary():
    fit = posed(reverse=True).fit_at(0.05)
    assert_allclose(fit.diff_coef[-1], fit.coef[-1])
    assert_allclose(fit.diff_coef[:-1], fit.coef[:-1] - fit.coef[1:], atol=1e-14)


def test_mask_keeps_columns_proportional():
    free = np.ones((3, 6), dtype=bool)
    free[1:, 2:] = False
    fit = posed(free=free).fit_at(0.0)
    assert (np.ptp(fit.coef[:, 2:], axis=0) == 0).all()
    assert (np.ptp(fit.coef[:, :2], axis=0) > 0).all()


def test_iteration_limit_is_respected_and_reported():
    fit = posed(max_iter=1).fit_at(0.001)
    assert fit.solution.n_iter <= 1
    assert not fit.solution.converged


def test_weights_only_count_relative_to_their_total():
    X, codes, weight = data()
    model = OrdinalModel.create("cumulative", "logit")
    one = pose(X, codes, weight, 4, model, PenaltySpec()).fit_at(0.01)
    other = pose(X, codes, 1e6 * weight, 4, model, PenaltySpec()).fit_at(0.01)
    assert_allclose(one.coef, other.coef, atol=1e-12)


def test_merged_boundaries_keep_every_difference_they_span():
    pattern = np.array([[1, 0], [0, 1], [0, 0], [1, 0]], dtype=bool)
    # Classes 0, 1, 3, 4 of 0..4: boundary 1 now stands for 1 | 3.
    merged = merge_boundaries(pattern, np.array([0, 1, 3, 4]), False)
    assert merged.tolist() == [[True, False], [False, True], [True, False]]
    mirrored = merge_boundaries(pattern[::-1], np.array([0, 1, 3, 4]), True)
    assert mirrored.tolist() == merged[::-1].tolist()


def test_entries_that_screening_dropped_wrongly_come_back(monkeypatch):
    alphas = alpha_grid(posed().alpha_max, 4, 1e-2)
    right = list(posed(tol=1e-11).path(alphas))
    monkeypatch.setattr(_solver, "_AHEAD_LIMIT", 0)
    monkeypatch.setattr(
        _solver.ProximalNewton,
        "_candidates",
        lambda self, alpha, previous: self.penalty.free & (self.penalty.weight == 0.0),
    )
    for fit, expected in zip(posed(tol=1e-11).path(alphas), right, strict=True):
        assert fit.solution.converged
        assert_allclose(fit.coef, expected.coef, atol=1e-8)
