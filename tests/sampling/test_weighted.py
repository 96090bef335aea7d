"""Rows drawn by weight."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chisquare

from statlearn.sampling import WeightedSampler
from statlearn.sampling import _table as table_module
from statlearn.sampling._table import CumulativeTable
from statlearn.weights import LinUpper
from stub_tensor import Tensor


class Fixed:
    """A generator whose uniform numbers are given."""

    def __init__(self, values):
        self.values = np.asarray(values, dtype=float)

    def random(self, n):
        assert n == len(self.values)
        return self.values.copy()


weight_lists = st.lists(
    st.one_of(st.just(0.0), st.floats(1e-12, 1e12)), min_size=1, max_size=40
).filter(any)


# ---------------------------------------------------------------------- the table
@given(weight_lists, st.lists(st.floats(0.0, 1.0, exclude_max=True), min_size=1))
def test_a_draw_is_the_first_row_whose_sum_exceeds_the_number(weights, numbers):
    table = CumulativeTable(weights, "it")
    drawn = table.draw(Fixed(numbers), len(numbers))
    target = np.asarray(numbers) * table.cumulative[-1]
    assert_array_equal(drawn, np.searchsorted(table.cumulative, target, side="right"))


@given(weight_lists)
def test_the_largest_number_below_one_draws_a_row_of_positive_weight(weights):
    table = CumulativeTable(weights, "it")
    (row,) = table.draw(Fixed([np.nextafter(1.0, 0.0)]), 1)
    assert weights[row] > 0.0


@given(weight_lists)
def test_probabilities_are_normalised_weights(weights):
    expected = np.array(weights) / np.sum(weights)
    found = CumulativeTable(weights, "it").probabilities()
    assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n_buckets", [1, 2, 50, 10**6])
def test_draws_do_not_depend_on_the_index(n_buckets, monkeypatch):
    weights = np.random.default_rng(0).pareto(0.5, size=3000)
    numbers = np.random.default_rng(1).random(5000)
    usual = CumulativeTable(weights, "it").draw(Fixed(numbers), 5000)
    monkeypatch.setattr(table_module, "_MAX_BUCKETS", n_buckets)
    monkeypatch.setattr(table_module, "_CHUNK", 7)
    other = CumulativeTable(weights, "it").draw(Fixed(numbers), 5000)
    assert_array_equal(other, usual)


@pytest.mark.parametrize("scale", [1e-310, 1e-250, 1.0, 1e305])
def test_weights_of_any_unit_give_the_same_law(scale):
    weights = np.array([1.0, 0.0, 2.0, 5.0])
    found = WeightedSampler(weights * scale, random_state=0).probabilities_
    assert_allclose(found, weights / 8, rtol=1e-6)


# --------------------------------------------------------------------- the sampler
@pytest.mark.parametrize("shape", [0.3, 1.0, 5.0])
def test_frequencies_are_those_of_the_weights(shape):
    weights = np.random.default_rng(0).pareto(shape, size=300) + 1e-3
    sampler = WeightedSampler(weights, n_samples=200_000, random_state=0)
    common = sampler.probabilities_ > 2e-4
    for rows in (np.array(list(sampler)), sampler.sample(200_000)):
        counts = np.bincount(rows, minlength=300)
        expected = 200_000 * sampler.probabilities_
        seen = np.append(counts[common], counts[~common].sum())
        wanted = np.append(expected[common], expected[~common].sum())
        keep = wanted > 0
        assert chisquare(seen[keep], wanted[keep]).pvalue > 1e-4


def test_consecutive_draws_are_independent():
    rows = WeightedSampler([1, 2, 3], random_state=0).sample(120_000)
    pairs = np.bincount(rows[:-1:2] * 3 + rows[1::2], minlength=9)
    law = np.array([1, 2, 3]) / 6
    assert chisquare(pairs, 60_000 * np.outer(law, law).ravel()).pvalue > 1e-4


def test_zero_weights_are_never_drawn():
    weights = np.zeros(1000)
    weights[[3, 500, 998]] = [1e-9, 1.0, 2.0]
    sampler = WeightedSampler(weights, n_samples=300_000, random_state=0)
    assert {*np.unique(sampler.sample(300_000)).tolist()} <= {3, 500, 998}
    assert {*list(sampler)} <= {3, 500, 998}
    assert (sampler.probabilities_[weights == 0] == 0.0).all()


def test_more_rows_than_torch_takes_are_drawn_up_to_the_last():
    # float32 sums lose the second half, as torch.multinomial did
    n = 2**24 + 2**20
    weights = np.ones(n)
    weights[: n // 2] = 2.0
    rows = WeightedSampler(weights, random_state=0).sample(100_000)
    assert rows.max() >= 0.999 * n
    in_second_half = (rows >= n // 2).sum()
    assert abs(in_second_half - 100_000 / 3) < 4 * np.sqrt(100_000 * 2 / 9)


def test_calls_of_sample_differ_and_are_part_of_the_state():
    sampler = WeightedSampler([1, 2, 3], random_state=0)
    first, state = sampler.sample(20), sampler.state_dict()
    second = sampler.sample(20)
    assert (first != second).any()
    other = WeightedSampler([1, 2, 3], random_state=9)
    other.load_state_dict(state)
    assert_array_equal(other.sample(20), second)


def test_sampling_leaves_the_iteration_as_it_is():
    sampler = WeightedSampler([1, 2, 3], n_samples=50, random_state=0)
    sampler.sample(7)
    assert list(sampler) == list(
        WeightedSampler([1, 2, 3], n_samples=50, random_state=0)
    )


def test_rows_are_plain_integers_and_batches_are_arrays():
    assert {type(row) for row in WeightedSampler([1, 2], random_state=0)} == {int}
    sampler = WeightedSampler(np.ones(10), batch_size=4, random_state=0)
    assert [batch.shape for batch in sampler] == [(4,), (4,), (2,)]
    assert len(sampler) == 3


def test_batches_are_the_rows_in_groups():
    options = {"n_samples": 100_000, "random_state": 0}
    rows = list(WeightedSampler([1, 2, 3, 0.5], **options))
    batches = WeightedSampler([1, 2, 3, 0.5], batch_size=333, **options)
    assert np.concatenate(list(batches)).tolist() == rows


def test_number_of_draws_is_rounded_up_to_equal_shares():
    ranks = [
        WeightedSampler(np.ones(10), random_state=0, rank=rank, world_size=4)
        for rank in range(4)
    ]
    assert {sampler.n_samples_ for sampler in ranks} == {12}
    assert {len(list(sampler)) for sampler in ranks} == {3}


def test_state_saved_between_two_ranks_is_refused():
    one = WeightedSampler(np.ones(10), random_state=0)
    next(iter(one))
    two = WeightedSampler(np.ones(10), random_state=0, world_size=2)
    with pytest.raises(ValueError, match="must stand at a multiple of world_size"):
        two.load_state_dict(one.state_dict())


def test_weights_of_a_rule_are_drawn():
    losses = np.array([0.1, 1.0, 3.0, 0.5])
    weights = LinUpper()(losses)
    found = WeightedSampler(weights, random_state=0).probabilities_
    assert_allclose(found, weights / weights.sum())


@pytest.mark.parametrize("kind", [list, np.float32, np.int64, Tensor])
def test_weights_come_in_any_numeric_form(kind):
    values = [1, 0, 3]
    made = {list: list, Tensor: Tensor}.get(kind, lambda v: np.array(v, dtype=kind))
    found = WeightedSampler(made(values), random_state=0).probabilities_
    assert_array_equal(found, [0.25, 0.0, 0.75])


def test_weights_stay_as_they_are_and_may_change_afterwards():
    weights = np.array([1.0, 2.0, 3.0])
    sampler = WeightedSampler(weights, random_state=0)
    assert_array_equal(weights, [1.0, 2.0, 3.0])
    weights[:] = [1.0, 0.0, 0.0]
    assert_allclose(sampler.probabilities_, [1 / 6, 2 / 6, 3 / 6])


def test_without_a_seed_streams_differ_but_can_be_resumed():
    one, other = WeightedSampler(np.ones(99)), WeightedSampler(np.ones(99))
    state, rows = one.state_dict(), list(one)
    assert rows != list(other)
    other.load_state_dict(state)
    assert list(other) == rows


# ------------------------------------------------------------------------ bad input
@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ([], r"shape \(0,\)"),
        ([[1.0, 2.0]], r"shape \(1, 2\)"),
        ([1.0, -0.5], r"-0\.5 at 1"),
        ([1.0, np.nan], "NaN or infinity, first at 1"),
        ([np.inf, 1.0], "NaN or infinity, first at 0"),
        ([0.0, 0.0], "zeros only"),
    ],
)
def test_weights_that_are_none_are_refused(weights, problem):
    with pytest.raises(ValueError, match=f"The 'weights' of .*{problem}; pass one"):
        WeightedSampler(weights)


@pytest.mark.parametrize("name", ["n_samples", "batch_size"])
def test_counts_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"The '{name}' of WeightedSampler"):
        WeightedSampler([1, 2], **{name: 0})
    with pytest.raises(TypeError, match=f"The '{name}' of WeightedSampler"):
        WeightedSampler([1, 2], **{name: 2.5})


def test_sampling_less_than_one_row_is_refused():
    with pytest.raises(ValueError, match=r"The 'n' of WeightedSampler\.sample"):
        WeightedSampler([1, 2]).sample(0)


@pytest.mark.parametrize("seed", [None, np.random.default_rng(0)])
def test_several_processes_need_one_integer_seed(seed):
    with pytest.raises(ValueError, match="must be an integer when world_size > 1"):
        WeightedSampler([1, 2], random_state=seed, world_size=2)


def test_state_for_other_weights_is_refused():
    state = WeightedSampler([1, 2], random_state=0).state_dict()
    with pytest.raises(ValueError, match="same weights"):
        WeightedSampler([1, 3], random_state=0).load_state_dict(state)
