"""Quantised weights and frozen masks of 1024 x 1024 weights, against torch and a loop.

The loop is the published way to find undecided weights: one comparison of all weights
for each boundary between two levels, so its time grows with two to the power of bits.
"""

from __future__ import annotations

import warnings

import torch

from _race import bar, finish, race
from statlearn.neural.quantization import LSQQuantizer, StatsQuantizer
from statlearn.neural.quantization._boundaries import undecided

SHAPE, SEED = (1024, 1024), 0
BOUNDARY_RANGE = 0.005
BARS = {2: 0.45, 4: None, 8: 0.02}
SIZE = f"{SHAPE[0]} x {SHAPE[1]}, float32"


def undecided_by_loop(weight, bits):
    n = 2 ** (bits - 1)
    scale = 2.0 * weight.abs().mean(dim=1, keepdim=True)
    position = torch.clip(weight / scale, -1.0, 1.0 - 1e-6) * n - 0.5
    codes = torch.round(position)
    found = torch.zeros_like(weight, dtype=torch.bool)
    for low in range(int(codes.min()), int(codes.max())):
        found |= torch.abs(position - (low + 0.5)) <= BOUNDARY_RANGE
    return found


def undecided_at_once(weight, quantizer):
    step = quantizer.step(weight)
    return undecided(weight, step, quantizer.grid, BOUNDARY_RANGE)


def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(SEED)
    weight = torch.randn(SHAPE, generator=generator)
    bars = []
    for bits, limit in BARS.items():
        quantizer = StatsQuantizer(bits)
        differ = undecided_at_once(weight, quantizer) != undecided_by_loop(weight, bits)
        result = race(
            f"Undecided weights of {bits} bits",
            {
                "loop": lambda bits=bits: undecided_by_loop(weight, bits),
                "at once": lambda q=quantizer: undecided_at_once(weight, q),
            },
            size=SIZE,
        )
        # Within a last digit of the range the two may differ.
        bars.append(bar("masks that differ", int(differ.sum()), at_most=2))
        if limit is not None:
            ratio = result.ratio("at once", "loop", clock="cpu")
            bars.append(bar("at once / loop", ratio, at_most=limit))
    forward_and_backward(weight, generator)
    finish(*bars)


def forward_and_backward(weight, generator):
    """Print what two bits cost beside the fake quantisation of torch; no bar."""
    gradient = torch.randn(SHAPE, generator=generator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its move to another package
        from torch.ao.quantization import (
            FakeQuantize,
            MovingAveragePerChannelMinMaxObserver,
        )

        fake = FakeQuantize(
            MovingAveragePerChannelMinMaxObserver,
            quant_min=-2,
            quant_max=1,
            dtype=torch.qint8,
            qscheme=torch.per_channel_symmetric,
        )
    modules = {
        "FakeQuantize": fake,
        "StatsQuantizer": StatsQuantizer(2),
        "StatsQuantizer, clipped": StatsQuantizer(2, ste="clipped"),
        "LSQQuantizer": LSQQuantizer(2, weight),
    }

    def run(module):
        stored = weight.clone().requires_grad_()
        module(stored).backward(gradient)

    race(
        "Forward and backward of two bits by row",
        {name: lambda module=module: run(module) for name, module in modules.items()},
        size=SIZE,
    )


if __name__ == "__main__":
    main()
