"""The k largest of many numbers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from statlearn.merging._rules import _selection
from statlearn.merging._rules._selection import (
    FEW,
    Above,
    count_of,
    cut_below,
    magnitude_cut,
    model_cuts,
)
from statlearn.merging._state._entry import Entry

MANY = FEW + 4321


def pieces(numbers, size=1000):
    bounds = [*range(0, len(numbers), size), len(numbers)]
    return lambda: (numbers[a:b] for a, b in pairwise(bounds))


def chosen(numbers, k, *, last=False, sample=None):
    blocks = pieces(numbers)
    above = Above(cut_below(k, len(numbers), blocks, sample), last=last)
    return np.concatenate([above(block) for block in blocks()])


def by_sorting(numbers, k):
    mask = np.zeros(len(numbers), bool)
    mask[np.argsort(-numbers, kind="stable")[:k]] = True
    return mask


@given(
    arrays(np.float64, st.integers(1, 40), elements=st.integers(-3, 3).map(float)),
    st.integers(0, 40),
)
def test_first_of_equal_numbers_are_the_larger(numbers, k):
    k = min(k, len(numbers))
    np.testing.assert_array_equal(chosen(numbers, k), by_sorting(numbers, k))


@given(
    arrays(np.float64, st.integers(1, 40), elements=st.integers(-3, 3).map(float)),
    st.integers(0, 40),
)
def test_last_of_equal_numbers_may_be_the_larger(numbers, k):
    k = min(k, len(numbers))
    expected = by_sorting(numbers[::-1], k)[::-1]
    np.testing.assert_array_equal(chosen(numbers, k, last=True), expected)


@pytest.mark.parametrize("k", [1, 7, MANY // 5, MANY // 2, MANY - 1, MANY])
@pytest.mark.parametrize("kind", ["normal", "ties", "one value", "mostly zero"])
def test_many_numbers_are_cut_exactly(kind, k):
    rng = np.random.default_rng(k)
    numbers = {
        "normal": rng.standard_normal(MANY),
        "ties": rng.integers(0, 5, MANY).astype(float),
        "one value": np.ones(MANY),
        "mostly zero": rng.standard_normal(MANY) * (rng.random(MANY) < 0.01),
    }[kind]
    np.testing.assert_array_equal(chosen(numbers, k), by_sorting(numbers, k))


@pytest.mark.parametrize("misled", [-9.0, 0.0, 9.0])
def test_misleading_sample_costs_passes_but_not_exactness(misled):
    numbers = np.random.default_rng(0).standard_normal(MANY)
    mask = chosen(numbers, 5000, sample=lambda m: np.full(m, misled))
    np.testing.assert_array_equal(mask, by_sorting(numbers, 5000))


def test_few_numbers_are_collected_from_many(monkeypatch):
    # A cut of 2e5 numbers with a fair sample looks at less than a tenth of them.
    numbers = np.random.default_rng(1).standard_normal(200_000)
    collected = []

    def spy(inner, k):
        collected.append(len(inner))
        return cut_within(inner, k)

    cut_within = _selection._cut_within
    monkeypatch.setattr(_selection, "_cut_within", spy)
    chosen(numbers, 40_000)
    assert collected
    assert collected[0] < 20_000


def test_arrays_of_one_model_count_as_one_vector():
    rng = np.random.default_rng(2)
    sizes = [(300, 400), (7,), (250, 100)]
    base = [rng.standard_normal(shape).astype(np.float32) for shape in sizes]
    model = [rng.standard_normal(shape).astype(np.float32) for shape in sizes]
    entries = [Entry("w", b, (m,)) for b, m in zip(base, model, strict=True)]
    cut = magnitude_cut(1000, 145_007, lambda: entries)
    differences = np.concatenate(
        [(m.astype(float) - b).ravel() for b, m in zip(base, model, strict=True)]
    )
    assert cut.value == np.sort(np.abs(differences))[-1000]


def test_each_model_has_its_own_cut():
    entry = Entry("w", np.zeros(3), (np.array([1.0, -3.0, 2.0]), np.full(3, 5.0)))
    assert [cut.value for cut in model_cuts(entry, 2)] == [2.0, 5.0]


@pytest.mark.parametrize(
    ("share", "n", "count"),
    [(0.29, 100, 29), (0.2, 16, 3), (1.0, 7, 7), (1 / 3, 3, 1), (0.0, 9, 0)],
)
def test_share_is_rounded_down_without_dust(share, n, count):
    assert count_of(share, n) == count
