"""A picture of whether quantiles are honest."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from statlearn.metrics import level_calibration_error
from statlearn.quantile._base_models import levels_for, predict_grid
from statlearn.utils._axes import COLORS, INK, axes_for
from statlearn.utils._levels import read_levels
from statlearn.utils._numbers import read_coverage
from statlearn.weights import effective_sample_size

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
        known = levels_for(estimator, levels, "QuantileCalibrationDisplay")
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
