"""Which arrays are merged, and how: shell patterns of names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from statlearn.merging._state._layouts import listed

Patterns = str | Iterable[str] | None


def keeper(
    names: Iterable[str], include: Patterns, exclude: Patterns, caller: str
) -> Callable[[str], bool]:
    """Return what tells whether a name is to be merged.

    Parameters
    ----------
    names : iterable of str
        Names of which each pattern has to match one.
    include, exclude : str, iterable of str or None
        Shell patterns.
    caller : str
        For messages.
    """
    known = list(names)
    wanted = None if include is None else _patterns(include, "include", known, caller)
    unwanted = [] if exclude is None else _patterns(exclude, "exclude", known, caller)

    def keep(name: str) -> bool:
        return (wanted is None or any(fnmatchcase(name, p) for p in wanted)) and not (
            any(fnmatchcase(name, p) for p in unwanted)
        )

    return keep


def grouped(
    names: Sequence[str],
    overrides: Mapping[str, Mapping[str, Any]] | None,
    caller: str,
) -> list[tuple[list[str], Mapping[str, Any]]]:
    """Put each name to the first override that matches, or to the rest."""
    changes = _checked(overrides or {}, caller)
    patterns = _patterns(changes, "overrides", names, caller)
    chosen: dict[str | None, list[str]] = {pattern: [] for pattern in patterns}
    chosen[None] = []
    for name in names:
        chosen[next((p for p in patterns if fnmatchcase(name, p)), None)].append(name)
    return [
        (group, {} if pattern is None else changes[pattern])
        for pattern, group in chosen.items()
        if group
    ]


def _checked(overrides: Any, caller: str) -> Mapping[str, Mapping[str, Any]]:
    """Refuse what does not give parameters for each pattern."""
    found = overrides
    if isinstance(overrides, Mapping):
        odd = [one for one in overrides.values() if not isinstance(one, Mapping)]
        if not odd:
            return overrides
        found = odd[0]
    raise TypeError(
        f"The 'overrides' of {caller} must map each pattern to a mapping of "
        f"parameters. Got {found!r}; pass for example {{'b*': {{'method': 'ties'}}}}."
    )


def _patterns(patterns: Any, name: str, names: Sequence[str], caller: str) -> list[str]:
    """Return patterns as a list, each of which matches something."""
    found = [patterns] if isinstance(patterns, str) else _listed(patterns, name, caller)
    for pattern in found:
        if not any(fnmatchcase(key, pattern) for key in names):
            raise ValueError(
                f"Each pattern in '{name}' of {caller} must match an array. Got "
                f"{pattern!r} and arrays {listed(names)}; correct the pattern."
            )
    return found


def _listed(patterns: Any, name: str, caller: str) -> list[str]:
    """Return patterns as a list of words."""
    found = list(patterns) if isinstance(patterns, Iterable) else [patterns]
    for one in found:
        if not isinstance(one, str):
            raise TypeError(
                f"Each pattern in '{name}' of {caller} must be a word. Got "
                f"{one!r}; pass a shell pattern such as 'b*'."
            )
    return found
