"""Which rows are odd, and how: residuals against robust distances."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.covariance import MinCovDet
from sklearn.utils.validation import check_array

from statlearn.utils._axes import INK, axes_for
from statlearn.utils._fitted import fitted_or_refuse
from statlearn.utils._numbers import integer_in
from statlearn.utils._scale import mad

Array = NDArray[np.float64]

# Beyond these, 1.2 % of normal residuals and 2.5 % of normal rows are found.
CUTOFF, TAIL = 2.5, 0.975


class RobustResidualsDisplay:
    """Standardised residuals against robust distances, weights as colour.

    Rows far above or below are vertical outliers; rows far to the right lie far from
    the bulk of X: good leverage points near the zero line, bad ones away from it. Lines
    mark 2.5 scales and the 97.5 % quantile of the distances of normal rows. Create it
    with `from_estimator` or `from_predictions`, then call `plot`.

    Parameters
    ----------
    residuals : ndarray of shape (n_samples,)
        Residuals divided by their scale.
    distances : ndarray of shape (n_samples,)
        Robust Mahalanobis distances of the rows of X.
    weights : ndarray of shape (n_samples,) or None
        Weights of the rows in the fit, for the colour.
    n_features : int
        Degrees of freedom of the distances: columns that are not constant.
    labels : ndarray of shape (n_samples,)
        Names of the rows.
    name : str, default=None
        Name of the estimator in the legend.

    Attributes
    ----------
    ax_ : Axes
        Where `plot` drew. Set by `plot`, like the following ones.
    figure_ : Figure
        The figure.
    points_ : PathCollection
        The points.
    texts_ : list of Annotation
        Names of the rows that lie farthest out.

    See Also
    --------
    ReweightedLinearRegression : The estimator whose fit is shown.
    statlearn.weights.WeightDisplay : Weights against what they were made from.
    sklearn.metrics.PredictionErrorDisplay : Residuals against predictions.

    References
    ----------
    Peter J. Rousseeuw, Bert C. van Zomeren. Unmasking Multivariate Outliers and
    Leverage Points. Journal of the American Statistical Association 85, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.linear_model import (
    ...     ReweightedLinearRegression,
    ...     RobustResidualsDisplay,
    ... )
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 2))
    >>> y = X @ [1.0, 2.0] + rng.normal(scale=0.1, size=60)
    >>> y[7] += 10.0
    >>> model = ReweightedLinearRegression("mm", random_state=0).fit(X, y)
    >>> display = RobustResidualsDisplay.from_estimator(model, X, random_state=0)
    >>> int(np.argmax(abs(display.residuals)))
    7
    >>> len(display.plot(n_labels=1).texts_)
    1
    """

    ax_: Any
    figure_: Any
    points_: Any
    texts_: list[Any]

    def __init__(
        self,
        *,
        residuals: Array,
        distances: Array,
        weights: Array | None,
        n_features: int,
        labels: NDArray[Any],
        name: str | None = None,
    ) -> None:
        self.residuals = residuals
        self.distances = distances
        self.weights = weights
        self.n_features = n_features
        self.labels = labels
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        labels: ArrayLike | None = None,
        random_state: Any = None,
        name: str | None = None,
    ) -> RobustResidualsDisplay:
        """Look at the rows of a fit, or at new ones.

        Parameters
        ----------
        estimator : ReweightedLinearRegression
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Rows; those of the fit if `y` is None.
        y : array-like of shape (n_samples,), default=None
            Responses of new rows, which are shown without weights. None shows the
            residuals and weights of the fit.
        labels : array-like of shape (n_samples,), default=None
            Names of the rows; None takes the index of a data frame, or counts from 0.
        random_state : int, RandomState or None, default=None
            Source of the subsets that the robust distances start from.
        name : str, default=None
            Name in the legend; None takes the class name.

        Returns
        -------
        display : RobustResidualsDisplay
            Not drawn yet.

        Raises
        ------
        TypeError
            If the estimator has no `scale_`.
        ValueError
            If the number of rows differs from that of the fit, or the scale is zero.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        """
        fitted_or_refuse(estimator, "RobustResidualsDisplay.from_estimator")
        if not hasattr(estimator, "scale_"):
            raise TypeError(
                "RobustResidualsDisplay.from_estimator expected an estimator that "
                f"knows the scale of its residuals. Got {type(estimator).__name__}; "
                "use from_predictions, which finds the scale."
            )
        rows = check_array(X, dtype=np.float64)
        weights = None
        if y is None:
            residuals, weights = estimator.residuals_, estimator.weights_
        else:
            residuals = np.asarray(y, dtype=np.float64) - estimator.predict(X)
        return cls._build(
            residuals,
            estimator.scale_,
            rows,
            weights,
            _row_labels(X, labels, len(rows)),
            random_state,
            type(estimator).__name__ if name is None else name,
            "RobustResidualsDisplay.from_estimator",
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        X: Any,
        *,
        scale: float | None = None,
        weights: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        random_state: Any = None,
        name: str | None = None,
    ) -> RobustResidualsDisplay:
        """Look at predictions of any regression.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,)
            Responses and predictions.
        X : array-like of shape (n_samples, n_features)
            Rows.
        scale : float, default=None
            Scale of the residuals; None takes their median absolute size.
        weights : array-like of shape (n_samples,), default=None
            Weights of the rows, for the colour.
        labels : array-like of shape (n_samples,), default=None
            Names of the rows; None takes the index of a data frame, or counts from 0.
        random_state : int, RandomState or None, default=None
            Source of the subsets that the robust distances start from.
        name : str, default=None
            Name in the legend.

        Returns
        -------
        display : RobustResidualsDisplay
            Not drawn yet.

        Raises
        ------
        ValueError
            If lengths disagree, or the scale is zero.

        Examples
        --------
        >>> import numpy as np
        >>> from statlearn.linear_model import RobustResidualsDisplay
        >>> X = np.random.default_rng(0).normal(size=(30, 1))
        >>> display = RobustResidualsDisplay.from_predictions(
        ...     X[:, 0], np.zeros(30), X, scale=0.5, random_state=0
        ... )
        >>> bool(np.allclose(display.residuals, 2 * X[:, 0]))
        True
        """
        residuals = np.asarray(y_true, np.float64) - np.asarray(y_pred, np.float64)
        rows = check_array(X, dtype=np.float64)
        return cls._build(
            residuals,
            mad(residuals) if scale is None else float(scale),
            rows,
            None if weights is None else np.asarray(weights, np.float64),
            _row_labels(X, labels, len(rows)),
            random_state,
            name,
            "RobustResidualsDisplay.from_predictions",
        )

    @classmethod
    def _build(
        cls,
        residuals: Array,
        scale: float,
        rows: Array,
        weights: Array | None,
        labels: NDArray[Any],
        random_state: Any,
        name: str | None,
        caller: str,
    ) -> RobustResidualsDisplay:
        lengths = {
            "residuals": residuals.shape,
            "labels": labels.shape,
            **({} if weights is None else {"weights": weights.shape}),
        }
        wrong = {key: shape for key, shape in lengths.items() if shape != (len(rows),)}
        if wrong:
            raise ValueError(
                f"{caller} expected one value for each of the {len(rows)} rows of X. "
                f"Got shapes {wrong}; pass the rows that belong together."
            )
        if not scale > 0.0:
            raise ValueError(
                f"{caller} expected residuals with a positive scale. Got {scale}; pass "
                "a fit with scale=<number>, or the 'scale' parameter."
            )
        return cls(
            residuals=residuals / scale,
            distances=robust_distances(rows, random_state),
            weights=weights,
            n_features=max(1, int(_varying(rows).sum())),
            labels=labels,
            name=name,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        name: str | None = None,
        n_labels: int = 5,
        **kwargs: Any,
    ) -> RobustResidualsDisplay:
        """Draw the points.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None makes a new figure.
        name : str, default=None
            Name in the legend; None takes that of the display.
        n_labels : int, default=5
            Most rows to name: those beyond the lines, farthest out first.
        **kwargs : object
            For ``Axes.scatter``.

        Returns
        -------
        display : RobustResidualsDisplay
            Itself, with `ax_`, `figure_` and the artists set.
        """
        caller = "RobustResidualsDisplay.plot"
        n_labels = integer_in(n_labels, "n_labels", caller, "pass 0 to name no row", 0)
        self.ax_ = axes_for(ax, caller)
        self.figure_ = self.ax_.figure
        limit = float(np.sqrt(stats.chi2.ppf(TAIL, self.n_features)))
        options: dict[str, Any] = {"s": 22, "edgecolors": INK, "linewidths": 0.4}
        if self.weights is not None:
            top = max(1.0, float(self.weights.max()))
            options |= {"c": self.weights, "cmap": "cividis", "vmin": 0.0, "vmax": top}
        label = self.name if name is None else name
        self.points_ = self.ax_.scatter(
            self.distances, self.residuals, label=label, **(options | kwargs)
        )
        if self.weights is not None:
            self.figure_.colorbar(self.points_, ax=self.ax_, label="Weight")
        for height in (-CUTOFF, CUTOFF):
            self.ax_.axhline(height, color=INK, linewidth=0.8, linestyle="--")
        self.ax_.axvline(limit, color=INK, linewidth=0.8, linestyle=":")
        out = np.maximum(np.abs(self.residuals) / CUTOFF, self.distances / limit)
        farthest = np.argsort(-out, kind="stable")[:n_labels]
        self.texts_ = [
            self.ax_.annotate(
                str(self.labels[row]),
                (self.distances[row], self.residuals[row]),
                xytext=(4, 3),
                textcoords="offset points",
                fontsize="small",
            )
            for row in farthest
            if out[row] > 1.0
        ]
        self.ax_.set_xlabel("Robust distance of the row")
        self.ax_.set_ylabel("Residual / scale")
        if label is not None:
            self.ax_.legend()
        return self


def robust_distances(X: Array, random_state: Any = None) -> Array:
    """Return Mahalanobis distances (n,) from a covariance that outliers do not move.

    Columns that are constant for the bulk of the rows have no robust spread; the
    covariance is then singular, and distances are taken in its range. Constant columns
    do not count.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows.
    random_state : int, RandomState, Generator or None, default=None
        Source of the subsets that the search starts from.

    Returns
    -------
    distances : ndarray of shape (n,)
        Non-negative, zero for all if every column is constant.
    """
    X = X[:, _varying(X)]
    if not X.shape[1]:
        return np.zeros(len(X))
    seed = random_state
    if isinstance(seed, np.random.Generator):
        seed = int(seed.integers(2**32))
    center = np.median(X, axis=0)
    spread = np.median(np.abs(X - center), axis=0)
    fallback = np.abs(X - center).max(axis=0)
    unit = np.where(spread > 0.0, spread, np.where(fallback > 0.0, fallback, 1.0))
    scaled = (X - center) / unit
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not full rank.*")
        warnings.filterwarnings("ignore", message="Determinant has increased.*")
        try:
            found = MinCovDet(random_state=seed).fit(scaled)
        except ValueError as error:
            if "equal to 0" not in str(error):
                raise
            # The bulk is one point: there is no range to measure in.
            return np.zeros(len(X))
    return np.sqrt(np.maximum(found.mahalanobis(scaled), 0.0))


def _varying(X: Array) -> NDArray[np.bool_]:
    """Tell which columns (p,) of a table are not constant."""
    return X.min(axis=0) < X.max(axis=0)


def _row_labels(X: Any, labels: ArrayLike | None, n: int) -> NDArray[Any]:
    if labels is not None:
        return np.asarray(labels)
    index = getattr(X, "index", None)
    named = index is not None and not callable(index)
    return np.asarray(index) if named else np.arange(n)
