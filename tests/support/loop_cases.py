"""Small models, data and hand-written loops that training is compared with."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from statlearn.neural._loop import TrainingLoop
from statlearn.neural._training._batches import Batches
from statlearn.neural._training._seeding import seed_at


def rows(n=40, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(n, 5, generator=generator, dtype=dtype)
    y = (X[:, 0] + 0.5 * torch.randn(n, generator=generator, dtype=dtype) > 0).long()
    return X, y


def net(*, dropout=0.0, norm=False, dtype=torch.float32):
    """A network with the same start each time; the global state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        layers = [nn.Linear(5, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 2)]
        if norm:
            layers.insert(1, nn.BatchNorm1d(8))
        return nn.Sequential(*layers).to(dtype)


def cross_entropy(model, batch):
    X, y = (batch["X"], batch["y"]) if isinstance(batch, dict) else batch
    return F.cross_entropy(model(X), y, reduction="none")


def loop_of(model, *, lr=0.05, optimizer=torch.optim.AdamW, **options):
    options.setdefault("random_state", 0)
    return TrainingLoop(
        model, cross_entropy, optimizer(model.parameters(), lr=lr), **options
    )


def batches_of(data, batch_size=8, **options):
    return Batches(*data, batch_size=batch_size, **options)


def bare_loop(model, batches, n_epochs, *, lr=0.05, optimizer=torch.optim.AdamW):
    """What the loop is to do, written down without it."""
    stepper = optimizer(model.parameters(), lr=lr)
    losses = []
    model.train()
    for _ in range(n_epochs):
        for batch in batches:
            loss = cross_entropy(model, batch).mean()
            stepper.zero_grad()
            loss.backward()
            stepper.step()
            losses.append(loss.item())
    return losses


def noise_seed(loop, epoch, batch):
    """The seed of the forward pass of a batch, from 0, in a single process."""
    return seed_at(loop.state_dict()["key"], epoch, batch + 1, 1)


def bits(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal(first, second):
    first, second = (
        bits(model) if isinstance(model, nn.Module) else model
        for model in (first, second)
    )
    return all(torch.equal(first[name], second[name]) for name in first)


def distance(first, second):
    return max(
        float((a.detach() - b.detach()).abs().max())
        for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )
