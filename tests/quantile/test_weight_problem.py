"""The linear programs behind the weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantile_oracle import expert_stack, mean_loss
from statlearn.quantile import _weight_problem
from statlearn.quantile._constraint import Constraint
from statlearn.quantile._weight_problem import WeightProblem


def problem(solver="auto", *, nonneg=True, intercept=False, n=80):
    stack, y, levels = expert_stack(n, 3, 5, seed=0)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, n)
    return WeightProblem(
        stack,
        y,
        weight,
        levels,
        Constraint(nonneg, True, int(intercept)),
        solver,
        1e-9,
        100,
    )


def loss_of(found, task):
    return mean_loss(
        task.stack, task.y, task.levels, found.weights, found.intercept, task.weight
    )


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("groups", [[0, 1, 2, 3, 4], [0, 0, 1, 1, 1], [0] * 5])
def test_groups_have_the_loss_of_highs(groups, intercept):
    groups = np.array(groups)
    task = problem(intercept=intercept)
    found = task.solve_groups(groups)
    witness = replace(task, solver="highs").solve_groups(groups)
    np.testing.assert_allclose(loss_of(found, task), loss_of(witness, task), rtol=1e-8)
    assert found.converged
    for group in np.unique(groups):
        own = groups == group
        assert (found.weights[own] == found.weights[own][0]).all()
        assert (found.intercept[own] == found.intercept[own][0]).all()


@pytest.mark.parametrize("solve", ["levels", "fine"])
@pytest.mark.parametrize("nonneg", [True, False])
def test_batches_of_levels_give_what_all_levels_give(solve, nonneg, monkeypatch):
    task = problem(nonneg=nonneg)

    def loss():
        found = (
            task.solve_fine() if solve == "fine" else task.solve_groups(np.arange(5))
        )
        return loss_of(found, task)

    together = loss()
    monkeypatch.setattr(_weight_problem, "_TOGETHER", 1)
    np.testing.assert_allclose(loss(), together, rtol=1e-8)


def test_gap_is_that_of_the_sum_over_rows_and_levels():
    task = replace(problem(), tol=1e-3)
    exact = loss_of(replace(task, tol=1e-10).solve_groups(np.arange(5)), task)
    found = task.solve_groups(np.arange(5))
    scale = 5 * task.weight.sum()
    assert loss_of(found, task) - found.gap / scale <= exact * (1 + 1e-9)
