"""Digits in four views, experts of one network for each, and dirt on them.

The demonstration of the merge rules: a network learns sixty digits in five views, and
a copy of it is tuned for each of four views on half of the digits.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from statlearn.merging import get_weights, set_weights

VIEWS = {
    "rotated": lambda p: np.rot90(p, 1, (1, 2)),
    "inverted": lambda p: 1 - p,
    "rolled": lambda p: np.roll(p, (3, 3), (1, 2)),
    "mirrored": lambda p: p[:, :, ::-1],
}
HIDDEN = (160, 160)
N_START, N_PASSES = 40, 20
DIRT = ("clean", "wrong labels", "one damaged", "both")


@dataclass(frozen=True)
class Study:
    """A base, its experts, and tables of rows and targets, a list over the tasks."""

    base: Any
    experts: list[Any]
    train: tuple[list[Any], list[Any]]
    held: tuple[list[Any], list[Any]]
    test: tuple[list[Any], list[Any]]


def views(X, y):
    """Return the rows in each view, and the targets of each."""
    pictures = X.reshape(-1, 8, 8)
    rows = [view(pictures).reshape(len(X), -1) for view in VIEWS.values()]
    return rows, [y] * len(rows)


def tune(base, X, y, n_passes=N_PASSES):
    """Return a copy of a network after some more passes."""
    model = copy.deepcopy(base)
    for _ in range(n_passes):
        model.partial_fit(X, y)
    return model


def tune_each(base, tables):
    """Return one expert a task."""
    return [tune(base, *table) for table in zip(*tables, strict=True)]


def accuracy(model, tables):
    """Return the mean accuracy over the tasks."""
    return float(np.mean([model.score(*t) for t in zip(*tables, strict=True)]))


@cache
def study(seed):
    """Return the base and the experts of one split."""
    X, y = load_digits(return_X_y=True)
    X, X_rest, y, y_rest = train_test_split(
        X / 16, y, train_size=0.5, random_state=seed, stratify=y
    )
    X_held, X_test, y_held, y_test = train_test_split(
        X_rest, y_rest, train_size=0.4, random_state=seed, stratify=y_rest
    )
    train = views(X, y)
    return Study(
        base := first_network(X, y, seed),
        tune_each(base, train),
        train,
        views(X_held, y_held),
        views(X_test, y_test),
    )


def first_network(X, y, seed):
    """Return a network that has seen sixty digits, upright and in all views."""
    model = MLPClassifier(HIDDEN, batch_size=64, random_state=seed)
    few = np.random.default_rng(seed).choice(len(X), 60, replace=False)
    rows, _ = views(X[few], y[few])
    rows = np.concatenate([X[few], *rows])
    for _ in range(N_START):
        model.partial_fit(rows, np.tile(y[few], 5), classes=np.unique(y))
    return model


@cache
def dirty_experts(seed, dirt):
    """Return the experts of one split, or such as learnt or were kept badly."""
    given = study(seed)
    if dirt == "clean":
        return given.experts
    if dirt == "one damaged":
        return [damaged(given.experts[0], given.base, seed), *given.experts[1:]]
    if dirt == "both":
        noisy = dirty_experts(seed, "wrong labels")
        return [damaged(noisy[0], given.base, seed), *noisy[1:]]
    rows, targets = given.train
    return tune_each(given.base, (rows, [relabelled(y, seed) for y in targets]))


def relabelled(y, seed, share=0.2):
    """Return targets of which a share is drawn anew."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(y)) < share, rng.integers(0, 10, len(y)), y)


def damaged(expert, base, seed, share=0.002, factor=30):
    """Return an expert with a few numbers of its update blown up."""
    rng = np.random.default_rng(seed)
    start, state = get_weights(base), dict(get_weights(expert))
    for name in state:
        if name.startswith("W"):
            hit = rng.random(state[name].shape) < share
            update = state[name] - start[name]
            state[name] = start[name] + np.where(hit, factor * update, update)
    return set_weights(expert, state)
