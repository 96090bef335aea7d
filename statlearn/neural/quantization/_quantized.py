"""All weights of a module that have a quantiser, wherever it sits."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from statlearn.neural._select import Selected, Selector, select
from statlearn.neural._weight_map import chains
from statlearn.neural.quantization._grid import WeightQuantizer
from statlearn.neural.quantization.qk_reparam_attention import QKReparamAttention

PRODUCT = "qk_product"


@dataclass(frozen=True, slots=True)
class Quantized:
    """A weight with its quantiser.

    Attributes
    ----------
    name : str
        ``"layers.0.weight"``, or ``"attention.qk_product"`` for a product.
    quantizer : WeightQuantizer
        The map from what is stored to levels.
    read : callable
        Returns what the quantiser is given: the stored parameter, or a product of two.
    attention : QKReparamAttention or None
        The module of a product.
    """

    name: str
    quantizer: WeightQuantizer
    read: Callable[[], Tensor]
    attention: QKReparamAttention | None


def quantized_weights(
    model: nn.Module,
    *,
    include: Selector = None,
    exclude: Selector = None,
    caller: str,
) -> list[Quantized]:
    """Return the quantised weights in the order of the module, at least one."""
    found = _on_layers(model) + _products(model)
    if include is not None or exclude is not None:
        products = [q.name for q in found if q.attention is not None]
        chosen = {
            tensor.name
            for tensor in select(
                model,
                _with_products(include, products),
                _with_products(exclude, products),
                parameter=None,
                caller=caller,
            )
        }
        found = [q for q in found if _stored_name(q) in chosen]
    if not found:
        raise ValueError(
            f"{caller} needs a module with quantised weights. Got "
            f"{type(model).__name__} without; call quantize_model first."
        )
    return found


def check_present(model: nn.Module, weights: Iterable[Quantized], caller: str) -> None:
    """Refuse to go on with quantisers that a module has no longer."""
    present = {id(module) for module in model.modules()}
    gone = [q.name for q in weights if id(q.quantizer) not in present]
    if gone:
        raise ValueError(
            f"{caller} works on the quantisers that its module had when it was made. "
            f"Got a module without those of {gone[:5]}, {len(gone)} in all, after a "
            f"fold, a strip or another change; make a new {caller}, or call unfold "
            f"first."
        )


def _on_layers(model: nn.Module) -> list[Quantized]:
    return [
        Quantized(tensor.name, quantizer, partial(_stored, tensor), None)
        for tensor, chain in chains(model)
        for quantizer in chain
        if isinstance(quantizer, WeightQuantizer)
    ]


def _stored(tensor: Selected) -> Any:
    # By its layer, which has another list of maps after a fold and unfold.
    return tensor.layer.parametrizations[tensor.tensor_name].original


def _products(model: nn.Module) -> list[Quantized]:
    return [
        Quantized(
            f"{name}.{PRODUCT}" if name else PRODUCT,
            module.quantizer,
            module.product,
            module,
        )
        for name, module in model.named_modules()
        if isinstance(module, QKReparamAttention) and module.quantizer is not None
    ]


def _with_products(selector: Selector, products: list[str]) -> Selector:
    """Return a selector of stored tensors that fits products by their own names too."""
    if isinstance(selector, str):
        named = selector.endswith(PRODUCT) and fnmatch.filter(products, selector)
        return [_query_name(name) for name in named] if named else selector
    names = {_query_name(name): name for name in products}
    if isinstance(selector, re.Pattern):
        fits = selector.fullmatch
        return [selector, lambda name, _: bool(name in names and fits(names[name]))]
    if callable(selector):
        asked = selector
        return [selector, lambda name, p: name in names and asked(names[name], p)]
    if isinstance(selector, Iterable):
        return [_with_products(part, products) for part in selector]
    return selector


def _stored_name(quantized: Quantized) -> str:
    return (
        quantized.name if quantized.attention is None else _query_name(quantized.name)
    )


def _query_name(product: str) -> str:
    """Return the name of the tensor by which a product is selected."""
    return product.removesuffix(PRODUCT) + "query_weight"
