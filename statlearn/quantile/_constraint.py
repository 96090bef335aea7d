"""What the weights of quantile models obey."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Constraint:
    """The set of coefficients to choose from.

    Attributes
    ----------
    nonneg : bool, default=False
        Whether coefficients are not negative.
    sum_to_one : bool, default=False
        Whether they have a sum of one.
    n_free : int, default=0
        Leading coefficients, such as an intercept, that neither of the two concerns.
    """

    nonneg: bool = False
    sum_to_one: bool = False
    n_free: int = 0


FREE = Constraint()
