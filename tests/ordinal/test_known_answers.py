"""Cases whose answers were computed elsewhere to nine digits or more."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from ordinal_cases import housing, repeated, tiny, wine
from ordinal_oracle import Problem
from statlearn.ordinal import OrdinalRegression, PrestoClassifier, presto_path
from statlearn.ordinal._design import Design
from statlearn.ordinal._families import OrdinalModel
from statlearn.ordinal._likelihood import Likelihood, class_pieces, differences

# alpha: objective, intercepts, slopes of both boundaries
TINY_PATH = {
    0.434967907198: (
        1.080527626604,
        [-0.405465108108, 1.098612288668],
        [[0, 0], [0, 0]],
    ),
    0.244600429349: (
        0.997775727525,
        [-0.348009610, 1.564363015],
        [[-0.536561789, 0], [-0.536561789, 0]],
    ),
    0.137548929582: (
        0.869456677696,
        [-0.300387783, 2.031070532],
        [[-0.936671804, 0], [-0.936671804, 0]],
    ),
    0.077349447340: (
        0.757007388857,
        [-0.276342812, 2.461804989],
        [[-1.291823821, 0.109465219], [-1.291823821, 0.109465219]],
    ),
    0.043496790720: (
        0.656843144523,
        [-0.260186539, 2.971345684],
        [[-1.600939010, 0.377973396], [-1.626930097, 0.042677273]],
    ),
}
# alpha: objective, intercepts, slopes of temperature, slopes of contact
WINE_PATH = {
    0.15: (
        1.398261584205,
        [-2.113103415, 0.098202402, 1.810433930, 3.108437900],
        [-1.084397534] * 4,
        [-0.286965492] * 4,
    ),
    0.05: (
        1.289251114834,
        [-1.599018977, 0.821577226, 2.839755656, 4.278296126],
        [-1.951431911] * 2 + [-1.987304392] * 2,
        [-1.068512250] * 4,
    ),
    0.02: (
        1.237702036831,
        [-1.469047424, 1.031713867, 3.382311159, 4.890115267],
        [-2.131366657] * 2 + [-2.518851988] * 2,
        [-1.323142775] * 3 + [-1.321528179],
    ),
    0.005: (
        1.201506004485,
        [-1.366343022, 1.079714542, 3.811687185, 5.968028395],
        [-2.818054605, -2.157803904, -2.841716333, -3.804328677],
        [-1.383814190, -1.383814190, -1.610148944, -1.183391927],
    ),
}
TOL = 1e-11  # tighter than the default: the tables have nine decimals


# -------------------------------------------------------------------- A: tiny
def test_tiny_path_matches_the_reference_table():
    X, y = tiny()
    path = presto_path(X, y, alphas=list(TINY_PATH), tol=TOL)
    assert_allclose(path.alphas, list(TINY_PATH))
    for i, (objective, intercept, slopes) in enumerate(TINY_PATH.values()):
        assert_allclose(path.objectives[i], objective, atol=2e-12, rtol=0)
        assert_allclose(path.intercepts[i], intercept, atol=2e-9, rtol=0)
        assert_allclose(path.coefs[i], slopes, atol=2e-9, rtol=0)


@pytest.mark.parametrize("alpha", TINY_PATH)
def test_tiny_single_fit_matches_the_reference_table(alpha):
    X, y = tiny()
    objective, intercept, slopes = TINY_PATH[alpha]
    model = PrestoClassifier(alpha, tol=TOL).fit(X, y)
    assert_allclose(model.objective_, objective, atol=2e-12, rtol=0)
    assert_allclose(model.intercept_, intercept, atol=2e-9, rtol=0)
    assert_allclose(model.coef_, slopes, atol=2e-9, rtol=0)


def test_tiny_default_path_starts_where_all_slopes_vanish():
    X, y = tiny()
    path = presto_path(X, y, n_alphas=5, eps=0.1)
    assert_allclose(path.alphas[0], 0.434967907198, atol=1e-12, rtol=0)
    assert_allclose(path.alphas, path.alphas[0] * np.logspace(0, -1, 5))
    assert not path.coefs[0].any()
    assert path.coefs[1].any()


def test_tiny_probabilities_of_the_first_rows():
    X, y = tiny()
    model = PrestoClassifier(0.043496790720, tol=TOL).fit(X, y)
    expected = [
        [0.965097305, 0.033010046, 0.001892649],
        [0.723677877, 0.265923188, 0.010398935],
        [0.890581951, 0.100257355, 0.009160695],
    ]
    assert_allclose(model.predict_proba(X[:3]), expected, atol=1.5e-9, rtol=0)


# ------------------------------------------------------------- B: derivatives
def raw_likelihood(X, y):
    """Sum (not mean) of the log-likelihood on raw columns, by the package."""
    p = X.shape[1]
    blocks = [np.column_stack([np.ones((y == c).sum()), X[y == c]]) for c in (1, 2, 3)]
    design = Design(
        blocks,
        [np.ones(len(b)) for b in blocks],
        np.zeros(p),
        np.ones(p),
        np.zeros(p, dtype=bool),
        1.0,
    )
    family = OrdinalModel.create("cumulative", "logit").family
    return Likelihood(class_pieces(design, family), 2), blocks


def to_boundaries(m, q):
    """Matrix A with theta = A beta, so that g_beta = A' g_theta."""
    step = np.eye(m) - np.eye(m, k=-1)
    return np.kron(step, np.eye(q))


