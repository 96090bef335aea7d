"""The table of equal slopes, and the unpenalised refit of its pattern."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from ordinal_oracle import FAMILIES, random_problem
from statlearn.exceptions import EmptyClassWarning
from statlearn.ordinal import OrdinalRegression, PrestoClassifier, PrestoClassifierCV
from statlearn.ordinal._fusion import FusionTable, boundary_names
from statlearn.ordinal._problem import merge_boundaries

TOL = 1e-10
CLASSES = np.array(["none", "mild", "severe", "fatal"])
NAMES = np.array(["age", "dose", "sex", "noise"])
# age: one slope; dose: changes at the last boundary; sex: enters at the second; noise
COEF = np.array([[1.5, -2.0, 0.0, 0.0], [1.5, -2.0, 0.25, 0.0], [1.5, -0.5, 0.75, 0.0]])
FORWARD = np.diff(COEF, axis=0, prepend=0.0)
BACKWARD = -np.diff(COEF, axis=0, append=0.0)
every_family = pytest.mark.parametrize("family", FAMILIES)


def hand_made(reverse=False):
    difference = BACKWARD if reverse else FORWARD
    return FusionTable.from_coefficients(
        COEF, difference, NAMES, CLASSES, reverse=reverse
    )


def data(n=300, seed=5, **options):
    problem = random_problem(seed, alpha=0.01, n=n, **options)
    return problem.X, problem.y


# ---------------------------------------------------------------------------- the table
@pytest.mark.parametrize("reverse", [False, True])
def test_table_tells_where_slopes_are_equal(reverse):
    table = hand_made(reverse)
    fused = [[True, True, False, True], [True, False, False, True]]
    assert_array_equal(table.fused, fused)
    assert_array_equal(table.proportional, [True, False, False, True])
    assert_array_equal(table.selected, [True, True, True, False])
    assert table.boundaries == ("none | mild", "mild | severe", "severe | fatal")
    assert_array_equal(table.coef, COEF)


@pytest.mark.parametrize("reverse", [False, True])
def test_summary_has_a_line_for_each_feature(reverse):
    head, *lines = hand_made(reverse).summary().splitlines()
    columns = ["none", "|", "mild", "mild", "|", "severe", "severe", "|", "fatal"]
    assert head.split() == ["feature", *columns, "pattern"]
    assert [line.split() for line in lines] == [
        ["age", "1.5", "=", "=", "proportional"],
        ["dose", "-2", "=", "-0.5", "varies"],
        ["sex", "0", "0.25", "0.75", "varies"],
        ["noise", "0", "=", "=", "dropped"],
    ]
    ends = {line.rindex(line.split()[-1]) for line in (head, *lines)}
    assert len(ends) == 1  # columns are aligned


def test_frame_has_the_slopes_and_the_verdict():
    frame = hand_made().to_frame()
    expected = pd.DataFrame(
        COEF.T, index=NAMES, columns=["none | mild", "mild | severe", "severe | fatal"]
    )
    expected["selected"] = [True, True, True, False]
    expected["proportional"] = [True, False, False, True]
    pd.testing.assert_frame_equal(frame, expected)


def test_table_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        hand_made().coef = COEF


def test_boundaries_are_named_by_their_classes():
    assert boundary_names(np.array([1, 2, 5])) == ("1 | 2", "2 | 5")
    assert boundary_names(np.array([False, True])) == ("False | True",)


@pytest.mark.parametrize("reverse", [False, True])
@every_family
def test_table_of_a_fit_agrees_with_its_slopes(family, reverse):
    X, y = data()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = PrestoClassifier(0.01, family=family, reverse=reverse, tol=TOL)
    table = model.fit(frame, y).fusion_table()
    assert list(table.feature_names) == ["a", "b", "c"]
    # slopes are sums of the differences, so equality holds up to rounding
    equal = np.abs(np.diff(model.coef_, axis=0)) < 1e-12
    assert_array_equal(table.fused, equal)
    assert table.fused.any()
    assert not table.fused.all()
    assert table.to_frame().shape == (3, 5)


def test_strong_penalty_drops_everything():
    X, y = data()
    table = PrestoClassifier(10.0).fit(X, y).fusion_table()
    assert not table.selected.any()
    assert table.proportional.all()
    assert table.summary().count("dropped") == 3


def test_two_classes_have_one_boundary():
    X, y = data(n_classes=2)
    table = PrestoClassifier(0.001).fit(X, y).fusion_table()
    assert table.fused.shape == (0, 3)
    assert table.to_frame().shape == (3, 3)
    assert len(table.summary().splitlines()) == 4


def test_absent_class_shares_the_slopes_of_its_neighbour():
    X, y = data()
    with pytest.warns(EmptyClassWarning):
        model = PrestoClassifier(0.002).fit(X, y, sample_weight=(y != 2).astype(float))
    table = model.fusion_table()
    assert table.coef.shape == (3, 3)
    # the two boundaries of class 2 coincide
    assert table.fused[1].all()
    assert not table.fused[0].all()


@pytest.mark.parametrize("absent", [0, 1, 2, 3])
@pytest.mark.parametrize("reverse", [False, True])
@every_family
def test_differences_add_up_to_the_slopes_without_a_class(family, reverse, absent):
    X, y = data()
    model = PrestoClassifier(0.002, family=family, reverse=reverse)
    with pytest.warns(EmptyClassWarning):
        model.fit(X, y, sample_weight=(y != absent).astype(float))
    order = slice(None, None, -1 if reverse else 1)
    sums = np.cumsum(model.diff_coef_[order], axis=0)[order]
    finite = np.isfinite(model.intercept_)
    assert finite.sum() >= 2
    assert_allclose(sums[finite], model.coef_[finite], atol=1e-12)


# ---------------------------------------------------------------------------- the refit
def fitted(alpha=0.02, **options):
    X, y = data()
    return PrestoClassifier(alpha, tol=TOL, **options).fit(X, y)


@pytest.mark.parametrize("reverse", [False, True])
@every_family
def test_refit_keeps_the_pattern_and_gains_likelihood(family, reverse):
    model = fitted(family=family, reverse=reverse)
    refitted = model.refit()
    assert_array_equal(refitted.diff_coef_ != 0, model.diff_coef_ != 0)
    assert (model.diff_coef_ == 0).any()
    assert refitted.loglik_ > model.loglik_
    assert refitted.alpha == 0.0
    assert refitted.family == family
    assert refitted.reverse == reverse


def test_refit_leaves_the_model_as_it_is():
    model = fitted()
    coef, intercept = model.coef_.copy(), model.intercept_.copy()
    refitted = model.refit()
    assert refitted is not model
    assert_array_equal(model.coef_, coef)
    assert_array_equal(model.intercept_, intercept)
    assert model.alpha == 0.02


def test_refit_of_proportional_slopes_is_the_proportional_model():
    X, y = data()
    # free first slopes, and differences held at zero by a huge penalty
    model = PrestoClassifier(1e3, penalize_first=0.0).fit(X, y)
    assert model.fusion_table().proportional.all()
    refitted = model.refit()
    peer = OrdinalRegression(tol=TOL).fit(X, y)
    assert_allclose(refitted.coef_, peer.coef_, atol=1e-6)
    assert_allclose(refitted.loglik_, peer.loglik_, rtol=1e-10)


def test_refit_without_fusion_is_maximum_likelihood():
    X, y = data()
    model = PrestoClassifier(1e-4, l1_ratio=0.0, tol=TOL).fit(X, y)
    assert (model.diff_coef_ != 0).all()
    free = PrestoClassifier(0.0, tol=TOL).fit(X, y)
    assert_allclose(model.refit().coef_, free.coef_, atol=1e-7)
    assert_allclose(model.refit().loglik_, free.loglik_, rtol=1e-10)


def test_refit_of_nothing_gives_the_frequencies():
    X, y = data()
    refitted = PrestoClassifier(10.0).fit(X, y).refit()
    assert not refitted.coef_.any()
    assert_allclose(refitted.predict_proba(X[:1])[0], np.bincount(y) / len(y))
    assert_allclose(refitted.loglik_, refitted.null_loglik_)


def test_refit_is_a_stationary_point_of_the_kept_slopes():
    X, y = data()
    problem = random_problem(5, alpha=0.0, n=300)
    model = PrestoClassifier(0.02, tol=TOL).fit(X, y)
    refitted = model.refit()
    free, smooth = problem.gradients(refitted.intercept_, refitted.coef_)
    assert_allclose(free, 0, atol=1e-8)
    assert_allclose(smooth[model.diff_coef_ != 0], 0, atol=1e-8)
    assert np.abs(smooth[model.diff_coef_ == 0]).max() > 1e-4


def test_refit_uses_the_weights_of_the_fit():
    X, y = data()
    w = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    model = PrestoClassifier(0.02, tol=TOL, class_weight={3: 2.0})
    model.fit(X, y, sample_weight=w)
    again = model.refit(X, y, sample_weight=w)
    assert_array_equal(model.refit().coef_, again.coef_)
    unweighted = model.refit(X, y)
    assert np.abs(unweighted.coef_ - again.coef_).max() > 1e-3


def test_refit_on_other_rows_keeps_the_pattern():
    X, y = data()
    model = PrestoClassifier(0.02).fit(X[:200], y[:200])
    refitted = model.refit(X[200:], y[200:])
    assert_array_equal(refitted.diff_coef_ != 0, model.diff_coef_ != 0)
    problem = random_problem(5, alpha=0.0, n=300)
    problem.X, problem.y, problem.weight = X[200:], y[200:], np.ones(100)
    loss = problem.loss(refitted.intercept_, refitted.coef_)
    assert_allclose(refitted.loglik_, -100 * loss)


def test_refit_reads_sparse_and_named_columns():
    X, y = data()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    dense = PrestoClassifier(0.02, tol=TOL).fit(frame, y)
    thin = PrestoClassifier(0.02, tol=TOL).fit(sparse.csr_array(X), y)
    assert_allclose(thin.refit().coef_, dense.refit().coef_, atol=1e-7)
    assert list(dense.refit().feature_names_in_) == ["a", "b", "c"]
    assert list(dense.refit().fusion_table().feature_names) == ["a", "b", "c"]


def test_refit_drops_the_constraint():
    X, y = data()
    model = PrestoClassifier(0.02, constrain_train=True).fit(X, y)
    assert model.refit().constrain_train is False


def test_search_is_refitted_at_its_choice():
    X, y = data()
    search = PrestoClassifierCV(alphas=[0.02], cv=2, tol=TOL).fit(X, y)
    refitted = search.refit()
    assert isinstance(refitted, PrestoClassifier)
    assert_allclose(refitted.coef_, fitted().refit().coef_, atol=1e-7)


@pytest.mark.parametrize("absent", [0, 1, 3])
@pytest.mark.parametrize("reverse", [False, True])
@every_family
def test_refit_without_a_class_keeps_its_probability_at_zero(family, reverse, absent):
    X, y = data()
    w = (y != absent).astype(float)
    with pytest.warns(EmptyClassWarning):
        model = PrestoClassifier(0.02, family=family, reverse=reverse, tol=TOL).fit(
            X, y, sample_weight=w
        )
    refitted = model.refit()
    assert (refitted.predict_proba(X)[:, absent] == 0).all()
    kept = y != absent
    rest = PrestoClassifier(0.02, family=family, reverse=reverse, tol=TOL)
    rest = rest.fit(X[kept], y[kept]).refit()
    assert rest.coef_.any()
    others = [c for c in range(4) if c != absent]
    found = refitted.predict_proba(X)[:, others]
    assert_allclose(found, rest.predict_proba(X), atol=1e-7)


def test_refit_on_rows_without_a_class_merges_its_boundaries():
    X, y = data()
    model = PrestoClassifier(0.02, tol=TOL).fit(X, y)
    kept = y != 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyClassWarning)
        refitted = model.refit(X[kept], y[kept])
    # boundary 0 stays, boundary 1 coincides with it: the next one spans two changes
    free = model.diff_coef_ != 0
    expected = np.array([free[0], free[1] | free[2]])
    changes = np.abs(np.diff(refitted._reduced[2], axis=0, prepend=0)) > 1e-12
    assert_array_equal(changes, expected)


@pytest.mark.parametrize(
    ("present", "spanned"),
    [
        ([0, 1, 2, 3], [[0], [1], [2]]),
        ([0, 2, 3], [[0], [1, 2]]),
        ([1, 2, 3], [[0, 1], [2]]),
        ([0, 1, 2], [[0], [1]]),
        ([0, 3], [[0]]),
        ([2, 3], [[0, 1, 2]]),
    ],
)
def test_merged_differences_are_those_spanned(present, spanned):
    # difference k is non-zero in column k only; a class keeps the boundary above it
    pattern = np.eye(3, dtype=bool)
    merged = merge_boundaries(pattern, np.array(present), False)
    assert [np.flatnonzero(row).tolist() for row in merged] == spanned
    mirrored = merge_boundaries(pattern[::-1], 3 - np.array(present)[::-1], True)
    assert_array_equal(mirrored, merged[::-1])
