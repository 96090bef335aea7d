"""Samplers of rows: by weight, by domain at a changing temperature, with replay.

A sampler yields indices of rows, or batches of them. It never repeats a stream between
processes, can be taken up again at any step, and needs no memory for rows that are
given by their numbers. PyTorch accepts each one as a ``sampler`` or ``batch_sampler``;
none of them imports it.
"""

from __future__ import annotations

from statlearn.sampling._domain_batches import DomainBatchSampler
from statlearn.sampling._laws import (
    UniMax,
    gradient_variance_ratio,
    scalarization_weights,
    temperature_probs,
)
from statlearn.sampling._replay import ReplayMixer, replay_order, replay_shares
from statlearn.sampling._weighted import WeightedSampler

__all__ = [
    "DomainBatchSampler",
    "ReplayMixer",
    "UniMax",
    "WeightedSampler",
    "gradient_variance_ratio",
    "replay_order",
    "replay_shares",
    "scalarization_weights",
    "temperature_probs",
]
