"""Pictures of quantiles: whether they are honest, and what they look like."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from statlearn.metrics import level_calibration_error
from statlearn.utils._axes import COLORS, INK, axes_for
from statlearn.utils._delegate import model_inside
from statlearn.utils._grids import read_column, read_coverage, read_rows
from statlearn.utils._levels import read_levels
from statlearn.utils._sklearn import take_rows
from statlearn.weights import effective_sample_size

from ._base_models import predict_grid

Array = NDArray[np.float64]


class QuantileCalibrationDisplay:
    """Shares of targets below quantiles, against their levels.

    Honest quantiles lie on the diagonal, up to the band within which shares of a
    sample of that size vary. A share above the diagonal belongs to quantiles that are
    too high. Create it with `from_estimator` or `from_predictions`, then call `plot`.

    Parameters
    ----------
    levels : ndarray of shape (q,)
        Levels of the quantiles.
    shares : ndarray of shape (q,)
        Shares of targets that are not above them.
    n_effective : float
        Effective number of rows, for the width of the band.
    name : str, default=None
        Name of the model in the legend.

    Attributes
    ----------
    ax_ : Axes
        Where `plot` drew. Set by `plot`, like the following ones.
    figure_ : Figure
        The figure.
    line_ : Line2D
        The shares.
    band_ : PolyCollection or None
        Where shares of honest quantiles lie, each by itself.

    See Also
    --------
    statlearn.metrics.level_calibration_error : The same in one number.
    sklearn.calibration.CalibrationDisplay : The like for probabilities of classes.

    Examples
    --------
    >>> from statlearn.quantile import QuantileCalibrationDisplay
    >>> y, grid = [0.0, 1.0, 2.0, 3.0], [[0.5, 1.5, 2.5]] * 4
    >>> display = QuantileCalibrationDisplay.from_predictions(
    ...     y, grid, [0.25, 0.5, 0.75]
    ... )
    >>> display.shares
    array([0.25, 0.5 , 0.75])
    >>> display.plot().ax_.get_xlabel()
    'Level'
    """

    ax_: Any
    figure_: Any
    line_: Any
    band_: Any

    def __init__(
        self,
        *,
        levels: Array,
        shares: Array,
        n_effective: float,
        name: str | None = None,
    ) -> None:
        self.levels = levels
        self.shares = shares
        self.n_effective = n_effective
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        levels: Any = None,
        sample_weight: Any = None,
        name: str | None = None,
    ) -> QuantileCalibrationDisplay:
        """Compare the quantiles of a fitted estimator with targets.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``predict_quantiles``.
        X : array-like of shape (n, n_features)
            Rows, best of all such that it has not been fitted to.
        y : array-like of shape (n,)
            Their targets.
        levels : array-like of shape (q,), default=None
            Levels to look at; by default its ``levels_``.
        sample_weight : array-like of shape (n,), default=None
            Numbers >= 0, how much each row counts.
        name : str, default=None
            Name in the legend; None takes that of its class.

        Returns
        -------
        display : QuantileCalibrationDisplay
            Not drawn yet.

        Raises
        ------
        TypeError
            If the estimator gives no quantiles, or no levels are known.
        """
        known = _levels_for(estimator, levels, "QuantileCalibrationDisplay")
        return cls.from_predictions(
            y,
            predict_grid(estimator, X, known),
            known,
            sample_weight=sample_weight,
            name=name or type(estimator).__name__,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        levels: Any,
        *,
        sample_weight: Any = None,
        name: str | None = None,
    ) -> QuantileCalibrationDisplay:
        """Compare quantiles with targets.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Targets.
        y_pred : array-like of shape (n, q)
            Predicted quantiles.
        levels : array-like of shape (q,)
            Their levels.
        sample_weight : array-like of shape (n,), default=None
            Numbers >= 0, how much each row counts.
        name : str, default=None
            Name in the legend.

        Returns
        -------
        display : QuantileCalibrationDisplay
            Not drawn yet.

        Raises
        ------
        ValueError
            If a value is missing, or shapes disagree.
        """
        known = read_levels(levels, "QuantileCalibrationDisplay")
        difference = level_calibration_error(
            y_true,
            y_pred,
            known,
            sample_weight=sample_weight,
            multioutput="raw_values",
        )
        counts = np.ones(len(y_pred)) if sample_weight is None else sample_weight
        return cls(
            levels=known,
            shares=known + difference,
            n_effective=effective_sample_size(counts),
            name=name,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        coverage: float | None = 0.95,
        **kwargs: Any,
    ) -> QuantileCalibrationDisplay:
        """Draw the shares, the diagonal and the band.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; by default a new figure. Several displays may share it.
        name : str, default=None
            Name in the legend, instead of that of the model.
        coverage : float or None, default=0.95
            Probability that the share of an honest quantile lies in the band, which
            is binomial in the effective number of rows; None draws no band.
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : QuantileCalibrationDisplay
            With `ax_`, `figure_`, `line_` and `band_`.

        Raises
        ------
        ValueError
            For more than one Axes, or a coverage outside (0, 1).
        """
        caller = "QuantileCalibrationDisplay.plot"
        if coverage is not None:
            coverage = read_coverage(coverage, caller)
        self.ax_ = ax = axes_for(ax, caller)
        self.figure_ = ax.figure
        drawn = [line for line in ax.get_lines() if line.get_gid() != "equal"]
        if not drawn:
            ax.plot([0, 1], [0, 1], color=INK, linewidth=0.8, ls="--", gid="equal")
        style: dict[str, Any] = {"color": COLORS[len(drawn) % len(COLORS)]}
        style |= {"marker": "o", "markersize": 4.0, "linewidth": 1.6}
        style["label"] = name or self.name
        (self.line_,) = ax.plot(self.levels, self.shares, **style | kwargs)
        self.band_ = None
        if coverage is not None:
            x = np.linspace(0.0, 1.0, 201)
            n = max(1, round(self.n_effective))
            low, high = np.asarray(stats.binom.interval(coverage, n, x)) / n
            color = self.line_.get_color()
            # For a probability of 0 SciPy begins its interval at -1.
            self.band_ = ax.fill_between(
                x, np.maximum(low, 0.0), high, color=color, alpha=0.15, linewidth=0.0
            )
        ax.set(xlabel="Level", ylabel="Share of targets not above", aspect="equal")
        ax.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0))
        if style["label"] or "label" in kwargs:
            ax.legend(frameon=False)
        return self


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
        known = _levels_for(estimator, levels, "IntervalDisplay")
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


def _levels_for(estimator: Any, levels: Any, caller: str) -> Array:
    """Return levels given, or those of a fitted estimator."""
    model, _ = model_inside(estimator, None, "levels_")
    known = getattr(model, "levels_", None) if levels is None else levels
    if known is None:
        raise TypeError(
            f"The 'estimator' of {caller} must be fitted and have levels_. Got "
            f"{type(estimator).__name__} without; pass levels=[...]."
        )
    return read_levels(known, caller)
