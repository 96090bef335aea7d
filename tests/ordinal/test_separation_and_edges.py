"""Degenerate data: separation, empty classes and cells, constant or huge columns."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from ordinal_cases import each_direction, table, tiny, wine
from ordinal_oracle import (
    CONVEX,
    FAMILIES,
    LINKS,
    Problem,
    random_problem,
    solve_cvxpy,
)
from statlearn.exceptions import (
    CollinearityWarning,
    EmptyClassWarning,
    SeparationWarning,
)
from statlearn.ordinal import OrdinalRegression, PrestoClassifier, presto_path

TOL = 1e-11
every_family = pytest.mark.parametrize("family", FAMILIES)


def presto(alpha=0.01, **options):
    return PrestoClassifier(alpha, tol=TOL, **options)


def data(seed=0, **options):
    problem = random_problem(seed, alpha=0.01, **options)
    return problem.X, problem.y


def finite(model, X):
    """Nothing that a user reads is NaN or infinite."""
    proba = model.predict_proba(X)
    assert np.isfinite(proba).all()
    assert_allclose(proba.sum(axis=1), 1.0)
    for name in ("intercept_", "coef_", "loglik_", "null_loglik_"):
        assert np.isfinite(getattr(model, name)).all(), name
    return proba


# ---------------------------------------------------------------- absent classes
@every_family
@pytest.mark.parametrize("absent", [0, 1, 3])
def test_class_without_weight_has_probability_zero(family, absent):
    X, y = data()
    w = (y != absent).astype(float)
    with pytest.warns(EmptyClassWarning, match=str(absent)):
        model = presto(family=family).fit(X, y, sample_weight=w)
    assert_array_equal(model.classes_, [0, 1, 2, 3])
    assert model.coef_.shape == (3, 3)
    assert model.intercept_.shape == (3,)
    assert not np.isnan(model.coef_).any()
    proba = model.predict_proba(X)
    assert (proba[:, absent] == 0).all()
    assert_allclose(proba.sum(axis=1), 1.0)
    rest = presto(family=family).fit(X[y != absent], y[y != absent])
    kept = [c for c in range(4) if c != absent]
    assert_allclose(proba[:, kept], rest.predict_proba(X), atol=1e-9)
    assert absent not in model.predict(X)
    tail = model.predict_tail_proba(X)
    assert tail.shape == (len(y), 3)
    if family != "cumulative":  # that family may cross, and tails are not repaired
        assert_allclose(1 - tail, np.cumsum(proba, axis=1)[:, :-1], atol=1e-9)


def test_declared_class_without_rows_has_probability_zero():
    X, y = data(n_classes=3)
    with pytest.warns(EmptyClassWarning, match="3"):
        model = presto(categories=[0, 1, 2, 3]).fit(X, y)
    proba = model.predict_proba(X)
    assert proba.shape == (len(y), 4)
    assert (proba[:, 3] == 0).all()
    assert_allclose(proba[:, :3], presto().fit(X, y).predict_proba(X), atol=1e-9)
    assert (model.predict_log_proba(X)[:, 3] == -np.inf).all()


@pytest.mark.parametrize("reverse", [False, True])
def test_regression_with_an_absent_class_predicts_zero(reverse):
    X, y = data()
    w = (y != 2).astype(float)
    with pytest.warns(EmptyClassWarning):
        model = OrdinalRegression(reverse=reverse).fit(X, y, sample_weight=w)
    proba = model.predict_proba(X)
    assert (proba[:, 2] == 0).all()
    rest = OrdinalRegression(reverse=reverse).fit(X[y != 2], y[y != 2])
    assert_allclose(proba[:, [0, 1, 3]], rest.predict_proba(X), atol=1e-7)
    assert_allclose(model.loglik_, rest.loglik_, rtol=1e-9)


# --------------------------------------------------------------------- two classes
@pytest.mark.parametrize("link", LINKS)
@each_direction
@every_family
def test_two_classes_are_one_binary_regression(family, link, reverse):
    X, y = data(1, n_classes=2)
    model = presto(family=family, link=link, reverse=reverse).fit(X, y)
    proba = finite(model, X)
    assert model.coef_.shape == (1, 3)
    # the orientation in which F(eta) or F(-eta) is the probability of class 0
    flipped = (family in ("cratio", "acat")) != reverse
    same = presto(link=link, reverse=False).fit(X, y if not flipped else 1 - y)
    expected = same.predict_proba(X)
    if flipped:
        expected = expected[:, ::-1]
    assert_allclose(proba, expected, atol=1e-8)


# --------------------------------------------------------------- degenerate columns
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e8, -1e-8])
def test_constant_column_has_slope_zero(value):
    X, y = data()
    wide = np.column_stack([X, np.full(len(y), value)])
    model, plain = presto().fit(wide, y), presto().fit(X, y)
    assert (model.coef_[:, -1] == 0).all()
    assert_allclose(model.coef_[:, :-1], plain.coef_, atol=1e-9)
    assert_allclose(model.intercept_, plain.intercept_, atol=1e-9)


def test_constant_column_of_sparse_input_has_slope_zero():
    X, y = data()
    wide = sparse.csr_array(np.column_stack([X, np.full(len(y), 2.5)]))
    model = presto().fit(wide, y)
    assert (model.coef_[:, -1] == 0).all()
    assert_allclose(model.coef_[:, :-1], presto().fit(X, y).coef_, atol=1e-7)


def test_constant_column_of_a_regression_is_named():
    X, y = data()
    wide = np.column_stack([X, np.ones(len(y))])
    with pytest.warns(CollinearityWarning, match="x3"):
        model = OrdinalRegression().fit(wide, y)
    finite(model, wide)
    plain = OrdinalRegression().fit(X, y)
    assert_allclose(model.predict_proba(wide), plain.predict_proba(X), atol=1e-7)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_duplicated_columns_share_the_slope(l1_ratio):
    X, y = data()
    twice = np.column_stack([X, X[:, 0]])
    model = presto(l1_ratio=l1_ratio).fit(twice, y)
    proba = finite(model, twice)
    if l1_ratio == 1.0:  # only the sum of the two slopes is determined
        assert_allclose(proba, presto().fit(X, y).predict_proba(X), atol=1e-7)
    else:
        assert_allclose(model.coef_[:, 0], model.coef_[:, 3], atol=1e-8)


def test_duplicated_columns_of_a_regression_are_named():
    X, y = data()
    twice = np.column_stack([X, X[:, 1]])
    with pytest.warns(CollinearityWarning, match="x1|x3"):
        model = OrdinalRegression().fit(twice, y)
    proba = finite(model, twice)
    assert_allclose(proba, OrdinalRegression().fit(X, y).predict_proba(X), atol=1e-7)


@every_family
def test_more_columns_than_rows_converges_with_a_penalty(family):
    X, y = data(2, n=30, p=80)
    for alpha in (0.1, 0.01):
        model = presto(alpha, family=family).fit(X, y)
        finite(model, X)
        problem = Problem(X, y, 4, alpha, family=family)
        assert problem.kkt_violation(model.intercept_, model.coef_) < 1e-9


def test_nearly_collinear_columns_keep_the_optimality_conditions():
    X, y = data()
    near = np.column_stack([X, X[:, 0] + 1e-6 * np.sin(np.arange(len(y)))])
    model = presto(0.005).fit(near, y)
    problem = Problem(near, y, 4, 0.005)
    assert problem.kkt_violation(model.intercept_, model.coef_, 1e-9) < 1e-8


# --------------------------------------------------------------------- separation
def separated():
    """Labels that the second column tells apart without error."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    return X, np.digitize(X[:, 1], [-0.5, 0.5])


