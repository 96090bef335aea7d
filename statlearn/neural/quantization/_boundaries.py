"""Where weights lie near the boundary of two levels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from statlearn.neural.quantization._grid import (
    Grid,
    WeightQuantizer,
    at_least_single,
)


def undecided(
    weight: Tensor, step: Tensor, grid: Grid, boundary_range: float
) -> Tensor:
    """Return where weights are near a boundary: (...) bool; `step` broadcasts.

    Boundaries lie between codes that are in use, as in the published loop over them.
    """
    # In units in which the boundaries are the whole numbers.
    nearest = grid.positions(weight, step).add_(0.5)
    shifted = nearest.clone()
    ends = torch.stack(torch.aminmax(shifted)).tolist()
    if not all(map(math.isfinite, ends)):
        raise ValueError(
            "ConfidenceGuidedAnnealing needs finite weights. Got NaN or infinity; "
            "lower the learning rate, or leave out batches without a finite loss."
        )
    low, high = (min(max(round(end - 0.5), grid.low), grid.high) for end in ends)
    if low == high:
        return torch.zeros_like(weight, dtype=torch.bool)
    nearest.round_().clamp_(low + 1, high)
    return nearest.sub_(shifted).abs_().le_(boundary_range).bool()


def near_boundary(
    weight: Tensor, quantizer: WeightQuantizer, boundary_range: float
) -> Tensor:
    """Return where a weight (...) is undecided under its quantiser."""
    values = at_least_single(weight)
    return undecided(values, quantizer.step(values), quantizer.grid, boundary_range)
