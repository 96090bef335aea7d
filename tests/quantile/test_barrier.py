"""The interior point iterations."""

from __future__ import annotations

import numpy as np
import pytest

from quantile_oracle import highs_optimum
from statlearn.quantile._barrier import Answer, Block, bounds, minimize
from statlearn.quantile._constraint import Constraint

SIMPLEX = Constraint(nonneg=True, sum_to_one=True)


def block_of(n_problems=3, n=60, c=3, *, seed=0, shared=False):
    """Return problems whose weights have a sum of one, with y taken off already."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(1 if shared else n_problems, c, n))
    weight = rng.uniform(0.5, 2.0, (n_problems, n))
    level = rng.uniform(0.1, 0.9, (n_problems, 1))
    return Block(columns, np.zeros((1, n)), weight * level, weight * (1.0 - level))


def start_of(block):
    c = block.columns.shape[1]
    return np.full((len(block.up), c), 1.0 / c)


@pytest.mark.parametrize("shared", [False, True])
def test_each_problem_of_a_batch_has_its_own_optimum(shared):
    block = block_of(shared=shared)
    answer = minimize(block, SIMPLEX, start_of(block), tol=1e-10, max_iter=100)
    for b in range(3):
        weight = block.up[b] + block.down[b]
        best = highs_optimum(
            block.columns[0 if shared else b].T,
            np.zeros(60),
            block.up[b] / weight,
            weight,
            nonneg=True,
            sum_to_one=True,
        )
        np.testing.assert_allclose(answer.primal[b], best, rtol=1e-9)


def test_a_batch_gives_what_its_problems_give_alone():
    block = block_of()
    start = start_of(block)
    limits = {"tol": 1e-10, "max_iter": 100}
    together = minimize(block, SIMPLEX, start, **limits)
    for b in range(3):
        part = block.take(np.array([b]))
        alone = minimize(part, SIMPLEX, start[b : b + 1], **limits)
        np.testing.assert_allclose(alone.primal[0], together.primal[b], rtol=1e-9)
        assert alone.n_iter[0] == together.n_iter[b]


def test_start_and_problem_are_not_changed():
    block = block_of()
    start = start_of(block)
    columns, before = block.columns.copy(), start.copy()
    minimize(block, SIMPLEX, start, tol=1e-10, max_iter=100)
    np.testing.assert_array_equal(start, before)
    np.testing.assert_array_equal(block.columns, columns)


def test_answers_stop_at_the_limit_of_iterations_with_a_true_gap():
    block = block_of(seed=1)
    best = minimize(block, SIMPLEX, start_of(block), tol=1e-12, max_iter=100)
    gaps = []
    for max_iter in (0, 2, 4, 6):
        answer = minimize(block, SIMPLEX, start_of(block), tol=1e-12, max_iter=max_iter)
        assert (answer.n_iter <= max_iter).all()
        assert (answer.primal - answer.gap <= best.primal * (1 + 1e-12)).all()
        gaps.append(answer.gap.max())
    assert (np.diff(gaps) < 0.0).all()


def test_bounds_hold_for_any_weights_and_duals():
    block = block_of(seed=2)
    best = minimize(block, SIMPLEX, start_of(block), tol=1e-12, max_iter=100)
    rng = np.random.default_rng(0)
    for _ in range(20):
        w = rng.dirichlet(np.ones(3), 3)
        d = rng.uniform(-block.down, block.up)
        e = block.y - block.fitted(w)
        primal, gap = bounds(block, SIMPLEX, w, d, e, block.pull(d))
        assert (primal >= best.primal * (1 - 1e-12)).all()
        assert (primal - gap <= best.primal * (1 + 1e-12)).all()


def test_gram_is_the_weighted_product_of_the_columns():
    block = block_of()
    D = np.random.default_rng(0).uniform(0.1, 1.0, (3, 60))
    expected = np.einsum("bin,bn,bjn->bij", block.columns, D, block.columns)
    np.testing.assert_allclose(block.gram(np.sqrt(D)), expected, rtol=1e-12)


def test_answers_are_taken_and_put_by_position():
    answer = Answer(*(np.arange(3.0)[:, None],) * 2, *(np.arange(3.0),) * 3)
    part = answer.take(np.array([2, 0]))
    np.testing.assert_array_equal(part.primal, [2.0, 0.0])
    copy = Answer(*(np.zeros((3, 1)) for _ in range(2)), *np.zeros((3, 3)))
    copy.put(np.array([2, 0]), part)
    np.testing.assert_array_equal(copy.gap, [0.0, 0.0, 2.0])
