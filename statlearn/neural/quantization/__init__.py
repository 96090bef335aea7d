"""Weights of few bits: levels, what oscillates between them, and how to settle it.

:func:`quantize_model` puts quantisers on the layers of a module that exists;
:class:`ConfidenceGuidedAnnealing` ends its training; :func:`export_codes` gives whole
codes, and :func:`fold_quantized` plain weights.
"""

from __future__ import annotations

from statlearn.neural.quantization._dampening import dampening_loss
from statlearn.neural.quantization._export import (
    dequantize,
    export_codes,
    load_codes,
    save_codes,
)
from statlearn.neural.quantization._grid import CodedWeight
from statlearn.neural.quantization._leaving import (
    fold_quantized,
    remove_activation_quantizers,
)
from statlearn.neural.quantization._lsq import LSQQuantizer
from statlearn.neural.quantization._model import quantize_model
from statlearn.neural.quantization._reparametrize import reparametrize_attention
from statlearn.neural.quantization._statsq import (
    StatsQuantizer,
    stats_codes,
    stats_quantize,
)
from statlearn.neural.quantization.activation_quantizer import ActivationQuantizer
from statlearn.neural.quantization.confidence_guided_annealing import (
    ConfidenceGuidedAnnealing,
)
from statlearn.neural.quantization.iterative_freezing import IterativeFreezing
from statlearn.neural.quantization.oscillation_tracker import OscillationTracker
from statlearn.neural.quantization.qk_reparam_attention import QKReparamAttention

__all__ = [
    "ActivationQuantizer",
    "CodedWeight",
    "ConfidenceGuidedAnnealing",
    "IterativeFreezing",
    "LSQQuantizer",
    "OscillationTracker",
    "QKReparamAttention",
    "StatsQuantizer",
    "dampening_loss",
    "dequantize",
    "export_codes",
    "fold_quantized",
    "load_codes",
    "quantize_model",
    "remove_activation_quantizers",
    "reparametrize_attention",
    "save_codes",
    "stats_codes",
    "stats_quantize",
]
