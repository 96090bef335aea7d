"""Every sampler keeps the laws of a resumable, shared stream; a new one joins below."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from functools import cache, partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.stats import chisquare

import statlearn.offline_rl
import statlearn.sampling
from sampler_cases import recorded
from statlearn.offline_rl import TrajectorySampler
from statlearn.offline_rl._transition_stream import TransitionBatches
from statlearn.sampling import (
    DomainBatchSampler,
    ReplayMixer,
    UniMax,
    WeightedSampler,
)
from statlearn.schedules import LinearCooldown, StepCooldown

SIZES = [5000, 400, 37, 3]
LABELS = np.random.default_rng(0).choice(4, size=3000, p=[0.7, 0.2, 0.09, 0.01])
WEIGHTS = np.random.default_rng(1).pareto(2.0, size=1000) * (np.arange(1000) % 7 > 0)


def weighted(seed=0, **options):
    options.setdefault("n_samples", 1200)
    return WeightedSampler(WEIGHTS, random_state=seed, **options)


def domains(what, seed=0, **options):
    return DomainBatchSampler(what, batch_size=12, n_steps=100, seed=seed, **options)


def warmer(step):
    return 1.0 + step


def replay(seed=0, *, old=2000, **options):
    options = {"batch_size": 12, "fraction": 0.15, "n_steps": 100} | options
    return ReplayMixer(old, 1100, seed=seed, **options)


TRAJECTORIES = recorded([5, 40, 5, 90, 7, 5, 58])
TRAJECTORY_WEIGHTS = np.array([0.0, 1.0, 9.0, 0.5, 0.0, 3.0, 2.0])


def transitions(seed=0, **options):
    options = {"batch_size": 12, "n_batches": 100} | options
    return TrajectorySampler(
        TRAJECTORIES, TRAJECTORY_WEIGHTS, random_state=seed, **options
    )


def transition_rows(**options):
    return transitions(**options).to_torch_batch_sampler()


SAMPLERS = {
    "transitions": transitions,
    "transitions, in sequences": partial(transitions, sequence_length=5, pad=False),
    "transitions, by rows": transition_rows,
    "weighted, row by row": weighted,
    "weighted, in batches": partial(weighted, batch_size=12),
    "weighted, many rows": partial(weighted, n_samples=66_000),
    "weighted, many batches": partial(weighted, n_samples=66_006, batch_size=1200),
    "domains": partial(domains, SIZES),
    "domains, shuffled": partial(domains, SIZES, mode="shuffle"),
    "domains, stratified": partial(domains, SIZES, stratified=True),
    "domains, shuffled and stratified": partial(
        domains, SIZES, mode="shuffle", stratified=True
    ),
    "domains, ranges": partial(
        domains, [range(100, 900), range(20, 50)], mode="shuffle"
    ),
    "domains, labels": partial(domains, LABELS, schedule=LinearCooldown(8.0)),
    "domains, large batches": partial(
        lambda **options: DomainBatchSampler(
            SIZES, batch_size=12_000, n_steps=15, mode="shuffle", **options
        )
    ),
    "domains, capped": partial(domains, SIZES, schedule=UniMax(SIZES, 1200, 4)),
    "domains, own schedule": partial(domains, SIZES, schedule=warmer),
    "replay, exact": replay,
    "replay, blend": partial(replay, mode="blend"),
    "replay, bernoulli": partial(replay, mode="bernoulli"),
    "replay, several sources": partial(
        replay, old=[900, 50, 800], old_weights=[5, 1, 2], max_epochs=None
    ),
    "replay, given order": partial(replay, old=np.arange(700)[::-1].copy(), offset=30),
    "replay, flat": partial(replay, flat=True),
}
# Rows one by one take long to reach a second block of random numbers; batches get
# there in the quick tests.
SLOW = {"weighted, many rows"}
each_sampler = pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name, make in SAMPLERS.items()
    ],
)


def plain(item):
    """One item as a tuple of old and of other rows, sorted by neither."""
    if isinstance(item, dict):
        item = item["indices"]
    if isinstance(item, tuple):
        return tuple(part.tolist() for part in item)
    return ([], [item] if isinstance(item, int) else item.tolist())


def stream(sampler):
    return [plain(item) for item in sampler]


def take(sampler, n):
    """Exactly n items, leaving the sampler behind them."""
    iterator = iter(sampler)
    return [plain(next(iterator)) for _ in range(n)]


def test_every_public_sampler_is_in_the_list():
    rooms = (statlearn.sampling, statlearn.offline_rl)
    public = [getattr(room, name) for room in rooms for name in room.__all__]
    samplers = {value for value in public if hasattr(value, "state_dict")}
    samplers.add(TransitionBatches)  # what loaders of PyTorch get
    assert {type(make()) for make in SAMPLERS.values()} == samplers


@each_sampler
def test_equal_seeds_give_equal_streams(make):
    assert stream(make(seed=3)) == stream(make(seed=3))


@each_sampler
def test_other_seeds_give_other_streams(make):
    assert stream(make(seed=3)) != stream(make(seed=4))


@each_sampler
def test_length_is_the_number_of_items(make):
    sampler = make()
    assert len(stream(sampler)) == len(sampler)
    assert sampler.step_ == len(sampler)


@each_sampler
def test_the_next_epoch_has_other_random_numbers(make):
    sampler = make()
    before, after = stream(sampler), stream(sampler)
    assert sampler.epoch_ == 1
    assert len(before) == len(after)
    assert before != after
    sampler.set_epoch(0)
    assert stream(sampler) == before
    sampler.set_epoch(1)
    assert stream(sampler) == after


@each_sampler
@pytest.mark.parametrize("share", [0.0, 0.01, 0.4, 0.93, 1.0])
def test_resuming_is_the_same_as_never_having_stopped(make, share):
    whole = stream(make())
    step = int(share * len(whole))
    stopped = make()
    assert take(stopped, step) == whole[:step]
    assert stopped.step_ == step
    state = json.loads(json.dumps(stopped.state_dict()))
    resumed = make()
    resumed.load_state_dict(state)
    rest = stream(resumed) if step < len(whole) else []
    assert rest == whole[step:]


@each_sampler
def test_state_restores_the_seed(make):
    sampler = make(seed=3)
    take(sampler, 5)
    other = make(seed=4)
    other.load_state_dict(sampler.state_dict())
    assert stream(other) == stream(sampler)


@each_sampler
def test_state_of_an_earlier_step_serves_a_loader_that_reads_ahead(make):
    whole, sampler = stream(make()), make()
    take(sampler, 9)
    state = sampler.state_dict(step=4)
    assert sampler.step_ == 9
    sampler.load_state_dict(state)
    assert stream(sampler) == whole[4:]


@each_sampler
def test_iterating_goes_on_where_it_stopped(make):
    sampler = make()
    assert take(sampler, 7) + stream(sampler) == stream(make())


@each_sampler
def test_loading_a_state_ends_an_iteration_under_way(make):
    sampler, whole = make(), stream(make())
    iterator = iter(sampler)
    for _ in range(10):
        next(iterator)
    sampler.load_state_dict(make().state_dict())
    assert plain(next(iterator)) == whole[0]


@each_sampler
def test_sampler_can_be_pickled_midway(make):
    sampler = make()
    take(sampler, 6)
    copy = pickle.loads(pickle.dumps(sampler))
    assert copy.step_ == 6
    assert stream(copy) == stream(sampler)


@each_sampler
@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_divide_the_stream_of_one_process(make, world_size):
    whole = stream(make())
    ranks = [stream(make(rank=r, world_size=world_size)) for r in range(world_size)]
    if len(ranks[0]) < len(whole):  # row by row
        joined = [row for rows in zip(*ranks, strict=True) for row in rows]
        assert joined == whole
        return
    for item, *parts in zip(whole, *ranks, strict=True):
        for side in (0, 1):
            together = [row for part in parts for row in part[side]]
            assert sorted(together) == sorted(item[side])
        assert len({len(part[0]) + len(part[1]) for part in parts}) == 1


@each_sampler
def test_state_can_be_loaded_by_another_number_of_processes(make):
    whole, one = stream(make()), make()
    take(one, 6)
    state = one.state_dict()
    ranks = [make(rank=r, world_size=2) for r in range(2)]
    for sampler in ranks:
        sampler.load_state_dict(state)
    left, right = (stream(sampler) for sampler in ranks)
    rows = sorted(row for item in left + right for row in item[0] + item[1])
    assert rows == sorted(row for item in whole[6:] for row in item[0] + item[1])
    assert ranks[0].state_dict() == ranks[1].state_dict()


@each_sampler
def test_state_of_other_settings_is_refused(make):
    state = make().state_dict()
    for field in set(state) - {"key", "epoch", "step", "counts", "calls", "seed"}:
        with pytest.raises(ValueError, match=f"with the same {field}"):
            make().load_state_dict(state | {field: "other"})


@each_sampler
def test_incomplete_state_is_refused(make):
    state = make().state_dict()
    del state["epoch"]
    with pytest.raises(ValueError, match="without \\['epoch'\\]"):
        make().load_state_dict(state)


@each_sampler
def test_a_step_by_itself_is_that_of_the_iteration(make):
    sampler = make()
    if not hasattr(sampler, "batch_at"):
        pytest.skip("rows by themselves have no batch")
    whole = stream(make())
    for step in (len(whole) - 1, 0, 3):
        assert plain(sampler.batch_at(step)) == whole[step]
    assert sampler.step_ == 0
    assert stream(sampler) == whole


@each_sampler
def test_counts_are_those_of_the_rows_handed_out(make):
    sampler = make()
    if not hasattr(sampler, "counts_"):
        pytest.skip("keeps no account of rows")
    taken = take(sampler, len(sampler) * 2 // 3)
    before = sampler.counts_
    assert before.sum() == sum(len(old) + len(new) for old, new in taken)
    copy = make()
    copy.load_state_dict(sampler.state_dict())
    assert_array_equal(copy.counts_, before)
    rest = stream(sampler)
    assert (sampler.counts_ >= before).all()
    assert sampler.counts_.sum() == sum(len(o) + len(n) for o, n in taken + rest)


@each_sampler
def test_probabilities_are_a_law(make):
    chances = make().probabilities_
    assert chances.min() >= 0.0
    assert chances.sum() == pytest.approx(1.0, abs=1e-12)


@each_sampler
@pytest.mark.parametrize("step", [-1, 1.5, 10**9])
def test_steps_outside_the_epoch_are_refused(make, step):
    with pytest.raises(ValueError, match=r"The 'step' of .*state_dict must be"):
        make().state_dict(step=step)


@each_sampler
@pytest.mark.parametrize("epoch", [-1, 0.5])
def test_epochs_that_are_no_numbers_from_zero_are_refused(make, epoch):
    with pytest.raises(ValueError, match="The 'epoch' of"):
        make().set_epoch(epoch)


@each_sampler
@pytest.mark.parametrize(("rank", "world_size"), [(2, 2), (-1, 1), (0, 0), (0.5, 1)])
def test_ranks_that_do_not_exist_are_refused(make, rank, world_size):
    with pytest.raises(ValueError, match=r"The '(rank|world_size)' of"):
        make(rank=rank, world_size=world_size)


def test_batches_that_ranks_cannot_share_are_refused():
    for make in (SAMPLERS["weighted, in batches"], SAMPLERS["domains"], replay):
        with pytest.raises(ValueError, match=r"multiple of world_size=5.* example 15"):
            make(rank=0, world_size=5)


def test_samplers_do_not_load_torch():
    code = (
        "import sys, statlearn.sampling as s\n"
        "list(s.WeightedSampler([1, 2], random_state=0))\n"
        "list(s.DomainBatchSampler([9, 2], batch_size=2, n_steps=3))\n"
        "list(s.ReplayMixer(9, 20, batch_size=2))\n"
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "False"


def test_cooldown_schedule_gets_the_number_of_steps():
    assert domains(SIZES).schedule_ == StepCooldown(n_steps=100)


@each_sampler
def test_every_item_costs_the_same(make):
    sampler = make()
    sizes = [len(old) + len(new) for old, new in stream(sampler)]
    assert {*sizes[:-1]} == {sizes[0]}
    assert sizes[-1] <= sizes[0]  # of an epoch that is no multiple of a batch
    if hasattr(sampler, "counts_"):
        assert sizes[-1] == sampler.batch_size


@each_sampler
def test_rows_and_domains_are_drawn_as_often_as_expected(make):
    sampler = make()
    if isinstance(sampler, TransitionBatches):
        pytest.skip("the law below is enough")
    if hasattr(sampler, "expected_epochs_"):
        expected = sampler.expected_epochs_ * sampler.sizes_
    elif hasattr(sampler, "counts_"):
        expected = sampler.probabilities_ * sampler.batch_size * len(sampler)
    else:  # of rows, which are many, by the rest of their number
        last = np.arange(len(WEIGHTS)) % 10
        expected = sampler.n_samples_ * np.bincount(last, sampler.probabilities_)
    rows = [row for item in stream(sampler) for row in item[1]]
    counts = getattr(sampler, "counts_", None)
    counts = np.bincount(np.array(rows) % 10) if counts is None else counts
    assert chisquare(counts, expected * (counts.sum() / expected.sum())).pvalue > 1e-4


# --------------------------------------------------------------- laws from outside
LAW_OF_ROWS = WEIGHTS / WEIGHTS.sum()


def law_at(name, sizes, share):
    """Probabilities of domains, or of rows by themselves, after a share of steps."""
    if name.startswith("weighted"):
        return LAW_OF_ROWS
    if name.startswith("transitions"):
        mass = sizes * TRAJECTORY_WEIGHTS
        return mass / mass.sum()
    if name.startswith("replay"):
        old = np.array([5, 1, 2]) / 8 if "several" in name else np.ones(1)
        return np.append(0.15 * old, 0.85)
    if name == "domains, capped":  # 4 epochs of the smallest two, the rest in halves
        return np.array([520, 520, 4 * 37, 4 * 3]) / 1200
    tau = 5.0 if share < 0.5 else 1.0
    tau = {
        "domains, labels": 8.0 - 7.0 * share,
        "domains, own schedule": 1.0 + 100 * share,
    }.get(name, tau)
    return sizes ** (1 / tau) / (sizes ** (1 / tau)).sum()


def rows_by_domain(name, sampler):
    """Rows of each domain; new rows of a mixer come after the old ones."""
    if name.startswith("weighted"):
        return [[row] for row in range(len(WEIGHTS))]
    if name.startswith("transitions"):  # the starts of sequences that fit
        reserved = 4 if "sequences" in name else 0
        starts, ends = TRAJECTORIES.offsets[:-1], TRAJECTORIES.offsets[1:] - reserved
        return [np.arange(*of) for of in zip(starts, ends, strict=True)]
    if name == "domains, ranges":
        return [np.arange(100, 900), np.arange(20, 50)]
    if name == "domains, labels":
        return [np.flatnonzero(label == LABELS) for label in range(4)]
    ends = np.cumsum(sampler.sizes_)
    return np.split(np.arange(ends[-1]), ends[:-1])


@cache
def drawn(name):
    """Rows of each domain; rows and law of each step."""
    sampler = SAMPLERS[name]()
    domains_ = rows_by_domain(name, sampler)
    sizes = np.array([len(rows) for rows in domains_], dtype=float)
    shift = getattr(sampler, "n_old_", 0) * (name != "replay, flat")
    items = [
        np.array(old + [row + shift for row in new], dtype=int)
        for old, new in stream(sampler)
    ]
    laws = [law_at(name, sizes, step / len(items)) for step in range(len(items))]
    return domains_, items, laws


each_name = pytest.mark.parametrize("name", list(SAMPLERS))


@each_name
@pytest.mark.parametrize("phase", [0, 1])
def test_rows_and_domains_are_drawn_by_the_law_of_their_phase(name, phase):
    domains_, items, laws = drawn(name)
    half = -(-len(items) // 2)
    steps = slice(0, half) if phase == 0 else slice(half, None)
    number = np.full(1 + max(max(rows) for rows in domains_), -1)
    for domain, rows in enumerate(domains_):
        number[rows] = domain
    counts = np.bincount(number[np.concatenate(items[steps])], minlength=len(domains_))
    expected = sum(len(i) * p for i, p in zip(items[steps], laws[steps], strict=True))
    assert not counts[expected == 0].any()
    few = expected < 5  # together, since the law of the test needs some of each
    cells = [np.append(x[~few], x[few].sum()) for x in (counts, expected)]
    there = cells[1] > 0
    assert chisquare(cells[0][there], cells[1][there]).pvalue > 1e-4


@each_name
def test_the_gradient_of_a_batch_is_unbiased(name):
    domains_, items, laws = drawn(name)
    n_rows = 1 + max(max(rows) for rows in domains_)
    gradient = np.random.default_rng(2).normal(size=n_rows)
    for domain, rows in enumerate(domains_):
        gradient[rows] += domain % 5
    means = np.array([gradient[rows].mean() for rows in domains_])
    errors = [
        gradient[item].mean() - law @ means
        for item, law in zip(items, laws, strict=True)
    ]
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(len(errors))
