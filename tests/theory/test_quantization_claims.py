"""What is claimed of weights of few bits, for a small vision transformer on digits.

The demonstration follows Liu, Liu and Cheng, "Oscillation-free Quantization for Low-bit
Vision Transformers", ICML 2023: a transformer is trained in floating point, goes on
with weights of two bits, and ends with a phase at a fiftieth of the learning rate.
Accuracies are those on rows held out. Seeds are fixed and not searched for; run with
``-s`` to see the figures.

Means of five seeds in percent, of which the tests take the first three: floating point
96.0; learned scales 95.4, scales of the weights (StatsQ) 95.9, with annealing 95.9,
with quantised products 96.0. In the last phase the scales drift by 0.0109 if they are
learned, 0.0040 if not, 0.0002 with annealing. That learned scales oscillate more does
not show: 0.51 of the weights do, and 0.61 without them. Nor does annealing end the
changes of level, 0.0158 a step with it and 0.0147 without.
"""

from __future__ import annotations

import copy
import math
from contextlib import nullcontext
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

torch = pytest.importorskip("torch")

from statlearn.neural import weight_maps  # noqa: E402
from statlearn.neural.models import TinyViT  # noqa: E402
from statlearn.neural.quantization import (  # noqa: E402
    ConfidenceGuidedAnnealing,
    OscillationTracker,
    quantize_model,
    reparametrize_attention,
)
from statlearn.neural.quantization._boundaries import near_boundary  # noqa: E402
from statlearn.neural.quantization._grid import WeightQuantizer  # noqa: E402

pytestmark = pytest.mark.slow

N_SEEDS = 3
BATCH = 100
FLOAT_EPOCHS, EPOCHS, LAST_EPOCHS = 60, 20, 8
RATE = 1e-3
LAST_RATE = 0.02 * RATE
# As published, the first and the last layer are not of two bits.
ENDS = ["patches", "head"]


def report(text):
    """Show a figure of a test that passes too, under ``pytest -s``."""
    print(text)  # noqa: T201


class Phase(NamedTuple):
    """What is seen in the last phase."""

    accuracy: float
    oscillating: float
    changes: float
    drift: float


@cache
def digits():
    X, y = load_digits(return_X_y=True)
    parts = train_test_split(X / 16.0, y, train_size=1200, random_state=0, stratify=y)
    X_train, X_test, y_train, y_test = map(torch.from_numpy, parts)
    return X_train.float(), y_train, X_test.float(), y_test


@torch.no_grad()
def accuracy(model):
    X, y = digits()[2:]
    return 100.0 * (model(X).argmax(1) == y).double().mean().item()


def epoch(model, optimizer, rate, order, after_step=lambda: None):
    """One pass over the training rows; `rate` gives that of each step's share."""
    X, y = digits()[:2]
    batches = order.split(BATCH)
    for step, rows in enumerate(batches):
        optimizer.param_groups[0]["lr"] = rate(step / len(batches))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
        optimizer.step()
        after_step()


def orders(seed, n_epochs):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randperm(1200, generator=generator) for _ in range(n_epochs)]


@cache
def float_model(seed):
    torch.set_num_threads(1)
    model = TinyViT(qkv_bias=False, generator=seed)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    for done, order in enumerate(orders(seed, FLOAT_EPOCHS)):

        def rate(share, done=done):  # a warm-up of a tenth, then half a cosine
            t = (done + share) / FLOAT_EPOCHS
            return 3e-3 * min(t / 0.1, 0.5 + 0.5 * math.cos(math.pi * t))

        epoch(model, optimizer, rate, order)
    return model, accuracy(model)


@cache
def quantized(method, seed):
    """Model and optimizer after the training proper at two bits."""
    model = copy.deepcopy(float_model(seed)[0])
    if method == "qkr":
        reparametrize_attention(model, 2)
    quantize_model(
        model, 2, method="lsq" if method == "lsq" else "statsq", exclude=ENDS
    )
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    tracker = OscillationTracker(model)
    for done, order in enumerate(orders(100 + seed, EPOCHS)):

        def rate(share, done=done):
            return RATE * (0.5 + 0.5 * math.cos(math.pi * (done + share) / EPOCHS))

        epoch(model, optimizer, rate, order, tracker.update)
    return model, optimizer, tracker


def stored(model):
    """Quantisers by name, each with the tensor that is trained below it."""
    return {
        name: (
            quantizer,
            model.get_submodule(name.removesuffix(".weight"))
            .parametrizations["weight"]
            .original,
        )
        for name, quantizer in weight_maps(model, kind=WeightQuantizer).items()
    }


