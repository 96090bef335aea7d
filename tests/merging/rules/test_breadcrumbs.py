"""Breadcrumbs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from merging_cases import BASE, UPDATES, around, known
from statlearn.merging._rules._breadcrumbs import breadcrumbs
from statlearn.merging._rules._signs import combine
from statlearn.merging._rules._ties import ties

KNOWN = [
    [-0.33, -0.25, -0.257, 0.066],
    [-0.04, -0.065, -0.027, 0.02],
    [0.091, 0.255, 0.2, 0.292],
    [0.246, 0.425, 0.394, 0.5265],
]


def test_known_merge():
    # Around zero, where equal updates are equal to the last bit.
    base, models = around(np.zeros((4, 4)), UPDATES)
    merged = breadcrumbs(base, models, density=0.6, gamma=0.125, lam=0.3)["w"]
    assert_allclose(BASE + merged, KNOWN, atol=1e-14)


def test_array_with_fewer_numbers_than_one_outlier_is_not_lost():
    base, models = around(np.zeros(8), np.tile(np.arange(1.0, 9.0), (2, 1)))
    merged = breadcrumbs(base, models)["w"]
    # Nine tenths of eight are seven; a hundredth of eight is none.
    assert_array_equal(merged, [0.0, *np.arange(4.0, 17.0, 2.0)])


def test_upper_cut_gives_way_to_the_density():
    base, models = around(np.zeros(10), np.tile(np.arange(1.0, 11.0), (2, 1)))
    merged = breadcrumbs(base, models, density=0.9, gamma=0.5)["w"]
    assert_array_equal(merged, [*np.arange(2.0, 20.0, 2.0), 0.0])


@given(st.integers(1, 60), st.floats(0.05, 1.0), st.floats(0.0, 0.9))
def test_share_that_is_kept_is_the_density(n, density, gamma):
    update = np.random.default_rng(n).permutation(n) + 1.0
    base, models = around(np.zeros(n), [update, update])
    kept = breadcrumbs(base, models, density=density, gamma=gamma)["w"] != 0.0
    expected = max(1, int(density * n * (1.0 + 1e-12)))
    assert kept.sum() == expected
    assert np.ptp(update[kept]) == expected - 1  # neighbours by magnitude


def test_signs_are_elected_among_those_that_are_left():
    base, models = around(np.zeros((4, 4)), UPDATES)
    options = {"density": 0.6, "gamma": 0.125}
    merged = breadcrumbs(base, models, consensus=True, **options)["w"]
    left = [
        breadcrumbs(base, [model, model], weights=[1.0, 0.0], **options)["w"]
        for model in models
    ]
    expected = combine(np.array(left).reshape(3, -1), np.ones(3), consensus=True)
    assert_allclose(merged.ravel(), expected, atol=1e-15)


def test_no_outliers_and_elected_signs_are_ties():
    updates = np.random.default_rng(0).standard_normal((3, 40))
    base, models = around(np.zeros(40), updates)
    merged = breadcrumbs(base, models, density=0.45, gamma=0.0, consensus=True)["w"]
    assert_allclose(merged, ties(base, models, density=0.45)["w"], atol=1e-15)


def test_one_model_comes_back_whole():
    base, models = known(1)
    assert_allclose(breadcrumbs(base, models)["w"], models[0]["w"], atol=1e-15)


@pytest.mark.parametrize(
    ("name", "value"), [("density", 0.0), ("density", 2.0), ("gamma", 1.0)]
)
def test_shares_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"'{name}' of breadcrumbs must lie in"):
        breadcrumbs(*known(2), **{name: value})
