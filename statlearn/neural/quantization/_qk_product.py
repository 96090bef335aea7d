"""The product of query and key weights: trained, quantised, folded, multiplied with."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from statlearn.neural._precision import without_autocast
from statlearn.neural.quantization._attention_inputs import check_inputs
from statlearn.neural.quantization._statsq import StatsQuantizer
from statlearn.neural.quantization.activation_quantizer import ActivationQuantizer


class QKProduct(nn.Module):
    """Base of the attention that quantises one product of weights per head.

    Parameters
    ----------
    embed_dim : int
        Width C of inputs.
    num_heads : int
        Number H of heads.
    bits : int, default=None
        Bits of a code of the product; None for no quantisation.
    batch_first : bool, default=True
        Whether inputs are (n_samples, n_tokens, C).
    """

    # Parameters, or None: the first two once the third is there.
    query_weight: Any
    key_weight: Any
    qk_product: Any

    def __init__(
        self, embed_dim: int, num_heads: int, bits: int | None, *, batch_first: bool
    ) -> None:
        super().__init__()
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.batch_first = batch_first
        self.query_weight = nn.Parameter(torch.empty(embed_dim, embed_dim))
        self.key_weight = nn.Parameter(torch.empty(embed_dim, embed_dim))
        self.register_parameter("qk_product", None)
        self.quantizer = None if bits is None else StatsQuantizer(bits)
        self.token_quantizer: ActivationQuantizer | None = None
        self.key_quantizers: nn.ModuleList | None = None

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
        # Rounded before it is quantised, it would not have the codes that are exported.
        with without_autocast(query.device):
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
    def quantize_activations(
        self, bits: int, sample: Tensor, *, axis: int | None = -2
    ) -> None:
        """Quantise, from now on, the tokens that are multiplied with the product.

        The inputs of `value` and `output` are those of linear layers, and left to
        :func:`quantize_model`. Make the optimizer afterwards.

        Parameters
        ----------
        bits : int
            Bits of a code, from 1 to 8.
        sample : Tensor of the shape of query in :meth:`forward`
            Inputs that give start values to the scales.
        axis : {-2, None}, default=-2
            -2 for a scale of each token, in attention among as many as the sample has;
            None for one scale, and any number of tokens.

        Raises
        ------
        ValueError
            If `bits` is not one of 1 to 8, or the sample has another width or numbers
            that are not finite.
        """
        check_inputs(self.embed_dim, sample)
        x = sample if self.batch_first else sample.transpose(0, 1)
        tokens = ActivationQuantizer(bits, x, signed=True, axis=axis)
        keys = self._multiplied(tokens(x)).unbind(1)
        self.key_quantizers = nn.ModuleList(
            ActivationQuantizer(bits, head, signed=True, axis=axis) for head in keys
        )
        self.token_quantizer = tokens

    def remove_activation_quantizers(self) -> None:
        """Leave tokens, from now on, as they are."""
        self.token_quantizer = self.key_quantizers = None

    @torch.no_grad()
    def fold(self) -> None:
        """Keep the quantised product in place of query and key weights.

        The state dict then has ``qk_product`` of shape (H C, C). Outputs stay the same.
        """
        if self.qk_product is None:
            self.qk_product = nn.Parameter(self.quantized_product().clone())
            self.query_weight = self.key_weight = self.quantizer = None

    def _logits(self, query: Tensor, key: Tensor) -> Tensor:
        """Return (n_samples, H, n_tokens, n_keys) by the product, heads one by one."""
        scale = math.sqrt(self.num_heads / self.embed_dim)
        if self.token_quantizer is None or self.key_quantizers is None:
            return query[:, None] @ self._multiplied(key).mT * scale
        same = key is query
        query = self.token_quantizer(query)
        heads = self._multiplied(query if same else self.token_quantizer(key)).unbind(1)
        pairs = zip(self.key_quantizers, heads, strict=True)
        keys = torch.stack([quantizer(head) for quantizer, head in pairs], dim=1)
        return query[:, None] @ keys.mT * scale

    def _multiplied(self, x: Tensor) -> Tensor:
        """Return keys (n_samples, H, n_keys, C) times the product of each head."""
        product = self.quantized_product().unflatten(0, (self.num_heads, -1))
        return x[:, None] @ product.to(x.dtype).mT
