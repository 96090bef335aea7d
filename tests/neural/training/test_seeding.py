"""Runs in several threads, which share the random state of torch."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

torch = pytest.importorskip("torch")

from loop_cases import batches_of, cross_entropy, equal, net, rows  # noqa: E402
from statlearn.neural._loop import TrainingLoop  # noqa: E402


def trained(model):
    def slow(model, batch):
        time.sleep(0.002)  # for another thread to draw in between
        return cross_entropy(model, batch)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    TrainingLoop(model, slow, optimizer, random_state=0).run(batches_of(rows()), 2)
    return model


def test_runs_in_threads_end_as_alone_and_leave_the_random_state():
    starts = [net(dropout=0.5) for _ in range(5)]
    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(trained, starts[:4]))
    alone = trained(starts[4])
    assert all(equal(model, alone) for model in models)
    assert torch.equal(torch.get_rng_state(), before)
