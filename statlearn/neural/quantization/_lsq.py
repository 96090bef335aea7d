r"""LSQ: few levels whose distance is learned, for weights and for activations.

The recipe: divide by a learned step, cut at the ends of the codes, round, multiply by
the step. The gradient passes the rounding as if it were not there and stops at cut
numbers; that of the step is what the rounding error says, made smaller by the square
root of the count of numbers that share the step.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from statlearn.neural.quantization._checks import check_bits, check_weight, other_axes
from statlearn.neural.quantization._grid import (
    Grid,
    WeightQuantizer,
    at_least_single,
)

# Steps are not smaller than this, whatever is learned.
FLOOR = 1e-5


class LSQQuantizer(WeightQuantizer):
    r"""Train a weight through few levels whose distance is learned with it.

    The baseline of quantisation-aware training. Its parameter exists, with its start
    value, as soon as the object does, so that an optimizer cannot miss it.

    Parameters
    ----------
    bits : int
        Bits b of a code, from 1 to 8.
    weight : Tensor of two to four axes
        What will be quantised; gives the shape and start of the scale.
    signed : bool, default=True
        Codes from :math:`-2^{b-1}` to :math:`2^{b-1} - 1`, or from 0 to
        :math:`2^b - 1`. One signed bit has the levels -scale and scale.
    per_row : bool, default=True
        One scale for each entry of `axis`, or one for all.
    axis : int, default=-2
        The axis along which each entry has a scale of its own. Pass 0 for convolutions.

    Attributes
    ----------
    scale : Parameter that broadcasts to the shape of weight
        Distance of two levels, for one signed bit half of it.

    Raises
    ------
    TypeError
        If `weight` is no floating point tensor.
    ValueError
        If `bits` is not one of 1 to 8, or `weight` has fewer than two or more than
        four axes.

    See Also
    --------
    StatsQuantizer : With scales that are not learned.
    ActivationQuantizer : The same for what goes into a layer.
    torch.ao.quantization.FakeQuantize : With scales from observed ranges.

    Notes
    -----
    With :math:`a = \max(s, 10^{-5})` and codes from l to h,

    .. math:: q = a \operatorname{round}(\operatorname{clip}(w / a, l, h)), \qquad
              \frac{\partial q}{\partial s} = g \cdot \begin{cases}
              q / a - w / a & l \le w / a \le h \\ q / a & \text{else,} \end{cases}

    with :math:`g = 1 / \sqrt{h m}` for m numbers of one scale; the start is :math:`s =
    2 \operatorname{mean} |w| / \sqrt h`, twice that without sign. Published code passes
    no gradient to the weights of one bit; this class passes it as for more bits.

    References
    ----------
    Steven K. Esser, Jeffrey L. McKinstry, Deepika Bablani, Rathinakumar Appuswamy,
    Dharmendra S. Modha. Learned Step Size Quantization. ICLR, 2020.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.quantization import LSQQuantizer
    >>> weight = torch.tensor([[0.75, -0.25, 0.5, -0.5]])
    >>> quantizer = LSQQuantizer(3, weight)
    >>> quantizer.scale.data
    tensor([[0.5774]])
    >>> quantizer.encode(weight).codes
    tensor([[ 1,  0,  1, -1]], dtype=torch.int8)
    """

    def __init__(
        self,
        bits: int,
        weight: Tensor,
        *,
        signed: bool = True,
        per_row: bool = True,
        axis: int = -2,
    ) -> None:
        caller = "LSQQuantizer"
        bits = check_bits(bits, caller)
        check_weight(weight, caller)
        axes = other_axes(weight, axis, caller)
        super().__init__(bits, lsq_grid(bits, signed))
        shared = axes if per_row else list(range(weight.ndim))
        self.scale = nn.Parameter(lsq_start(weight, shared, self.bits, signed))
        self.signed = signed

    def forward(self, weight: Tensor) -> Tensor:
        """Return the quantised weight.

        Parameters
        ----------
        weight : Tensor
            What is stored, of the shape that the quantiser was made for.

        Returns
        -------
        Tensor
            Of the same shape and type.
        """
        return lsq_quantize(weight, self.scale, self.grid)

    @torch.no_grad()
    def step(self, weight: Tensor) -> Tensor:
        """Return the distance of two levels, broadcasting to `weight`.

        Parameters
        ----------
        weight : Tensor
            Not looked at: the distance is learned.

        Returns
        -------
        Tensor
            In at least single precision.
        """
        return _step(self.scale, self.grid)


def lsq_grid(bits: int, signed: bool) -> Grid:
    """Return the grid of a number of bits; one signed bit lies around zero."""
    if not signed:
        return Grid(0, 2**bits - 1, 0.0)
    n = 2 ** (bits - 1)
    return Grid(-n, n - 1, 0.0) if bits > 1 else Grid(-1, 0, 0.5)


def lsq_start(values: Tensor, axes: list[int], bits: int, signed: bool) -> Tensor:
    """Return the scale to start from, with the reduced axes kept: (..., 1)."""
    factor = (2.0 if signed else 4.0) / math.sqrt(_largest(lsq_grid(bits, signed)))
    mean = at_least_single(values).abs().mean(axes, keepdim=True)
    return mean.mul_(factor).clamp_(min=FLOOR)


def lsq_quantize(values: Tensor, scale: Tensor, grid: Grid) -> Tensor:
    """Quantise (...) by a learned scale that broadcasts to it; gradients to both."""
    quantized: Tensor = _Rounding.apply(values, scale, grid)
    return quantized


def _largest(grid: Grid) -> int:
    """Return the size of the highest level in units of the scale."""
    return max(grid.high, 1)


def _unit(grid: Grid) -> float:
    """Return the distance of two levels in units of the scale."""
    return 2.0 if grid.offset else 1.0


def _step(scale: Tensor, grid: Grid) -> Tensor:
    return at_least_single(scale).clamp(min=FLOOR).mul_(_unit(grid))


class _Rounding(Function):
    """Rounding to the grid of a learned scale.

    Saves inputs only and divides again on the way back: a division costs less than
    the memory of positions and codes.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(values: Tensor, scale: Tensor, grid: Grid) -> Tensor:
        step = _step(scale, grid)
        codes = grid.round_(grid.positions(at_least_single(values), step))
        return grid.levels_(codes, step).to(values.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        values, scale, ctx.grid = inputs
        ctx.save_for_backward(values, scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        values, scale = ctx.saved_tensors
        grid: Grid = ctx.grid
        given = at_least_single(gradient)
        positions = grid.positions(at_least_single(values), _step(scale, grid))
        codes = grid.round_(positions.clone())
        inside = (positions >= grid.low) & (positions <= grid.high)
        to_values = torch.where(inside, gradient, 0.0)
        # By the step: code - position where nothing was cut, else the level itself.
        error = codes.sub_(torch.where(inside, positions, -grid.offset))
        size = math.sqrt(_largest(grid) * (values.numel() / scale.numel()))
        to_scale = (given * error).sum_to_size(scale.shape) * (_unit(grid) / size)
        return to_values, to_scale.to(scale.dtype), None
