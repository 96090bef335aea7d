"""What a fitted ordinal regression tells: estimates, tests, marginal effects.

`OrdinalRegression` fits; the methods here read the fit. Posing the problem is here too,
because the tests pose it again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from statlearn.ordinal._base import OrdinalClassifierBase, TrainingData
from statlearn.ordinal._brant import BrantTest, brant_test
from statlearn.ordinal._columns import column_mask
from statlearn.ordinal._effects import (
    MarginalEffects,
    Margins,
    binary_columns,
    effects_table,
    marginal_effects,
    mean_row,
)
from statlearn.ordinal._inference import Covariance, Layout, free_pattern
from statlearn.ordinal._problem import PenaltySpec, Problem, pose
from statlearn.ordinal._proportionality import (
    ProportionalityTest,
    Study,
    likelihood_ratio_test,
    score_test,
)
from statlearn.ordinal._solver import Solution
from statlearn.utils._choices import one_of
from statlearn.utils._deprecation import renamed_parameter
from statlearn.utils._numbers import read_coverage
from statlearn.utils._tables import facts
from statlearn.utils._validation import read_sample_weight
from statlearn.utils._wald import WaldTable, wald_table
from statlearn.utils._warn import warn

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class FittedRegression(OrdinalClassifierBase):
    """Inference from the attributes that `OrdinalRegression.fit` sets."""

    params_: Array
    param_names_: NDArray[np.str_]
    bse_: Array
    loglik_: float
    null_loglik_: float
    aic_: float
    bic_: float
    n_obs_: float
    n_iter_: int
    _layout: Layout
    _covariance: Covariance | None

    # -- posing ------------------------------------------------------------------

    def _strength(self) -> float:
        return float(self.alpha) if self.penalty == "l2" else 0.0

    def _parallel_columns(self) -> Mask:
        """Return which columns (p,) have one slope."""
        if isinstance(self.parallel, (bool, np.bool_)):
            return np.full(self.n_features_in_, bool(self.parallel))
        return self._column_mask("parallel", self.parallel)

    def _column_mask(self, parameter: str, columns: Any) -> Mask:
        return column_mask(
            columns,
            self._feature_names(),
            named=hasattr(self, "feature_names_in_"),
            parameter=parameter,
            caller=type(self).__name__,
        )

    def _pose(self, data: TrainingData) -> Problem:
        n_present = len(np.unique(data.codes))
        return pose(
            data.X,
            data.codes,
            data.weight,
            len(self.classes_),
            self._model(),
            PenaltySpec(l1_ratio=0.0),
            free=free_pattern(self._parallel_columns(), n_present - 1, self.reverse),
            tol=self.tol,
            max_iter=self.max_iter,
        )

    def _warn_unless_converged(self, solution: Solution) -> None:
        if not solution.converged:
            warn(
                f"{type(self).__name__} expected to reach tol={self.tol:g} within "
                f"max_iter={self.max_iter} Newton steps. Got an optimality (KKT) "
                f"violation of {solution.kkt:.3g}; increase max_iter or tol, or use "
                f"penalty='l2'.",
                ConvergenceWarning,
            )

    # -- estimates ---------------------------------------------------------------

    @renamed_parameter("level", "coverage")
    def conf_int(self, coverage: float = 0.95) -> Array:
        """Return normal confidence intervals of the parameters.

        .. versionchanged:: 0.2
           The parameter `level` is called `coverage`.

        Parameters
        ----------
        coverage : float, default=0.95
            Share of the intervals that hold the parameter, in (0, 1).

        Returns
        -------
        interval : ndarray of shape (n_params, 2)
            Lower and upper ends, in the order of `params_`.
        """
        return self.wald_table(coverage).interval

    @renamed_parameter("level", "coverage")
    def wald_table(self, coverage: float = 0.95) -> WaldTable:
        """Return estimates, standard errors, Wald tests and confidence intervals.

        .. versionchanged:: 0.2
           The parameter `level` is called `coverage`.

        Parameters
        ----------
        coverage : float, default=0.95
            Coverage of the intervals, in (0, 1).

        Returns
        -------
        table : WaldTable
            With ``summary()`` for reading and ``to_frame()`` for pandas.
        """
        check_is_fitted(self)
        share = read_coverage(coverage, type(self).__name__)
        return wald_table(self.param_names_, self.params_, self.bse_, share)

    def summary(self, coverage: float = 0.95) -> str:
        """Return the fit as text: criteria, then a row for each parameter.

        .. versionchanged:: 0.2
           The parameter `coverage` is new.

        Parameters
        ----------
        coverage : float, default=0.95
            Coverage of the confidence intervals, in (0, 1).

        Returns
        -------
        text : str
            Print it.
        """
        table = self.wald_table(coverage)
        penalty = "none" if not self._strength() else f"l2, alpha={self.alpha:g}"
        head = facts(
            [
                ("Family", self.family + (", reversed" if self.reverse else "")),
                ("Link", self.link),
                ("Classes", " < ".join(map(str, self.classes_.tolist()))),
                ("Penalty", penalty),
                ("Newton steps", str(self.n_iter_)),
                ("Sum of weights", f"{self.n_obs_:g}"),
                ("Log-likelihood", f"{self.loglik_:.4f}"),
                ("Without features", f"{self.null_loglik_:.4f}"),
                ("AIC", f"{self.aic_:.4f}"),
                ("BIC", f"{self.bic_:.4f}"),
            ]
        )
        return f"Ordinal regression\n{head}\n\n{table.summary()}"

    # -- tests of proportionality --------------------------------------------------

    def nominal_test(
        self, X: Any = None, y: Any = None, sample_weight: Any = None
    ) -> ProportionalityTest:
        """Test equal slopes of each parallel column by likelihood ratios.

        Each column in turn, and then all of them together, get a slope for each
        boundary, and the model is fitted again.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), optional
            By default the data of `fit`, unless the model was pickled or copied.
        y : array-like of shape (n_samples,), optional
            Ordered labels.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows.

        Returns
        -------
        test : ProportionalityTest
            A statistic for each parallel column and one for all.

        Notes
        -----
        The models compared are fitted by maximum likelihood to the data given, also if
        this one has a penalty.
        """
        return likelihood_ratio_test(self._study(X, y, sample_weight))

    def score_test(
        self, X: Any = None, y: Any = None, sample_weight: Any = None
    ) -> ProportionalityTest:
        """Test equal slopes of each parallel column by the score of the wider model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), optional
            By default the data of `fit`, unless the model was pickled or copied.
        y : array-like of shape (n_samples,), optional
            Ordered labels.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows.

        Returns
        -------
        test : ProportionalityTest
            A statistic for each parallel column and one for all.

        Notes
        -----
        The score is measured by the observed information of the wider model at the
        parallel maximum-likelihood fit. Nothing is fitted again, and separated slopes
        of the wider model do no harm.
        """
        return score_test(self._study(X, y, sample_weight))

    def brant_test(
        self, X: Any = None, y: Any = None, sample_weight: Any = None
    ) -> BrantTest:
        """Test equal slopes by comparing separate binary fits of all boundaries.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), optional
            By default the data of `fit`, unless the model was pickled or copied.
        y : array-like of shape (n_samples,), optional
            Ordered labels.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows.

        Returns
        -------
        test : BrantTest
            A statistic for each parallel column and one for all, and the binary slopes.

        Raises
        ------
        ValueError
            For another family than "cumulative".

        Notes
        -----
        Brant's covariance for the logit link is the case ``f = F (1 - F)`` of that of
        estimating equations, which is used for every link: the scores of boundaries
        ``k <= l`` have covariance ``f_k f_l / ((1 - F_k) F_l)`` times ``x x'``.
        """
        check_is_fitted(self)
        if self.family != "cumulative":
            raise ValueError(
                f"{type(self).__name__}.brant_test expected family='cumulative', whose "
                f"boundaries are binary regressions of all rows. Got "
                f"family={self.family!r}; use nominal_test() or score_test()."
            )
        return brant_test(self._study(X, y, sample_weight))

    def _study(self, X: Any, y: Any, sample_weight: Any) -> Study:
        """Fit the parallel model by maximum likelihood, from here if possible."""
        data = self._training(X, y, sample_weight)
        problem = self._pose(data)
        present, intercept, coef = self._reduced
        if np.array_equal(present, problem.present):
            problem.restart(intercept, coef)
        solution = problem.fit_at(0.0).solution
        self._warn_unless_converged(solution)
        return Study(
            problem,
            solution,
            np.flatnonzero(self._parallel_columns()),
            data.feature_names,
            self.classes_[problem.present],
        )

    # -- marginal effects ----------------------------------------------------------

    def marginal_effects(
        self,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        at: str = "overall",
        discrete: Any = "auto",
    ) -> MarginalEffects:
        """Return how each feature changes the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), optional
            Rows to average over; by default those of `fit`, unless the model was
            pickled or copied.
        y : array-like of shape (n_samples,), optional
            Only needed for the class weights of rows that are given.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows.
        at : {"overall", "mean"}, default="overall"
            Average the effects over the rows, or take them at the mean of the rows.
        discrete : "auto" or list of columns, default="auto"
            Columns, by name or position, whose effect is the difference between 1 and 0
            instead of a derivative. "auto" takes those that hold zeros and ones only.

        Returns
        -------
        effects : MarginalEffects
            Effects of shape (n_features, n_classes) with standard errors.

        Notes
        -----
        Standard errors treat the rows as given. Where boundaries of a non-proportional
        cumulative model cross, the effects are those of the probabilities without
        repair.
        """
        rows, weight = self._rows(X, y, sample_weight)
        caller = f"{type(self).__name__}.marginal_effects"
        one_of(at, ("overall", "mean"), "at", caller, "'overall' is the default")
        if isinstance(discrete, str) and discrete == "auto":
            binary = binary_columns(rows)
        else:
            binary = self._column_mask("discrete", discrete)
        share = weight / weight.sum()
        if at == "mean":
            rows, share = mean_row(rows, share), np.ones(1)
        present, intercept, coef = self._reduced
        margins = Margins.of(self._model(), intercept, coef, rows, share)
        effect, bse = marginal_effects(margins, binary, self._layout, self._covariance)
        return effects_table(
            effect, bse, present, self._feature_names(), self.classes_, binary, at
        )

    def _rows(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Array]:
        """Return rows of positive weight and their weights."""
        if X is None or y is not None:
            data = self._training(X, y, sample_weight)
            return data.X, data.weight
        X = self._check_X(X)
        weight = read_sample_weight(sample_weight, X, type(self).__name__)
        kept = weight > 0.0
        return (X, weight) if kept.all() else (X[kept], weight[kept])
