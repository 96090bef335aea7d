"""Runs of the section on maps of weights, all on images of digits.

A network is adapted to images that have moved, bounded while labels are wrong, and
quantised to two bits. All of torch comes through `statlearn.neural`, and within
functions: the tour has to load without it.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from statlearn.schedules import Cosine

FloatArray = NDArray[np.float64]
Rows = tuple[NDArray[np.float32], NDArray[np.int64]]

# --- adapting
VIEWS = ("turned", "shifted")
FULL, ROW, COL = "all weights", "Bone, row", "Bone, col"
LORA, PISSA = "LoRA", "PiSSA"
METHODS = (FULL, PISSA, LORA, COL, ROW)
#: Side of a block, and rank of a product with about as many numbers.
SIDE, RANK = 8, 4
#: LoRA starts with half of its numbers at zero, and wants larger steps.
ADAPTING = {name: 0.03 if name == LORA else 0.01 for name in METHODS}
N_ADAPT = 14

# --- bounding
PLAIN, BOUNDED, SLOWER = "plain", "bounded", "plain, tuned rate"
RATES = {PLAIN: 0.3, BOUNDED: 0.3, SLOWER: 0.05}
#: Labels that are drawn at random, of this many images; weights below are near zero.
WRONG, N_NOISY, NEAR = 0.15, 200, 0.01
N_LEARN = 50

# --- quantising
STATSQ, LSQ = "StatsQ", "LSQ"
CODERS: dict[str, Any] = {STATSQ: "statsq", LSQ: "lsq"}
ANNEALED = "StatsQ, CGA"
BITS = 2
N_QUANTISE, N_END = 4, 3

_WIDTHS, _BATCH = (64, 64), 64
_N_BASE, _N_TRAIN, _N_ADAPTING = 15, 900, 320
#: Updates of an adapter.
N_STEPS = N_ADAPT * _N_ADAPTING // _BATCH
_LAYERS = ("layers.*",)


@dataclass(frozen=True, slots=True)
class Bounding:
    """What came of learning from wrong labels.

    Attributes
    ----------
    accuracy : float
        On the images left out, whose labels are right.
    near_zero : float
        Share of the weights of hidden layers that are below `NEAR` in size.
    weights : ndarray of shape (n_weights,)
        Of the first hidden layer.
    bound : float
        What none of them exceeds; infinite without a map.
    """

    accuracy: float
    near_zero: float
    weights: FloatArray
    bound: float


@dataclass(frozen=True, slots=True)
class Quantising:
    """What came of training with two bits.

    Attributes
    ----------
    trained, accuracy : float
        On the images left out, before the last phase and after it.
    oscillating : float
        Share of weights that flip, before the last phase.
    scales : ndarray of shape (n_steps, n_rows)
        Distance of two levels in each row, after each step of the last phase.
    frozen : float
        Share of weights that the last step did not move; 0 without annealing.
    exact : bool
        Whether a plain network with the exported codes computes the same bits.
    """

    trained: float
    accuracy: float
    oscillating: float
    scales: FloatArray
    frozen: float
    exact: bool

    @property
    def drift(self) -> float:
        """Spread of a scale over the phase, relative to it, mean of the rows."""
        return float((self.scales.std(axis=0) / self.scales.mean(axis=0)).mean())


# --- data and training --------------------------------------------------------


@cache
def parts(seed: int) -> tuple[Rows, Rows, Rows]:
    """Images that train a network, that adapt it, and the rest."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    ends = (_N_TRAIN, _N_TRAIN + _N_ADAPTING)
    one, two, three = (
        ((X[rows] / 16.0).astype(np.float32), y[rows]) for rows in np.split(order, ends)
    )
    return one, two, three


def viewed(rows: Rows, view: str) -> Rows:
    """Turn images by a quarter, or shift them by one pixel to the right."""
    X, y = rows
    pictures = X.reshape(-1, 8, 8)
    turned = view == VIEWS[0]
    moved = np.rot90(pictures, 1, (1, 2)) if turned else np.roll(pictures, 1, 2)
    return np.ascontiguousarray(moved.reshape(len(X), -1)), y


