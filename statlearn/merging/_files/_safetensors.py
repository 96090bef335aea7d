"""Safetensors files, one array at a time in both directions.

The package of that name maps whole files into memory, has no bfloat16 for NumPy, and
writes a file only when all of it is in memory. Merging needs the opposite, and the
format is simple: eight bytes with the length of a header, the header as JSON (type,
shape and place of each array), and the numbers, little-endian, without gaps.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

SUFFIX = ".safetensors"

# Names of types in files, and the NumPy type that holds their bytes.
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_NAMES = {np.dtype(code): name for name, code in DTYPES.items() if name != "BF16"}

# The published limit on the header of a file.
_LONGEST_HEADER = 100_000_000

# The limit of NumPy on the axes of an array.
_MOST_AXES = 64

_NOT_A_NUMBER = np.uint32(0x7FC0)  # in bfloat16


@dataclass(frozen=True, slots=True)
class Stored:
    """An array in a file.

    Attributes
    ----------
    path : Path
        The file.
    dtype : str
        Type of its numbers, a key of `DTYPES`.
    shape : tuple of int
        Its shape.
    start : int
        Place of its first byte in the file.
    """

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def kind(self) -> str:
        """Return "f" for floating numbers and "i" for integers and booleans."""
        return "f" if self.dtype.endswith(("F64", "F32", "F16")) else "i"

    @property
    def n_bytes(self) -> int:
        """Return the length of the array in the file."""
        return n_bytes(self.dtype, self.shape)

    def read(self) -> NDArray[Any]:
        """Read the numbers; bfloat16 comes as float32.

        Raises
        ------
        ValueError
            If the file is no longer as long as it was when its header was read.
        """
        size = math.prod(self.shape)
        numbers = np.fromfile(self.path, DTYPES[self.dtype], size, offset=self.start)
        if numbers.size != size:
            raise ValueError(
                "A file must not change while its arrays are in use. Got "
                f"{self.path.name!r}, which has become shorter; open it again."
            )
        if self.dtype == "BF16":
            numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
        if self.dtype == "BOOL":  # any byte but zero is true
            numbers = numbers.view(np.uint8) != 0
        return numbers.reshape(self.shape)


def read_header(path: Path) -> dict[str, Stored]:
    """Return where the arrays of a file are; see `read_contents`."""
    return read_contents(path)[0]


def read_contents(path: Path) -> tuple[dict[str, Stored], dict[str, Any]]:
    """Return where the arrays of a file are, and its metadata.

    The whole header is looked at first.

    Raises
    ------
    ValueError
        If the file is not of this format; nothing in it is run.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            text = file.read(length).decode()
        header = json.loads(text, object_pairs_hook=_without_repetition)
        metadata = dict(header.pop("__metadata__", None) or {})
        stored = {
            name: _stored(path, entry, 8 + length) for name, entry in header.items()
        }
        _check_places(stored.values(), 8 + length, size)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(
            f"Weights are read from safetensors files. Got {path.name!r}, which is no "
            f"such file ({type(error).__name__}: {error}); convert the model with the "
            "library that wrote it."
        ) from error
    return stored, metadata


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dictionary of a JSON object, which must not name a thing twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name that occurs twice")
    return found


def _stored(path: Path, entry: Mapping[str, Any], origin: int) -> Stored:
    """Read one entry of a header, whose numbers start at `origin`."""
    shape = tuple(map(_whole, entry["shape"]))
    begin, end = map(_whole, entry["data_offsets"])
    stored = Stored(path, entry["dtype"], shape, origin + begin)
    if stored.dtype not in DTYPES:
        raise ValueError(f"numbers of type {stored.dtype!r}")
    # Zeros aside: NumPy wants to be able to count the others.
    extent = n_bytes(stored.dtype, tuple(length for length in shape if length))
    if len(shape) > _MOST_AXES or extent > sys.maxsize:
        raise ValueError(f"an array of shape {shape[:5]} and so on")
    if end - begin != stored.n_bytes:
        raise ValueError(f"{end - begin} bytes for {stored.n_bytes} bytes of numbers")
    return stored


def _whole(value: Any) -> int:
    """Return a length or a place, which must be a number that counts."""
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} for a length or a place")
    return value


def _check_places(stored: Iterable[Stored], origin: int, size: int) -> None:
    """Refuse arrays that overlap, leave gaps or do not end where the file does."""
    place = origin
    for one in sorted(stored, key=lambda one: (one.start, one.n_bytes)):
        if one.start != place:
            raise ValueError(f"an array at byte {one.start} instead of {place}")
        place += one.n_bytes
    if place != size:
        raise ValueError(f"{place} bytes announced in a file of {size}")


def write_file(
    file: IO[bytes],
    contents: Mapping[str, tuple[str, tuple[int, ...]]],
    fetch: Callable[[str], NDArray[Any]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays one after the other, each asked for when its turn comes.

    Parameters
    ----------
    file : binary file
        Open for writing.
    contents : mapping of str to (str, tuple of int)
        Type and shape of each array, in the order of the file.
    fetch : callable
        Gives the array of a name.
    metadata : mapping of str to str, default=None
        Further facts for the header.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    place = 0
    for name, (dtype, shape) in contents.items():
        end = place + n_bytes(dtype, shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [place, end]}
        place = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of eight
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for name, (dtype, shape) in contents.items():
        array = np.asarray(fetch(name))
        _check_array(name, array, dtype, shape)
        file.write(_encoded(array, dtype).data)


def _check_array(
    name: str, array: NDArray[Any], dtype: str, shape: tuple[int, ...]
) -> None:
    """Refuse an array that does not fit the place that the header gives it."""
    kind = np.float32 if dtype == "BF16" else DTYPES[dtype]
    if array.shape != shape or not np.can_cast(array.dtype, kind, "same_kind"):
        raise ValueError(
            f"The array {name!r} must have the shape {shape} and fit the type {dtype}. "
            f"Got shape {array.shape} and dtype {array.dtype}; a merge rule returns "
            "arrays of the base's shapes and kinds."
        )


def n_bytes(dtype: str, shape: tuple[int, ...]) -> int:
    """Return the length of an array in a file."""
    return math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize


def dtype_name(array: NDArray[Any]) -> str:
    """Return the name of an array's type in files."""
    name = _NAMES.get(array.dtype.newbyteorder("<"))
    if name is None:
        raise TypeError(
            "Safetensors files hold real numbers of up to 64 bits. Got dtype "
            f"{array.dtype}; convert it to float64."
        )
    return name


def _encoded(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return the array as a contiguous one of the type in the file."""
    if dtype != "BF16":
        return np.ascontiguousarray(array, dtype=DTYPES[dtype]).reshape(-1)
    values = np.ascontiguousarray(array, dtype=np.float32).reshape(-1)
    bits = values.view(np.uint32)
    # Round to the nearest, halves to even; a carry into the exponent is right.
    rounded = (bits >> 16) & np.uint32(1)
    rounded += np.uint32(0x7FFF)
    rounded += bits
    rounded >>= 16
    rounded[np.isnan(values)] = _NOT_A_NUMBER  # a carry would make it a number
    return rounded.astype(DTYPES["BF16"])
