"""The base measure: which rows count, how much, and what a rule may see of them.

A rule turns evidence into a *density* against the base weights: a row of base weight
b and density d has the weight b d. So a base weight of 3 is the same as three rows, and
a row without weight is the same as no row: it enters no minimum, maximum or median. So
is a row whose share of the largest base weight is too small for a normal number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.exceptions import DegenerateWeightsWarning, DroppedRowsWarning
from statlearn.utils._arrays import to_float64
from statlearn.utils._validation import weight_problem
from statlearn.utils._warn import warn

Array = NDArray[np.float64]
# Sums below this are made larger before anything is divided by them.
_SMALL = 1e-100
_TINY = float(np.finfo(np.float64).tiny)
# (evidence, base) of the rows that count -> unnormalised density of these rows.
Density = Callable[[Array, Array | None], Array]


def reweigh(
    evidence: Any,
    density: Density,
    *,
    base_weight: Any = None,
    nonfinite: str = "raise",
    caller: str,
    name: str = "losses",
) -> Any:
    """Apply a density to the rows that count, and scale its mean to one.

    Parameters
    ----------
    evidence : array-like or torch tensor of shape (n,)
    density : callable
        Receives evidence (m,) and base weights (m,) of the rows that count, or None in
        place of the latter where all rows count once; returns values >= 0, (m,).
    base_weight : array-like of shape (n,), default=None
    nonfinite : {"raise", "drop"}
    caller, name : str
        For messages.

    Returns
    -------
    weights : as the evidence, of shape (n,)
        Their sum is that of the base weights, n without them.
    """
    values, restore = to_float64(evidence)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(
            f"The '{name}' of {caller} must have shape (n,) with n >= 1. Got shape "
            f"{values.shape}; pass one number for each row."
        )
    base = as_base_weight(base_weight, len(values), caller)
    kept = _rows_that_count(values, base, nonfinite, caller, name)
    total = float(len(values) if base is None else base.sum())
    if kept is None:
        return restore(_scaled(density(values, base), base, total))
    inner = None if base is None else base[kept]
    out = np.zeros(len(values))
    out[kept] = _scaled(density(values[kept], inner), inner, total)
    return restore(out)


def as_base_weight(base_weight: Any, n: int, caller: str) -> Array | None:
    """Return base weights as float64, or say what they should be."""
    if base_weight is None:
        return None
    base, _ = to_float64(base_weight)
    with np.errstate(over="ignore"):
        total = base.sum()
    problem = weight_problem(base, (n,))
    if problem is None and not np.isfinite(total):
        problem = "numbers whose sum overflows"
    if problem:
        raise ValueError(
            f"The 'base_weight' of {caller} must hold {n} finite numbers >= 0, not all "
            f"of them zero. Got {problem}; pass one weight for each row, or None."
        )
    return base


def uniform_density(values: Array, base: Array | None) -> Array:
    """Return the density of the base measure itself."""
    return np.ones(len(values))


def limit_on(rows: NDArray[np.bool_], caller: str, cause: str, remedy: str) -> Array:
    """Return the density that a rule tends to when it leaves nothing, and say so."""
    warn(
        f"{caller} expected {cause}. Got none, so its weight lies on the "
        f"{rows.sum()} of {len(rows)} nearest rows; {remedy}.",
        DegenerateWeightsWarning,
    )
    return rows.astype(np.float64)


def _rows_that_count(
    values: Array, base: Array | None, nonfinite: str, caller: str, name: str
) -> NDArray[np.bool_] | None:
    """Return a mask, or None if every row counts."""
    if nonfinite not in ("raise", "drop"):
        raise ValueError(
            f"The 'nonfinite' parameter of {caller} must be 'raise' or 'drop'. Got "
            f"{nonfinite!r}; pass one of them."
        )
    kept = None
    if base is not None:
        # A share of all weight that has no digits left is none.
        least = _TINY * base.max()
        kept = None if base.min() > least else base > least
    # Extremes show NaN and infinity without a mask of all rows.
    if np.isfinite(values.min()) and np.isfinite(values.max()):
        return kept
    finite = np.isfinite(values)
    lost = ~finite if kept is None else ~finite & kept
    if lost.any() and nonfinite == "raise":
        raise ValueError(
            f"The '{name}' of {caller} must be finite. Got NaN or infinity in "
            f"{lost.sum()} of {len(values)} rows, the first at row {np.argmax(lost)}; "
            f"find out why, or pass nonfinite='drop' to give such rows weight 0."
        )
    kept = finite if kept is None else finite & kept
    if not kept.any():
        raise ValueError(
            f"The '{name}' of {caller} must be finite in at least one row of positive "
            f"weight. Got none among {len(values)}; there is nothing to weigh."
        )
    if lost.any():
        warn(
            f"{caller} expected finite {name}. Got NaN or infinity in {lost.sum()} of "
            f"{len(values)} rows, which have weight 0 now; find out why.",
            DroppedRowsWarning,
        )
    return kept


def _scaled(density: Array, base: Array | None, total: float) -> Array:
    """Return weights of a given total; the density is overwritten."""
    if base is not None:
        density *= base / base.max()
    whole = density.sum()
    if whole < _SMALL:  # the quotient could overflow
        density /= density.max()
        whole = density.sum()
    density *= total / whole
    return density
