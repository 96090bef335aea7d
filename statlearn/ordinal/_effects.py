"""Average marginal effects on class probabilities, with delta-method standard errors.

With ``Q[k, b] = dP(Y = k) / d eta[b]`` the effect of a column is ``Q @ coef[:, j]``;
its derivative in the coefficients needs the second derivatives of the probabilities.
Both are averaged over the rows first, so that what is kept is small whatever the number
of rows; a 0/1 column takes the difference of probabilities instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from statlearn.ordinal._design import Matrix, project, row_chunks
from statlearn.ordinal._families import Cumulative, Family, OrdinalModel
from statlearn.ordinal._inference import Covariance, Layout
from statlearn.utils._tables import number, probability, text_table
from statlearn.utils._wald import NOT_COMPUTED, NOT_DETERMINED, normal_pvalue

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MarginalEffects:
    """Effects of features on class probabilities.

    Attributes
    ----------
    effect : ndarray of shape (n_features, n_classes)
        Change of ``P(Y = k)`` with the feature: a derivative, or for `discrete`
        features the difference between 1 and 0. Rows sum to zero.
    bse : ndarray of shape (n_features, n_classes)
        Standard errors by the delta method; ``inf`` where the data do not determine
        the effect.
    pvalue : ndarray of shape (n_features, n_classes)
        Two-sided, of the hypothesis of no effect.
    features : ndarray of shape (n_features,)
        Names of the features.
    classes : ndarray of shape (n_classes,)
        Classes from low to high.
    discrete : ndarray of bool, shape (n_features,)
        Which features were changed from 0 to 1.
    at : str
        "overall" for the average over the rows, "mean" for the effect at their mean.

    Examples
    --------
    >>> from statlearn.datasets import load_wine_bitterness
    >>> from statlearn.ordinal import OrdinalRegression
    >>> X, y = load_wine_bitterness(return_X_y=True)
    >>> effects = OrdinalRegression().fit(X, y).marginal_effects()
    >>> effects.effect.round(3)
    array([[-0.117, -0.347,  0.085,  0.222,  0.156],
           [-0.085, -0.17 ,  0.027,  0.118,  0.111]])
    """

    effect: Array
    bse: Array
    pvalue: Array
    features: NDArray[np.str_]
    classes: NDArray[Any]
    discrete: Mask
    at: str

    def _rows(self) -> Iterator[tuple[str, Any, float, float, float]]:
        for j, name in enumerate(self.features):
            for k, label in enumerate(self.classes.tolist()):
                cell = (self.effect[j, k], self.bse[j, k], self.pvalue[j, k])
                yield (str(name), label, *(float(value) for value in cell))

    def to_frame(self) -> Any:
        """Return a pandas data frame with a row for each feature and class.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by feature and class; columns ``effect``, ``bse`` and ``pvalue``.
        """
        from statlearn.utils._optional import require

        pandas = require("pandas", None, "MarginalEffects.to_frame")
        names = ["feature", "class", "effect", "bse", "pvalue"]
        frame = pandas.DataFrame(list(self._rows()), columns=names)
        return frame.set_index(["feature", "class"])

    def summary(self) -> str:
        """Return the effects as text.

        Returns
        -------
        text : str
            One line for each feature and class.
        """
        where = "averaged over the rows" if self.at == "overall" else "at the mean row"
        table = text_table(
            ("feature", "class", "effect", "std err", "p-value"),
            [
                (name, str(label), number(effect), number(error), probability(pvalue))
                for name, label, effect, error, pvalue in self._rows()
            ],
        )
        lines = [f"Marginal effects on P(Y = class), {where}", table]
        if self.discrete.any():
            changed = ", ".join(self.features[self.discrete])
            lines.append(f"Difference between 1 and 0, not a derivative: {changed}")
        if np.isinf(self.bse).any():
            lines.append(NOT_DETERMINED)
        if np.isnan(self.bse).any():
            lines.append(NOT_COMPUTED)
        return "\n".join(lines)


def effects_table(
    effect: Array,
    bse: Array,
    present: NDArray[np.intp],
    features: NDArray[np.str_],
    classes: NDArray[Any],
    discrete: Mask,
    at: str,
) -> MarginalEffects:
    """Return effects (p, K') on the classes present, and zeros on all others."""
    full = np.zeros((2, len(features), len(classes)))
    full[0][:, present], full[1][:, present] = effect, bse
    pvalue = normal_pvalue(*full)
    return MarginalEffects(full[0], full[1], pvalue, features, classes, discrete, at)


class Derivatives(NamedTuple):
    """Probability of a class in ``n`` rows, and derivatives in ``t`` boundaries."""

    proba: Array  # (n,)
    first: Array  # (t, n)
    pairs: tuple[tuple[int, int], ...]  # (b, d), b <= d: where `second` is not zero
    second: tuple[Array, ...]  # one (n,) vector for each pair


@dataclass(frozen=True)
class Margins:
    """What effects are computed from, in the order of the fit.

    Attributes
    ----------
    model : OrdinalModel
    coef : (m, p)
    X : (n, p) dense or sparse
    share : (n,) weights that sum to one
    eta : (m, n)
    """

    model: OrdinalModel
    coef: Array
    X: Matrix
    share: Array
    eta: Array

    @classmethod
    def of(
        cls, model: OrdinalModel, intercept: Array, coef: Array, X: Matrix, share: Array
    ) -> Margins:
        """Take coefficients in the user's order."""
        eta = np.ascontiguousarray((X @ coef.T + intercept).T)
        return cls(model, model.orient(coef), X, share, model.orient(eta))

    @property
    def n_boundaries(self) -> int:
        """Number of boundaries m."""
        return len(self.coef)

    def jacobian(self) -> Array:
        """Return a zero array (K, m, 1 + p) for derivatives of one column's effects."""
        m, p = self.coef.shape
        return np.zeros((m + 1, m, 1 + p))


def marginal_effects(
    margins: Margins, discrete: Mask, layout: Layout, covariance: Covariance | None
) -> tuple[Array, Array]:
    """Return effects and standard errors, both (p, K) in the user's class order.

    Parameters
    ----------
    margins : Margins
    discrete : (p,) boolean array
        Columns to change from 0 to 1.
    layout : Layout
        Of the parameters that the covariance is of.
    covariance : Covariance or None
        Without it standard errors are NaN.
    """
    model = margins.model
    p, m = len(discrete), margins.n_boundaries
    effect, bse = np.zeros((p, m + 1)), np.full((p, m + 1), np.nan)
    slopes = None if discrete.all() else _average_derivatives(margins)
    for j in range(p):
        if discrete[j]:
            effect[j], jacobian = _difference(margins, j)
        else:
            effect[j], jacobian = _derivative(margins, slopes, j)
        if covariance is None:
            continue
        # From the order of the fit to that of the user: boundaries, then classes.
        jacobian = model.orient(jacobian.transpose(1, 0, 2)).transpose(1, 0, 2)
        bse[j] = covariance.standard_errors(layout.collect(jacobian))
    if model.reverse:
        effect, bse = effect[:, ::-1], bse[:, ::-1]
    return effect, bse


# -- derivatives of class probabilities ------------------------------------------------


def class_derivatives(
    family: Family, c: int, m: int, eta: Array, *, second: bool = True
) -> Derivatives:
    """Return the probability of class ``c`` with derivatives in its boundaries.

    Parameters
    ----------
    family : Family
    c, m : int
    eta : (t, n)
        Linear predictors of the boundaries that class ``c`` touches.
    second : bool
        Whether second derivatives are wanted.
    """
    with np.errstate(all="ignore"):
        if isinstance(family, Cumulative):
            return _cumulative_derivatives(family, c, m, eta)
        terms = family.terms(c, m, eta, curvature=second)
        proba = np.exp(-terms.loss)
        slope = terms.gradient
        first = _settled(-proba * slope)
        if not second:
            return Derivatives(proba, first, (), ())
        pairs, bends = [], []
        for (b, d), bend in _all_pairs(terms.pairs, terms.curvature, len(eta)):
            pairs.append((b, d))
            bends.append(_settled(proba * (slope[b] * slope[d] - bend)))
        return Derivatives(proba, first, tuple(pairs), tuple(bends))


def _settled(derivative: Array) -> Array:
    """Return zero where a row is so far out that the product is ``0 * inf``."""
    return np.where(np.isfinite(derivative), derivative, 0.0)


def _all_pairs(
    pairs: tuple[tuple[int, int], ...], values: tuple[Array, ...], t: int
) -> Iterator[tuple[tuple[int, int], Array | float]]:
    """Yield every pair of boundaries, with zero for those without curvature."""
    known = dict(zip(pairs, values, strict=True))
    for b in range(t):
        for d in range(b, t):
            yield (b, d), known.get((b, d), 0.0)


def _cumulative_derivatives(
    family: Cumulative, c: int, m: int, eta: Array
) -> Derivatives:
    # Straight from F, so that crossing boundaries need no special care: the
    # probabilities are then negative, their derivatives as smooth as elsewhere.
    link = family.link
    below = np.array([b == c for b in family.touched(c, m)])
    sign = np.where(below, 1.0, -1.0)[:, None]
    density = sign * link.pdf(eta)
    bend = density * link.score(eta)
    proba = (sign * link.cdf(eta)).sum(axis=0) + (1.0 if c == m else 0.0)
    pairs = tuple((b, b) for b in range(len(eta)))
    return Derivatives(proba, density, pairs, tuple(bend))


# -- effects of one column ------------------------------------------------------------


class Averages(NamedTuple):
    """Derivatives of one class probability, averaged over the rows."""

    touched: slice
    first: Array  # (t,)
    second: Array  # (t, t, 1 + p), times one and times each column


def _average_derivatives(margins: Margins) -> list[Averages]:
    family, m = margins.model.family, margins.n_boundaries
    out = []
    for c in range(m + 1):
        touched = family.touched(c, m)
        t, where = len(touched), slice(touched.start, touched.stop)
        first = np.zeros(t)
        second = np.zeros((t, t, 1 + margins.coef.shape[1]))
        for rows in row_chunks(margins.X):
            found = class_derivatives(family, c, m, margins.eta[where, rows])
            first += found.first @ margins.share[rows]
            bends = np.array(found.second) * margins.share[rows]
            left, right = np.array(found.pairs).T
            averaged = _with_columns(bends, margins.X[rows])
            second[left, right] += averaged
            across = left != right
            second[right[across], left[across]] += averaged[across]
        out.append(Averages(where, first, second))
    return out


def _with_columns(values: Array, X: Matrix) -> Array:
    """Return the sums (r, 1 + p) of values (r, n) times one and times each column."""
    return np.column_stack((values.sum(axis=1), project(X, values)))


def _derivative(
    margins: Margins, slopes: list[Averages] | None, j: int
) -> tuple[Array, Array]:
    """Return effects (K,) of a column and their derivatives (K, m, 1 + p)."""
    jacobian = margins.jacobian()
    effect = np.zeros(len(jacobian))
    for c, average in enumerate(slopes or ()):
        own = margins.coef[average.touched, j]
        effect[c] = average.first @ own
        jacobian[c, average.touched] = np.tensordot(own, average.second, axes=1)
        jacobian[c, average.touched, 1 + j] += average.first
    return effect, jacobian


def _difference(margins: Margins, j: int) -> tuple[Array, Array]:
    """Return the same for a change of the column from 0 to 1."""
    family, m = margins.model.family, margins.n_boundaries
    jacobian = margins.jacobian()
    effect = np.zeros(len(jacobian))
    value = dense_column(margins.X, j)
    own = margins.coef[:, [j]]
    for rows in row_chunks(margins.X):
        X, share = margins.X[rows], margins.share[rows]
        without = margins.eta[:, rows] - own * value[rows]
        for c in range(m + 1):
            touched = family.touched(c, m)
            where = slice(touched.start, touched.stop)
            low = class_derivatives(family, c, m, without[where], second=False)
            high = class_derivatives(
                family, c, m, without[where] + own[where], second=False
            )
            effect[c] += share @ (high.proba - low.proba)
            jacobian[c, where] += _with_columns((high.first - low.first) * share, X)
            # The column itself is one in the first term and zero in the second.
            jacobian[c, where, 1 + j] += (high.first - low.first) @ (
                -share * value[rows]
            ) + high.first @ share
    return effect, jacobian


# -- columns --------------------------------------------------------------------------


def dense_column(X: Matrix, j: int) -> Array:
    """Return one column (n,) of a dense or sparse matrix."""
    if sparse.issparse(X):
        return np.asarray(X[:, [j]].toarray()).ravel()
    return X[:, j]


def binary_columns(X: Matrix) -> Mask:
    """Return which columns (p,) hold zeros and ones, and both of them."""
    n_rows, p = X.shape
    if sparse.issparse(X):
        stored = X.tocsc()
        owner = np.repeat(np.arange(p), np.diff(stored.indptr))
        other = (stored.data != 0.0) & (stored.data != 1.0)
        n_ones = np.bincount(owner[stored.data == 1.0], minlength=p)
        n_other = np.bincount(owner[other], minlength=p)
    else:
        n_ones, n_other = np.zeros(p, np.intp), np.zeros(p, np.intp)
        for rows in row_chunks(X):
            one = X[rows] == 1.0
            n_ones += one.sum(axis=0)
            n_other += (~one & (X[rows] != 0.0)).sum(axis=0)
    return (n_other == 0) & (n_ones > 0) & (n_ones < n_rows)


def mean_row(X: Matrix, share: Array) -> Array:
    """Return the weighted mean of the rows as a matrix (1, p)."""
    return np.asarray(project(X, share[None]))
