r"""QKR: attention that quantises the product of query and key weights.

Queries and keys meet only in :math:`x W_q^\top W_k x^\top`, so the levels of one matrix
move the logits through the other. The recipe: form the product of each head, stack the
products, quantise the rows of the stack, and compute the logits from that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from statlearn.neural.quantization._attention_inputs import (
    check_hint,
    check_inputs,
    check_layers,
    check_multihead,
    copy_layers,
    draw_start,
    masked,
)
from statlearn.neural.quantization._qk_product import QKProduct
from statlearn.utils._numbers import positive_integer

_NAME = "QKReparamAttention"


class QKReparamAttention(QKProduct):
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
    causal : bool, default=False
        Whether a token sees those before it and itself only, whatever mask is given.
    output_only : bool, default=False
        Whether calls return the output alone, for models that expect one tensor.
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
    token_quantizer : ActivationQuantizer or None
        Quantiser of the inputs x, see :meth:`quantize_activations`.
    key_quantizers : ModuleList or None
        Quantisers of what each head makes of the keys.

    Raises
    ------
    TypeError
        If a size is no integer.
    ValueError
        If `num_heads` does not divide `embed_dim`, or `bits` is not one of 1 to 8.

    See Also
    --------
    reparametrize_attention : Puts it in the place of the attention of a model.
    quantize_model : Quantises the other weights of a model.
    torch.nn.MultiheadAttention : The module with separate weights.

    Notes
    -----
    With d = C / H and quantiser Q by rows,

    .. math:: M_h = W_{q,h}^\top W_{k,h}, \qquad
              \text{logits}_h = x\, Q(M_h)\, x^\top / \sqrt d .

    `bits` are those of the weights. Activations stay in floating point until
    :meth:`quantize_activations`, or :func:`quantize_model` with `act_bits`, gives them
    levels; then

    .. math:: \text{logits}_h = A(x)\, A_h(Q(M_h)\, A(x)^\top) / \sqrt d

    with an :class:`ActivationQuantizer` A, and one for each head. Published code also
    rounds the values and the attention weights, which are not rounded here.

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

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        bits: int | None = None,
        *,
        bias: bool = True,
        dropout: float = 0.0,
        batch_first: bool = True,
        causal: bool = False,
        output_only: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        hint = "pass for example QKReparamAttention(32, 2)"
        embed_dim = positive_integer(embed_dim, "embed_dim", _NAME, hint)
        num_heads = positive_integer(num_heads, "num_heads", _NAME, hint)
        if embed_dim % num_heads:
            raise ValueError(
                "The 'num_heads' of QKReparamAttention must divide the 'embed_dim'. "
                f"Got {num_heads} heads for {embed_dim}; pass for example 1."
            )
        super().__init__(embed_dim, num_heads, bits, batch_first=batch_first)
        self.dropout = dropout
        self.causal, self.output_only = causal, output_only
        self.value = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.output = nn.Linear(embed_dim, embed_dim, bias=bias)
        weights = (self.query_weight, self.key_weight, self.value.weight)
        draw_start(weights, (self.value, self.output), generator)

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
        check_multihead(attention)
        bias = attention.in_proj_bias
        with torch.enable_grad():  # parts say whether the whole is trained
            biases = [None] * 3 if bias is None else bias.chunk(3)
            weights = attention.in_proj_weight.chunk(3)
        stacked = list(zip(weights, biases, strict=True))
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
        *,
        causal: bool = False,
        output_only: bool = False,
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
        causal, output_only : bool, default=False
            As in the class.

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
        check_layers(layers)
        made = cls._of([(x.weight, x.bias) for x in layers], num_heads, bits)
        made.causal, made.output_only = causal, output_only
        return made.train(value.training)

    @classmethod
    @torch.no_grad()
    def _of(
        cls, parts: list[tuple[Tensor, Any]], num_heads: int, bits: int | None
    ) -> QKReparamAttention:
        """Return an attention with copies of weights and biases of the four layers."""
        weights = [weight for weight, _ in parts]
        # On no device there are no numbers to draw: all are copied.
        with torch.device("meta"):
            made = cls(weights[0].shape[1], num_heads, bits)
        made.to_empty(device=weights[0].device).to(weights[0].dtype)
        copies = (made.query_weight, made.key_weight, made.value.weight)
        copy_layers([*copies, made.output.weight], [made.value, made.output], parts)
        return made

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
    ) -> Tensor | tuple[Tensor, Tensor | None]:
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
            Hint that `attn_mask` is causal; the mask itself is needed. For attention
            that is always causal there is `causal` of the class.

        Returns
        -------
        output : Tensor of the shape of query
            Mixed values.
        weights : Tensor or None
            Attention weights of shape (n_samples, n_tokens, n_keys), or with the heads
            as second axis. Not returned at all with `output_only`.

        Raises
        ------
        ValueError
            If an input has not three axes, a mask is of whole numbers or of another
            shape, or `is_causal` comes without a mask.
        """
        key = query if key is None else key
        value = key if value is None else value
        check_inputs(self.embed_dim, query, key, value)
        check_hint(is_causal, attn_mask)
        if not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        logits = self._logits(query, key)
        if self.causal:
            later = logits.new_ones(logits.shape[-2:]).triu(1).bool()
            logits = masked(logits, later, None)
        logits = masked(logits, attn_mask, key_padding_mask)
        weights = logits.softmax(-1)
        dropped = F.dropout(weights, self.dropout, self.training)
        values = self.value(value).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        output = self.output((dropped @ values).transpose(1, 2).flatten(-2))
        if not self.batch_first:
            output = output.transpose(0, 1)
        if self.output_only:
            return output
        if not need_weights:
            return output, None
        return output, dropped.mean(1) if average_attn_weights else dropped

    def extra_repr(self) -> str:
        """Return what tells two modules apart.

        Returns
        -------
        str
            Width and number of heads.
        """
        return f"{self.embed_dim}, num_heads={self.num_heads}"
