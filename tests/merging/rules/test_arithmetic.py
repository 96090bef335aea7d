"""The average and task arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from merging_cases import BASE, UPDATES, around, known
from statlearn.merging._rules._arithmetic import average, task_arithmetic


def test_known_sum_of_task_vectors():
    merged = task_arithmetic(*known(3), lam=0.3)["w"]
    assert_allclose(merged[0], [-0.21, -0.25, -0.242, 0.066], atol=1e-15)


def test_average_is_the_base_and_the_mean_update():
    merged = average(*known(3))["w"]
    assert_allclose(merged, BASE + UPDATES.mean(axis=0), atol=1e-15)


def test_weights_of_an_average_are_divided_by_their_sum():
    base, models = known(2)
    merged = average(base, models, weights=[1.0, 3.0])["w"]
    assert_allclose(merged, 0.25 * models[0]["w"] + 0.75 * models[1]["w"], rtol=1e-14)


def test_weights_count_as_they_are_without_normalize():
    base, models = known(2)
    merged = average(base, models, weights=[0.1, 1.0], normalize=False)["w"]
    assert_allclose(merged, 0.1 * models[0]["w"] + models[1]["w"], rtol=1e-13)


def test_weights_of_an_average_that_cancel_are_refused():
    with pytest.raises(ValueError, match="must not sum to zero"):
        average(*known(2), weights=[1.0, -1.0])


def test_average_does_not_depend_on_the_base():
    base, models = known(2)
    assert_array_equal(
        average({"w": np.full((4, 4), 7.0)}, models)["w"], average(base, models)["w"]
    )


def test_negative_weight_takes_a_task_away():
    base, models = known(2)
    merged = task_arithmetic(base, models, weights=[1.0, -1.0])["w"]
    assert_allclose(merged, BASE + UPDATES[0] - UPDATES[1], atol=1e-15)


def test_sums_of_float32_are_taken_in_double_precision():
    base = np.zeros(1, np.float32)
    models = [{"w": np.array([x], np.float32)} for x in (1e8, 1.0, -1e8)]
    assert task_arithmetic({"w": base}, models)["w"][0] == 1.0


@given(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0))
def test_sum_is_linear_in_the_coefficient_and_the_weights(lam, weight):
    base, models = around(np.zeros((4, 4)), UPDATES[:2])
    merged = task_arithmetic(base, models, weights=[weight, 1.0], lam=lam)["w"]
    assert_allclose(merged, lam * (weight * UPDATES[0] + UPDATES[1]), atol=1e-14)


@pytest.mark.parametrize("rule", [average, task_arithmetic], ids=["mean", "sum"])
def test_one_model_comes_back(rule):
    base, models = known(1)
    assert_allclose(rule(base, models)["w"], models[0]["w"], atol=1e-15)


def test_coefficient_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match="'lam' of task_arithmetic must be a real"):
        task_arithmetic(*known(1), lam="much")
