"""Networks of odd activations, and copies with their units in other orders and flipped.

What signs do is written here without the package: a matrix product with a signed
permutation matrix on each side.
"""

from __future__ import annotations

import numpy as np


def odd_outputs(state, X, activation=np.tanh):
    """Outputs of a perceptron whose hidden units pass through an odd function."""
    n_layers = len(state) // 2
    for layer in range(n_layers):
        X = X @ state[f"W{layer}"] + state[f"b{layer}"]
        X = X if layer == n_layers - 1 else activation(X)
    return X


def signed_matrix(order, signs):
    """Q with Q[i, order[i]] = signs[i], which turns units u into Q @ u."""
    matrix = np.zeros((len(order), len(order)))
    matrix[np.arange(len(order)), order] = signs
    return matrix


def turned(state, orders, signs):
    """Return a perceptron with its units reordered and then flipped."""
    n_layers = len(state) // 2
    moved = {}
    for layer in range(n_layers):
        left = right = None
        if layer > 0:
            name = f"P{layer - 1}"
            left = signed_matrix(orders[name], signs[name])
        if layer < n_layers - 1:
            name = f"P{layer}"
            right = signed_matrix(orders[name], signs[name])
        W, b = state[f"W{layer}"], state[f"b{layer}"]
        W = W if left is None else left @ W
        moved[f"W{layer}"] = W if right is None else W @ right.T
        moved[f"b{layer}"] = b if right is None else right @ b
    return moved


def planted(state, seed=1):
    """Return the perceptron turned at random, and the orders and signs."""
    rng = np.random.default_rng(seed)
    sizes = [len(state[f"b{layer}"]) for layer in range(len(state) // 2 - 1)]
    orders = {f"P{i}": rng.permutation(n) for i, n in enumerate(sizes)}
    signs = {f"P{i}": rng.choice([-1, 1], n) for i, n in enumerate(sizes)}
    return turned(state, orders, signs), orders, signs
