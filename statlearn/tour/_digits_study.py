"""Numbers of the section on continual learning: digits, then digits that changed.

A network learns images of digits, then the same images moved by a pixel (a weak shift)
or with their pixels permuted (a strong one). Losses are log losses of images left out.
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from statlearn.continual import ContinualHistory, ContinualLearner
from statlearn.tour._section import Progress

FloatArray = NDArray[np.float64]
Split = tuple[FloatArray, NDArray[Any], FloatArray, NDArray[Any]]

WEAK = "moved by a pixel"
STRONG = "pixels permuted"
SHIFTS = (WEAK, STRONG)

#: Shares of old rows in a batch.
SHARES = (0.0, 0.05, 0.25)
ALONE = "partial_fit of scikit-learn"
TOGETHER = "fit of scikit-learn to both"

#: By how much replay may raise the loss of the new task, and what it must keep.
COST = 0.1
KEPT = 0.5

#: Steps of a task.
N_STEPS = 150
_BATCH, _RATE, _N_TRAIN = 64, 0.005, 1300


@dataclass(frozen=True, slots=True)
class Digits:
    """Losses of the old and the new task, on images left out.

    Attributes
    ----------
    before : dict of str to ndarray of shape (n_seeds, 2)
        After the first task, by shift.
    losses : dict of str to dict of (float or str) to ndarray of shape (n_seeds, 2)
        After the second task, by shift and share of replay or name of the peer.
    history : dict of float to ContinualHistory
        Of the first seed, pixels permuted, by share of replay.
    n_rows : int
        Number of images.
    """

    before: dict[str, FloatArray]
    losses: dict[str, dict[float | str, FloatArray]]
    history: dict[float, ContinualHistory]
    n_rows: int

    def old(self, shift: str, run: float | str) -> float:
        """Mean loss of the old task."""
        return float(self.losses[shift][run][:, 0].mean())

    def new(self, shift: str, run: float | str) -> float:
        """Mean loss of the new task."""
        return float(self.losses[shift][run][:, 1].mean())

    def kept(self, shift: str, share: float) -> float:
        """Share of the rise of the old loss that replay avoids."""
        start = float(self.before[shift][:, 0].mean())
        rise = self.old(shift, 0.0) - start
        return 1.0 - (self.old(shift, share) - start) / rise

    def cost(self, shift: str, share: float) -> float:
        """How much replay raises the loss of the new task, as a share of it."""
        return self.new(shift, share) / self.new(shift, 0.0) - 1.0

    def holds(self) -> bool:
        """Whether five percent of replay keep most, at little cost, on both shifts."""
        share = SHARES[1]
        return all(
            self.kept(shift, share) > KEPT and self.cost(shift, share) < COST
            for shift in SHIFTS
        )


def changed(X: FloatArray, shift: str) -> FloatArray:
    """Return the images as the new task has them."""
    if shift == WEAK:
        return np.roll(X.reshape(-1, 8, 8), 1, axis=2).reshape(-1, 64)
    return X[:, np.random.default_rng(7).permutation(64)]


def make_split(seed: int) -> Split:
    """Return images and labels to learn from, and those left out."""
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(y))
    train, test = order[:_N_TRAIN], order[_N_TRAIN:]
    return X[train] / 16.0, y[train], X[test] / 16.0, y[test]


def learn(progress: Progress, n_seeds: int) -> Digits:
    """Learn one task after the other, with and without replay, and by the peers."""
    before: dict[str, list[FloatArray]] = {shift: [] for shift in SHIFTS}
    losses: dict[str, dict[float | str, list[FloatArray]]] = {
        shift: {run: [] for run in (*SHARES, ALONE, TOGETHER)} for shift in SHIFTS
    }
    history = {}
    for seed in progress.track(range(n_seeds), "continual learning: digits"):
        split = make_split(seed)
        X, y = split[:2]
        first, alone = learner(seed).fit(X, y), by_hand(network(seed), X, y, seed)
        for shift in SHIFTS:
            before[shift].append(held_out(first, split, shift))
            later, found = changed(X, shift), losses[shift]
            for share in SHARES:
                model = deepcopy(first).set_params(replay_fraction=share)
                found[share].append(held_out(model.partial_fit(later, y), split, shift))
                if seed == 0 and shift == STRONG:
                    history[share] = model.history_
            peer = by_hand(deepcopy(alone), later, y, seed)
            found[ALONE].append(held_out(peer, split, shift))
            found[TOGETHER].append(held_out(together(X, later, y, seed), split, shift))
    return Digits(
        {shift: np.array(values) for shift, values in before.items()},
        {
            shift: {run: np.array(values) for run, values in runs.items()}
            for shift, runs in losses.items()
        },
        history,
        len(split[1]) + len(split[3]),
    )


def network(seed: int, **options: Any) -> MLPClassifier:
    """Return the network that all runs train."""
    return MLPClassifier(
        (64,),
        learning_rate_init=_RATE,
        batch_size=_BATCH,
        random_state=seed,
        **options,
    )


def learner(seed: int) -> ContinualLearner:
    """Return the learner of the method."""
    return ContinualLearner(
        network(seed), batch_size=_BATCH, n_steps=N_STEPS, random_state=seed
    )


def by_hand(
    model: MLPClassifier, X: FloatArray, y: NDArray[Any], seed: int
) -> MLPClassifier:
    """Take the steps of a task by partial_fit alone, at one rate, on its rows only."""
    generator = np.random.default_rng(seed)
    for _ in range(N_STEPS):
        rows = generator.choice(len(y), _BATCH, replace=False)
        model.partial_fit(X[rows], y[rows], classes=np.arange(10))
    return model


def together(
    old: FloatArray, new: FloatArray, y: NDArray[Any], seed: int
) -> MLPClassifier:
    """Fit both tasks at once from the start, in about as many steps."""
    n_passes = round(N_STEPS * _BATCH / len(y))
    with warnings.catch_warnings():
        # The fit is stopped on purpose, to cost what the others do.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = network(seed, max_iter=n_passes)
        return model.fit(np.vstack([old, new]), np.r_[y, y])


def held_out(model: Any, split: Split, shift: str) -> FloatArray:
    """Return the losses of the old and the new task on images left out."""
    X, y = split[2:]
    tasks = (X, changed(X, shift))
    return np.array([log_loss(y, model.predict_proba(task)) for task in tasks])