@pytest.mark.parametrize("parallel", [True, False])
def test_separation_in_a_regression_names_the_column(parallel):
    X, y = separated()
    with pytest.warns(SeparationWarning, match="x1"):
        model = OrdinalRegression(parallel=parallel).fit(X, y)
    finite(model, X)
    assert_array_equal(model.predict(X), y)


@every_family
def test_separation_without_penalty_names_the_column(family):
    X, y = separated()
    with pytest.warns(SeparationWarning, match="x1"):
        model = PrestoClassifier(0.0, family=family).fit(X, y)
    finite(model, X)
    assert_array_equal(model.predict(X), y)


def test_separation_at_one_boundary_only_is_found():
    X, y = data(3, n=200)
    flag = (y == 3).astype(float)  # only class 3 has it
    wide = np.column_stack([X, flag])
    # the lower boundaries carry no information on its slope, which is said as well
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = OrdinalRegression(parallel=False).fit(wide, y)
    said = [str(w.message) for w in caught if w.category is SeparationWarning]
    assert len(said) == 1
    assert "'x3' (at" in said[0]
    assert "2 | 3" in said[0]
    finite(model, wide)
    # columns that are not concerned keep their standard errors
    assert np.isfinite(model.bse_[:2]).all()


@every_family
def test_separated_data_have_a_finite_penalised_fit_without_warning(family):
    X, y = separated()
    model = presto(1e-3, family=family).fit(X, y)
    finite(model, X)
    assert model.kkt_ < 1e-9