def _network(seed: int) -> Any:
    from statlearn.neural.models import MLP

    return MLP(64, _WIDTHS, 10, generator=seed)


def _fit(
    model: Any,
    rows: Rows,
    n_epochs: int,
    seed: int,
    *,
    optimizer: str = "adamw",
    rate: float,
    parameters: Any = None,
    falls: bool = False,
    after: Callable[[], object] | None = None,
    around: Callable[[Any], Any] | None = None,
) -> None:
    """Train for some passes; `after` comes behind each step, `around` is a context."""
    from contextlib import nullcontext

    from statlearn.neural import Batches, TrainingLoop
    from statlearn.neural._estimators._optimizers import make_optimizer
    from statlearn.neural.losses import cross_entropy

    chosen = model.parameters() if parameters is None else parameters
    made = make_optimizer(optimizer, chosen, rate, 0.0, "tour")
    batches = Batches(*rows, batch_size=_BATCH)
    cosine = Cosine(rate, eta_min=0.0, n_steps=n_epochs * len(batches), warmup=0)
    loop = TrainingLoop(
        model,
        lambda model, batch: cross_entropy(model(batch[0]), batch[1]),
        made,
        schedule=cosine if falls else None,
        callbacks=[lambda _: bool(after())] if after else [],
        random_state=seed,
    )
    with around(made) if around else nullcontext():
        loop.run(batches, n_epochs)


def accuracy_of(model: Any, rows: Rows) -> float:
    from statlearn.neural import predict

    X, y = rows
    return float((predict(model, X).argmax(1).numpy() == y).mean())


def train_base(seed: int) -> Any:
    model = _network(seed)
    _fit(model, parts(seed)[0], _N_BASE, seed, rate=2e-3)
    return model


def _bits(model: Any) -> list[FloatArray]:
    """Copy the weights that the hidden layers use."""
    return [layer.weight.detach().numpy().copy() for layer in model.layers]


def _same(one: list[FloatArray], two: list[FloatArray]) -> bool:
    return all(map(np.array_equal, one, two))


# --- adapting -------------------------------------------------------------------


def adapt(base: Any, seed: int, name: str, view: str) -> tuple[float, int, bool]:
    """Adapt a copy; its accuracy, the trained numbers, whether all bits came back."""
    from statlearn.neural import fold, map_parameters, strip, unfold

    _, rows, test = (viewed(part, view) for part in parts(seed))
    model, kept = deepcopy(base), _bits(base)
    if name == FULL:
        trained = [layer.weight for layer in model.layers]
    else:
        _attach(model, name, seed)
        trained = list(map_parameters(model))
    _fit(model, rows, N_ADAPT, seed, rate=ADAPTING[name], parameters=trained)
    accuracy, n_trained = accuracy_of(model, test), sum(t.numel() for t in trained)
    if name == FULL:
        return accuracy, n_trained, True
    used = _bits(model)
    fold(model, reversible=True)
    same = _same(used, _bits(model))
    unfold(model)
    same = same and _same(used, _bits(model))
    strip(model)
    return accuracy, n_trained, same and _same(kept, _bits(model))


def _attach(model: Any, name: str, seed: int) -> None:
    from statlearn.neural._generators import as_torch_generator
    from statlearn.neural.adapters import apply_bone, apply_lora, apply_pissa

    if name == LORA:
        source = as_torch_generator(seed, "tour")
        apply_lora(model, RANK, include=_LAYERS, generator=source)
    elif name == PISSA:
        apply_pissa(model, RANK, include=_LAYERS)
    else:
        variant = "row" if name == ROW else "col"
        apply_bone(model, SIDE, variant=variant, include=_LAYERS)


# --- bounding -------------------------------------------------------------------