def test_tiny_derivatives_match_the_reference_numbers():
    X, y = tiny()
    likelihood, blocks = raw_likelihood(X, y)
    beta = np.array([[-0.5, -0.8, 0.2], [1.5, -0.5, 0.3]])
    etas = likelihood.predictors(differences(beta), blocks)
    value, rows = likelihood.value(etas)
    assert_allclose(value, 15.260637570709, atol=2e-12, rtol=0)

    A = to_boundaries(2, 3)
    gradient = A.T @ likelihood.gradient(rows, blocks).ravel()
    expected = [-0.216772216, 1.936909748, -4.944718852]
    expected += [0.142449275, 5.624654982, 5.555988005]
    assert_allclose(gradient, expected, atol=1e-9, rtol=0)

    mask = np.ones((2, 3), dtype=bool)
    hessian = A.T @ likelihood.hessian(etas, blocks, mask) @ A
    upper = [
        [4.196920962, -0.727583392, -0.856424491],
        [-1.286662712, -0.086180021, 1.613402189],
        [5.240472849, 1.828127266, -0.086180021, -1.128406492, -1.467758835],
        [13.569749691, 1.613402189, -1.467758835, -5.498542822],
        [3.660271993, 3.505462949, -1.970231660],
        [9.419034616, 2.823206796],
        [12.540694812],
    ]
    assert_allclose(hessian[np.triu_indices(6)], np.concatenate(upper), atol=1.5e-9)
    assert_allclose(hessian, hessian.T, atol=1e-12)


def test_tiny_probabilities_at_the_point_of_derivatives():
    X, _ = tiny()
    eta = np.array([-0.5, 1.5]) + X @ np.array([[-0.8, 0.2], [-0.5, 0.3]]).T
    pi = np.exp(OrdinalModel.create("cumulative", "logit").log_proba(eta))
    assert_allclose(pi.sum(axis=1), 1.0)
    assert_allclose(pi.min(), 0.035571189, atol=6e-10, rtol=0)


# -------------------------------------------------------------------- C: wine
def test_wine_path_matches_the_reference_table():
    X, y, w = wine()
    path = presto_path(X, y, alphas=list(WINE_PATH), sample_weight=w, tol=TOL)
    for i, (objective, intercept, temp, contact) in enumerate(WINE_PATH.values()):
        assert_allclose(path.objectives[i], objective, atol=2e-12, rtol=0)
        assert_allclose(path.intercepts[i], intercept, atol=5e-9, rtol=0)
        assert_allclose(path.coefs[i], np.transpose([temp, contact]), atol=5e-9)


@pytest.mark.parametrize("alpha", WINE_PATH)
def test_wine_single_fit_matches_the_reference_table(alpha):
    X, y, w = wine()
    objective, intercept, temp, contact = WINE_PATH[alpha]
    model = PrestoClassifier(alpha, tol=TOL).fit(X, y, sample_weight=w)
    assert_allclose(model.objective_, objective, atol=2e-12, rtol=0)
    assert_allclose(model.intercept_, intercept, atol=5e-9, rtol=0)
    assert_allclose(model.coef_, np.transpose([temp, contact]), atol=5e-9)


def test_wine_path_starts_at_the_known_alpha():
    X, y, w = wine()
    path = presto_path(X, y, n_alphas=3, sample_weight=w)
    assert_allclose(path.alphas[0], 0.300540123457, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("link", "thresholds", "slopes", "loglik"),
    [
        (
            "logit",
            [-1.344383411, 1.250808798, 3.466886926, 5.006404204],
            [2.503102008, 1.527797658],
            -86.49192337,
        ),
        (
            "probit",
            [-0.773262729, 0.736021490, 2.044680464, 2.941344982],
            [1.499374578, 0.867743539],
            -85.76114836,
        ),
        ("cloglog", None, None, -86.63407921),
    ],
)
def test_wine_proportional_maximum_likelihood(link, thresholds, slopes, loglik):
    X, y, w = wine()
    model = OrdinalRegression(link=link).fit(X, y, sample_weight=w)
    assert_allclose(model.loglik_, loglik, atol=6e-9, rtol=0)
    if thresholds is not None:
        # the program that printed them stopped within 5e-9 of the maximum; published
        # slopes are subtracted from the thresholds
        assert_allclose(model.intercept_, thresholds, atol=5e-9, rtol=0)
        assert_allclose(model.coef_, np.tile(np.negative(slopes), (4, 1)), atol=5e-9)


