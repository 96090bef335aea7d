"""Whether a rule still waits for something: an end of its warm-up, a later step.

Weights that stand still in the first phase of a rule are no sign of convergence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


def parts(rule: Any) -> Iterator[Any]:
    """Yield the rules that a rule is made of, itself if it is no chain."""
    inner = getattr(rule, "rules", None)
    if inner is None:
        yield rule
        return
    for part in inner:
        yield from parts(part)


def is_settled(
    rule: Any, step: int, evidence: Any, weigh: Callable[[int], Any], last: int
) -> bool:
    """Tell whether a rule weighs the same evidence alike at all later steps.

    A part of the rule with a method ``settled`` is asked. A plain function tells
    nothing, so its weights are compared with those of the last step.

    Parameters
    ----------
    rule : WeightingRule or callable
    step : int
        Now.
    evidence : array-like of shape (m,)
        Of the rows that count.
    weigh : callable
        Gives the weights of the whole rule at a step, (n,), by the evidence of now.
    last : int
        The last step that there can be.
    """
    answers = [getattr(part, "settled", None) for part in parts(rule)]
    if not all(settled(step, evidence) for settled in answers if settled is not None):
        return False
    return None not in answers or np.array_equal(weigh(step), weigh(last))
