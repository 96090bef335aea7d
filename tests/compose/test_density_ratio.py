"""Density ratios on arrays."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel

from statlearn.compose._density_ratio import kliep, leave_one_out, logistic, ulsif
from statlearn.compose._kernels import (
    gamma_grid,
    kernel,
    moments,
    sample_rows,
    squared_distances,
)

RNG = np.random.default_rng(5)
X = RNG.normal(0.0, 1.0, (140, 2))
Z = RNG.normal(0.7, 0.8, (60, 2))
SHARE = RNG.uniform(0.5, 2.0, 140)
SHARE /= SHARE.sum()
CENTERS = Z[:25]
EVEN = np.full(140, 1 / 140)


def stream():
    return np.random.default_rng(0)


# ------------------------------------------------------------------------------ kernels
def test_kernels_are_those_of_scikit_learn():
    values = kernel(squared_distances(X, CENTERS), 0.7)
    assert_allclose(values, rbf_kernel(X, CENTERS, gamma=0.7), rtol=1e-12)


def test_distances_far_from_the_origin_keep_their_digits():
    near = squared_distances(X, CENTERS)
    assert_allclose(squared_distances(X + 1e6, CENTERS + 1e6), near, rtol=1e-5)


def test_moments_in_blocks_are_those_of_the_whole(monkeypatch):
    monkeypatch.setattr("statlearn.compose._kernels._BLOCK", 33)
    gammas = np.array([0.3, 2.0])
    found = moments(X, SHARE, CENTERS, gammas, second=True)
    for number, gamma in enumerate(gammas):
        K = rbf_kernel(X, CENTERS, gamma=gamma)
        assert_allclose(found.first[number], SHARE @ K)
        assert_allclose(found.second[number], K.T @ (SHARE[:, None] * K))


def test_widths_follow_the_unit_of_the_rows():
    gammas = gamma_grid(X, Z, CENTERS, stream())
    scaled = gamma_grid(10 * X, 10 * Z, 10 * CENTERS, stream())
    assert_allclose(scaled, gammas / 100)
    assert (np.diff(gammas) > 0).all()


def test_widths_of_equal_rows_exist():
    same = np.ones((5, 2))
    assert np.isfinite(gamma_grid(same, same, same, stream())).all()


def test_sample_has_no_row_twice():
    rows = sample_rows(np.arange(50), 20, stream())
    assert len(set(rows.tolist())) == 20
    assert sample_rows(X, 200, stream()) is X


# -------------------------------------------------------------------------------- kliep
def fit_kliep(gamma=1.0, share=SHARE, X=X):
    return kliep(X, Z, share, CENTERS, gamma=gamma, n_folds=5, generator=stream())


@pytest.mark.parametrize("gamma", [0.3, 2.0, 10.0])
def test_kliep_solves_the_problem_of_clarabel(gamma):
    K = rbf_kernel(Z, CENTERS, gamma=gamma)
    mean = SHARE @ rbf_kernel(X, CENTERS, gamma=gamma)
    a = cp.Variable(25, nonneg=True)
    problem = cp.Problem(cp.Maximize(cp.sum(cp.log(K @ a)) / 60), [mean @ a == 1])
    problem.solve(solver=cp.CLARABEL)
    assert problem.status == "optimal"
    ratio = fit_kliep(gamma)
    assert np.log(ratio(Z)).mean() == pytest.approx(problem.value, abs=1e-7)
    assert SHARE @ ratio(X) == pytest.approx(1.0, abs=1e-12)


def test_kliep_of_counts_is_that_of_repeated_rows():
    counts = np.arange(140) % 3
    weighted = fit_kliep(share=counts / counts.sum())
    rows = np.repeat(X, counts, axis=0)
    repeated = fit_kliep(share=np.full(len(rows), 1 / len(rows)), X=rows)
    assert_allclose(weighted(Z), repeated(Z), rtol=1e-6)


def test_kliep_chooses_the_width_of_largest_held_out_likelihood():
    chosen = fit_kliep(None).gamma
    generator = stream()
    gammas = gamma_grid(X, Z, CENTERS, generator)
    folds = np.array_split(generator.permutation(60), 5)
    scores = []
    for gamma in gammas:
        parts = []
        for fold in folds:
            ratio = kliep(
                X,
                np.delete(Z, fold, axis=0),
                SHARE,
                CENTERS,
                gamma=gamma,
                n_folds=5,
                generator=stream(),
            )
            with np.errstate(divide="ignore"):
                parts.append(np.log(ratio(Z[fold])).sum())
        scores.append(sum(parts))
    assert chosen == gammas[int(np.argmax(scores))]


def test_kliep_without_overlap_names_the_width():
    with pytest.raises(ValueError, match=r"near target rows.*gamma=50"):
        kliep(X - 1e3, Z, SHARE, CENTERS, gamma=50.0, n_folds=5, generator=stream())


# -------------------------------------------------------------------------------- ulsif
def test_ulsif_solves_its_linear_system():
    ratio, alpha = ulsif(X, Z, SHARE, CENTERS, gamma=0.8, alpha=0.2, generator=stream())
    K = rbf_kernel(X, CENTERS, gamma=0.8)
    H, h = K.T @ np.diag(SHARE) @ K, rbf_kernel(Z, CENTERS, gamma=0.8).mean(axis=0)
    expected = np.linalg.inv(H + 0.2 * np.eye(25)) @ h
    assert (expected < 0).any()
    assert_allclose(ratio.coef, np.maximum(expected, 0.0), rtol=1e-8, atol=1e-12)
    assert alpha == 0.2


def brute_force(gamma, alpha):
    """Criterion of uLSIF with every fit done anew."""

    def coef(K, p, M):
        H = K.T @ np.diag(p / p.sum()) @ K
        system = H + alpha * np.eye(25)
        return np.maximum(np.linalg.solve(system, M.mean(axis=0)), 0.0)

    K, M = rbf_kernel(X, CENTERS, gamma=gamma), rbf_kernel(Z, CENTERS, gamma=gamma)
    squares = [
        K[i] @ coef(np.delete(K, i, axis=0), np.delete(SHARE, i), M) for i in range(140)
    ]
    values = [M[j] @ coef(K, SHARE, np.delete(M, j, axis=0)) for j in range(60)]
    return 0.5 * SHARE @ np.square(squares) - np.mean(values)


@pytest.mark.parametrize("gamma", [0.2, 3.0])
def test_leave_one_out_is_that_of_refits(gamma):
    alphas = np.array([1.0, 0.01])
    K, M = rbf_kernel(X, CENTERS, gamma=gamma), rbf_kernel(Z, CENTERS, gamma=gamma)
    H, h = K.T @ np.diag(SHARE) @ K, M.mean(axis=0)
    found = leave_one_out(K, SHARE, M, 60, H, h, alphas)
    assert_allclose(found, [brute_force(gamma, alpha) for alpha in alphas], rtol=1e-8)


def test_ulsif_chooses_the_least_criterion():
    ratio, alpha = ulsif(
        X, Z, SHARE, CENTERS, gamma=None, alpha=None, generator=stream()
    )
    gammas = gamma_grid(X, Z, CENTERS, stream())
    alphas = np.geomspace(10.0, 1e-3, 9)
    scores = {(g, a): brute_force(g, a) for g in gammas[3:6] for a in alphas}
    best = min(scores, key=scores.get)
    assert_allclose((ratio.gamma, alpha), best)


# ----------------------------------------------------------------------------- logistic
def test_logistic_ratio_is_the_balanced_odds_of_scikit_learn():
    ratio, _ = logistic(X, Z, EVEN, alpha=0.05, n_folds=5, generator=stream())
    table, label = np.concatenate((X, Z)), np.repeat([0, 1], [140, 60])
    model = LogisticRegression(
        C=1 / (0.05 * 200), class_weight="balanced", tol=1e-12, max_iter=10_000
    ).fit(table, label)
    q = model.predict_proba(X)[:, 1]
    assert_allclose(ratio(X), q / (1 - q), rtol=1e-6)


def test_logistic_ratio_without_penalty_is_near_that_of_all_rows():
    # With equal sizes the classical (n / m) q / (1 - q) is the same.
    ratio, _ = logistic(X[:60], Z, EVEN[:60], alpha=1e-9, n_folds=5, generator=stream())
    table, label = np.concatenate((X[:60], Z)), np.repeat([0, 1], 60)
    model = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(table, label)
    q = model.predict_proba(X)[:, 1]
    assert_allclose(ratio(X), q / (1 - q), rtol=1e-4)


def test_logistic_ratio_of_counts_is_that_of_repeated_rows():
    counts = np.arange(140) % 3
    options = {"alpha": 0.01, "n_folds": 5, "generator": stream()}
    weighted, _ = logistic(X, Z, counts / counts.sum(), **options)
    rows = np.repeat(X, counts, axis=0)
    repeated, _ = logistic(rows, Z, np.full(len(rows), 1 / len(rows)), **options)
    assert_allclose(weighted(X), repeated(X), rtol=1e-7)


def test_logistic_penalty_grows_with_noise_columns():
    noise = np.random.default_rng(1)
    few, _ = None, None
    wide_X = np.column_stack((X[:60], noise.normal(size=(60, 40))))
    wide_Z = np.column_stack((Z, noise.normal(size=(60, 40))))
    _, many = logistic(
        wide_X, wide_Z, EVEN[:60], alpha=None, n_folds=5, generator=stream()
    )
    _, few = logistic(X[:60], Z, EVEN[:60], alpha=None, n_folds=5, generator=stream())
    assert many > few
