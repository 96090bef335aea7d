"""Ordinal regression: proportional, partially proportional, and fused models.

`PrestoClassifier` fuses the slopes of neighbouring boundaries by a penalty and predicts
rare classes; `OrdinalRegression` is maximum likelihood with standard errors and tests.
Both stand on one engine and share families and links.
"""

from statlearn.ordinal._brant import BrantTest
from statlearn.ordinal._effects import MarginalEffects
from statlearn.ordinal._path_plot import OrdinalPathDisplay
from statlearn.ordinal._probability_plot import OrdinalProbabilityDisplay
from statlearn.ordinal._proportionality import ProportionalityTest
from statlearn.ordinal.ordinal_regression import OrdinalRegression
from statlearn.ordinal.presto import PrestoClassifier
from statlearn.ordinal.presto_cv import PrestoClassifierCV
from statlearn.ordinal.presto_path import OrdinalPath, presto_path
from statlearn.utils._wald import WaldTable

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
