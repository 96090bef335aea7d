r"""StatsQ: few levels whose distance comes from the mean size of the weights.

The recipe, for each row of a weight: the scale s is twice the mean size of its numbers;
the numbers are cut at -s and s and go to the middle of one of :math:`2^b` bins of equal
width. No number learns the scale, so nothing but the weights themselves moves a level.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.autograd import Function

from statlearn.neural.quantization._checks import check_bits, check_weight, other_axes
from statlearn.neural.quantization._grid import (
    Grid,
    WeightQuantizer,
    at_least_single,
)

StraightThrough = Literal["identity", "clipped"]

# Share of a scale that numbers with given codes may make up if it is to follow from the
# others, of which there would be too few beyond.
_MOST = 0.9


def stats_quantize(
    w: Tensor, bits: int, *, ste: StraightThrough = "identity", axis: int = -2
) -> Tensor:
    r"""Quantise weights to levels that follow the mean size of their row.

    Parameters
    ----------
    w : Tensor of two to four axes
        Weights, of any floating point type.
    bits : int
        Bits b of a code, from 1 to 8.
    ste : {"identity", "clipped"}, default="identity"
        Gradient of the rounding: that of the output for every weight, or zero for
        weights beyond their scale.
    axis : int, default=-2
        The axis along which each entry has a scale of its own: the rows of a matrix.
        Pass 0 for convolutions.

    Returns
    -------
    Tensor
        Of the shape and type of `w`. A row of zeros stays one.

    Raises
    ------
    TypeError
        If `w` is no floating point tensor.
    ValueError
        If `bits` is not one of 1 to 8, `ste` is unknown, or `w` has fewer than two or
        more than four axes.

    See Also
    --------
    stats_codes : The same as whole codes and scales.
    StatsQuantizer : Puts it on the weight of a layer.
    torch.fake_quantize_per_channel_affine : Rounds to a grid that is given.

    Notes
    -----
    With :math:`n = 2^{b-1}` and for row r of length m

    .. math:: s_r = \frac{2}{m} \sum_j |w_{rj}|, \qquad
              k_{rj} = \operatorname{round}\Big(n \frac{w_{rj}}{s_r} - \frac12\Big)
              \in \{-n, \dots, n - 1\}, \qquad
              q_{rj} = \frac{s_r}{n} \Big(k_{rj} + \frac12\Big),

    halves to the even code, codes beyond the ends to the ends. Zero is not a level.
    There is no gradient by way of s. Two passes over the weights; half precision is
    computed in single precision.

    References
    ----------
    Shih-Yang Liu, Zechun Liu, Kwang-Ting Cheng. Oscillation-free Quantization for
    Low-bit Vision Transformers. ICML, 2023.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.quantization import stats_quantize
    >>> stats_quantize(torch.tensor([[0.9, -0.1, 0.3, -0.5]]), bits=2)
    tensor([[ 0.6750, -0.2250,  0.2250, -0.6750]])
    """
    caller = "stats_quantize"
    bits = check_bits(bits, caller)
    check_weight(w, caller)
    _check_ste(ste, caller)
    return _quantize(w, stats_grid(bits), other_axes(w, axis, caller), ste)


def stats_codes(w: Tensor, bits: int, *, axis: int = -2) -> tuple[Tensor, Tensor]:
    """Return the whole codes and the scales of the levels of :func:`stats_quantize`.

    Parameters
    ----------
    w : Tensor of two to four axes
        Weights.
    bits : int
        Bits b of a code, from 1 to 8.
    axis : int, default=-2
        The axis along which each entry has a scale of its own.

    Returns
    -------
    codes : Tensor of the shape of w, int8
        From -n to n - 1 with n = 2 ** (b - 1).
    scale : Tensor that broadcasts to the shape of w
        In the type of `w`, float32 for half precision. The numbers are ``scale * (codes
        + 0.5) / n``.

    Raises
    ------
    TypeError
        If `w` is no floating point tensor.
    ValueError
        If `bits` is not one of 1 to 8, or `w` has fewer than two or more than four
        axes.

    See Also
    --------
    export_codes : Codes of all quantised weights of a module.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.quantization import stats_codes
    >>> stats_codes(torch.tensor([[0.75, -0.25, 0.5, -0.5]]), bits=2)
    (tensor([[ 1, -1,  0, -2]], dtype=torch.int8), tensor([[1.]]))
    """
    caller = "stats_codes"
    bits = check_bits(bits, caller)
    check_weight(w, caller)
    grid = stats_grid(bits)
    values = at_least_single(w)
    step = _step(values, grid, other_axes(w, axis, caller))
    codes = grid.round_(grid.positions(values, step))
    return codes.to(torch.int8), step * -grid.low


class StatsQuantizer(WeightQuantizer):
    """Train a weight through few levels that follow the mean size of its rows.

    For quantisation-aware training at two to four bits. It has no parameters: the
    stored tensor is trained, and no learned scale moves the levels below it.

    Parameters
    ----------
    bits : int
        Bits of a code, from 1 to 8.
    ste : {"identity", "clipped"}, default="identity"
        Gradient of the rounding, as in :func:`stats_quantize`.
    axis : int, default=-2
        The axis along which each entry has a scale of its own.

    Raises
    ------
    ValueError
        If `bits` is not one of 1 to 8 or `ste` is unknown.

    See Also
    --------
    stats_quantize : The function, with its formula.
    LSQQuantizer : With scales that are learned.
    quantize_model : Puts quantisers on the layers of a module.
    torch.ao.quantization.FakeQuantize : With scales from observed ranges.

    References
    ----------
    Shih-Yang Liu, Zechun Liu, Kwang-Ting Cheng. Oscillation-free Quantization for
    Low-bit Vision Transformers. ICML, 2023.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from torch.nn.utils.parametrize import register_parametrization
    >>> from statlearn.neural.quantization import StatsQuantizer
    >>> layer = nn.Linear(4, 1)
    >>> _ = register_parametrization(layer, "weight", StatsQuantizer(bits=1))
    >>> len(torch.unique(layer.weight.abs()))
    1
    """

    def __init__(
        self, bits: int, *, ste: StraightThrough = "identity", axis: int = -2
    ) -> None:
        bits = check_bits(bits, "StatsQuantizer")
        _check_ste(ste, "StatsQuantizer")
        super().__init__(bits, stats_grid(bits))
        self.ste = ste
        self.axis = axis

    def forward(self, weight: Tensor) -> Tensor:
        """Return the quantised weight.

        Parameters
        ----------
        weight : Tensor of two to four axes
            What is stored.

        Returns
        -------
        Tensor
            Of the same shape and type.
        """
        return stats_quantize(weight, self.bits, ste=self.ste, axis=self.axis)

    @torch.no_grad()
    def step(self, weight: Tensor) -> Tensor:
        """Return the distance of two levels, broadcasting to `weight`.

        Parameters
        ----------
        weight : Tensor of two to four axes
            What is stored.

        Returns
        -------
        Tensor
            In at least single precision.
        """
        axes = other_axes(weight, self.axis, "StatsQuantizer")
        return _step(at_least_single(weight), self.grid, axes)

    @torch.no_grad()
    def step_for(self, weight: Tensor, codes: Tensor) -> Tensor:
        """Return the distance of two levels once some numbers lie on their levels.

        The scale is twice the mean size of a row, those numbers included, and so the
        solution of an equation.

        Parameters
        ----------
        weight : Tensor of two to four axes
            What is stored.
        codes : Tensor
            Of the same shape: codes of those numbers, NaN for all others.

        Returns
        -------
        Tensor
            As of :meth:`step`; NaN for rows with few numbers besides.
        """
        axes = other_axes(weight, self.axis, "StatsQuantizer")
        values, is_free = at_least_single(weight), codes.isnan()
        levels = torch.where(is_free, 0.0, (codes + self.grid.offset) / self.grid.low)
        taken = 2.0 * levels.abs().mean(axes, keepdim=True)
        step = _step(torch.where(is_free, values, 0.0), self.grid, axes)
        fits = (taken < _MOST) & (step > 0.0)
        return torch.where(fits, step / (1.0 - taken), math.nan)


def stats_grid(bits: int) -> Grid:
    """Return the grid of a number of bits: zero lies between two levels."""
    n = 2 ** (bits - 1)
    return Grid(-n, n - 1, 0.5)


def _step(values: Tensor, grid: Grid, axes: list[int]) -> Tensor:
    """Return the scale s of each row over n, (..., 1); exact, n is a power of two."""
    return values.abs().mean(axes, keepdim=True).mul_(-2.0 / grid.low)


class _Rounding(Function):
    """Rounding to the grid, with a gradient as if there were none.

    The usual ``w + (q - w).detach()`` rounds once more and would not give the numbers
    that the codes stand for.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        weight: Tensor, grid: Grid, axes: list[int], ste: str
    ) -> tuple[Tensor, Tensor | None]:
        values = at_least_single(weight)
        step = _step(values, grid, axes)
        codes = grid.round_(grid.positions(values, step))
        outside = values.abs() > step * -grid.low if ste == "clipped" else None
        return grid.levels_(codes, step).to(weight.dtype), outside

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        _, outside = output
        if outside is not None:
            ctx.mark_non_differentiable(outside)
        ctx.save_for_backward(outside)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> Any:
        (outside,) = ctx.saved_tensors
        if outside is not None:
            gradient = gradient.masked_fill(outside, 0.0)
        return gradient, None, None, None


def _quantize(w: Tensor, grid: Grid, axes: list[int], ste: str) -> Tensor:
    quantized: Tensor = _Rounding.apply(w, grid, axes, ste)[0]
    return quantized


def _check_ste(ste: Any, caller: str) -> None:
    if ste not in get_args(StraightThrough):
        raise ValueError(
            f"The 'ste' of {caller} must be 'identity' or 'clipped'. Got {ste!r}; pass "
            "'identity' for the published gradient."
        )
