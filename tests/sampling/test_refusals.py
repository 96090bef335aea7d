"""What samplers refuse, what they say then, and numbers at the edge of what is one."""

from __future__ import annotations

import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statlearn.sampling import (
    DomainBatchSampler,
    ReplayMixer,
    UniMax,
    WeightedSampler,
    gradient_variance_ratio,
    replay_order,
    replay_shares,
    scalarization_weights,
    temperature_probs,
)
from statlearn.schedules import Constant, StepCooldown

ROWS = WeightedSampler([1, 2, 5], n_samples=40, random_state=0)
BATCHES = DomainBatchSampler([50, 7], batch_size=4, n_steps=6, mode="shuffle")
MIXED = ReplayMixer(50, 80, fraction=0.25, batch_size=4)
each = pytest.mark.parametrize(
    "sampler", [ROWS, BATCHES, MIXED], ids=["rows", "domains", "replay"]
)


# ------------------------------------------------------------------- foreign states
@each
@pytest.mark.parametrize("state", [None, [], "state", 3])
def test_states_that_are_no_dict_are_refused(sampler, state):
    with pytest.raises(TypeError, match=r"'state' of .* must be a dict\. Got .*; pass"):
        sampler.load_state_dict(state)


@each
@pytest.mark.parametrize(
    "change",
    [
        {"step": -1},
        {"step": 1000},
        {"step": 1.5},
        {"step": "1"},
        {"step": None},
        {"epoch": -1},
        {"epoch": 0.5},
        {"epoch": "x"},
        {"key": [1]},
        {"key": None},
        {"key": [-1, 2]},
        {"key": [1, 2**64]},
    ],
    ids=str,
)
def test_states_of_no_place_are_refused_and_change_nothing(sampler, change):
    before = sampler.state_dict()
    with pytest.raises(ValueError, match=r"stand at a step from 0 to \d+, with .*; pa"):
        sampler.load_state_dict(before | change)
    assert sampler.state_dict() == before


@pytest.mark.parametrize("sampler", [BATCHES, MIXED], ids=["domains", "replay"])
@pytest.mark.parametrize(
    "counts", [None, [4], [5, -1], [0, 0], [2.0, 2.0], [3, 2]], ids=str
)
def test_counts_that_do_not_add_up_to_the_step_are_refused(sampler, counts):
    state = sampler.state_dict(step=1)
    assert sum(state["counts"]) == 4
    with pytest.raises(ValueError, match="with the numbers that belong to it"):
        sampler.load_state_dict(state | {"counts": counts})


@pytest.mark.parametrize(("sampler", "field"), [(ROWS, "calls"), (MIXED, "seed")])
def test_other_numbers_of_a_state_are_checked_too(sampler, field):
    for value in (-1, None, 0.5):
        with pytest.raises(ValueError, match="with the numbers that belong to it"):
            sampler.load_state_dict(sampler.state_dict() | {field: value})


# ------------------------------------------------------------------------ parameters
@pytest.mark.parametrize("rank", [True, 1.0, None, "0"])
def test_ranks_that_are_no_integers_are_refused(rank):
    with pytest.raises(ValueError, match=r"'rank' of .* integer from 0 to .* = 1\."):
        WeightedSampler([1, 2], random_state=0, rank=rank, world_size=2)


@pytest.mark.parametrize("epoch", [True, None, "1", 2**64])
def test_epochs_beyond_the_counter_are_refused(epoch):
    with pytest.raises(ValueError, match=r"The 'epoch' of DomainBatchSampler\.set_e"):
        BATCHES.set_epoch(epoch)


@pytest.mark.parametrize(
    ("limit", "error"),
    [(0, ValueError), (-1, ValueError), (math.nan, ValueError), ("2", TypeError)],
)
def test_limits_of_repetition_that_are_not_positive_are_refused(limit, error):
    with pytest.raises(error, match="The 'max_epochs' of DomainBatchSampler must"):
        DomainBatchSampler([5, 3], batch_size=2, n_steps=3, max_epochs=limit)
    with pytest.raises(error, match="The 'max_epochs' of ReplayMixer must"):
        ReplayMixer(50, 80, batch_size=4, max_epochs=limit)


def test_no_limit_and_an_infinite_one_are_the_same():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for limit in (None, math.inf):
            often = {"max_epochs": limit}
            assert len(DomainBatchSampler([5, 3], batch_size=2, n_steps=99, **often))
            assert len(ReplayMixer(1, 800, batch_size=4, **often))


@pytest.mark.parametrize(
    "domains", [[3.0, 2.0], [30.0, 2.0, 30.0], [3, range(3)], [3, 2.5]], ids=str
)
def test_lists_of_other_numbers_are_taken_neither_for_sizes_nor_for_labels(domains):
    with pytest.raises(TypeError, match=r"as a list must hold integers, ranges or na"):
        DomainBatchSampler(domains, batch_size=2, n_steps=3)


