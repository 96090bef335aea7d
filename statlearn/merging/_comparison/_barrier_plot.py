"""A picture of the line between two networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from statlearn.merging._comparison._barrier import BarrierCurve, loss_barrier
from statlearn.merging._comparison._line_colors import AUXILIARY, next_color
from statlearn.utils._axes import INK, axes_for


class BarrierDisplay:
    """Loss along the straight line between two networks.

    The dashed line joins the losses of the ends; what rises above it is the barrier.
    Displays that share axes compare ways to line the units up. Create it with
    `from_models` or `from_curve`, then call `plot`.

    Parameters
    ----------
    curve : BarrierCurve
        Losses along the line.
    name : str, default=None
        Name in the legend.

    Attributes
    ----------
    ax_ : Axes
        Where `plot` drew. Set by `plot`, like the following ones.
    figure_ : Figure
        The figure.
    line_ : Line2D
        The losses.
    chord_ : Line2D
        The straight line between the ends.

    See Also
    --------
    loss_barrier : Computes the losses.
    SingularAlignmentDisplay : Why a barrier falls.
    sklearn.model_selection.ValidationCurveDisplay : Scores over a parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import BarrierDisplay
    >>> a, b = {"w": np.array([-1.0])}, {"w": np.array([1.0])}
    >>> loss = lambda state: float((state["w"][0] ** 2 - 1) ** 2)
    >>> display = BarrierDisplay.from_models(loss, a, b, n_points=5)
    >>> display.curve.barrier
    1.0
    >>> display.plot().ax_.get_ylabel()
    'Loss'
    """

    ax_: Any
    figure_: Any
    line_: Any
    chord_: Any

    def __init__(self, curve: BarrierCurve, *, name: str | None = None) -> None:
        self.curve = curve
        self.name = name

    @classmethod
    def from_models(
        cls,
        loss: Callable[[Any], float],
        a: Any,
        b: Any,
        *,
        n_points: int = 25,
        name: str | None = None,
    ) -> BarrierDisplay:
        """Take the loss along the line between two networks.

        Parameters
        ----------
        loss : callable
            ``loss(network) -> float``.
        a, b : estimator, torch module or mapping
            Networks of one layout.
        n_points : int, default=25
            Positions on the line.
        name : str, default=None
            Name in the legend.

        Returns
        -------
        display : BarrierDisplay
            Not drawn yet.
        """
        return cls(loss_barrier(loss, a, b, n_points, return_curve=True), name=name)

    @classmethod
    def from_curve(
        cls, curve: BarrierCurve, *, name: str | None = None
    ) -> BarrierDisplay:
        """Take losses that :func:`loss_barrier` has returned.

        Parameters
        ----------
        curve : BarrierCurve
            Of ``loss_barrier(..., return_curve=True)``.
        name : str, default=None
            Name in the legend.

        Returns
        -------
        display : BarrierDisplay
            Not drawn yet.

        Raises
        ------
        TypeError
            If it is no curve.
        """
        if not isinstance(curve, BarrierCurve):
            raise TypeError(
                "The 'curve' of BarrierDisplay.from_curve must be a BarrierCurve. Got "
                f"{type(curve).__name__}; pass loss_barrier(..., return_curve=True)."
            )
        return cls(curve, name=name)

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> BarrierDisplay:
        """Draw the losses, and the straight line between the ends.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; by default a new figure. Several displays may share it.
        name : str, default=None
            Name in the legend, instead of that of the display.
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : BarrierDisplay
            With `ax_`, `figure_`, `line_` and `chord_`.

        Raises
        ------
        ValueError
            For more than one Axes.
        """
        self.ax_ = ax = axes_for(ax, "BarrierDisplay.plot")
        self.figure_ = ax.figure
        label = name or self.name
        style = {"color": next_color(ax), "linewidth": 1.8, "label": label}
        (self.line_,) = ax.plot(self.curve.lam, self.curve.loss, **style | kwargs)
        ends = [0, -1]
        (self.chord_,) = ax.plot(
            self.curve.lam[ends],
            self.curve.loss[ends],
            color=INK,
            linewidth=0.8,
            linestyle="--",
            gid=AUXILIARY,
        )
        ax.set(xlabel="Position on the line between the networks", ylabel="Loss")
        ax.margins(x=0.01)
        if label:
            ax.legend(frameon=False)
        return self
