"""What the small models share: sizes, names of their options, and their start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from statlearn.neural._generators import Seed as Seed
from statlearn.utils._numbers import positive_integer

Value = TypeVar("Value")


def _one_group(n_channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(1, n_channels)


ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}
NORMS: dict[str, dict[str | None, Any]] = {
    "rows": {None: nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm},
    "images": {None: nn.Identity, "batch": nn.BatchNorm2d, "layer": _one_group},
}


def choice(table: Mapping[Any, Value], key: Any, name: str, caller: str) -> Value:
    """Return the entry of a key, or say which keys there are."""
    if key is None or isinstance(key, str):
        found = table.get(key)
        if found is not None:
            return found
    raise ValueError(
        f"The '{name}' of {caller} must be one of {list(table)}. Got {key!r}; pass one "
        f"of them."
    )


@contextmanager
def building() -> Iterator[None]:
    """Make layers on the CPU and leave the global stream where it was.

    Layers draw a start from the global stream when they are made; :func:`start`
    replaces it.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        yield


@torch.no_grad()
def start(model: nn.Module, generator: torch.Generator | None) -> None:
    """Draw the start of all layers of a model, in the order of their definition.

    Weights and biases of linear layers and convolutions are uniform within
    1 / sqrt(inputs), as torch has them; embeddings are normal of deviation 0.02.
    """
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            bound = module.weight[0].numel() ** -0.5
            for values in module.parameters(recurse=False):
                nn.init.uniform_(values, -bound, bound, generator=generator)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02, generator=generator)


class Sizes:
    """Reads the sizes of a model, whose name messages carry."""

    def __init__(self, caller: str) -> None:
        self.caller = caller

    def one(self, value: Any, name: str) -> int:
        return positive_integer(value, name, self.caller, "pass for example 8")

    def several(self, values: Any, name: str, *, empty: bool = True) -> list[int]:
        listed = list(values) if isinstance(values, Iterable) else [values]
        if isinstance(values, str) or not (listed or empty):
            raise ValueError(
                f"The '{name}' of {self.caller} must be an integer or a list of them. "
                f"Got {values!r}; pass for example (16, 32)."
            )
        return [self.one(value, name) for value in listed]

    def divides(self, part: int, name: str, whole: int, of: str) -> None:
        if whole % part:
            raise ValueError(
                f"The '{name}' of {self.caller} must divide '{of}'. Got {part} and "
                f"{whole}; pass sizes without remainder."
            )


def as_images(x: Tensor, n_channels: int, size: int, caller: str) -> Tensor:
    """Return images (n, n_channels, size, size) of these or of rows of their pixels."""
    if x.ndim == 2 and x.shape[1] == n_channels * size * size:
        return x.reshape(len(x), n_channels, size, size)
    if x.ndim == 4 and tuple(x.shape[1:]) == (n_channels, size, size):
        return x
    raise ValueError(
        f"The input of {caller} must be images of shape (n, {n_channels}, {size}, "
        f"{size}) or rows of their {n_channels * size * size} numbers. Got shape "
        f"{tuple(x.shape)}; set 'image_size' and 'n_channels' to those of the images."
    )
