"""Coefficients follow y and X into any units, and sample weights count rows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from reweighted_oracle import (
    IN_THE_UNIT_OF_Y,
    MAY_CYCLE,
    PRESETS,
    RESIDUAL_RULES,
    RULES,
    WEIGHTINGS,
    counts,
    dirty,
    full_coef,
    rel,
)
from statlearn.linear_model import ReweightedLinearRegression

X, Y = dirty(1, n=50, n_outliers=4)
COUNTS = counts(2, 50)
EQUIVARIANT = [name for name in WEIGHTINGS if name not in IN_THE_UNIT_OF_Y]
# All 12 341 subsets of four rows are tried, so a preset finds its global minimum.
SMALL = dirty(3, n=24, p=2, n_outliers=3)
ALL_SUBSETS = 200_000

may_cycle = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
each = pytest.mark.parametrize("weighting", EQUIVARIANT)
settling = pytest.mark.parametrize(
    "weighting", [name for name in WEIGHTINGS if name not in MAY_CYCLE]
)
each_preset = pytest.mark.parametrize("weighting", PRESETS)


def fit(weighting, X, y, sample_weight=None, **options):
    model = ReweightedLinearRegression(weighting, **({"random_state": 0} | options))
    return model.fit(X, y, sample_weight)


def same(model, coef, bse, scale, weights, rtol):
    assert rel(full_coef(model), coef) < rtol
    assert_allclose(model.bse_, bse, rtol=10 * rtol)
    assert_allclose(model.scale_, scale, rtol=rtol)
    assert rel(model.weights_, weights) < 10 * rtol


# --------------------------------------------------------------------------- units of y
@may_cycle
@each
@pytest.mark.parametrize("factor", [-3.0, 1e-150, 1e-9, 1e9, 1e150])
def test_unit_of_y_multiplies_the_coefficients(weighting, factor):
    m = fit(weighting, X, Y)
    size = abs(factor)
    same(
        fit(weighting, X, factor * Y),
        factor * full_coef(m),
        size * m.bse_,
        size * m.scale_,
        m.weights_,
        1e-9,
    )


@pytest.mark.parametrize("init", ["s", "lts", "lad"])
@pytest.mark.parametrize("factor", [-3.0, 1e-150, 1e-9, 1e150])
def test_unit_of_y_multiplies_every_start(init, factor):
    start = fit("bisquare", X, Y, init=init).init_coef_
    moved = fit("bisquare", X, factor * Y, init=init).init_coef_
    assert rel(moved, factor * start) < 1e-9


@pytest.mark.parametrize("scale", ["proposal2", "mscale"])
@pytest.mark.parametrize("factor", [1e-150, 1e150])
def test_unit_of_y_multiplies_every_scale(scale, factor):
    m = fit("huber", X, Y, scale=scale)
    moved = fit("huber", X, factor * Y, scale=scale)
    assert_allclose(moved.scale_, factor * m.scale_, rtol=1e-9)
    assert rel(full_coef(moved), factor * full_coef(m)) < 1e-9


@may_cycle
@pytest.mark.filterwarnings("ignore::statlearn.exceptions.DegenerateWeightsWarning")
@pytest.mark.parametrize("weighting", IN_THE_UNIT_OF_Y)
def test_rules_with_a_number_in_the_unit_of_y_say_so_by_their_fit(weighting):
    m = fit(weighting, X, Y)
    assert rel(full_coef(fit(weighting, X, 100.0 * Y)), 100.0 * full_coef(m)) > 0.01


# --------------------------------------------------------------------- planes and bases
@settling
def test_a_plane_added_to_y_is_added_to_the_coefficients(weighting):
    m = fit(weighting, X, Y)
    plane = np.array([5.0, 3.0, -7.0, 0.2])
    moved = fit(weighting, X, Y + plane[0] + X @ plane[1:])
    same(moved, full_coef(m) + plane, m.bse_, m.scale_, m.weights_, 1e-7)


@settling
def test_a_new_basis_of_the_columns_changes_only_the_slopes(weighting):
    m = fit(weighting, X, Y)
    basis = np.array([[2.0, 1.0, 0.0], [0.0, -1.0, 3.0], [1.0, 1.0, 1.0]])
    back = np.zeros((4, 4))
    back[0, 0], back[1:, 1:] = 1.0, np.linalg.inv(basis)
    moved = fit(weighting, X @ basis, Y)
    bse = np.sqrt(np.diagonal(back @ m.cov_ @ back.T))
    same(moved, back @ full_coef(m), bse, m.scale_, m.weights_, 1e-7)


@settling
def test_a_shift_of_the_columns_changes_only_the_intercept(weighting):
    m = fit(weighting, X, Y)
    shift = np.array([100.0, -50.0, 3.0])
    moved = fit(weighting, X + shift, Y)
    expected = np.r_[m.intercept_ - shift @ m.coef_, m.coef_]
    assert rel(full_coef(moved), expected) < 1e-8
    assert_allclose(moved.bse_[1:], m.bse_[1:], rtol=1e-7)


@may_cycle
@each
@pytest.mark.parametrize("factor", [1e-150, 1e150])
def test_unit_of_x_divides_the_slopes(weighting, factor):
    m = fit(weighting, X, Y)
    unit = np.array([1.0, factor, factor, factor])
    moved = fit(weighting, factor * X, Y)
    # Coordinate by coordinate: their sizes are apart by the factor.
    assert_allclose(full_coef(moved) * unit, full_coef(m), rtol=1e-7)
    assert_allclose(moved.bse_ * unit, m.bse_, rtol=1e-7)


def test_columns_in_units_far_apart_are_no_collinearity():
    m = fit("mm", X, Y)
    moved = fit("mm", X * [1e-100, 1.0, 1e100], Y)
    assert_allclose(moved.coef_ * [1e-100, 1.0, 1e100], m.coef_, rtol=1e-8)


@pytest.mark.parametrize("weighting", [w for w in RULES if w not in MAY_CYCLE])
def test_order_of_the_rows_does_not_matter(weighting):
    order = np.random.default_rng(0).permutation(len(X))
    m, moved = fit(weighting, X, Y), fit(weighting, X[order], Y[order])
    assert rel(full_coef(moved), full_coef(m)) < 1e-8
    assert rel(moved.weights_, m.weights_[order]) < 1e-7


# ----------------------------------------------------------------------- sample weights
@may_cycle
@pytest.mark.parametrize("weighting", RULES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": "proposal2"},
        {"scale": "mscale"},
        {"scale": 0.8},
        {"alpha": 0.1},
        {"cov_type": "sandwich"},
        {"fit_intercept": False},
        {"init": "lad"},
        {"init": "s", "n_starts": ALL_SUBSETS},
        {"init": "lts", "n_starts": ALL_SUBSETS},
    ],
    ids=str,
)
def test_integer_weights_are_repeated_rows(weighting, options):
    X, Y = SMALL
    weight = COUNTS[: len(X)]
    first = fit(weighting, X, Y, weight, **options)
    second = fit(
        weighting, np.repeat(X, weight, axis=0), np.repeat(Y, weight), **options
    )
    if not second.converged_:
        assert weighting in (*MAY_CYCLE, "talwar")
        return
    repeated = np.repeat(first.weights_, weight)
    same(second, full_coef(first), first.bse_, first.scale_, repeated, 1e-7)


@each_preset
def test_integer_weights_are_repeated_rows_for_an_exhaustive_search(weighting):
    X, Y = SMALL
    weight = np.maximum(COUNTS[: len(X)], 1)
    first = fit(weighting, X, Y, weight, n_starts=ALL_SUBSETS)
    second = fit(
        weighting,
        np.repeat(X, weight, axis=0),
        np.repeat(Y, weight),
        n_starts=ALL_SUBSETS,
    )
    repeated = np.repeat(first.weights_, weight)
    same(second, full_coef(first), first.bse_, first.scale_, repeated, 1e-7)


@may_cycle
@pytest.mark.parametrize(
    ("weighting", "options"),
    [(name, {}) for name in WEIGHTINGS]
    + [(name, {"solver": "sgd", "max_iter": 2}) for name in RULES],
)
def test_row_of_weight_zero_is_no_row(weighting, options):
    weight = np.ones(len(X))
    weight[[3, 20]] = 0.0
    y = Y.copy()
    y[[3, 20]] = 1e300, -1e300
    kept = weight > 0.0
    full, part = (
        fit(weighting, *data, **options)
        for data in ((X, y, weight), (X[kept], y[kept], weight[kept]))
    )
    assert_array_equal(full.coef_, part.coef_)
    assert_array_equal(full.bse_, part.bse_)
    assert full.scale_ == part.scale_
    assert_array_equal(full.weights_[kept], part.weights_)
    assert_array_equal(full.weights_[~kept], 0.0)


@pytest.mark.parametrize("weighting", [w for w in RULES if w not in MAY_CYCLE])
@pytest.mark.parametrize("factor", [1e-3, 7.3, 1e200])
def test_scale_of_the_weights_leaves_coefficients_alone(weighting, factor):
    weight = np.linspace(0.5, 2.0, len(X))
    m = fit(weighting, X, Y, weight)
    moved = fit(weighting, X, Y, factor * weight)
    assert rel(full_coef(moved), full_coef(m)) < 1e-8
    assert_allclose(moved.scale_, m.scale_, rtol=1e-8)


def test_more_rows_make_smaller_standard_errors():
    weight = np.linspace(0.5, 2.0, len(X))
    few, many = fit("huber", X, Y, weight), fit("huber", X, Y, 1e4 * weight)
    assert_allclose(many.bse_, 1e-2 * few.bse_, rtol=0.1)


@pytest.mark.parametrize("total", [0.01, 3.9, 4.0])
@pytest.mark.parametrize("weighting", ["huber", "bisquare", "linupper", "uniform"])
def test_weights_that_sum_to_p_or_less_fit_without_standard_errors(weighting, total):
    m = fit(weighting, X, Y)
    light = fit(weighting, X, Y, np.full(len(X), total / len(X)))
    assert rel(full_coef(light), full_coef(m)) < 1e-7
    assert np.isnan(light.bse_).all()
    assert np.isnan(light.cov_).all()
    assert "-" in light.summary()


@pytest.mark.parametrize("weighting", RESIDUAL_RULES[:3])
def test_number_as_scale_is_in_the_unit_of_y(weighting):
    m = fit(weighting, X, Y, scale=1.3)
    moved = fit(weighting, X, 100.0 * Y, scale=130.0)
    assert rel(full_coef(moved), 100.0 * full_coef(m)) < 1e-9
