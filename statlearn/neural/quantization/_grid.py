"""Levels at equal distances, the codes that number them, and maps onto them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from statlearn.neural._precision import widened
from statlearn.neural._weight_map import WeightMap
from statlearn.neural.quantization._inputs import release_inputs, token_quantizing


@dataclass(frozen=True, slots=True)
class Grid:
    """The levels ``step * (code + offset)`` for whole codes from `low` to `high`.

    Attributes
    ----------
    low, high : int
        Lowest and highest code.
    offset : float
        0 if zero is a level, 1/2 if it is the boundary of two.
    """

    low: int
    high: int
    offset: float

    def positions(self, weight: Tensor, step: Tensor) -> Tensor:
        """Return weights in units of codes: (...), with `step` that broadcasts."""
        # A row of zeros has step 0 and no position; any will do, its levels are 0.
        tiny = torch.finfo(step.dtype).tiny
        positions = torch.div(weight, step.clamp(min=tiny))
        return positions.sub_(self.offset) if self.offset else positions

    def round_(self, positions: Tensor) -> Tensor:
        """Turn positions (...) into codes of the same type, in place."""
        return positions.round_().clamp_(self.low, self.high)

    def levels_(self, codes: Tensor, step: Tensor) -> Tensor:
        """Turn codes (...) of a floating type into levels, in place."""
        return (codes.add_(self.offset) if self.offset else codes).mul_(step)


@dataclass(frozen=True, slots=True)
class CodedWeight:
    """A weight as whole codes; its numbers are ``step * (codes + offset)``.

    Attributes
    ----------
    codes : Tensor of shape (...), int8 or uint8
        Level of each number.
    step : Tensor that broadcasts to (...)
        Distance of two levels, zero for rows of zeros.
    offset : float
        0 if zero is a level, 1/2 if it lies between two.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.quantization import CodedWeight
    >>> codes = torch.tensor([[-2, 1]], dtype=torch.int8)
    >>> CodedWeight(codes, torch.tensor([[0.5]]), 0.5).dequantize()
    tensor([[-0.7500,  0.7500]])
    """

    codes: Tensor
    step: Tensor
    offset: float

    def dequantize(self) -> Tensor:
        """Return the numbers that the codes stand for.

        Returns
        -------
        Tensor of shape (...)
            In the type of `step`.
        """
        return self.codes.to(self.step.dtype).add_(self.offset).mul_(self.step)


class WeightQuantizer(WeightMap):
    """Map of a weight onto a grid whose steps come from a statistic or are learned.

    Attributes
    ----------
    bits : int
        Bits of a code.
    grid : Grid
        Codes that there are.
    """

    trains_base: ClassVar[bool] = True

    def __init__(self, bits: int, grid: Grid) -> None:
        super().__init__()
        self.bits = bits
        self.grid = grid

    def step(self, weight: Tensor) -> Tensor:
        """Return the distance of two levels, broadcasting to `weight`; no gradient.

        Parameters
        ----------
        weight : Tensor
            What is stored.

        Returns
        -------
        Tensor
            In at least single precision.
        """
        raise NotImplementedError

    def step_for(self, weight: Tensor, codes: Tensor) -> Tensor:
        """Return the distance of two levels once some numbers lie on their levels.

        Parameters
        ----------
        weight : Tensor
            What is stored.
        codes : Tensor
            Of the same shape: codes of those numbers, NaN for all others.

        Returns
        -------
        Tensor
            As of :meth:`step`; NaN where there is no such distance to rely on.
        """
        return self.step(weight)

    @torch.no_grad()
    def positions(self, weight: Tensor) -> Tensor:
        """Return where weights lie between the codes; codes are these, rounded.

        Parameters
        ----------
        weight : Tensor
            What is stored.

        Returns
        -------
        Tensor
            Of the same shape, in units of codes, not limited to those that exist.
        """
        return self.grid.positions(at_least_single(weight), self.step(weight))

    @torch.no_grad()
    def encode(self, weight: Tensor) -> CodedWeight:
        """Return the codes of a weight.

        Parameters
        ----------
        weight : Tensor
            What is stored.

        Returns
        -------
        CodedWeight
            Whose numbers are those of ``forward(weight)``.
        """
        kind = torch.uint8 if self.grid.high > 127 else torch.int8
        codes = self.grid.round_(self.positions(weight)).to(kind)
        return CodedWeight(codes, self.step(weight), self.grid.offset)

    def stripped(self, model: nn.Module, layer: nn.Module) -> None:
        """Take the quantisers of activations away that came with this one.

        Parameters
        ----------
        model : Module
            The model that is stripped.
        layer : Module
            Its layer that the map was on.
        """
        release_inputs(layer)
        for _, attention in token_quantizing(model):
            if attention.value is layer:
                attention.remove_activation_quantizers()

    def extra_repr(self) -> str:
        """Return what tells two quantisers apart.

        Returns
        -------
        str
            The number of bits.
        """
        return f"bits={self.bits}"


def at_least_single(values: Tensor) -> Tensor:
    """Return numbers outside any gradient, those of half precision as float32."""
    return widened(values.detach())
