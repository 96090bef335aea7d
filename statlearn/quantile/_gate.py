"""Weights of models that depend on the row: a softmax, linear in the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_array, column_or_1d

from statlearn.quantile._forecasts import read_forecasts
from statlearn.utils._choices import one_of
from statlearn.utils._columns import hardly_vary
from statlearn.utils._levels import read_levels
from statlearn.utils._numbers import number_in, positive_integer
from statlearn.utils._validation import read_sample_weight

Array = NDArray[np.float64]

# Widths of the smooth corner of the loss, in standard deviations of y; each fit
# starts from the one before.
_CORNERS = (0.1, 0.01, 0.001)


class LinearGate:
    r"""Weights of models as a softmax that is linear in the features.

    An object for ``local=`` of :class:`~statlearn.quantile.QuantileAggregator`; any
    other one with the same two methods serves as well, such as a neural network.

    Parameters
    ----------
    resolution : {"coarse", "medium"}, default="coarse"
        One weight for each model, or for each model and level.
    alpha : float, default=0.01
        Strength >= 0 of the ridge penalty on the slopes of standardised features.
    max_iter : int, default=200
        Most iterations of each of three L-BFGS fits, of ever sharper losses.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features, m) or (n_features, m, q)
        Slopes, for standardised features.
    intercept_ : ndarray of shape (m,) or (m, q)
        Logits of the weights at mean features.
    objective_ : float
        Penalised smoothed loss, divided by the standard deviation of y.

    See Also
    --------
    QuantileAggregator : Learns weights from models and rows.
    fit_quantile_weights : Weights that are the same for all rows.

    Notes
    -----
    Minimises the mean smoothed pinball loss of :math:`\sum_j w_j(x) Q_{jk}` plus
    :math:`\frac{\alpha}{2} \|A\|^2` in :math:`w(x) = \mathrm{softmax}(b + A^T z)`,
    z the standardised features, from equal weights on. O(n m q + n d m) for each
    step with one weight a model.

    References
    ----------
    Rasool Fakoor, Taesup Kim, Jonas Mueller, Alexander J. Smola, Ryan J. Tibshirani.
    Flexible Model Aggregation for Quantile Regression. JMLR, 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.quantile import LinearGate
    >>> X = np.linspace(-1.0, 1.0, 200)[:, None]
    >>> y = np.abs(X[:, 0])                         # the second model is right
    >>> Q = np.stack([-X, X], axis=1)               # where x is positive
    >>> gate = LinearGate().fit(Q, y, X, [0.5])
    >>> gate.weights([[-1.0], [1.0]]).round(1)
    array([[1., 0.],
           [0., 1.]])
    """

    def __init__(
        self,
        *,
        resolution: str = "coarse",
        alpha: float = 0.01,
        max_iter: int = 200,
    ) -> None:
        self.resolution = resolution
        self.alpha = alpha
        self.max_iter = max_iter

    def fit(
        self, Q: Any, y: Any, X: Any, levels: Any, sample_weight: Any = None
    ) -> LinearGate:
        """Learn how weights depend on features.

        Parameters
        ----------
        Q : array-like of shape (n, m, q)
            Out-of-fold quantiles of m models.
        y : array-like of shape (n,)
            Targets.
        X : array-like of shape (n, n_features)
            Numbers.
        levels : array-like of shape (q,)
            Levels of the quantiles.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        self : LinearGate
            The fitted gate.

        Raises
        ------
        ValueError
            For parameters out of range, bad levels or weights, shapes that disagree,
            or Q, y or X that are not finite numbers.
        """
        self._check_parameters()
        caller = type(self).__name__
        levels = read_levels(levels, caller)
        Q = read_forecasts(Q, levels, caller, name="Q")
        y = check_array(
            column_or_1d(y, warn=True),
            dtype=np.float64,
            ensure_2d=False,
            input_name="y",
        )
        X = read_features(X, caller)
        if not len(Q) == len(y) == len(X):
            raise ValueError(
                f"The 'Q', 'y' and 'X' of {caller} must have the same number of rows. "
                f"Got {len(Q)}, {len(y)} and {len(X)}; pass the same rows in each."
            )
        weight = read_sample_weight(sample_weight, y, caller)
        share = weight / weight.sum()
        self._standardise(X[share > 0.0], share[share > 0.0])
        problem = _Problem(
            Q=Q,
            y=y,
            Z=self._design(X),
            levels=levels,
            share=share,
            alpha=self.alpha,
            shape=Q.shape[1:] if self.resolution == "medium" else Q.shape[1:2],
        )
        unit = np.sqrt(share @ (y - share @ y) ** 2) or 1.0
        theta = np.zeros(problem.Z.shape[1] * int(np.prod(problem.shape)))
        for corner in _CORNERS:
            found = minimize(
                problem.value_and_gradient,
                theta,
                args=(unit, corner * unit),
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": self.max_iter},
            )
            theta = found.x
        both = theta.reshape(-1, *problem.shape)
        self.intercept_, self.coef_ = both[0], both[1:]
        self.objective_ = float(found.fun)
        return self

    def weights(self, X: Any) -> Array:
        """Return the weights of the models at rows.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Rows.

        Returns
        -------
        weights : ndarray of shape (n, m) or (n, m, q)
            Non-negative, of total one over models.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        ValueError
            For features that are no finite numbers, or not as many as those of `fit`.
        """
        if not hasattr(self, "intercept_"):
            raise NotFittedError(
                f"{type(self).__name__} expected a fit before it gives weights. Got "
                f"none; call fit(Q, y, X, levels) first."
            )
        X = read_features(X, type(self).__name__)
        if X.shape[1] != len(self.coef_):
            raise ValueError(
                f"The 'X' of {type(self).__name__} must have the {len(self.coef_)} "
                f"features of the fit. Got {X.shape[1]}; pass the same columns."
            )
        both = np.concatenate([self.intercept_[None], self.coef_])
        logits = np.tensordot(self._design(X), both, axes=1)
        return softmax(logits, axis=1)

    def _check_parameters(self) -> None:
        caller = "LinearGate"
        one_of(self.resolution, ("coarse", "medium"), "resolution", caller)
        hint = "pass 0 for no penalty"
        number_in(self.alpha, "alpha", caller, hint, 0.0, np.inf, closed="left")
        positive_integer(self.max_iter, "max_iter", caller, "pass for example 200")

    def _standardise(self, X: Array, share: Array) -> None:
        """Store centre and spread of features (n, d) of rows with shares (n,)."""
        low, high = X.min(axis=0), X.max(axis=0)
        # In a unit of their own, whose squares are in range.
        unit = np.ldexp(1.0, np.frexp(np.maximum(np.abs(low), np.abs(high)))[1])
        scaled = X / unit
        center = share @ scaled
        spread = np.sqrt(share @ (scaled - center) ** 2)
        constant = hardly_vary(low, high)
        self._center = np.where(constant, low, unit * center)
        # Nothing is known of a feature that was constant, whatever it is later.
        self._spread = np.where(constant, np.inf, unit * spread)

    def _design(self, X: Array) -> Array:
        """Return standardised features (n, 1 + d) after a column of ones."""
        return np.column_stack([np.ones(len(X)), (X - self._center) / self._spread])


def read_features(X: Any, caller: str) -> Array:
    """Return features (n, d) as numbers, or say what they should be."""
    try:
        return check_array(X, dtype=np.float64, input_name="X")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The 'X' of {caller} must be finite numbers for weights that are linear "
            f"in it. Got values refused with: {str(error).rstrip('.')}; encode or drop "
            f"these columns, or pass a 'local' of your own that does."
        ) from error


@dataclass(frozen=True, slots=True)
class _Problem:
    """Penalised smoothed pinball loss of a softmax gate.

    Attributes
    ----------
    Q : (n, m, q), y : (n,), Z : (n, 1 + d), levels : (q,), share : (n,) of total one
    alpha : float
    shape : (m,) or (m, q)
    """

    Q: Array
    y: Array
    Z: Array
    levels: Array
    share: Array
    alpha: float
    shape: tuple[int, ...]

    def value_and_gradient(
        self, theta: Array, unit: float, corner: float
    ) -> tuple[float, Array]:
        """Return the objective in units of y, and its gradient (as theta)."""
        both = theta.reshape(-1, *self.shape)
        weights = softmax(np.tensordot(self.Z, both, axes=1), axis=1)
        across = "nm" if weights.ndim == 2 else "nmq"
        grid = np.einsum(f"nmq,{across}->nq", self.Q, weights)
        error = self.y[:, None] - grid
        slope = np.clip(error / corner, self.levels - 1.0, self.levels)
        n_levels = len(self.levels)
        loss = slope * (error - slope * (corner / 2.0))
        value = self.share @ loss.sum(axis=1) / (n_levels * unit)
        # The derivative by the logit of a model is its weight times how far its
        # quantile lies from the mixture.
        push = -slope * (self.share / (n_levels * unit))[:, None]
        if weights.ndim == 2:
            by_logit = np.einsum("nmq,nq->nm", self.Q, push)
            by_logit -= (grid * push).sum(axis=1, keepdims=True)
        else:
            by_logit = self.Q - grid[:, None, :]
            by_logit *= push[:, None, :]
        by_logit *= weights
        # In this order BLAS is many times faster than in the other.
        gradient = (by_logit.reshape(len(self.Q), -1).T @ self.Z).T
        gradient = gradient.reshape(both.shape)
        gradient[1:] += self.alpha * both[1:]
        value += self.alpha / 2.0 * (both[1:] ** 2).sum()
        return float(value), gradient.ravel()
