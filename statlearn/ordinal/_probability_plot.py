"""A picture of class probabilities along one feature."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from statlearn.ordinal._profile import Profile
from statlearn.utils._axes import axes_for
from statlearn.utils._choices import one_of
from statlearn.utils._fitted import fitted_or_refuse

Array = NDArray[np.float64]


class OrdinalProbabilityDisplay:
    """Class probabilities along one feature, all others held.

    The areas of a stacked picture are the classes from low (bottom) to high (top). A
    rare class is thin there: draw lines instead, and set a logarithmic axis with
    ``display.ax_.set_yscale("log")``. Create the display with `from_estimator` or
    `from_predictions`, then call `plot`.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Values of the feature, ascending.
    proba : ndarray of shape (n_values, n_classes)
        Probabilities at these values.
    classes : ndarray of shape (n_classes,)
        Classes from low to high.
    feature_name : str
        Name of the feature.

    Attributes
    ----------
    ax_ : Axes
        Where `plot` drew.
    figure_ : Figure
        The figure.
    artists_ : list of PolyCollection or Line2D, length n_classes
        Area or line of each class.

    See Also
    --------
    OrdinalPathDisplay : Slopes along a path of penalties.
    sklearn.inspection.PartialDependenceDisplay : Averages over the other features.

    Examples
    --------
    >>> from statlearn.datasets import load_marriage_rating
    >>> from statlearn.ordinal import OrdinalProbabilityDisplay, PrestoClassifier
    >>> survey = load_marriage_rating()
    >>> model = PrestoClassifier(alpha=0.001, categories=survey.categories)
    >>> model = model.fit(survey.data, survey.target)
    >>> display = OrdinalProbabilityDisplay.from_estimator(
    ...     model, survey.data, feature=3
    ... )
    >>> display.values
    array([1., 2., 3., 4.])
    >>> len(display.plot().artists_)
    5
    """

    ax_: Any
    figure_: Any
    artists_: list[Any]

    def __init__(
        self,
        *,
        values: Array,
        proba: Array,
        classes: NDArray[Any],
        feature_name: str,
    ) -> None:
        self.values = values
        self.proba = proba
        self.classes = classes
        self.feature_name = feature_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        feature: str | int,
        grid_resolution: int = 100,
        at: str | ArrayLike = "median",
    ) -> OrdinalProbabilityDisplay:
        """Predict along one feature with the others held.

        Parameters
        ----------
        estimator : classifier
            Fitted, with `classes_` and `predict_proba`; a pipeline is fine.
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows that give the range of the feature and the medians of the others.
        feature : str or int
            Name or position of a numeric column.
        grid_resolution : int, default=100
            Number of values between the smallest and the largest one in X. A feature
            with fewer different values is shown at these.
        at : "median" or array-like of shape (n_features,), default="median"
            Where to hold the others: at the median of their column (the most frequent
            value, if it is not numeric), or at a row.

        Returns
        -------
        display : OrdinalProbabilityDisplay
            Not drawn yet.

        Raises
        ------
        TypeError
            If the estimator has no `predict_proba`, or the feature is not numeric.
        ValueError
            For an unknown or constant feature, or a row of the wrong length.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        """
        caller = "OrdinalProbabilityDisplay.from_estimator"
        fitted_or_refuse(estimator, caller)
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(
                f"The 'estimator' parameter of {caller} must be a classifier with "
                f"predict_proba. Got {type(estimator).__name__}; use one that "
                f"estimates probabilities."
            )
        profile = Profile.along(
            X, feature, getattr(estimator, "feature_names_in_", None), caller
        )
        values = profile.grid(grid_resolution)
        return cls(
            values=values,
            proba=estimator.predict_proba(profile.rows(values, at)),
            classes=estimator.classes_,
            feature_name=profile.name,
        )

    @classmethod
    def from_predictions(
        cls,
        values: ArrayLike,
        proba: ArrayLike,
        classes: ArrayLike,
        feature_name: str = "feature",
    ) -> OrdinalProbabilityDisplay:
        """Take probabilities that were predicted elsewhere.

        Parameters
        ----------
        values : array-like of shape (n_values,)
            Values of the feature, in any order.
        proba : array-like of shape (n_values, n_classes)
            Probabilities at these values.
        classes : array-like of shape (n_classes,)
            Classes from low to high.
        feature_name : str, default="feature"
            Name of the feature.

        Returns
        -------
        display : OrdinalProbabilityDisplay
            Not drawn yet.

        Raises
        ------
        ValueError
            If shapes disagree, or a row is not a distribution.

        Examples
        --------
        >>> from statlearn.ordinal import OrdinalProbabilityDisplay
        >>> display = OrdinalProbabilityDisplay.from_predictions(
        ...     [2.0, 1.0], [[0.7, 0.3], [0.9, 0.1]], ["no", "yes"], "dose"
        ... )
        >>> display.values
        array([1., 2.])
        """
        x = np.asarray(values, dtype=np.float64)
        p = np.asarray(proba, dtype=np.float64)
        labels = np.asarray(classes)
        caller = "OrdinalProbabilityDisplay.from_predictions"
        if x.ndim != 1 or p.shape != (len(x), len(labels)):
            raise ValueError(
                f"The 'proba' parameter of {caller} must have a row for each of the "
                f"values and a column for each of the {len(labels)} classes. Got "
                f"shape {p.shape} for values of shape {x.shape}; pass the output of "
                f"predict_proba at these values."
            )
        if not ((p >= 0.0).all() and np.allclose(p.sum(axis=1), 1.0)):
            raise ValueError(
                f"The 'proba' parameter of {caller} must hold a distribution in every "
                f"row. Got entries from {p.min():.3g} and sums from "
                f"{p.sum(axis=1).min():.3g} to {p.sum(axis=1).max():.3g}; normalise "
                f"the rows."
            )
        order = np.argsort(x, kind="stable")
        return cls(
            values=x[order], proba=p[order], classes=labels, feature_name=feature_name
        )

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "area",
        name: str | None = None,
        **kwargs: Any,
    ) -> OrdinalProbabilityDisplay:
        """Draw the probabilities.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; by default a new figure.
        kind : {"area", "line"}, default="area"
            Stacked areas, or one line a class.
        name : str, default=None
            Heading of the legend, by default "Class".
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.stackplot`, or to
            :meth:`matplotlib.axes.Axes.plot` for each class.

        Returns
        -------
        self : OrdinalProbabilityDisplay
            With `ax_`, `figure_` and `artists_`.

        Raises
        ------
        ValueError
            For an unknown kind, or more than one Axes.
        """
        caller = "OrdinalProbabilityDisplay.plot"
        draw = _KINDS[one_of(kind, _KINDS, "kind", caller)]
        self.ax_ = axes_for(ax, caller)
        self.figure_ = self.ax_.figure
        colors = _ordered_colors(len(self.classes))
        self.artists_ = draw(self.ax_, self.values, self.proba, colors, kwargs)
        self.ax_.set(xlabel=self.feature_name, ylabel="Probability")
        _list_classes(self.ax_, self.artists_, self.classes, name or "Class")
        return self


# -- drawing ----------------------------------------------------------------------


def _ordered_colors(count: int) -> list[Any]:
    """Return colours of ordered classes, from light (low) to dark (high)."""
    import matplotlib

    return list(matplotlib.colormaps["viridis_r"](np.linspace(0.1, 1.0, count)))


def _draw_areas(
    ax: Any, values: Array, proba: Array, colors: list[Any], options: dict[str, Any]
) -> list[Any]:
    """Stack areas from the lowest class to the highest."""
    style = {"colors": colors, "edgecolor": "white", "linewidth": 0.4, **options}
    areas = ax.stackplot(values, proba.T, **style)
    ax.set(xlim=(values[0], values[-1]), ylim=(0.0, 1.0))
    return list(areas)


def _draw_lines(
    ax: Any, values: Array, proba: Array, colors: list[Any], options: dict[str, Any]
) -> list[Any]:
    """Draw one line a class; limits stay automatic, so that a log axis can follow."""
    lines = []
    for color, column in zip(colors, proba.T, strict=True):
        lines += ax.plot(
            values, column, **{"color": color, "linewidth": 2.0, **options}
        )
    ax.margins(x=0.0)
    return lines


_KINDS = {"area": _draw_areas, "line": _draw_lines}


def _list_classes(
    ax: Any, artists: list[Any], classes: NDArray[Any], heading: str
) -> None:
    """Add a legend at the right with the highest class on top, as areas are stacked."""
    names = [str(label) for label in np.asarray(classes).tolist()]
    ax.legend(
        artists[::-1],
        names[::-1],
        title=heading,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
    )