def bound(name: str, seed: int) -> Bounding:
    """Learn from a few images, some with a wrong label."""
    from statlearn.neural.regularization import compand, uncompand, weight_statistics

    (X, y), *_ = parts(seed)
    rows = X[:N_NOISY], relabelled(y[:N_NOISY], seed)
    rest = X[N_NOISY:], y[N_NOISY:]
    model, limit = _network(seed), np.inf
    if name == BOUNDED:
        compand(model, include=_LAYERS)
        limit = _bound_of(model)
    _fit(model, rows, N_LEARN, seed, optimizer="sgd", rate=RATES[name], falls=True)
    if name == BOUNDED:
        uncompand(model)
    found = weight_statistics(model, NEAR, include=_LAYERS)
    near = float(np.mean([each["near_zero"] for each in found.values()]))
    return Bounding(accuracy_of(model, rest), near, _bits(model)[0].ravel(), limit)


def _bound_of(model: Any) -> float:
    """Largest size that weights of the first layer can have."""
    return float(model.layers[0].parametrizations.weight[0].bound)


def relabelled(y: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Labels of which a share is drawn anew."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(y)) < WRONG, rng.integers(0, 10, len(y)), y)


# --- quantising -----------------------------------------------------------------


def quantise(base: Any, seed: int) -> dict[str, Quantising]:
    """Train copies of two bits, and end one of them with and without annealing."""
    from statlearn.neural.quantization import OscillationTracker, quantize_model

    rows, _, test = parts(seed)
    found = {}
    for name, method in CODERS.items():
        model = deepcopy(base)
        quantize_model(model, BITS, method=method)
        _fit(model, rows, N_QUANTISE, seed, rate=1e-3)
        tracker = OscillationTracker(model)
        _fit(model, rows, N_QUANTISE, seed + 50, rate=1e-3, after=tracker.update)
        start = (accuracy_of(model, test), tracker.fraction_)
        found[name] = _end(deepcopy(model), rows, test, seed, start, anneal=False)
        if name == STATSQ:
            found[ANNEALED] = _end(model, rows, test, seed, start, anneal=True)
    return found


def _end(
    model: Any,
    rows: Rows,
    test: Rows,
    seed: int,
    start: tuple[float, float],
    *,
    anneal: bool,
) -> Quantising:
    """Train at a fiftieth of the rate, watching the scales."""
    from statlearn.neural.quantization import ConfidenceGuidedAnnealing

    scales = [_scales(model)]
    run = partial(
        _fit,
        model,
        rows,
        N_END,
        seed + 100,
        rate=2e-5,
        after=lambda: scales.append(_scales(model)),
    )
    frozen = 0.0
    if anneal:
        annealing = ConfidenceGuidedAnnealing(model)
        run(around=annealing.follow)
        frozen = annealing.frozen_fraction_
    else:
        run()
    accuracy = accuracy_of(model, test)
    return Quantising(
        start[0], accuracy, start[1], np.array(scales), frozen, _reloads(model, test)
    )


def _scales(model: Any) -> FloatArray:
    """Distance of two levels in each row of the quantised weights."""
    chains = [layer.parametrizations.weight for layer in model.layers]
    steps = [chain[0].step(chain.original.detach()) for chain in chains]
    return np.concatenate([step.detach().numpy().ravel() for step in steps])


def _reloads(model: Any, test: Rows) -> bool:
    """Whether a plain network with the codes computes the bits of the quantised one."""
    from statlearn.neural import fold, predict
    from statlearn.neural.quantization import dequantize, export_codes

    weights = dequantize(export_codes(model))
    plain = deepcopy(model)
    fold(plain)
    rest = {k: v for k, v in plain.state_dict().items() if k not in weights}
    fresh = _network(99)
    fresh.load_state_dict(rest | weights)
    one, two = (predict(each, test[0]).numpy() for each in (model, fresh))
    return bool(np.array_equal(one, two))
