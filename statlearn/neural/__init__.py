"""Weights of torch modules: train, adapt, bound and quantise them.

The only room that imports torch, and the only one that needs the extra ``neural``.
:class:`NeuralClassifier` and :class:`NeuralRegressor` are scikit-learn estimators;
:func:`attach`, :func:`fold` and :func:`strip` put maps on the weights of any module and
take them off again; optimizers, adapters and quantisers have subpackages.
"""

from __future__ import annotations

from statlearn.utils._optional import require

# Without torch nothing below can be defined, so the gate stands at the import.
require("torch", "neural", "statlearn.neural")

from statlearn.neural._map_exits import fold, strip, unfold  # noqa: E402
from statlearn.neural._map_state import (  # noqa: E402
    count_trainable,
    load_map_state_dict,
    map_parameters,
    map_state_dict,
    weight_maps,
)
from statlearn.neural._weight_map import WeightMap, attach  # noqa: E402

__all__ = [
    "WeightMap",
    "attach",
    "count_trainable",
    "fold",
    "load_map_state_dict",
    "map_parameters",
    "map_state_dict",
    "strip",
    "unfold",
    "weight_maps",
]
