"""State dictionaries: the one home of what all merge rules do to named arrays.

A state dict maps names to arrays, or to torch tensors, which are told by their type
and come back as tensors. A rule says what happens to the numbers of one array; this
file checks names, shapes and values, reads the numbers as float64 in blocks that fit a
cache, writes them in the data type of the base, and leaves alone what is no weight:

* integers and booleans (counters, token ids) are copied from the base;
* running means and variances of normalisation layers are averaged over the models;
* arrays that share their memory in the base and in every model are merged once.

Whatever a mapping holds is asked for once, in the order of the sorted names, so the
mapping may read from a file and a random rule does not depend on the order of keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._arrays import is_tensor

Array = NDArray[np.float64]
State = Mapping[str, Any]

# Last part of the names of what normalisation layers count instead of learn.
RUNNING_STATISTICS = ("running_mean", "running_var")

# Numbers in a block: five blocks of this size fit a second-level cache.
BLOCK = 32768


@dataclass(frozen=True, slots=True)
class Entry:
    """The arrays of one name: that of the base, and one of each model.

    Attributes
    ----------
    name : str
        Key in the state dicts.
    base : ndarray of shape (...)
        Array of the base, in its own floating type.
    models : tuple of ndarray of shape (...)
        Arrays of the models, in theirs.
    """

    name: str
    base: NDArray[Any]
    models: tuple[NDArray[Any], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of each of the arrays."""
        return self.base.shape

    @property
    def size(self) -> int:
        """Numbers in each of the arrays."""
        return self.base.size

    @property
    def is_statistic(self) -> bool:
        """Whether the name is that of a running mean or variance."""
        return self.name.rpartition(".")[2] in RUNNING_STATISTICS

    def blocks(self, size: int = BLOCK) -> Iterator[slice]:
        """Cut the flat arrays into slices of at most `size` numbers."""
        for start in range(0, self.size, size):
            yield slice(start, min(start + size, self.size))

    def start(self, block: slice = slice(None), out: Array | None = None) -> Array:
        """Return numbers of the flat base, (b,) float64, in `out` if it is given."""
        flat = self.base.reshape(-1)[block]
        if out is None:
            return flat.astype(np.float64)
        out[: len(flat)] = flat
        return out[: len(flat)]

    def values(self, block: slice = slice(None), out: Array | None = None) -> Array:
        """Return numbers of the flat models, (T, b) float64, in `out` if given."""
        first, last, _ = block.indices(self.size)
        values = self.scratch(last - first) if out is None else out[:, : last - first]
        for row, model in zip(values, self.models, strict=True):
            row[:] = model.reshape(-1)[block]
        return values

    def updates(self, block: slice = slice(None), out: Array | None = None) -> Array:
        """Return what the models differ by from the base, flat, (T, b) float64."""
        updates = self.values(block, out)
        updates -= self.base.reshape(-1)[block]  # the difference is taken in float64
        return updates

    def scratch(self, length: int = BLOCK) -> Array:
        """Return memory for a block of all models, to be used again and again.

        Memory that is new for each block costs more than the arithmetic on it.
        """
        return np.empty((len(self.models), min(length, self.size)))


# Numbers of one merged array from its entry, of the entry's shape or flat.
Kernel = Callable[[Entry], NDArray[Any]]
# The same for one block: (b,) of the base and (T, b) updates to (b,) merged numbers.
BlockKernel = Callable[[Array, Array], Array]


def blockwise(kernel: BlockKernel) -> Kernel:
    """Make a kernel of a function on blocks: base (b,), updates (T, b) to (b,).

    The function may write into its arguments, and must not keep them.
    """

    def merge(entry: Entry) -> NDArray[Any]:
        merged = np.empty(entry.size, dtype=entry.base.dtype)
        first, others = np.empty(min(BLOCK, entry.size)), entry.scratch()
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
) -> dict[str, Any]:
    """Merge every array with one kernel, after a look at all names and shapes.

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

    Returns
    -------
    dict of str to array or tensor
        New arrays under the keys of the base; nothing of the input is changed.
    """
    check_models(base, models, rule, at_least=at_least)
    merged: dict[str, Any] = {}
    seen: dict[Any, str] = {}
    for name in sorted(base):
        values = [base[name], *(model[name] for model in models)]
        twin = seen.setdefault(_identity(name, values, (base, *models)), name)
        if twin == name:
            merged[name] = _merge_entry(name, values, kernel, propagates)
        else:
            merged[name] = merged[twin]
    return {name: merged[name] for name in base}


