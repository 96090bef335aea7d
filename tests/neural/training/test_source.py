"""Epochs from anything that gives batches, from any batch on."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.utils.data import (  # noqa: E402
    DataLoader,
    RandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from loop_cases import (  # noqa: E402
    batches_of,
    cross_entropy,
    equal,
    loop_of,
    net,
    rows,
)
from statlearn.neural._training._batches import Batches  # noqa: E402
from statlearn.neural._training._inference import evaluate  # noqa: E402


def trained(batches, n_epochs=2, **options):
    model = net()
    loop_of(model, **options).run(batches, n_epochs)
    return model


# -- orders ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "look",
    [lambda batches: next(iter(batches)), lambda b: evaluate(net(), cross_entropy, b)],
    ids=["next", "evaluate"],
)
def test_looking_at_batches_leaves_their_order_to_the_loop(look):
    batches = batches_of(rows())
    look(batches)
    assert equal(trained(batches), trained(batches_of(rows())))


def test_batches_without_a_seed_have_one_order_outside_of_loops():
    batches = Batches(torch.arange(50), batch_size=50)
    first, second = (next(iter(batches))[0].tolist() for _ in range(2))
    assert first == second


def random_sampler():
    return RandomSampler(range(40))


def weighted_sampler():
    return WeightedRandomSampler(torch.arange(40.0) + 1.0, 40)


@pytest.mark.parametrize("make", [random_sampler, weighted_sampler])
@pytest.mark.parametrize("kind", ["batches", "loader"])
@pytest.mark.parametrize("stop", [3, 7, 10])
def test_runs_with_a_sampler_of_torch_are_taken_up_where_they_stopped(make, kind, stop):
    def data():
        if kind == "batches":
            return batches_of(rows(), sampler=make())
        return DataLoader(TensorDataset(*rows()), batch_size=8, sampler=make())

    first = loop_of(net())
    first.run(data(), 3, n_steps=stop)
    model = net()
    second = loop_of(model)
    second.load_state_dict(first.state_dict())
    second.run(data(), 3)
    assert equal(model, trained(data(), 3))


# -- lengths -----------------------------------------------------------------------


class Shrinking:
    """Batches of 4 rows, without a length, of which there are fewer in time."""

    n = 10

    def __iter__(self):
        X, y = rows()
        return iter([(X[i : i + 4], y[i : i + 4]) for i in range(0, 4 * self.n, 4)])


@pytest.mark.parametrize("kind", ["batches", "stream"])
def test_an_epoch_that_is_shorter_than_its_place_is_refused(kind):
    stream, loop = Shrinking(), loop_of(net())
    X, y = rows()
    loop.run(stream if kind == "stream" else batches_of((X, y), 4), n_steps=6)
    stream.n = 4
    short = stream if kind == "stream" else batches_of((X[:16], y[:16]), 4)
    with pytest.raises(ValueError, match=r"at least 7 in epoch 0.* Got 4; pass the"):
        loop.run(short)
    assert (loop.step_, loop.epoch_) == (6, 0)


class Refilled:
    """Batches that all lie in the same memory, one after the other."""

    def __iter__(self):
        data = rows()
        buffers = [torch.empty_like(part[:8]) for part in data]
        for start in range(0, 40, 8):
            for buffer, part in zip(buffers, data, strict=True):
                buffer.copy_(part[start : start + 8])
            yield tuple(buffers)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_batch_is_used_before_the_next_one_is_drawn(accumulate):
    in_order = batches_of(rows(), shuffle=False)
    assert equal(
        trained(Refilled(), accumulate=accumulate),
        trained(in_order, accumulate=accumulate),
    )


def test_an_error_in_the_next_batch_leaves_the_step_before(tmp_path):
    class Broken(Shrinking):
        fails = True

        def __iter__(self):
            for number, batch in enumerate(super().__iter__()):
                if number == 3 and self.fails:
                    raise OSError("the disk is gone")
                yield batch

    batches, model, path = Broken(), net(norm=True), tmp_path / "run.pt"
    loop = loop_of(model, checkpoint=path)
    with pytest.raises(OSError, match="the disk is gone"):
        loop.run(batches, 2)
    assert loop.step_ == 2
    batches.fails = False
    again, whole = net(norm=True), net(norm=True)
    loop_of(again, checkpoint=path).run(batches, 2)
    loop_of(whole).run(batches, 2)
    assert equal(again, whole)
