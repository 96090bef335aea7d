"""A picture of losses of each task while others are learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._axes import COLORS, INK, axes_for
from statlearn.utils._fitted import fitted_or_refuse
from statlearn.utils._validation import as_numbers

Array = NDArray[np.float64]


class ForgettingDisplay:
    """Loss of each task over time.

    A line for each task; dashed lines separate the tasks that were learnt. A line that
    rises after its own task is forgetting. Create it with `from_estimator` or
    `from_losses`, then call `plot`.

    Parameters
    ----------
    time : ndarray of shape (n_points,)
        When the losses were measured.
    loss : ndarray of shape (n_points, n_tasks)
        The losses; NaN where there are none.
    starts : ndarray of shape (n_tasks,), default=None
        When each task began.
    task_names : sequence of str, default=None
        A name for each task; by default their numbers.
    time_name : str, default="Step"
        Label of the time.

    Attributes
    ----------
    ax_ : Axes
        Where `plot` drew. Set by `plot`, like the following ones.
    figure_ : Figure
        The figure.
    lines_ : list of Line2D
        A line for each task.

    See Also
    --------
    ContinualLearner : Records such losses.
    statlearn.metrics.forgetting : One number for what was lost.
    sklearn.model_selection.LearningCurveDisplay : Scores over the number of rows.

    Examples
    --------
    >>> from statlearn.continual import ForgettingDisplay
    >>> display = ForgettingDisplay.from_losses([[0.2, 1.5], [0.9, 0.3]])
    >>> display.plot().ax_.get_xlabel()
    'Tasks learnt'
    """

    ax_: Any
    figure_: Any
    lines_: list[Any]

    def __init__(
        self,
        time: Array,
        loss: Array,
        *,
        starts: Array | None = None,
        task_names: Sequence[str] | None = None,
        time_name: str = "Step",
    ) -> None:
        self.time = time
        self.loss = loss
        self.starts = starts
        self.task_names = task_names
        self.time_name = time_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, task_names: Sequence[str] | None = None
    ) -> ForgettingDisplay:
        """Take the losses that a learner has recorded, on training rows.

        Parameters
        ----------
        estimator : ContinualLearner
            Fitted.
        task_names : sequence of str, default=None
            A name for each task.

        Returns
        -------
        display : ForgettingDisplay
            Not drawn yet.

        Raises
        ------
        TypeError
            If the estimator is fitted and has no history.
        ValueError
            If there is not one name for each task.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        """
        caller = "ForgettingDisplay.from_estimator"
        fitted_or_refuse(estimator, caller)
        history: Any = getattr(estimator, "history_", None)
        if not hasattr(history, "after_tasks"):
            raise TypeError(
                f"The 'estimator' of {caller} must have the history_ of a "
                f"ContinualLearner. Got {type(estimator).__name__}; pass losses to "
                f"from_losses."
            )
        ends = np.cumsum(np.bincount(history.task))
        return cls(
            history.point,
            history.loss,
            starts=np.r_[0, ends[:-1]],
            task_names=_names(task_names, len(ends), caller),
        )

    @classmethod
    def from_losses(
        cls, loss: Any, *, task_names: Sequence[str] | None = None
    ) -> ForgettingDisplay:
        """Take losses that were measured after each task, on rows held out for example.

        Parameters
        ----------
        loss : array-like of shape (n_times, n_tasks)
            Row i: after i + 1 tasks; column j: loss on task j. NaN where none was
            measured.
        task_names : sequence of str, default=None
            A name for each task.

        Returns
        -------
        display : ForgettingDisplay
            Not drawn yet.

        Raises
        ------
        ValueError
            If the losses are no table of numbers, or there is not one name for each
            task.
        """
        caller = "ForgettingDisplay.from_losses"
        table = as_numbers(loss)
        if table.ndim != 2 or not table.size or np.isinf(table).any():
            raise ValueError(
                f"The 'loss' of {caller} must be numbers of shape (n_times, n_tasks), "
                f"finite or NaN. Got shape {table.shape}; pass a row for each time and "
                f"a column for each task."
            )
        return cls(
            np.arange(1.0, len(table) + 1.0),
            table,
            task_names=_names(task_names, table.shape[1], caller),
            time_name="Tasks learnt",
        )

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> ForgettingDisplay:
        """Draw a line for each task.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; by default a new figure.
        name : str, default=None
            What to put before the names of the tasks in the legend, to tell displays
            that share axes.
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : ForgettingDisplay
            With `ax_`, `figure_` and `lines_`.

        Raises
        ------
        ValueError
            For more than one Axes.
        """
        self.ax_ = axes_for(ax, "ForgettingDisplay.plot")
        self.figure_ = self.ax_.figure
        drawn = [line for line in self.ax_.get_lines() if line.get_gid() != "start"]
        self._draw_starts()
        few = len(self.time) <= 10
        self.lines_ = []
        for task in range(self.loss.shape[1]):
            label = str(task) if self.task_names is None else self.task_names[task]
            color = COLORS[(len(drawn) + task) % len(COLORS)]
            style = {"color": color, "linewidth": 1.8, "marker": "o" if few else ""}
            style["label"] = f"{name}, {label}" if name else label
            known = ~np.isnan(self.loss[:, task])
            self.lines_ += self.ax_.plot(
                self.time[known], self.loss[known, task], **style | kwargs
            )
        self.ax_.set(xlabel=self.time_name, ylabel="Loss")
        self.ax_.set_ylim(bottom=0.0)
        self.ax_.legend(frameon=False, title="Task")
        return self

    def _draw_starts(self) -> None:
        if self.starts is None:
            return
        old = {
            line.get_xdata()[0]
            for line in self.ax_.get_lines()
            if line.get_gid() == "start"
        }
        for place in self.starts[1:]:
            if place not in old:
                style = {"color": INK, "linewidth": 0.8, "linestyle": "--"}
                self.ax_.axvline(place, gid="start", **style)


def _names(
    task_names: Sequence[str] | None, n_tasks: int, caller: str
) -> list[str] | None:
    if task_names is None:
        return None
    names = [str(name) for name in task_names]
    if len(names) != n_tasks:
        raise ValueError(
            f"The 'task_names' of {caller} must hold a name for each of {n_tasks} "
            f"tasks. Got {len(names)}: {names}; pass one for each, or None."
        )
    return names
