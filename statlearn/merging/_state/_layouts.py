"""What a state dict holds: names, shapes and kinds, and whether models agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._state._arrays_and_tensors import shape_and_kind, total
from statlearn.merging._state._entry import Entry

State = Mapping[str, Any]


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