@cache
def last_phase(method, annealed, seed):
    model, optimizer, tracker = copy.deepcopy(quantized(method, seed))
    weights = stored(model).values()
    changes, steps = [], []

    def look():
        tracker.update()
        changes.append(tracker.changed_fraction_)
        rows = [quantizer.step(w).flatten() for quantizer, w in weights]
        steps.append(torch.cat(rows).double().numpy())

    with (
        ConfidenceGuidedAnnealing(model).follow(optimizer)
        if annealed
        else nullcontext()
    ):
        for order in orders(200 + seed, LAST_EPOCHS):
            epoch(model, optimizer, lambda _: LAST_RATE, order, look)
    drift = (np.std(steps, axis=0) / np.mean(steps, axis=0)).mean()
    figures = tracker.fraction_, np.mean(changes), drift
    return Phase(accuracy(model), *(100.0 * figure for figure in figures))


@cache
def phases(method, annealed=False):
    """Figures of all seeds, (seeds,) each, printed with their mean and deviation."""
    figures = np.array([last_phase(method, annealed, s) for s in range(N_SEEDS)])
    means, deviations = figures.mean(0), figures.std(0, ddof=1)
    text = ", ".join(
        f"{name} {mean:.4g} +- {deviation:.2g}"
        for name, mean, deviation in zip(Phase._fields, means, deviations, strict=True)
    )
    report(f"{method}{' + CGA' if annealed else ''} (%): {text}")
    return Phase(*figures.T)


def test_two_bits_lose_little_of_the_accuracy():
    floating = np.mean([float_model(seed)[1] for seed in range(N_SEEDS)])
    report(f"float (%): {floating:.4g}")
    assert phases("statsq").accuracy.mean() > floating - 1.5


def test_scales_of_the_weights_are_as_accurate_as_learned_ones():
    gain = phases("statsq").accuracy - phases("lsq").accuracy
    report(f"StatsQ less LSQ (%): {gain.mean():+.2f} {gain.round(2)}")
    assert gain.mean() > -1.0


def test_annealing_holds_the_scales_still():
    plain, annealed = phases("statsq"), phases("statsq", True)
    report(f"drift of scales, times: {(plain.drift / annealed.drift).round(1)}")
    assert (plain.drift > 10.0 * annealed.drift).all()
    assert annealed.accuracy.mean() > plain.accuracy.mean() - 1.0


def test_learned_scales_do_not_oscillate_more_here():
    """The claim that explains the method does not show at this size."""
    learned, taken = phases("lsq"), phases("statsq")
    assert learned.oscillating.mean() < 1.5 * taken.oscillating.mean()
    assert learned.changes.mean() < 1.5 * taken.changes.mean()


def test_annealing_does_not_end_the_changes_of_level_here():
    """Nor does this one: the few weights at a boundary go on to flip."""
    plain, annealed = phases("statsq"), phases("statsq", True)
    assert annealed.changes.mean() > 0.5 * plain.changes.mean()


def test_quantised_products_are_neutral():
    gain = phases("qkr").accuracy - phases("statsq").accuracy
    report(f"QKR less StatsQ (%): {gain.mean():+.2f} {gain.round(2)}")
    assert abs(gain.mean()) < 1.5


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_frozen_weights_keep_their_bits_through_a_pass(name):
    model, optimizer, _ = copy.deepcopy(quantized("statsq", 0))
    if name == "SGD":
        optimizer = torch.optim.SGD(
            model.parameters(), LAST_RATE, momentum=0.9, weight_decay=0.05
        )
    annealing = ConfidenceGuidedAnnealing(model)
    weights = stored(model)
    fractions = []

    def masked_step():
        before = {n: w.detach().clone() for n, (_, w) in weights.items()}
        free = {
            n: near_boundary(w, quantizer, 0.005)
            for n, (quantizer, w) in weights.items()
        }
        annealing.step(optimizer)
        for n, (_, w) in weights.items():
            assert torch.equal(w[~free[n]], before[n][~free[n]])
        fractions.append(annealing.frozen_fraction_)

    rows = orders(300, 1)[0]
    X, y = digits()[:2]
    for batch in rows.split(BATCH):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(X[batch]), y[batch]).backward()
        masked_step()
    report(f"{name}: frozen {min(fractions):.4f} to {max(fractions):.4f}")
    assert min(fractions) > 0.98