@pytest.mark.parametrize("sizes", [[2**64, 1], [2**62] * 3, {"a": 2**63}], ids=str)
def test_more_rows_than_there_are_numbers_are_refused(sizes):
    with pytest.raises(ValueError, match=r"add up to less than 2\^63\. Got .*; count"):
        DomainBatchSampler(sizes, batch_size=2, n_steps=3)


def test_probabilities_of_other_domains_are_refused():
    law = UniMax([30, 20, 10], budget=90, max_epochs=2)
    with pytest.raises(ValueError, match=r"a temperature or 2 probabilities\. Got \["):
        DomainBatchSampler([30, 20], batch_size=2, n_steps=3, schedule=law)


def test_a_schedule_that_turns_bad_is_refused_when_it_does():
    drawn = DomainBatchSampler(
        [30, 20], batch_size=2, n_steps=5000, schedule=lambda t: 5.0 if t < 4000 else -1
    )
    with pytest.raises(ValueError, match=r"'schedule' of .* positive\. Got -1\.0"):
        list(drawn)


def test_a_rate_that_starts_at_zero_is_no_temperature():
    with pytest.raises(ValueError, match=r"'schedule' of .* positive\. Got 0\.0"):
        DomainBatchSampler(
            [3, 2], batch_size=2, n_steps=9, schedule=Constant(5, warmup=2)
        )


@pytest.mark.parametrize("value", ["5", None, [4], {}])
def test_limits_of_unimax_that_are_no_numbers_are_refused(value):
    with pytest.raises(TypeError, match="The 'budget' of UniMax must be a real number"):
        UniMax([3, 2], value, 1)
    with pytest.raises(TypeError, match="The 'max_epochs' of UniMax must be a real"):
        UniMax([3, 2], 10, value)


@pytest.mark.parametrize("tau", ["5", None, [5.0], Constant(5.0)], ids=str)
def test_temperatures_that_are_no_numbers_are_refused(tau):
    for function in (temperature_probs, scalarization_weights, gradient_variance_ratio):
        with pytest.raises(TypeError, match=r"'tau' of .* real number\. Got .*; pass"):
            function([3, 2], tau)


# ---------------------------------------------------------------------------- replay
@pytest.mark.parametrize("offset", [-1, 1.5, "1", None, True])
def test_offsets_that_are_no_numbers_of_rows_are_refused(offset):
    with pytest.raises(ValueError, match="The 'offset' of ReplayMixer must be an int"):
        ReplayMixer(50, 80, batch_size=4, offset=offset)
    with pytest.raises(ValueError, match="The 'offset' of replay_order must be an int"):
        replay_order([3, 1, 2], offset=offset)


def test_an_offset_of_any_size_turns_the_order():
    assert replay_order([0, 1, 2], reshuffle=False, offset=10**25).tolist() == [1, 2, 0]
    mixer = ReplayMixer(
        3, 6, fraction=0.5, batch_size=6, reshuffle=False, offset=10**25
    )
    assert next(iter(mixer))[0].tolist() == [1, 2, 0]


@pytest.mark.parametrize("seed", [None, -1, 0.5, 2**32])
def test_seeds_of_an_order_that_are_none_are_refused(seed):
    with pytest.raises(ValueError, match=r"'seed' of replay_order .* to 2\^32 - 1"):
        replay_order([3, 1, 2], seed=seed)
    assert replay_order([3, 1], reshuffle=False, seed=seed).tolist() == [3, 1]


@pytest.mark.parametrize("fraction", [1, True, False, "0.1", None, math.nan])
def test_fractions_that_are_none_are_refused(fraction):
    number = isinstance(fraction, (int, float)) and not isinstance(fraction, bool)
    wanted = r"lie in \[0, 1\)" if number else "be a real number"
    with pytest.raises(
        ValueError if number else TypeError,
        match=f"'fraction' of ReplayMixer must {wanted}. Got {fraction!r}",
    ):
        ReplayMixer(50, 80, batch_size=4, fraction=fraction)


@pytest.mark.parametrize("old", [True, [True, False]])
def test_truth_values_are_no_numbers_of_rows(old):
    with pytest.raises(TypeError, match="The 'old' of ReplayMixer must be a number"):
        ReplayMixer(old, 80, batch_size=4)


def test_nothing_has_to_be_kept_where_nothing_is_replayed():
    for old in (0, [0], np.array([], dtype=int)):
        mixer = ReplayMixer(old, 8, fraction=0, batch_size=4)
        assert [len(rows) for rows, _ in mixer] == [0, 0]


