"""Ordinal regression: proportional, partially proportional, and fused models.

`PrestoClassifier` fuses the slopes of neighbouring boundaries by a penalty and predicts
rare classes; `OrdinalRegression` is maximum likelihood with standard errors and tests.
Both stand on one engine and share families and links.
"""

from .presto import OrdinalPath, PrestoClassifier, presto_path
from .presto_cv import PrestoClassifierCV

__all__ = [
    "OrdinalPath",
    "PrestoClassifier",
    "PrestoClassifierCV",
    "presto_path",
]
