"""Checks of one parameter: a number, an integer, either of them between bounds.

True and False are no numbers here, and neither are words such as "2"; NaN lies within
no bounds. Another kind of value raises a TypeError, another value a ValueError.
"""

from __future__ import annotations

from math import inf
from numbers import Integral
from typing import Any, Literal

Closed = Literal["both", "left", "right", "neither"]


def real_number(
    value: Any, name: str, caller: str, hint: str = "pass a float"
) -> float:
    """Return a parameter as a float, which may be infinite, or NaN.

    For bounds that are checked elsewhere; NaN is in none of them. What has bounds goes
    to :func:`number_in`, what has not to :func:`finite_number`.

    Parameters
    ----------
    value : number
        Also an array or a tensor of one number.
    name, caller : str
        Of the parameter, and of the class or function that has it, for messages.
    hint : str, default="pass a float"
        What to do about another value.

    Returns
    -------
    number : float

    Raises
    ------
    TypeError
        If it is no real number.
    """
    try:
        number = None if _is_no_number(value) else float(value)
    except (TypeError, ValueError, RuntimeError):  # the last for tensors of many
        number = None
    if number is None:
        raise TypeError(
            f"The '{name}' of {caller} must be a real number. Got {value!r} of type "
            f"{type(value).__name__}; {hint}."
        )
    return number


def _is_no_number(value: Any) -> bool:
    """Tell words, dates, complex numbers, True and False, of which `float` takes some.

    Those of NumPy and PyTorch too, by the type of their numbers.
    """
    dtype: Any = getattr(value, "dtype", None)
    if hasattr(dtype, "kind"):
        return dtype.kind in "bcmMSU"
    if isinstance(value, (bool, str, bytes, bytearray)):
        return True
    return str(dtype).startswith(("torch.bool", "torch.complex"))


def number_in(
    value: Any,
    name: str,
    caller: str,
    hint: str,
    low: float,
    high: float,
    closed: Closed = "both",
) -> float:
    """Return a number between two bounds as a float.

    Parameters
    ----------
    value : number
    name, caller : str
        Of the parameter, and of the class or function that has it, for messages.
    hint : str
        What to do about another value, as in ``"pass for example 0.5"``.
    low, high : float
        The bounds, which may be infinite.
    closed : {"both", "left", "right", "neither"}, default="both"
        Which of them the number may be.

    Returns
    -------
    number : float

    Raises
    ------
    TypeError
        If it is no real number.
    ValueError
        If it is not between the bounds, or NaN.

    Examples
    --------
    >>> from statlearn.utils._numbers import number_in
    >>> number_in(1, "density", "ties", "pass 0.2", 0, 1, closed="right")
    1.0
    """
    number = real_number(value, name, caller, hint)
    with_low, with_high = closed in ("both", "left"), closed in ("both", "right")
    above = number >= low if with_low else number > low
    below = number <= high if with_high else number < high
    if above and below:
        return number
    if high == inf:
        wanted = "be a number" if with_high else "be a finite number"
        if low > -inf:
            wanted += f" {'>=' if with_low else '>'} {low:g}"
    else:
        ends = "[" if with_low else "(", "]" if with_high else ")"
        wanted = f"lie in {ends[0]}{low:g}, {high:g}{ends[1]}"
    raise ValueError(f"The '{name}' of {caller} must {wanted}. Got {number}; {hint}.")


def finite_number(value: Any, name: str, caller: str, hint: str) -> float:
    """Return a finite number as a float, or say that it should be one."""
    return number_in(value, name, caller, hint, -inf, inf, closed="neither")


def positive_number(value: Any, name: str, caller: str, hint: str) -> float:
    """Return a finite number above zero as a float, or say that it should be one."""
    return number_in(value, name, caller, hint, 0.0, inf, closed="neither")


def closed_share(value: Any, name: str, caller: str, hint: str) -> float:
    """Return a number from 0 to 1 as a float, or say that it should be one."""
    return number_in(value, name, caller, hint, 0.0, 1.0)


def read_coverage(coverage: Any, caller: str) -> float:
    """Return the coverage of intervals, in (0, 1), as a float.

    Parameters
    ----------
    coverage : float
    caller : str
        Name of the class or function for messages.

    Returns
    -------
    coverage : float

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is not in (0, 1).
    """
    hint = "pass a share such as 0.8, or divide percentages by 100"
    return number_in(coverage, "coverage", caller, hint, 0.0, 1.0, closed="neither")


def is_integer(value: Any) -> bool:
    """Tell whether a value is an integer, which True and False are not here."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def integer_in(
    value: Any,
    name: str,
    caller: str,
    hint: str,
    low: int,
    high: float = inf,
) -> int:
    """Return an integer between two bounds, which it may be, as an int.

    Parameters
    ----------
    value : int
    name, caller : str
        Of the parameter, and of the class or function that has it, for messages.
    hint : str
        What to do about another value.
    low : int
        The least that will do.
    high : int, default=inf
        The most that will do.

    Returns
    -------
    number : int

    Raises
    ------
    TypeError
        If it is no integer; 2.0 is none.
    ValueError
        If it is not between the bounds.

    Examples
    --------
    >>> from statlearn.utils._numbers import integer_in
    >>> integer_in(2, "bits", "quantize", "pass 4", 1, 8)
    2
    """
    if is_integer(value) and low <= value <= high:
        return int(value)
    wanted = f">= {low}" if high == inf else f"from {low} to {high}"
    raise (ValueError if is_integer(value) else TypeError)(
        f"The '{name}' of {caller} must be an integer {wanted}. Got {value!r}; {hint}."
    )


def positive_integer(value: Any, name: str, caller: str, hint: str) -> int:
    """Return a count of at least one, or say what it should be."""
    return integer_in(value, name, caller, hint, 1)
