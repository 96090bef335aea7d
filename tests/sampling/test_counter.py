"""Random numbers by their place, and orders computed row by row."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.stats import chi2, chisquare, kstest

from statlearn.sampling._counter import Lane, Shuffle, generator_at, stream_key

KEY = stream_key(0)


def order(size, *, turn=0, domain=0, sizes=None, key=KEY, epoch=0):
    shuffle = Shuffle(np.array([size] if sizes is None else sizes), key, epoch)
    return shuffle.rows(
        np.full(size, domain), np.full(size, turn), np.arange(size, dtype=np.int64)
    )


@given(st.integers(1, 3000), st.integers(0, 5))
def test_every_row_comes_once(size, turn):
    assert_array_equal(np.sort(order(size, turn=turn)), np.arange(size))


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6])
def test_all_orders_of_few_rows_are_equally_likely(size):
    shuffle = Shuffle(np.array([size]), KEY, 0)
    n_turns = 24_000
    turns = np.repeat(np.arange(n_turns), size)
    rows = shuffle.rows(
        np.zeros(len(turns), np.intp), turns, np.tile(np.arange(size), n_turns)
    ).reshape(n_turns, size)
    codes = rows @ size ** np.arange(size)
    all_codes = [np.dot(p, size ** np.arange(size)) for p in permutations(range(size))]
    counts = np.array([(codes == code).sum() for code in all_codes])
    assert counts.sum() == n_turns
    assert chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("size", [7, 17, 64, 100, 1100])
def test_rows_places_and_distances_are_equally_likely(size):
    shuffle = Shuffle(np.array([size]), KEY, 0)
    n_turns = max(500, 400_000 // size)
    turns = np.repeat(np.arange(n_turns), size)
    rows = shuffle.rows(
        np.zeros(len(turns), np.intp), turns, np.tile(np.arange(size), n_turns)
    ).reshape(n_turns, size)
    first = np.bincount(rows[:, 0], minlength=size)
    assert chisquare(first).pvalue > 1e-4
    # Distances between neighbours, where a weak network shows first.
    steps = (rows[:, 1:] - rows[:, :-1]) % size
    distances = np.bincount(steps.ravel(), minlength=size)
    assert distances[0] == 0
    assert chisquare(distances[1:]).pvalue > 1e-4
    places = np.bincount((rows * size + np.arange(size)).ravel(), minlength=size**2)
    distance = np.sum((places - n_turns / size) ** 2) / n_turns * (size - 1)
    assert chi2.sf(distance, (size - 1) ** 2) > 1e-4


def test_a_large_domain_is_well_mixed():
    size = 1_000_000_007
    shuffle = Shuffle(np.array([size]), KEY, 0)
    position = np.arange(200_000)
    rows = shuffle.rows(np.zeros(200_000, np.intp), position * 0, position)
    assert len(np.unique(rows)) == len(rows)
    assert kstest(rows / size, "uniform").pvalue > 1e-4
    step = np.diff(rows) % size
    assert kstest(step / size, "uniform").pvalue > 1e-4


def test_orders_differ_by_turn_domain_epoch_and_key():
    base = order(50)
    others = [
        order(50, turn=1),
        order(50, domain=1, sizes=[50, 50]),
        order(50, epoch=1),
        order(50, key=stream_key(1)),
    ]
    stacked = np.array([base, *others])
    assert len(np.unique(stacked, axis=0)) == 5
    assert_array_equal(order(50), base)


def test_generators_of_different_places_are_different():
    places = [
        (KEY, Lane.DRAW, 0, 0),
        (KEY, Lane.DRAW, 0, 1),
        (KEY, Lane.DRAW, 1, 0),
        (KEY, Lane.ROW, 0, 0),
        (stream_key(1), Lane.DRAW, 0, 0),
    ]
    numbers = [generator_at(*place).random(4) for place in places]
    assert len(np.unique(numbers)) == 20
    assert_array_equal(generator_at(*places[1]).random(4), numbers[1])


def test_keys_are_those_of_the_random_state():
    assert stream_key(5) == stream_key(np.int64(5))
    assert stream_key(5) != stream_key(6)
    generator = np.random.default_rng(5)
    assert stream_key(generator) == stream_key(5)
    assert stream_key(generator) != stream_key(5)
    assert stream_key(None) != stream_key(None)
