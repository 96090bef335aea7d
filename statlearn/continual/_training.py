"""One task: batches of new and old rows, at learning rates that are given."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.continual._buffer import TaskRows, stacked
from statlearn.continual._checkpoint import Checkpoint
from statlearn.sampling import ReplayMixer
from statlearn.utils._callbacks import Watch
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
    new : TaskRows
    old : TaskRows or None
        Rows to replay, ordered by task; None if there are none.
    fraction : float
        Share of old rows in each batch.
    batch_size : int
        No larger than the number of new rows.
    rates : ndarray of shape (n_steps,)
    seed : int
    classifier : bool
    first : bool
        Whether the estimator has made no step yet.
    classes : ndarray or None
        For the first step of a classifier.
    """

    new: TaskRows
    old: TaskRows | None
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

    def samples(self) -> dict[int, TaskRows]:
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


def seed_of_task(seed: int, task: int) -> int:
    """Return the seed of one task of a run."""
    return int(np.random.SeedSequence([seed, task]).generate_state(1)[0])


@dataclass(slots=True)
class TaskProgress:
    """How far a task has come.

    Attributes
    ----------
    step : int
        Steps made.
    losses : list of list of float
        A loss for each task at each point passed.
    done : bool
        Whether it is over: after its last step, or stopped before.
    """

    step: int = 0
    losses: list[list[float]] = field(default_factory=list)
    done: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """What a task goes on from, and where it writes how far it is.

    Attributes
    ----------
    checkpoint : Checkpoint or None
        None writes nothing.
    stored : dict or None
        What was read from there.
    every : int
        Steps between two writes.
    seed : int
        Seed of the run, which an interrupted one goes on with.
    """

    checkpoint: Checkpoint | None
    stored: dict[str, Any] | None
    every: int
    seed: int

    def progress(self) -> TaskProgress:
        """Return how far the task was."""
        if self.stored is None:
            return TaskProgress()
        return TaskProgress(
            **{key: self.stored[key] for key in ("step", "losses", "done")}
        )

    def write(self, progress: TaskProgress, driver: Any) -> None:
        """Write if it is time to."""
        due = progress.done or progress.step % self.every == 0
        if self.checkpoint is not None and due:
            state = {"seed": self.seed, "estimator": driver.state()}
            self.checkpoint.save(state | asdict(progress))

    def name_of_run(self, progress: TaskProgress) -> str:
        """Return a text by which the next task knows this one and those before."""
        if self.checkpoint is None:
            return "none"
        return self.checkpoint.name_of_run(self.seed, progress.step)


def run(
    estimator: Any,
    drive: Callable[[Any], Any],
    plan: Plan,
    *,
    reset: bool,
    record: Record,
    watch: Watch,
    state_of: Callable[[Any, TaskProgress], dict[str, Any]],
) -> tuple[Any, TaskProgress]:
    """Train a copy of an estimator; go on from a record where there is one.

    Parameters
    ----------
    estimator : estimator
        Left as it is.
    drive : callable
        Makes the driver of the copy.
    plan : Plan
    reset : bool
        Whether the optimizer forgets the tasks before.
    record : Record
    watch : Watch
        Is told of each block of steps, and may ask to stop after it.
    state_of : callable
        Gives what a learner with such a copy knows.

    Returns
    -------
    estimator : estimator
        The trained copy.
    progress : TaskProgress
        Losses are NaN for tasks without rows, and before the first step of all.
    """
    estimator, progress = deepcopy(estimator), record.progress()
    trainer = Trainer(estimator, drive(estimator), plan)
    if reset:
        trainer.driver.reset()
    if record.stored is not None:
        trainer.restore(record.stored["estimator"], progress.step)
    samples, mixer = plan.samples(), plan.mixer()
    if not progress.losses:
        progress.losses.append(trainer.losses(samples))
    mixer.load_state_dict(mixer.state_dict(progress.step))
    ends = [] if progress.done else plan.points()[len(progress.losses) :].tolist()
    watch.begin(len(ends))
    batches = iter(mixer)
    for end in ends:
        watch.begin_block()
        for old, new in islice(batches, end - progress.step):
            trainer.step(old, new, rate=float(plan.rates[progress.step]))
            progress.step += 1
            if progress.step == end:
                progress.losses.append(trainer.losses(samples))
                stop = watch.end_block(lambda: state_of(deepcopy(estimator), progress))
                progress.done = stop or end == len(plan.rates)
            record.write(progress, trainer.driver)
        if progress.done:
            break
    return estimator, progress


class Trainer:
    """Make steps of an estimator, and measure its losses.

    Parameters
    ----------
    estimator : estimator
    driver : driver of it
    plan : Plan
    """

    def __init__(self, estimator: Any, driver: Any, plan: Plan) -> None:
        driver.prepare(plan.batch_size)
        self._estimator, self.driver, self._plan = estimator, driver, plan
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
        self.driver.set_rate(rate)
        self._estimator.partial_fit(X, y, **extra)
        self._untrained = False

    def restore(self, state: Any, step: int) -> None:
        """Take up the state of the estimator after so many steps."""
        # A first step makes what only the estimator itself can make.
        some = np.arange(self._plan.batch_size)
        self.step(some[:0], some, rate=0.0)
        self.driver.set_rate(float(self._plan.rates[step - 1]))
        self.driver.restore(state)

    def losses(self, samples: dict[int, TaskRows]) -> list[float]:
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
