"""Parameters that are one of a few words, and what to say of another word."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


def one_of(
    value: Any,
    choices: Iterable[Any],
    name: str,
    caller: str,
    hint: str | None = None,
) -> Any:
    """Return one of a few choices, or name them all.

    Parameters
    ----------
    value : str, int, float or None
    choices : iterable
        What will do, such as words; may include None.
    name, caller : str
        Of the parameter, and of the class or function that has it, for messages.
    hint : str, default=None
        What to do about another value; by default the word that was perhaps meant.

    Returns
    -------
    value : object
        As given.

    Raises
    ------
    TypeError
        For a value of a kind that no choice has.
    ValueError
        For another value.

    Examples
    --------
    >>> from statlearn.utils._choices import one_of
    >>> one_of("torch", ("torch", "sklearn"), "layout", "regmean")
    'torch'
    """
    allowed = list(choices)
    kinds = {type(choice) for choice in allowed}
    # True and False are integers to Python, equal to 1 and 0.
    is_number = not isinstance(value, bool) or bool in kinds
    right_kind = is_number and isinstance(value, tuple(kinds))
    if right_kind and value in allowed:
        return value
    words = [choice for choice in allowed if isinstance(choice, str)]
    advice = nearest_name(value, words) if hint is None else f"{hint}."
    raise (ValueError if right_kind else TypeError)(
        f"The '{name}' of {caller} must be one of {allowed}. Got {value!r}; {advice}"
    )


def plain_name(name: str) -> str:
    """Return a name in small letters, without what parts its words.

    So ``"KL-Tilt"``, ``"kl_tilt"`` and ``"KLTilt"`` are one name.
    """
    return name.lower().translate(str.maketrans("", "", "_- "))


def nearest_name(name: Any, known: Iterable[str]) -> str:
    """Return what to do about an unknown name: take the nearest one, or any.

    Parameters
    ----------
    name : object
        What the caller gave.
    known : iterable of str

    Returns
    -------
    hint : str
        The last part of a message, with its stop.

    Examples
    --------
    >>> from statlearn.utils._choices import nearest_name
    >>> nearest_name("TSVM", ["karcher", "r-tsvm", "tsv-m"])
    "did you mean 'tsv-m'?"
    """
    by_key = {plain_name(one): one for one in known}
    asked = plain_name(name) if isinstance(name, str) else ""
    close = get_close_matches(asked, by_key, n=1, cutoff=0.5)
    return f"did you mean {by_key[close[0]]!r}?" if close else "pass one of them."
