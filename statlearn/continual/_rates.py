"""Learning rates of the steps of one task."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.schedules import Constant, Cosine, Linear
from statlearn.utils._validation import as_numbers

Array = NDArray[np.float64]

NAMES = ("constant", "cosine", "linear")


def rates_of(
    schedule: Any,
    n_steps: int,
    n_before: int,
    *,
    eta_max: float,
    eta_min_ratio: float,
    warmup: float,
) -> Array:
    """Return the rates (n_steps,) of a task.

    Parameters
    ----------
    schedule : str or callable
        A name, a schedule that still lacks its length, or a function of the step.
    n_steps : int
    n_before : int
        Steps of the tasks before, which a function counts too.
    eta_max, eta_min_ratio, warmup : float
        For names.
    """
    low = eta_min_ratio * eta_max
    if schedule == "constant":
        schedule = Constant(eta_max, n_steps=n_steps, warmup=warmup)
    elif schedule == "linear":
        schedule = Linear(eta_max, eta_min=low, n_steps=n_steps, warmup=warmup)
    elif schedule == "cosine":
        schedule = Cosine(eta_max, eta_min=low, n_steps=n_steps, warmup=warmup)
    elif getattr(schedule, "is_template", False):
        schedule = schedule.over(n_steps)
    else:
        return _checked([schedule(n_before + k) for k in range(1, n_steps + 1)])
    # The rate at step 0 would be 0, and the last step is to have the last rate.
    return schedule(np.arange(1, n_steps + 1))


def _checked(rates: list[Any]) -> Array:
    values = [as_numbers(rate) for rate in rates]
    for rate, value in zip(rates, values, strict=True):
        if value.ndim or not 0.0 <= value < np.inf:
            raise ValueError(
                f"The 'schedule' of ContinualLearner must give a finite number >= 0 "
                f"for each step. Got {rate!r}; correct the function."
            )
    return np.array(values)