def test_separated_data_have_a_finite_ridge_fit_without_warning():
    X, y = separated()
    finite(OrdinalRegression(penalty="l2", alpha=0.1).fit(X, y), X)


def test_clean_data_do_not_warn_of_separation():
    _, X, y, _ = table("sim")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        PrestoClassifier(0.0).fit(X, y)
        OrdinalRegression(parallel=False).fit(X, y)
    assert not caught


def test_empty_cells_of_wine_are_named_and_stay_finite():
    # nobody rated a cold wine 5 or a warm wine without contact 1
    X, y, w = wine()
    with pytest.warns(SeparationWarning, match="x0"):
        model = OrdinalRegression(parallel=False).fit(X, y, sample_weight=w)
    finite(model, X)
    # the limit of the log-likelihood: all four cells fitted exactly
    counts = w.reshape(4, 5)
    share = counts / counts.sum(axis=1, keepdims=True)
    saturated = (counts[counts > 0] * np.log(share[counts > 0])).sum()
    assert model.loglik_ <= saturated
    assert model.loglik_ > -86.49192337


def test_empty_cells_without_penalty_are_named_by_presto():
    X, y, w = wine()
    with pytest.warns(SeparationWarning, match="x0"):
        model = PrestoClassifier(0.0).fit(X, y, sample_weight=w)
    finite(model, X)


@every_family
@pytest.mark.parametrize("link", LINKS)
def test_path_over_separated_data_is_finite(family, link):
    X, y = separated()
    # predictors reach 40 at the smaller ratio: exp(40) is too much without convexity
    eps = 1e-3 if (family, link) in CONVEX else 3e-3
    path = presto_path(X, y, n_alphas=8, eps=eps, family=family, link=link)
    assert np.isfinite(path.coefs).all()
    assert np.isfinite(path.intercepts).all()
    assert (np.diff(path.objectives) < 0).all()


# ------------------------------------------------------------------ extreme numbers
@pytest.mark.parametrize("scale", [1e-12, 1e12, 1e100, 1e-100, 1e150, 1e-150])
def test_extreme_scales_of_a_column_leave_the_probabilities(scale):
    X, y = data()
    factor = np.array([scale, 1.0, 1.0])
    before, after = presto().fit(X, y), presto().fit(X * factor, y)
    assert_allclose(after.predict_proba(X * factor), before.predict_proba(X), atol=1e-8)


