"""Rules by their names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

from statlearn.utils._choices import nearest_name, plain_name
from statlearn.weights._base import Evidence, WeightingRule

_KEYWORDS = ("groups", "base_weight", "step")


def get_rule(rule: Any) -> Callable[..., Any]:
    """Return a weighting rule, by its name or as it is.

    Parameters
    ----------
    rule : str, WeightingRule, type or callable
        A name of :func:`list_rules`, in which case, ``_``, ``-`` and spaces do not
        matter; a rule; a class of rules; or any function that takes evidence and the
        keywords `groups`, `base_weight` and `step`.

    Returns
    -------
    rule : WeightingRule or callable
        A rule with its default parameters for a name or a class; other objects as they
        are, not copied.

    Raises
    ------
    ValueError
        For a name that is not known.
    TypeError
        For an object that cannot be called as a rule.

    See Also
    --------
    list_rules : The names.

    Examples
    --------
    >>> from statlearn.weights import get_rule
    >>> get_rule("lin_upper")
    LinUpper()
    >>> get_rule("Inverse-Frequency")
    InverseFrequency()
    """
    if isinstance(rule, str):
        return _by_name(rule)()
    if isinstance(rule, type) and issubclass(rule, WeightingRule):
        return rule()
    if not _takes_keywords(rule):
        raise TypeError(
            f"The 'rule' must be the name of a rule, a rule, or a function "
            f"rule(evidence, *, groups=None, base_weight=None, step=None). Got "
            f"{rule!r}; pass for example 'linupper'."
        )
    return rule


def list_rules() -> dict[Evidence, list[str]]:
    """List the names that :func:`get_rule` knows, by the evidence of the rules.

    Returns
    -------
    names : dict
        From "loss", "residual", "group" and "weight" to sorted names. Rules of the last
        kind reshape weights: they are for a :class:`Chain`.

    Examples
    --------
    >>> from statlearn.weights import list_rules
    >>> list_rules()["group"]
    ['effectivenumber', 'inversefrequency', 'temperature']
    """
    names: dict[Evidence, list[str]] = {
        "loss": [],
        "residual": [],
        "group": [],
        "weight": [],
    }
    for name, found in sorted(_table().items()):
        names[found.evidence_kind].append(name)
    return names


def _table() -> dict[str, type[WeightingRule]]:
    """Return the public rules by name: those that need no argument."""
    # Looked up when asked for, since the room imports this module.
    room = import_module("statlearn.weights")
    public = [getattr(room, name) for name in room.__all__]
    return {
        value.__name__.lower(): value
        for value in public
        if isinstance(value, type)
        and issubclass(value, WeightingRule)
        and value._weights is not WeightingRule._weights
        and isinstance(value.evidence_kind, str)
    }


def _by_name(name: str) -> type[WeightingRule]:
    table = _table()
    key = plain_name(name)
    if key in table:
        return table[key]
    raise ValueError(
        f"The name of a rule must be one of {', '.join(sorted(table))}. Got {name!r}; "
        f"{nearest_name(name, table)}"
    )


def _takes_keywords(rule: Any) -> bool:
    if isinstance(rule, type) or not callable(rule):
        return False
    try:
        parameters = inspect.signature(rule).parameters
    except (TypeError, ValueError):  # a compiled function tells nothing
        return True
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return anything or set(_KEYWORDS) <= set(parameters)
