"""Weights of torch modules: train, adapt, bound and quantise them.

The only room that imports torch, and the only one that needs the extra ``neural``.
:class:`TrainingLoop` trains any module under any weighting rule;
:class:`NeuralClassifier` and :class:`NeuralRegressor` are scikit-learn estimators on
top of it. :func:`attach`, :func:`fold` and :func:`strip` put maps on the weights of a
module and take them off again. Optimizers, adapters, bounds and quantisers have
subpackages.
"""

from __future__ import annotations

from statlearn.utils._optional import require

# Without torch nothing below can be defined, so the gate stands at the import.
require("torch", "neural", "statlearn.neural")

from statlearn.neural._loop import TrainingLoop  # noqa: E402
from statlearn.neural._loss_reweighter import LossReweighter  # noqa: E402
from statlearn.neural._map_exits import fold, strip, unfold  # noqa: E402
from statlearn.neural._map_state import (  # noqa: E402
    count_trainable,
    load_map_state_dict,
    map_parameters,
    map_state_dict,
    weight_maps,
)
from statlearn.neural._training._batches import Batch, Batches  # noqa: E402
from statlearn.neural._training._history import History, Progress  # noqa: E402
from statlearn.neural._training._inference import evaluate, predict  # noqa: E402
from statlearn.neural._weight_map import WeightMap, attach  # noqa: E402
from statlearn.neural.neural_classifier import NeuralClassifier  # noqa: E402
from statlearn.neural.neural_regressor import NeuralRegressor  # noqa: E402

__all__ = [
    "Batch",
    "Batches",
    "History",
    "LossReweighter",
    "NeuralClassifier",
    "NeuralRegressor",
    "Progress",
    "TrainingLoop",
    "WeightMap",
    "attach",
    "count_trainable",
    "evaluate",
    "fold",
    "load_map_state_dict",
    "map_parameters",
    "map_state_dict",
    "predict",
    "strip",
    "unfold",
    "weight_maps",
]
