"""A picture of schedules: the value at every step, and which phase it is in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.schedules._base import Schedule
from statlearn.schedules._fields import as_count
from statlearn.utils._axes import COLORS, INK, axes_for

_POINTS = 1000
# Phases of one axes, marked so that a second schedule leaves them alone.
_PHASE = "phase"


class ScheduleDisplay:
    """The value of a schedule against the step, with its phases.

    Several schedules may share one axes: the phases of the first one are shaded and
    named, and on every line a point marks where a phase ends. Create it with
    `from_schedule`, then call `plot`.

    Parameters
    ----------
    steps : ndarray of shape (n,)
        Steps in ascending order.
    values : ndarray of shape (n,)
        The value at each step.
    phases : sequence of (str, float, float), default=()
        Name, first and last step of each phase.
    value_name : str, default="Value"
        Label of the values.
    name : str, default=None
        Name of the schedule in the legend.

    Attributes
    ----------
    ax_ : Axes
        Where `plot` drew. Set by `plot`, like the following ones.
    figure_ : Figure
        The figure.
    line_ : Line2D
        The values.
    shades_ : list of Artist
        One for each shaded phase.

    See Also
    --------
    Schedule : What is drawn.
    sklearn.model_selection.LearningCurveDisplay : Scores against the size of the data.

    Examples
    --------
    >>> from statlearn.schedules import Cosine, ScheduleDisplay
    >>> display = ScheduleDisplay.from_schedule(Cosine(0.1, n_steps=100))
    >>> display.plot().ax_.get_ylabel()
    'Learning rate'
    """

    ax_: Any
    figure_: Any
    line_: Any
    shades_: list[Any]

    def __init__(
        self,
        steps: NDArray[np.float64],
        values: NDArray[np.float64],
        *,
        phases: Any = (),
        value_name: str = "Value",
        name: str | None = None,
    ) -> None:
        self.steps = steps
        self.values = values
        self.phases = phases
        self.value_name = value_name
        self.name = name

    @classmethod
    def from_schedule(
        cls, schedule: Any, *, n_steps: int | None = None, name: str | None = None
    ) -> ScheduleDisplay:
        """Look a schedule up at steps from 0 to the end.

        Parameters
        ----------
        schedule : Schedule or callable
            Any function of one step. Only a schedule has phases.
        n_steps : int, default=None
            Last step of the picture. None takes that of the schedule, which must have
            one. A template takes it as the length of its run.
        name : str, default=None
            Name in the legend. None takes that of the class or function.

        Returns
        -------
        display : ScheduleDisplay
            Not drawn yet.

        Raises
        ------
        TypeError
            If the schedule is none.
        ValueError
            If it is not known where the picture ends.
        """
        caller = "ScheduleDisplay.from_schedule"
        if not callable(schedule):
            raise TypeError(
                f"The 'schedule' of {caller} must be a function of the step. Got "
                f"{schedule!r}; pass a Schedule, such as Constant(0.1)."
            )
        own = getattr(schedule, "n_steps", None)
        last = own if n_steps is None else as_count(n_steps, "n_steps", caller)
        if last is None:
            raise ValueError(
                f"The 'n_steps' of {caller} must be given for a schedule without an "
                f"end. Got None; pass the last step to draw."
            )
        label = name or getattr(schedule, "__name__", type(schedule).__name__)
        if not isinstance(schedule, Schedule):
            steps = _steps_up_to(last, [])
            values = np.array([float(schedule(int(step))) for step in steps])
            return cls(steps, values, name=label)
        if own is None and schedule.is_template:
            schedule = schedule.over(last)  # type: ignore[attr-defined]
        phases = _phases(schedule, last)
        steps = _steps_up_to(last, [stop for _, _, stop in phases])
        return cls(
            steps,
            schedule(steps),
            phases=phases,
            value_name=schedule._quantity,
            name=label,
        )

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> ScheduleDisplay:
        """Draw the values, and shade the phases if the axes has none yet.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; by default a new figure. Several displays may share it.
        name : str, default=None
            Name in the legend, instead of that of the schedule.
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : ScheduleDisplay
            With `ax_`, `figure_`, `line_` and `shades_`.

        Raises
        ------
        ValueError
            For more than one Axes.
        """
        self.ax_ = ax = axes_for(ax, "ScheduleDisplay.plot")
        self.figure_ = ax.figure
        earlier = ax.get_lines()
        shaded = any(text.get_gid() == _PHASE for text in ax.texts)
        stops = [stop for _, _, stop in self.phases[:-1]]
        style = {
            "color": COLORS[len(earlier) % len(COLORS)],
            "linewidth": 1.8,
            "marker": "o",
            "markersize": 4.0,
            "markevery": np.flatnonzero(np.isin(self.steps, np.floor(stops))).tolist(),
            "label": name or self.name or "schedule",
        }
        (self.line_,) = ax.plot(self.steps, self.values, **style | kwargs)
        self.shades_ = [] if shaded else self._shade()
        labels = {ax.get_ylabel() or self.value_name, self.value_name}
        ax.set(xlabel="Step", ylabel=labels.pop() if len(labels) == 1 else "Value")
        ax.margins(x=0.0)
        ax.set_ylim(bottom=0.0)
        ax.legend(frameon=False)
        return self

    def _shade(self) -> list[Any]:
        """Shade every other phase and write the names along the top."""
        shades = []
        for number, (name, start, stop) in enumerate(self.phases):
            if number % 2 == 0:
                shade = self.ax_.axvspan(start, stop, color=INK, alpha=0.07, lw=0.0)
                shades.append(shade)
            # A short phase has room for its name only across.
            narrow = stop - start < 0.08 * self.steps[-1]
            self.ax_.annotate(
                name,
                (0.5 * (start + stop), 1.0),
                xycoords=self.ax_.get_xaxis_transform(),
                xytext=(0, 3),
                textcoords="offset points",
                ha="left" if narrow else "center",
                va="bottom",
                rotation=40 if narrow else 0,
                fontsize="small",
                color=INK,
                gid=_PHASE,
            )
        return shades


def _phases(schedule: Schedule, last: int) -> list[tuple[str, float, float]]:
    """Return name, first and last step of the phases up to a step."""
    pieces = [piece for piece in schedule._pieces if piece.start < last]
    return [(p.name, p.start, min(p.stop, float(last))) for p in pieces]


def _steps_up_to(last: int, stops: list[float]) -> NDArray[np.float64]:
    """Return whole steps (n,): evenly spread, and both sides of each joint."""
    spread = np.linspace(0, last, min(last + 1, _POINTS)).round()
    joints = np.floor(np.array(stops, dtype=np.float64))
    steps = np.concatenate([spread, joints, joints + 1.0])
    return np.unique(steps[steps <= last])
