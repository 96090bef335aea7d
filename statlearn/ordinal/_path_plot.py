"""A picture of slopes along a path of penalties.

The display holds plain arrays and loads matplotlib only to draw. How lines, labels and
legends are laid out is in `_path_drawing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.ordinal import _path_drawing as drawing
from statlearn.ordinal._fusion import boundary_names
from statlearn.ordinal._profile import feature_position
from statlearn.ordinal.presto_cv import PrestoClassifierCV
from statlearn.ordinal.presto_path import OrdinalPath
from statlearn.utils._fitted import fitted_or_refuse
from statlearn.utils._numbers import integer_in
from statlearn.utils._optional import require

Array = NDArray[np.float64]

# More colours than this cannot be told apart.
_MAX_NAMED = 10


class OrdinalPathDisplay:
    """Slopes of every boundary along a path of penalties.

    One panel a boundary shows how features enter as the penalty falls, and where the
    slope of a feature stops being equal to that of the boundary before: until then
    its line is dashed, and the feature is proportional there. Create it with
    `from_estimator` or `from_path`, then call `plot`.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Penalties.
    coefs : ndarray of shape (n_alphas, n_classes - 1, n_features)
        Slopes at each penalty.
    feature_names : sequence of str of length n_features
        Names of the features.
    classes : ndarray of shape (n_classes,)
        Classes from low to high.
    alpha : float, default=None
        A penalty to mark.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (n_panels,)
        The panels. Set by `plot`, like the following ones.
    ax_ : Axes
        The first panel.
    figure_ : Figure
        The figure.
    lines_ : list of list of Line2D
        The whole line of each feature, panel by panel.

    See Also
    --------
    OrdinalProbabilityDisplay : What a model predicts along one feature.
    PrestoClassifierCV.fusion_table : Equal slopes at the chosen penalty, as a table.

    Notes
    -----
    Slopes are those of the features as given to the model. Standardise the features
    first if their sizes are to be compared.

    Examples
    --------
    >>> from statlearn.datasets import make_rare_ordinal
    >>> from statlearn.ordinal import OrdinalPathDisplay, presto_path
    >>> X, y = make_rare_ordinal(n_samples=1000, n_features=4, random_state=0)
    >>> display = OrdinalPathDisplay.from_path(presto_path(X, y))
    >>> display.plot().axes_.shape
    (3,)
    """

    axes_: NDArray[Any]
    ax_: Any
    figure_: Any
    lines_: list[list[Any]]

    def __init__(
        self,
        *,
        alphas: Array,
        coefs: Array,
        feature_names: Sequence[str],
        classes: NDArray[Any],
        alpha: float | None = None,
    ) -> None:
        self.alphas = alphas
        self.coefs = coefs
        self.feature_names = feature_names
        self.classes = classes
        self.alpha = alpha

    @classmethod
    def from_path(
        cls, path: OrdinalPath, *, feature_names: Sequence[str] | None = None
    ) -> OrdinalPathDisplay:
        """Take the slopes of a path.

        Parameters
        ----------
        path : OrdinalPath
            As returned by :func:`presto_path`.
        feature_names : sequence of str of length n_features, default=None
            Names instead of those of the path.

        Returns
        -------
        display : OrdinalPathDisplay
            Not drawn yet.

        Raises
        ------
        TypeError
            If `path` is something else.
        ValueError
            If the number of names is not that of the features.
        """
        if not isinstance(path, OrdinalPath):
            raise TypeError(
                f"The 'path' parameter of OrdinalPathDisplay.from_path must be an "
                f"OrdinalPath. Got {type(path).__name__}; call presto_path first, or "
                f"use from_estimator for a PrestoClassifierCV."
            )
        names = _names(feature_names, path.feature_names)
        return cls(
            alphas=path.alphas,
            coefs=path.coefs,
            feature_names=names,
            classes=path.classes,
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: PrestoClassifierCV | OrdinalPath,
        *,
        feature_names: Sequence[str] | None = None,
    ) -> OrdinalPathDisplay:
        """Take the slopes and the chosen penalty of a cross-validated model.

        Parameters
        ----------
        estimator : PrestoClassifierCV or OrdinalPath
            A fitted estimator, the last step of a pipeline for instance, or a path.
        feature_names : sequence of str of length n_features, default=None
            Names instead of those of the estimator.

        Returns
        -------
        display : OrdinalPathDisplay
            Not drawn yet.

        Raises
        ------
        TypeError
            If the estimator has no path.
        ValueError
            If the number of names is not that of the features.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        """
        if isinstance(estimator, OrdinalPath):
            return cls.from_path(estimator, feature_names=feature_names)
        if not isinstance(estimator, PrestoClassifierCV):
            raise TypeError(
                f"The 'estimator' parameter of OrdinalPathDisplay.from_estimator must "
                f"be a PrestoClassifierCV or an OrdinalPath. Got "
                f"{type(estimator).__name__}, which has no path; fit a "
                f"PrestoClassifierCV or call presto_path."
            )
        fitted_or_refuse(estimator, "OrdinalPathDisplay.from_estimator")
        return cls(
            alphas=estimator.alphas_,
            coefs=estimator.coefs_path_,
            feature_names=_names(feature_names, estimator._feature_names()),
            classes=estimator.classes_,
            alpha=estimator.alpha_,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        features: Sequence[str | int] | None = None,
        boundary: int | None = None,
        **kwargs: Any,
    ) -> OrdinalPathDisplay:
        """Draw the slopes against the penalty, which falls to the right.

        Parameters
        ----------
        ax : Axes or array of Axes, default=None
            Where to draw: one for each boundary, or a single one for a single
            boundary. By default a new figure.
        features : list of str or int, default=None
            Names or positions of the features to colour and name; others are grey. By
            default the ten with the largest slopes.
        boundary : int, default=None
            Position of the only boundary to draw; ``-1`` is the last one. By default
            all boundaries, each in its panel.
        **kwargs : dict
            Passed to :meth:`matplotlib.axes.Axes.plot` for the line of each feature.

        Returns
        -------
        self : OrdinalPathDisplay
            With `axes_`, `figure_` and `lines_`.

        Raises
        ------
        ValueError
            For an unknown feature, a boundary that does not exist, a number of axes
            that is not that of the boundaries, or fewer than two positive penalties.
        """
        pyplot = require("matplotlib.pyplot", "plot", "OrdinalPathDisplay.plot")
        shown = self._boundaries(boundary)
        named = self._named(features)
        positive = self._positive()
        self.axes_ = (
            drawing.new_panels(pyplot, len(shown))
            if ax is None
            else drawing.given_panels(ax, len(shown))
        )
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        titles = boundary_names(self.classes)
        self.lines_ = []
        for panel, k in zip(self.axes_, shown, strict=True):
            slopes = self.coefs[positive, k]
            equal = slopes == self.coefs[positive, k - 1] if k else slopes != slopes
            lines = drawing.draw_slopes(
                panel, self.alphas[positive], slopes, equal, named, kwargs
            )
            if self.alpha:
                drawing.mark_penalty(panel, self.alpha)
            self.lines_.append(lines)
            if len(shown) > 1:
                panel.set_title(f"Boundary {titles[k]}", loc="left", fontsize="medium")
        slope = "Slope" if len(shown) > 1 else f"Slope at boundary {titles[shown[0]]}"
        own = ax is None
        drawing.label_panels(self.axes_, "Penalty alpha, falling", slope, own=own)
        drawing.explain_styles(
            self.axes_, fused=max(shown) > 0, chosen=bool(self.alpha), own=own
        )
        drawing.name_lines(self.axes_, self.lines_, self.feature_names, named, own=own)
        return self

    def _boundaries(self, boundary: int | None) -> list[int]:
        """Return the positions of the boundaries to draw."""
        count = self.coefs.shape[1]
        if boundary is None:
            return list(range(count))
        caller = "OrdinalPathDisplay.plot"
        hint = "negative ones count from the last, and None draws all boundaries"
        place = integer_in(boundary, "boundary", caller, hint, -count, count - 1)
        return [place % count]

    def _named(self, features: Sequence[str | int] | None) -> list[int]:
        """Return the positions of the features to colour and name."""
        if features is not None:
            caller = "OrdinalPathDisplay.plot"
            return [
                feature_position(feature, self.feature_names, "features", caller)
                for feature in ([features] if isinstance(features, str) else features)
            ]
        size = np.abs(self.coefs).max(axis=(0, 1))
        largest = np.argsort(-size, kind="stable")[:_MAX_NAMED]
        return sorted(int(j) for j in largest if size[j] > 0.0)

    def _positive(self) -> NDArray[np.bool_]:
        """Tell which penalties have a place on a logarithmic axis."""
        positive = np.asarray(self.alphas) > 0.0
        if positive.sum() < 2:
            raise ValueError(
                f"OrdinalPathDisplay.plot expected at least 2 positive penalties to "
                f"draw lines. Got alphas={np.asarray(self.alphas).tolist()}; fit a "
                f"path with more of them."
            )
        return positive


def _names(given: Sequence[str] | None, own: NDArray[np.str_]) -> list[str]:
    """Return given names of the features, or those of the model."""
    if given is None:
        return own.tolist()
    if len(given) != len(own):
        raise ValueError(
            f"The 'feature_names' parameter of OrdinalPathDisplay must have one name "
            f"for each of the {len(own)} features. Got {len(given)}; pass all of them "
            f"in the order of the columns."
        )
    return [str(name) for name in given]
