"""Samplers of transitions in a loader of PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from sampler_cases import recorded
from statlearn.offline_rl import TrajectorySampler

torch = pytest.importorskip("torch")
data = pytest.importorskip("torch.utils.data")

DATASET = recorded([3, 1, 4, 2, 5])
WEIGHTS = [0.0, 2.0, 0.5, 0.0, 1.0]


def make(**options):
    return TrajectorySampler(
        DATASET, WEIGHTS, batch_size=8, n_batches=10, random_state=0, **options
    )


def loader(sampler, rows, n_workers=0):
    return data.DataLoader(
        sampler,
        sampler=rows,
        batch_size=None,
        num_workers=n_workers,
        # The test process has threads by then, which a fork may not like.
        multiprocessing_context="spawn" if n_workers else None,
    )


def same(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert torch.is_tensor(found[name])
        np.testing.assert_array_equal(found[name].numpy(), values)


@pytest.mark.parametrize("length", [None, 3])
def test_loader_gives_the_batches_of_the_sampler(length):
    sampler = make(sequence_length=length)
    loaded = loader(sampler, sampler.to_torch_batch_sampler())
    assert len(loaded) == 10
    for found, expected in zip(loaded, sampler, strict=True):
        same(found, expected)


@pytest.mark.slow
def test_workers_gather_batches_and_training_resumes_although_they_read_ahead():
    sampler = make(sequence_length=2)
    rows, whole = sampler.to_torch_batch_sampler(), list(sampler)
    iterator = iter(loader(sampler, rows, n_workers=2))
    for expected in whole[:3]:
        same(next(iterator), expected)
    assert rows.step_ > 3
    resumed = make(prefetch=2).to_torch_batch_sampler()
    resumed.load_state_dict(rows.state_dict(step=3))
    for found, expected in zip(loader(sampler, resumed), whole[3:], strict=True):
        same(found, expected)


def test_a_layer_takes_the_views_of_a_batch():
    batch = make().sample()
    layer = torch.nn.Linear(2, 3)
    found = layer(torch.as_tensor(batch["observations"]))
    copied = layer(torch.tensor(batch["observations"].copy()))
    torch.testing.assert_close(found, copied)


def test_weights_may_be_a_tensor():
    sampler = TrajectorySampler(DATASET, torch.tensor(WEIGHTS))
    expected = np.array(WEIGHTS) * DATASET.lengths
    np.testing.assert_allclose(sampler.probabilities_, expected / expected.sum())
