"""Two small networks with known answers, and random ones with planted orders.

The answers were computed with the reference implementation of Git Re-Basin, in float64
and for both orders of the permutations.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from statlearn.merging import apply_permutation


def _arrays(**lists):
    return {name: np.array(values, dtype=float) for name, values in lists.items()}


A = _arrays(
    W0=[[1, -2, 0.5], [0.25, 1, -1]],
    b0=[0.1, -0.2, 0.3],
    W1=[[1, 0.5], [-1, 2], [0.75, -0.5]],
    b1=[0.2, -0.1],
    W2=[[1, -1.5], [0.5, 2]],
    b2=[0, 0.25],
)
B = _arrays(
    W0=[[0.6, 0.9, -1.8], [-1.1, 0.4, 0.8]],
    b0=[0.2, 0.2, -0.1],
    W1=[[-0.4, 0.6], [0.4, 1.1], [2.2, -0.8]],
    b1=[-0.2, 0.3],
    W2=[[0.6, 1.8], [1.1, -1.3]],
    b2=[0.1, 0.2],
)
PERMUTATIONS = {"P0": [1, 2, 0], "P1": [1, 0]}
DISTANCE_BEFORE, DISTANCE_AFTER = 7.012667110, 0.653834842
ROWS = np.array([[1, 0], [0, 1], [1, 1], [-1, 0.5], [0.5, -1], [2, 1]])
LABELS = np.array([0, 1, 1, 0, 0, 1])


def hidden(state, X=ROWS):
    """Outputs of the hidden layers behind relu, and of the last layer."""
    found, values = [], X
    n_layers = len(state) // 2
    for layer in range(n_layers):
        values = values @ state[f"W{layer}"] + state[f"b{layer}"]
        if layer < n_layers - 1:
            values = np.maximum(values, 0.0)
        found.append(values)
    return found


def outputs(state, X=ROWS):
    return hidden(state, X)[-1]


def cross_entropy(state):
    scores = outputs(state)
    scores = scores - scores.max(axis=1, keepdims=True)
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return -logs[np.arange(len(LABELS)), LABELS].mean()


def perceptron(sizes, seed=0):
    """State dict of a perceptron with Gaussian weights."""
    rng = np.random.default_rng(seed)
    state = {}
    for layer, shape in enumerate(pairwise(sizes)):
        state[f"W{layer}"] = rng.normal(size=shape) / np.sqrt(shape[0])
        state[f"b{layer}"] = rng.normal(size=shape[1])
    return state


def shuffled(spec, state, seed=1):
    """Return the network with its units in random order, and that order."""
    rng = np.random.default_rng(seed)
    orders = {name: rng.permutation(n) for name, n in spec.sizes(state).items()}
    return apply_permutation(spec, orders, state), orders


def assert_same_orders(found, expected):
    assert found.keys() == expected.keys()
    for name, order in expected.items():
        np.testing.assert_array_equal(found[name], order)
