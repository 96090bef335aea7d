r"""QKR: attention that quantises the product of query and key weights.

Queries and keys meet only in :math:`x W_q^\top W_k x^\top`, so the levels of one matrix
move the logits through the other. The recipe: form the product of each head, stack the
products, quantise the rows of the stack, and compute the logits from that.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from statlearn.exceptions import DroppedBiasesWarning
from statlearn.neural.quantization._statsq import StatsQuantizer
from statlearn.utils._warn import warn


class QKReparamAttention(nn.Module):
    r"""Attend with one quantised product of the query and the key weights per head.

    In place of :class:`torch.nn.MultiheadAttention`, whose calls it understands. The
    weights of queries and keys stay the trained tensors; the values and the output are
    ordinary linear layers, which :func:`quantize_model` finds.

    Parameters
    ----------
    embed_dim : int
        Width C of inputs and outputs.
    num_heads : int
        Number H of heads, a divisor of `embed_dim`.
    bits : int, default=None
        Bits of a code of the product, from 1 to 8; None for no quantisation.
    bias : bool, default=True
        Whether values and output have biases. Queries and keys have none.
    dropout : float, default=0.0
        Share of attention weights that are left out in training.
    batch_first : bool, default=True
        Whether inputs are (n_samples, n_tokens, C), or (n_tokens, n_samples, C).
    generator : torch.Generator, default=None
        Source of the start weights; None for PyTorch's global one.

    Attributes
    ----------
    query_weight, key_weight : Parameter of shape (C, C)
        Trained weights; None after :meth:`fold`.
    value, output : Linear
        Layers of the values and behind the heads.
    quantizer : StatsQuantizer or None
        Quantiser of the stacked products.

    Raises
    ------
    ValueError
        If `num_heads` does not divide `embed_dim`, or `bits` is not one of 1 to 8.

    See Also
    --------
    quantize_model : Quantises the other weights of a model.
    torch.nn.MultiheadAttention : The module with separate weights.

    Notes
    -----
    With d = C / H and quantiser Q by rows,

    .. math:: M_h = W_{q,h}^\top W_{k,h}, \qquad
              \text{logits}_h = x\, Q(M_h)\, x^\top / \sqrt d .

    The published recipe also rounds :math:`x\, Q(M_h)` before the second product; here
    the inside of the attention stays in floating point.

    What has to be stored after training are :math:`H C^2` codes in place of 2 C²
    numbers, and the logits cost H C multiplications for each number of an input in
    place of 2 C: made for few heads and few bits.

    References
    ----------
    Shih-Yang Liu, Zechun Liu, Kwang-Ting Cheng. Oscillation-free Quantization for
    Low-bit Vision Transformers. ICML, 2023.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.quantization import QKReparamAttention
    >>> attention = QKReparamAttention(8, num_heads=2, bits=2)
    >>> output, weights = attention(torch.ones(3, 5, 8))
    >>> output.shape
    torch.Size([3, 5, 8])
    """

    # Read by torch.nn.TransformerEncoderLayer, which has a fast path with these biases.
    in_proj_bias = None
    _qkv_same_embed_dim = True

    # Parameters, or None: the first two once the third is there.
    query_weight: Any
    key_weight: Any
    qk_product: Any

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        bits: int | None = None,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        batch_first: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if num_heads < 1 or embed_dim % num_heads:
            raise ValueError(
                "The 'num_heads' of QKReparamAttention must divide the 'embed_dim'. "
                f"Got {num_heads} heads for {embed_dim}; pass for example 1."
            )
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.query_weight = nn.Parameter(torch.empty(embed_dim, embed_dim))
        self.key_weight = nn.Parameter(torch.empty(embed_dim, embed_dim))
        self.register_parameter("qk_product", None)
        self.value = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.output = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.quantizer = None if bits is None else StatsQuantizer(bits)
        self._start(generator)

    def _start(self, generator: torch.Generator | None) -> None:
        """Draw start weights as large as those of torch.nn.MultiheadAttention."""
        together = math.sqrt(0.5)  # there the three projections are one matrix
        weights = (self.query_weight, self.key_weight, self.value.weight)
        for weight in weights:
            nn.init.xavier_uniform_(weight, gain=together, generator=generator)
        nn.init.xavier_uniform_(self.output.weight, generator=generator)
        for bias in (self.value.bias, self.output.bias):
            if bias is not None:
                nn.init.zeros_(bias)

    @classmethod
    def from_multihead(
        cls, attention: nn.MultiheadAttention, bits: int | None = None
    ) -> QKReparamAttention:
        """Convert an attention module; the numbers are copied.

        Parameters
        ----------
        attention : torch.nn.MultiheadAttention
            With inputs of one width.
        bits : int, default=None
            Bits of a code of the product; None for no quantisation.

        Returns
        -------
        QKReparamAttention
            Computes the same if `bits` is None and there are no query and key biases.

        Raises
        ------
        TypeError
            If `attention` is of another class.
        ValueError
            If its keys or values have another width, or biases in the sequence.

        Warns
        -----
        DroppedBiasesWarning
            If biases of queries or keys other than zero are left out.
        """
        _check_multihead(attention)
        bias = attention.in_proj_bias
        biases = [None] * 3 if bias is None else bias.chunk(3)
        stacked = list(zip(attention.in_proj_weight.chunk(3), biases, strict=True))
        output = (attention.out_proj.weight, attention.out_proj.bias)
        made = cls._of([*stacked, output], attention.num_heads, bits)
        made.dropout = attention.dropout
        made.batch_first = attention.batch_first
        return made.train(attention.training)

    @classmethod
    def from_projections(
        cls,
        query: nn.Linear,
        key: nn.Linear,
        value: nn.Linear,
        output: nn.Linear,
        num_heads: int,
        bits: int | None = None,
    ) -> QKReparamAttention:
        """Convert the four linear layers of an attention; the numbers are copied.

        Parameters
        ----------
        query, key, value, output : torch.nn.Linear
            Square layers of one width. Head h has rows ``h * d`` to ``(h + 1) * d`` of
            the first three, d = width / `num_heads`.
        num_heads : int
            Number of heads.
        bits : int, default=None
            Bits of a code of the product; None for no quantisation.

        Returns
        -------
        QKReparamAttention
            With `batch_first` and without dropout.

        Raises
        ------
        ValueError
            If the layers are not square and of one width.

        Warns
        -----
        DroppedBiasesWarning
            If biases of queries or keys other than zero are left out.
        """
        layers = (query, key, value, output)
        shapes = [tuple(layer.weight.shape) for layer in layers]
        if set(shapes) != {(shapes[0][1],) * 2}:
            raise ValueError(
                "from_projections needs square layers of one width. Got shapes "
                f"{shapes}; keep this attention as it is."
            )
        return cls._of([(x.weight, x.bias) for x in layers], num_heads, bits)

    @classmethod
    @torch.no_grad()
    def _of(
        cls, parts: list[tuple[Tensor, Any]], num_heads: int, bits: int | None
    ) -> QKReparamAttention:
        """Copy weights and biases of queries, keys, values and output."""
        weights = [weight for weight, _ in parts]
        made = cls(weights[0].shape[1], num_heads, bits).to(weights[0])
        targets = [
            made.query_weight,
            made.key_weight,
            made.value.weight,
            made.output.weight,
        ]
        for target, weight in zip(targets, weights, strict=True):
            target.copy_(weight)
        for layer, (_, bias) in zip((made.value, made.output), parts[2:], strict=True):
            if bias is None:
                layer.register_parameter("bias", None)
            else:
                layer.bias.copy_(bias)
        n_dropped = sum(
            int(bias.count_nonzero()) for _, bias in parts[:2] if bias is not None
        )
        if n_dropped:
            warn(
                "The product of query and key weights has no place for biases. Got "
                f"{n_dropped} of queries and keys other than zero, which are left out; "
                "the outputs will differ.",
                DroppedBiasesWarning,
            )
        return made

    def product(self) -> Tensor:
        """Return the stacked products before quantisation.

        Returns
        -------
        Tensor of shape (H C, C)
            Row ``h * C + i`` belongs to head h and input feature i of the queries.
        """
        if self.qk_product is not None:
            stored: Tensor = self.qk_product
            return stored
        heads = (self.num_heads, -1, self.embed_dim)
        query, key = self.query_weight.view(heads), self.key_weight.view(heads)
        return torch.bmm(query.transpose(1, 2), key).flatten(0, 1)

    def quantized_product(self) -> Tensor:
        """Return the stacked products that the logits are computed from.

        Returns
        -------
        Tensor of shape (H C, C)
            On their levels, if there is a quantiser.
        """
        product = self.product()
        return product if self.quantizer is None else self.quantizer(product)

    @torch.no_grad()
    def fold(self) -> None:
        """Keep the quantised product in place of query and key weights.

        The state dict then has ``qk_product`` of shape (H C, C). Outputs stay the same.
        """
        if self.qk_product is None:
            self.qk_product = nn.Parameter(self.quantized_product().clone())
            self.query_weight = self.key_weight = self.quantizer = None

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend as :class:`torch.nn.MultiheadAttention` does.

        Parameters
        ----------
        query : Tensor of shape (n_samples, n_tokens, C)
            Inputs of the queries; the first two axes change places if `batch_first` is
            False.
        key, value : Tensor of shape (n_samples, n_keys, C), default=None
            Inputs of keys and of values; None for those of the queries and the keys.
        key_padding_mask : Tensor of shape (n_samples, n_keys), default=None
            True, or a number to add to the logits, for keys to leave out.
        need_weights : bool, default=True
            Whether to return the attention weights.
        attn_mask : Tensor, default=None
            Of shape (n_tokens, n_keys) or (n_samples * H, n_tokens, n_keys). True, or a
            number to add to the logits, for pairs to leave out.
        average_attn_weights : bool, default=True
            Whether to return their mean over the heads.
        is_causal : bool, default=False
            Hint that `attn_mask` is causal; the mask itself is needed.

        Returns
        -------
        output : Tensor of the shape of query
            Mixed values.
        weights : Tensor or None
            Attention weights of shape (n_samples, n_tokens, n_keys), or with the heads
            as second axis.

        Raises
        ------
        ValueError
            If an input has not three axes, or `is_causal` comes without a mask.
        """
        key = query if key is None else key
        value = key if value is None else value
        _check_inputs(self.embed_dim, query, key, value)
        if is_causal and attn_mask is None:
            raise ValueError(
                "The 'is_causal' of QKReparamAttention is a hint about 'attn_mask'. "
                "Got no mask; pass nn.Transformer.generate_square_subsequent_mask(n)."
            )
        if not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        logits = self._logits(query, key)
        if attn_mask is not None:
            added = _as_added(attn_mask, logits)
            logits = logits + (added.view_as(logits) if added.ndim == 3 else added)
        if key_padding_mask is not None:
            logits = logits + _as_added(key_padding_mask, logits)[:, None, None, :]
        weights = logits.softmax(-1)
        dropped = F.dropout(weights, self.dropout, self.training)
        values = self.value(value).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        output = self.output((dropped @ values).transpose(1, 2).flatten(-2))
        if not self.batch_first:
            output = output.transpose(0, 1)
        if not need_weights:
            return output, None
        return output, dropped.mean(1) if average_attn_weights else dropped

    def _logits(self, query: Tensor, key: Tensor) -> Tensor:
        """Return (n_samples, H, n_tokens, n_keys) by the product, heads one by one."""
        width = self.embed_dim
        product = self.quantized_product().view(self.num_heads, width, width)
        scale = math.sqrt(self.num_heads / width)
        left = query[:, None] @ product.to(query.dtype)
        return left @ key[:, None].transpose(-1, -2) * scale

    def extra_repr(self) -> str:
        """Return what tells two modules apart.

        Returns
        -------
        str
            Width and number of heads.
        """
        return f"{self.embed_dim}, num_heads={self.num_heads}"


