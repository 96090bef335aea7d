"""Samplers in the hands of PyTorch: loaders with workers, and two processes."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from statlearn.sampling import ReplayMixer, WeightedSampler
from statlearn.weights import LinUpper

torch = pytest.importorskip("torch")
data = pytest.importorskip("torch.utils.data")
processes = pytest.importorskip("torch.multiprocessing")
# What started processes need: they find modules on the path, not those of pytest.
workers = pytest.importorskip("sampling_workers")

# Each worker imports torch anew, which takes seconds: one quick test has them.
each_number_of_workers = pytest.mark.parametrize(
    "n_workers", [0, pytest.param(2, marks=pytest.mark.slow)]
)
# The test process has threads by then, which a fork may not like.
SPAWN = "spawn"


def loader(n_rows, n_workers, **options):
    return data.DataLoader(
        workers.Squares(n_rows),
        num_workers=n_workers,
        multiprocessing_context=SPAWN if n_workers else None,
        **options,
    )


@each_number_of_workers
def test_loader_takes_domain_batches(n_workers):
    loaded = loader(60, n_workers, batch_sampler=workers.cooled(mode="shuffle"))
    assert len(loaded) == 12
    found = [batch[:, 0].tolist() for batch in loaded]
    assert found == [batch.tolist() for batch in workers.cooled(mode="shuffle")]


@each_number_of_workers
def test_loader_takes_weighted_rows(n_workers):
    def sampler():
        return WeightedSampler([1, 0, 3, 2], n_samples=21, random_state=0)

    loaded = loader(4, n_workers, sampler=sampler(), batch_size=5)
    found = torch.cat([batch[:, 0] for batch in loaded]).tolist()
    assert found == list(sampler())


def test_loader_takes_flat_replay_on_a_concatenated_dataset():
    mixer = ReplayMixer(30, 80, fraction=0.25, batch_size=8, flat=True)
    both = data.ConcatDataset([workers.Squares(30), workers.Squares(80)])
    for batch, (old, new) in zip(
        data.DataLoader(both, batch_sampler=mixer),
        ReplayMixer(30, 80, fraction=0.25, batch_size=8),
        strict=True,
    ):
        assert batch[:, 0].tolist() == [*old.tolist(), *new.tolist()]


@pytest.mark.slow
def test_training_resumes_although_the_loader_read_ahead():
    whole = [
        batch[:, 0].tolist() for batch in loader(60, 0, batch_sampler=workers.cooled())
    ]
    sampler = workers.cooled()
    iterator = iter(loader(60, 1, batch_sampler=sampler, prefetch_factor=2))
    used = [next(iterator)[:, 0].tolist() for _ in range(3)]
    assert sampler.step_ > 3
    state = sampler.state_dict(step=3)
    resumed = workers.cooled()
    resumed.load_state_dict(state)
    rest = [b[:, 0].tolist() for b in loader(60, 0, batch_sampler=resumed)]
    assert used + rest == whole


def test_weights_may_be_a_tensor_of_losses():
    weights = LinUpper()(torch.tensor([0.1, 1.0, 3.0], dtype=torch.float32))
    found = WeightedSampler(weights, random_state=0).probabilities_
    np.testing.assert_allclose(found, (weights / weights.sum()).numpy(), rtol=1e-6)


@pytest.mark.slow
def test_two_processes_share_the_stream_of_one(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = str(tmp_path / "rows.pt")
    processes.spawn(workers.gather_rows, args=(port, file), nprocs=2)
    left, right = torch.load(file).numpy()
    whole = np.array(list(workers.cooled(mode="shuffle")))
    np.testing.assert_array_equal(left, whole[:, 0::2])
    np.testing.assert_array_equal(right, whole[:, 1::2])
