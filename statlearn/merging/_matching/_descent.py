"""Coordinate descent over permutations, one linear assignment after another.

For each permutation a matrix C of inner products is kept: entry (i, j) is what unit i
of the reference and unit j of the model have in common, given the orders of all other
units. When k units of another permutation have moved, C changes by a product with k
rows, so that a pass in which little moves costs little more than its assignments; and
an assignment whose C has not changed is not solved again. Units that may be flipped are
assigned by the sizes of C, and take its signs.

Running statistics of normalisation layers have no part in C: they are counted, not
learned, and come in the units of what passes through the layer. Very large and very
small numbers are measured in another unit, a power of two for each permutation.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from statlearn.merging._matching._permute import along_axis, with_blocks
from statlearn.merging._state._entry import Array
from statlearn.merging._state._powers_of_two import in_units, unit_of
from statlearn.merging._state._running_statistics import is_statistic
from statlearn.merging.permutation_spec import Permutations, PermutationSpec, Signs

# A permutation with the signs of its units, None if they have none.
Placed = tuple[NDArray[np.intp], NDArray[np.int8] | None]
Order = Literal["random", "forward", "backward"]


class Descent:
    """One start of the coordinate descent, with what is kept between its steps.

    Parameters
    ----------
    spec : PermutationSpec
    reference, model : dict of str to ndarray of float64
    begin : dict of str to ndarray of int
    signs : mapping of str to ndarray of int
        Signs to begin with, for permutations whose units may be flipped.
    include_bias : bool
    """

    def __init__(
        self,
        spec: PermutationSpec,
        reference: Mapping[str, Array],
        model: Mapping[str, Array],
        begin: Mapping[str, NDArray[np.intp]],
        *,
        signs: Signs = MappingProxyType({}),
        include_bias: bool = True,
    ) -> None:
        self.current = dict(begin)
        self.signs = dict(signs)
        self.gains: list[float] = []
        self.converged = False
        self._pairs: dict[str, list[Pair]] = {}
        self._units: dict[str, int] = {}
        for permutation, where in spec.permutations.items():
            counted = [
                (name, axis, block)
                for name, axis, block in where
                if (include_bias or model[name].ndim > 1) and not is_statistic(name)
            ]
            units = [
                unit_of([state[name] for name, _, _ in counted])
                for state in (reference, model)
            ]
            self._units[permutation] = sum(units)
            self._pairs[permutation] = [
                Pair(
                    spec,
                    in_units(reference[name], units[0]),
                    in_units(model[name], units[1]),
                    *(name, axis, block),
                )
                for name, axis, block in counted
            ]
        self._norms = {
            name: np.sqrt(
                sum((p.squares() for p in pairs), np.zeros((2, len(begin[name]))))
            )
            for name, pairs in self._pairs.items()
        }
        self._common = {
            name: np.zeros((len(order), len(order))) for name, order in begin.items()
        }
        # Memory for products, which would cost more to get than to fill.
        self._scratch = {n: np.empty((n, n)) for n in map(len, begin.values())}
        self._solved = dict.fromkeys(begin, False)

    def run(
        self, order: Order, max_iter: int, tol: float, rng: np.random.Generator
    ) -> None:
        """Pass over the permutations until a pass changes nothing."""
        names = list(self.current)
        for _ in range(max_iter):
            if order == "random":
                turns = [names[i] for i in rng.permutation(len(names))]
            else:
                turns = names if order == "forward" else names[::-1]
            gains = [(self.step(name, tol), self._units[name]) for name in turns]
            with np.errstate(over="ignore", under="ignore"):
                self.gains.append(float(sum(in_units(g, -unit) for g, unit in gains)))
            if not any(gain for gain, _ in gains):
                self.converged = True
                return

    def step(self, name: str, tol: float) -> float:
        """Solve for one permutation; return the gain in its unit, 0 if it stays."""
        common = self._common[name]
        scratch = self._scratch[len(common)]
        for pair in self._pairs[name]:
            if pair.add_to(common, self.current, self.signs, scratch):
                self._solved[name] = False
        if self._solved[name]:
            return 0.0
        self._solved[name] = True
        old = self.current[name], self.signs.get(name)
        new = assigned(common, flips=name in self.signs, out=scratch)
        moved = np.flatnonzero(_differs(old, new))
        gain = float((_in_common(common, new) - _in_common(common, old))[moved].sum())
        # Ties are left alone, or labels of equal units would go round for ever. Only
        # units that move bring rounding into the gain.
        reference, model = self._norms[name]
        sizes = model[old[0][moved]] + model[new[0][moved]]
        if gain <= tol * float(reference[moved] @ sizes):
            return 0.0
        self.current[name], signs = new
        if signs is not None:
            self.signs[name] = signs
        return gain


def assigned(common: Array, *, flips: bool, out: Array | None = None) -> Placed:
    """Return the units with most in common, (n, n), and signs if they may flip."""
    possible = np.abs(common, out=out) if flips else common
    order = linear_sum_assignment(possible, maximize=True)[1]
    if not flips:
        return order, None
    negative = common[np.arange(len(order)), order] < 0.0
    return order, np.where(negative, np.int8(-1), np.int8(1))


def _in_common(common: Array, placed: Placed) -> Array:
    """Return what each unit has in common with that of the reference, (n,)."""
    order, signs = placed
    values: Array = common[np.arange(len(order)), order]
    return values if signs is None else values * signs


def _differs(old: Placed, new: Placed) -> NDArray[np.bool_]:
    """Tell the positions that get another unit, or the same one flipped, (n,)."""
    different = old[0] != new[0]
    if old[1] is not None and new[1] is not None:
        different |= old[1] != new[1]
    return different


class Pair:
    """One array of both networks, with the axis of one permutation in front.

    Parameters
    ----------
    spec : PermutationSpec
    reference, model : ndarray of float64
        Arrays of one name.
    name : str
    axis, block : int
        Axis of the permutation, and neighbours that each unit holds on it.
    """

    def __init__(
        self,
        spec: PermutationSpec,
        reference: Array,
        model: Array,
        name: str,
        axis: int,
        block: int,
    ) -> None:
        entries = list(spec.axes[name]) + [None] * (model.ndim - len(spec.axes[name]))
        del entries[axis]
        # A block becomes an axis of its own, right after that of the units.
        skipped = 1 if block == 1 else 2
        self._others = [
            (i + skipped, e) for i, e in enumerate(entries) if e is not None
        ]
        self._reference = _in_front(reference, axis, block)
        self._model = _in_front(model, axis, block)
        self._seen: dict[str, Placed] | None = None

    def squares(self) -> Array:
        """Return squared norms of the units of both networks, (2, n)."""
        rows = [a.reshape(len(a), -1) for a in (self._reference, self._model)]
        return np.array([np.einsum("ij,ij->i", a, a) for a in rows])

    def add_to(
        self, common: Array, current: Permutations, signs: Signs, scratch: Array
    ) -> bool:
        """Add what has changed in the inner products; tell whether anything has."""
        others = [name for _, (name, _) in self._others]
        now: dict[str, Placed] = {n: (current[n], signs.get(n)) for n in others}
        seen, self._seen = self._seen, now
        if seen is None:
            common += _products(self._reference, self._ordered(now), scratch)
            return True
        # Signs do not change without a new array of positions.
        moved = [name for name in seen if seen[name][0] is not now[name][0]]
        if not moved:
            return False
        if len(self._others) == 1:
            old, new = seen[moved[0]], now[moved[0]]
            common += _products(*self._moved(old, new), scratch)
        else:
            common += _products(self._reference, self._ordered(now), scratch)
            common -= _products(self._reference, self._ordered(seen), scratch)
        return True

    def _moved(self, old: Placed, new: Placed) -> tuple[Array, Array]:
        """Return the part of the reference that meets other numbers, and their change.

        Only for arrays with one other permutation; both arrays (n, moved, ...).
        """
        axis, (_, block) = self._others[0]
        rows = np.flatnonzero(_differs(old, new))
        # Views with the moved units first: of a matrix, rows are copied as they lie.
        model = np.moveaxis(self._model, axis, 0)
        fixed = np.moveaxis(self._reference, axis, 0)[with_blocks(rows, block)]
        change = _taken(model, 0, new, block, rows)
        change -= _taken(model, 0, old, block, rows)
        return np.moveaxis(fixed, 1, 0), np.moveaxis(change, 1, 0)

    def _ordered(self, placed: Mapping[str, Placed]) -> Array:
        """Return the model's array with all other permutations applied."""
        array = self._model
        for axis, (name, block) in self._others:
            array = _taken(array, axis, placed[name], block)
        return array


def _taken(
    array: Array, axis: int, placed: Placed, block: int, rows: Any = slice(None)
) -> Array:
    """Return the numbers of units, or of some rows of them, a copy of the array."""
    order, signs = placed
    taken = array[(slice(None),) * axis + (with_blocks(order[rows], block),)]
    if signs is not None and (signs[rows] < 0).any():
        taken *= along_axis(signs[rows], block, array.ndim - axis)
    return taken


def _in_front(array: Array, axis: int, block: int) -> Array:
    """Return a view with the units on axis 0 and a block, if any, on axis 1."""
    if block > 1:
        shape = array.shape
        array = array.reshape(*shape[:axis], -1, block, *shape[axis + 1 :])
        array = np.moveaxis(array, axis + 1, 0)
        # The units have moved behind the block, which is in front now.
        return np.moveaxis(array, axis + 1, 0)
    return np.moveaxis(array, axis, 0)


def _products(a: Array, b: Array, out: Array) -> Array:
    """Return all inner products of units, (n, n), from arrays (n, ...)."""
    return np.matmul(a.reshape(len(a), -1), b.reshape(len(b), -1).T, out=out)
