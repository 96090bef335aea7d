"""Estimators that give weights to the rows of any other estimator.

:class:`LossReweighted` takes the weights from the losses of the estimator itself,
:class:`CovariateShift` from the difference between training rows and the rows that
predictions are wanted for, and :class:`DomainBalanced` from the sizes of the domains
that rows come from, or draws them by these.
"""

from __future__ import annotations

from statlearn.compose.covariate_shift import CovariateShift
from statlearn.compose.domain_balanced import DomainBalanced
from statlearn.compose.loss_reweighted import LossReweighted

__all__ = ["CovariateShift", "DomainBalanced", "LossReweighted"]
