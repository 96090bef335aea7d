"""State dictionaries: the one home of what all merge rules do to named arrays.

A state dict maps names to arrays, or to torch tensors, which are told by their type
and come back as tensors. A rule says what happens to the numbers of one array; this
file has names, shapes and values checked, reads the numbers as float64 in blocks that
fit a cache, writes them in the data type of the base, and leaves alone what is no
weight:

* integers and booleans (counters, token ids) are copied from the base;
* running means and variances of normalisation layers are averaged, see `merge_states`;
* arrays that share their memory in the base and in every model are merged once.

A mapping that is no dict may read from a file: what it holds is asked for once, in the
order of the sorted names. Arrays in memory are merged in the order that needs least of
it. Results do not depend on any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._state._arrays_and_tensors import (
    in_range,
    memory_of,
    restorer,
    to_array,
    total,
)
from statlearn.merging._state._entry import Array, Entry, in_unit
from statlearn.merging._state._layouts import (
    State,
    check_entry,
    check_finite,
    check_models,
    layout,
)
from statlearn.merging._state._running_statistics import is_statistic, statistic_kernel

# Numbers of one merged array from its entry, of the entry's shape or flat.
Kernel = Callable[[Entry], NDArray[Any]]
# The same for one block: (b,) of the base and (T, b) updates to (b,) merged numbers.
BlockKernel = Callable[[Array, Array], Array]
# What a kernel needs beyond its result while that comes about, to compare arrays by:
# from the shape and the bytes of a number.
Excess = Callable[[tuple[int, ...], int], int]


def blockwise(kernel: BlockKernel) -> Kernel:
    """Make a kernel of a function on blocks: base (b,), updates (T, b) to (b,).

    The function may write into its arguments, and must not keep them.
    """

    def merge(entry: Entry) -> NDArray[Any]:
        merged = np.empty(entry.size, dtype=entry.base.dtype)
        others = entry.scratch()
        first = np.empty(others.shape[1])
        for block in entry.blocks():
            start, updates = entry.start(block, first), entry.updates(block, others)
            merged[block] = kernel(start, updates)
        return merged

    return merge


def merge_states(
    base: State,
    models: Sequence[State],
    kernel: Kernel,
    *,
    rule: str,
    at_least: int = 1,
    propagates: bool = False,
    excess: Excess = lambda shape, itemsize: prod(shape),
    shares: Sequence[float] | Array | None = None,
    lam: float = 1.0,
    by_products: bool = False,
) -> dict[str, Any]:
    """Merge every array with one kernel, after a look at all names and shapes.

    Running statistics take the mean of the models under the weights that the rule
    gives to them, of which those below zero count as zero, and move with the
    coefficient of the rule from the base to this mean; a variance stays at zero or
    above. Without a positive weight they are those of the base.

    Parameters
    ----------
    base : mapping of str to array or tensor
        Gives the keys, their order, the data types and what is not merged.
    models : sequence of mappings of str to array or tensor
        Models of the base's layout.
    kernel : callable
        Numbers of a merged array from its `Entry`.
    rule : str
        Name of the rule, for messages.
    at_least : int, default=1
        Models that the rule needs.
    propagates : bool, default=False
        Whether NaN and infinity in any model show in the result of the kernel, so that
        one look at the result can stand for one at each model.
    excess : callable, default=size
        Compares arrays by what the kernel needs beyond their results.
    shares : sequence of float of length T, default=None
        Weights of the models in running statistics; equal ones for None.
    lam : float, default=1.0
        Coefficient on what is added to running statistics.
    by_products : bool, default=False
        Whether the kernel multiplies numbers by each other. Very large and very small
        ones are then merged in another unit, a power of two, so the kernel must give
        `u` times the result for `u` times all numbers.

    Returns
    -------
    dict of str to array or tensor
        New arrays under the keys of the base; nothing of the input is changed.
    """
    check_models(base, models, rule, at_least=at_least)
    merged: dict[str, Any] = {}
    twins = twins_of(base, models)
    statistic = statistic_kernel(shares, len(models), lam)
    for name in _working_order(base, twins, excess):
        values = [base[name], *(model[name] for model in models)]
        if is_statistic(name):
            merged[name] = _merge_entry(name, values, statistic, rule)
            continue
        merged[name] = _merge_entry(
            name, values, kernel, rule, propagates=propagates, by_products=by_products
        )
    return {name: merged[twins[name]] for name in base}


def _working_order(
    base: State, twins: Mapping[str, str], excess: Excess
) -> Iterable[str]:
    """Return what is to be merged, first what needs most beyond its result.

    Results stay and pile up, so a passing need costs least while there are few of them.
    """
    names = dict.fromkeys(twins.values())
    if not isinstance(base, dict):
        return names  # from files, as they are read

    def need(name: str) -> int:
        value = base[name]
        return excess(np.shape(value), getattr(value, "itemsize", 8))

    return sorted(names, key=need, reverse=True)


def _merge_entry(
    name: str,
    values: list[Any],
    kernel: Kernel,
    rule: str,
    *,
    propagates: bool = False,
    by_products: bool = False,
) -> Any:
    """Merge the arrays of one name; the first one is the base's."""
    entry, like = _entry(name, values), values[0]
    if entry.base.dtype.kind != "f":
        return restorer(like)(entry.base.copy())
    check_finite(entry.base, name, "the base")
    if not propagates:
        check_entry(entry)
    power = 0
    if by_products:
        entry, power = in_unit(entry)
    with np.errstate(over="ignore", invalid="ignore"):  # are told by name below
        merged = kernel(entry).astype(entry.base.dtype, copy=False)
        if power:
            merged = np.ldexp(merged, power)
    if propagates and not np.isfinite(total(merged)):
        check_entry(entry)
    return in_range(merged.reshape(entry.shape), like, name, rule)


def _entry(name: str, values: Sequence[Any]) -> Entry:
    """Return the arrays of one name; the first of the values is the base's."""
    # Blocks of an array that is not contiguous would copy all of it each time.
    base, *models = (np.asarray(to_array(value), order="C") for value in values)
    return Entry(name, base, tuple(models))


# --- shared memory -----------------------------------------------------------


def twins_of(base: State, models: Sequence[State]) -> dict[str, str]:
    """Return for each name, in order, the first one that shares its memory everywhere.

    Such are the two ends of a network that reads and writes words by one matrix.
    """
    # Other mappings may make arrays anew, and equal addresses then tell nothing.
    if not all(isinstance(state, dict) for state in (base, *models)):
        return {name: name for name in sorted(base)}
    first: dict[Any, str] = {}
    return {
        name: first.setdefault(
            tuple(memory_of(state[name]) for state in (base, *models)), name
        )
        for name in sorted(base)
    }


def merged_names(base: State, models: Sequence[State], rule: str) -> list[str]:
    """Return the names that a kernel merges, sorted; files stay unread."""
    kinds = layout(base, "the base", rule)
    return [
        name
        for name in dict.fromkeys(twins_of(base, models).values())
        if kinds[name][1] == "f" and not is_statistic(name)
    ]


def weight_entries(base: State, models: Sequence[State]) -> Iterator[Entry]:
    """Pass over what rules on all arrays at once look at, in the order of names.

    These are the floating arrays, those that share their memory once, and no running
    statistics; all have been checked to be finite.
    """
    for name in merged_names(base, models, "weight_entries"):
        entry = _entry(name, [base[name], *(model[name] for model in models)])
        check_finite(entry.base, name, "the base")
        check_entry(entry)
        yield entry
