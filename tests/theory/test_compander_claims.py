"""What is claimed of weight companders, with a tuned plain network beside them.

The demonstration follows Cakaj, Mehnert and Yang, "Weight Compander: A Simple Weight
Reparameterization for Regularization", 2023, on digits: 200 training images of which 15
percent of the labels are drawn anew, 1,597 test images with clean labels, a network
64-256-256-10, stochastic gradient descent with Nesterov momentum .9, batches of 50, 120
epochs of a rate that falls along a cosine. Seeds are fixed and not searched for; run
with ``-s`` to see the figures.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest
from sklearn.datasets import load_digits

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from statlearn.exceptions import StatlearnWarning  # noqa: E402
from statlearn.neural import weight_maps  # noqa: E402
from statlearn.neural.regularization import (  # noqa: E402
    compand,
    compander_parameters,
    uncompand,
    weight_statistics,
)

pytestmark = pytest.mark.slow

N_SEEDS = 5
N_TRAIN, BATCH, EPOCHS = 200, 50, 120
VARIANTS = {
    "plain": {},
    "plain, tuned": {"lr": 0.01},
    "a = b = .07": {"a": 0.07, "b": 0.07},
    "a = .1, b = .05": {"a": 0.1, "b": 0.05},
    "learned from .1": {"a": 0.1, "b": 0.1, "learnable": True},
}


def report(text):
    """Show a figure of a test that passes too, under ``pytest -s``."""
    print(text)  # noqa: T201


def digits(seed):
    """Images of the training and the test set, with labels, some of them wrong."""
    rng = np.random.default_rng(seed)
    X, y = load_digits(return_X_y=True)
    order = rng.permutation(len(X))
    X, y = X[order] / 16.0, y[order].copy()
    wrong = rng.random(N_TRAIN) < 0.15
    y[:N_TRAIN][wrong] = rng.integers(0, 10, size=wrong.sum())
    return torch.tensor(X, dtype=torch.float32), torch.tensor(y)


def train(model, X, y, lr):
    scales = list(compander_parameters(model))
    known = {id(scale) for scale in scales}
    weights = [p for p in model.parameters() if id(p) not in known]
    optimizer = torch.optim.SGD(
        [{"params": weights}, *([{"params": scales}] if scales else [])],
        lr=lr,
        momentum=0.9,
        nesterov=True,
    )
    n_steps = EPOCHS * N_TRAIN // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(N_TRAIN).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()


@cache
def runs(variant):
    """Accuracy, share near zero, largest weight, and that over its bound, by seed."""
    options = dict(VARIANTS[variant])
    lr = options.pop("lr", 0.05)
    found = []
    for seed in range(N_SEEDS):
        torch.manual_seed(seed)
        X, y = digits(seed)
        model = nn.Sequential(
            *(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()),
            nn.Linear(256, 10),
        )
        if options:
            with warnings.catch_warnings():
                # A part of the first layer lies beyond a bound of .11.
                warnings.simplefilter("ignore", StatlearnWarning)
                compand(model, **options)
        train(model, X[:N_TRAIN], y[:N_TRAIN], lr)
        bounds = {n: m.bound.item() for n, m in weight_maps(model).items()}
        if options:
            uncompand(model)
        with torch.no_grad():
            right = model(X[N_TRAIN:]).argmax(1) == y[N_TRAIN:]
        found.append((right.double().mean().item(), *spread(model, bounds)))
    found = np.array(found)
    means = ", ".join(
        f"{name} {value:.3f}"
        for name, value in zip(
            ("accuracy", "near zero", "largest", "of the bound"),
            found.mean(axis=0),
            strict=True,
        )
    )
    report(f"{variant}: {means}; sd of accuracy {found[:, 0].std(ddof=1):.3f}")
    return found


def spread(model, bounds):
    """Share of all weights near zero, their largest size, and that over its bound."""
    table = weight_statistics(model)
    sizes = {name: model.get_parameter(name).numel() for name in table}
    near = sum(sizes[n] * row["near_zero"] for n, row in table.items())
    largest = max(row["max_abs"] for row in table.values())
    share = max((table[n]["max_abs"] / b for n, b in bounds.items()), default=0.0)
    return near / sum(sizes.values()), largest, share


@pytest.mark.parametrize("variant", ["a = b = .07", "a = .1, b = .05"])
def test_bound_holds_after_training_and_plain_weights_are_larger(variant):
    found = runs(variant)
    assert found[:, 3].max() <= 1 + 1e-6
    assert found[:, 2].max() <= VARIANTS[variant]["a"] * np.pi / 2 * (1 + 1e-6)
    assert runs("plain")[:, 2].min() > 2 * found[:, 2].max()


def test_fewer_weights_are_near_zero():
    assert (runs("a = .1, b = .05")[:, 1] < runs("plain")[:, 1] - 0.02).all()


def test_accuracy_is_higher_at_a_rate_that_is_too_high_for_wrong_labels():
    gain = runs("a = b = .07")[:, 0] - runs("plain")[:, 0]
    assert gain.mean() > 0.03
    assert gain.min() > 0


def test_plain_network_with_a_tuned_rate_reaches_the_same():
    gap = runs("a = b = .07")[:, 0].mean() - runs("plain, tuned")[:, 0].mean()
    assert abs(gap) < 0.02


def test_learned_scales_are_stable_and_give_the_gain_away():
    found = runs("learned from .1")
    assert found[:, 0].min() > 0.6
    assert found[:, 0].mean() < runs("a = b = .07")[:, 0].mean() - 0.03
    assert found[:, 2].mean() > 0.1 * np.pi / 2