@pytest.mark.parametrize("scale", [1e200, 1e300, 1e-200, 1e-300])
def test_absurd_scales_of_a_column_never_give_nan(scale):
    X, y = data()
    wild = X * np.array([scale, 1.0, 1.0])
    try:
        model = presto().fit(wild, y)
    except ValueError:  # refused: fine, as long as nothing silent happens
        return
    assert not np.isnan(model.coef_).any()
    assert_allclose(model.predict_proba(wild).sum(axis=1), 1.0)


@pytest.mark.parametrize("monotone", ["tail", "rearrange", "clip"])
@each_direction
@pytest.mark.parametrize("link", LINKS)
@every_family
def test_far_rows_get_a_distribution(family, link, reverse, monotone):
    X, y = data()
    model = PrestoClassifier(
        0.005, family=family, link=link, reverse=reverse, monotone=monotone
    ).fit(X, y)
    far = np.vstack([X[:5] * f for f in (1e2, 1e4, 1e8, -1e8)])
    proba = model.predict_proba(far)
    assert (proba >= 0).all()
    assert_allclose(proba.sum(axis=1), 1.0)
    assert not np.isnan(model.predict_log_proba(far)).any()
    assert not np.isnan(model.predict_tail_proba(far)).any()


@pytest.mark.parametrize("link", LINKS)
@every_family
def test_one_far_row_does_not_break_the_fit(family, link):
    X, y = data()
    X = X.copy()
    X[0] *= 1e6
    model = PrestoClassifier(0.01, family=family, link=link).fit(X, y)
    finite(model, X)


def test_tail_policy_keeps_the_last_class():
    X, y = data(2, spread=4.0, n=50)
    model = presto(1e-4).fit(X, y)
    far = X * 20
    eta = model.linear_predictor(far)
    assert (np.diff(eta, axis=1) < 0).any()  # boundaries do cross out there
    proba, tail = model.predict_proba(far), model.predict_tail_proba(far)
    assert_allclose(proba[:, -1], tail[:, -1], rtol=1e-12)


def test_rare_class_of_one_row_is_fitted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    y = np.digitize(X[:, 0] + rng.logistic(size=400), [0.5, 2.0])
    y[y == 2] = 1
    y[int(np.argmax(X[:, 0]))] = 2
    model = presto(0.01).fit(X, y)
    assert_allclose(model.objective_, solve_cvxpy(Problem(X, y, 3, 0.01)).objective)
    # the intercepts are free, so the mean probability is near the frequency
    assert 0 < finite(model, X)[:, 2].mean() < 0.02


def test_many_tiny_weights_do_not_stop_the_solver():
    X, y = data()
    # half of the rows only keep the boundaries from crossing at them
    w = np.where(np.arange(len(y)) % 2, 1.0, 1e-6)
    model = PrestoClassifier(0.01).fit(X, y, sample_weight=w)
    problem = Problem(X, y, 4, 0.01, weight=w)
    assert problem.kkt_violation(model.intercept_, model.coef_) < 1e-7


# ------------------------------------------------------------------ honest endings
def test_too_few_iterations_warn_with_the_residual():
    X, y = tiny()
    with pytest.warns(ConvergenceWarning, match=r"violation of 0\.0"):
        model = PrestoClassifier(0.005, tol=1e-12, max_iter=1).fit(X, y)
    assert model.kkt_ > 1e-12
    finite(model, X)


def test_kkt_reported_is_the_one_measured_outside():
    X, y = tiny()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = PrestoClassifier(0.005, tol=1e-12, max_iter=2).fit(X, y)
    outside = Problem(X, y - 1, 3, 0.005).kkt_violation(model.intercept_, model.coef_)
    assert outside > 1e-10
    assert_allclose(model.kkt_, outside, rtol=1e-3)


def test_no_features_varying_gives_the_frequencies():
    y = np.array([0, 1, 1, 2, 2, 2])
    model = presto(0.1).fit(np.ones((6, 1)), y)
    expected = np.tile([1 / 6, 2 / 6, 3 / 6], (6, 1))
    assert_allclose(model.predict_proba(np.ones((6, 1))), expected, atol=1e-9)
