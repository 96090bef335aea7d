"""What peft writes: settings and arrays, read and checked before a model sees them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from statlearn.neural._select import named_tensors

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."

# What peft calls the tensors of a layer.
BLOCK = {"MISS": "miss_block", "BONE": "bone_block"}
LORA = ("lora_A.weight", "lora_B.weight")

# Starts of LoRA in peft that leave the weight of the layer as it was.
_PLAIN_STARTS = (True, False, "gaussian", "orthogonal")

# What peft can add to LoRA and a LowRank has not.
_EXTRAS = (
    "use_dora",
    "lora_bias",
    "fan_in_fan_out",
    "alpha_pattern",
    "layer_replication",
    "alora_invocation_tokens",
)


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings in a file of peft, refused if they ask for more than ours."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"The settings of an adapter are a JSON file of peft. Got {path.name!r}, "
            f"which is none ({error}); save the adapter again."
        ) from error
    kind = config.get("peft_type") if isinstance(config, dict) else None
    if kind not in (*BLOCK, "LORA"):
        raise ValueError(
            f"load_peft_adapter reads adapters of the types MISS, BONE and LORA. Got "
            f"{kind!r}; load it with peft, merge it, and save the model."
        )
    extras = [name for name in _EXTRAS if config.get(name)]
    start = config.get("init_lora_weights", True)
    if start not in (*_PLAIN_STARTS, "pissa"):
        extras.append(f"init_lora_weights={start!r}")
    if extras:
        raise ValueError(
            f"load_peft_adapter reads LoRA without {', '.join(_EXTRAS)} and with a "
            f"start that leaves the weights. Got {', '.join(extras)}; load it with "
            f"peft, merge it, and save the model."
        )
    return config


def _part_names(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names that peft gives to the tensors of a layer."""
    kind = config["peft_type"]
    return (BLOCK[kind],) if kind in BLOCK else LORA


def by_tensor(
    state: Mapping[str, NDArray[Any]], config: Mapping[str, Any], module: nn.Module
) -> tuple[dict[str, dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]:
    """Return the arrays of each tensor by our name of it, and peft's of them.

    And by their key those that belong to no adapter. Refused if something is missing or
    not finite.
    """
    parts = _part_names(config)
    layers: dict[str, dict[str, NDArray[Any]]] = {}
    others = {}
    for key in state:
        part = next((p for p in parts if key.endswith(f".{p}")), None)
        if part is None or not key.startswith(PREFIX):
            others[key] = state[key]
            continue
        name = key[len(PREFIX) : -len(part)] + "weight"
        layers.setdefault(name, {})[part] = state[key]
    if not layers:
        raise ValueError(
            f"The file {WEIGHTS} must hold {' and '.join(parts)} of layers under "
            f"{PREFIX!r}. Got {sorted(others)[:5] or 'no array'}; save the adapter "
            f"again."
        )
    wanted = dict.fromkeys([*layers, *_targets(config, module)])
    missing = [
        peft_name(name, part)
        for name in wanted
        for part in parts
        if part not in layers.get(name, {})
    ]
    if missing:
        raise ValueError(
            f"The file {WEIGHTS} must hold {' and '.join(parts)} of every layer that "
            f"'target_modules' names. Got none of {missing[:5]}, {len(missing)} in "
            f"all; save the adapter again, or load it into the model that it was "
            f"trained on."
        )
    broken = [
        peft_name(name, part)
        for name, arrays in layers.items()
        for part, array in arrays.items()
        if not np.isfinite(array).all()
    ]
    if broken:
        raise ValueError(
            f"The file {WEIGHTS} must hold finite numbers. Got NaN or infinity in "
            f"{broken[:5]}, {len(broken)} in all; save the adapter of an earlier step."
        )
    return layers, others


def target_modules(module: nn.Module, layers: Collection[str]) -> list[str] | str:
    """Return what makes peft adapt just these layers: their names, or an expression.

    peft takes a name in a list for the end of names.
    """
    names = [
        name for name, _ in module.named_modules() if ".parametrizations" not in name
    ]
    if all(name in layers for name in names if name and _fits(layers, name, "")):
        return list(layers)
    return "|".join(map(re.escape, layers))


def layer_of(tensor: str) -> str:
    """Return the name of the layer that owns a weight."""
    return tensor.removesuffix("weight").removesuffix(".")


def peft_name(name: str, part: str) -> str:
    """Return what peft calls a part of the adapter of a weight."""
    return f"{PREFIX}{name.removesuffix('weight')}{part}"


def _targets(config: Mapping[str, Any], module: nn.Module) -> list[str]:
    """Return the names of the weights in a module that peft would adapt."""
    wanted, unwanted = config.get("target_modules"), config.get("exclude_modules")
    # What these stand for, peft decides by the kind of the model; it saves the names.
    if wanted is None or wanted == "all-linear":
        return []
    return [
        tensor.name
        for tensor in named_tensors(module)
        if tensor.tensor_name == "weight"
        and _fits(wanted, tensor.layer_name, "target_modules")
        and not (unwanted and _fits(unwanted, tensor.layer_name, "exclude_modules"))
        and _is_transformed(config, tensor.layer_name)
    ]


def _fits(patterns: Any, layer: str, setting: str) -> bool:
    """Say whether a layer is meant: by an expression, or the ends of its name."""
    try:
        if isinstance(patterns, str):
            return re.fullmatch(patterns, layer) is not None
        return any(f".{layer}".endswith(f".{end}") for end in patterns)
    except (re.error, TypeError) as error:
        raise ValueError(
            f"The {setting!r} in {CONFIG} must be a list of names or a regular "
            f"expression. Got {patterns!r} ({error}); save the adapter again."
        ) from error


def _is_transformed(config: Mapping[str, Any], layer: str) -> bool:
    """Say whether a layer is among the numbered blocks that a file is limited to."""
    numbers, blocks = config.get("layers_to_transform"), config.get("layers_pattern")
    if numbers is None or numbers == []:
        return True
    blocks = [blocks] if isinstance(blocks, str) and blocks else blocks or ["[^.]*"]
    found = (re.match(rf".*\.{block}\.(\d+)\.", layer) for block in blocks)
    first = next((match for match in found if match), None)
    listed = numbers if isinstance(numbers, list) else [numbers]
    return first is not None and int(first[1]) in listed