def test_old_rows_below_zero_are_refused():
    with pytest.raises(ValueError, match=r"The rows in 'old' .* >= 0\. Got -1; number"):
        ReplayMixer(np.array([4, -1, 2]), 8, fraction=0.25, batch_size=4)


def test_flat_rows_of_old_and_new_data_cannot_be_mixed_up():
    # Row 7 of the old data would be taken for row 4 of the new one.
    options = {"fraction": 0.25, "batch_size": 4}
    with pytest.raises(
        ValueError, match=r"below their number 3 with flat=True.* row 9"
    ):
        ReplayMixer(np.array([7, 8, 9]), 8, flat=True, **options)
    flat = list(ReplayMixer(np.array([2, 0, 1]), 8, flat=True, **options))
    assert [(rows < 3).tolist() for rows in flat] == [[True, False, False, False]] * 2


# ------------------------------------------------------------- numbers at the edge
@pytest.mark.parametrize("top", [1e308, np.finfo(float).max])
def test_weights_whose_sum_is_no_number_keep_their_law(top):
    assert_allclose(WeightedSampler([top, top / 3]).probabilities_, [0.75, 0.25])
    assert_allclose(replay_shares([top, top / 3], [1], 0.5), [0.375, 0.125, 0.5])
    mixer = ReplayMixer([9, 9], 80, batch_size=4, old_weights=[top, top / 3])
    assert_allclose(mixer.probabilities_, [0.0375, 0.0125, 0.95])


def test_the_smallest_numbers_are_weights():
    least = 5e-324
    assert_allclose(
        WeightedSampler([least, 0, 3 * least]).probabilities_, [0.25, 0, 0.75]
    )
    rows = WeightedSampler([least, 1.0], random_state=0).sample(1000)
    assert_array_equal(rows, 1)


def test_integers_beyond_doubles_are_weights():
    found = WeightedSampler([2**70, 2**68]).probabilities_
    assert_allclose(found, [0.8, 0.2])
    largest = np.array([2**64 - 1, 2**62], dtype=np.uint64)
    assert_allclose(WeightedSampler(largest).probabilities_, [0.8, 0.2])


def test_one_row_is_all_there_is():
    assert list(WeightedSampler([3.0])) == [0]
    for rank in range(3):
        options = {"random_state": 0, "rank": rank, "world_size": 3}
        assert list(WeightedSampler([3.0], **options)) == [0]
        (batch,) = WeightedSampler([3.0], batch_size=6, **options)
        assert batch.tolist() == [0]


@pytest.mark.parametrize("tau", [1e-300, 1e-3])
def test_temperatures_near_zero_draw_the_largest_domain_only(tau):
    assert_array_equal(temperature_probs([1000, 100, 10], tau), [1.0, 0.0, 0.0])
    weights = scalarization_weights([60, 30, 10], tau)
    assert_allclose(weights, [1 / 0.6, 0.0, 0.0], atol=1e-300)
    # Gradients only where nothing is drawn: neither way has any.
    assert gradient_variance_ratio([10**9, 1], tau, [0.0, 1.0]) == 0.0


@pytest.mark.parametrize("mode", ["replacement", "shuffle"])
@pytest.mark.parametrize("stratified", [False, True])
def test_sizes_up_to_the_last_integer_are_drawn_within_their_domain(mode, stratified):
    sizes = [2**62, 10**15, 1]
    drawn = DomainBatchSampler(
        sizes,
        batch_size=300,
        n_steps=2,
        schedule=StepCooldown(math.inf, math.inf),
        mode=mode,
        stratified=stratified,
    )
    ends = [0, *np.cumsum(sizes).tolist()]
    rows = np.concatenate(list(drawn))
    counts = [np.sum((rows >= a) & (rows < b)) for a, b in pairwise(ends)]
    assert sum(counts) == 600
    assert_array_equal(counts, drawn.counts_)


def test_switches_at_the_ends_are_no_switches():
    def temperatures(switch):
        drawn = DomainBatchSampler(
            [90, 9], batch_size=2, n_steps=4, schedule=StepCooldown(switch=switch)
        )
        return [drawn.schedule_(step) for step in range(4)]

    assert temperatures(0) == temperatures(0.0) == [1.0] * 4
    assert temperatures(1.0) == temperatures(4) == [5.0] * 4
    assert temperatures(1) == [5.0, 1.0, 1.0, 1.0]


def test_batches_may_be_larger_than_all_rows():
    drawn = DomainBatchSampler([2, 1], batch_size=12, n_steps=1, mode="shuffle")
    (batch,) = drawn
    counts = np.bincount(batch, minlength=3)
    assert abs(counts[0] - counts[1]) <= 1
    (pair,) = ReplayMixer(100, 2, fraction=0.5, batch_size=8)
    assert [len(part) for part in pair] == [4, 4]
    assert_array_equal(np.bincount(pair[1]), [2, 2])
