"""Rows whose mean is that of all, the most important first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.preprocessing import normalize

from statlearn.continual import herding
from stub_tensor import Tensor

SIX = np.array([[1, 0], [0.9, 0.1], [0.8, 0.6], [0, 1], [0.6, 0.8], [-1, 0.2]])


def test_six_rows_have_the_known_order():
    assert_array_equal(herding(SIX, 4), [4, 2, 5, 1])


def test_zeros_among_the_digits_have_the_known_order():
    X, y = load_digits(return_X_y=True)
    zeros = X[y == 0][:120]
    assert_array_equal(herding(zeros, 10), [40, 82, 18, 43, 81, 86, 69, 34, 58, 4])


def test_a_row_that_leads_again_counts_again():
    # Worked by hand for directions of 0 and 90 degrees, three to one: the mean is
    # (3/4, 1/4), and the second direction leads for the first time in step three.
    assert_array_equal(herding([[1, 0], [0, 1]], 2, sample_weight=[3, 1]), [0, 1])
    assert_array_equal(herding([[1, 0], [0, 1]], 2, sample_weight=[1, 3]), [1, 0])


rows = arrays(
    np.float64,
    st.tuples(st.integers(1, 12), st.integers(1, 4)),
    elements=st.floats(-10, 10, allow_subnormal=False),
)


@given(rows, st.integers(1, 15), st.integers(1, 15))
def test_fewer_rows_are_the_first_of_more(features, m, k):
    order = herding(features, m)
    assert len(set(order)) == len(order) == min(m, len(features))
    assert_array_equal(herding(features, k)[:m], order[:k])


@given(rows, st.floats(1e-3, 1e3))
def test_length_of_rows_does_not_matter(features, scale):
    # Powers of two leave the last bit alone, and with it ties.
    scale = 2.0 ** np.round(np.log2(scale))
    assert_array_equal(herding(features * scale, 5), herding(features, 5))


def test_mean_comes_nearer_than_that_of_random_rows():
    generator = np.random.default_rng(0)
    phi = normalize(np.abs(generator.normal(size=(400, 10))))
    chosen = np.linalg.norm(phi[herding(phi, 20)].mean(axis=0) - phi.mean(axis=0))
    random = [
        np.linalg.norm(phi[generator.permutation(400)[:20]].mean(axis=0) - phi.mean(0))
        for _ in range(200)
    ]
    assert chosen < 0.5 * np.median(random)
    assert chosen < min(random)


def test_copies_of_a_row_come_in_their_order():
    copies = np.vstack([np.tile([1.0, 0.2], (30, 1)), [[0.0, 1.0], [1.0, 1.0]]])
    order = herding(copies, 32)
    assert sorted(order) == list(range(32))
    copied = order[order < 30]
    assert_array_equal(copied, np.arange(30))
    assert order[1] in (30, 31)


def test_rows_without_weight_are_left_out():
    weight = [1, 1, 0, 1, 0, 1]
    kept = np.flatnonzero(weight)
    assert_array_equal(
        herding(SIX, 6, sample_weight=weight), kept[herding(SIX[kept], 6)]
    )


def test_a_weight_is_the_same_as_copies():
    copied = SIX[[0, 0, 0, 1, 2, 3, 4, 5]]
    first = [SIX[i].tolist() for i in herding(SIX, 3, sample_weight=[3, 1, 1, 1, 1, 1])]
    assert [copied[i].tolist() for i in herding(copied, 3)] == first


def test_sparse_rows_and_tensors_are_read():
    X, y = load_digits(return_X_y=True)
    zeros = X[y == 0]
    expected = herding(zeros, 12)
    for table in (sparse.csr_array(zeros), sparse.coo_matrix(zeros), Tensor(zeros)):
        assert_array_equal(herding(table, 12), expected)
    assert_array_equal(herding(zeros.astype(np.float32), 12), expected)
    assert_array_equal(herding(zeros.tolist(), 12), expected)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_tiny_and_huge_rows_have_the_same_order(scale):
    assert_array_equal(herding(SIX * scale, 4), [4, 2, 5, 1])


def test_rows_of_zeros_are_rows():
    assert sorted(herding(np.zeros((4, 2)), 4)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("features", "found"),
    [
        (SIX[0], r"shape \(2,\)"),
        (SIX[:0], r"shape \(0, 2\)"),
        (SIX[:, :0], r"shape \(6, 0\)"),
        (SIX * np.nan, "NaN, infinity or other values"),
        (sparse.csr_array(np.full((6, 2), np.inf)), "NaN, infinity or other values"),
        ([["a", "b"]], "NaN, infinity or other values"),
        (None, "NaN, infinity or other values"),
    ],
    ids=["vector", "no rows", "no columns", "NaN", "infinite", "words", "None"],
)
def test_features_that_are_no_table_are_refused(features, found):
    message = rf"'features' of herding must be finite numbers .* Got {found}; pass one"
    with pytest.raises(ValueError, match=message):
        herding(features, 2)


@pytest.mark.parametrize(
    ("m", "error"),
    [(0, ValueError), (-1, ValueError), (2.0, TypeError), ("2", TypeError)],
    ids=str,
)
def test_numbers_of_rows_that_are_none_are_refused(m, error):
    with pytest.raises(error, match=r"'m' of herding must be an integer >= 1. Got .*;"):
        herding(SIX, m)


@pytest.mark.parametrize("weight", [[1, 2], [-1] * 6, [np.nan] * 6, [0] * 6], ids=str)
def test_weights_that_are_none_are_refused(weight):
    with pytest.raises(ValueError, match=r"'sample_weight' parameter of herding must"):
        herding(SIX, 2, sample_weight=weight)