def test_wine_standard_errors_of_the_slopes():
    X, y, w = wine()
    model = OrdinalRegression().fit(X, y, sample_weight=w)
    assert_allclose(model.bse_[-2:], [0.5286801, 0.4766226], atol=6e-8, rtol=0)


def test_unpenalised_proportional_limit_equals_maximum_likelihood():
    # Free first slopes and differences held at zero by a huge penalty.
    X, y, w = wine()
    model = PrestoClassifier(1e3, penalize_first=0.0, tol=1e-12)
    model.fit(X, y, sample_weight=w)
    assert_allclose(model.coef_[0], [-2.503102008, -1.527797658], atol=1e-7)
    assert_allclose(model.loglik_, -86.49192337, atol=6e-9, rtol=0)


# ----------------------------------------------------------------- D: housing
def test_housing_proportional_odds_matches_the_published_fit():
    X, y, w = housing()
    model = OrdinalRegression().fit(X, y, sample_weight=w)
    published = [0.566393739, 1.288819064, -0.572350146, -0.366186566]
    published += [-1.091014908, 0.360284150]
    # within 3e-7 of the maximum, where the program that printed them stopped
    assert_allclose(-model.coef_, np.tile(published, (2, 1)), atol=3e-7)
    assert_allclose(model.intercept_, [-0.496135344, 0.690708290], atol=3e-7)
    assert_allclose(-2 * model.loglik_, 3479.149299, atol=6e-7, rtol=0)


# -------------------------------------------------------------- E: invariants
@pytest.mark.parametrize("factor", [1.0, 1.5, 100.0])
def test_large_alpha_gives_the_class_frequencies(factor):
    X, y, w = wine()
    model = PrestoClassifier(0.300540123457 * factor + 1e-12, tol=TOL)
    model.fit(X, y, sample_weight=w)
    cumulative = np.cumsum(np.bincount(y - 1, w))[:-1] / w.sum()
    assert not model.coef_.any()
    assert_allclose(model.intercept_, logit(cumulative), atol=1e-9)


@pytest.mark.parametrize("alpha", [0.1, 0.03, 0.005])
@pytest.mark.parametrize("weighted", [False, True])
def test_two_classes_equal_l1_logistic_regression(alpha, weighted):
    X, y = tiny()
    y = (y > 1).astype(int)
    w = np.arange(len(y)) % 4 if weighted else np.ones(len(y))
    mean = np.average(X, axis=0, weights=w)
    sd = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=w))
    # scikit-learn minimises C * sum of losses + |b|: C = 1 / (alpha * sum of weights)
    peer = LogisticRegression(
        l1_ratio=1.0,
        solver="saga",
        C=1 / (alpha * w.sum()),
        tol=1e-10,
        max_iter=100_000,
        random_state=0,
    )
    # saga stalls on weights: give it the repeated rows they stand for
    Z = (X - mean) / sd
    peer.fit(*repeated(Z, y, w))
    model = PrestoClassifier(alpha, tol=TOL).fit(X, y, sample_weight=w)
    # P(Y <= 0) rises where P(Y = 1) falls
    assert_allclose(-model.coef_ * sd, peer.coef_, atol=1e-7)
    assert_allclose(model.predict_proba(X), peer.predict_proba(Z), atol=1e-7)


def test_intercepts_are_moved_back_by_the_slopes_and_not_by_their_differences():
    # Columns far from zero with slopes that differ between boundaries.
    X, y = tiny()
    near = PrestoClassifier(0.01, tol=TOL).fit(X, y)
    shift = np.array([50.0, -30.0])
    far = PrestoClassifier(0.01, tol=TOL).fit(X + shift, y)
    assert np.ptp(near.coef_, axis=0).min() > 1e-3
    assert_allclose(far.coef_, near.coef_, atol=1e-8)
    expected = near.intercept_ - near.coef_ @ shift
    assert_allclose(far.intercept_, expected, atol=1e-6)
    assert_allclose(far.predict_proba(X + shift), near.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.005])
def test_optimality_conditions_hold_on_wine(alpha):
    X, y, w = wine()
    model = PrestoClassifier(alpha, tol=TOL).fit(X, y, sample_weight=w)
    problem = Problem(X, y - 1, 5, alpha, weight=w)
    violation = problem.kkt_violation(model.intercept_, model.coef_)
    assert violation < 1e-10
    assert_allclose(
        model.objective_,
        problem.objective(model.intercept_, model.coef_),
        rtol=1e-12,
    )
    assert_allclose(
        model.loglik_,
        -w.sum() * problem.loss(model.intercept_, model.coef_),
        rtol=1e-12,
    )
