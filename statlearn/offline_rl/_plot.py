"""A picture of returns before and after trajectories are weighted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.offline_rl._weighting_base import TrajectoryWeighting
from statlearn.utils._axes import COLORS, GREY, axes_for
from statlearn.utils._fitted import fitted_or_refuse
from statlearn.utils._tables import number

Array = NDArray[np.float64]


class ReturnDistributionDisplay:
    """Returns of the trajectories that transitions come from, unweighted and weighted.

    Grey bars show what a learner sees that draws transitions uniformly, coloured ones
    what it sees with weights. The legend gives the effective number of transitions and,
    for the data, the positive-sided variance of the returns in units of their squared
    range. Create it with `from_weighting`, then call `plot`.

    Parameters
    ----------
    returns : ndarray of shape (n_trajectories,)
        Returns of the trajectories.
    lengths : ndarray of shape (n_trajectories,)
        Number of transitions of each.
    probability : ndarray of shape (n_trajectories,)
        Probability that a weighted transition comes from each trajectory.
    ess : float
        Effective number of transitions.
    psv : float
        Positive-sided variance over the squared range of the returns.
    name : str, default=None
        Name of the weights in the legend.

    Attributes
    ----------
    ax_ : Axes
        Where `plot` drew. Set by `plot`, like the following ones.
    figure_ : Figure
        The figure.
    bars_ : list of BarContainer or Polygon
        What was drawn: the bars before, then after weighting.

    See Also
    --------
    ReturnWeighting : Weights to look at.
    statlearn.weights.WeightDisplay : Weights against what they were made from.
    sklearn.metrics.PredictionErrorDisplay : A display for regressors.

    Examples
    --------
    >>> from statlearn.offline_rl import ReturnDistributionDisplay, ReturnWeighting
    >>> from statlearn.offline_rl import TrajectoryDataset
    >>> dataset = TrajectoryDataset.from_arrays(
    ...     observations=[[0.0], [1.0], [0.0], [2.0]],
    ...     actions=[1, 1, 0, 1],
    ...     rewards=[0.0, 1.0, 0.0, 5.0],
    ...     terminals=[False, True, False, True],
    ... )
    >>> weighting = ReturnWeighting(alpha=0.5).fit(dataset)
    >>> display = ReturnDistributionDisplay.from_weighting(weighting)
    >>> display.plot().ax_.get_xlabel()
    'Return of the trajectory'
    """

    ax_: Any
    figure_: Any
    bars_: list[Any]

    def __init__(
        self,
        returns: Array,
        lengths: NDArray[np.int64],
        probability: Array,
        *,
        ess: float,
        psv: float,
        name: str | None = None,
    ) -> None:
        self.returns = returns
        self.lengths = lengths
        self.probability = probability
        self.ess = ess
        self.psv = psv
        self.name = name

    @classmethod
    def from_weighting(
        cls, weighting: TrajectoryWeighting, *, name: str | None = None
    ) -> ReturnDistributionDisplay:
        """Take the weights of a fitted weighting.

        Parameters
        ----------
        weighting : TrajectoryWeighting
            Fitted.
        name : str, default=None
            Name in the legend; that of the class by default.

        Returns
        -------
        display : ReturnDistributionDisplay
            Not drawn yet.

        Raises
        ------
        TypeError
            If it is no weighting of trajectories.
        sklearn.exceptions.NotFittedError
            If it is not fitted.
        """
        caller = "ReturnDistributionDisplay.from_weighting"
        if not isinstance(weighting, TrajectoryWeighting):
            raise TypeError(
                f"The 'weighting' of {caller} must be a TrajectoryWeighting. Got "
                f"{type(weighting).__name__}; pass for example ReturnWeighting()."
                f"fit(dataset)."
            )
        fitted_or_refuse(weighting, caller)
        fitted: Any = weighting
        spread = float(np.ptp(fitted.returns_))
        return cls(
            fitted.returns_,
            fitted.lengths_,
            fitted.trajectory_probability_,
            ess=fitted.ess_,
            psv=fitted.psv_ / spread / spread if spread > 0.0 else 0.0,
            name=type(weighting).__name__ if name is None else name,
        )

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> ReturnDistributionDisplay:
        """Draw both distributions.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; by default a new figure.
        name : str, default=None
            Name of the weights in the legend.
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.hist` for the weighted returns;
            ``bins`` for both.

        Returns
        -------
        self : ReturnDistributionDisplay
            With `ax_`, `figure_` and `bars_`.

        Raises
        ------
        ValueError
            For more than one Axes.
        """
        self.ax_ = axes_for(ax, "ReturnDistributionDisplay.plot")
        self.figure_ = self.ax_.figure
        n = int(self.lengths.sum())
        bins = np.histogram_bin_edges(self.returns, kwargs.pop("bins", 30))
        label = name or self.name or "weighted"
        before = {"color": GREY, "label": f"uniform (PSV {number(self.psv)} of range²)"}
        after = {"color": COLORS[0], "histtype": "step", "linewidth": 1.8}
        after["label"] = f"{label} (ESS {self.ess:.4g} of {n})"
        shares = ((self.lengths / n, before), (self.probability, after | kwargs))
        self.bars_ = [
            self.ax_.hist(self.returns, bins, weights=share, **style)[2]
            for share, style in shares
        ]
        self.ax_.set(
            xlabel="Return of the trajectory", ylabel="Share of drawn transitions"
        )
        self.ax_.legend(frameon=False)
        return self
