"""Files of weight signatures: NumPy arrays and a header of text, no pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._quantization import (
    Codes,
    check_quantization,
    pack,
    unpack,
)
from statlearn.merging._state import Array
from statlearn.utils._files import replacing

_FORMAT = "statlearn weight signature 1"


def write_signature(
    path: str | os.PathLike[str], stored: Mapping[str, Array | Codes]
) -> None:
    """Write arrays or codes by name; the file appears whole or not at all."""
    target = _npz(path, "save")
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
    """Read what `write_signature` wrote; nothing in the file is run."""
    source = _npz(path, "load")
    try:
        with np.load(source, allow_pickle=False) as file:
            head = json.loads(file["head"].tobytes())
            if head["format"] != _FORMAT:
                raise ValueError(head["format"])
            arrays = [file[f"array{i}"] for i in range(len(head["names"]))]
            stored = map(_restore, head["codes"], arrays)
            return dict(zip(map(str, head["names"]), stored, strict=True))
    except OSError:
        raise
    except Exception as error:
        raise ValueError(
            "WeightSignature.load needs a file that WeightSignature.save wrote. Got "
            f"{source.name!r}, which is none ({type(error).__name__}); save it again."
        ) from error


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


def _restore(head: Mapping[str, Any] | None, packed: NDArray[Any]) -> Array | Codes:
    if head is None:
        return packed
    check_quantization(head["levels"], head["method"])
    shape = tuple(int(length) for length in head["shape"])
    return Codes(
        unpack(packed, int(head["n_bits"]), shape),
        float(head["low"]),
        float(head["high"]),
        int(head["levels"]),
        head["method"],
        (float(head["bounds"][0]), float(head["bounds"][1])),
    )


def _npz(path: str | os.PathLike[str], caller: str) -> Path:
    target = Path(path)
    if target.suffix != ".npz":
        raise ValueError(
            f"The 'path' of WeightSignature.{caller} must end in .npz. Got "
            f"{target.name!r}; append the suffix."
        )
    return target
