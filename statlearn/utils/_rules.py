"""What rooms ask of weighting rules, and of the weights that they give."""

from __future__ import annotations

from typing import Any

# An effective sample of fewer rows, or a smaller share of all rows, is thin.
FEW_ROWS, FEW_SHARE = 10.0, 0.01


def kind_of(rule: Any) -> str:
    """Return the evidence that a rule looks at; plain functions look at losses."""
    return getattr(rule, "evidence_kind", "loss")


def is_thin(effective: float, n: int) -> bool:
    """Tell whether weights leave too few effective rows of n to compute with.

    Few rows with nearly equal weights are no reason to say so.
    """
    return effective < max(FEW_ROWS, FEW_SHARE * n) and effective < 0.5 * n
