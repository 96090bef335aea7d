"""A picture of what matching aligns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from statlearn.merging._comparison._alignment import alignment_of, singular_pairs
from statlearn.merging._comparison._line_colors import next_color
from statlearn.merging._state._entry import Array
from statlearn.utils._axes import axes_for
from statlearn.utils._numbers import positive_integer


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
            style = {"color": next_color(ax), "linewidth": 1.8}
            style["label"] = f"{name}, {label}" if name else label
            self.lines_ += ax.plot(self.gamma, values, **style | kwargs)
        ax.set(
            xlabel="Least singular value that counts, relative to the largest",
            ylabel="Alignment of singular vectors",
        )
        ax.margins(x=0.01)
        ax.legend(frameon=False)
        return self
