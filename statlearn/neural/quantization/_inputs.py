"""Quantise what goes into the layers of a module, record it before, undo it after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

# Under this name the quantiser of its inputs is a part of a layer.
INPUT_QUANTIZER = "input_quantizer"


def quantize_inputs(layer: nn.Module, quantizer: nn.Module) -> None:
    """Let a layer quantise what goes into it, in place."""
    layer.add_module(INPUT_QUANTIZER, quantizer)
    layer.register_forward_pre_hook(_quantize_first, with_kwargs=True)


def quantizes_inputs(layer: nn.Module) -> bool:
    """Say whether :func:`quantize_inputs` was called, whatever parts a layer has."""
    # By the function: a copied layer has hooks whose handles nobody holds.
    return _quantize_first in layer._forward_pre_hooks.values()


def release_inputs(layer: nn.Module) -> bool:
    """Undo :func:`quantize_inputs` and say whether there was something to undo."""
    if not quantizes_inputs(layer):
        return False
    hooks = layer._forward_pre_hooks
    for key in [key for key, hook in hooks.items() if hook is _quantize_first]:
        del hooks[key]
        del layer._forward_pre_hooks_with_kwargs[key]
    delattr(layer, INPUT_QUANTIZER)
    return True


def keep_padding(model: nn.Module, changed: Iterable[nn.Module]) -> None:
    """Let the encoders of torch around changed layers compute on padded rows.

    Without a gradient they pass nested tensors, and read weights in place of layers.
    """
    ids = {id(layer) for layer in changed}
    for part in model.modules():
        if isinstance(part, nn.TransformerEncoder) and any(
            id(inner) in ids for inner in part.modules()
        ):
            part.use_nested_tensor = False


def token_quantizing(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield the attentions of a model that quantise their tokens, by name."""
    for name, module in model.named_modules():
        if isinstance(getattr(module, "key_quantizers", None), nn.ModuleList):
            yield name, module


def _quantize_first(
    layer: Any, inputs: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if inputs:
        first, *others = inputs
        return (layer.input_quantizer(first), *others), options
    name = _first_name(options)
    return inputs, {**options, name: layer.input_quantizer(options[name])}


def _first_name(options: dict[str, Any]) -> str:
    """Return the keyword of what is quantised, if nothing comes by position."""
    return "query" if "query" in options else next(iter(options))


def record_inputs(
    model: nn.Module, layers: dict[str, nn.Module], sample: Any
) -> dict[str, Tensor]:
    """Return what goes into each layer when the module sees a sample."""
    seen: dict[str, Tensor] = {}

    def record(
        name: str, _: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        if name not in seen:
            first = inputs[0] if inputs else options[_first_name(options)]
            # The model may go on to change it in place.
            seen[name] = first.clone() if isinstance(first, Tensor) else first

    handles = [
        layer.register_forward_pre_hook(partial(record, name), with_kwargs=True)
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
