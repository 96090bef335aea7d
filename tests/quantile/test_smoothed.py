"""Quasi-Newton steps on smoothed pinball loss."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from quantile_oracle import CONSTRAINTS, expert_stack, highs_optimum
from statlearn.quantile import _smoothed
from statlearn.quantile._constraint import Constraint
from statlearn.quantile._interior_point import solve_pinball_batch
from statlearn.quantile._standard_form import standard_form


def rules_of(constraint, n_free):
    nonneg, sum_to_one = CONSTRAINTS[constraint]
    return {"nonneg": nonneg, "sum_to_one": sum_to_one, "n_free": n_free}


@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
@pytest.mark.parametrize("n_free", [0, 1])
def test_objective_is_close_to_highs_and_its_gap_bounds_it(constraint, n_free):
    stack, y, levels = expert_stack(500, 4, 5, seed=0)
    rules = rules_of(constraint, n_free)
    weight = np.random.default_rng(0).uniform(0.2, 2.0, 500)
    for k in (0, 2):
        X = np.c_[np.ones((500, n_free)), stack[:, :, k]]
        fit = solve_pinball_batch(
            X, y, levels[[k]], weight, constraint=Constraint(**rules), smoothed=True
        )
        best = highs_optimum(X, y, levels[k], weight, **rules)
        assert best * (1 - 1e-10) <= fit.objective[0] <= best * (1 + 1e-4)
        assert fit.objective[0] - fit.duality_gap[0] <= best * (1 + 1e-10)
        assert fit.duality_gap[0] <= 1e-3 * best


@pytest.mark.parametrize("constraint", list(CONSTRAINTS))
def test_gradient_is_that_of_finite_differences(constraint):
    stack, y, levels = expert_stack(50, 3, 5, seed=1)
    rules = rules_of(constraint, 1)
    X = np.c_[np.ones(50), stack[:, :, 1]]
    form = standard_form(
        X, y, np.array([[levels[1]]]), np.ones(50), Constraint(**rules)
    )
    x = np.random.default_rng(1).uniform(0.1, 1.0, form.start.shape[1])

    def value(x):
        return _smoothed._smoothed(x, form.block, form.constraint, 0.1)[0]

    def slope(x):
        return _smoothed._smoothed(x, form.block, form.constraint, 0.1)[1]

    assert check_grad(value, slope, x) < 1e-6


@pytest.mark.parametrize("width", [0.5, 0.05])
def test_smoothed_loss_is_moreaus_envelope(width):
    # The envelope at e is the least of loss(t) + (e - t)^2 / (2 width).
    X, y = np.zeros((3, 2)), np.array([-1.0, 0.1, 1.0])
    form = standard_form(X, y, np.array([[0.3]]), np.ones(3), Constraint(nonneg=True))
    value, _ = _smoothed._smoothed(form.start[0], form.block, form.constraint, width)
    e, t = form.block.y[0], np.linspace(-3.0, 3.0, 600_001)
    kink = np.maximum(0.3 * t, -0.7 * t)
    envelope = [(kink + (r - t) ** 2 / (2.0 * width)).min() for r in e]
    np.testing.assert_allclose(value, np.mean(envelope), rtol=1e-8)
