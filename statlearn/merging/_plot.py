"""Pictures of models as weights: the line between two, what matching aligns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from statlearn.merging._alignment import alignment_of, singular_pairs
from statlearn.merging._barrier import BarrierCurve, loss_barrier
from statlearn.merging._state import Array
from statlearn.utils._axes import COLORS, INK, axes_for
from statlearn.utils._validation import positive_integer


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
        style = {"color": _next_color(ax), "linewidth": 1.8, "label": label}
        (self.line_,) = ax.plot(self.curve.lam, self.curve.loss, **style | kwargs)
        ends = [0, -1]
        (self.chord_,) = ax.plot(
            self.curve.lam[ends],
            self.curve.loss[ends],
            color=INK,
            linewidth=0.8,
            linestyle="--",
            gid=_AUXILIARY,
        )
        ax.set(xlabel="Position on the line between the networks", ylabel="Loss")
        ax.margins(x=0.01)
        if label:
            ax.legend(frameon=False)
        return self


class SingularAlignmentDisplay:
    """Agreement of singular vectors, over the size of singular values that count.

    To the left all singular vectors count, to the right those with the largest values
    alone. Create it with `from_models`, then call `plot`.

    Parameters
    ----------
    gamma : ndarray of shape (n_points,)
        Shares of the largest singular value of a layer.
    alignments : dict of str to ndarray of shape (n_points,)
        Alignment at each, for each network compared.

    Attributes
    ----------
    ax_ : Axes
        Where `plot` drew. Set by `plot`, like the following ones.
    figure_ : Figure
        The figure.
    lines_ : list of Line2D
        A line for each network.

    See Also
    --------
    alignment : One point of a line.
    BarrierDisplay : The loss that this is about.
    sklearn.metrics.PrecisionRecallDisplay : Another curve over a threshold.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.merging import SingularAlignmentDisplay
    >>> a, b = {"W0": np.diag([3.0, 1.0])}, {"W0": np.diag([3.0, -1.0])}
    >>> display = SingularAlignmentDisplay.from_models(a, {"b": b}, n_points=3)
    >>> display.alignments["b"]
    array([0., 1., 1.])
    >>> display.plot().ax_.get_ylabel()
    'Alignment of singular vectors'
    """

    ax_: Any
    figure_: Any
    lines_: list[Any]

    def __init__(self, gamma: Array, alignments: Mapping[str, Array]) -> None:
        self.gamma = gamma
        self.alignments = dict(alignments)

    @classmethod
    def from_models(
        cls,
        reference: Any,
        models: Mapping[str, Any],
        *,
        layers: str | Iterable[str] | None = None,
        n_points: int = 21,
    ) -> SingularAlignmentDisplay:
        """Compare networks with a reference.

        Parameters
        ----------
        reference : estimator, torch module or mapping
            Network to compare with.
        models : mapping of str to estimator, torch module or mapping
            Networks of its layout by the names for the legend, for example before and
            after matching.
        layers : str or iterable of str, default=None
            Layers that count, as in :func:`alignment`.
        n_points : int, default=21
            Points of each line.

        Returns
        -------
        display : SingularAlignmentDisplay
            Not drawn yet.

        Raises
        ------
        ValueError
            If there are no networks, or they do not fit.
        """
        caller = "SingularAlignmentDisplay.from_models"
        points = positive_integer(n_points, "n_points", caller, "pass 21")
        if not isinstance(models, Mapping) or not models:
            raise ValueError(
                f"The 'models' of {caller} must be networks by their names. Got "
                f"{type(models).__name__} of none; pass {{'matched': network}}."
            )
        gamma = np.linspace(0.0, 1.0, points)
        found = {}
        for name, model in models.items():
            pairs = singular_pairs(reference, model, layers, caller)
            found[name] = np.array([alignment_of(pairs, share) for share in gamma])
        return cls(gamma, found)

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> SingularAlignmentDisplay:
        """Draw a line for each network.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; by default a new figure. Several displays may share it.
        name : str, default=None
            What to put before the names of the networks in the legend.
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : SingularAlignmentDisplay
            With `ax_`, `figure_` and `lines_`.

        Raises
        ------
        ValueError
            For more than one Axes.
        """
        self.ax_ = ax = axes_for(ax, "SingularAlignmentDisplay.plot")
        self.figure_ = ax.figure
        self.lines_ = []
        for label, values in self.alignments.items():
            style = {"color": _next_color(ax), "linewidth": 1.8}
            style["label"] = f"{name}, {label}" if name else label
            self.lines_ += ax.plot(self.gamma, values, **style | kwargs)
        ax.set(
            xlabel="Least singular value that counts, relative to the largest",
            ylabel="Alignment of singular vectors",
        )
        ax.margins(x=0.01)
        ax.legend(frameon=False)
        return self


# Lines that belong to others, so that they take no colour.
_AUXILIARY = "auxiliary"


def _next_color(ax: Any) -> str:
    drawn = [line for line in ax.get_lines() if line.get_gid() != _AUXILIARY]
    return COLORS[len(drawn) % len(COLORS)]
