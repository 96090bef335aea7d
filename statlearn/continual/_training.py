"""One task: batches of new and old rows, at learning rates that are given."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.continual._buffer import Rows, stacked
from statlearn.continual._checkpoint import Checkpoint
from statlearn.sampling import ReplayMixer
from statlearn.utils._losses import look

Array = NDArray[np.float64]

# Losses are measured at so many points of a task, on so many rows of each task.
_N_POINTS = 20
_N_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a task will do, before it starts.

    Attributes
    ----------
    new : Rows
    old : Rows or None
        Rows to replay, ordered by task; None if there are none.
    fraction : float
        Share of old rows in each batch.
    batch_size : int
    rates : ndarray of shape (n_steps,)
    seed : int
    classifier : bool
    first : bool
        Whether the estimator has made no step yet.
    classes : ndarray or None
        For the first step of a classifier.
    """

    new: Rows
    old: Rows | None
    fraction: float
    batch_size: int
    rates: Array
    seed: int
    classifier: bool
    first: bool
    classes: NDArray[Any] | None

    def mixer(self) -> ReplayMixer:
        """Return the batches, as indices of old and of new rows."""
        sizes, fraction = [0], 0.0
        if self.old is not None:
            sizes = [int(n) for n in np.bincount(self.old.task) if n]
            fraction = self.fraction
        return ReplayMixer(
            sizes,
            len(self.new),
            fraction=fraction,
            batch_size=self.batch_size,
            n_steps=len(self.rates),
            seed=self.seed,
            max_epochs=None,  # a small buffer is shown again and again
        )

    def points(self) -> NDArray[np.intp]:
        """Return after how many steps losses are measured, 0 first."""
        n_steps = len(self.rates)
        places = np.arange(1, _N_POINTS + 1) * n_steps / _N_POINTS
        return np.unique(np.r_[0, np.ceil(places)]).astype(np.intp)

    def samples(self) -> dict[int, Rows]:
        """Return some rows of each task that there are rows of, to measure losses."""
        rows = {}
        for source in (self.new, *([] if self.old is None else [self.old])):
            for task in np.unique(source.task).tolist():
                where = np.flatnonzero(source.task == task)
                if len(where) > _N_ROWS:
                    # The same rows as in other tasks, as long as all are kept.
                    generator = np.random.default_rng([len(where), task])
                    where = np.sort(generator.choice(where, _N_ROWS, replace=False))
                rows[task] = source.take(where)
        return rows


@dataclass(slots=True)
class Progress:
    """How far a task has come.

    Attributes
    ----------
    step : int
        Steps made.
    losses : list of list of float
        A loss for each task at each point passed.
    """

    step: int = 0
    losses: list[list[float]] = field(default_factory=list)


def run(
    estimator: Any,
    drive: Callable[[Any], Any],
    plan: Plan,
    *,
    reset: bool,
    checkpoint: Checkpoint | None,
    stored: dict[str, Any] | None,
    every: int,
    extra: dict[str, Any],
) -> tuple[Any, Array]:
    """Train a copy of an estimator; go on from a checkpoint where there is one.

    Parameters
    ----------
    estimator : estimator
        Left as it is.
    drive : callable
        Makes the driver of the copy.
    plan : Plan
    reset : bool
        Whether the optimizer forgets the tasks before.
    checkpoint : Checkpoint or None
        Where to write.
    stored : dict or None
        What was read from there.
    every : int
        Steps between two writes.
    extra : dict
        What else the checkpoint must hold.

    Returns
    -------
    estimator : estimator
        The trained copy.
    losses : ndarray of shape (n_points, n_tasks)
        NaN for tasks without rows, and before the estimator has made a step.
    """
    estimator = deepcopy(estimator)
    driver, progress = drive(estimator), Progress()
    driver.prepare(plan.batch_size)
    if reset:
        driver.reset()
    trainer = Trainer(estimator, driver, plan)
    if stored is not None:
        # A first step makes what only the estimator itself can make.
        trainer.step(*_first_batch(plan), rate=0.0)
        progress = Progress(stored["step"], stored["losses"])
        driver.set_rate(float(plan.rates[progress.step - 1]))
        driver.restore(stored["estimator"])

    def save() -> None:
        if checkpoint is not None:
            state = {"estimator": driver.state(), "step": progress.step}
            checkpoint.save({**extra, **state, "losses": progress.losses})

    points, samples = plan.points(), plan.samples()
    if not progress.losses:
        progress.losses.append(trainer.losses(samples))
    mixer, n_steps = plan.mixer(), len(plan.rates)
    mixer.load_state_dict(mixer.state_dict(progress.step))
    # A stream that stands at its end would begin anew.
    for old, new in mixer if progress.step < n_steps else ():
        trainer.step(old, new, rate=float(plan.rates[progress.step]))
        progress.step += 1
        if progress.step == points[len(progress.losses)]:
            progress.losses.append(trainer.losses(samples))
        if progress.step % every == 0 or progress.step == n_steps:
            save()
    return estimator, np.array(progress.losses)


def _first_batch(plan: Plan) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.empty(0, np.intp), np.arange(min(plan.batch_size, len(plan.new)))


class Trainer:
    """Make steps of an estimator, and measure its losses.

    Parameters
    ----------
    estimator : estimator
    driver : driver of it
    plan : Plan
    """

    def __init__(self, estimator: Any, driver: Any, plan: Plan) -> None:
        self._estimator, self._driver, self._plan = estimator, driver, plan
        self._untrained = plan.first

    def step(
        self, old: NDArray[np.integer], new: NDArray[np.integer], *, rate: float
    ) -> None:
        """Make one step on old rows (k,) and new rows (batch_size - k,)."""
        plan = self._plan
        batch = plan.new.take(new)
        X, y, weight = batch.X, batch.y, batch.weight
        if len(old) and plan.old is not None:
            again = plan.old.take(old)
            X, y = stacked(again.X, X), np.concatenate([again.y, y])
            weight = None if weight is None else np.r_[again.weight, weight]
        extra = {} if weight is None else {"sample_weight": weight}
        if self._untrained and plan.classes is not None:
            # A classifier must hear of all classes before it sees rows of some.
            extra["classes"] = plan.classes
        self._driver.set_rate(rate)
        self._estimator.partial_fit(X, y, **extra)
        self._untrained = False

    def losses(self, samples: dict[int, Rows]) -> list[float]:
        """Return the mean loss of some rows of each task; NaN where there are none."""
        found = [float("nan")] * (max(samples) + 1)
        if self._untrained:
            return found
        for task, rows in samples.items():
            seen = look(
                self._estimator,
                rows.X,
                rows.y,
                "auto",
                classifier=self._plan.classifier,
            )
            found[task] = float(np.average(seen.losses, weights=rows.weight))
        return found
