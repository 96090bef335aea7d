"""Ways out of quantisation as a whole: weights, products and activations."""

from __future__ import annotations

from torch import nn

from statlearn.neural._map_exits import fold_maps
from statlearn.neural.quantization._grid import WeightQuantizer
from statlearn.neural.quantization._inputs import release_inputs, token_quantizing
from statlearn.neural.quantization._quantized import quantized_weights


def fold_quantized(model: nn.Module, *, activations: bool = True) -> list[str]:
    """Turn all that is quantised into plain weights on their levels, in place.

    Folds the quantisers of layers and the products of queries and keys, so that no
    weight is rounded any more when the module is called.

    Parameters
    ----------
    model : Module
        After :func:`quantize_model`, or with a :class:`QKReparamAttention`.
    activations : bool, default=True
        Whether quantisers of activations stay, and with them the outputs. Otherwise
        they are removed, and layers get their inputs as they are.

    Returns
    -------
    list of str
        Names of the tensors that are plain now, ``qk_product`` for products.

    Raises
    ------
    ValueError
        If nothing is quantised, or a weight has a map of another class besides.

    See Also
    --------
    statlearn.neural.fold : Folds maps of weights, reversible if asked.
    statlearn.neural.strip : Goes back to the weights from before.
    remove_activation_quantizers : What ``activations=False`` does at the end.
    export_codes : The codes, before folding.

    Examples
    --------
    >>> import torch
    >>> from statlearn.neural.models import TinyViT
    >>> from statlearn.neural.quantization import (
    ...     fold_quantized, quantize_model, reparametrize_attention)
    >>> model, x = TinyViT(qkv_bias=False, n_blocks=1, generator=0), torch.ones(1, 64)
    >>> names = reparametrize_attention(model, bits=2)
    >>> names = quantize_model(model, bits=2, include="blocks")
    >>> before = model(x)
    >>> fold_quantized(model)[-1], torch.equal(model(x), before)
    ('blocks.0.attention.qk_product', True)
    """
    weights = quantized_weights(model, caller="fold_quantized")
    attentions = [w.attention for w in weights if w.attention is not None]
    if len(attentions) < len(weights):
        fold_maps(model, WeightQuantizer, caller="fold_quantized")
    for attention in attentions:
        attention.fold()
    if not activations:
        _release(model)
    return [weight.name for weight in weights]


def remove_activation_quantizers(model: nn.Module) -> list[str]:
    """Let layers get their inputs, from now on, as they are, in place.

    Parameters
    ----------
    model : Module
        After :func:`quantize_model` with `act_bits`.

    Returns
    -------
    list of str
        Names of the layers and attentions whose inputs were quantised.

    Raises
    ------
    ValueError
        If there is no quantiser of activations.

    See Also
    --------
    statlearn.neural.strip : Takes the quantisers of weights off, and these with them.
    fold_quantized : Keeps the quantised weights.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from statlearn.neural.quantization import (
    ...     quantize_model, remove_activation_quantizers)
    >>> model = nn.Sequential(nn.Linear(4, 2))
    >>> names = quantize_model(model, bits=2, act_bits=8, sample=torch.ones(3, 4))
    >>> remove_activation_quantizers(model)
    ['0']
    """
    released = _release(model)
    if not released:
        raise ValueError(
            "remove_activation_quantizers needs a module with quantisers of "
            f"activations. Got {type(model).__name__} without; there is nothing to do."
        )
    return released


def _release(model: nn.Module) -> list[str]:
    layers = [name for name, part in model.named_modules() if release_inputs(part)]
    attentions = dict(token_quantizing(model))
    for attention in attentions.values():
        attention.remove_activation_quantizers()
    return [*layers, *attentions]
