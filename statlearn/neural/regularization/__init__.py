"""Bounds on the weights of a network that hold while it trains.

:func:`compand` puts a :class:`WeightCompander` on the layers of a model and
:func:`uncompand` folds it in; :func:`weight_statistics` shows what it does to the
distribution of the weights.
"""

from __future__ import annotations

from statlearn.neural.regularization._compand import (
    compand,
    compander_parameters,
    uncompand,
)
from statlearn.neural.regularization._compander import compander, compander_inverse
from statlearn.neural.regularization._statistics import weight_statistics
from statlearn.neural.regularization.weight_compander import WeightCompander

__all__ = [
    "WeightCompander",
    "compand",
    "compander",
    "compander_inverse",
    "compander_parameters",
    "uncompand",
    "weight_statistics",
]
