"""Few levels for what goes into a layer, with a learned scale for each token."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from statlearn.neural.quantization._checks import check_bits
from statlearn.neural.quantization._lsq import lsq_grid, lsq_quantize, lsq_start


class ActivationQuantizer(nn.Module):
    r"""Quantise activations with learned scales, between two learned shifts.

    Parameters
    ----------
    bits : int
        Bits of a code, from 1 to 8.
    sample : Tensor of shape (n_samples, ...)
        Activations of a few rows; they give shapes and start values.
    signed : bool, default=None
        Whether codes may be negative; None asks the sample whether it has negative
        numbers.
    axis : int, default=-2
        The axis along which each entry has a scale of its own, the tokens; None for one
        scale. Not the first, which is that of the samples.
    feature_axis : int, default=-1
        The axis along which each entry has shifts of its own.

    Attributes
    ----------
    scale : Parameter
        Distance of two levels, broadcasting to a row; for one signed bit half of it.
    shift_before, shift_after : Parameter
        Added before and after the rounding, broadcasting to a row; zero at the start.

    Raises
    ------
    ValueError
        If `bits` is not one of 1 to 8, or the sample has no numbers or no such axes.

    See Also
    --------
    quantize_model : Puts them before the layers of a module.
    LSQQuantizer : The same for weights, with the formula.

    Notes
    -----
    :math:`y = Q(x + b) + c` with Q of :class:`LSQQuantizer`; the gradient of a scale is
    divided by the square root of the count of numbers of a batch that share it.

    References
    ----------
    Shih-Yang Liu, Zechun Liu, Kwang-Ting Cheng. Oscillation-free Quantization for
    Low-bit Vision Transformers. ICML, 2023.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.quantization import ActivationQuantizer
    >>> x = torch.tensor([[[0.1, 0.5, 0.2], [0.9, 0.0, 0.3]]])
    >>> ActivationQuantizer(2, x)(x).detach()
    tensor([[[0.0000, 0.6158, 0.0000],
             [0.9238, 0.0000, 0.0000]]])
    """

    def __init__(
        self,
        bits: int,
        sample: Tensor,
        *,
        signed: bool | None = None,
        axis: int | None = -2,
        feature_axis: int = -1,
    ) -> None:
        super().__init__()
        bits = check_bits(bits, "ActivationQuantizer")
        _check_sample(sample, axis, feature_axis)
        sample, rank = sample.detach(), sample.ndim
        self.bits = bits
        self.signed = bool(sample.min() < 0) if signed is None else signed
        # From behind, since a row lacks the first axis, of which entries may be many.
        self.axis = None if axis is None else axis % rank - rank
        shared = [i for i in range(-rank, 0) if i != self.axis]
        start = lsq_start(sample, shared, bits, self.signed)[0]
        features = [1] * (rank - 1)
        features[feature_axis % rank - rank] = sample.shape[feature_axis]
        self.scale = nn.Parameter(start)
        self.shift_before = nn.Parameter(start.new_zeros(features))
        self.shift_after = nn.Parameter(start.new_zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """Return quantised activations.

        Parameters
        ----------
        x : Tensor of shape (n_samples, ...)
            Of the axes of the sample, with as many tokens and features.

        Returns
        -------
        Tensor
            Of the same shape.

        Raises
        ------
        ValueError
            If there is another number of tokens.
        """
        if self.axis is not None and x.shape[self.axis] != self.scale.shape[self.axis]:
            raise ValueError(
                "ActivationQuantizer has one scale for each token of its sample, along "
                f"axis {self.axis}. Got {x.shape[self.axis]} tokens for "
                f"{self.scale.shape[self.axis]} scales; pad the input, have the "
                "samples first by batch_first=True, or use one scale: axis=None, or "
                "act_axis=None of quantize_model."
            )
        shifted = x + self.shift_before.to(x.dtype)
        grid = lsq_grid(self.bits, self.signed)
        return lsq_quantize(shifted, self.scale, grid) + self.shift_after.to(x.dtype)

    def extra_repr(self) -> str:
        """Return what tells two quantisers apart.

        Returns
        -------
        str
            Bits, and whether codes may be negative.
        """
        return f"bits={self.bits}, signed={self.signed}"


def _check_sample(sample: Any, axis: int | None, feature_axis: int) -> None:
    fits = isinstance(sample, Tensor) and sample.ndim >= 2 and sample.numel() > 0
    axes = [feature_axis] if axis is None else [axis, feature_axis]
    rank = sample.ndim if fits else 0
    if not fits or any(not -rank < i < rank or i % rank == 0 for i in axes):
        got = tuple(sample.shape) if isinstance(sample, Tensor) else type(sample)
        raise ValueError(
            "The 'sample' of ActivationQuantizer must be a tensor of rows that has, "
            "besides their axis, those of 'axis' and 'feature_axis'. Got "
            f"{got} for {axes}; pass a batch, or axis=None for one scale."
        )
    if not sample.is_floating_point() or not sample.isfinite().all():
        raise ValueError(
            "The 'sample' of ActivationQuantizer must hold finite floating point "
            f"numbers. Got {sample.dtype} with {int((~sample.isfinite()).sum())} that "
            "are not; pass a batch of what the layer gets."
        )
