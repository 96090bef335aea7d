"""The path is a descending sequence of the fits that the classifier makes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from ordinal_oracle import FAMILIES, null_intercepts, random_problem
from statlearn.exceptions import EmptyClassWarning
from statlearn.ordinal import OrdinalPath, PrestoClassifier, presto_path

TOL = 1e-10
PROBLEM = random_problem(4, n=120, alpha=1.0)
X, Y = PROBLEM.X, PROBLEM.y
WEIGHT = np.random.default_rng(0).uniform(0.2, 3.0, len(Y))


def largest_gradient(problem):
    """Largest gradient entry of the fit without slopes, over its penalty weight."""
    intercept = null_intercepts(problem)
    if problem.reverse:
        intercept = -intercept[::-1]
    _, smooth = problem.gradients(intercept, np.zeros((problem.m, X.shape[1])))
    unit = problem.strengths() / problem.alpha
    penalised = unit > 0
    return (np.abs(smooth[penalised]) / unit[penalised]).max()


# ----------------------------------------------------------------------------- the grid
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_grid_starts_where_the_first_coefficient_enters(family, reverse):
    options = {"family": family, "reverse": reverse, "tol": TOL}
    path = presto_path(X, Y, n_alphas=4, eps=0.05, sample_weight=WEIGHT, **options)
    problem = random_problem(
        4, n=120, alpha=1.0, family=family, reverse=reverse, weights=False
    )
    problem.weight = WEIGHT
    problem.__post_init__()
    assert_allclose(path.alpha_max, largest_gradient(problem), rtol=1e-9)
    assert_allclose(path.alphas, path.alpha_max * 0.05 ** (np.arange(4) / 3))
    assert not path.coefs[0].any()
    just_below = presto_path(
        X, Y, alphas=[path.alpha_max * 0.999], sample_weight=WEIGHT, **options
    )
    assert np.count_nonzero(just_below.coefs) > 0


@pytest.mark.parametrize(
    "options",
    [
        {"penalty_factor": np.array([1.0, 4.0, 0.5])},
        {"penalize_first": 0.25},
        {"standardize": False},
    ],
)
def test_grid_respects_the_weights_of_the_penalty(options):
    path = presto_path(X, Y, n_alphas=1, **options)
    problem = random_problem(4, n=120, alpha=1.0, **options)
    assert_allclose(path.alphas, [largest_gradient(problem)], rtol=1e-9)


@pytest.mark.parametrize("l1_ratio", [0.5, 0.1, 0.01, 0.0])
def test_grid_of_a_ridge_starts_as_if_one_percent_were_l1(l1_ratio):
    path = presto_path(X, Y, n_alphas=2, l1_ratio=l1_ratio)
    expected = largest_gradient(PROBLEM) / max(l1_ratio, 0.01)
    assert_allclose(path.alpha_max, expected, rtol=1e-9)
    assert path.coefs[0].any() == (l1_ratio == 0.0)


def test_unpenalised_columns_do_not_enter_the_grid():
    factor = np.array([0.0, 1.0, 1.0])
    path = presto_path(X, Y, n_alphas=3, penalty_factor=factor, tol=TOL)
    assert path.coefs[0][:, 0].all()
    assert not path.coefs[0][:, 1:].any()
    # the rest is penalised in the fit of the unpenalised column alone
    alone = PrestoClassifier(0.0, tol=TOL).fit(X[:, :1], Y)
    assert_allclose(path.coefs[0][:, 0], alone.coef_[:, 0], atol=1e-7)
    problem = random_problem(4, n=120, alpha=1.0)
    _, smooth = problem.gradients(path.intercepts[0], path.coefs[0])
    assert_allclose(path.alpha_max, np.abs(smooth[:, 1:]).max(), rtol=1e-6)


def test_one_alpha_gives_a_path_of_one():
    path = presto_path(X, Y, n_alphas=1)
    assert_allclose(path.alphas, [path.alpha_max])
    assert path.coefs.shape == (1, 3, 3)


def test_given_alphas_are_sorted_and_may_repeat():
    given = [0.01, 0.1, 0.0, 0.03, 0.03]
    path = presto_path(X, Y, alphas=given, tol=TOL)
    assert_array_equal(path.alphas, [0.1, 0.03, 0.03, 0.01, 0.0])
    assert given == [0.01, 0.1, 0.0, 0.03, 0.03]
    assert_allclose(path.coefs[1], path.coefs[2], atol=1e-9)


def test_alphas_above_the_largest_leave_the_null_model():
    path = presto_path(X, Y, alphas=[5.0, 2.0])
    assert not path.coefs.any()
    assert_allclose(path.objectives, path.objectives[0])


# ----------------------------------------------------------------------------- the fits
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"family": "sratio", "link": "cloglog", "reverse": True},
        {"family": "acat", "l1_ratio": 0.5},
        {"penalize_first": 0.0, "penalty_factor": [1.0, 2.0, 0.5]},
        {"standardize": False, "class_weight": {0: 3.0}},
    ],
)
def test_each_point_is_the_single_fit(options):
    path = presto_path(
        X, Y, n_alphas=5, eps=0.02, sample_weight=WEIGHT, tol=TOL, **options
    )
    for i, alpha in enumerate(path.alphas):
        model = PrestoClassifier(alpha, tol=TOL, **options).fit(X, Y, WEIGHT)
        assert_allclose(path.objectives[i], model.objective_, rtol=1e-10)
        assert_allclose(path.coefs[i], model.coef_, atol=1e-6)
        assert_allclose(path.intercepts[i], model.intercept_, atol=1e-6)


def test_optimality_is_reported_and_holds():
    path = presto_path(X, Y, n_alphas=6, tol=TOL)
    assert (path.kkt <= TOL * path.alpha_max).all()
    assert path.n_iter.dtype.kind == "i"
    assert (path.n_iter[1:] > 0).all()
    assert (np.diff(path.objectives) < 0).all()
    for alpha, intercept, coef in zip(
        path.alphas, path.intercepts, path.coefs, strict=True
    ):
        problem = random_problem(4, n=120, alpha=alpha)
        assert problem.kkt_violation(intercept, coef) < 1e-8


@pytest.mark.parametrize("container", [pd.DataFrame, sparse.csr_array])
def test_containers_give_the_same_path(container):
    plain = presto_path(X, Y, n_alphas=3, tol=TOL)
    other = presto_path(container(X), Y.tolist(), n_alphas=3, tol=TOL)
    assert_allclose(other.coefs, plain.coefs, atol=1e-7)


def test_input_is_left_alone():
    y, weight, alphas = Y.copy(), WEIGHT.copy(), np.array([0.01, 0.1])
    given = X.copy()
    for array in (given, y, weight, alphas):
        array.setflags(write=False)
    presto_path(given, y, sample_weight=weight, alphas=alphas)
    assert_array_equal(given, X)
    assert_array_equal(alphas, [0.01, 0.1])


# --------------------------------------------------------------------------- the object
def test_path_knows_classes_and_names():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    words = np.array(["low", "mid", "high", "top"])
    path = presto_path(frame, words[Y], n_alphas=2, categories=words)
    assert isinstance(path, OrdinalPath)
    assert path.classes.tolist() == words.tolist()
    assert list(path.feature_names) == ["a", "b", "c"]
    assert list(presto_path(X, Y, n_alphas=1).feature_names) == ["x0", "x1", "x2"]


def test_shapes_are_those_of_the_docstring():
    path = presto_path(X, Y, n_alphas=4)
    assert path.intercepts.shape == (4, 3)
    assert path.coefs.shape == (4, 3, 3)
    for name in ("alphas", "objectives", "n_iter", "kkt"):
        assert getattr(path, name).shape == (4,), name


def test_path_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        presto_path(X, Y, n_alphas=1).alphas = np.ones(1)


def test_two_classes_have_a_path():
    path = presto_path(X, Y > 1, n_alphas=3)
    assert path.coefs.shape == (3, 1, 3)
    assert path.classes.tolist() == [False, True]


def test_absent_class_keeps_its_boundaries():
    with pytest.warns(EmptyClassWarning):
        path = presto_path(
            X, Y, n_alphas=3, sample_weight=(Y != 1).astype(float), tol=TOL
        )
    rest = presto_path(X[Y != 1], Y[Y != 1], n_alphas=3, tol=TOL)
    assert path.coefs.shape == (3, 3, 3)
    assert_allclose(path.alphas, rest.alphas)
    assert_allclose(path.coefs[:, 0], path.coefs[:, 1])
    assert_allclose(path.coefs[:, [0, 2]], rest.coefs, atol=1e-7)
