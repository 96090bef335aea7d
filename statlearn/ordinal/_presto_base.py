"""Parameters and fitting steps that the forms of PRESTO share."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from statlearn.ordinal._base import OrdinalClassifierBase, TrainingData
from statlearn.ordinal._constrained import fit_without_crossing
from statlearn.ordinal._crossing import MONOTONE_POLICIES
from statlearn.ordinal._families import FAMILY_NAMES
from statlearn.ordinal._fusion import FusionTable
from statlearn.ordinal._identifiability import warn_if_not_identified
from statlearn.ordinal._links import LINKS
from statlearn.ordinal._problem import Fit, PenaltySpec, Problem, merge_boundaries, pose
from statlearn.utils._sklearn import Interval, StrOptions
from statlearn.utils._validation import as_numbers
from statlearn.utils._warn import warn

if TYPE_CHECKING:
    from statlearn.ordinal.presto import PrestoClassifier


class PrestoBase(OrdinalClassifierBase):
    """Parameters and fitting steps shared by the classifier and its CV form."""

    _parameter_constraints: dict[str, list[Any]] = {
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "family": [StrOptions(set(FAMILY_NAMES))],
        "link": [StrOptions(set(LINKS))],
        "penalize_first": [Interval(Real, 0, None, closed="left")],
        "penalty_factor": ["array-like", None],
        "reverse": ["boolean"],
        "categories": ["array-like", StrOptions({"auto"})],
        "standardize": ["boolean"],
        "monotone": [StrOptions(set(MONOTONE_POLICIES))],
        "constrain_train": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def _penalty_spec(self, n_features: int) -> PenaltySpec:
        factor = self.penalty_factor
        if factor is not None:
            factor = as_numbers(factor)
            if factor.shape != (n_features,) or not (
                np.isfinite(factor).all() and (factor >= 0).all()
            ):
                raise ValueError(
                    f"The 'penalty_factor' parameter of {type(self).__name__} must be "
                    f"{n_features} finite numbers >= 0, one for each feature. Got "
                    f"{self.penalty_factor!r}; use 1 for the usual penalty and 0 for "
                    f"none."
                )
        return PenaltySpec(float(self.l1_ratio), float(self.penalize_first), factor)

    def _pose(self, data: TrainingData, free: Any = None) -> Problem:
        return pose(
            data.X,
            data.codes,
            data.weight,
            len(self.classes_),
            self._model(),
            self._penalty_spec(data.X.shape[1]),
            standardize=self.standardize,
            free=free,
            tol=self.tol,
            max_iter=self.max_iter,
        )

    def _solve(self, problem: Problem, data: TrainingData, alpha: float) -> Fit:
        """Fit at one alpha, with the crossing constraint if asked for."""
        fit = problem.fit_at(alpha)
        if self.constrain_train and problem.model.can_cross:
            fit = fit_without_crossing(problem, alpha, fit)
        if alpha == 0.0:
            warn_if_not_identified(
                problem,
                fit.solution,
                data.feature_names,
                self.classes_,
                type(self).__name__,
            )
        self._warn_unless_converged([fit], [alpha])
        return fit

    def _warn_unless_converged(self, fits: list[Fit], alphas: Iterable[float]) -> None:
        failed = [
            (alpha, fit.solution)
            for alpha, fit in zip(alphas, fits, strict=True)
            if not fit.solution.converged
        ]
        if failed:
            alpha, worst = max(failed, key=lambda pair: pair[1].kkt)
            warn(
                f"{type(self).__name__} expected to reach tol={self.tol:g} within "
                f"max_iter={self.max_iter} Newton steps. Got an optimality violation "
                f"of {worst.kkt:.3g} at alpha={alpha:.4g}; increase max_iter or tol, "
                f"or use a larger alpha.",
                ConvergenceWarning,
            )

    def _as_classifier(self, **changes: Any) -> PrestoClassifier:
        """Return an unfitted classifier of the same settings, classes and width."""
        from statlearn.ordinal.presto import PrestoClassifier

        shared = {
            name: getattr(self, name) for name in PrestoBase._parameter_constraints
        }
        out = PrestoClassifier(**(shared | changes))
        out.classes_, out.n_features_in_ = self.classes_, self.n_features_in_
        return out

    def _store(self, problem: Problem, data: TrainingData, fit: Fit) -> None:
        """Set every fitted attribute but those of a path."""
        total = problem.design.total_weight
        self._store_coefficients(problem, fit)
        self.diff_coef_ = problem.expand_differences(fit.diff_coef)
        self.n_iter_ = fit.solution.n_iter
        self.objective_ = fit.solution.objective
        self.kkt_ = fit.solution.kkt
        self.loglik_ = -total * fit.solution.loss
        self.null_loglik_ = -total * problem.null_loss
        self._keep(data)

    def fusion_table(self) -> FusionTable:
        """Tell which features are proportional, and at which boundaries.

        Returns
        -------
        table : FusionTable
            With ``summary()`` for reading and ``to_frame()`` for pandas.
        """
        check_is_fitted(self)
        return FusionTable.from_coefficients(
            self.coef_,
            self.diff_coef_,
            self._feature_names(),
            self.classes_,
            reverse=self.reverse,
        )

    def refit(
        self, X: Any = None, y: Any = None, sample_weight: Any = None
    ) -> PrestoClassifier:
        """Fit the selected pattern again without penalty.

        Coefficients that are zero, and neighbouring slopes that are equal, stay so;
        everything else is estimated by maximum likelihood, which removes the shrinkage
        of the selected effects.

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
        refitted : PrestoClassifier
            A fitted classifier with ``alpha=0``; this one is left as it is.
        """
        data = self._training(X, y, sample_weight)
        out = self._as_classifier(alpha=0.0, constrain_train=False)
        if hasattr(self, "feature_names_in_"):
            out.feature_names_in_ = self.feature_names_in_
        pattern = merge_boundaries(
            self.diff_coef_ != 0.0, np.unique(data.codes), self.reverse
        )
        problem = out._pose(data, free=pattern)
        out._store(problem, data, out._solve(problem, data, 0.0))
        return out
