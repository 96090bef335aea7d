"""Which axes of a network's arrays move together when its units are reordered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._state._arrays_and_tensors import to_array
from statlearn.merging._state._layouts import State, listed
from statlearn.utils._numbers import is_integer, positive_integer

Permutations = Mapping[str, NDArray[np.intp]]
# 1 or -1 for each unit, behind the permutation: which units are flipped.
Signs = Mapping[str, NDArray[np.int8]]


class PermutationSpec:
    """Names of permutations for the axes of the arrays of a network.

    Units of a hidden layer can be put in any order without a change of what the network
    computes, as long as all axes that belong to them are put in the same order: the
    outputs of one matrix, its biases, the inputs of the next. A spec gives these axes
    one name. Ready ones are made by :func:`mlp_spec` and :func:`spec_for`.

    Parameters
    ----------
    axes : mapping of str to sequence
        From the name of an array to one entry an axis: the name of a permutation; None
        for an axis that stays; or a pair ``(name, block)`` for an axis on which each
        unit holds `block` neighbours, such as the pixels of a channel after flattening.
        Trailing axes that stay may be left out. Arrays that are not named stay.

    Attributes
    ----------
    axes : dict of str to tuple
        As given, with pairs ``(name, block)`` for all permuted axes.
    permutations : dict of str to tuple
        From the name of a permutation to its axes, triples ``(array, axis, block)``.

    Raises
    ------
    TypeError
        If an entry is no name, pair or None.
    ValueError
        If no axis is permuted, or one array has one permutation on two axes.

    See Also
    --------
    match_weights : Finds permutations.
    apply_permutation : Applies them.
    check_function_preserved : Tells whether a spec is right for a network.

    Examples
    --------
    >>> from statlearn.merging import PermutationSpec
    >>> spec = PermutationSpec({"W0": (None, "P0"), "b0": ("P0",), "W1": ("P0", None)})
    >>> spec.permutations
    {'P0': (('W0', 1, 1), ('b0', 0, 1), ('W1', 0, 1))}
    """

    def __init__(self, axes: Mapping[str, Sequence[Any]]) -> None:
        self.axes: dict[str, tuple[tuple[str, int] | None, ...]] = {
            name: tuple(_read_axis(entry, name) for entry in _entries(entries, name))
            for name, entries in axes.items()
        }
        moved: dict[str, list[tuple[str, int, int]]] = {}
        for name, entries in self.axes.items():
            for axis, entry in enumerate(entries):
                if entry is not None:
                    moved.setdefault(entry[0], []).append((name, axis, entry[1]))
        for permutation, where in moved.items():
            names = [name for name, _, _ in where]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(
                    "The axes of one array need different permutations in a "
                    f"PermutationSpec. Got {permutation!r} twice for {twice[0]!r}; "
                    "give one of the axes another name or None."
                )
        if not moved:
            raise ValueError(
                "A PermutationSpec must permute at least one axis. Got "
                f"{dict(axes)!r}; name the axes of the hidden units."
            )
        self.permutations = {name: tuple(where) for name, where in moved.items()}

    def __repr__(self) -> str:
        return f"PermutationSpec({self.axes!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PermutationSpec):
            return NotImplemented
        return self.axes == other.axes

    def __hash__(self) -> int:
        return hash(tuple(self.axes.items()))

    def sizes(self, weights: State) -> dict[str, int]:
        """Return the number of units that each permutation puts in order.

        Parameters
        ----------
        weights : mapping of str to array or tensor
            State dict of a network that the spec fits.

        Returns
        -------
        dict of str to int
            Units under the names of the permutations.

        Raises
        ------
        ValueError
            If the spec does not fit the state dict: an array is missing or has too few
            axes, or the axes of a permutation have different lengths.
        """
        missing = sorted(set(self.axes) - set(weights))
        if missing:
            raise ValueError(
                "A PermutationSpec needs a state dict with all of its arrays. Got one "
                f"without {listed(missing)}; use the spec of this architecture."
            )
        shapes = {name: np.shape(to_array(weights[name])) for name in self.axes}
        for name, entries in self.axes.items():
            if len(entries) > len(shapes[name]):
                raise ValueError(
                    f"A PermutationSpec names at most the axes that an array has. Got "
                    f"{len(entries)} entries for {name!r} of shape {shapes[name]}; "
                    "correct the spec."
                )
        sizes: dict[str, int] = {}
        for permutation, where in self.permutations.items():
            for name, axis, block in where:
                length = shapes[name][axis]
                units, rest = divmod(length, block)
                expected = sizes.setdefault(permutation, units)
                if rest or units != expected:
                    raise ValueError(
                        f"All axes of {permutation!r} must hold as many units. Got "
                        f"{expected} in {where[0][0]!r} and, on axis {axis} of "
                        f"{name!r}, {length} numbers in blocks of {block}; correct the "
                        "spec."
                    )
        return sizes

    def check(
        self, permutations: Permutations, weights: State, signs: Signs | None = None
    ) -> None:
        """Refuse permutations and signs that are not those of this spec.

        Parameters
        ----------
        permutations : mapping of str to ndarray of int
            For each name, the old position of each unit.
        weights : mapping of str to array or tensor
            State dict of a network that the spec fits.
        signs : mapping of str to ndarray of int, default=None
            For each name, 1 or -1 for each unit behind the permutation.

        Raises
        ------
        ValueError
            If a permutation is unknown, or is none of its units, or signs are not 1
            or -1 for each. Permutations that are missing are the identity, and signs
            that are missing are 1.
        """
        sizes = self.sizes(weights)
        signs = {} if signs is None else signs
        for name in [*permutations, *signs]:
            if name not in sizes:
                raise ValueError(
                    "Permutations must be named as in the spec, "
                    f"{listed(list(sizes))}. Got {name!r}; correct the name."
                )
        for name, found in signs.items():
            shape = np.shape(found)
            if shape != (sizes[name],) or not np.isin(found, (-1, 1)).all():
                raise ValueError(
                    f"The signs of {name!r} must hold 1 or -1 for each of "
                    f"{sizes[name]} units. Got an array of shape {shape} "
                    "without that; pass the result of match_weights."
                )
        for name, order in permutations.items():
            found = np.asarray(order)
            integers = found.ndim == 1 and found.dtype.kind in "iu"
            if not integers or not np.array_equal(
                np.sort(found), np.arange(sizes[name])
            ):
                raise ValueError(
                    f"The permutation {name!r} must hold each integer below "
                    f"{sizes[name]} once. Got an array of shape {found.shape} and "
                    f"dtype {found.dtype} without that; pass the result of "
                    "match_weights."
                )


def mlp_spec(
    n_layers: int,
    *,
    layout: str = "sklearn",
    names: Iterable[tuple[str, str | None]] | None = None,
) -> PermutationSpec:
    """Return the spec of a multilayer perceptron.

    Parameters
    ----------
    n_layers : int
        Number of matrices, one more than there are hidden layers.
    layout : {"sklearn", "torch"}, default="sklearn"
        Whether matrices have shape (n_inputs, n_outputs) or (n_outputs, n_inputs).
    names : iterable of pairs of str, default=None
        Names of matrix and bias of each layer, in their order; None for a bias that a
        layer does not have. By default ``W0, b0, W1, b1, ...``.

    Returns
    -------
    PermutationSpec
        With a permutation ``P0, P1, ...`` for each hidden layer.

    Raises
    ------
    ValueError
        If there is no hidden layer, or the names are not one pair a layer.

    See Also
    --------
    spec_for : The spec of a fitted model.

    Examples
    --------
    >>> from statlearn.merging import mlp_spec
    >>> mlp_spec(2).axes["W1"]
    (('P0', 1), None)
    """
    if positive_integer(n_layers, "n_layers", "mlp_spec", "count the matrices") < 2:
        raise ValueError(
            "The 'n_layers' of mlp_spec must be at least 2, for one hidden layer. Got "
            f"{n_layers}; a model without hidden units has nothing to permute."
        )
    if layout not in {"sklearn", "torch"}:
        raise ValueError(
            f"The 'layout' of mlp_spec must be 'sklearn' or 'torch'. Got {layout!r}; "
            "pass 'torch' for matrices of shape (n_outputs, n_inputs)."
        )
    pairs = [(f"W{i}", f"b{i}") for i in range(n_layers)] if names is None else [*names]
    if len(pairs) != n_layers:
        raise ValueError(
            f"The 'names' of mlp_spec must be one pair a layer, {n_layers} in all. Got "
            f"{len(pairs)}; pass pairs of a matrix and a bias."
        )
    axes: dict[str, tuple[str | None, ...]] = {}
    for layer, (matrix, bias) in enumerate(pairs):
        inputs = f"P{layer - 1}" if layer > 0 else None
        outputs = f"P{layer}" if layer < n_layers - 1 else None
        axes[matrix] = (inputs, outputs) if layout == "sklearn" else (outputs, inputs)
        if bias is not None:
            axes[bias] = (outputs,)
    return PermutationSpec(axes)


def _entries(entries: Any, name: str) -> Sequence[Any]:
    if isinstance(entries, str) or not isinstance(entries, Sequence):
        raise TypeError(
            "Each array of a PermutationSpec needs a tuple with one entry an axis. Got "
            f"{entries!r} for {name!r}; write ({entries!r},)."
        )
    return entries


def _read_axis(entry: Any, name: str) -> tuple[str, int] | None:
    if entry is None:
        return None
    if isinstance(entry, str):
        return (entry, 1)
    match entry:
        case (str(permutation), block) if is_integer(block) and block >= 1:
            return (permutation, int(block))
    raise TypeError(
        "An axis of a PermutationSpec is a name, None, or a pair of a name and a block "
        f"size. Got {entry!r} for {name!r}; pass for example 'P0' or ('P0', 49)."
    )
