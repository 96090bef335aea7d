"""Ordinal regression: proportional, partially proportional, and fused models.

`PrestoClassifier` fuses the slopes of neighbouring boundaries by a penalty and predicts
rare classes; `OrdinalRegression` is maximum likelihood with standard errors and tests.
Both stand on one engine and share families and links.
"""

from statlearn.utils._wald import WaldTable

from ._brant import BrantTest
from ._effects import MarginalEffects
from ._path_plot import OrdinalPathDisplay
from ._probability_plot import OrdinalProbabilityDisplay
from ._proportionality import ProportionalityTest
from .ordinal_regression import OrdinalRegression
from .presto import PrestoClassifier
from .presto_cv import PrestoClassifierCV
from .presto_path import OrdinalPath, presto_path

__all__ = [
    "BrantTest",
    "MarginalEffects",
    "OrdinalPath",
    "OrdinalPathDisplay",
    "OrdinalProbabilityDisplay",
    "OrdinalRegression",
    "PrestoClassifier",
    "PrestoClassifierCV",
    "ProportionalityTest",
    "WaldTable",
    "presto_path",
]
