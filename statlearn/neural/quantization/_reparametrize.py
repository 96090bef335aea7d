"""Put attention with quantised products in the place of the attention of a model."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from statlearn.neural._select import Selector, select
from statlearn.neural.models import Attention
from statlearn.neural.quantization._inputs import keep_padding
from statlearn.neural.quantization.qk_reparam_attention import QKReparamAttention

# The tensors by which each kind of attention is selected; the last is that of keys of
# another width, which are refused.
_QUERY = {
    Attention: ("q.weight",),
    nn.MultiheadAttention: ("in_proj_weight", "q_proj_weight"),
}


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
        Names of the replaced modules, in the order of the module; the first one of a
        module that has several, all of which are given the same new one.

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

    Notes
    -----
    What was frozen stays frozen, and no random numbers are drawn. An
    ``nn.TransformerEncoder`` around a replaced module no longer uses nested tensors,
    which need the packed weights of ``nn.MultiheadAttention``.

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
        for kind, queries in _QUERY.items()
        if isinstance(part, kind)
        and any(f"{name}.{query}".lstrip(".") in chosen for query in queries)
    }
    if not found or "" in found:
        got = "the attention itself" if found else f"{type(model).__name__} without"
        raise ValueError(
            f"{caller} needs a module with attention inside that 'include' and "
            f"'exclude' leave. Got {got}; convert a single module with "
            f"QKReparamAttention.from_multihead or from_projections."
        )
    made = {id(part): _converted(name, part, bits) for name, part in found.items()}
    # A module that is used in several places has several names.
    for name, part in list(model.named_modules(remove_duplicate=False)):
        if id(part) in made:
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, made[id(part)])
    keep_padding(model, made.values())
    return list(found)


def _converted(name: str, part: Any, bits: int | None) -> QKReparamAttention:
    if any(is_parametrized(inner) for inner in part.modules()):
        raise ValueError(
            f"reparametrize_attention copies plain weights. Got maps on those of "
            f"{name!r}; fold or strip them first."
        )
    if isinstance(part, nn.MultiheadAttention):
        try:
            return QKReparamAttention.from_multihead(part, bits)
        except ValueError as error:
            error.add_note(f"It is {name!r} of the model.")
            raise
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
