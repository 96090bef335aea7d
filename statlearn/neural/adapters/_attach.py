"""Put adapters of one kind on the linear layers of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, nn

from statlearn.neural._select import Selector
from statlearn.neural._weight_map import WeightMap, attach_maps

AnyMap = TypeVar("AnyMap", bound=WeightMap)


def made_for(kind: Callable[..., AnyMap], weight: Tensor, **settings: Any) -> AnyMap:
    """Make an adapter with the sizes, type and device of a weight (o, i)."""
    height, width = weight.shape
    return kind(height, width, dtype=weight.dtype, device=weight.device, **settings)


def attach_to_linear(
    module: nn.Module,
    make: Callable[[Tensor], WeightMap],
    include: Selector,
    exclude: Selector,
    *,
    freeze_rest: bool,
    caller: str,
) -> list[str]:
    """Attach maps made from the weights; a message of `make` gets the weight's name."""

    def named(name: str, weight: Tensor) -> WeightMap:
        try:
            return make(weight)
        except ValueError as error:
            raise ValueError(f"{caller} at {name!r}: {error}") from error

    return attach_maps(
        module, named, include, exclude, freeze_rest=freeze_rest, caller=caller
    )
