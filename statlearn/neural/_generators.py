"""One meaning of ``generator`` for all that draws with torch."""

from __future__ import annotations

from typing import Any

import torch

from statlearn.utils._numbers import is_integer

Seed = torch.Generator | int | None
_N_SEEDS = 2**64


def as_torch_generator(
    generator: Any, caller: str, device: torch.device | str = "cpu"
) -> torch.Generator | None:
    """Return a generator as it is, one of a seed, or None for the global stream."""
    if generator is None or isinstance(generator, torch.Generator):
        return generator
    if is_integer(generator) and 0 <= generator < _N_SEEDS:
        return torch.Generator(device=device).manual_seed(int(generator))
    raise TypeError(
        f"The 'generator' of {caller} must be a torch.Generator, a seed >= 0 or None. "
        f"Got {generator!r}; pass a seed below 2**64, such as 0."
    )
