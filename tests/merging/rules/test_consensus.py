"""Consensus of task masks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from merging_cases import BASE, UPDATES, around, known
from statlearn.merging._rules._consensus import consensus

CONSENSUS = [
    [0.3, 0, -0.14, 0.72],
    [0.62, 0.02, -0.04, -0.01],
    [-0.03, 0.65, -0.02, 0],
    [-0.125, 0.095, -0.095, -0.145],
]


def test_known_consensus():
    assert_allclose(consensus(*known(3))["w"] - BASE, CONSENSUS, atol=1e-14)


def test_each_task_may_have_its_own_threshold():
    base, models = known(3)
    same = consensus(base, models, lam_mask=[0.4, 0.4, 0.4])["w"]
    assert_array_equal(same, consensus(base, models)["w"])
    # A task with an infinite threshold needs nothing, one with 0 all it changed.
    base, models = around(np.zeros(3), [[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [1.0] * 3])
    merged = consensus(base, models, lam_mask=[0.0, 0.0, 1e9])["w"]
    assert_array_equal(merged, [3.0, 0.0, 0.0])


def test_masks_are_those_of_a_plain_loop():
    updates = np.random.default_rng(0).standard_normal((4, 50))
    base, models = around(np.zeros(50), updates)
    merged = consensus(base, models, k=3, lam_mask=0.3)["w"]
    votes = np.zeros(50)
    for task in range(4):
        others = np.delete(updates, task, axis=0).sum(axis=0)
        votes += np.abs(updates[task]) > 0.3 * np.abs(others)
    assert_allclose(merged, updates.sum(axis=0) * (votes >= 3), atol=1e-14)


def test_weights_scale_the_task_vectors():
    base, models = around(np.zeros((4, 4)), UPDATES[:2])
    _, halved = around(np.zeros((4, 4)), [0.5 * UPDATES[0], -UPDATES[1]])
    merged = consensus(base, models, weights=[0.5, -1.0])["w"]
    assert_array_equal(merged, consensus(base, halved)["w"])


@pytest.mark.parametrize("k", [0, 4])
def test_number_of_tasks_out_of_range_is_refused(k):
    with pytest.raises(ValueError, match="'k' of consensus must be"):
        consensus(*known(3), k=k)


@pytest.mark.parametrize("value", [-0.1, [0.4, 0.4], "much", np.nan])
def test_thresholds_that_fit_no_task_are_refused(value):
    with pytest.raises(ValueError, match="'lam_mask' of consensus must be a number"):
        consensus(*known(3), lam_mask=value)
