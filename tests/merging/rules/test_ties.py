"""TIES under the conventions of three programs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from merging_cases import BASE, UPDATES, around, known
from statlearn.merging._rules._ties import CONVENTIONS, ties

MERGEKIT = np.array(
    [
        [0.1, -0.25, -0.5, 0.09],
        [0.21, -0.4, -0.2, -0.15],
        [-0.03, 0.4125, -0.25, 0.49],
        [0, 0.6, 0.17, 0.05],
    ]
)
PEFT = [
    [0.2, 0, -0.6, 0.28],
    [0.52, -0.35, -0.1, -0.4],
    [-0.26, 0.4125, -0.225, 0.48],
    [-0.15, 0.125, -0.46, -0.4],
]
AUTHORS = [
    [0.4, 0, -0.3, 0.24],
    [0.31, -0.35, -0.2, -0.2],
    [-0.13, 0.21666667, -0.45, 0.24],
    [-0.3, 0.25, -0.23, -0.4],
]


def test_known_merge_of_mergekit():
    assert_allclose(ties(*known(3), density=0.5)["w"], MERGEKIT, atol=1e-14)


def test_known_merge_of_mergekit_with_weights():
    expected = MERGEKIT.copy()
    expected[1, 0], expected[2, 1], expected[2, 2] = 0.24666667, 0.425, 0.6
    merged = ties(*known(3), density=0.5, weights=[0.5, 1.0, 2.0])["w"]
    assert_allclose(merged, expected, atol=1e-8)


def test_known_merge_of_peft():
    options = {"density": 0.5, "weights": [0.5, 1.0, 2.0], "convention": "peft"}
    assert_allclose(ties(*known(3), **options)["w"] - BASE, PEFT, atol=1e-14)


def test_known_merge_of_the_authors():
    merged = ties(*known(3), density=0.5, convention="authors")["w"]
    assert_allclose(merged - BASE, AUTHORS, atol=1e-8)


def test_equal_weights_make_mergekit_and_peft_the_same():
    base, models = known(3)
    first, second = (ties(base, models, convention=name) for name in CONVENTIONS[:2])
    assert_allclose(first["w"], second["w"], atol=1e-15)


def test_authors_trim_all_arrays_as_one_vector():
    base = {"a": np.zeros(4), "b": np.zeros(4)}
    first = {"a": np.array([1.0, 2.0, 3.0, 4.0]), "b": np.array([5.0, 6.0, 7.0, 8.0])}
    second = {"a": np.zeros(4), "b": np.zeros(4)}
    merged = ties(base, [first, second], density=0.25, convention="authors")
    # A quarter of eight and one more are kept, all of them in b.
    assert_array_equal(merged["a"], np.zeros(4))
    assert_array_equal(merged["b"], [0.0, 6.0, 7.0, 8.0])
    alone = ties(base, [first, second], density=0.25)
    assert_array_equal(alone["a"], [0.0, 0.0, 0.0, 4.0])


@pytest.mark.parametrize(("more", "expected"), [(1.0, 2.0), (-1.0, -2.0)])
def test_authors_give_a_tie_the_sign_of_the_majority(more, expected):
    base, models = around(np.zeros(3), [[2.0, more, more], [-2.0, more, more]])
    merged = ties(base, models, density=1.0, convention="authors")["w"]
    assert_array_equal(merged, [expected, more, more])


@pytest.mark.parametrize("convention", ["mergekit", "peft"])
def test_tie_elects_the_plus(convention):
    base, models = around(np.zeros(3), [[2.0, -1.0, -1.0], [-2.0, -1.0, -1.0]])
    merged = ties(base, models, density=1.0, convention=convention)["w"]
    assert_array_equal(merged, [2.0, -1.0, -1.0])


def test_array_of_few_numbers_keeps_the_largest_one():
    # A fifth of four numbers is none: the update of a short bias would be lost.
    base, models = around(np.zeros(4), [[1.0, 4.0, 2.0, 3.0]] * 2)
    assert_array_equal(ties(base, models, density=0.2)["w"], [0.0, 4.0, 0.0, 0.0])


def test_first_of_equal_updates_are_kept():
    base, models = around(np.zeros(4), [[1.0, -1.0, 1.0, 1.0]] * 2)
    assert_array_equal(ties(base, models, density=0.5)["w"], [1.0, -1.0, 0.0, 0.0])


def test_trimming_goes_on_over_the_blocks_of_a_large_array():
    rng = np.random.default_rng(0)
    updates = rng.integers(-20, 21, (2, 500, 400)).astype(float)
    base, models = around(np.zeros((500, 400)), updates)
    kept = np.zeros((2, 200_000))
    for row, update in zip(kept, updates.reshape(2, -1), strict=True):
        first = np.argsort(-np.abs(update), kind="stable")[:40_000]
        row[first] = update[first]
    positive = kept.sum(axis=0) >= 0.0
    agree = np.where(positive, kept > 0.0, kept < 0.0)
    expected = (kept * agree).sum(axis=0) / np.maximum(1, agree.sum(axis=0))
    assert_allclose(ties(base, models)["w"].ravel(), expected, rtol=1e-15)


@pytest.mark.parametrize("convention", CONVENTIONS)
@given(
    updates=arrays(np.float64, (2, 6), elements=st.integers(-5, 5).map(float)),
    density=st.floats(0.05, 1.0),
    lam=st.floats(-2.0, 2.0),
)
def test_laws(convention, updates, density, lam):
    base, models = around(np.zeros(6), updates)
    options = {"density": density, "convention": convention}
    merged = ties(base, models, **options)["w"]
    scaled = ties(base, models, lam=lam, **options)["w"]
    assert_allclose(scaled, lam * merged, atol=1e-14)
    swapped = ties(base, models[::-1], **options)["w"]
    assert_array_equal(swapped, merged)
    _, doubled = around(np.zeros(6), 2.0 * updates)
    assert_array_equal(ties(base, doubled, **options)["w"], 2.0 * merged)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_one_model_comes_back_whole(convention):
    base, models = known(1)
    merged = ties(base, models, convention=convention)["w"]
    assert_allclose(merged, models[0]["w"], atol=1e-15)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_equal_models_come_back_if_nothing_is_trimmed(convention):
    base, models = around(BASE, UPDATES[[0, 0, 0]])
    merged = ties(base, models, density=1.0, convention=convention)["w"]
    assert_allclose(merged, models[0]["w"], atol=1e-15)


@pytest.mark.parametrize("density", [0.0, -0.5, 1.5, np.nan])
def test_density_out_of_range_is_refused(density):
    with pytest.raises(ValueError, match=r"'density' of ties must lie in \(0, 1\]"):
        ties(*known(2), density=density)


def test_unknown_convention_is_refused():
    with pytest.raises(ValueError, match=r"'peft' or 'authors'\. Got 'ours'"):
        ties(*known(2), convention="ours")


def test_not_a_number_is_refused_before_all_arrays_are_trimmed():
    base, models = around(np.zeros(3), [[1.0, np.nan, 0.0], [1.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="'w' must hold finite numbers"):
        ties(base, models, convention="authors")
