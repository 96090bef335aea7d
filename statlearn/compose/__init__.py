"""Estimators that give weights to the rows of any other estimator.

:class:`LossReweighted` takes the weights from the losses of the estimator itself,
:class:`CovariateShift` from the difference between training rows and the rows that
predictions are wanted for.
"""

from __future__ import annotations

from statlearn.compose.covariate_shift import CovariateShift
from statlearn.compose.loss_reweighted import LossReweighted

__all__ = ["CovariateShift", "LossReweighted"]
