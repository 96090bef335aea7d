"""Products of a weight's r x r blocks with small matrices, formed and unformed.

A weight W of shape (o, i) consists of blocks ``W[a][b]``, (r, r), in o / r groups of
rows a and i / r groups of columns b. *Formed* functions return the changed weight;
*unformed* ones what a linear layer computes with it, from tokens x of shape (n, i).
Nothing is copied to bring W into blocks: groups of rows are (o/r, r i/r, r) as they lie
in memory, groups of columns a batch of strided matrices.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from statlearn.neural._precision import wide_dtype, without_autocast


def widest(weight: Tensor, *others: Tensor) -> list[Tensor]:
    """Return tensors in the weight's type, but half precision as float32."""
    dtype = wide_dtype(weight.dtype)
    return [tensor.to(dtype) for tensor in (weight, *others)]


def is_cheaper_formed(n_tokens: int, out_features: int) -> bool:
    """Say whether to form a weight of which the product alone would do.

    Where a gradient is recorded, a formed weight costs one more product of the layer's
    size on the way back; else forming pays once there are many tokens.
    """
    return not torch.is_grad_enabled() and n_tokens > out_features


def formed_by_rows(weight: Tensor, blocks: Tensor) -> Tensor:
    """Return ``W[a][b] + W[a][b] B[a] + B[a]``.

    weight (o, i); blocks B (o / r, r, r); result (o, i).
    """
    wide, B = widest(weight, blocks)
    # In half precision the product would round, and meet float32 on the way back.
    with without_autocast(wide.device):
        if torch.compiler.is_compiling():  # a compiler saves the passes by itself
            changed = _changed_rows(wide, B)
        else:
            changed = _FormedByRows.apply(wide, B)
    return changed.to(weight.dtype)


def _changed_rows(weight: Tensor, blocks: Tensor) -> Tensor:
    """Multiply by I + B and add B, in place: weight (o, i), blocks (o / r, r, r)."""
    n_groups, r, _ = blocks.shape
    eye = torch.eye(r, dtype=blocks.dtype, device=blocks.device)
    changed = torch.bmm(weight.reshape(n_groups, -1, r), blocks + eye)
    changed.view(n_groups, r, -1, r).add_(blocks.unsqueeze(2))
    return changed.view(weight.shape)


class _FormedByRows(Function):
    """What `_changed_rows` does, with the fewest passes on the way back.

    Left to autograd, adding B in place, within a view, would copy the gradient twice.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(weight: Tensor, blocks: Tensor) -> Tensor:
        return _changed_rows(weight, blocks)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        weight, blocks = ctx.saved_tensors
        n_groups, r, _ = blocks.shape
        rows = gradient.reshape(n_groups, -1, r)
        for_weight = for_blocks = None
        if ctx.needs_input_grad[0]:
            for_weight = torch.baddbmm(rows, rows, blocks.mT).view(weight.shape)
        if ctx.needs_input_grad[1]:
            total = gradient.reshape(n_groups, r, -1, r).sum(2)
            stored = weight.reshape(n_groups, -1, r)
            for_blocks = torch.baddbmm(total, stored.mT, rows)
        return for_weight, for_blocks


def linear_by_rows(
    x: Tensor, weight: Tensor, bias: Tensor | None, blocks: Tensor
) -> Tensor:
    """Return the product with :func:`formed_by_rows`, unformed.

    Each group of rows sees inputs of its own, so this takes n o i / r numbers of memory
    and is for few tokens. x (n, i); weight (o, i); blocks B (o / r, r, r).
    """
    n_groups, r, _ = blocks.shape
    n, width = x.shape
    moved = x.reshape(1, -1, r) @ blocks.mT  # B[a] x[b], (o/r, n i/r, r)
    total = moved.view(n_groups, n, width // r, r).sum(2)
    seen = moved.view(n_groups, n, width) + x
    y = torch.baddbmm(total, seen, weight.reshape(n_groups, r, width).mT)
    y = y.transpose(0, 1).reshape(n, n_groups * r)
    return y if bias is None else y + bias


def formed_by_columns(weight: Tensor, factors: Tensor, terms: Tensor) -> Tensor:
    """Return ``W[a][b] + W[a][b] A[b] + B[b]``.

    weight (o, i); factors A and terms B (i / r, r, r), or (1, r, r) for all columns;
    result (o, i).
    """
    wide, A, B = widest(weight, factors, terms)
    height, width = weight.shape
    r = A.shape[-1]
    split = wide.reshape(height, -1, r)
    product = split @ A[0] if len(A) == 1 else _batched(split, A)
    groups = (height // r, r, width)
    changed = product.reshape(groups) + wide.reshape(groups) + _side_by_side(B, width)
    return changed.view(weight.shape).to(weight.dtype)


def linear_by_columns(
    x: Tensor, weight: Tensor, bias: Tensor | None, factors: Tensor, terms: Tensor
) -> Tensor:
    """Return the product with :func:`formed_by_columns`, unformed.

    With z[b] = A[b] x[b] it is W (x + z) plus the sum of B[b] x[b], repeated over the
    groups of rows. x (n, i); weight (o, i); factors A, terms B (i / r, r, r) or (1, r,
    r), the same tensor where A = B.
    """
    n, width = x.shape
    r = factors.shape[-1]
    split = x.reshape(n, width // r, r)
    moved = split @ factors[0].mT if len(factors) == 1 else _batched(split, factors.mT)
    # One product more gives the sum where A and B differ.
    total = (
        moved.sum(1) if terms is factors else F.linear(x, _side_by_side(terms, width))
    )
    y = F.linear(x + moved.reshape(n, width), weight, bias)
    return (y.view(n, len(weight) // r, r) + total.unsqueeze(1)).view(y.shape)


def formed_by_sums(weight: Tensor, terms: Tensor) -> Tensor:
    """Return ``W[k, j] + D[j mod r, k mod m]``.

    weight (o, i); terms D (r, m), with m a divisor of o; result (o, i).
    """
    height, width = weight.shape
    r, m = terms.shape
    tiled = terms.mT.repeat(height // m, -(-width // r))[:, :width]
    return weight + tiled.to(weight.dtype)


def linear_by_sums(
    x: Tensor, weight: Tensor, bias: Tensor | None, terms: Tensor
) -> Tensor:
    """Return the product with :func:`formed_by_sums`, unformed.

    The blocks of x, filled up with zeros, are summed to r numbers a token: the map is a
    low-rank one with a fixed first factor. x (n, i); weight (o, i); terms D (r, m).
    """
    n, width = x.shape
    r, m = terms.shape
    filled = F.pad(x, (0, -width % r)) if width % r else x
    total = filled.reshape(n, -(-width // r), r).sum(1)
    y = F.linear(x, weight, bias)
    added = (total @ terms).unsqueeze(1)
    return (y.view(n, len(weight) // m, m) + added).view(y.shape)


def _batched(split: Tensor, matrices: Tensor) -> Tensor:
    """Multiply column groups (n, k, r) with a matrix each, (k, r, r), to (n, k, r)."""
    return torch.bmm(split.transpose(0, 1), matrices).transpose(0, 1)


def _side_by_side(blocks: Tensor, width: int) -> Tensor:
    """Return blocks (k, r, r), or one block repeated, as a row of them, (r, width)."""
    r = blocks.shape[-1]
    return blocks.expand(width // r, r, r).transpose(0, 1).reshape(r, width)
