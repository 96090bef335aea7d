"""Numbers that change over training: learning rates and temperatures by the step.

A schedule is a pure function of the step, with a name and fields: the same object gives
a learning rate to a loop, a temperature to a weighting rule and a factor to PyTorch's
``LambdaLR``.
"""

from __future__ import annotations

from statlearn.schedules._base import Schedule
from statlearn.schedules._compose import Annealed, Concatenate
from statlearn.schedules._infinite import InfiniteCosine, InfiniteInvSqrt
from statlearn.schedules._learning_rate import (
    Constant,
    Cosine,
    Exponential,
    Linear,
    WarmupStableDecay,
)
from statlearn.schedules._plot import ScheduleDisplay
from statlearn.schedules._temperature import (
    CosineCooldown,
    ExponentialCooldown,
    LinearCooldown,
    StepCooldown,
)

__all__ = [
    "Annealed",
    "Concatenate",
    "Constant",
    "Cosine",
    "CosineCooldown",
    "Exponential",
    "ExponentialCooldown",
    "InfiniteCosine",
    "InfiniteInvSqrt",
    "Linear",
    "LinearCooldown",
    "Schedule",
    "ScheduleDisplay",
    "StepCooldown",
    "WarmupStableDecay",
]
