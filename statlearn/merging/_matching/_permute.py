"""Permutations at work: put the units of a network in another order, and flip them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._matching._flips import check_flips
from statlearn.merging._state._arrays_and_tensors import restorer, to_array
from statlearn.merging._state._layouts import State
from statlearn.merging.permutation_spec import Permutations, PermutationSpec, Signs


def apply_permutation(
    spec: PermutationSpec,
    permutations: Permutations,
    weights: State,
    *,
    signs: Signs | None = None,
) -> dict[str, Any]:
    r"""Put the units of a network in another order.

    Parameters
    ----------
    spec : PermutationSpec
        Axes that move together.
    permutations : mapping of str to ndarray of int
        For each permutation the old position of each unit: unit i of the result is unit
        ``permutations[name][i]``. One that is missing is the identity.
    weights : mapping of str to array or tensor
        State dict of the network; it is not changed.
    signs : mapping of str to ndarray of int, default=None
        For units of odd activations, 1 or -1 for each: unit i of the result is
        ``signs[name][i]`` times unit ``permutations[name][i]``. Signs that are missing
        are 1.

    Returns
    -------
    dict of str to array or tensor
        New arrays for all names of `weights`, of a network that computes the same.

    Raises
    ------
    TypeError
        If an array of units that are flipped holds no floating numbers.
    ValueError
        If spec, permutations, signs and weights do not fit, or units of a normalisation
        layer are flipped.

    See Also
    --------
    match_weights : Finds the permutations that bring two networks close.

    Notes
    -----
    Where :math:`\phi(-z) = -\phi(z)`, a unit whose inputs, bias and outgoing weights
    are negated computes the negative of what it did and gives the next layer the same.
    Signs flip all axes that the spec gives a permutation. Whether the activation behind
    it is odd cannot be read from arrays: :func:`check_function_preserved` tries.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import apply_permutation, mlp_spec
    >>> weights = {"W0": np.array([[1.0, 2.0]]), "b0": np.array([3.0, 4.0])}
    >>> weights |= {"W1": np.array([[5.0], [6.0]]), "b1": np.array([7.0])}
    >>> apply_permutation(mlp_spec(2), {"P0": np.array([1, 0])}, weights)["W0"]
    array([[2., 1.]])
    """
    spec.check(permutations, weights, signs)
    if signs:
        check_flips(spec, signs, weights, "apply_permutation")
    permuted: dict[str, Any] = {}
    for name in weights:
        array = to_array(weights[name])
        entries = spec.axes.get(name, ())
        permuted[name] = restorer(weights[name])(
            permute_array(array, entries, permutations, signs).copy()
        )
    return permuted


def permute_array(
    array: NDArray[Any],
    entries: Sequence[tuple[str, int] | None],
    permutations: Permutations,
    signs: Signs | None = None,
) -> NDArray[Any]:
    """Reorder one array along its permuted axes; the same array if there are none."""
    for axis, entry in enumerate(entries):
        if entry is not None and entry[0] in permutations:
            order = with_blocks(np.asarray(permutations[entry[0]]), entry[1])
            array = np.take(array, order, axis=axis)
        if entry is not None and signs and entry[0] in signs:
            array = array * along_axis(signs[entry[0]], entry[1], array.ndim - axis)
    return array


def along_axis(signs: NDArray[np.int8], block: int, n_axes: int) -> NDArray[np.int8]:
    """Return signs of numbers on the first of `n_axes` axes, (n * block, 1, ...).

    Small integers, so that arrays times signs keep their floating type.
    """
    numbers = np.repeat(np.asarray(signs, dtype=np.int8), block)
    return numbers.reshape(-1, *[1] * (n_axes - 1))


def with_blocks(order: NDArray[np.intp], block: int) -> NDArray[np.intp]:
    """Return positions of numbers from those of units that hold `block` each."""
    if block == 1:
        return order
    return (order[:, None] * block + np.arange(block)).ravel()


def random_signs(n_units: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Return 1 or -1 for each unit, each as likely."""
    return rng.choice(np.array([-1, 1], dtype=np.int8), n_units)


def compose_signs(
    first: Signs, second: Permutations, second_signs: Signs
) -> dict[str, NDArray[np.int8]]:
    """Return the signs of two signed permutations, one after the other."""
    return {
        name: first[name][second[name]] * signs for name, signs in second_signs.items()
    }


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

    Notes
    -----
    Signs that belong to permutations are undone by
    ``signs[name][inverse[name]]``, applied with the inverse.

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

    Notes
    -----
    Signs that belong to them compose to
    ``first_signs[name][second[name]] * second_signs[name]``.

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
