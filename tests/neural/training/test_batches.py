from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, TensorDataset  # noqa: E402

from loop_cases import equal, loop_of, net, rows  # noqa: E402
from statlearn.neural._training._batch_rows import (  # noqa: E402
    moved,
    rows_of,
    weight_and_groups,
)
from statlearn.neural._training._batches import Batch, Batches  # noqa: E402
from statlearn.sampling import DomainBatchSampler, WeightedSampler  # noqa: E402


def seen(batches, epoch=0, start=0):
    return [part[0].tolist() for part in batches.epoch(epoch, start)]


def flat(batches):
    return [row for batch in batches for row in batch]


def numbers(n=10, **options):
    options.setdefault("batch_size", 4)
    options.setdefault("random_state", 0)
    return Batches(torch.arange(n), **options)


def test_an_epoch_goes_through_every_row_once():
    found = seen(numbers())
    assert [len(batch) for batch in found] == [4, 4, 2]
    assert sorted(flat(found)) == list(range(10))
    assert len(numbers()) == 3


def test_the_order_is_a_function_of_seed_and_epoch():
    assert seen(numbers(), 3) == seen(numbers(), 3)
    assert seen(numbers(), 3) != seen(numbers(), 4)
    assert seen(numbers(), 3) != seen(numbers(random_state=1), 3)


@pytest.mark.parametrize("start", range(4))
def test_an_epoch_can_be_entered_at_any_batch(start):
    assert seen(numbers(), 2, start) == seen(numbers(), 2)[start:]


def test_rows_come_in_their_order_without_shuffling():
    assert flat(seen(numbers(shuffle=False), 5)) == list(range(10))


def test_a_short_last_batch_can_be_dropped():
    batches = numbers(drop_last=True)
    assert [len(batch) for batch in seen(batches)] == [4, 4]
    assert len(batches) == 2


def test_rows_without_weight_are_in_no_batch():
    weight = np.arange(10) % 3
    batches = numbers(sample_weight=weight)
    assert sorted(flat(seen(batches))) == np.flatnonzero(weight).tolist()
    for batch in batches:
        assert batch.sample_weight.tolist() == weight[batch[0]].tolist()
    assert len(batches) == 2


def test_groups_follow_their_rows():
    labels = np.array([f"group {row}" for row in range(10)])
    for batch in numbers(groups=labels):
        assert batch.groups.tolist() == [f"group {row}" for row in batch[0].tolist()]


def test_arrays_keep_their_type():
    X, y = np.ones((6, 2), np.float32), np.arange(6)
    X.flags.writeable = False
    batch = next(iter(Batches(X, y, batch_size=3)))
    assert [part.dtype for part in batch] == [torch.float32, torch.int64]


@pytest.mark.parametrize("kind", ["reversed", "big-endian", "read-only"])
def test_arrays_that_torch_cannot_view_are_copied(kind):
    X = np.arange(6.0).reshape(3, 2)
    given = {"reversed": X[::-1], "big-endian": X.astype(">f8"), "read-only": X.copy()}
    array = given[kind]
    if kind == "read-only":
        array.setflags(write=False)
    (batch,) = Batches(array, batch_size=3, shuffle=False)
    assert np.array_equal(batch[0].numpy(), array)


def test_a_sampler_of_rows_is_cut_into_batches():
    def sampler():
        return WeightedSampler([0, 1, 1, 2], n_samples=10, random_state=0)

    batches = Batches(torch.arange(4), batch_size=4, sampler=sampler())
    expected = list(sampler())
    assert seen(batches) == [expected[:4], expected[4:8], expected[8:]]
    assert len(batches) == 3


def test_a_short_last_batch_of_a_sampler_can_be_dropped():
    batches = numbers(sampler=range(10), drop_last=True)
    assert seen(batches) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(batches) == 2


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.uint16, np.uint64, np.int32])
def test_a_sampler_may_draw_whole_numbers_of_any_type(dtype):
    drawn = [np.arange(4).astype(dtype), np.arange(4, 6).astype(dtype), []]
    batches = Batches(torch.arange(10), sampler=drawn)
    assert seen(batches) == [[0, 1, 2, 3], [4, 5], []]


@pytest.mark.parametrize(
    "rows",
    [[0, 10], [-1, 0], [0.5], [True, False], [[0, 1], [2, 3]], [[0, 1], [2]], ["a"]],
    ids=["large", "negative", "half", "mask", "table", "ragged", "text"],
)
def test_a_sampler_of_other_things_than_rows_is_refused(rows):
    batches = Batches(torch.arange(10), sampler=[rows])
    with pytest.raises(ValueError, match=r"from 0 to 9\. Got .* for a batch"):
        next(iter(batches))


def test_a_sampler_of_batches_is_not_cut_again():
    batches = Batches(torch.arange(40), batch_size=8, sampler=domains())
    with pytest.raises(ValueError, match="leave it out for one of arrays"):
        next(iter(batches))


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64])
def test_types_that_torch_takes_no_rows_of_are_refused(kind, dtype):
    array = kind(np.arange(10, dtype=dtype))
    with pytest.raises(TypeError, match=r"take rows of\. Got dtype torch\.uint"):
        Batches(array, batch_size=4)


