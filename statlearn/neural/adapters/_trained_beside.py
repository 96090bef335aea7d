"""What is trained beside adapters, such as a new head, in peft's files.

peft writes whole modules under their own names and lists them as ``modules_to_save``,
and biases of adapted layers, with ``bias="lora_only"``, as ``base_layer.bias``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from statlearn.neural._map_freezing import forget_frozen
from statlearn.neural.adapters._peft_files import PREFIX, WEIGHTS

_BIAS = ".base_layer.bias"


def trained_beside(
    module: nn.Module, layers: Collection[str], *, with_bias: bool
) -> tuple[list[str], dict[str, Tensor]]:
    """Return modules that are trained beside adapted layers, and tensors by peft's key.

    Refused where peft has no place for a tensor; biases have one if `with_bias`.
    """
    trained = dict(_trained(module, layers))
    biases = {owner for owner in trained.values() if owner in layers} - {""}
    owners = {o for o in trained.values() if not (with_bias and o in biases)}
    outer = [n for n in owners if not any(n.startswith(f"{m}.") for m in owners)]
    outer.sort()
    if refused := [
        name
        for name, layer in trained.items()
        for owner in outer
        if _is_below(layer, owner) and not _is_saved_whole(module, owner, layers)
    ]:
        raise ValueError(
            f"save_peft_adapter writes what is trained beside the adapters as whole "
            f"modules that have no adapter, and biases of layers with LoRA. Got "
            f"{refused[:5]}, {len(refused)} in all, which get a gradient and are none "
            f"of these; freeze them with requires_grad_(False) if they were not "
            f"trained, or save the state_dict of the model."
        )
    tensors = {
        f"{PREFIX}{name}.{key}": value.detach()
        for name in outer
        for key, value in module.get_submodule(name).state_dict().items()
    }
    if with_bias and biases:
        for name in layers:
            bias = getattr(module.get_submodule(name), "bias", None)
            if bias is not None:
                tensors[f"{PREFIX}{name}{_BIAS}"] = bias.detach()
    return outer, tensors


def _trained(module: nn.Module, layers: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield tensors outside of adapters that get a gradient, and their owners."""
    for name, parameter in module.named_parameters():
        owner, below, inner = f".{name}".partition(".parametrizations.")
        if not below:
            owner, _, inner = f".{name}".rpartition(".")
        owner = owner[1:]
        if parameter.requires_grad and not (below and owner in layers):
            yield f"{owner}.{inner.partition('.')[0]}".removeprefix("."), owner


def has_biases(tensors: Iterable[str]) -> bool:
    """Say whether biases of adapted layers are among the keys."""
    return any(key.endswith(_BIAS) for key in tensors)


def _is_below(name: str, owner: str) -> bool:
    return name == owner or name.startswith(f"{owner}.")


def _is_saved_whole(module: nn.Module, name: str, layers: Collection[str]) -> bool:
    """Say whether peft can write a module, which it knows by the end of a name."""
    meant = [
        layer for layer in layers if layer.endswith(name) or _is_below(layer, name)
    ]
    parts = module.get_submodule(name).modules()
    return bool(name) and not meant and not any(map(is_parametrized, parts))


def read_beside(
    arrays: Mapping[str, NDArray[Any]],
    config: Mapping[str, Any],
    module: nn.Module,
    layers: Collection[str],
) -> dict[str, Tensor]:
    """Return tensors for entries of the state of a module; it is left as it is."""
    state = module.state_dict()
    saved = [
        name
        for name, _ in module.named_modules()
        if any(name.endswith(end) for end in config.get("modules_to_save") or [])
    ]
    found, unknown = {}, []
    for key, array in arrays.items():
        name = key.removeprefix(PREFIX)
        layer = name.removesuffix(_BIAS)
        if layer != name and config.get("bias") == "lora_only" and layer in layers:
            name = f"{layer}.bias"
        elif not any(_is_below(name, owner) for owner in saved):
            unknown.append(key)
        if name not in state or state[name].shape != array.shape:
            unknown.append(key)
        else:
            found[name] = torch.from_numpy(array).to(state[name])
    if unknown:
        raise ValueError(
            f"The file {WEIGHTS} must hold adapters, and beside them tensors of the "
            f"model that its 'modules_to_save' and 'bias' name. Got "
            f"{sorted(set(unknown))[:5]}, which are none of these or of another shape; "
            f"load it into the model that it was trained on."
        )
    _check_complete(found, state, config, saved)
    if broken := [name for name, value in found.items() if not value.isfinite().all()]:
        raise ValueError(
            f"The file {WEIGHTS} must hold numbers that are finite in the type of the "
            f"model. Got others for {broken[:5]}, {len(broken)} in all; save the "
            f"adapter of an earlier step, or convert the model to float32."
        )
    return found


def _check_complete(
    found: Collection[str],
    state: Mapping[str, Any],
    config: Mapping[str, Any],
    saved: Collection[str],
) -> None:
    """Refuse modules of which a part is missing."""
    begun = [name for name in saved if any(_is_below(key, name) for key in found)]
    missing = [
        end
        for end in config.get("modules_to_save") or []
        if any(name.endswith(end) for name in saved)
        and not any(name.endswith(end) for name in begun)
    ]
    missing += [
        key
        for key in state
        if key not in found and any(_is_below(key, name) for name in begun)
    ]
    if missing:
        raise ValueError(
            f"The file {WEIGHTS} must hold all of the modules that 'modules_to_save' "
            f"names. Got none of {missing[:5]}, {len(missing)} in all; save the "
            f"adapter again."
        )


def write_beside(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put tensors in place and let those of them that are parameters be trained."""
    state = module.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, value in tensors.items():
            state[name].copy_(value)
            if isinstance(state[name], nn.Parameter):
                state[name].requires_grad_(True)
                owner, _, own_name = name.rpartition(".")
                forget_frozen(module.get_submodule(owner), own_name)
