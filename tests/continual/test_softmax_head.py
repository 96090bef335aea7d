"""The head is the minimum of its objective, whose slopes are right."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.optimize import approx_fprime
from sklearn.linear_model import LogisticRegression

from aligning_cases import blobs
from statlearn.continual._softmax_head import (
    Distillation,
    HeadProblem,
    cross_entropies,
    distillation,
    distillation_losses,
    fit_head,
    logits_of,
)

# Two rows, four classes of which three are old, and logits of the old model.
NEW = np.array([[1, 0.5, -0.2, 2], [0.1, -0.3, 0.7, 0.4]]).T
OLD = np.array([[0.8, 0.6, -0.1], [0, 0.2, 0.9]]).T
THREE = np.arange(3)


def fit(problem, **options):
    options = {
        "non_negative": False,
        "max_iter": 2000,
        "tol": 1e-9,
        "watch": lambda _: False,
    } | options
    return fit_head(problem, **options)


def problem(n=40, n_classes=3, d=2, *, alpha=0.1, keep=False, intercept=False, seed=0):
    generator = np.random.default_rng(seed)
    X, codes = blobs(n, n_classes, d, seed, distance=1.0)
    weight = generator.uniform(0.5, 2.0, n)
    distilled = None
    if keep:
        old = np.arange(n_classes - 1)
        logits = generator.normal(size=(len(old), n))
        distilled = distillation(old, logits, n_classes, 2.0)
    centre = np.zeros((n_classes, d + 1))
    return HeadProblem(
        X, codes, weight / weight.sum(), centre, alpha, intercept, distilled
    )


# ------------------------------------------------------------------------ known answers
@pytest.mark.parametrize(
    ("temperature", "expected"), [(2.0, 1.0848343100), (1.0, 1.0444100924)]
)
def test_distillation_of_two_rows_has_the_known_loss(temperature, expected):
    losses, _ = distillation_losses(NEW, distillation(THREE, OLD, 4, temperature))
    assert losses.mean() == pytest.approx(expected, abs=1e-10)


def test_losses_of_two_rows_have_the_known_mixture():
    keep = distillation(THREE, OLD, 4, 2.0)
    kept, _ = distillation_losses(NEW, keep)
    losses, _ = cross_entropies(NEW, np.array([3, 2]))
    assert losses.mean() == pytest.approx(0.7545416711, abs=1e-10)
    assert keep.share == 0.75
    total = (1 - keep.share) * losses + keep.share * kept
    assert total.mean() == pytest.approx(1.0022611503, abs=1e-10)


def test_distillation_is_at_rest_where_logits_differ_by_a_constant():
    keep = distillation(THREE, OLD, 4, 2.0)
    shifted = np.vstack([OLD + np.array([0.3, -5.0]), [[9.0, 9.0]]])
    _, slopes = distillation_losses(shifted, keep)
    assert_allclose(slopes, 0.0, atol=1e-15)


def test_without_a_share_distillation_has_no_effect():
    full = problem(keep=True)
    none = replace(full, keep=replace(full.keep, share=0.0))
    theta = np.random.default_rng(1).normal(size=full.centre.shape)
    plain = replace(full, keep=None)
    for own, other in zip(
        none.loss_and_slope(theta), plain.loss_and_slope(theta), strict=True
    ):
        assert_allclose(own, other, rtol=1e-14)


def test_huge_logits_have_finite_losses():
    losses, slopes = cross_entropies(
        np.array([[1e4, 0.0], [0.0, 1e4]]), np.zeros(2, int)
    )
    assert_allclose(losses, [0.0, 1e4])
    assert_allclose(slopes, [[0.0, -1.0], [0.0, 1.0]])


# ------------------------------------------------------------------------------- slopes
@pytest.mark.parametrize("keep", [False, True], ids=["plain", "distilled"])
@pytest.mark.parametrize(
    "table", [np.asarray, sparse.csr_array], ids=["dense", "sparse"]
)
def test_slopes_are_those_of_finite_differences(keep, table):
    case = problem(keep=keep, intercept=True)
    case = replace(case, X=table(case.X), centre=case.centre + 0.3)
    theta = np.random.default_rng(2).normal(size=case.centre.shape)

    def loss(flat):
        return case.loss_and_slope(flat.reshape(theta.shape))[0]

    expected = approx_fprime(theta.ravel(), loss, 1e-7).reshape(theta.shape)
    assert_allclose(case.loss_and_slope(theta)[1], expected, rtol=1e-5, atol=1e-6)


def test_intercepts_that_are_not_fitted_stay_zero():
    theta, _, _ = fit(problem())
    assert_allclose(theta[:, -1], 0.0)
    assert np.abs(fit(problem(intercept=True))[0][:, -1]).max() > 1e-3


# -------------------------------------------------------------------------- the minimum
@pytest.mark.parametrize("alpha", [1e-3, 0.1])
def test_the_head_is_that_of_logistic_regression(alpha):
    case = problem(n=60, d=4, alpha=alpha)
    theta, _, converged = fit(case)
    peer = LogisticRegression(
        C=1.0 / alpha, fit_intercept=False, solver="newton-cg", tol=1e-10, max_iter=500
    )
    peer.fit(case.X, case.codes, case.weight)
    assert converged
    assert_allclose(theta[:, :-1], peer.coef_, rtol=1e-5, atol=1e-6)


def minimum(case, *, non_negative):
    """Return the value that Clarabel finds for the objective."""
    n_classes, d = case.centre[:, :-1].shape
    W = cp.Variable((n_classes, d), nonneg=non_negative)
    logits = case.X @ W.T
    share = 0.0 if case.keep is None else case.keep.share
    own = cp.sum(cp.multiply(np.eye(n_classes)[case.codes], logits), axis=1)
    loss = (1 - share) * case.weight @ (cp.log_sum_exp(logits, axis=1) - own)
    if case.keep is not None:
        old = logits[:, case.keep.old] / case.keep.temperature
        kept = cp.log_sum_exp(old, axis=1) - cp.sum(
            cp.multiply(case.keep.target.T, old), axis=1
        )
        loss += share * case.weight @ kept
    loss += 0.5 * case.alpha * cp.sum_squares(W - case.centre[:, :-1])
    program = cp.Problem(cp.Minimize(loss))
    program.solve(solver=cp.CLARABEL)
    assert program.status == "optimal"
    return program.value, W.value


@pytest.mark.parametrize("keep", [False, True], ids=["plain", "distilled"])
@pytest.mark.parametrize("non_negative", [False, True], ids=["free", "clipped"])
@pytest.mark.parametrize("centre", [0.0, 0.7], ids=["reset", "copied"])
def test_the_head_is_the_minimum_that_clarabel_finds(keep, non_negative, centre):
    case = problem(n=15, keep=keep)
    case = replace(case, centre=case.centre + centre * np.eye(3, 3))
    case.centre[:, -1] = 0.0
    theta, _, converged = fit(case, non_negative=non_negative)
    value, W = minimum(case, non_negative=non_negative)
    assert converged
    assert case.loss_and_slope(theta)[0] == pytest.approx(value, abs=1e-7)
    assert_allclose(theta[:, :-1], W, atol=2e-4)
    if non_negative:
        assert theta.min() >= 0.0


def test_columns_of_other_units_give_the_same_head_in_as_many_iterations():
    case = problem(n=60, d=4, alpha=1e-8)
    units = np.array([1e-3, 1.0, 1e3, 10.0])
    theta, n_iter, _ = fit(case, tol=1e-7)
    other, n_other, _ = fit(replace(case, X=case.X * units, alpha=1e-14), tol=1e-7)
    assert n_other < 2 * n_iter
    assert_allclose(
        logits_of(case.X * units, other), logits_of(case.X, theta), rtol=0.05
    )


def test_a_fit_that_is_told_to_stop_stops_there():
    seen = []

    def watch(theta):
        seen.append(theta)
        return len(seen) == 3

    theta, n_iter, converged = fit(problem(), watch=watch)
    assert (n_iter, converged) == (3, True)
    assert_allclose(theta, seen[-1])


def test_too_few_iterations_are_told():
    _, n_iter, converged = fit(problem(), max_iter=2)
    assert (n_iter, converged) == (2, False)


def test_one_class_needs_no_search():
    case = HeadProblem(
        np.ones((3, 2)),
        np.zeros(3, int),
        np.full(3, 1 / 3),
        np.zeros((1, 3)),
        0.1,
        True,
    )
    theta, n_iter, converged = fit(case)
    assert_allclose(theta, 0.0)
    assert (n_iter, converged) == (1, True)


def test_share_of_distillation_is_that_of_old_classes():
    keep = distillation(np.array([0, 2]), np.zeros((2, 5)), 8, 2.0)
    assert isinstance(keep, Distillation)
    assert keep.share == 0.25
    assert_allclose(keep.target, 0.5)
