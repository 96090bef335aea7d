"""Coordinate descent over permutations, one linear assignment after another.

For each permutation a matrix C of inner products is kept: entry (i, j) is what unit i
of the reference and unit j of the model have in common, given the orders of all other
units. When k units of another permutation have moved, C changes by a product with k
rows, so that a pass in which little moves costs little more than its assignments; and
an assignment whose C has not changed is not solved again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from statlearn.merging._permute import with_blocks
from statlearn.merging._state import Array
from statlearn.merging.permutation_spec import Permutations, PermutationSpec

Order = Literal["random", "forward", "backward"]


class Descent:
    """One start of the coordinate descent, with what is kept between its steps.

    Parameters
    ----------
    spec : PermutationSpec
    reference, model : dict of str to ndarray of float64
    begin : dict of str to ndarray of int
    include_bias : bool
    """

    def __init__(
        self,
        spec: PermutationSpec,
        reference: Mapping[str, Array],
        model: Mapping[str, Array],
        begin: Mapping[str, NDArray[np.intp]],
        *,
        include_bias: bool = True,
    ) -> None:
        self.current = dict(begin)
        self.gains: list[float] = []
        self.converged = False
        self._pairs = {
            permutation: [
                Pair(spec, reference[name], model[name], name, axis, block)
                for name, axis, block in where
                if include_bias or model[name].ndim > 1
            ]
            for permutation, where in spec.permutations.items()
        }
        self._common = {
            name: np.zeros((len(order), len(order))) for name, order in begin.items()
        }
        # Memory for products, which would cost more to get than to fill.
        self._scratch = {n: np.empty((n, n)) for n in map(len, begin.values())}
        self._solved = dict.fromkeys(begin, False)
        norms = [
            np.sqrt(sum(np.linalg.norm(array) ** 2 for array in state.values()))
            for state in (reference, model)
        ]
        self._scale = float(norms[0] * norms[1])

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
            self.gains.append(sum(self.step(name, tol * self._scale) for name in turns))
            if self.gains[-1] == 0.0:
                self.converged = True
                return

    def step(self, name: str, least: float) -> float:
        """Solve for one permutation; return the gain, 0 if it stays."""
        common = self._common[name]
        for pair in self._pairs[name]:
            if pair.add_to(common, self.current, self._scratch[len(common)]):
                self._solved[name] = False
        if self._solved[name]:
            return 0.0
        self._solved[name] = True
        old = self.current[name]
        new = linear_sum_assignment(common, maximize=True)[1]
        rows = np.arange(len(old))
        gain = float(common[rows, new].sum() - common[rows, old].sum())
        # Ties are left alone, or labels of equal units would go round for ever.
        if gain <= least or np.array_equal(new, old):
            return 0.0
        self.current[name] = new
        return gain


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
        self._seen: dict[str, NDArray[np.intp]] | None = None

    def add_to(self, common: Array, current: Permutations, scratch: Array) -> bool:
        """Add what has changed in the inner products; tell whether anything has."""
        seen, self._seen = self._seen, {e[0]: current[e[0]] for _, e in self._others}
        if seen is None:
            common += _products(self._reference, self._ordered(current), scratch)
            return True
        moved = [name for name in seen if seen[name] is not current[name]]
        if not moved:
            return False
        if len(self._others) == 1:
            old, new = seen[moved[0]], current[moved[0]]
            common += _products(*self._moved(old, new), scratch)
        else:
            common += _products(self._reference, self._ordered(current), scratch)
            common -= _products(self._reference, self._ordered(seen), scratch)
        return True

    def _moved(
        self, old: NDArray[np.intp], new: NDArray[np.intp]
    ) -> tuple[Array, Array]:
        """Return the part of the reference that meets other numbers, and their change.

        Only for arrays with one other permutation; both arrays (n, moved, ...).
        """
        axis, (_, block) = self._others[0]
        rows = np.flatnonzero(old != new)
        before, after = with_blocks(old[rows], block), with_blocks(new[rows], block)
        # Views with the moved units first: of a matrix, rows are copied as they lie.
        model = np.moveaxis(self._model, axis, 0)
        fixed = np.moveaxis(self._reference, axis, 0)[with_blocks(rows, block)]
        change = model[after]
        change -= model[before]
        return np.moveaxis(fixed, 1, 0), np.moveaxis(change, 1, 0)

    def _ordered(self, current: Permutations) -> Array:
        """Return the model's array with all other permutations applied."""
        array = self._model
        for axis, (name, block) in self._others:
            array = array[(slice(None),) * axis + (with_blocks(current[name], block),)]
        return array


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
