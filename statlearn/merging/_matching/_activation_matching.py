"""Matching the units of two networks by what they compute on data."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._matching._descent import assigned
from statlearn.merging._matching._flips import names_that_flip
from statlearn.merging._matching._weight_matching import (
    MatchResult,
    distance_between,
    permuted,
    read_networks,
)
from statlearn.merging._rules._evidence import read_layers, read_rows
from statlearn.merging._state._arrays_and_tensors import to_array
from statlearn.merging._state._entry import Array
from statlearn.merging._state._layouts import check_finite, listed
from statlearn.merging._state._powers_of_two import in_units, unit_of
from statlearn.merging.permutation_spec import PermutationSpec

# Rows that pass through both networks at a time.
_BATCH = 4096


def match_activations(
    spec: PermutationSpec,
    reference: Any,
    model: Any,
    X: Any = None,
    *,
    activations: Sequence[Mapping[str, Any]] | None = None,
    correlation: bool = False,
    signed: bool | Collection[str] = False,
) -> MatchResult:
    r"""Find the order of units in which two networks compute alike on data.

    One assignment a layer, without iteration. Needs rows, but no targets; the rows
    should be those that the networks are used on.

    Parameters
    ----------
    spec : PermutationSpec
        Axes that move together, see :func:`spec_for`.
    reference, model : estimator, torch module or mapping
        Network that stays, and the one whose units are put in order.
    X : array-like of shape (n_samples, n_features), default=None
        Rows, if both networks are scikit-learn perceptrons.
    activations : pair of mappings of str to array, default=None
        Instead of X, what the units of the reference and of the model compute, for each
        permutation of the spec: arrays of shape (n_samples, n_units, ...), further axes
        such as positions of images counting as samples.
    correlation : bool, default=False
        Whether to match by correlations instead of inner products. Units that are
        constant on the data correlate with none.
    signed : bool or collection of str, default=False
        Whether units of odd activations may also be flipped, as in
        :func:`match_weights`.

    Returns
    -------
    MatchResult
        The permutations, the signs and the distances of the weights, with `n_sweeps` 1.

    Raises
    ------
    TypeError
        If X is given for networks that are no scikit-learn perceptrons.
    ValueError
        If there are neither rows nor activations, or both, or something does not fit,
        or units are signed whose activation is known not to be odd.

    See Also
    --------
    match_weights : Match by the weights, without data.
    apply_permutation : Put the units in the order that was found.

    Notes
    -----
    With outputs :math:`Z_A, Z_B` (n_samples, n) of a layer behind its activation the
    permutation maximises :math:`\sum_i (Z_A^\top Z_B)_{i, \pi(i)}`, or the sum of the
    absolute values for units that may flip. The weights need not come closer: the gain
    may be negative.

    References
    ----------
    S. K. Ainsworth, J. Hayase, S. Srinivasa. "Git Re-Basin: Merging Models modulo
    Permutation Symmetries". ICLR 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import match_activations, mlp_spec
    >>> state = {"W0": np.eye(2), "b0": np.zeros(2), "W1": np.ones((2, 1)), "b1": [0.0]}
    >>> outputs = {"P0": np.array([[1.0, 0.0], [0.0, 2.0]])}
    >>> swapped = {"P0": outputs["P0"][:, ::-1]}
    >>> pair = [outputs, swapped]
    >>> match_activations(mlp_spec(2), state, state, activations=pair).permutations
    {'P0': array([1, 0])}
    """
    caller = "match_activations"
    start, moved = read_networks(
        spec, [reference, model], caller, ("the reference", "the model")
    )
    sizes = spec.sizes(moved)
    flips = names_that_flip(spec, signed, [reference, model], moved, caller)
    if (X is None) == (activations is None):
        raise ValueError(
            f"{caller} needs either rows 'X' or 'activations'. Got "
            f"{'none' if X is None else 'both'}; pass one of them."
        )
    if X is None:
        batches = iter([_given(activations, sizes)])
    else:
        batches = _computed(spec, reference, model, X)
    products: dict[str, _Products] = {}
    for batch in batches:
        for name, (a, b) in batch.items():
            products.setdefault(name, _Products(correlation)).add(a, b)
    permutations = {name: np.arange(size) for name, size in sizes.items()}
    signs = {name: np.ones(sizes[name], dtype=np.int8) for name in flips}
    for name, product in products.items():
        permutations[name], found = assigned(product.matrix(), flips=name in flips)
        signs |= {} if found is None else {name: found}
    before = distance_between(start, moved)
    after = distance_between(start, permuted(spec, permutations, moved, signs))
    gain = 0.5 * (before - after) * (before + after)
    return MatchResult(
        *(permutations, before, after, 1, True, np.array([gain])),
        signs if flips else None,
    )


class _Products:
    """Inner products or correlations of all pairs of units, summed over batches."""

    def __init__(self, correlation: bool) -> None:
        self.correlation = correlation
        self.units: tuple[int, int] | None = None
        self.origins: tuple[Array, Array] | None = None
        self.common: Any = 0.0
        self.sums: list[Any] = [0.0, 0.0]
        self.squares: list[Any] = [0.0, 0.0]
        self.n = 0

    def add(self, a: Array, b: Array) -> None:
        """Add rows (m, n) of both networks."""
        if self.units is None:  # neither order nor correlation depends on them
            self.units = unit_of([a]), unit_of([b])
        a, b = in_units(a, self.units[0]), in_units(b, self.units[1])
        if self.correlation:
            if self.origins is None:  # any point near the means: for the rounding
                self.origins = a.mean(axis=0), b.mean(axis=0)
            a, b = a - self.origins[0], b - self.origins[1]
            for which, values in enumerate((a, b)):
                self.sums[which] = self.sums[which] + values.sum(axis=0)
                self.squares[which] = self.squares[which] + (values**2).sum(axis=0)
        self.n += len(a)
        self.common = self.common + a.T @ b

    def matrix(self) -> Array:
        """Return what the assignment maximises, (n, n)."""
        common: Array = self.common
        if not self.correlation:
            return common
        spread = []
        for sums, squares in zip(self.sums, self.squares, strict=True):
            variance = squares - sums**2 / self.n
            # Rounding of a constant is no variance.
            spread.append(np.where(variance > 1e-12 * squares, variance, np.inf))
        centred = common - np.outer(self.sums[0], self.sums[1]) / self.n
        return centred / np.sqrt(np.outer(*spread))


def _given(
    activations: Any, sizes: Mapping[str, int]
) -> dict[str, tuple[Array, Array]]:
    """Return activations of the caller as pairs of arrays (m, n)."""
    try:
        first, second = activations
        pairs = {name: (first[name], second[name]) for name in sizes}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "The 'activations' of match_activations must be two mappings with an array "
            f"for each permutation, {listed(list(sizes))}. Got none for {error}; pass "
            "those of the reference and those of the model."
        ) from error
    return {
        name: (_folded(a, sizes[name], name), _folded(b, sizes[name], name))
        for name, (a, b) in pairs.items()
        if _same_rows(a, b, name)
    }


def _same_rows(a: Any, b: Any, name: str) -> bool:
    if np.shape(to_array(a)) != np.shape(to_array(b)):
        raise ValueError(
            "The 'activations' of match_activations must be of the same rows. Got "
            f"shapes {np.shape(to_array(a))} and {np.shape(to_array(b))} for {name!r}; "
            "pass the same rows to both networks."
        )
    return True


def _folded(values: Any, n_units: int, name: str) -> Array:
    """Return activations (n_samples, n_units, ...) as (m, n_units)."""
    array: NDArray[Any] = to_array(values)
    if array.ndim < 2 or array.shape[1] != n_units:
        raise ValueError(
            f"The 'activations' of match_activations must have {n_units} units on axis "
            f"1 for {name!r}. Got shape {array.shape}; pass (n_samples, n_units, ...)."
        )
    check_finite(array, name, "the activations")
    return np.moveaxis(array, 1, -1).reshape(-1, n_units).astype(np.float64, copy=False)


def _computed(
    spec: PermutationSpec, reference: Any, model: Any, X: Any
) -> Iterator[dict[str, tuple[Array, Array]]]:
    """Yield what the hidden units of two perceptrons compute, by batches of rows."""
    caller = "match_activations"
    for network in (reference, model):
        if not hasattr(network, "coefs_"):
            raise TypeError(
                f"The 'X' of {caller} is for scikit-learn perceptrons. Got "
                f"{type(network).__name__}; pass what its units compute as "
                "'activations'."
            )
    layers = [read_layers(network, caller) for network in (reference, model)]
    rows = read_rows(reference, X, caller)
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        hidden = [stack.inputs(batch)[0][1:] for stack in layers]
        found = {}
        for layer, pair in enumerate(zip(*hidden, strict=True)):
            entry = spec.axes.get(f"b{layer}", (None,))[0]
            if entry is not None:
                found[entry[0]] = pair
        yield found
