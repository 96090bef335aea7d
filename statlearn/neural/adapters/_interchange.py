"""Adapters in peft's files: ``adapter_config.json`` and ``adapter_model.safetensors``.

peft names an adapted layer ``base_model.model.<layer>`` and its tensors ``miss_block``,
or ``lora_A.weight`` and ``lora_B.weight``. Nothing of peft is needed here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from statlearn.merging import open_weights, save_weights
from statlearn.neural._map_state import weight_maps
from statlearn.neural._weight_map import WeightMap, attach_maps
from statlearn.neural.adapters._attach import made_for
from statlearn.neural.adapters._peft_files import (
    BLOCK,
    CONFIG,
    LORA,
    WEIGHTS,
    by_tensor,
    layer_of,
    peft_name,
    read_config,
    target_modules,
)
from statlearn.neural.adapters._trained_beside import (
    has_biases,
    read_beside,
    trained_beside,
    write_beside,
)
from statlearn.neural.adapters.block_affine import BlockAffine
from statlearn.neural.adapters.low_rank import LowRank
from statlearn.utils._numbers import positive_number

# What peft calls the variants, in the parameter `init_weights`.
_STARTS: dict[str, bool | str] = {"additive": True, "col": "bat", "mini": "mini"}


def save_peft_adapter(
    module: nn.Module,
    folder: str | os.PathLike[str],
    *,
    base_model: str | None = None,
) -> None:
    """Write the adapters of a model, and what is trained beside, as files of peft.

    Parameters
    ----------
    module : Module
        With adapters of one kind, variant and size.
    folder : str or path
        Where the two files go; made if it does not exist. Files of their names are
        replaced.
    base_model : str, default=None
        Name of the pretrained model, for peft to find it.

    Raises
    ------
    FileNotFoundError
        If the folder around `folder` does not exist.
    ValueError
        If there are no adapters, they differ, peft has no such variant ("row", "free",
        "ab"), or no place for something that is trained beside them. Nothing is written
        then.

    See Also
    --------
    load_peft_adapter : The way back.
    bone_state_dict : All variants, for files of one's own.
    peft.PeftModel.from_pretrained : Reads the files.

    Notes
    -----
    :class:`BlockAffine` becomes MiSS (peft 0.18 and later), :class:`LowRank` LoRA. A
    LoRA from the start of PiSSA is written with rank 2 r, as the difference of its
    product and that of its start, because peft would otherwise need the residual
    weights; it loads as a plain LoRA.

    A module without adapters with a parameter that gets a gradient, such as a new head,
    is written whole, with its buffers, as one of peft's ``modules_to_save``; biases of
    layers with LoRA as those of ``bias="lora_only"``. Running statistics of a
    ``BatchNorm`` that is frozen but not in ``eval()`` change too, and are not written.

    Examples
    --------
    >>> import tempfile
    >>> from torch import nn
    >>> from statlearn.neural.adapters import apply_bone, save_peft_adapter
    >>> from statlearn.merging import open_weights
    >>> model = nn.Sequential(nn.Linear(8, 4))
    >>> names = apply_bone(model, r=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_peft_adapter(model, folder)
    ...     list(open_weights(folder))
    ['base_model.model.0.miss_block']
    """
    maps = _adapters(module)
    config = _common_settings(maps)
    layers = [layer_of(name) for name in maps]
    is_lora = config["peft_type"] == "LORA"
    saved, beside = trained_beside(module, layers, with_bias=is_lora)
    tensors = {
        peft_name(name, part): value
        for name, m in maps.items()
        for part, value in _parts(m).items()
    }
    tensors |= beside
    target = Path(folder)
    target.mkdir(exist_ok=True)
    save_weights(target / WEIGHTS, tensors)
    config = {
        **config,
        "base_model_name_or_path": base_model,
        "bias": "lora_only" if has_biases(beside) else "none",
        "inference_mode": True,
        "modules_to_save": saved or None,
        "target_modules": target_modules(module, layers),
        "task_type": None,
    }
    text = json.dumps(config, indent=2, sort_keys=True)
    (target / CONFIG).write_text(text + "\n", encoding="utf-8")


def load_peft_adapter(
    module: nn.Module,
    folder: str | os.PathLike[str],
    *,
    freeze_rest: bool = True,
) -> list[str]:
    """Put adapters from files of peft on a model, in place.

    Parameters
    ----------
    module : Module
        The pretrained model, with the names of layers that the files have.
    folder : str or path
        With ``adapter_config.json`` and ``adapter_model.safetensors``.
    freeze_rest : bool, default=True
        Whether all other parameters stop being trained, but those that the files hold.

    Returns
    -------
    list of str
        Names of the weights with an adapter, in the order of the module.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    TypeError
        If an adapted layer is not linear.
    ValueError
        If the files are not of MiSS, Bone or LoRA, hold more or less than the adapters
        and modules that their settings name, numbers that are not finite, or do not fit
        the model; the model is as it was then.

    See Also
    --------
    save_peft_adapter : The way there.
    peft.PeftModel.save_pretrained : Writes the files.

    Notes
    -----
    Reads MiSS, Bone (peft 0.14 to 0.18, which later versions no longer read), and LoRA
    with its plain starts and "pissa", with rsLoRA's scale too. Modules of
    ``modules_to_save`` and biases of ``bias="lora_only"`` take the place of those of
    the model and are trained; :func:`statlearn.neural.strip` does not bring the old
    ones back. Nothing in the files is run, and dropout, which only training sees, is
    left out.

    Examples
    --------
    >>> import tempfile
    >>> from torch import nn
    >>> from statlearn.neural.adapters import (
    ...     apply_bone, load_peft_adapter, save_peft_adapter
    ... )
    >>> model, other = nn.Sequential(nn.Linear(8, 4)), nn.Sequential(nn.Linear(8, 4))
    >>> names = apply_bone(model, r=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_peft_adapter(model, folder)
    ...     load_peft_adapter(other, folder)
    ['0.weight']
    """
    source = Path(folder)
    config = read_config(source / CONFIG)
    layers, others = by_tensor(open_weights(source / WEIGHTS), config, module)
    beside = read_beside(others, config, module, [layer_of(name) for name in layers])

    def make(name: str, weight: Tensor) -> WeightMap:
        return _filled(name, weight, layers[name], config)

    names = attach_maps(
        module,
        make,
        list(layers),
        None,
        freeze_rest=freeze_rest,
        caller="load_peft_adapter",
    )
    write_beside(module, beside)
    return names


def _adapters(module: nn.Module) -> dict[str, BlockAffine | LowRank]:
    """Return the adapters of a model, at least one and at most one a tensor."""
    blocks, pairs = (
        {n: m for n, m in weight_maps(module, kind=kind).items() if isinstance(m, kind)}
        for kind in (BlockAffine, LowRank)
    )
    if twice := [name for name in blocks if name in pairs]:
        raise ValueError(
            f"save_peft_adapter writes one adapter of a layer. Got two on {twice}; "
            f"save the state with map_state_dict instead."
        )
    if not blocks and not pairs:
        raise ValueError(
            "save_peft_adapter needs a module with adapters. Got one without; call "
            "apply_bone or apply_lora first, or unmerge_bone if they are merged."
        )
    return {**blocks, **pairs}


def _common_settings(maps: Mapping[str, BlockAffine | LowRank]) -> dict[str, Any]:
    """Return the settings that all adapters share, in peft's words."""
    described = {name: _describe(m) for name, m in maps.items()}
    config = next(iter(described.values()))
    for name, other in described.items():
        if other != config:
            raise ValueError(
                f"peft has one setting for all adapters of a file. Got {config} and, "
                f"for {name!r}, {other}; save the state with map_state_dict instead."
            )
    return config


def _describe(adapter: BlockAffine | LowRank) -> dict[str, Any]:
    """Return the settings of an adapter in peft's words."""
    if isinstance(adapter, LowRank):
        # A principal start adds its own factors; the scale stays.
        rank = adapter.r if adapter.A_start is None else 2 * adapter.r
        return {
            "peft_type": "LORA",
            "r": rank,
            "lora_alpha": adapter.scale * rank,
            "lora_dropout": 0.0,
            "init_lora_weights": True,
            "use_rslora": False,
            "use_dora": False,
        }
    if adapter.variant not in _STARTS:
        raise ValueError(
            f"peft knows the variants {', '.join(_STARTS)}. Got {adapter.variant!r}; "
            f"save the state with bone_state_dict instead, or merge_bone and save the "
            f"model."
        )
    return {
        "peft_type": "MISS",
        "r": adapter.r,
        "mini_r": 1 if adapter.mini_r is None else adapter.mini_r,
        "miss_dropout": 0.0,
        "init_weights": _STARTS[adapter.variant],
    }


def _parts(adapter: BlockAffine | LowRank) -> dict[str, Tensor]:
    """Return the tensors of an adapter by the names that they have in peft."""
    if isinstance(adapter, BlockAffine):
        block = adapter.B if adapter.variant == "col" else adapter.D
        return {BLOCK["MISS"]: block.detach()}
    A, B = adapter.A.detach(), adapter.B.detach()
    if adapter.A_start is not None and adapter.B_start is not None:
        A = torch.cat([A, adapter.A_start])
        B = torch.cat([B, -adapter.B_start], dim=1)
    return dict(zip(LORA, (A, B), strict=True))


def _filled(
    name: str,
    weight: Tensor,
    arrays: Mapping[str, NDArray[Any]],
    config: Mapping[str, Any],
) -> WeightMap:
    """Make the map of one weight and give it the numbers from the file."""
    try:
        if misshapen := [a.shape for a in arrays.values() if a.ndim not in (2, 3)]:
            raise ValueError(
                f"An adapter consists of arrays with two or three axes. Got shape "
                f"{misshapen[0]}; save it again."
            )
        if config["peft_type"] in BLOCK:
            (block,) = arrays.values()
            made, state = _block_affine(weight, block, config)
        else:
            made, state = _low_rank(weight, arrays, config)
    except ValueError as error:
        raise ValueError(f"load_peft_adapter at {name!r}: {error}") from error
    for key, array in state.items():
        parameter = made.get_parameter(key)
        if parameter.shape != array.shape:
            raise ValueError(
                f"The adapter of {name!r} must have shape {tuple(parameter.shape)} for "
                f"a weight of shape {tuple(weight.shape)}. Got {array.shape}; load it "
                f"into the model that it was trained on."
            )
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(array))
        if not parameter.isfinite().all():
            raise ValueError(
                f"The adapter of {name!r} must be finite in {parameter.dtype}, the "
                f"type of its weight. Got numbers up to {abs(array).max():g}; convert "
                f"the model to float32 first."
            )
    return made


def _block_affine(
    weight: Tensor, block: NDArray[Any], config: Mapping[str, Any]
) -> tuple[WeightMap, dict[str, NDArray[Any]]]:
    """Make the adapter that a block of peft is for; its axes tell the variant."""
    if block.ndim == 3:
        return made_for(BlockAffine, weight, r=block.shape[-1]), {"B": block}
    is_mini = config.get("init_weights") == "mini"
    made = made_for(
        BlockAffine,
        weight,
        r=block.shape[0],
        variant="mini" if is_mini else "additive",
        mini_r=block.shape[1] if is_mini else None,
    )
    return made, {"D": block}


def _low_rank(
    weight: Tensor, arrays: Mapping[str, NDArray[Any]], config: Mapping[str, Any]
) -> tuple[WeightMap, dict[str, NDArray[Any]]]:
    """Make the adapter that two factors of peft are for."""
    A, B = (arrays[part] for part in LORA)
    r = A.shape[0]
    alpha = positive_number(
        config.get("lora_alpha", 8), "lora_alpha", CONFIG, "save the adapter again"
    )
    alpha *= r**0.5 if config.get("use_rslora") else 1.0
    if config.get("init_lora_weights") == "pissa":
        made = LowRank.principal(weight, r, alpha=alpha)
    else:
        made = made_for(LowRank, weight, r=r, alpha=alpha)
    return made, {"A": A, "B": B}
