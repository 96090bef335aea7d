"""A picture of the weights that models have at each level."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._axes import axes_for
from statlearn.utils._fitted import fitted_or_refuse
from statlearn.utils._heat_map import annotated_image
from statlearn.utils._levels import read_levels
from statlearn.utils._validation import as_numbers

Array = NDArray[np.float64]

# Cells of a heat map that still have room for numbers.
_MAX_NUMBERS = 80


class AggregationWeightsDisplay:
    """A heat map of the weights of models at each level.

    Create it with `from_estimator` or `from_weights`, then call `plot`.

    Parameters
    ----------
    weights : ndarray of shape (m, q) or (m, 1)
        Weights of m models, at each level or at all of them.
    levels : ndarray of shape (q,) or None
        Levels of the columns; None if there is one column for all.
    models : list of str
        Names of the models.
    name : str, default="Weight"
        What the colours stand for.

    Attributes
    ----------
    ax_ : Axes
        Where `plot` drew. Set by `plot`, like the following ones.
    figure_ : Figure
        The figure.
    image_ : AxesImage
        The map.
    colorbar_ : Colorbar
        Its scale.
    texts_ : list of Text
        Weights as numbers, where there are few.

    See Also
    --------
    QuantileAggregator : The estimator whose weights are shown.
    sklearn.metrics.ConfusionMatrixDisplay : Another map of numbers.

    Examples
    --------
    >>> from statlearn.quantile import AggregationWeightsDisplay
    >>> weights = [[0.25, 0.75], [0.5, 0.5]]               # two levels, two models
    >>> display = AggregationWeightsDisplay.from_weights(
    ...     weights, levels=[0.1, 0.9], models=["forest", "boosting"]
    ... )
    >>> [text.get_text() for text in display.plot().texts_]
    ['0.25', '0.50', '0.75', '0.50']
    """

    ax_: Any
    figure_: Any
    image_: Any
    colorbar_: Any
    texts_: list[Any]

    def __init__(
        self,
        *,
        weights: Array,
        levels: Array | None,
        models: list[str],
        name: str = "Weight",
    ) -> None:
        self.weights = weights
        self.levels = levels
        self.models = models
        self.name = name

    @classmethod
    def from_estimator(cls, estimator: Any) -> AggregationWeightsDisplay:
        """Take the weights of a fitted aggregator.

        Parameters
        ----------
        estimator : QuantileAggregator
            Fitted; or another estimator with `weights_`, `levels_` and
            `estimator_names_`.

        Returns
        -------
        display : AggregationWeightsDisplay
            Not drawn yet.

        Raises
        ------
        TypeError
            If the estimator is fitted and has no weights.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        """
        caller = "AggregationWeightsDisplay.from_estimator"
        fitted_or_refuse(estimator, caller)
        if not hasattr(estimator, "weights_"):
            raise TypeError(
                f"The 'estimator' of {caller} must have weights_. Got "
                f"{type(estimator).__name__} without any; pass its weights to "
                f"from_weights."
            )
        return cls.from_weights(
            estimator.weights_,
            levels=getattr(estimator, "levels_", None),
            models=getattr(estimator, "estimator_names_", None),
        )

    @classmethod
    def from_weights(
        cls, weights: Any, *, levels: Any = None, models: Any = None
    ) -> AggregationWeightsDisplay:
        """Take weights that were found elsewhere.

        Parameters
        ----------
        weights : array-like of shape (m,), (q, m) or (q, m, q)
            One weight for each model; for each level and model; or for each level, each
            model and each of its levels, over which they are added up.
        levels : array-like of shape (q,), default=None
            Levels; needed unless there is one weight for each model.
        models : list of m str, default=None
            Names of the models; by default numbers.

        Returns
        -------
        display : AggregationWeightsDisplay
            Not drawn yet.

        Raises
        ------
        ValueError
            If a weight is not finite, or shapes disagree.
        """
        caller = "AggregationWeightsDisplay"
        found = as_numbers(weights)
        known = None
        if found.ndim > 1:
            known = read_levels([0.5] if levels is None else levels, caller)
        q = 0 if known is None else len(known)
        fits = found.shape[:1] == (q,) and found.shape[2:] in ((), (q,))
        if not (fits or found.ndim == 1) or not np.isfinite(found).all():
            raise ValueError(
                f"The 'weights' of {caller} must be finite, of shape (m,), (q, m) or "
                f"(q, m, q) for q levels. Got shape {found.shape} with "
                f"{np.sum(~np.isfinite(found))} not finite, for {q} levels; pass "
                f"levels that belong to them."
            )
        name = "Weight"
        if found.ndim == 3:
            found, name = found.sum(axis=2), "Weight, added up over levels of the model"
        found = found[:, np.newaxis] if found.ndim == 1 else found.T
        names = [
            str(each) for each in (range(len(found)) if models is None else models)
        ]
        if len(names) != len(found):
            raise ValueError(
                f"The 'models' of {caller} must name each of {len(found)} models. Got "
                f"{len(names)} names; pass one for each."
            )
        return cls(weights=found, levels=known, models=names, name=name)

    def plot(
        self, ax: Any = None, *, name: str | None = None, **kwargs: Any
    ) -> AggregationWeightsDisplay:
        """Draw the heat map.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; by default a new figure.
        name : str, default=None
            What the colours stand for, instead of "Weight".
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.imshow`.

        Returns
        -------
        self : AggregationWeightsDisplay
            With `ax_`, `figure_`, `image_`, `colorbar_` and `texts_`.

        Raises
        ------
        ValueError
            For more than one Axes.
        """
        self.ax_ = ax = axes_for(ax, "AggregationWeightsDisplay.plot")
        self.figure_ = ax.figure
        table = self.weights
        peak = float(np.abs(table).max()) or 1.0
        # Colours that differ by sign where there are signs, with zero in the middle.
        signed = bool((table < 0.0).any())
        style: dict[str, Any] = {"cmap": "RdBu" if signed else "Blues"}
        style |= {"vmin": -peak if signed else 0.0, "vmax": peak, "aspect": "auto"}
        self.image_, self.colorbar_, self.texts_ = annotated_image(
            ax,
            table,
            name or self.name,
            style | kwargs,
            max_numbers=_MAX_NUMBERS,
            white_above=0.6 * peak,
        )
        ax.set_yticks(range(len(self.models)), self.models)
        ax.set(xlabel="Level", ylabel="Model")
        if self.levels is None:
            ax.set_xticks([0], ["all"])
        else:
            q = len(self.levels)
            at = np.unique(np.linspace(0, q - 1, min(q, 9)).round().astype(int))
            ax.set_xticks(at, [f"{self.levels[k]:.4g}" for k in at])
        return self
