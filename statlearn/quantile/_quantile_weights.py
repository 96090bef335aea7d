"""Weights that combine the quantiles of several models into better ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import column_or_1d

from statlearn.exceptions import StatlearnWarning
from statlearn.quantile._constraint import FREE, Constraint
from statlearn.quantile._forecasts import read_forecasts
from statlearn.quantile._resolution import read_resolution
from statlearn.quantile._weight_problem import FoundWeights, WeightProblem
from statlearn.utils._choices import one_of
from statlearn.utils._levels import read_levels
from statlearn.utils._numbers import closed_share, number_in, positive_integer
from statlearn.utils._sklearn import blas_threads_for
from statlearn.utils._validation import read_sample_weight
from statlearn.utils._warn import warn

Array = NDArray[np.float64]
Index = NDArray[np.intp]

# Whether weights are not negative, and whether they have a sum of one.
_CONSTRAINTS = {
    "simplex": Constraint(nonneg=True, sum_to_one=True),
    "unit_sum": Constraint(sum_to_one=True),
    "nonneg": Constraint(nonneg=True),
    "free": FREE,
}
_SOLVERS = ("auto", "interior-point", "lbfgs", "highs")
# Gap of a smoothed solution, relative to the objective, that is worth a warning.
_SMOOTHED_GAP = 1e-2
_CALLER = "fit_quantile_weights"


@dataclass(frozen=True, slots=True)
class QuantileWeights:
    """Weights of models, and the quantiles that they make of others.

    Attributes
    ----------
    weights : ndarray of shape (m,), (q, m) or (q, m, q)
        Of each model (coarse), of each model at each level (medium and groups of
        levels, whose rows repeat), or of each model and level for the level in front
        (fine).
    intercept : ndarray of shape (q,)
        Added to each level; zeros unless asked for.
    objective : float
        Mean pinball loss over levels and weighted rows of the data they come from.
    duality_gap : float
        How far at most the objective is above the smallest one.
    n_iter : int
        Iterations of the solver, summed over its problems.
    levels : ndarray of shape (q,)
        The quantile levels.

    See Also
    --------
    fit_quantile_weights : Finds them.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.quantile import QuantileWeights
    >>> weights = QuantileWeights(
    ...     np.array([0.25, 0.75]), np.zeros(1), 0.0, 0.0, 0, np.array([0.5])
    ... )
    >>> weights.predict(np.array([[[1.0], [2.0]]]))
    array([[1.75]])
    """

    weights: Array
    intercept: Array
    objective: float
    duality_gap: float
    n_iter: int
    levels: Array

    def predict(self, Q: ArrayLike) -> Array:
        """Combine the quantiles of the models.

        Parameters
        ----------
        Q : array-like of shape (n, m, q)
            Quantiles of the same models at the same levels.

        Returns
        -------
        grid : ndarray of shape (n, q)
            Not sorted along the levels.

        Raises
        ------
        ValueError
            If Q has another shape than the weights need, or NaN in it.
        """
        n_models = self.weights.shape[-1 if self.weights.ndim < 3 else 1]
        caller = "QuantileWeights.predict"
        stack = read_forecasts(Q, self.levels, caller, n_models, name="Q")
        return _combine(stack, self.weights) + self.intercept


def _combine(stack: Array, weights: Array) -> Array:
    """Return weighted sums (n, q) of a stack (n, m, q)."""
    if weights.ndim == 1:
        return np.einsum("nmq,m->nq", stack, weights)
    if weights.ndim == 2:
        return np.einsum("nmq,qm->nq", stack, weights)
    return stack.reshape(len(stack), -1) @ weights.reshape(len(weights), -1).T


def fit_quantile_weights(
    Q: ArrayLike,
    y: ArrayLike,
    levels: ArrayLike,
    *,
    resolution: str | int = "medium",
    constraint: str = "simplex",
    level_groups: ArrayLike | None = None,
    intercept: bool = False,
    noncrossing: bool = False,
    sample_weight: ArrayLike | None = None,
    shrinkage: float = 0.0,
    solver: str = "auto",
    tol: float = 1e-8,
    max_iter: int = 500,
) -> QuantileWeights:
    r"""Find the weights of quantile models that minimise pinball loss, exactly.

    Pass predictions that no model made for rows it was fitted to, such as those of
    cross-validation: weights learned on others favour the model that overfits most.

    Parameters
    ----------
    Q : array-like of shape (n, m, q)
        Quantiles that m models predict for n rows at q levels.
    y : array-like of shape (n,)
        What was observed.
    levels : array-like of shape (q,)
        Strictly increasing numbers in (0, 1).
    resolution : {"coarse", "medium", "fine"} or int, default="medium"
        "coarse" gives each model one weight, "medium" one at each level, and "fine"
        lets each level use the quantiles of all models at all levels. A number is that
        of groups of adjacent levels, as equal as possible, with weights in common.
    constraint : {"simplex", "unit_sum", "nonneg", "free"}, default="simplex"
        Weights are not negative and have a sum of one; only the sum; only the sign;
        neither.
    level_groups : array-like of shape (q,), default=None
        Whole numbers: levels of the same number have weights in common. Takes the
        place of `resolution`.
    intercept : bool, default=False
        Whether each group of levels gets a constant, outside of the constraint.
    noncrossing : bool, default=False
        Whether the combined quantiles of every row must not decrease with the level.
        Only at medium resolution, and slow: all levels are one linear program.
    sample_weight : array-like of shape (n,), default=None
        Weights of rows, numbers >= 0; integers are the same as repeated rows.
    shrinkage : float, default=0.0
        Between 0 and 1, the share of the plain average of the models in the weights
        returned. The intercept shrinks towards zero.
    solver : {"auto", "interior-point", "lbfgs", "highs"}, default="auto"
        "lbfgs" smoothes the loss and stops at a gap of about 1e-4 to 1e-7 of the
        objective; the others are exact. "highs" is a general solver of linear
        programs, and "auto" takes it for `noncrossing` alone.
    tol : float, default=1e-8
        Duality gap relative to the objective.
    max_iter : int, default=500
        Iterations of each solve of the interior point or quasi-Newton method.

    Returns
    -------
    weights : QuantileWeights
        Has ``weights``, ``intercept``, ``objective``, ``duality_gap``, ``n_iter``,
        ``levels`` and ``predict(Q)``.

    Raises
    ------
    ValueError
        If the shapes disagree, levels are no levels, Q or y is not finite, weights
        are negative or all zero, a parameter is none of its values, the solver cannot
        do what is asked, or no weights keep the quantiles in order.

    Warns
    -----
    ConvergenceWarning
        If the duality gap is larger than asked for.
    StatlearnWarning
        If fine weights of one level are more than the rows.

    See Also
    --------
    statlearn.quantile.QuantileWeights : What is returned.
    scipy.optimize.linprog : Solves the same problem as a linear program.

    Notes
    -----
    With row weights :math:`s_i` and the combined quantile :math:`\hat q_k` at level
    :math:`\tau_k` the objective is

    .. math::

        \frac{1}{q \sum_i s_i} \sum_i s_i \sum_k
        \rho_{\tau_k}\bigl(y_i - \hat q_k(x_i)\bigr),
        \qquad \rho_\tau(e) = \max(\tau e, (\tau - 1) e).

    Groups of levels are separate linear programs. A primal-dual interior point method
    takes 10 to 40 iterations of cost :math:`O(N c^2)` for N rows and c columns; of
    many rows only those near the solution stay themselves, which needs memory of
    about three copies of their columns. Fine weights on the simplex are found by column
    generation. The duality gap is that of all rows and columns, at the weights that
    are returned; without a sum of one it holds up to rounding.

    Optimal weights are often not unique: compare objectives, not weights.

    References
    ----------
    R. Fakoor, T. Kim, J. Mueller, A. J. Smola, R. J. Tibshirani, "Flexible model
    aggregation for quantile regression", Journal of Machine Learning Research 24, 2023.

    S. Portnoy, R. Koenker, "The Gaussian hare and the Laplacian tortoise",
    Statistical Science 12, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from statlearn.quantile import fit_quantile_weights
    >>> y = np.array([0.0, 1.0, 2.0, 3.0])
    >>> low, high = y[:, None] - [0.4, 0.2], y[:, None] + [0.1, 0.8]
    >>> fit = fit_quantile_weights(np.stack([low, high], axis=1), y, [0.25, 0.75])
    >>> fit.weights.round(6)
    array([[0.2, 0.8],
           [0.8, 0.2]])
    >>> bool(abs(fit.objective) < 1e-12)
    True
    """
    levels = read_levels(levels, _CALLER)
    stack = read_forecasts(Q, levels, _CALLER, name="Q")
    y = _read_y(y, len(stack))
    weight = read_sample_weight(sample_weight, y, _CALLER)
    groups = read_resolution(resolution, level_groups, len(levels), _CALLER)
    fine = level_groups is None and resolution == "fine"
    _check_choices(constraint, solver, shrinkage, tol, max_iter)
    if noncrossing:
        medium = not fine and len(np.unique(groups)) == len(levels)
        _check_noncrossing(medium, solver)
    if fine and stack[0].size > len(y):
        warn(
            f"{_CALLER} expected more rows than fine weights of a level. Got "
            f"{len(y)} rows and {stack[0].size} weights (models times levels), which "
            f"can fit anything; use resolution='medium', or fewer levels.",
            StatlearnWarning,
        )
    kept = weight > 0.0
    if not kept.all():
        stack, y, weight = stack[kept], y[kept], weight[kept]
    problem = WeightProblem(
        stack,
        y,
        weight,
        levels,
        replace(_CONSTRAINTS[constraint], n_free=int(bool(intercept))),
        "highs" if noncrossing else solver,
        tol,
        max_iter,
    )
    # Its products are small: more threads would cost more than they do.
    with blas_threads_for(0):
        if fine:
            found = problem.solve_fine()
        elif noncrossing:
            found = problem.solve_in_order()
        else:
            found = problem.solve_groups(groups)
    weights = found.weights
    if level_groups is None and resolution == "coarse":
        weights = weights[0]
    return _finish(problem, found, weights, float(shrinkage))


def _finish(
    problem: WeightProblem, found: FoundWeights, weights: Array, shrinkage: float
) -> QuantileWeights:
    """Shrink the weights, and say what they are worth."""
    intercept = found.intercept
    scale = len(problem.levels) * problem.weight.sum()
    objective = _mean_loss(problem, weights, intercept)
    gap = found.gap / scale
    if not found.converged and gap > _accepted(problem) * objective:
        exact = problem.solver in ("auto", "interior-point")
        other = "highs" if exact else "interior-point"
        warn(
            f"{_CALLER} expected a duality gap of at most {_accepted(problem):g} of "
            f"the objective. Got {gap:.2g} at an objective of {objective:.6g} after "
            f"{found.n_iter} iterations; raise max_iter or tol, or use "
            f"solver={other!r}.",
            ConvergenceWarning,
        )
    if shrinkage > 0.0:
        average = plain_average(weights)
        weights = (1.0 - shrinkage) * weights + shrinkage * average
        intercept = (1.0 - shrinkage) * intercept
        shrunk = _mean_loss(problem, weights, intercept)
        objective, gap = shrunk, max(gap + shrunk - objective, 0.0)
    return QuantileWeights(
        weights, intercept, objective, gap, found.n_iter, problem.levels
    )


def _accepted(problem: WeightProblem) -> float:
    return max(problem.tol, _SMOOTHED_GAP if problem.solver == "lbfgs" else 0.0)


def _mean_loss(problem: WeightProblem, weights: Array, intercept: Array) -> float:
    residual = problem.y[:, None] - _combine(problem.stack, weights) - intercept
    loss = np.maximum(problem.levels * residual, (problem.levels - 1.0) * residual)
    return float(problem.weight @ loss.mean(axis=1) / problem.weight.sum())


def plain_average(weights: Array) -> Array:
    """Return equal weights of all models, each at the level that it predicts."""
    if weights.ndim < 3:
        return np.full_like(weights, 1.0 / weights.shape[-1])
    own = np.eye(len(weights))[:, None, :] / weights.shape[1]
    return np.broadcast_to(own, weights.shape)


def _read_y(y: Any, n: int) -> Array:
    """Return finite targets (n,); a column becomes one axis, with a warning."""
    found = column_or_1d(np.asarray(y, dtype=np.float64), warn=True)
    if len(found) != n:
        raise ValueError(
            f"The 'y' of {_CALLER} must hold one number for each of the {n} rows of Q. "
            f"Got {len(found)}; pass the same rows in the same order."
        )
    if not np.isfinite(found).all():
        missing = int((~np.isfinite(found)).sum())
        raise ValueError(
            f"The 'y' of {_CALLER} must be finite. Got NaN or infinity in {missing} of "
            f"{n} rows; drop these rows, or give them the sample_weight 0 and a number."
        )
    return found


def _check_choices(
    constraint: Any, solver: Any, shrinkage: Any, tol: Any, max_iter: Any
) -> None:
    one_of(
        constraint, _CONSTRAINTS, "constraint", _CALLER, "pass 'simplex' if in doubt"
    )
    one_of(solver, _SOLVERS, "solver", _CALLER, "pass 'auto' if in doubt")
    hint = "0 leaves the weights as they are, 1 gives the average"
    closed_share(shrinkage, "shrinkage", _CALLER, hint)
    number_in(tol, "tol", _CALLER, "pass 1e-8", 0.0, 1.0, closed="neither")
    positive_integer(max_iter, "max_iter", _CALLER, "pass 500")


def _check_noncrossing(own_weights: bool, solver: str) -> None:
    if not own_weights:
        raise ValueError(
            f"The 'noncrossing' of {_CALLER} must be False but at resolution='medium'. "
            f"Got True with other weights; coarse convex weights keep the order of "
            f"their models, and statlearn.quantile.sort_quantiles sorts any grid."
        )
    if solver not in ("auto", "highs"):
        raise ValueError(
            f"The 'solver' of {_CALLER} must be 'auto' or 'highs' for noncrossing "
            f"weights. Got {solver!r}; no other keeps quantiles in order."
        )
