"""Old names that go on to work for a while."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from statlearn.utils._warn import warn

P = ParamSpec("P")
T = TypeVar("T")


def renamed_parameter(old: str, new: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function take a parameter by its old name too, with a FutureWarning.

    Parameters
    ----------
    old, new : str
        Names of the parameter.

    Returns
    -------
    decorate : callable

    Examples
    --------
    >>> import warnings
    >>> from statlearn.utils._deprecation import renamed_parameter
    >>> @renamed_parameter("level", "coverage")
    ... def miss(coverage=0.95):
    ...     return 1.0 - coverage
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     miss(level=0.75)
    0.25
    >>> caught[0].category
    <class 'FutureWarning'>
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def call(*args: P.args, **options: P.kwargs) -> T:
            if old not in options:
                return function(*args, **options)
            value: Any = options.pop(old)
            warn_of_rename(old, new, function.__qualname__, f"={value!r}")
            renamed: dict[str, Any] = {new: value}
            # Python refuses a parameter that is there already.
            return function(*args, **renamed, **options)

        return call

    return decorate


def warn_of_rename(old: str, new: str, caller: str, value: str = "") -> None:
    """Warn that a parameter or an attribute is met by the name it had before."""
    warn(
        f"{caller} expected '{new}', as '{old}' is called now. Got {old}{value}; write "
        f"{new}{value}, since the old name will go.",
        FutureWarning,
    )
