"""State dictionaries: the one home of what all merge rules do to named arrays.

A state dict maps names to arrays, or to torch tensors, which are told by their type
and come back as tensors. A rule says what happens to the numbers of one array; this
file checks names, shapes and values, reads the numbers as float64 in blocks that fit a
cache, writes them in the data type of the base, and leaves alone what is no weight:

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

from statlearn.merging._entry import Array, Entry, in_unit
from statlearn.merging._statistics import statistic_kernel
from statlearn.merging._values import (
    in_range,
    memory_of,
    restorer,
    shape_and_kind,
    to_array,
    total,
)

State = Mapping[str, Any]

# Last part of the names of what normalisation layers count instead of learn.
RUNNING_STATISTICS = ("running_mean", "running_var")


def is_statistic(name: str) -> bool:
    """Tell the name of a running mean or variance."""
    return name.rpartition(".")[2] in RUNNING_STATISTICS


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


# --- checks ------------------------------------------------------------------


def check_models(
    base: State,
    models: Sequence[State],
    rule: str,
    *,
    at_least: int = 1,
    keep: Callable[[str], bool] = lambda name: True,
    called: Sequence[str] = (),
) -> None:
    """Compare names, shapes and kinds of all models with the base.

    Parameters
    ----------
    base, models, rule, at_least
        As in `merge_states`.
    keep : callable, default=all
        Says which names are looked at, in all of them.
    called : sequence of str of length T + 1, default=()
        What base and models are called in messages, if not by these words.

    Raises
    ------
    TypeError
        If something is no mapping, or an array holds no real numbers.
    ValueError
        If there are too few models, no arrays, or names or shapes that differ.
    """
    if isinstance(models, Mapping) or not isinstance(models, Sequence):
        raise TypeError(
            f"The 'models' of {rule} must be a list of state dicts. Got "
            f"{type(models).__name__}; put them into a list, also if it is one."
        )
    if len(models) < at_least:
        raise ValueError(
            f"{rule} needs at least {at_least} model{'s' * (at_least > 1)}. Got "
            f"{len(models)}; add models"
            + (", or use 'average'." if at_least > 1 else ".")
        )
    origin, *others = called or (
        "the base",
        *(f"model {t}" for t in range(len(models))),
    )
    expected = layout(base, origin, rule, keep)
    if not base:
        raise ValueError(
            f"{origin.capitalize()} of {rule} must hold at least one array. Got an "
            "empty state dict; read the weights with get_weights(model)."
        )
    for who, model in zip(others, models, strict=True):
        compare_layouts(expected, layout(model, who, rule, keep), who, rule, origin)


def layout(
    state: State,
    who: str,
    rule: str,
    keep: Callable[[str], bool] = lambda name: True,
) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and kind ("f" or "i") of every array, without reading files."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"{rule} expected {who} as a state dict, a mapping of names to arrays. "
            f"Got {type(state).__name__}; pass get_weights(model)."
        )
    check_names(state, who, rule)
    describe = getattr(state, "layout", None)  # mappings that read from files
    if describe is not None:
        return {name: found for name, found in describe().items() if keep(name)}
    return {n: shape_and_kind(state[n], n, who) for n in state if keep(n)}


def check_names(state: State, who: str, rule: str) -> None:
    """Refuse names that are no words."""
    for name in state:
        if not isinstance(name, str):
            raise TypeError(
                f"The names of arrays in {rule} must be words. Got {name!r} of type "
                f"{type(name).__name__} in {who}; rename the array to {str(name)!r}."
            )


def compare_layouts(
    expected: Mapping[str, tuple[tuple[int, ...], str]],
    found: Mapping[str, tuple[tuple[int, ...], str]],
    who: str,
    rule: str,
    base: str = "the base",
) -> None:
    """Refuse a model whose names, shapes or kinds are not those of the base."""
    missing = sorted(expected.keys() - found.keys())
    extra = sorted(found.keys() - expected.keys())
    if missing or extra:
        raise ValueError(
            f"{rule} needs models with the names of {base}. Got {who} without "
            f"{listed(missing)} and with the unknown {listed(extra)}; rename the "
            "arrays or take them out."
        )
    for name, (shape, kind) in expected.items():
        if found[name][0] != shape:
            raise ValueError(
                f"{rule} needs arrays of equal shapes. Got {found[name][0]} for "
                f"{name!r} in {who} and {shape} in {base}; pass models of one "
                "architecture, or take the array out."
            )
        if found[name][1] != kind:
            raise TypeError(
                f"{rule} needs arrays of one kind, floating or integer. Got {name!r} "
                f"of another kind in {who} than in {base}; convert one of them."
            )


def check_entry(entry: Entry) -> None:
    """Refuse NaN and infinity in the models' arrays of one name."""
    for position, array in enumerate(entry.models):
        check_finite(array, entry.name, f"model {position}")


def check_finite(array: NDArray[Any], name: str, who: str) -> None:
    """Refuse NaN and infinity; one pass, no mask of the array's size."""
    if np.isfinite(total(array)):
        return
    for block in Entry(name, array, ()).blocks():  # large numbers may have overflown
        if not np.isfinite(array.reshape(-1)[block]).all():
            raise ValueError(
                f"The array {name!r} must hold finite numbers. Got NaN or infinity in "
                f"{who}; look at how that model was trained or stored."
            )


def listed(names: Sequence[str], most: int = 5) -> str:
    """Put a few names into a message."""
    shown = ", ".join(repr(name) for name in names[:most])
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"[{shown}]{more}"


def model_weights(weights: Any, n_models: int, rule: str) -> Array:
    """Return one finite weight a model, ones for None, (T,)."""
    if weights is None:
        return np.ones(n_models)
    values = _as_floats(weights)
    if values is None:
        raise TypeError(
            f"The 'weights' of {rule} must be numbers, one a model. Got {weights!r}; "
            f"pass a list of {n_models} numbers, in the order of the models."
        )
    if values.shape != (n_models,):
        raise ValueError(
            f"The 'weights' of {rule} must be one number a model, {n_models} in all. "
            f"Got shape {values.shape}; pass a list of {n_models} numbers."
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f"The 'weights' of {rule} must be finite. Got {values.tolist()}; "
            "pass finite numbers."
        )
    return values


def _as_floats(values: Any) -> Array | None:
    """Return numbers as float64, None for words, mappings and other things."""
    try:
        array = np.asarray(values)
        # Words such as "2" are numbers to NumPy, but not to us.
        return array.astype(np.float64) if array.dtype.kind in "fiubO" else None
    except (TypeError, ValueError):
        return None


def model_shares(weights: Any, n_models: int, rule: str) -> Array:
    """Return one non-negative weight a model, of sum one, equal ones for None, (T,)."""
    shares = model_weights(weights, n_models, rule)
    if shares.min() < 0.0 or not shares.any():
        raise ValueError(
            f"The 'weights' of {rule} must be >= 0, not all of them zero. Got "
            f"{shares.tolist()}; pass non-negative weights."
        )
    normalised: Array = shares / shares.sum()
    return normalised


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
