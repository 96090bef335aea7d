"""PCB: weigh each number by how the tasks compete for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from statlearn.merging._rules._arithmetic import task_arithmetic
from statlearn.merging._rules._model_weights import model_weights
from statlearn.merging._rules._selection import (
    cut_below,
    spread_updates,
)
from statlearn.merging._state._entry import Array, Entry
from statlearn.merging._state._layouts import State, check_models
from statlearn.merging._state._merge_states import (
    blockwise,
    merge_states,
    weight_entries,
)
from statlearn.utils._numbers import number_in, real_number

# Share of the magnitudes at either end that PCB sets to the border of it.
WINSORIZED = 1e-4


def pcb(
    base: State,
    models: Sequence[State],
    *,
    weights: Sequence[float] | None = None,
    ratio: float = 0.1,
    lam: float = 1.0,
) -> dict[str, Any]:
    r"""Weight each number by how tasks compete for it (PCB merging).

    A number counts in a task if it is large there and the other tasks pull it in the
    same direction. All arrays are looked at together. The tail of a task decides, so
    tune `lam`: the authors use 1.2.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that the tuning started from.
    models : sequence of mappings of str to array or tensor
        State dicts of the tuned models.
    weights : sequence of float of length n_models, default=None
        Factors on the task vectors in the mean, of any sign; ones for None. They do not
        enter the scores.
    ratio : float, default=0.1
        Share of the numbers of a task that count, those of highest score; in (0, 1].
        A single model competes with nothing and is merged whole.
    lam : float, default=1.0
        Coefficient on the merged task vector.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If a parameter is no number, or something is no state dict.
    ValueError
        If `ratio` is outside (0, 1], a number is not finite, or names or shapes differ.

    See Also
    --------
    consensus : A mask instead of weights, by number alone.
    ties : Magnitude and sign, one after the other.

    Notes
    -----
    For the n numbers of all arrays and T tasks, let :math:`a_t = |\delta_t|` with the
    1e-4 of them at either end set to the border of it, and :math:`N` map the smallest
    number of a task to 0 and the largest to 1. The scores are

    .. math:: s_t = \exp(T N(a_t)^2) \odot
              \tanh \Bigl( \delta_t \odot \sum_u \delta_u \Bigr) .

    Those below the :math:`1 - r` quantile of the task are raised to it, the result is
    mapped to weights :math:`c_t = N(s_t)`, and

    .. math:: \tau = \frac{\sum_t w_t c_t \odot \mathrm{sign}(\delta_t) \odot a_t}
              {\sum_t c_t} ,

    0 where no task has weight. Scores are computed anew at each of the passes, so that
    memory is that of the result and a few blocks; time is O(n) for each model, about
    eight passes that read all models, without sorting.

    References
    ----------
    Guodong Du, Junlin Lee, Jing Li, Runhua Jiang, Yifei Guo, Shuyang Yu, Hanting Liu,
    Sim Kuan Goh, Ho-Kin Tang, Daojing He, Min Zhang. Parameter Competition Balancing
    for Model Merging. NeurIPS, 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import pcb
    >>> base = {"W": np.zeros(4)}
    >>> first = {"W": np.array([4.0, 0.1, -2.0, 0.2])}
    >>> second = {"W": np.array([2.0, 0.3, 3.0, -0.1])}
    >>> pcb(base, [first, second], ratio=0.5)["W"].round(2)
    array([2., 0., 0., 0.])
    """
    check_models(base, models, "pcb")
    factors = model_weights(weights, len(models), "pcb")
    share = number_in(
        ratio, "ratio", "pcb", "pass for example 0.1", 0, 1, closed="right"
    )
    scale = real_number(lam, "lam", "pcb")
    if len(models) == 1:
        return task_arithmetic(base, models, weights=weights, lam=lam)
    competition = _compete(partial(weight_entries, base, models), len(models), share)

    def merge(start: Array, updates: Array) -> Array:
        return start + scale * competition.merge(updates, factors)

    return merge_states(
        base, models, blockwise(merge), rule="pcb", shares=factors, lam=scale
    )


@dataclass(frozen=True, slots=True)
class _Competition:
    """What the scores of all numbers are measured by, an entry a model each.

    Attributes
    ----------
    small, large : (T, 1)
        Least and largest magnitude that counts.
    least, most : (T, 1)
        Lowest score that counts, and the highest one.
    """

    small: Array
    large: Array
    least: Array
    most: Array

    def sizes(self, updates: Array, rows: slice) -> Array:
        """Return the magnitudes of some models within their bounds, (r, b)."""
        sizes = _magnitudes(updates, rows)
        return np.clip(sizes, self.small[rows], self.large[rows], out=sizes)

    def scores(self, updates: Array, rows: slice = slice(None)) -> Array:
        """Return the scores of some models, (T, b) to (r, b)."""
        scores = self.sizes(updates, rows)
        _to_min_max(scores, self.small[rows], self.large[rows])
        np.square(scores, out=scores)
        scores *= len(updates)
        np.exp(scores, out=scores)
        agreement = updates[rows] * updates.sum(axis=0)
        scores *= np.tanh(agreement, out=agreement)
        return scores

    def merge(self, updates: Array, factors: Array) -> Array:
        """Return the weighted mean of the updates, (T, b) overwritten to (b,)."""
        shares = self.scores(updates)
        np.maximum(shares, self.least, out=shares)
        _to_min_max(shares, self.least, self.most)
        # A task whose scores are all alike counts everywhere, one without updates not.
        shares += (self.least == self.most) & (self.most > 0.0)
        total = shares.sum(axis=0)
        shares *= self.sizes(updates, slice(None))
        shares *= np.sign(updates, out=updates)
        merged = factors @ shares
        return np.divide(merged, total, out=np.zeros_like(merged), where=total > 0.0)


def _to_min_max(values: Array, low: Array, high: Array) -> None:
    """Map rows from their range to [0, 1] in place, to 0 if they are constant."""
    span = high - low
    values -= low
    values /= np.where(span > 0.0, span, 1.0)


def _compete(
    entries: Callable[[], Iterable[Entry]], n_models: int, ratio: float
) -> _Competition:
    """Measure the magnitudes and the scores of each model in passes over all."""
    n = sum(entry.size for entry in entries())
    column = np.zeros((n_models, 1))
    found = _Competition(column, column.copy(), column.copy(), column.copy())
    rows = [slice(row, row + 1) for row in range(n_models)]
    for row in rows:
        find = partial(_sorted_number, n, entries, partial(_magnitudes, rows=row))
        found.small[row] = find(int(n * WINSORIZED))
        found.large[row] = find(int(n * (1.0 - WINSORIZED) - 1.0))
    for row in rows:
        find = partial(_sorted_number, n, entries, partial(found.scores, rows=row))
        found.least[row] = find(int(n * (1.0 - ratio)))
    found.most[:] = -np.inf
    for entry in entries():
        scratch = entry.scratch()
        for block in entry.blocks():
            updates = entry.updates(block, scratch)
            highest = found.scores(updates).max(axis=1, keepdims=True)
            np.maximum(found.most, highest, out=found.most)
    return found


def _magnitudes(updates: Array, rows: slice) -> Array:
    """Return magnitudes of the updates of some models, (T, b) to (r, b)."""
    return np.abs(updates[rows])


def _sorted_number(
    n: int,
    entries: Callable[[], Iterable[Entry]],
    measure: Callable[[Array], Array],
    place: int,
) -> float:
    """Return what stands at a place of the sorted measures, (T, b) to (1, b)."""

    def blocks() -> Iterator[Array]:
        for entry in entries():
            scratch = entry.scratch()
            for block in entry.blocks():
                yield measure(entry.updates(block, scratch))[0]

    def sample(m: int) -> Array:
        parts = [measure(spread_updates(entry, m, n))[0] for entry in entries()]
        return np.concatenate(parts)

    if place == 0:
        return min(float(numbers.min()) for numbers in blocks())
    return cut_below(n - place, n, blocks, sample).value