def domains():
    return DomainBatchSampler([30, 10], batch_size=8, n_steps=5, seed=3)


def test_a_sampler_of_batches_gives_the_batches():
    sampler = domains()
    expected = [[batch.tolist() for batch in sampler] for _ in range(2)]
    batches = Batches(torch.arange(40), sampler=domains())
    assert [seen(batches, epoch) for epoch in range(2)] == expected
    assert seen(batches, 1, 3) == expected[1][3:]


@pytest.mark.parametrize("kind", ["batches", "loader"])
def test_runs_with_a_sampler_are_taken_up_where_they_stopped(kind):
    def make():
        if kind == "batches":
            return Batches(*rows(), sampler=domains())
        return DataLoader(TensorDataset(*rows()), batch_sampler=domains())

    whole, parts = net(), net()
    loop_of(whole).run(make(), 3)
    first = loop_of(net())
    first.run(make(), 3, n_steps=7)
    second = loop_of(parts)
    second.load_state_dict(first.state_dict())
    second.run(make(), 3)
    assert equal(whole, parts)


def test_batches_without_a_seed_differ_from_each_other():
    first, second = (seen(Batches(torch.arange(50), batch_size=50)) for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("arrays", "options", "error", "words"),
    [
        ([], {"batch_size": 2}, ValueError, "'arrays' of Batches"),
        ([torch.ones(0, 2)], {"batch_size": 2}, ValueError, "'arrays' of Batches"),
        ([torch.ones(())], {"batch_size": 2}, ValueError, "'arrays' of Batches"),
        ([torch.ones(3), torch.ones(4)], {"batch_size": 2}, ValueError, "'arrays'"),
        ([torch.ones(3)], {}, ValueError, "'batch_size'"),
        ([torch.ones(3)], {"batch_size": 0}, ValueError, "'batch_size'"),
        (
            [torch.ones(3)],
            {"batch_size": 2, "sample_weight": [1, 2]},
            ValueError,
            "'sample_weight' parameter of Batches",
        ),
        (
            [torch.ones(3)],
            {"batch_size": 2, "sample_weight": [0, 0, 0]},
            ValueError,
            "'sample_weight' parameter of Batches",
        ),
        ([torch.ones(3)], {"batch_size": 2, "groups": "ab"}, ValueError, "'groups'"),
        ([np.array(["a", "b"])], {"batch_size": 2}, TypeError, "must hold numbers"),
        (
            [torch.ones(3)],
            {"sampler": [[0, 1]], "drop_last": True},
            ValueError,
            "'drop_last' of Batches must be False",
        ),
        (
            [torch.ones(3)],
            {"sampler": iter([[0, 1]])},
            TypeError,
            "gone through in every epoch",
        ),
    ],
    ids=[
        "none",
        "empty",
        "number",
        "lengths",
        "size",
        "zero",
        "short",
        "zeros",
        "text",
        "words",
        "dropped",
        "iterator",
    ],
)
def test_bad_input_is_refused(arrays, options, error, words):
    with pytest.raises(error, match=words):
        Batches(*arrays, **options)


# -- rows of any batch -------------------------------------------------------------

Pair = namedtuple("Pair", ["X", "y"])
X, y = torch.arange(12.0).reshape(6, 2), np.arange(6)
HALF = torch.arange(6) % 2 == 0


@pytest.mark.parametrize(
    "batch",
    [X, [X, y], (X, (y, "name")), Pair(X, y), {"X": X, "more": {"y": y}, "n": 3}],
    ids=["tensor", "list", "tuple", "named", "dict"],
)
@pytest.mark.parametrize("rows", [slice(0, None, 2), HALF], ids=["slice", "mask"])
def test_rows_are_taken_from_all_parts(batch, rows):
    def leaves(part):
        if isinstance(part, dict):
            return [leaf for value in part.values() for leaf in leaves(value)]
        if isinstance(part, (tuple, list)):
            return [leaf for value in part for leaf in leaves(value)]
        return [part]

    taken = rows_of(batch, rows)
    assert type(taken) is type(batch)
    for before, after in zip(leaves(batch), leaves(taken), strict=True):
        if isinstance(before, (torch.Tensor, np.ndarray)):
            assert after.tolist() == before[::2].tolist()
        else:
            assert after == before


def test_weights_and_groups_go_with_the_rows():
    batch = rows_of(Batch([X], torch.arange(6.0), y), HALF)
    weight, groups = weight_and_groups(moved(batch, torch.device("cpu")))
    assert weight.tolist() == groups.tolist() == [0, 2, 4]


def test_parts_of_different_length_cannot_be_divided():
    with pytest.raises(ValueError, match="same number of rows"):
        rows_of((X, torch.ones(5)), HALF)


def test_numbers_in_a_batch_have_no_rows():
    assert rows_of((X, torch.tensor(2.0)), HALF)[1] == 2.0
