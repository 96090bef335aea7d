"""What a run of tasks was like: learning rates, and losses of each task over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._tables import number, text_table

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ContinualHistory:
    """Learning rates and losses of a :class:`ContinualLearner`, task by task.

    Losses are means over training rows, up to a thousand of each task, by which later
    times can be compared with earlier ones: log loss of a classifier with
    probabilities, hinge loss of one with a decision function, else the share of errors;
    half the squared error of a regressor.

    Attributes
    ----------
    learning_rate : ndarray of shape (n_steps,)
        The rate of each step of all tasks.
    task : ndarray of shape (n_steps,)
        The task that each step belongs to, from 0.
    point : ndarray of shape (n_points,)
        Numbers of steps after which losses were measured.
    loss : ndarray of shape (n_points, n_tasks)
        The losses; NaN before a task comes. That of a task before its first step stands
        in the last line of the task before it.

    See Also
    --------
    ForgettingDisplay : The losses as a picture.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import SGDRegressor
    >>> from statlearn.continual import ContinualLearner
    >>> X = np.linspace(-1.0, 1.0, 40)[:, None]
    >>> model = ContinualLearner(SGDRegressor(random_state=0), random_state=0)
    >>> history = model.fit(X, X[:, 0]).partial_fit(X, -X[:, 0]).history_
    >>> history.after_tasks().shape
    (2, 2)
    """

    learning_rate: Array
    task: NDArray[np.intp]
    point: NDArray[np.intp]
    loss: Array

    def _ends(self) -> NDArray[np.intp]:
        """Return how many steps each task and those before it took."""
        return np.cumsum(np.bincount(self.task))

    def after_tasks(self) -> Array:
        """Return the losses of all tasks after each task.

        Returns
        -------
        loss : ndarray of shape (n_tasks, n_tasks)
            Row i: after task i; column j: of task j. NaN for tasks further ahead than
            the next one. What :func:`~statlearn.metrics.forgetting` takes, with
            ``greater_is_better=False``.
        """
        return self.loss[np.searchsorted(self.point, self._ends())]

    def summary(self) -> str:
        """Return a table of steps, learning rates and losses.

        Returns
        -------
        text : str
            A line for each task: its steps, its highest and its last rate, and the
            losses of all tasks so far after it.
        """
        losses = self.after_tasks()
        n_tasks = len(losses)
        head = ["task", "steps", "highest rate", "last rate"]
        head += [f"loss {column}" for column in range(n_tasks)]
        rows = []
        for k in range(n_tasks):
            rates = self.learning_rate[self.task == k]
            row = [str(k), str(len(rates)), number(rates.max()), number(rates[-1])]
            seen = [number(loss) for loss in losses[k, : k + 1]]
            rows.append(row + seen + [""] * (n_tasks - k - 1))
        return text_table(head, rows)

    def with_task(
        self, rates: Array, points: NDArray[np.intp], loss: Array
    ) -> ContinualHistory:
        """Return a history that goes on with one more task.

        Parameters
        ----------
        rates : ndarray of shape (n_task_steps,)
            Learning rates of its steps.
        points : ndarray of shape (m,)
            Numbers of its steps after which losses were measured, the first one 0.
        loss : ndarray of shape (m, n_tasks + 1)
            The losses.

        Returns
        -------
        history : ContinualHistory
            Of all tasks.
        """
        n_tasks = loss.shape[1]
        before = np.full((len(self.point), n_tasks), np.nan)
        before[:, : n_tasks - 1] = self.loss
        if len(before):
            before[-1, -1] = loss[0, -1]
        return ContinualHistory(
            np.concatenate([self.learning_rate, rates]),
            np.concatenate([self.task, np.full(len(rates), n_tasks - 1)]),
            np.concatenate([self.point, points[1:] + len(self.learning_rate)]),
            np.concatenate([before, loss[1:]]),
        )


def empty_history() -> ContinualHistory:
    """Return the history before the first task."""
    none = np.empty(0, dtype=np.intp)
    return ContinualHistory(np.empty(0), none, none, np.empty((0, 0)))
