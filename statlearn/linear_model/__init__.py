"""Linear regression with weights: robust, loss-based, with standard errors.

`ReweightedLinearRegression` takes any rule of :mod:`statlearn.weights`, or a preset of
high breakdown; `RobustResidualsDisplay` shows which rows are odd, and how.
"""

from __future__ import annotations

from statlearn.linear_model._plot import RobustResidualsDisplay
from statlearn.linear_model.reweighted_linear_regression import (
    ReweightedLinearRegression,
)
from statlearn.utils._wald import WaldTable

__all__ = ["ReweightedLinearRegression", "RobustResidualsDisplay", "WaldTable"]