def _as_added(mask: Tensor, logits: Tensor) -> Tensor:
    """Return a mask as numbers to add: minus infinity where it is True."""
    if mask.dtype != torch.bool:
        return mask.to(logits.dtype)
    return torch.zeros_like(mask, dtype=logits.dtype).masked_fill_(mask, -math.inf)


def _check_inputs(width: int, *inputs: Tensor) -> None:
    for x in inputs:
        if x.ndim != 3 or x.shape[-1] != width:
            raise ValueError(
                f"The inputs of QKReparamAttention must have three axes, the last of "
                f"{width}. Got shape {tuple(x.shape)}; add an axis for one sample with "
                "x[None]."
            )


def _check_multihead(attention: Any) -> None:
    if not isinstance(attention, nn.MultiheadAttention):
        raise TypeError(
            "from_multihead converts a torch.nn.MultiheadAttention. Got "
            f"{type(attention).__name__}; pass that module of your model."
        )
    other = None
    if attention.in_proj_weight is None:
        other = f"kdim={attention.kdim} and vdim={attention.vdim}"
    elif attention.bias_k is not None or attention.add_zero_attn:
        other = "add_bias_kv or add_zero_attn"
    if other is not None:
        raise ValueError(
            "from_multihead needs queries, keys and values of one width, and no keys "
            f"besides those of the input. Got {other}; keep this module as it is."
        )
