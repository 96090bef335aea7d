"""Schedules made of others: one task after another, and a branch that is annealed."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from statlearn.schedules._base import DERIVED, Schedule
from statlearn.schedules._curves import (
    Piece,
    Shape,
    constant,
    cut,
    decay,
    floored,
    shift,
)
from statlearn.schedules._fields import as_count, as_value, check_order, check_shape


@dataclass(frozen=True, slots=True)
class Concatenate(Schedule):
    """One schedule after another: warm up and decay again for each task.

    Attributes
    ----------
    schedules : sequence of Schedule
        One for each task, each with `n_steps`, the last one with or without. A tuple
        once the schedule is made.

    See Also
    --------
    InfiniteCosine : One schedule for all tasks, without warming up again.
    torch.optim.lr_scheduler.SequentialLR : One scheduler after another.

    Notes
    -----
    Task k covers the steps after the end of task k - 1 up to its own end, so step s of
    task k is step s plus the lengths of the tasks before. A step at a joint is the last
    one of the task that ends there, as with phases: the rate is 0 at the very first
    step only, and each task reaches its last value.

    References
    ----------
    Adam Ibrahim, Benjamin Thérien, Kshitij Gupta, Mats L. Richter, Quentin Anthony,
    Timothée Lesort, Eugene Belilovsky, Irina Rish. Simple and Scalable Strategies to
    Continually Pre-train Large Language Models. TMLR, 2024.

    Examples
    --------
    >>> from statlearn.schedules import Concatenate, Cosine
    >>> task = Cosine(0.1, n_steps=100, warmup=2)
    >>> both = Concatenate([task, task.over(50)])
    >>> both([2, 100, 101, 102, 150])
    array([0.1 , 0.01, 0.05, 0.1 , 0.01])
    >>> both.n_steps, both.task_at(101), both.phase_at(101)
    (150, 1, 'warmup')
    """

    schedules: tuple[Schedule, ...]

    def __post_init__(self) -> None:
        schedules = _as_schedules(self.schedules)
        pieces: list[Piece] = []
        offset = 0
        for schedule in schedules[:-1]:
            length = _length(schedule)
            pieces += shift(cut(schedule._pieces, length), offset)
            offset += length
        pieces += shift(schedules[-1]._pieces, offset)
        schedules[-1](0)  # a template without a length says so
        self._store(schedules=schedules, _pieces=tuple(pieces))

    @property
    def n_steps(self) -> int | None:
        """Steps of all tasks together, None if the last one has no end."""
        lengths = [getattr(schedule, "n_steps", None) for schedule in self.schedules]
        return None if None in lengths else sum(lengths)  # type: ignore[arg-type]

    def task_at(self, step: Any) -> Any:
        """Return the number of the task that a step belongs to, from 0.

        Parameters
        ----------
        step : int, float, or array-like of any shape
            Not negative. Steps after the end belong to the last task.

        Returns
        -------
        task : int, or ndarray of int
            Position in `schedules`.
        """
        steps, _ = self._as_steps(step)
        self._which(steps)
        tasks = np.searchsorted(self._ends, steps)
        return int(tasks) if steps.ndim == 0 else tasks

    @property
    def _ends(self) -> list[int]:
        """Last steps of all tasks but the last one."""
        return list(accumulate(map(_length, self.schedules[:-1])))

    @property
    def _quantity(self) -> str:
        names = {schedule._quantity for schedule in self.schedules}
        return names.pop() if len(names) == 1 else "Value"

    def _end_value(self, step: int) -> float:
        task = self.task_at(step)
        return self.schedules[task]._end_value(step - [0, *self._ends][task])


@dataclass(frozen=True, slots=True)
class Annealed(Schedule):
    """A schedule up to a step, then a decay to a small value.

    It is what `anneal_from` of a schedule returns.

    Attributes
    ----------
    schedule : Schedule
        What is branched off from.
    step : int
        Last step that the branch shares with it.
    n_anneal : int
        Steps of the decay.
    eta_min : float
        Value at its end and after it. By default the lowest value of the schedule, a
        tenth of its value for a constant.
    shape : {"exponential", "linear", "cosine", "sqrt"}, default="exponential"
        How it gets there.

    See Also
    --------
    InfiniteCosine : A schedule made to be branched off.
    torch.optim.lr_scheduler.SequentialLR : One scheduler after another.

    References
    ----------
    Adam Ibrahim, Benjamin Thérien, Kshitij Gupta, Mats L. Richter, Quentin Anthony,
    Timothée Lesort, Eugene Belilovsky, Irina Rish. Simple and Scalable Strategies to
    Continually Pre-train Large Language Models. TMLR, 2024.

    Examples
    --------
    >>> from statlearn.schedules import Constant
    >>> branch = Constant(0.1).anneal_from(500, 100, eta_min=0.001)
    >>> branch([0, 500, 550, 600, 700]).round(4)
    array([0.1  , 0.1  , 0.01 , 0.001, 0.001])
    >>> branch.phase_at(550), branch.n_steps
    ('anneal', 600)
    """

    schedule: Schedule
    step: int
    n_anneal: int
    _: KW_ONLY
    eta_min: float = DERIVED
    shape: Shape = "exponential"

    def __post_init__(self) -> None:
        caller = "anneal_from"
        if not isinstance(self.schedule, Schedule):
            raise TypeError(
                f"The 'schedule' of Annealed must be a Schedule. Got "
                f"{type(self.schedule).__name__}; pass one, such as Constant(0.1)."
            )
        step = as_count(self.step, "step", caller, least=0)
        length = as_count(self.n_anneal, "n_steps", caller)
        value = self.schedule(step)
        given = self.schedule._end_value(step) if self.eta_min is None else self.eta_min
        end = as_value(given, "eta_min", caller, zero=True)
        check_order(end, "eta_min", value, f"the value at step {step}", caller)
        check_shape(self.shape, end, "eta_min", caller)
        self._store(step=step, n_anneal=length, eta_min=end)
        stop = float(step + length)
        curve = floored(decay(value, end, self.shape), end)
        self._store(
            _pieces=(
                *cut(self.schedule._pieces, step),
                Piece(stop, float(step), float(length), curve, "anneal"),
                Piece(math.inf, stop, 1.0, constant(end), "end"),
            )
        )

    @property
    def n_steps(self) -> int:
        """Steps up to the end of the decay."""
        return self.step + self.n_anneal

    @property
    def _quantity(self) -> str:
        return self.schedule._quantity

    def _end_value(self, step: int) -> float:
        return self.eta_min


def _as_schedules(schedules: Any) -> tuple[Schedule, ...]:
    """Return a tuple of one schedule or more."""
    text = "The 'schedules' parameter of Concatenate must be one Schedule or more"
    given = tuple(schedules) if isinstance(schedules, (list, tuple)) else (schedules,)
    if not given:
        raise ValueError(f"{text}. Got none; pass one for each task.")
    for schedule in given:
        if not isinstance(schedule, Schedule):
            raise TypeError(
                f"{text}. Got {schedule!r}; pass a list such as [Cosine(0.1, "
                f"n_steps=100)]."
            )
    return given


def _length(schedule: Schedule) -> int:
    """Return the steps of a task that another one follows."""
    n_steps = getattr(schedule, "n_steps", None)
    if n_steps is None:
        raise ValueError(
            f"Concatenate expected n_steps of every schedule but the last. Got "
            f"{schedule!r} without; call over(n_steps) on it."
        )
    return int(n_steps)
