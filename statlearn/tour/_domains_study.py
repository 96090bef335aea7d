"""Numbers of the section on unequal domains: digits as three cameras see them.

One camera gives the images as they are, the second mirrors them, the third turns them.
The images are real; that there are cameras, and how many images each has, is arranged.
A network of one hidden layer learns to read the images of all three, and is not told
which camera took one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_digits

from statlearn.sampling import (
    DomainBatchSampler,
    gradient_variance_ratio,
    scalarization_weights,
)
from statlearn.schedules import Constant, Schedule, StepCooldown
from statlearn.tour._section import Progress

FloatArray = NDArray[np.float64]
Network = list[FloatArray]

SIZES = (900, 150, 40)
CAMERAS = ("as scanned", "mirrored", "turned")
#: The temperature of the paper.
TAU = 5.0

PLAIN = "in proportion to size"
HOT = "temperature 5"
COOLED = "cooled from 5 to 1"
HEATED = "heated from 1 to 5"
WEIGHTED = "weights of temperature 5"
SCHEMES: dict[str, Schedule] = {
    PLAIN: Constant(1.0),
    HOT: Constant(TAU),
    COOLED: StepCooldown(TAU, 1.0),
    HEATED: StepCooldown(1.0, TAU),
    WEIGHTED: Constant(1.0),
}
#: Lengths of a training, in batches; each is a training of its own.
BUDGETS = (100, 300, 1000)
#: By how much cooling may cost the largest domain, or fall short in the others.
TOLERANCE = 0.05

_BATCH, _HIDDEN, _RATE, _N_CLASSES = 32, 64, 0.2, 10


@dataclass(frozen=True, slots=True)
class Split:
    """Rows for training, sorted by domain, and the fresh images of each camera.

    Attributes
    ----------
    X : ndarray of shape (n, 64)
    y : ndarray of shape (n,)
    domain : ndarray of shape (n,)
    fresh : ndarray of shape (K, m, 64)
        The same images as each camera sees them.
    wanted : ndarray of shape (m,)
    """

    X: FloatArray
    y: NDArray[np.int64]
    domain: NDArray[np.int64]
    fresh: FloatArray
    wanted: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Domains:
    """What each scheme learnt, and how noisy its gradients are.

    Attributes
    ----------
    losses, errors : dict of str to ndarray of shape (n_seeds, n_budgets, K)
        Log loss and share of wrong answers on fresh images, by scheme.
    moments : ndarray of shape (n_seeds, 2, K)
        Mean squared gradient of one row in each domain, before and after training at
        temperature 5 with the middle budget.
    epochs : dict of str to ndarray of shape (n_budgets, K)
        How often the rows of a domain are drawn on average.
    n_rows : int
        Number of images.
    """

    losses: dict[str, FloatArray]
    errors: dict[str, FloatArray]
    moments: FloatArray
    epochs: dict[str, FloatArray]
    n_rows: int

    @property
    def n_seeds(self) -> int:
        """Number of splits."""
        return len(self.moments)

    def mean_loss(self, scheme: str) -> FloatArray:
        """Mean over seeds and domains, after each budget."""
        return self.losses[scheme].mean(axis=(0, 2))

    def of_domain(self, scheme: str, domain: int) -> FloatArray:
        """Mean loss over seeds in one domain, after each budget."""
        return self.losses[scheme][:, :, domain].mean(axis=0)

    def others(self, scheme: str) -> FloatArray:
        """Mean loss over seeds in all domains but the largest, after each budget."""
        return self.losses[scheme][:, :, 1:].mean(axis=(0, 2))

    def ratios(self) -> FloatArray:
        """Second moment of weighting over sampling (n_seeds, 2), before and after."""
        return np.array(
            [
                [gradient_variance_ratio(SIZES, TAU, moment) for moment in pair]
                for pair in self.moments
            ]
        )

    def cooling_is_best_of_both(self) -> NDArray[np.bool_]:
        """Whether cooling keeps both promises, budget by budget."""
        large = self.of_domain(COOLED, 0) <= (1 + TOLERANCE) * self.of_domain(PLAIN, 0)
        small = self.others(COOLED) <= (1 + TOLERANCE) * self.others(HOT)
        return large & small


def learn(progress: Progress, n_seeds: int) -> Domains:
    """Train under every scheme with every budget, on several splits of the images."""
    losses = {name: np.empty((n_seeds, len(BUDGETS), len(SIZES))) for name in SCHEMES}
    errors = {name: np.empty_like(values) for name, values in losses.items()}
    moments = np.empty((n_seeds, 2, len(SIZES)))
    splits = [make_split(seed) for seed in range(n_seeds)]
    jobs = [
        (seed, name, column)
        for seed in range(n_seeds)
        for name in SCHEMES
        for column in range(len(BUDGETS))
    ]
    for seed, name, column in progress.track(jobs, "unequal domains: digits"):
        split = splits[seed]
        network = train(split, name, BUDGETS[column], seed)
        losses[name][seed, column], errors[name][seed, column] = judge(network, split)
        if name == HOT and BUDGETS[column] == BUDGETS[1]:
            moments[seed, 0] = second_moments(new_network(seed), split)
            moments[seed, 1] = second_moments(network, split)
    epochs = {
        name: np.stack([sampler(name, steps, 0).expected_epochs_ for steps in BUDGETS])
        for name in SCHEMES
    }
    n_rows = len(splits[0].y) + len(splits[0].wanted)
    return Domains(losses, errors, moments, epochs, n_rows)


def make_split(seed: int) -> Split:
    """Hand images out to the cameras; all see those that are left over."""
    pixels, digit = load_digits(return_X_y=True)
    images = pixels.reshape(-1, 8, 8) / 16.0
    order = np.random.default_rng(seed).permutation(len(digit))
    *known, fresh = np.split(order, np.cumsum(SIZES))
    return Split(
        np.concatenate([_seen(images[rows], i) for i, rows in enumerate(known)]),
        digit[np.concatenate(known)],
        np.repeat(np.arange(len(SIZES)), SIZES),
        np.stack([_seen(images[fresh], i) for i in range(len(SIZES))]),
        digit[fresh],
    )


def _seen(images: FloatArray, camera: int) -> FloatArray:
    """Images (n, 8, 8) as a camera sees them, (n, 64)."""
    views = (images, images[:, :, ::-1], np.rot90(images, axes=(1, 2)))
    return views[camera].reshape(len(images), -1)


def sampler(scheme: str, n_steps: int, seed: int) -> DomainBatchSampler:
    """Batches of one training."""
    return DomainBatchSampler(
        list(SIZES),
        batch_size=_BATCH,
        n_steps=n_steps,
        schedule=SCHEMES[scheme],
        mode="shuffle",
        stratified=True,
        seed=seed,
    )


def new_network(seed: int) -> Network:
    """Weights and intercepts of two layers, as they are drawn."""
    rng = np.random.default_rng(seed)
    n_features = 64
    return [
        rng.normal(size=(n_features, _HIDDEN)) * np.sqrt(2.0 / n_features),
        np.zeros(_HIDDEN),
        rng.normal(size=(_HIDDEN, _N_CLASSES)) / np.sqrt(_HIDDEN),
        np.zeros(_N_CLASSES),
    ]


def train(split: Split, scheme: str, n_steps: int, seed: int) -> Network:
    """Descend on the batches of a scheme."""
    weights = np.ones(len(SIZES))
    if scheme == WEIGHTED:
        weights = scalarization_weights(SIZES, TAU)
    network = new_network(seed)
    for rows in sampler(scheme, n_steps, seed):
        X, hidden, signal, slope = _slopes(network, split, rows)
        scale = (_RATE * weights[split.domain[rows]] / _BATCH)[:, np.newaxis]
        network[0] -= X.T @ (scale * signal)
        network[1] -= (scale * signal).sum(axis=0)
        network[2] -= hidden.T @ (scale * slope)
        network[3] -= (scale * slope).sum(axis=0)
    return network


def second_moments(network: Network, split: Split) -> FloatArray:
    """Mean squared norm of the gradient of one row, domain by domain (K,)."""
    rows = np.arange(len(split.y))
    X, hidden, signal, slope = _slopes(network, split, rows)
    # The gradient of a layer is an outer product, and its norm a product of norms.
    square = (1.0 + np.sum(X**2, axis=1)) * np.sum(signal**2, axis=1)
    square += (1.0 + np.sum(hidden**2, axis=1)) * np.sum(slope**2, axis=1)
    return np.bincount(split.domain, square) / np.array(SIZES)


def judge(network: Network, split: Split) -> tuple[FloatArray, FloatArray]:
    """Log loss and share of wrong answers (K,) on fresh images, camera by camera."""
    hidden = np.maximum(split.fresh @ network[0] + network[1], 0.0)
    logs = log_softmax(hidden @ network[2] + network[3], axis=2)
    loss = -logs[:, np.arange(len(split.wanted)), split.wanted].mean(axis=1)
    return loss, np.mean(logs.argmax(axis=2) != split.wanted, axis=1)


def _slopes(network: Network, split: Split, rows: Any) -> tuple[FloatArray, ...]:
    """Compute inputs, outputs of the hidden layer, and slopes of the losses at both."""
    X = split.X[rows]
    hidden = np.maximum(X @ network[0] + network[1], 0.0)
    slope = softmax(hidden @ network[2] + network[3], axis=1)
    slope[np.arange(len(X)), split.y[rows]] -= 1.0
    return X, hidden, (slope @ network[2].T) * (hidden > 0.0), slope
