"""Which arrays are merged by which rule with which parameters, and the call of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from statlearn.exceptions import FactorMergingWarning
from statlearn.merging._rules._methods import (
    MERGE_METHODS,
    MergeMethod,
    find_method,
    option_advice,
)
from statlearn.merging._rules._name_choice import Patterns, grouped, keeper
from statlearn.merging._state._arrays_and_tensors import (
    copied,
    in_range,
    to_array,
)
from statlearn.merging._state._layouts import State, check_models, check_names, listed
from statlearn.merging._state._merge_states import twins_of
from statlearn.merging._state._running_statistics import is_statistic, within_bounds
from statlearn.utils._numbers import finite_number
from statlearn.utils._rng import as_generator
from statlearn.utils._warn import warn

# What programs call the factors of a low-rank update, as a part of a name.
_FACTOR = re.compile(
    r"(?:^|[._])(lora_(?:embedding_)?[ab]|lora_down|lora_up)(?:[._]|$)", re.IGNORECASE
)
_PAIRS = (
    ("lora_a", "lora_b"),
    ("lora_embedding_a", "lora_embedding_b"),
    ("lora_down", "lora_up"),
)


@dataclass(frozen=True, slots=True)
class Task:
    """Names that are merged by one rule with one choice of parameters.

    Attributes
    ----------
    names : list of str
        Names of the arrays.
    row : MergeMethod or None
        The rule; None for arrays that are copied from the base.
    arguments : dict of str to object
        Parameters of the rule, of `merge_weights` and its own.
    caller : str
        For messages.
    """

    names: list[str]
    row: MergeMethod | None
    arguments: dict[str, Any]
    caller: str

    @property
    def by_array(self) -> bool:
        """Whether each array is merged alone."""
        on_one_vector = self.arguments.get("convention") == "authors"
        return self.row is None or (self.row.by_array and not on_one_vector)

    def run(
        self, base: State, states: Sequence[State], names: Sequence[str]
    ) -> dict[str, Any]:
        """Merge arrays of some of its names, which models need for a rule alone."""
        part = _only(base, names)
        if self.row is None:
            twins = twins_of(part, [])
            copies = {name: copied(part[name]) for name in set(twins.values())}
            return {name: copies[twins[name]] for name in part}
        parts = [_only(state, names) for state in states]
        return _call(self.row, part, parts, dict(self.arguments), self.caller)


def names_to_merge(
    base: State,
    states: Sequence[State],
    include: Patterns,
    exclude: Patterns,
    caller: str,
) -> Callable[[str], bool]:
    """Return what tells whether a name is merged, after a look at all of these.

    Other names are the base's alone, whatever the models have under them.
    """
    known: dict[str, None] = {}
    for position, state in enumerate((base, *states)):
        who = f"model {position - 1}" if position else "the base"
        check_names(state, who, caller)
        known |= dict.fromkeys(state)
    keep = keeper(known, include, exclude, caller)
    check_models(base, states, caller, keep=keep)
    return keep


def plan(
    names: Sequence[str],
    keep: Callable[[str], bool],
    row: MergeMethod,
    settings: Mapping[str, Any],
    random_state: Any,
    overrides: Mapping[str, Mapping[str, Any]] | None,
    caller: str,
) -> list[Task]:
    """Say what happens to which arrays; all tasks draw from one generator."""
    settings = {**settings, "random_state": as_generator(random_state)}
    rest = [name for name in names if keep(name)]
    left_out = [name for name in names if not keep(name)]
    _warn_of_factors(rest)
    tasks = [Task(left_out, None, {}, caller)] if left_out else []
    for chosen, changes in grouped(rest, overrides, caller):
        arguments = {**settings, **changes}
        # Of the two names of the coefficient the one in the override counts.
        if "lam" in changes and "scale" not in changes:
            arguments["scale"] = 1.0
        elif "scale" in changes and "lam" not in changes:
            arguments.pop("lam", None)
        # A generator goes on from array to array, where a seed would start again.
        arguments["random_state"] = as_generator(arguments["random_state"])
        method = find_method(arguments.pop("method", row), caller)
        tasks.append(Task(chosen, method, arguments, caller))
    return tasks


def _warn_of_factors(names: Iterable[str]) -> None:
    """Warn if both factors of a low-rank update are among what is merged."""
    found = {
        match[1].lower(): name for name in names if (match := _FACTOR.search(name))
    }
    for pair in _PAIRS:
        if all(part in found for part in pair):
            shown = listed([found[part] for part in pair])
            warn(
                "Merge rules expect weights that add up. Got factors of low-rank "
                f"adapters such as {shown}: a product of merged factors is not the "
                "merged update; fold the adapters into the weights first, with "
                "statlearn.neural.fold or merge_and_unload of PEFT.",
                FactorMergingWarning,
            )
            return


def _call(
    row: MergeMethod,
    base: State,
    states: Sequence[State],
    arguments: dict[str, Any],
    caller: str,
) -> dict[str, Any]:
    """Call one rule for some of the names."""
    takes = inspect.signature(row.function).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in takes.values())
    hint = "pass a number such as 0.4"
    scale = finite_number(arguments.pop("scale"), "scale", caller, hint)
    given = {
        name: value
        for name, value in arguments.items()
        if name not in {"weights", "density", "random_state"} or value is not None
    }
    if "random_state" not in takes and not open_ended:
        del given["random_state"]
    if "lam" in given and scale != 1.0:
        raise ValueError(
            f"The coefficient of {caller} must be given once, as 'scale' or as 'lam'. "
            f"Got scale={scale} and lam={given['lam']!r}; leave one out."
        )
    if "lam" in takes:
        given.setdefault("lam", scale)
    unknown = sorted(set(given) - set(takes) - set(row.preset))
    if unknown and not open_ended:
        options = sorted(set(takes) - {"base", "models", "lam"} - set(row.preset))
        raise TypeError(
            f"The rule {row.name!r} takes {', '.join(options) or 'no parameters'}. Got "
            f"{listed(unknown)}; {option_advice(row, unknown)}"
        )
    merged = row.function(base, states, **{**row.preset, **given})
    _check_result(row, merged, base)
    return merged if "lam" in takes else _rescale(base, merged, scale, caller)


def _check_result(row: MergeMethod, merged: Any, base: State) -> None:
    """Refuse what a rule of the caller returns, if it is no model."""
    if row is MERGE_METHODS.get(row.name):
        return
    if not isinstance(merged, Mapping) or merged.keys() != set(base):
        found: Any = type(merged).__name__
        if isinstance(merged, Mapping):
            found = listed(list(merged))
        raise ValueError(
            f"The rule {row.name!r} must return a dict with the names of the base, "
            f"{listed(list(base))}. Got {found}; return one array for each name."
        )
    for name in base:
        start, found = to_array(base[name]), to_array(merged[name])
        if found.shape != start.shape or not np.can_cast(
            found.dtype, start.dtype, "same_kind"
        ):
            raise ValueError(
                f"The array {name!r} of the rule {row.name!r} must have the shape "
                f"{start.shape} and fit the type {start.dtype}. Got shape {found.shape}"
                f" and dtype {found.dtype}; a merge rule returns arrays of the base's "
                "shapes and kinds."
            )


def _rescale(
    base: State, merged: dict[str, Any], scale: float, caller: str
) -> dict[str, Any]:
    """Scale what a rule without a coefficient of its own adds to the base."""
    if scale == 1.0:
        return merged
    scaled: dict[str, Any] = {}
    for name, value in merged.items():
        start, end = to_array(base[name]), to_array(value)
        if start.dtype.kind != "f":
            scaled[name] = value
            continue
        origin = start.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            moved = origin + scale * (end - origin)
            if is_statistic(name):
                moved = within_bounds(moved, name)
            moved = moved.astype(start.dtype)
        scaled[name] = in_range(moved, base[name], name, caller)
    return scaled


def _only(state: State, names: Iterable[str]) -> State:
    """Return the part of a state dict with these names."""
    chosen = list(names)
    if len(chosen) == len(state):
        return state
    return {name: state[name] for name in chosen}
