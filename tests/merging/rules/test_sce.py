"""SCE."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from merging_cases import BASE, UPDATES, around, known
from statlearn.merging._rules._sce import _update_weights, _variance_cut, sce
from statlearn.merging._state._entry import Entry

WEIGHTS = [0.37820671, 0.39138827, 0.23040502]


def test_known_weights_of_the_models():
    base, models = known(3)
    entry = Entry("w", base["w"], tuple(model["w"] for model in models))
    found = _update_weights(entry, _variance_cut(entry, 0.5))
    assert_allclose(found, WEIGHTS, atol=5e-9)


def test_merge_is_the_weighted_mean_of_what_agrees():
    merged = sce(*known(3), topk=0.5)["w"] - BASE
    selected = np.argsort(-UPDATES.var(axis=0).ravel(), kind="stable")[:8]
    mask = np.zeros(16)
    mask[selected] = 1.0
    updates = UPDATES.reshape(3, 16) * mask
    agree = np.sign(updates) == np.where(updates.sum(axis=0) >= 0.0, 1.0, -1.0)
    shares = np.array(WEIGHTS)[:, None] * agree
    total = shares.sum(axis=0)
    expected = (shares * updates).sum(axis=0) / np.where(total > 0.0, total, 1.0)
    assert_allclose(merged.ravel(), expected, atol=1e-8)


@pytest.mark.parametrize("size", [1e-6, 1.0], ids=["small", "plain"])
def test_small_updates_are_weighted_like_large_ones(size):
    # Squares below a fixed threshold would make the models count alike.
    base, models = around(np.zeros(2), size * np.array([[1.0, 2.0], [3.0, 4.0]]))
    expected = (5.0 * np.array([1.0, 2.0]) + 25.0 * np.array([3.0, 4.0])) / 30.0
    assert_allclose(sce(base, models)["w"], size * expected, rtol=1e-12)


def test_equal_models_come_back():
    base, models = around(BASE, UPDATES[[0, 0, 0]])
    assert_allclose(sce(base, models)["w"], models[0]["w"], atol=1e-15)


def test_numbers_on_which_all_agree_are_not_selected():
    base, models = around(np.zeros(3), [[0.1, 1.0, 5.0]] * 2 + [[0.1, 4.0, 5.0]])
    merged = sce(base, models, topk=0.999)["w"]
    assert_array_equal(merged, np.zeros(3))  # of one that differs, a part is none
    merged = sce(base, models, topk=1.0)["w"]
    assert_allclose(merged[[0, 2]], [0.1, 5.0], rtol=1e-15)


def test_one_model_comes_back_whole():
    base, models = known(1)
    assert_allclose(sce(base, models, topk=0.1)["w"], models[0]["w"], atol=1e-15)


@given(arrays(np.float64, (3, 6), elements=st.integers(-9, 9).map(float)))
def test_laws(updates):
    base, models = around(np.zeros(6), updates)
    merged = sce(base, models, topk=1.0)["w"]
    assert_allclose(sce(base, models[::-1])["w"], merged, rtol=1e-13)
    assert_allclose(sce(base, models, lam=-3.0)["w"], -3.0 * merged, rtol=1e-13)
    assert (np.abs(merged) <= np.abs(updates).max(axis=0) * (1.0 + 1e-14)).all()


@pytest.mark.parametrize("topk", [0.0, 1.5])
def test_share_out_of_range_is_refused(topk):
    with pytest.raises(ValueError, match=r"'topk' of sce must lie in \(0, 1\]"):
        sce(*known(2), topk=topk)
