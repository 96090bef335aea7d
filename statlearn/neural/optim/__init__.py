"""Optimizers that keep momentum from inflating weights whose scale does not matter.

A weight that is followed by a normalisation acts through its direction alone, and the
longer it is the less a step turns it. `AdamP` and `SGDP` are Adam with decoupled decay
and momentum SGD that leave out the part of a step that only makes such weights longer.
"""

from __future__ import annotations

from statlearn.neural.optim._projection import is_scale_invariant, project_update
from statlearn.neural.optim.adamp import AdamP
from statlearn.neural.optim.sgdp import SGDP

__all__ = ["SGDP", "AdamP", "is_scale_invariant", "project_update"]
