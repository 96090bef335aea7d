"""The learning rate of a step, for every group of parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from statlearn.schedules import Schedule


class LearningRate:
    """Set the rates of an optimizer by a schedule, in the ratio that groups have.

    Parameters
    ----------
    optimizer : Optimizer
    schedule : callable, LRScheduler or None
        ``step -> rate`` of the first group; a scheduler of torch sets the rates itself,
        and None leaves all as they are.

    Attributes
    ----------
    scheduler : LRScheduler or None
        To be stepped after each update.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        schedule: Callable[[int], Any] | LRScheduler | None,
    ) -> None:
        self.scheduler: LRScheduler | None = None
        if isinstance(schedule, LRScheduler):
            _check_scheduler(schedule, optimizer)
            self.scheduler, schedule = schedule, None
        is_class = isinstance(schedule, type) and issubclass(schedule, LRScheduler)
        if schedule is not None and (is_class or not callable(schedule)):
            raise TypeError(
                f"The 'schedule' of TrainingLoop must be a callable step -> learning "
                f"rate, or an LRScheduler of torch with the optimizer of the loop. Got "
                f"{schedule!r}; pass one of statlearn.schedules, such a scheduler, or "
                f"None for the rate of the optimizer."
            )
        self._optimizer, self._given = optimizer, schedule
        self._first: dict[str, Any] = optimizer.param_groups[0]

    def begin(self, n_steps: int | None) -> None:
        """Note the steps of the run, and the ratios of the groups.

        Parameters
        ----------
        n_steps : int or None
            Of the whole training, for a schedule that does not know it.
        """
        schedule: Any = self._given
        if isinstance(schedule, Schedule) and schedule.is_template and n_steps:
            schedule = getattr(schedule, "over", lambda _: schedule)(n_steps)
        self._schedule = schedule
        groups = self._optimizer.param_groups
        self._first = groups[0]
        if schedule is None:
            return
        # Under the name that torch's own schedulers use, and that is saved with it.
        starts = [float(g.setdefault("initial_lr", g["lr"])) for g in groups]
        if not starts[0] > 0.0 and len(groups) > 1:
            raise ValueError(
                f"The learning rate of the first group of parameters must be above 0 "
                f"for a 'schedule' of TrainingLoop to keep the ratios of groups. Got "
                f"{starts}; set the rates of the optimizer."
            )
        ratios = [1.0, *(start / starts[0] for start in starts[1:])]
        self._groups = list(zip(groups, ratios, strict=True))

    def set(self, step: int) -> float:
        """Set the rates of a step; return that of the first group."""
        if self._schedule is None:
            return float(self._first["lr"])
        rate = float(self._schedule(step))
        if not 0.0 <= rate < float("inf"):
            raise ValueError(
                f"The 'schedule' of TrainingLoop must return a finite number >= 0. Got "
                f"{rate} at step {step}; correct the schedule."
            )
        for group, ratio in self._groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * ratio)
            else:
                group["lr"] = rate * ratio
        return rate


def _check_scheduler(scheduler: LRScheduler, optimizer: torch.optim.Optimizer) -> None:
    """Refuse a scheduler of other rates, or one that asks for more than a step."""
    kind = type(scheduler).__name__
    if isinstance(scheduler, ReduceLROnPlateau):
        raise TypeError(
            f"The 'schedule' of TrainingLoop must make steps without a measure. Got "
            f"{kind}, which asks for one; step it in a callback, for example lambda "
            f"progress: scheduler.step(progress.loss)."
        )
    if scheduler.optimizer is not optimizer:
        raise ValueError(
            f"The 'schedule' of TrainingLoop must be of the optimizer of the loop. Got "
            f"{kind} of another one; pass {kind}(optimizer, ...) of the optimizer that "
            f"the loop gets."
        )
