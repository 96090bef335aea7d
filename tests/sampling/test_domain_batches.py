"""Batches from domains at a temperature that changes."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import chisquare

from statlearn.exceptions import RepetitionWarning
from statlearn.sampling import DomainBatchSampler, UniMax, temperature_probs
from statlearn.schedules import Constant, LinearCooldown, StepCooldown

SIZES = np.array([3000, 300, 40])
ENDS = np.cumsum(SIZES)
KINDS = [
    {"mode": mode, "stratified": stratified}
    for mode in ("replacement", "shuffle")
    for stratified in (False, True)
]
each_kind = pytest.mark.parametrize(
    "kind", KINDS, ids=lambda k: f"{k['mode']}{', stratified' * k['stratified']}"
)


def sampler(sizes=SIZES, **options):
    options = {"batch_size": 20, "n_steps": 2000} | options
    return DomainBatchSampler(list(sizes), **options)


def domain_of(rows):
    return np.searchsorted(ENDS, rows, side="right")


# ------------------------------------------------------------------ the law of draws
@each_kind
def test_rows_are_drawn_evenly_within_their_domain(kind):
    rows = np.concatenate(list(sampler(schedule=Constant(2.0), **kind)))
    for start, end in zip(ENDS - SIZES, ENDS, strict=True):
        counts = np.bincount(rows[(rows >= start) & (rows < end)] - start)
        assert len(counts) == end - start
        if kind["mode"] == "shuffle":
            assert counts.max() - counts.min() <= 1
        else:
            assert chisquare(counts).pvalue > 1e-4


def test_stratified_batches_vary_less():
    def variance(stratified):
        batches = list(sampler(schedule=Constant(2.0), stratified=stratified))
        return np.array([domain_of(batch).mean() for batch in batches]).var()

    assert variance(True) < 0.2 * variance(False)


def test_stratified_counts_are_shares_rounded_up_or_down():
    batches = list(sampler(schedule=Constant(2.0), stratified=True))
    counts = np.array([np.bincount(domain_of(b), minlength=3) for b in batches])
    share = 20 * temperature_probs(SIZES, 2.0)
    assert (np.abs(counts - share) < 1.0).all()
    running = counts.cumsum(axis=0) - np.outer(np.arange(1, 2001), share)
    assert np.abs(running).max() < 5.0


@pytest.mark.parametrize("stratified", [False, True])
def test_shuffling_shows_all_rows_equally_often(stratified):
    rows = np.concatenate(list(sampler(mode="shuffle", stratified=stratified)))
    for start, size in zip(ENDS - SIZES, SIZES, strict=True):
        own = rows[(rows >= start) & (rows < start + size)]
        counts = np.bincount(own - start, minlength=size)
        assert counts.max() - counts.min() <= 1


def test_a_batch_may_hold_a_small_domain_many_times():
    batch = next(
        iter(
            sampler(
                [1000, 2],
                batch_size=64,
                schedule=lambda step: np.inf,
                mode="shuffle",
                stratified=True,
            )
        )
    )
    assert_array_equal(np.bincount(batch[batch >= 1000] - 1000), [16, 16])


def test_every_rank_sees_every_domain_alike():
    parts = [
        np.concatenate(list(sampler(schedule=Constant(2.0), rank=r, world_size=2)))
        for r in range(2)
    ]
    for part in parts:
        counts = np.bincount(domain_of(part), minlength=3)
        assert (
            chisquare(counts, len(part) * temperature_probs(SIZES, 2.0)).pvalue > 1e-4
        )


# ----------------------------------------------------------------------- schedules
def test_default_schedule_switches_once_at_half_time():
    drawn = sampler(n_steps=60_000)
    for step, tau in [(0, 5.0), (29_999, 5.0), (30_000, 1.0), (59_999, 1.0)]:
        assert drawn.schedule_(step) == tau
        drawn.load_state_dict(drawn.state_dict(step))
        assert_allclose(drawn.probabilities_, temperature_probs(SIZES, tau))


def test_a_schedule_of_ones_own_gives_the_same_batches():
    ours = sampler(n_steps=50, schedule=LinearCooldown(5.0))
    again = sampler(n_steps=50, schedule=lambda t: LinearCooldown(5.0, n_steps=50)(t))
    assert_array_equal(list(ours), list(again))


def test_a_schedule_with_its_own_length_keeps_it():
    assert sampler(schedule=StepCooldown(n_steps=10)).schedule_.n_steps == 10


def test_a_schedule_may_give_probabilities():
    law = UniMax(SIZES, budget=40_000, max_epochs=5)
    drawn = sampler(schedule=law)
    assert_allclose(drawn.probabilities_, law.probabilities)
    assert_allclose(drawn.expected_epochs_.min(), 40_000 * law.probabilities[0] / 3000)


def test_expected_epochs_by_hand():
    drawn = sampler([6, 3], batch_size=9, n_steps=4, schedule=lambda t: 1.0)
    assert_allclose(drawn.expected_epochs_, [4.0, 4.0])
    hot = sampler(schedule=StepCooldown(5.0, 1.0, 0.25))
    share = 0.25 * temperature_probs(SIZES, 5.0) + 0.75 * SIZES / SIZES.sum()
    assert_allclose(hot.expected_epochs_, 40_000 * share / SIZES)


def test_expected_epochs_are_those_of_the_counts():
    drawn = sampler(stratified=True)
    list(drawn)
    assert_allclose(drawn.counts_ / SIZES, drawn.expected_epochs_, rtol=0.01)


def test_too_many_repetitions_are_warned_of():
    with pytest.warns(RepetitionWarning, match=r"max_epochs=10 times\. Got .*domain 2"):
        sampler(max_epochs=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler(max_epochs=1000)


# ------------------------------------------------------------------------- domains
def test_labels_lead_to_their_rows():
    labels = np.random.default_rng(0).permutation(np.repeat(["a", "b"], [900, 100]))
    drawn = DomainBatchSampler(
        labels, batch_size=50, n_steps=40, schedule=lambda step: np.inf, stratified=True
    )
    assert drawn.domains_ == ["a", "b"]
    assert_array_equal(drawn.sizes_, [900, 100])
    for batch in drawn:
        assert_array_equal(np.unique(labels[batch], return_counts=True)[1], [25, 25])


def test_a_billion_rows_take_no_memory():
    drawn = sampler([10**9, 10**12, 7], mode="shuffle", schedule=Constant(50.0))
    rows = np.concatenate(list(drawn))
    assert rows.min() >= 0
    assert 10**9 <= rows.max() < 10**9 + 10**12 + 7


def test_results_cannot_change_the_sampler():
    drawn = sampler()
    drawn.sizes_[:] = 0
    drawn.counts_[:] = 9
    drawn.expected_epochs_[:] = 0.0
    drawn.domains_.clear()
    assert_array_equal(drawn.sizes_, SIZES)
    assert_array_equal(drawn.counts_, 0)
    assert drawn.expected_epochs_.min() > 0
    assert drawn.domains_ == [0, 1, 2]


# ----------------------------------------------------------------------- bad input
@pytest.mark.parametrize("name", ["batch_size", "n_steps"])
@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (1.5, TypeError)])
def test_counts_that_are_none_are_refused(name, value, error):
    with pytest.raises(error, match=f"The '{name}' of DomainBatchSampler .* Got"):
        sampler(**{name: value})


@pytest.mark.parametrize("seed", [-1, None, 0.5, True])
def test_seeds_that_are_no_numbers_are_refused(seed):
    with pytest.raises(ValueError, match="The 'seed' of DomainBatchSampler"):
        sampler(seed=seed)


def test_unknown_modes_are_refused():
    with pytest.raises(ValueError, match="The 'mode' of DomainBatchSampler"):
        sampler(mode="without")


def test_a_number_is_no_schedule():
    with pytest.raises(TypeError, match=r"callable step -> temperature.*Constant\(5\)"):
        sampler(schedule=5)


@pytest.mark.parametrize("tau", [0.0, -1.0, np.nan])
def test_temperatures_that_are_not_positive_are_refused(tau):
    with pytest.raises(ValueError, match="'schedule' of DomainBatchSampler must be"):
        sampler(schedule=lambda step: tau)


@pytest.mark.parametrize("law", [[0.5, 0.5], [0.5, 0.6, 0.2], [1.2, -0.2, 0.0]])
def test_probabilities_that_are_none_are_refused(law):
    with pytest.raises(ValueError, match="a temperature or 3 probabilities"):
        sampler(schedule=lambda step: law)


@pytest.mark.parametrize("switch", [1.5, -0.1, 3000])
def test_a_switch_outside_the_training_is_refused(switch):
    with pytest.raises(ValueError, match="switch"):
        sampler(schedule=StepCooldown(switch=switch))


def slow_law(factor):
    """Return a schedule as a new process has it: at another address."""

    def law(step, factor):
        return 1.0 + factor * step

    return partial(law, factor=factor)


def test_state_is_taken_up_with_the_same_schedule_only():
    state = sampler(schedule=slow_law(0.1)).state_dict(20)
    sampler(schedule=slow_law(0.1)).load_state_dict(state)
    with pytest.raises(ValueError, match=r"a sampler with the same schedule. Got"):
        sampler(schedule=slow_law(0.2)).load_state_dict(state)


def test_state_of_other_domains_is_refused():
    state = DomainBatchSampler({"en": 9, "sw": 4}, batch_size=2, n_steps=3).state_dict()
    other = DomainBatchSampler({"en": 9, "zh": 4}, batch_size=2, n_steps=3)
    with pytest.raises(ValueError, match=r"same domains\. Got \['en', 'sw'\] in the"):
        other.load_state_dict(state)
