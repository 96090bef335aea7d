"""Whole codes of the quantised weights of a module, in memory and in files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from statlearn.merging import open_weights, save_weights
from statlearn.neural.quantization._grid import CodedWeight
from statlearn.neural.quantization._quantized import quantized_weights

# Names of the parts of a weight in a file, behind its own.
_PARTS = ("codes", "step", "offset")


def export_codes(model: nn.Module) -> dict[str, CodedWeight]:
    """Return the whole codes of all quantised weights of a module.

    Parameters
    ----------
    model : Module
        With quantised weights.

    Returns
    -------
    dict of str to CodedWeight
        Under the names that the weights have in the module without quantisers, and
        ``qk_product`` for the products of a :class:`QKReparamAttention`. Copies.

    Raises
    ------
    ValueError
        If nothing is quantised, or a weight is not finite.

    See Also
    --------
    dequantize : The way back to numbers.
    save_codes : Writes them to a file.
    torch.quantize_per_channel : Tensors of PyTorch with codes of their own.

    Notes
    -----
    The numbers of the codes are those that the module computes with, to the bit; in
    half precision after rounding to it.

    Examples
    --------
    >>> from torch import nn
    >>> from statlearn.neural.quantization import export_codes, quantize_model
    >>> model = nn.Linear(4, 2)
    >>> _ = nn.init.constant_(model.weight, 1.0)
    >>> names = quantize_model(model, bits=2)
    >>> export_codes(model)["weight"].codes
    tensor([[0, 0, 0, 0],
            [0, 0, 0, 0]], dtype=torch.int8)
    """
    coded = {}
    for weight in quantized_weights(model, caller="export_codes"):
        stored = weight.read().detach()
        if not stored.isfinite().all():
            raise ValueError(
                f"export_codes needs finite weights. Got NaN or infinity in "
                f"{weight.name!r}; train with a lower learning rate."
            )
        coded[weight.name] = weight.quantizer.encode(stored)
    return coded


def dequantize(codes: Mapping[str, CodedWeight]) -> dict[str, Tensor]:
    """Turn exported codes into a state dict of plain weights.

    Parameters
    ----------
    codes : mapping of str to CodedWeight
        What :func:`export_codes` or :func:`load_codes` gave.

    Returns
    -------
    dict of str to Tensor
        For ``load_state_dict(..., strict=False)`` of a module without quantisers; one
        with products of queries and keys after ``fold()`` of their attention.

    See Also
    --------
    export_codes : The way there.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from statlearn.neural.quantization import (
    ...     dequantize, export_codes, quantize_model)
    >>> model, plain = nn.Linear(4, 2), nn.Linear(4, 2)
    >>> names = quantize_model(model, bits=2)
    >>> missing, unexpected = plain.load_state_dict(
    ...     dequantize(export_codes(model)), strict=False)
    >>> torch.equal(plain.weight, model.weight), missing, unexpected
    (True, ['bias'], [])
    """
    return {name: coded.dequantize() for name, coded in codes.items()}


def save_codes(path: str | os.PathLike[str], codes: Mapping[str, CodedWeight]) -> None:
    """Write exported codes to a safetensors file.

    Parameters
    ----------
    path : str or path
        File with the suffix ``.safetensors``, or a folder that does not exist yet. A
        file of this name is replaced.
    codes : mapping of str to CodedWeight
        What :func:`export_codes` gave.

    Raises
    ------
    FileExistsError
        If the folder exists.
    FileNotFoundError
        If the folder around it does not exist.

    See Also
    --------
    load_codes : Reads them.
    statlearn.merging.save_weights : Writes the rest of a state dict.

    Notes
    -----
    A code takes one byte, whatever its number of bits. A weight ``w`` is written as
    ``w.codes``, ``w.step`` and ``w.offset``.

    Examples
    --------
    >>> import tempfile
    >>> from torch import nn
    >>> from statlearn.neural.quantization import (
    ...     export_codes, load_codes, quantize_model, save_codes)
    >>> model = nn.Linear(4, 2)
    >>> names = quantize_model(model, bits=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_codes(f"{folder}/codes.safetensors", export_codes(model))
    ...     list(load_codes(f"{folder}/codes.safetensors"))
    ['weight']
    """
    arrays: dict[str, Any] = {}
    for name, coded in codes.items():
        parts = (coded.codes, coded.step, _offset(coded))
        arrays |= {f"{name}.{p}": v for p, v in zip(_PARTS, parts, strict=True)}
    save_weights(path, arrays)


def _offset(coded: CodedWeight) -> Tensor:
    """Return an offset as a tensor, whatever the default type and device are."""
    return torch.tensor(coded.offset, dtype=torch.float32, device="cpu")


def load_codes(path: str | os.PathLike[str]) -> dict[str, CodedWeight]:
    """Read codes from a safetensors file; nothing in it is run.

    Parameters
    ----------
    path : str or path
        What :func:`save_codes` wrote.

    Returns
    -------
    dict of str to CodedWeight
        By the name of the weight.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not of this format, or holds something else than codes.

    See Also
    --------
    dequantize : Turns them into numbers.

    Examples
    --------
    >>> import tempfile
    >>> import torch
    >>> from statlearn.neural.quantization import CodedWeight, load_codes, save_codes
    >>> codes = torch.tensor([[-2, 1]], dtype=torch.int8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/codes.safetensors"
    ...     save_codes(path, {"w": CodedWeight(codes, torch.ones(1, 1), 0.5)})
    ...     load_codes(path)["w"].codes
    tensor([[-2,  1]], dtype=torch.int8)
    """
    arrays = open_weights(path)
    names = dict.fromkeys(name.rpartition(".")[0] for name in arrays)
    wanted = {f"{name}.{part}" for name in names for part in _PARTS}
    if not names or set(arrays) != wanted:
        odd = sorted(set(arrays) ^ wanted)[:3]
        raise ValueError(
            "A file of load_codes must hold the codes, step and offset of each weight. "
            f"Got one that differs in {odd}; write it with save_codes."
        )
    return {
        name: _coded(name, *(arrays[f"{name}.{p}"] for p in _PARTS)) for name in names
    }


def _coded(name: str, codes: Any, step: Any, offset: Any) -> CodedWeight:
    """Return the codes of a weight, or say that the arrays are none."""
    whole = codes.dtype in (np.int8, np.uint8) and step.dtype.kind == "f"
    sizes = zip(codes.shape, step.shape, strict=False)
    fits = codes.ndim == step.ndim and all(s in (1, c) for c, s in sizes)
    if not (whole and fits and offset.size == 1):
        raise ValueError(
            f"The codes of {name!r} in a file of load_codes must be int8 or uint8, "
            f"with a step of floating type that broadcasts, and one offset. Got "
            f"{codes.dtype} of shape {codes.shape}, {step.dtype} of {step.shape}, and "
            f"{offset.size} offsets; write it with save_codes."
        )
    return CodedWeight(
        torch.from_numpy(codes), torch.from_numpy(step), float(offset.item())
    )
