"""Curves over one phase, and the pieces that a schedule is looked up in.

A curve takes where a step is in its phase, x from 0 to 1, and the module that brings
the functions: `math` for one number, NumPy for many. So each formula is written once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import numpy as np

Curve = Callable[[Any, Any], Any]
Shape = Literal["linear", "cosine", "exponential", "sqrt"]
SHAPES = ("linear", "cosine", "exponential", "sqrt")


class Piece(NamedTuple):
    """One phase of a schedule.

    Attributes
    ----------
    stop : float
        Last step of the phase, infinity for the last phase.
    start : float
        Where its curve begins: the end of the phase before.
    length : float
        Steps that its curve takes, more than the phase has if it was cut off.
    curve : callable
        Value at a place from 0 to 1.
    name : str
        What `phase_at` answers.
    """

    stop: float
    start: float
    length: float
    curve: Curve
    name: str


def constant(value: float) -> Curve:
    """Return the curve that stays at a value."""
    return lambda x, xp: value


def between(start: float, end: float, share: Curve) -> Curve:
    """Return the curve from one value to another, both hit to the last bit.

    Parameters
    ----------
    start, end : float
    share : callable
        Share of the way that is done, 0 at x = 0 and 1 at x = 1.
    """

    def curve(x: Any, xp: Any) -> Any:
        done = share(x, xp)
        return start * (1.0 - done) + end * done

    return curve


def straight(start: float, end: float) -> Curve:
    """Return the straight line from one value to another."""
    return between(start, end, lambda x, xp: x)


def half_cosine(start: float, end: float) -> Curve:
    """Return half a wave of a cosine from one value to another."""
    return between(start, end, lambda x, xp: 0.5 - 0.5 * xp.cos(math.pi * x))


def geometric(start: float, end: float) -> Curve:
    """Return the curve that changes by equal factors, both values positive."""
    return lambda x, xp: start ** (1.0 - x) * end**x


def inverse_sqrt(start: float, end: float, timescale: float) -> Curve:
    """Return the decay of 1 / sqrt(1 + timescale x), stretched to end at a value."""

    def fall(x: Any, xp: Any) -> Any:
        # 1 / sqrt(1 + a x) - 1, which a small a would cancel to nothing
        return xp.expm1(-0.5 * xp.log1p(timescale * x))

    whole = fall(1.0, math)
    return between(start, end, lambda x, xp: fall(x, xp) / whole)


def floored(curve: Curve, floor: float) -> Curve:
    """Return a curve that stays at a floor where it would fall below."""

    def above(x: Any, xp: Any) -> Any:
        value = curve(x, xp)
        return max(value, floor) if xp is math else xp.maximum(value, floor)

    return above


def decay(start: float, end: float, shape: str) -> Curve:
    """Return the curve of a named shape from one value to another."""
    if shape == "linear":
        return straight(start, end)
    if shape == "cosine":
        return half_cosine(start, end)
    if shape == "sqrt":
        return between(start, end, lambda x, xp: xp.sqrt(x))
    return geometric(start, end)


def assemble(phases: Iterable[tuple[str, float, Curve]]) -> tuple[Piece, ...]:
    """Return the pieces of phases that follow each other from step 0.

    Parameters
    ----------
    phases : iterable of (name, stop, curve)
        A phase without steps is left out.

    Returns
    -------
    pieces : tuple of Piece
        The last one has no end: after the last phase its last value is held.
    """
    pieces: list[Piece] = []
    start = 0.0
    for name, stop, curve in phases:
        if stop > start or math.isinf(stop):
            length = 1.0 if math.isinf(stop) else stop - start
            pieces.append(Piece(stop, start, length, curve, name))
            start = stop
    last = pieces[-1]
    if not math.isinf(last.stop):
        held = constant(last.curve(1.0, math))
        pieces.append(Piece(math.inf, last.stop, 1.0, held, "end"))
    return tuple(pieces)


def cut(pieces: Iterable[Piece], stop: float) -> list[Piece]:
    """Return the pieces up to a step, that step included.

    Step 0 is always kept, so a schedule cut there still has its first value.
    """
    kept = [p for p in pieces if p.start < stop or p.start == 0.0 == stop]
    return [p._replace(stop=min(p.stop, stop)) for p in kept]


def shift(pieces: Iterable[Piece], by: float) -> list[Piece]:
    """Return the pieces, moved to later steps."""
    return [p._replace(start=p.start + by, stop=p.stop + by) for p in pieces]


def look_up_many(pieces: tuple[Piece, ...], which: Any, steps: Any) -> Any:
    """Return the values at steps, of which each is in the piece of that number.

    Parameters
    ----------
    pieces : tuple of Piece
    which : integers
        Numbers of pieces, of the shape of the steps.
    steps : ndarray of float64

    Returns
    -------
    values : ndarray of float64
        Of the shape of the steps.
    """
    values = np.empty(steps.shape)
    for number, piece in enumerate(pieces):
        here = which == number
        if here.any():
            x = (steps[here] - piece.start) / piece.length
            values[here] = piece.curve(x, np)
    return values
