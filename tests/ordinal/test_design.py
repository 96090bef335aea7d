"""Sorting and scaling of the design."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from statlearn.ordinal._design import build_design, weighted_gram


def example(seed=0, n=400):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)) * [1.0, 10.0, 0.1, 1.0, 1e3] + [0, 5, -1, 1e4, 0]
    return X, rng.integers(0, 4, n), rng.uniform(0.1, 2.0, n)


def test_columns_have_weighted_mean_zero_and_unit_variance():
    X, codes, weight = example()
    design = build_design(X, codes, weight, 4, scale=True)
    scaler = StandardScaler().fit(X, sample_weight=weight)
    assert_allclose(design.center, scaler.mean_, rtol=1e-10)
    assert_allclose(design.scale, scaler.scale_, rtol=1e-8)
    stacked = np.concatenate(design.block)
    share = np.concatenate(design.weight)
    assert_allclose(share.sum(), 1.0)
    # One column is centred at 1e4, where a double resolves 2e-12.
    assert_allclose(share @ stacked[:, 1:], 0.0, atol=1e-11)
    assert_allclose(share @ stacked[:, 1:] ** 2, 1.0)


def test_rows_are_grouped_by_class_in_their_order():
    X, codes, weight = example()
    design = build_design(X, codes, weight, 4, scale=True)
    for c in range(4):
        raw = design.block[c][:, 1:] * design.scale + design.center
        assert_allclose(raw, X[codes == c], rtol=1e-9)


def test_sparse_scale_equals_dense_scale():
    X, codes, weight = example()
    X = np.where(np.abs(X) < np.median(np.abs(X)), 0.0, X)
    dense = build_design(X, codes, weight, 4, scale=True)
    thin = build_design(sparse.csr_array(X), codes, weight, 4, scale=True)
    assert_allclose(thin.scale, dense.scale, rtol=1e-9)
    assert_array_equal(thin.center, 0.0)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_constant_columns_are_found_and_emptied(form):
    X, codes, weight = example()
    X[:, 1], X[:, 3] = 1e9 / 3.0, 0.0
    design = build_design(form(X), codes, weight, 4, scale=True)
    assert_array_equal(design.constant, [False, True, False, True, False])
    assert_array_equal(design.scale[[1, 3]], 1.0)
    for block in design.block:
        part = block.toarray() if sparse.issparse(block) else block
        assert not part[:, [2, 4]].any()


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("factor", [1e180, 1e-180])
def test_scale_survives_columns_whose_squares_leave_the_range(form, factor):
    X, codes, weight = example()
    X[:, 0] *= factor
    design = build_design(form(X), codes, weight, 4, scale=True)
    plain = build_design(form(example()[0]), codes, weight, 4, scale=True)
    assert_allclose(design.scale[0] / factor, plain.scale[0], rtol=1e-9)


def test_raw_coefficients_come_back():
    X, codes, weight = example()
    design = build_design(X, codes, weight, 4, scale=True)
    rng = np.random.default_rng(1)
    intercept, slopes = rng.normal(size=3), rng.normal(size=(3, 5))
    there = design.from_raw(intercept, slopes)
    back = design.to_raw(there)
    assert_allclose(back[0], intercept, rtol=1e-7)
    assert_allclose(back[1], slopes)
    assert_allclose(design.block[0] @ there.T, intercept + X[codes == 0] @ slopes.T)


def test_given_arrays_are_left_alone():
    X, codes, weight = example()
    before = X.copy()
    X.flags.writeable = codes.flags.writeable = weight.flags.writeable = False
    build_design(X, codes, weight, 4, scale=True)
    assert_array_equal(X, before)


@pytest.mark.parametrize("sign", ["positive", "negative", "mixed"])
@pytest.mark.parametrize("form", [np.asarray, sparse.csc_array])
def test_weighted_gram_is_the_weighted_product(sign, form):
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(60, 4))
    weight = rng.normal(size=60)
    weight = {"positive": np.abs, "negative": lambda w: -np.abs(w)}.get(sign, np.array)(
        weight
    )
    expected = matrix.T @ np.diag(weight) @ matrix
    assert_allclose(weighted_gram(form(matrix), weight), expected, atol=1e-12)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("value", [1.0, 0.1, -7.3e5])
def test_constant_column_is_found_at_every_number_of_rows(form, value):
    # The weighted mean of equal numbers need not equal them.
    for n in range(50, 1200, 50):
        X, codes, weight = example(n=n)
        X[:, 2] = value
        design = build_design(form(X), codes, weight, 4, scale=True)
        assert_array_equal(design.constant, [False, False, True, False, False])


def test_weighted_gram_of_missing_weights_is_missing():
    X, weight = np.ones((5, 2)), np.ones(5)
    weight[2] = np.nan
    assert np.isnan(weighted_gram(X, weight)).all()
    assert np.isnan(weighted_gram(X, -weight)).all()
