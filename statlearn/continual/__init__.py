"""Models that learn one data set after another and keep what they knew.

:class:`ContinualLearner` raises the learning rate of an estimator again for each new
data set, lowers it again, and mixes a share of old rows into every batch.
:class:`ForgettingDisplay` shows what that did to the losses of earlier ones.

:class:`IncrementalClassifier` learns new classes from their rows and a few rows of old
ones, its :class:`ExemplarMemory`, and aligns the weights of the new ones.
:func:`align_weights` and :func:`align_classifier` do that for weights and for linear
classifiers of any kind.
"""

from __future__ import annotations

from statlearn.continual._aligning import align_classifier, align_weights
from statlearn.continual._herding import herding
from statlearn.continual._history import ContinualHistory
from statlearn.continual._plot import ForgettingDisplay
from statlearn.continual._step_scores import StepScores
from statlearn.continual.continual_learner import ContinualLearner
from statlearn.continual.exemplar_memory import ExemplarMemory
from statlearn.continual.incremental_classifier import IncrementalClassifier

__all__ = [
    "ContinualHistory",
    "ContinualLearner",
    "ExemplarMemory",
    "ForgettingDisplay",
    "IncrementalClassifier",
    "StepScores",
    "align_classifier",
    "align_weights",
    "herding",
]