def _merge_entry(name: str, values: list[Any], kernel: Kernel, propagates: bool) -> Any:
    """Merge the arrays of one name; the first one is the base's."""
    entry, restore = _entry(name, values), restorer(values[0])
    if entry.base.dtype.kind != "f":
        return restore(entry.base.copy())
    check_finite(entry.base, name, "the base")
    if not propagates:
        check_entry(entry)
    with np.errstate(invalid="ignore" if propagates else "warn"):
        merged = (_average if entry.is_statistic else kernel)(entry)
    if propagates and not np.isfinite(_total(merged)):
        check_entry(entry)
    merged = merged.reshape(entry.shape)
    return restore(merged.astype(entry.base.dtype, copy=False))


def _entry(name: str, values: Sequence[Any]) -> Entry:
    """Return the arrays of one name; the first of the values is the base's."""
    # Blocks of an array that is not contiguous would copy all of it each time.
    base, *models = (np.asarray(to_array(value), order="C") for value in values)
    return Entry(name, base, tuple(models))


_average = blockwise(lambda start, updates: start + updates.mean(axis=0))


def to_array(value: Any) -> NDArray[Any]:
    """Return an array or a tensor as an array of its own type, without a copy."""
    if not is_tensor(value):
        return np.asarray(value)
    tensor = value.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # which NumPy does not have
        tensor = tensor.float()
    array: NDArray[Any] = tensor.numpy()
    return array


def restorer(value: Any) -> Callable[[NDArray[Any]], Any]:
    """Return the way from an array back to what the caller gave."""
    if is_tensor(value):
        return value.detach().new_tensor
    return lambda array: array


def _identity(name: str, values: Sequence[Any], states: Sequence[State]) -> Any:
    """Return what arrays under two names have in common if they share their memory."""
    # Other mappings may make arrays anew, and equal addresses then tell nothing.
    if not all(isinstance(state, dict) for state in states):
        return name
    return tuple(map(_memory, values))


def _memory(value: Any) -> tuple[Any, ...]:
    """Tell arrays that share their memory; equal for an array and its alias."""
    if is_tensor(value) and not hasattr(value, "data_ptr"):
        return (id(value),)
    if is_tensor(value):
        return (value.data_ptr(), tuple(value.shape), tuple(value.stride()))
    array = np.asarray(value)
    if array.size == 0 or array is not value:  # no memory, or memory of the moment
        return (id(value),)
    return (array.ctypes.data, array.shape, array.strides)


# --- checks ------------------------------------------------------------------


