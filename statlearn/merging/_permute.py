"""Permutations at work: put the units of a network in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._state import State, restorer, to_array
from statlearn.merging.permutation_spec import Permutations, PermutationSpec


def apply_permutation(
    spec: PermutationSpec, permutations: Permutations, weights: State
) -> dict[str, Any]:
    """Put the units of a network in another order.

    Parameters
    ----------
    spec : PermutationSpec
        Axes that move together.
    permutations : mapping of str to ndarray of int
        For each permutation the old position of each unit: unit i of the result is unit
        ``permutations[name][i]``. One that is missing is the identity.
    weights : mapping of str to array or tensor
        State dict of the network; it is not changed.

    Returns
    -------
    dict of str to array or tensor
        New arrays for all names of `weights`, of a network that computes the same.

    Raises
    ------
    ValueError
        If spec, permutations and weights do not fit.

    See Also
    --------
    match_weights : Finds the permutations that bring two networks close.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import apply_permutation, mlp_spec
    >>> weights = {"W0": np.array([[1.0, 2.0]]), "b0": np.array([3.0, 4.0])}
    >>> weights |= {"W1": np.array([[5.0], [6.0]]), "b1": np.array([7.0])}
    >>> apply_permutation(mlp_spec(2), {"P0": np.array([1, 0])}, weights)["W0"]
    array([[2., 1.]])
    """
    spec.check(permutations, weights)
    permuted: dict[str, Any] = {}
    for name in weights:
        array = to_array(weights[name])
        permuted[name] = restorer(weights[name])(
            permute_array(array, spec.axes.get(name, ()), permutations).copy()
        )
    return permuted


def permute_array(
    array: NDArray[Any],
    entries: Sequence[tuple[str, int] | None],
    permutations: Permutations,
) -> NDArray[Any]:
    """Reorder one array along its permuted axes; the same array if there are none."""
    for axis, entry in enumerate(entries):
        if entry is not None and entry[0] in permutations:
            order = with_blocks(np.asarray(permutations[entry[0]]), entry[1])
            array = np.take(array, order, axis=axis)
    return array


def with_blocks(order: NDArray[np.intp], block: int) -> NDArray[np.intp]:
    """Return positions of numbers from those of units that hold `block` each."""
    if block == 1:
        return order
    return (order[:, None] * block + np.arange(block)).ravel()


def invert_permutations(permutations: Permutations) -> dict[str, NDArray[np.intp]]:
    """Return the permutations that undo these.

    Parameters
    ----------
    permutations : mapping of str to ndarray of int
        For each name, the old position of each unit.

    Returns
    -------
    dict of str to ndarray of int
        Under the same names, the new position of each unit.

    See Also
    --------
    compose_permutations : One after the other.

    Examples
    --------
    >>> from statlearn.merging import invert_permutations
    >>> invert_permutations({"P0": [2, 0, 1]})
    {'P0': array([1, 2, 0])}
    """
    return {name: np.argsort(order) for name, order in permutations.items()}


def compose_permutations(
    first: Permutations, second: Permutations
) -> dict[str, NDArray[np.intp]]:
    """Return the permutations that do what one set and then another does.

    Parameters
    ----------
    first, second : mapping of str to ndarray of int
        For each name, the old position of each unit; one that is missing is the
        identity.

    Returns
    -------
    dict of str to ndarray of int
        Under the names of both.

    Raises
    ------
    ValueError
        If two permutations of one name have different lengths.

    See Also
    --------
    invert_permutations : The way back.

    Examples
    --------
    >>> from statlearn.merging import compose_permutations
    >>> compose_permutations({"P0": [2, 0, 1]}, {"P0": [1, 2, 0]})
    {'P0': array([0, 1, 2])}
    """
    composed = {name: np.asarray(order) for name, order in first.items()}
    for name, order in second.items():
        units = len(composed.get(name, order))
        if units != len(order):
            raise ValueError(
                f"Permutations of one name must have one length. Got {units} and "
                f"{len(order)} for {name!r}; pass permutations of one architecture."
            )
        composed[name] = np.asarray(
            composed[name][order] if name in composed else order
        )
    return composed
