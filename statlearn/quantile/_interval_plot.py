"""A picture of predicted intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.quantile._base_models import levels_for, predict_grid
from statlearn.utils._axes import COLORS, INK, axes_for
from statlearn.utils._grids import read_column, read_rows
from statlearn.utils._levels import read_levels
from statlearn.utils._sklearn import take_rows

Array = NDArray[np.float64]


class IntervalDisplay:
    """A fan of central intervals along a feature, or along the rows.

    Levels are paired from the outside to the inside, each pair a band. Create it with
    `from_estimator` or `from_predictions`, then call `plot`.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Where rows stand.
    grid : ndarray of shape (n, q)
        Their quantiles.
    levels : ndarray of shape (q,)
        Levels of the quantiles.
    y : ndarray of shape (n,), default=None
        Targets.
    x_name : str, default="Row"
        Label of the horizontal axis.
    name : str, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    ax_ : Axes
        Where `plot` drew. Set by `plot`, like the following ones.
    figure_ : Figure
        The figure.
    bands_ : list of PolyCollection
        The intervals, the widest first.
    line_ : Line2D or None
        The quantile of the middle level, if their number is odd.
    points_ : Line2D or None
        The targets.

    See Also
    --------
    statlearn.metrics.interval_coverage : How many targets lie in an interval.
    sklearn.metrics.PredictionErrorDisplay : Predictions of means against targets.

    Examples
    --------
    >>> from statlearn.quantile import IntervalDisplay
    >>> grid = [[0.0, 1.0, 2.0], [1.0, 2.0, 4.0]]
    >>> display = IntervalDisplay.from_predictions([0.5, 3.0], grid, [0.1, 0.5, 0.9])
    >>> [text.get_text() for text in display.plot().ax_.get_legend().get_texts()]
    ['80 % interval', 'level 0.5', 'targets']
    """

    ax_: Any
    figure_: Any
    bands_: list[Any]
    line_: Any
    points_: Any

    def __init__(
        self,
        *,
        x: NDArray[Any],
        grid: Array,
        levels: Array,
        y: Array | None = None,
        x_name: str = "Row",
        name: str | None = None,
    ) -> None:
        self.x = x
        self.grid = grid
        self.levels = levels
        self.y = y
        self.x_name = x_name
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        feature: int | str | None = None,
        levels: Any = None,
        name: str | None = None,
    ) -> IntervalDisplay:
        """Take the quantiles of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``predict_quantiles``.
        X : array-like of shape (n, n_features)
            Rows to predict.
        y : array-like of shape (n,), default=None
            Their targets.
        feature : int or str, default=None
            Position, or name in a data frame, of the column along which to draw; by
            default the order of rows.
        levels : array-like of shape (q,), default=None
            Levels to draw; by default its ``levels_``.
        name : str, default=None
            Name in the legend.

        Returns
        -------
        display : IntervalDisplay
            Not drawn yet.

        Raises
        ------
        TypeError
            If the estimator gives no quantiles, or no levels are known.
        """
        known = levels_for(estimator, levels, "IntervalDisplay")
        column = None if feature is None else take_rows(X, feature, axis=1)
        x_name = f"Feature {feature}" if isinstance(feature, int) else feature
        return cls.from_predictions(
            y,
            predict_grid(estimator, X, known),
            known,
            x=column,
            x_name=x_name,
            name=name,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        levels: Any,
        *,
        x: Any = None,
        x_name: str | None = None,
        name: str | None = None,
    ) -> IntervalDisplay:
        """Take quantiles that were predicted elsewhere.

        Parameters
        ----------
        y_true : array-like of shape (n,) or None
            Targets; None draws none.
        y_pred : array-like of shape (n, q)
            Predicted quantiles. Infinite ones are drawn at the edge of the others.
        levels : array-like of shape (q,)
            Their levels.
        x : array-like of shape (n,), default=None
            Where rows stand, such as a feature or dates; by default one after the
            other.
        x_name : str, default=None
            Label of the horizontal axis.
        name : str, default=None
            Name in the legend.

        Returns
        -------
        display : IntervalDisplay
            Not drawn yet.

        Raises
        ------
        ValueError
            If a value is missing, or shapes disagree.
        """
        caller = "IntervalDisplay"
        known = read_levels(levels, caller)
        grid = read_rows(y_pred, caller, known, name="y_pred")
        places = np.arange(len(grid)) if x is None else np.asarray(x)
        if places.shape != (len(grid),):
            raise ValueError(
                f"The 'x' of {caller} must have one value for each of {len(grid)} "
                f"rows. Got shape {places.shape}; pass one column."
            )
        y = None if y_true is None else read_column(y_true, len(grid), caller)
        label = x_name or ("Row" if x is None else "x")
        return cls(x=places, grid=grid, levels=known, y=y, x_name=label, name=name)

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> IntervalDisplay:
        """Draw bands, the middle level and targets.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; by default a new figure. Several displays may share it.
        name : str, default=None
            Name in the legend, instead of that of the model.
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.fill_between`.

        Returns
        -------
        self : IntervalDisplay
            With `ax_`, `figure_`, `bands_`, `line_` and `points_`.

        Raises
        ------
        ValueError
            For more than one Axes.
        """
        self.ax_ = ax = axes_for(ax, "IntervalDisplay.plot")
        self.figure_ = ax.figure
        order = np.argsort(self.x, kind="stable")
        x, grid = self.x[order], self._drawable()[order]
        fans = [line for line in ax.get_lines() if line.get_gid() == "fan"]
        color = COLORS[len(fans) % len(COLORS)]
        prefix = f"{name or self.name}, " if name or self.name else ""
        q, self.bands_, self.line_, self.points_ = len(self.levels), [], None, None
        for k in range(q // 2):
            share = self.levels[q - 1 - k] - self.levels[k]
            style = {"color": color, "linewidth": 0.0, "alpha": 0.8 / (q // 2 + 1)}
            style["label"] = f"{prefix}{100 * share:.4g} % interval"
            ends = grid[:, k], grid[:, q - 1 - k]
            self.bands_.append(ax.fill_between(x, *ends, **style | kwargs))
        if q % 2:
            label = f"{prefix}level {self.levels[q // 2]:.4g}"
            (self.line_,) = ax.plot(
                x, grid[:, q // 2], color=color, lw=1.4, label=label, gid="fan"
            )
        if self.y is not None:
            style = {"color": INK, "linestyle": "", "marker": "o", "markersize": 2.5}
            style |= {"markeredgewidth": 0.0, "rasterized": len(x) > 5000}
            (self.points_,) = ax.plot(x, self.y[order], label="targets", **style)
        ax.set(xlabel=self.x_name, ylabel="Target")
        ax.legend(frameon=False)
        return self

    def _drawable(self) -> Array:
        """Return the grid with infinite quantiles at the edge of the finite ones."""
        known = self.grid[np.isfinite(self.grid)]
        known = known if self.y is None else np.concatenate([known, self.y])
        if known.size:
            margin = 0.1 * (known.max() - known.min()) or 1.0
            return np.clip(self.grid, known.min() - margin, known.max() + margin)
        return np.clip(self.grid, -1.0, 1.0)
