"""Models that learn one data set after another and keep what they knew.

:class:`ContinualLearner` raises the learning rate of an estimator again for each new
data set, lowers it again, and mixes a share of old rows into every batch.
:class:`ForgettingDisplay` shows what that did to the losses of earlier ones.
"""

from __future__ import annotations

from statlearn.continual._history import ContinualHistory
from statlearn.continual._plot import ForgettingDisplay
from statlearn.continual.continual_learner import ContinualLearner

__all__ = ["ContinualHistory", "ContinualLearner", "ForgettingDisplay"]
