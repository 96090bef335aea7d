"""Weights, rows and steps for tests of weight aligning."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

# Rows of five classes, the last two of them new, with norms 3, 5, 5, 10, 7.
W = np.array([[1, 2, 2], [0, 3, 4], [4, 0, 3], [6, 8, 0], [2, 3, 6]], dtype=float)


def digits_in_steps(seed, n_train=1300, n_new=2):
    """Return training and test rows of digits, and the classes of each step."""
    X, y = load_digits(return_X_y=True)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(y))
    train, test = order[:n_train], order[n_train:]
    steps = generator.permutation(10).reshape(-1, n_new)
    return (X[train] / 16.0, y[train]), (X[test] / 16.0, y[test]), steps


def letters_in_steps(seed, n_classes=20, n_features=16, n_rows=4000):
    """Return rows of many overlapping classes in place of letters, as above.

    Each class is a mixture of three normal clouds.
    """
    generator = np.random.default_rng([seed, n_classes])
    centres = generator.normal(size=(n_classes, 3, n_features))
    y = generator.integers(n_classes, size=n_rows)
    cloud = generator.integers(3, size=n_rows)
    X = 1.5 * centres[y, cloud] + generator.normal(size=(n_rows, n_features))
    train = np.arange(n_rows) < 0.6 * n_rows
    steps = generator.permutation(n_classes).reshape(-1, 2)
    return (X[train], y[train]), (X[~train], y[~train]), steps


def blobs(n=60, n_classes=4, n_features=5, seed=0, distance=3.0):
    """Return rows of classes that are easy to tell."""
    generator = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    centres = distance * np.eye(n_classes, n_features)
    return centres[y] + generator.normal(size=(n, n_features)), y