def check_models(
    base: State, models: Sequence[State], rule: str, *, at_least: int = 1
) -> None:
    """Compare names, shapes and kinds of all models with the base.

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
    expected = layout(base, "the base", rule)
    if not expected:
        raise ValueError(
            f"The base of {rule} must hold at least one array. Got an empty state "
            "dict; read the weights with get_weights(model)."
        )
    for position, model in enumerate(models):
        who = f"model {position}"
        compare_layouts(expected, layout(model, who, rule), who, rule)


def layout(state: State, who: str, rule: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and kind ("f" or "i") of every array, without reading files."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"{rule} expected {who} as a state dict, a mapping of names to arrays. "
            f"Got {type(state).__name__}; pass get_weights(model)."
        )
    describe = getattr(state, "layout", None)  # mappings that read from files
    if describe is not None:
        return dict(describe())
    return {name: _shape_and_kind(state[name], name, who) for name in state}


def _shape_and_kind(value: Any, name: str, who: str) -> tuple[tuple[int, ...], str]:
    if is_tensor(value):
        return tuple(value.shape), "f" if value.is_floating_point() else "i"
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"The array {name!r} of {who} must hold real numbers. Got dtype "
            f"{array.dtype}; leave it out of the state dict."
        )
    return array.shape, "f" if array.dtype.kind == "f" else "i"


def compare_layouts(
    expected: Mapping[str, tuple[tuple[int, ...], str]],
    found: Mapping[str, tuple[tuple[int, ...], str]],
    who: str,
    rule: str,
) -> None:
    """Refuse a model whose names, shapes or kinds are not those of the base."""
    missing = sorted(expected.keys() - found.keys())
    extra = sorted(found.keys() - expected.keys())
    if missing or extra:
        raise ValueError(
            f"{rule} needs models with the names of the base. Got {who} without "
            f"{listed(missing)} and with the unknown {listed(extra)}; rename the "
            "arrays or take them out."
        )
    for name, (shape, kind) in expected.items():
        if found[name][0] != shape:
            raise ValueError(
                f"{rule} needs arrays of equal shapes. Got {found[name][0]} for "
                f"{name!r} in {who} and {shape} in the base; pass models of one "
                "architecture, or take the array out."
            )
        if found[name][1] != kind:
            raise TypeError(
                f"{rule} needs arrays of one kind, floating or integer. Got {name!r} "
                f"of another kind in {who} than in the base; convert one of them."
            )


def check_entry(entry: Entry) -> None:
    """Refuse NaN and infinity in the models' arrays of one name."""
    for position, array in enumerate(entry.models):
        check_finite(array, entry.name, f"model {position}")


def check_finite(array: NDArray[Any], name: str, who: str) -> None:
    """Refuse NaN and infinity; one pass, no mask of the array's size."""
    if np.isfinite(_total(array)):
        return
    for block in Entry(name, array, ()).blocks():  # large numbers may have overflown
        if not np.isfinite(array.reshape(-1)[block]).all():
            raise ValueError(
                f"The array {name!r} must hold finite numbers. Got NaN or infinity in "
                f"{who}; look at how that model was trained or stored."
            )


def _total(array: NDArray[Any]) -> float:
    """Return the sum, which is finite only if all numbers are."""
    with np.errstate(all="ignore"):
        return float(array.sum(dtype=None if array.dtype.itemsize > 2 else np.float32))


def listed(names: Sequence[str], most: int = 5) -> str:
    """Put a few names into a message."""
    shown = ", ".join(repr(name) for name in names[:most])
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"[{shown}]{more}"


def model_weights(weights: Any, n_models: int, rule: str) -> Array:
    """Return one finite weight a model, ones for None, (T,)."""
    if weights is None:
        return np.ones(n_models)
    values = np.asarray(weights, dtype=np.float64)
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


def model_shares(weights: Any, n_models: int, rule: str) -> Array:
    """Return one non-negative weight a model, of sum one, equal ones for None, (T,)."""
    shares = model_weights(weights, n_models, rule)
    if shares.min() < 0.0 or not shares.any():
        raise ValueError(
            f"The 'weights' of {rule} must be >= 0, not all of them zero. Got "
            f"{shares.tolist()}; pass non-negative weights."
        )
    total: Array = shares / shares.sum()
    return total


def weight_entries(base: State, models: Sequence[State]) -> Iterator[Entry]:
    """Pass over what rules on all arrays at once look at, in the order of names.

    These are the floating arrays, those that share their memory once, and no running
    statistics; all have been checked to be finite.
    """
    seen: set[Any] = set()
    for name in sorted(base):
        values = [base[name], *(model[name] for model in models)]
        identity = _identity(name, values, (base, *models))
        entry = _entry(name, values)
        if identity in seen or entry.base.dtype.kind != "f" or entry.is_statistic:
            continue
        seen.add(identity)
        check_finite(entry.base, name, "the base")
        check_entry(entry)
        yield entry
