"""TIES: trim small updates, elect signs, merge what agrees."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._rules._model_weights import model_weights
from statlearn.merging._rules._selection import (
    Above,
    Cut,
    count_of,
    magnitude_cut,
    model_cuts,
)
from statlearn.merging._rules._signs import combine, disjoint_mean, elect
from statlearn.merging._state._entry import Array, Entry
from statlearn.merging._state._layouts import State, check_models
from statlearn.merging._state._merge_states import (
    Kernel,
    blockwise,
    merge_states,
    weight_entries,
)
from statlearn.utils._numbers import number_in, real_number

CONVENTIONS = ("mergekit", "peft", "authors")


def ties(
    base: State,
    models: Sequence[State],
    *,
    weights: Sequence[float] | None = None,
    density: float = 0.2,
    lam: float = 1.0,
    convention: str = "mergekit",
) -> dict[str, Any]:
    r"""Trim small updates, elect a sign for each number, average what agrees (TIES).

    Keeps tasks from cancelling each other where their updates point in opposite
    directions. Needs no data; `lam` is worth tuning.

    Parameters
    ----------
    base : mapping of str to array or tensor
        State dict that the tuning started from.
    models : sequence of mappings of str to array or tensor
        State dicts of the tuned models.
    weights : sequence of float of length n_models, default=None
        Weights of the task vectors, of any sign; ones for None.
    density : float, default=0.2
        Share of each task vector that is kept, those of largest magnitude; in (0, 1].
        A single model conflicts with nothing and is not trimmed.
    lam : float, default=1.0
        Coefficient on the merged task vector.
    convention : {"mergekit", "peft", "authors"}, default="mergekit"
        Which of the published programs to follow, see the notes.

    Returns
    -------
    dict of str to array or tensor
        Merged state dict in the data types of the base.

    Raises
    ------
    TypeError
        If a parameter is no number, or something is no state dict.
    ValueError
        If `density` is outside (0, 1], the convention is unknown, a number is not
        finite, or names or shapes differ.

    See Also
    --------
    dare : Drops updates at random; its sign election is an option.
    breadcrumbs : Drops the largest updates as well.
    task_arithmetic : No trimming and no election.

    Notes
    -----
    With trimmed task vectors :math:`\tilde\delta_t` and elected signs :math:`s`,

    .. math:: \tau_i = \frac{\sum_{t : \mathrm{sign}(\tilde\delta_{ti}) = s_i} w_t
              \tilde\delta_{ti}}{\sum_{t : \mathrm{sign}(\tilde\delta_{ti}) = s_i}
              |w_t|}, \qquad s_i = \mathrm{sign} \sum_t w_t \tilde\delta_{ti} .

    * "mergekit": this formula. Each array is trimmed alone to
      :math:`\lfloor d n \rfloor` numbers, at least one; of equal ones the first stay.
      A sum of zero elects the plus. A negative weight turns a task vector around.
    * "peft": signs are elected without the weights, and the divisor is the number of
      models that agree.
    * "authors": as "peft", but all arrays are trimmed as one vector, to one number more
      and all that equal the smallest of them; a sum of zero elects the sign that most
      numbers have. Reads the models several times.

    Trimmed numbers agree with no sign. Time is O(n) for each model: about three passes,
    without sorting; memory is that of the result and a few blocks.

    References
    ----------
    Prateek Yadav, Derek Tam, Leshem Choshen, Colin Raffel, Mohit Bansal. TIES-Merging:
    Resolving Interference When Merging Models. NeurIPS, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import ties
    >>> base = {"W": np.zeros(4)}
    >>> first = {"W": np.array([4.0, 0.1, -2.0, 0.2])}
    >>> second = {"W": np.array([2.0, 0.3, 3.0, -0.1])}
    >>> ties(base, [first, second], density=0.5)["W"]
    array([3., 0., 3., 0.])
    """
    check_models(base, models, "ties")
    factors = model_weights(weights, len(models), "ties")
    hint = "pass for example 0.2, or 1 to trim nothing"
    density = number_in(density, "density", "ties", hint, 0, 1, closed="right")
    scale = real_number(lam, "lam", "ties")
    if convention not in CONVENTIONS:
        raise ValueError(
            "The 'convention' of ties must be 'mergekit', 'peft' or 'authors'. Got "
            f"{convention!r}; pass one of them."
        )
    if len(models) == 1:
        density = 1.0
    if convention == "authors":
        kernel = _on_one_vector(base, models, factors, density, scale)
    else:
        kernel = _by_array(factors, density, scale, convention)
    return merge_states(base, models, kernel, rule="ties", shares=factors, lam=scale)


def _by_array(factors: Array, density: float, scale: float, convention: str) -> Kernel:
    """Trim each array alone."""

    def kernel(entry: Entry) -> NDArray[Any]:
        k = max(1, count_of(density, entry.size))
        kept = [Above(cut) for cut in model_cuts(entry, k)]

        def merge(start: Array, updates: Array) -> Array:
            _trim(updates, kept)
            if convention == "mergekit":
                return start + scale * combine(updates, factors, consensus=True)
            return start + scale * _mean_by_number(updates, factors)

        return blockwise(merge)(entry)

    return kernel


def _on_one_vector(
    base: State,
    models: Sequence[State],
    factors: Array,
    density: float,
    scale: float,
) -> Kernel:
    """Trim all arrays as one vector; find the sign of the majority beforehand."""
    n = sum(entry.size for entry in weight_entries(base, models))
    k = min(n, count_of(density, n) + 1)
    kept = []
    for model in models:
        cut = magnitude_cut(k, n, partial(weight_entries, base, (model,)))
        kept.append(Above(Cut(cut.value, cut.equal, cut.equal)))
    balance = 0.0
    for entry in weight_entries(base, models):
        for block in entry.blocks():
            updates = entry.updates(block)
            _trim(updates, kept)
            balance += np.sign(updates.sum(axis=0)).sum()
    majority = 1.0 if balance > 0.0 else -1.0

    def merge(start: Array, updates: Array) -> Array:
        _trim(updates, kept)
        return start + scale * _mean_by_number(updates, factors, majority)

    return blockwise(merge)


def _trim(updates: Array, kept: Sequence[Above]) -> None:
    """Set updates below the cut of their model to zero, (T, b) in place."""
    for row, keep in zip(updates, kept, strict=True):
        row *= keep(np.abs(row))


def _mean_by_number(updates: Array, factors: Array, zero: float = 1.0) -> Array:
    """Average with signs elected without weights, by the number that agrees."""
    signs = elect(updates, zero)
    return disjoint_mean(updates, signs, factors, np.ones(len(factors)))
