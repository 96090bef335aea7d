"""Quantise what goes into the layers of a module, record it before, undo it after."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

# Under this name the quantiser of its inputs is a part of a layer.
INPUT_QUANTIZER = "input_quantizer"


def quantize_inputs(layer: nn.Module, quantizer: nn.Module) -> None:
    """Let a layer quantise what goes into it, in place."""
    layer.add_module(INPUT_QUANTIZER, quantizer)
    layer.register_forward_pre_hook(_quantize_first)


def release_inputs(layer: nn.Module) -> bool:
    """Undo :func:`quantize_inputs` and say whether there was something to undo."""
    if not hasattr(layer, INPUT_QUANTIZER):
        return False
    hooks = layer._forward_pre_hooks
    # By the function: a copied layer has hooks whose handles nobody holds.
    for key in [key for key, hook in hooks.items() if hook is _quantize_first]:
        del hooks[key]
    delattr(layer, INPUT_QUANTIZER)
    return True


def token_quantizing(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield the attentions of a model that quantise their tokens, by name."""
    for name, module in model.named_modules():
        if getattr(module, "token_quantizer", None) is not None:
            yield name, module


def _quantize_first(layer: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    first, *others = inputs
    return layer.input_quantizer(first), *others


def record_inputs(
    model: nn.Module, layers: dict[str, nn.Module], sample: Any
) -> dict[str, Tensor]:
    """Return what goes into each layer when the module sees a sample."""
    seen: dict[str, Tensor] = {}

    def record(name: str, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen.setdefault(name, inputs[0])

    handles = [
        layer.register_forward_pre_hook(partial(record, name))
        for name, layer in layers.items()
    ]
    training = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            model.eval()(*(sample if isinstance(sample, tuple) else (sample,)))
    finally:
        for handle in handles:
            handle.remove()
        for module, was in training.items():
            module.training = was
    unseen = [name for name in layers if name not in seen]
    if unseen:
        raise ValueError(
            "The 'sample' of quantize_model must pass through every layer whose inputs "
            f"are quantised. Got none for {unseen}; exclude these layers."
        )
    return seen
