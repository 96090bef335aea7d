"""Put attention with quantised products in the place of the attention of a model."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from statlearn.neural._select import Selector, select
from statlearn.neural.models import Attention
from statlearn.neural.quantization.qk_reparam_attention import QKReparamAttention

# The tensor by which each kind of attention is selected.
_QUERY = {Attention: "q.weight", nn.MultiheadAttention: "in_proj_weight"}


def reparametrize_attention(
    model: nn.Module,
    bits: int | None = 2,
    *,
    include: Selector = None,
    exclude: Selector = None,
) -> list[str]:
    """Quantise the products of query and key weights of a model, in place.

    Puts a :class:`QKReparamAttention` in the place of each attention: those of the
    models of :mod:`statlearn.neural.models`, and ``torch.nn.MultiheadAttention``. Call
    it before :func:`quantize_model`, which then finds values and outputs, and before
    the optimizer is made.

    Parameters
    ----------
    model : Module
        With attention in it.
    bits : int, default=2
        Bits of a code of a product, from 1 to 8; None for no quantisation.
    include, exclude : selector, default=None
        Which attentions are replaced, by name, glob, compiled pattern or predicate, or
        a list of these. None includes all.

    Returns
    -------
    list of str
        Names of the replaced modules, in the order of the module.

    Raises
    ------
    ValueError
        If there is nothing to replace, `model` itself is the attention, `bits` is not
        one of 1 to 8, or an attention has maps on its weights or keys of another
        width. The module is as it was then.

    Warns
    -----
    DroppedBiasesWarning
        If biases of queries or keys other than zero are left out.

    See Also
    --------
    QKReparamAttention.from_multihead, QKReparamAttention.from_projections : One module.
    fold_quantized : Keeps the levels as plain weights.

    References
    ----------
    Shih-Yang Liu, Zechun Liu, Kwang-Ting Cheng. Oscillation-free Quantization for
    Low-bit Vision Transformers. ICML, 2023.

    Examples
    --------
    >>> from statlearn.neural.models import TinyViT
    >>> from statlearn.neural.quantization import reparametrize_attention
    >>> model = TinyViT(qkv_bias=False, generator=0)
    >>> reparametrize_attention(model, bits=2)
    ['blocks.0.attention', 'blocks.1.attention']
    """
    caller = "reparametrize_attention"
    chosen = {
        tensor.name
        for tensor in select(model, include, exclude, parameter=None, caller=caller)
    }
    found = {
        name: part
        for name, part in model.named_modules()
        for kind, query in _QUERY.items()
        if isinstance(part, kind) and f"{name}.{query}".lstrip(".") in chosen
    }
    if not found or "" in found:
        got = "the attention itself" if found else f"{type(model).__name__} without"
        raise ValueError(
            f"{caller} needs a module with attention inside that 'include' and "
            f"'exclude' leave. Got {got}; convert a single module with "
            f"QKReparamAttention.from_multihead or from_projections."
        )
    made = {name: _converted(name, part, bits) for name, part in found.items()}
    for name, attention in made.items():
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, attention)
    return list(made)


def _converted(name: str, part: Any, bits: int | None) -> QKReparamAttention:
    if any(is_parametrized(inner) for inner in part.modules()):
        raise ValueError(
            f"reparametrize_attention copies plain weights. Got maps on those of "
            f"{name!r}; fold or strip them first."
        )
    if isinstance(part, nn.MultiheadAttention):
        return QKReparamAttention.from_multihead(part, bits)
    return QKReparamAttention.from_projections(
        part.q,
        part.k,
        part.v,
        part.proj,
        part.n_heads,
        bits,
        causal=part.causal,
        output_only=True,
    )
