"""Files of weight signatures: NumPy arrays and a header of text, no pickle."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._signatures._quantization import (
    Codes,
    check_quantization,
    pack,
    unpack,
)
from statlearn.merging._state._entry import Array
from statlearn.utils._files import check_target, replacing

_FORMAT = "statlearn weight signature 1"


def write_signature(
    path: str | os.PathLike[str], stored: Mapping[str, Array | Codes]
) -> None:
    """Write arrays or codes by name; the file appears whole or not at all."""
    target = check_target(_npz(path, "save"), "WeightSignature.save")
    entries = list(stored.values())
    head = {
        "format": _FORMAT,
        "names": list(stored),
        "codes": [
            _describe(one) if isinstance(one, Codes) else None for one in entries
        ],
    }
    arrays: dict[str, NDArray[Any]] = {
        f"array{i}": pack(one) if isinstance(one, Codes) else one
        for i, one in enumerate(entries)
    }
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    with replacing(target) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_signature(path: str | os.PathLike[str]) -> dict[str, Array | Codes]:
    """Read what `write_signature` wrote; nothing in the file is run.

    What a header says is compared with the length of the file before any memory is
    taken for it.
    """
    source = _npz(path, "load")
    try:
        with source.open("rb") as file, ZipFile(file) as archive:
            return _read(archive, os.fstat(file.fileno()).st_size)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(
            "WeightSignature.load needs a file that WeightSignature.save wrote. Got "
            f"{source.name!r}, which is none ({type(error).__name__}: {error}); save "
            "it again."
        ) from error


def _read(archive: ZipFile, size: int) -> dict[str, Array | Codes]:
    """Return the contents of an archive, a file of `size` bytes."""
    members = {member.filename: member for member in archive.infolist()}
    plain = all(
        member.compress_type == ZIP_STORED and member.compress_size == member.file_size
        for member in members.values()
    )
    if not plain or sum(member.file_size for member in members.values()) > size:
        raise ValueError("members that are compressed, or longer than the file")
    head = json.loads(_array(archive, members["head.npy"], np.uint8).tobytes())
    if head["format"] != _FORMAT:
        raise ValueError(f"the format {head['format']!r}")
    names, codes = head["names"], head["codes"]
    words = all(isinstance(name, str) for name in names)
    if not words or len(set(names)) < len(names) or len(codes) != len(names):
        raise ValueError("names that are no words, or not one for each array")
    if any(codes) and not all(codes):
        raise ValueError("levels for some arrays and plain numbers for others")
    expected = {"head.npy", *(f"array{i}.npy" for i in range(len(names)))}
    if len(archive.infolist()) != len(expected) or members.keys() != expected:
        raise ValueError(f"members other than those of {len(names)} arrays")
    return {
        name: _restore(one, archive, members[f"array{i}.npy"])
        for i, (name, one) in enumerate(zip(names, codes, strict=True))
    }


def _array(archive: ZipFile, member: ZipInfo, dtype: Any) -> NDArray[Any]:
    """Read an array of one data type, whose header must agree with its length."""
    with archive.open(member) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"another version of arrays in {member.filename!r}")
        shape, by_columns, found = np.lib.format.read_array_header_1_0(file)
        data = file.read()
    if found.newbyteorder("=") != dtype:
        raise ValueError(f"numbers of type {found} in {member.filename!r}")
    if math.prod(shape) * found.itemsize != len(data) or min(shape, default=0) < 0:
        raise ValueError(f"{len(data)} bytes for an array of shape {shape}")
    flat = np.frombuffer(data, found).astype(dtype, copy=False)
    return flat.reshape(shape, order="F" if by_columns else "C")


def _describe(coded: Codes) -> dict[str, Any]:
    return {
        "shape": coded.codes.shape,
        "n_bits": coded.n_bits,
        "low": coded.low,
        "high": coded.high,
        "levels": coded.levels,
        "method": coded.method,
        "bounds": coded.bounds,
    }


def _restore(
    head: Mapping[str, Any] | None, archive: ZipFile, member: ZipInfo
) -> Array | Codes:
    """Read an array or codes, after a look at whether the codes can be."""
    if head is None:
        return _array(archive, member, np.float64)
    packed = _array(archive, member, np.uint8)
    levels, method, n_bits = head["levels"], head["method"], head["n_bits"]
    check_quantization(levels, method)
    shape = tuple(head["shape"])
    whole = all(type(number) is int and number >= 0 for number in (*shape, n_bits))
    if not whole or not 1 <= n_bits <= 16:
        raise ValueError(f"codes of {n_bits!r} bits in the shape {shape}")
    if packed.shape != (-(-math.prod(shape) * n_bits // 8),):
        raise ValueError(f"{packed.size} bytes for codes of shape {shape}")
    ends = [float(end) for end in (head["low"], head["high"], *head["bounds"])]
    low, high, least, most = ends
    limit = 1.0 if method == "tanh" else np.inf
    sorted_ends = -limit <= low <= high <= limit and least <= most
    if not np.isfinite(ends).all() or not sorted_ends:
        raise ValueError(f"numbers between {ends}")
    codes = unpack(packed, n_bits, shape)
    if codes.max(initial=0) > (2 * (levels // 2) if method == "log" else levels - 1):
        raise ValueError(f"codes above those of {levels} levels")
    return Codes(codes, low, high, levels, method, (least, most))


def _npz(path: str | os.PathLike[str], caller: str) -> Path:
    target = Path(path)
    if target.suffix != ".npz":
        raise ValueError(
            f"The 'path' of WeightSignature.{caller} must end in .npz. Got "
            f"{target.name!r}; append the suffix."
        )
    return target
