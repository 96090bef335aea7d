"""Checks on the fields of a schedule, each with a message that says what to do."""

from __future__ import annotations

import math
import operator
from numbers import Integral, Real
from typing import Any

from statlearn.schedules._curves import SHAPES
from statlearn.utils._numbers import Closed, number_in

# Bounds that a value may be, by whether zero and infinity are allowed.
_CLOSED: dict[tuple[bool, bool], Closed] = {
    (False, False): "neither",
    (True, False): "left",
    (False, True): "right",
    (True, True): "both",
}
# Lengths that differ by less than this share of a run differ by rounding only.
ROUNDING = 1e-9


def as_value(
    value: Any, name: str, caller: str, *, zero: bool = False, infinite: bool = False
) -> float:
    """Return a positive number as float.

    Parameters
    ----------
    value : number
    name, caller : str
        For messages.
    zero, infinite : bool
        Whether these are allowed too.
    """
    return number_in(
        value,
        name,
        caller,
        "pass such a number",
        0.0,
        math.inf,
        _CLOSED[zero, infinite],
    )


def as_count(value: Any, name: str, caller: str, *, least: int = 1) -> int:
    """Return a number of steps as int."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(
            f"The '{name}' parameter of {caller} must be an integer. Got {value!r}; "
            f"pass an int, such as {max(least, 1000)}."
        )
    count = operator.index(value)
    if count < least:
        raise ValueError(
            f"The '{name}' parameter of {caller} must be at least {least}. Got "
            f"{count}; pass the number of steps."
        )
    return count


def as_phase(
    value: Any, name: str, caller: str, *, unending: bool = False
) -> int | float:
    """Return the length of a phase: an int (steps) or a float in [0, 1] (a share)."""
    text = f"The '{name}' parameter of {caller} must be an int >= 0, a number of steps"
    text += ", or a float in [0, 1], a share of n_steps" + (
        ", or infinity" if unending else ""
    )
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{text}. Got {value!r}; pass one of these.")
    if isinstance(value, Integral):
        steps = operator.index(value)
        if steps < 0:
            raise ValueError(f"{text}. Got {steps}; pass 0 to leave the phase out.")
        return steps
    share = float(value)
    if not (0.0 <= share <= 1.0 or (unending and share == math.inf)):
        raise ValueError(f"{text}. Got {share}; write steps as an int, as in 10.")
    return share


def phase_steps(value: float, n_steps: int | None) -> float | None:
    """Return the steps of a checked phase, None if that needs a missing `n_steps`."""
    if isinstance(value, int) or math.isinf(value):
        return float(value)
    if n_steps is None:
        return None
    steps = value * n_steps
    whole = round(steps)
    # 0.07 * 100 is a little more than 7: a share of whole steps is meant.
    return float(whole) if abs(steps - whole) <= ROUNDING * n_steps else steps


def check_fit(
    lengths: dict[str, float], n_steps: int, caller: str, *, room: bool
) -> None:
    """Raise if phases are longer than the run, or, on demand, leave nothing of it.

    Parameters
    ----------
    lengths : dict of str to float
        Steps of the phases by name.
    n_steps : int
    caller : str
    room : bool
        Whether steps must remain for one more phase.
    """
    total = sum(lengths.values())
    slack = ROUNDING * n_steps
    if total > n_steps + slack or (room and total >= n_steps - slack):
        names = " + ".join(lengths)
        raise ValueError(
            f"{caller} expected {names} {'<' if room else '<='} n_steps"
            f"{', since its last phase needs steps too' if room else ''}. Got "
            f"{' + '.join(f'{v:g}' for v in lengths.values())} = {total:g} of "
            f"n_steps={n_steps}; shorten a phase, or pass more n_steps."
        )


def check_order(
    low: float, low_name: str, high: float, high_name: str, caller: str
) -> None:
    """Raise unless the lower value is at most the higher one."""
    if low > high:
        raise ValueError(
            f"The '{low_name}' parameter of {caller} must be at most {high_name}. Got "
            f"{low_name}={low:g} and {high_name}={high:g}; lower {low_name} or raise "
            f"{high_name}."
        )


def check_shape(shape: Any, end: float, end_name: str, caller: str) -> None:
    """Raise for an unknown shape, or one that cannot reach zero."""
    if shape not in SHAPES:
        raise ValueError(
            f"The 'shape' parameter of {caller} must be one of {list(SHAPES)}. Got "
            f"{shape!r}; pass one of them."
        )
    if shape == "exponential" and end == 0.0:
        raise ValueError(
            f"The '{end_name}' of {caller} must be positive for an exponential decay, "
            f"which never reaches 0. Got 0; pass {end_name} > 0, or shape='linear'."
        )
