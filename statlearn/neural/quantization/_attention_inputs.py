"""What an attention is given: inputs, masks, and layers that it stands in for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from statlearn.exceptions import DroppedBiasesWarning
from statlearn.utils._warn import warn


def _as_added(mask: Tensor, logits: Tensor) -> Tensor:
    """Return a mask (...) as numbers to add: minus infinity where it is True."""
    if mask.dtype != torch.bool:
        return mask.to(logits.dtype)
    return torch.zeros_like(mask, dtype=logits.dtype).masked_fill_(mask, -math.inf)


def masked(logits: Tensor, attn_mask: Any, key_padding_mask: Any) -> Tensor:
    """Return logits (n_samples, H, n_tokens, n_keys) with masks added to them."""
    _check_masks(logits, attn_mask, key_padding_mask)
    if attn_mask is not None:
        added = _as_added(attn_mask, logits)
        logits = logits + (added.view_as(logits) if added.ndim == 3 else added)
    if key_padding_mask is not None:
        logits = logits + _as_added(key_padding_mask, logits)[:, None, None, :]
    return logits


def _check_masks(logits: Tensor, attn_mask: Any, key_padding_mask: Any) -> None:
    """Refuse masks of whole numbers, and what would broadcast to the logits."""
    n_samples, n_heads, n_tokens, n_keys = logits.shape
    pairs = (n_tokens, n_keys)
    for name, mask, shapes, hint in (
        (
            "attn_mask",
            attn_mask,
            (pairs, (n_samples * n_heads, *pairs)),
            "pass one for all, or one for each head of each sample",
        ),
        (
            "key_padding_mask",
            key_padding_mask,
            ((n_samples, n_keys),),
            "pass one row for each sample",
        ),
    ):
        if mask is None:
            continue
        if mask.dtype != torch.bool and not mask.is_floating_point():
            raise ValueError(
                f"The {name!r} of QKReparamAttention must be boolean, True for what is "
                f"left out, or floating point numbers to add. Got {mask.dtype}; pass "
                "mask.bool(), inverted if ones are what is kept."
            )
        if tuple(mask.shape) not in shapes:
            raise ValueError(
                f"The {name!r} of QKReparamAttention must have the shape "
                f"{' or '.join(map(str, shapes))}. Got {tuple(mask.shape)}; {hint}."
            )


def check_hint(is_causal: bool, attn_mask: Any) -> None:
    """Refuse to say that a mask is causal where there is none."""
    if is_causal and attn_mask is None:
        raise ValueError(
            "The 'is_causal' of QKReparamAttention is a hint about 'attn_mask'. "
            "Got no mask; pass nn.Transformer.generate_square_subsequent_mask(n)."
        )


def check_inputs(width: int, *inputs: Tensor) -> None:
    """Refuse inputs of another shape than (n_samples, n_tokens, width)."""
    for x in inputs:
        if x.ndim != 3 or x.shape[-1] != width:
            raise ValueError(
                f"The inputs of QKReparamAttention must have three axes, the last of "
                f"{width}. Got shape {tuple(x.shape)}; add an axis for one sample with "
                "x[None]."
            )


def check_multihead(attention: Any) -> None:
    """Refuse modules that no product of query and key weights stands for."""
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


def check_layers(layers: Sequence[nn.Linear]) -> None:
    """Refuse layers that are not square and of one width."""
    shapes = [tuple(layer.weight.shape) for layer in layers]
    if set(shapes) != {(shapes[0][1],) * 2}:
        raise ValueError(
            "from_projections needs square layers of one width. Got shapes "
            f"{shapes}; keep this attention as it is."
        )


def draw_start(
    weights: Sequence[Tensor],
    layers: tuple[nn.Linear, nn.Linear],
    generator: torch.Generator | None,
) -> None:
    """Draw start weights as large as those of torch.nn.MultiheadAttention.

    `weights` are those of queries, keys and values; `layers` values and output.
    """
    together = math.sqrt(0.5)  # there the three projections are one matrix
    for weight in weights:
        nn.init.xavier_uniform_(weight, gain=together, generator=generator)
    nn.init.xavier_uniform_(layers[1].weight, generator=generator)
    for layer in layers:
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def copy_layers(
    weights: Sequence[Tensor],
    layers: Sequence[nn.Linear],
    parts: Sequence[tuple[Tensor, Any]],
) -> None:
    """Copy weights (C, C) and biases (C,) of queries, keys, values and output.

    What is frozen stays so. `layers` are the last two, which alone can have biases.
    """
    for target, (weight, _) in zip(weights, parts, strict=True):
        target.copy_(weight)
        target.requires_grad_(weight.requires_grad)
    for layer, (_, bias) in zip(layers, parts[2:], strict=True):
        if bias is None:
            layer.register_parameter("bias", None)
        else:
            layer.bias.copy_(bias)
            layer.bias.requires_grad_(bias.requires_grad)
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
