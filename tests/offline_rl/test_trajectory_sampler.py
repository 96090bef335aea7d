"""The stream of a sampler: resuming, sharing, changing weights, and bad input."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from sampler_cases import recorded
from statlearn.offline_rl import ReturnWeighting, TrajectorySampler

DATASET = recorded([3, 1, 4, 2, 5, 1, 1, 8])
WEIGHTS = [0.0, 2.0, 0.5, 0.0, 1.0, 3.0, 0.1, 1.0]


def make(**options):
    options = {"batch_size": 6, "n_batches": 40, "random_state": 0} | options
    return TrajectorySampler(DATASET, WEIGHTS, **options)


def rows_of(batches):
    return [batch["indices"].tolist() for batch in batches]


def test_sampling_is_iterating():
    iterated = rows_of(make())
    sampler = make()
    assert rows_of(sampler.sample() for _ in range(40)) == iterated
    sampler = make()
    assert [sampler.sample_indices().tolist() for _ in range(40)] == iterated
    assert rows_of(make().epoch(40)) == iterated
    assert [rows.tolist() for rows in make().to_torch_batch_sampler()] == iterated
    sampler = make()
    assert rows_of(sampler.sample(6) for _ in range(40)) == iterated


def test_sampling_goes_on_into_the_next_epoch():
    sampler = make()
    whole = rows_of(sampler) + rows_of(sampler)
    sampler = make()
    assert rows_of(sampler.epoch(55)) == whole[:55]
    assert (sampler.epoch_, sampler.step_) == (1, 15)
    assert rows_of(sampler) == whole[55:]


def test_an_epoch_has_as_many_draws_as_there_are_transitions():
    assert len(TrajectorySampler(DATASET, batch_size=6)) == 5
    assert len(TrajectorySampler(DATASET)) == 1


def test_sampling_and_iterating_take_turns():
    whole, sampler = rows_of(make()), make()
    found = rows_of([sampler.sample(), sampler.sample()])
    for batch in sampler:
        found += rows_of([batch, sampler.sample()])
    assert found == whole


@pytest.mark.parametrize("prefetch", [1, 7, 32, 10**9])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_prefetching_changes_no_draw(prefetch, batch_size):
    options = {"batch_size": batch_size, "n_batches": 50}
    one, other = make(prefetch=5, **options), make(prefetch=prefetch, **options)
    for size in (None, 2, 5, None, 2, 2, 11, None, 1, 5):
        assert_array_equal(one.sample_indices(size), other.sample_indices(size))
    assert rows_of(one) == rows_of(other)


def test_size_of_batches_only_cuts_the_stream():
    short, long = make(batch_size=5, n_batches=12), make(batch_size=60, n_batches=1)
    assert [row for rows in rows_of(short) for row in rows] == rows_of(long)[0]


def test_size_of_draws_apart_only_cuts_the_stream():
    one, other = make(), make()
    parts = [one.sample_indices(size) for size in (1, 4, 2, 7, 100, 3)]
    assert_array_equal(np.concatenate(parts), other.sample_indices(117))


@pytest.mark.parametrize("step", [0, 1, 17, 31, 32, 33, 39, 40])
def test_resuming_is_the_same_as_never_having_stopped(step):
    sampler = make()
    for _ in range(step):
        sampler.sample()
        sampler.sample(5)
    state = json.loads(json.dumps(sampler.state_dict()))
    resumed = make(random_state=9, prefetch=3)
    resumed.sample()
    resumed.load_state_dict(state)
    for _ in range(60):
        for size in (None, 5):
            one, other = sampler.sample(size), resumed.sample(size)
            for name, values in one.items():
                assert_array_equal(values, other[name])
    assert sampler.state_dict() == resumed.state_dict()


@pytest.mark.parametrize("by", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_copy_stands_where_the_sampler_stands(by):
    sampler = make(sequence_length=3)
    sampler.sample(), sampler.sample(4)
    other = by(sampler)
    for size in (None, 4, None, 3):
        one, two = sampler.sample(size), other.sample(size)
        for name, values in one.items():
            assert_array_equal(values, two[name])


def test_processes_share_batches_and_draw_apart_by_themselves():
    whole = make()
    ranks = [make(rank=rank, world_size=3) for rank in range(3)]
    for batch in whole:
        parts = [rank.sample()["indices"] for rank in ranks]
        assert sorted(np.concatenate(parts)) == sorted(batch["indices"])
        assert {len(part) for part in parts} == {2}
    apart = [rank.sample_indices(50).tolist() for rank in ranks]
    assert apart[0] != apart[1] != apart[2] != apart[0]


@pytest.mark.parametrize("prefetch", [1, 32])
def test_other_weights_count_from_the_next_draw(prefetch):
    sampler = make(prefetch=prefetch)
    fresh = TrajectorySampler(
        DATASET, WEIGHTS[::-1], batch_size=6, n_batches=40, random_state=0
    )
    for _ in range(7):
        sampler.sample(), sampler.sample(4)
        fresh.sample(), fresh.sample(4)
    sampler.set_weights(WEIGHTS[::-1])
    assert sampler.step_ == 7
    assert_array_equal(sampler.sample_indices(4), fresh.sample_indices(4))
    for one, other in zip(sampler, fresh, strict=True):
        assert_array_equal(one["indices"], other["indices"])
        assert_array_equal(one["weights"], other["weights"])


def test_other_weights_count_in_an_iteration_under_way():
    sampler, only_last = make(), [0.0] * 7 + [1.0]
    iterator = iter(sampler)
    next(iterator)
    sampler.set_weights(only_last)
    assert next(iterator)["indices"].min() >= DATASET.offsets[-2]


def test_state_of_other_weights_is_refused():
    state = make().state_dict()
    sampler = make()
    sampler.set_weights(None)
    with pytest.raises(ValueError, match="with the same weights"):
        sampler.load_state_dict(state)


@pytest.mark.parametrize("calls", [-1, 0.5, "two"])
def test_state_that_no_sampler_gives_is_refused(calls):
    with pytest.raises(ValueError, match="must stand at a step"):
        make().load_state_dict(make().state_dict() | {"calls": calls})


def test_weighting_of_the_user_is_not_changed():
    weighting = ReturnWeighting(0.2)
    sampler = TrajectorySampler(DATASET, weighting)
    assert not hasattr(weighting, "returns_")
    sampler.set_weights(weighting)
    assert not hasattr(weighting, "returns_")


OTHER = recorded([3, 1])


@pytest.mark.parametrize(
    ("weights", "error", "match"),
    [
        pytest.param([1.0], ValueError, "shape .1,.", id="too few"),
        pytest.param(np.ones((8, 1)), ValueError, "shape .8, 1.", id="a column"),
        pytest.param([1.0] * 7 + [-1.0], ValueError, "-1.0 at 7", id="negative"),
        pytest.param([1.0] * 7 + [np.nan], ValueError, "first at 7", id="missing"),
        pytest.param([np.inf] + [1.0] * 7, ValueError, "first at 0", id="infinite"),
        pytest.param([0.0] * 8, ValueError, "zeros only", id="zeros"),
        pytest.param("return", TypeError, "Got str", id="a word"),
        pytest.param(ReturnWeighting, TypeError, "Got ABCMeta|Got type", id="a class"),
        pytest.param([], TypeError, "Got list", id="nothing"),
        pytest.param(np.arange(25.0), ValueError, "at transition 1", id="rows"),
        pytest.param(
            clone(ReturnWeighting()).fit(OTHER), ValueError, "2 traj", id="other data"
        ),
    ],
)
def test_weights_that_fit_no_trajectory_are_refused(weights, error, match):
    with pytest.raises(error, match=f"'weighting' of TrajectorySampler .*{match}"):
        TrajectorySampler(DATASET, weights)
    where = "'weights' of TrajectorySampler.set_weights"
    with pytest.raises(error, match=f"{where} .*{match}"):
        make().set_weights(weights)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"batch_size": 0}, ValueError, "'batch_size' .* >= 1. Got 0"),
        ({"batch_size": 2.5}, TypeError, "'batch_size' .* Got 2.5"),
        ({"batch_size": 7, "world_size": 2}, ValueError, "multiple of world_size=2"),
        ({"prefetch": 0}, ValueError, "'prefetch' .* Got 0"),
        ({"n_batches": -1}, ValueError, "'n_batches' .* Got -1"),
        ({"sequence_length": 0}, ValueError, "'sequence_length' .* Got 0"),
        ({"sequence_length": 1.5}, TypeError, "'sequence_length' .* Got 1.5"),
        (
            {"sequence_length": 9, "pad": False},
            ValueError,
            "'sequence_length' .* has 8 transitions. Got 9; pass pad=True",
        ),
        ({"n_step": 0}, ValueError, "'n_step' .* Got 0"),
        ({"gamma": 1.5}, ValueError, "'gamma' .* Got 1.5"),
        ({"gamma": "big"}, TypeError, "'gamma' .* Got 'big'"),
        ({"dtype": "int32"}, ValueError, "'dtype' .* Got 'int32'"),
        ({"dtype": "number"}, ValueError, "'dtype' .* Got 'number'"),
        (
            {"random_state": None, "world_size": 2},
            ValueError,
            "Got None; pass the same",
        ),
        ({"rank": 3, "world_size": 2}, ValueError, "'rank' .* Got 3"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_settings_that_make_no_sense_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        make(**options)


def test_other_data_are_refused():
    with pytest.raises(TypeError, match=r"expected a TrajectoryDataset\. Got list"):
        TrajectorySampler([1, 2])


@pytest.mark.parametrize("method", ["sample", "sample_indices", "epoch"])
def test_numbers_below_one_are_refused(method):
    with pytest.raises(
        ValueError, match=f"TrajectorySampler.{method} must be .* Got 0"
    ):
        getattr(make(), method)(0)


@pytest.mark.parametrize(
    "indices",
    [[-1], [25], [0.5], [[0, 1]], 3, [True]],
    ids=["negative", "too large", "fraction", "table", "number", "mask"],
)
def test_rows_that_do_not_exist_are_refused(indices):
    with pytest.raises(IndexError, match=r"'indices' of .* from 0 to 24"):
        make().gather(indices)
    with pytest.raises(IndexError):
        make()[indices]


def test_no_rows_give_an_empty_batch():
    batch = make(sequence_length=2).gather([])
    assert batch["observations"].shape == (0, 2, 2)
    assert len(batch["weights"]) == 0


def test_equal_seeds_agree_and_others_do_not():
    assert rows_of(make()) == rows_of(make())
    assert rows_of(make()) != rows_of(make(random_state=1))
    generators = [np.random.default_rng(5) for _ in range(2)]
    one, other = (make(random_state=generator) for generator in generators)
    assert rows_of(one) == rows_of(other)


@pytest.mark.parametrize("convert", ["to_d3rlpy", "to_sb3"])
def test_missing_package_is_named(convert, monkeypatch):
    module = {"to_d3rlpy": "d3rlpy", "to_sb3": "stable_baselines3"}[convert]
    names = [module, f"{module}.dataset", f"{module}.common.buffers"]
    for name in names:
        monkeypatch.setitem(__import__("sys").modules, name, None)
    options = (None, None) if convert == "to_sb3" else ()
    wanted = f"TrajectorySampler.{convert} needs the package '{module}'"
    with pytest.raises(ImportError, match=wanted):
        getattr(make(), convert)(*options)
