"""Arrays as few levels: the codes, the values they stand for, and their packing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from statlearn.merging._state._entry import Array

QuantizationMethod = Literal["linear", "log", "tanh"]

MAX_LEVELS = 65535  # the codes are 16 bits wide, and zero may need one more


@dataclass(frozen=True, slots=True)
class Codes:
    """An array in which every number is one of a few levels.

    Attributes
    ----------
    codes : ndarray of shape (...), uint16
        Level of each number, from 0 to ``levels - 1``.
    low, high : float
        Ends of the scale on which the levels lie at equal distances.
    levels : int
        Number of levels.
    method : {"linear", "log", "tanh"}
        Scale: the number, the logarithm of its size, or its hyperbolic tangent.
    bounds : tuple of float
        Smallest and largest number of the array.
    """

    codes: NDArray[np.uint16]
    low: float
    high: float
    levels: int
    method: QuantizationMethod
    bounds: tuple[float, float]

    @property
    def n_bits(self) -> int:
        """Bits that one code needs."""
        return max(1, int(self.codes.max(initial=0)).bit_length())

    @property
    def nbytes(self) -> int:
        """Bytes of the packed codes and of the four ends."""
        return -(-self.codes.size * self.n_bits // 8) + 4 * 8


def check_quantization(levels: Any, method: Any) -> None:
    """Refuse numbers of levels and scales that cannot be."""
    if method not in get_args(QuantizationMethod):
        raise ValueError(
            f"The 'method' of quantize must be one of {get_args(QuantizationMethod)}. "
            f"Got {method!r}; pass 'linear'."
        )
    least = 4 if method == "log" else 2
    whole = isinstance(levels, (int, np.integer)) and not isinstance(levels, bool)
    if not whole or not least <= levels <= MAX_LEVELS:
        raise ValueError(
            f"The 'levels' of quantize must be a whole number from {least} to "
            f"{MAX_LEVELS} for method {method!r}. Got {levels!r}; 16 levels "
            "take 4 bits a number."
        )


def encode(values: Array, levels: int, method: QuantizationMethod) -> Codes:
    """Round every number to the nearest level, halves to the even one.

    An array of equal numbers is one level and is kept as it is. The logarithmic scale
    shares the levels between the two signs; zeros stay zeros.
    """
    low_value, high_value = _ends(values)
    bounds = (low_value, high_value)
    if method == "log":
        return _encode_log(values, levels, bounds)
    scaled = np.tanh(values) if method == "tanh" else values
    low, high = _ends(scaled)
    codes = _nearest(scaled, low, high, levels)
    return Codes(codes, low, high, levels, method, bounds)


def decode(coded: Codes) -> Array:
    """Return the numbers that the codes stand for, within the array's own bounds."""
    if coded.method == "log":
        values = _decode_log(coded)
    else:
        values = _level(coded.codes, coded.low, coded.high, coded.levels)
    if coded.method == "tanh":
        with np.errstate(divide="ignore"):  # a tangent of one is cut at the bounds
            values = np.arctanh(values)
    return np.clip(values, *coded.bounds)


def pack(coded: Codes) -> NDArray[np.uint8]:
    """Put the codes side by side, `n_bits` each, most significant bit first."""
    flat = coded.codes.reshape(-1).astype(">u2").view(np.uint8).reshape(-1, 2)
    bits = np.unpackbits(flat, axis=1)[:, 16 - coded.n_bits :]
    return np.packbits(bits)


def unpack(packed: NDArray[np.uint8], n_bits: int, shape: tuple[int, ...]) -> Any:
    """Undo `pack` for codes of a known shape."""
    size = int(np.prod(shape))
    bits = np.unpackbits(packed, count=size * n_bits).reshape(size, n_bits)
    padded = np.zeros((size, 16), dtype=np.uint8)
    padded[:, 16 - n_bits :] = bits
    codes = np.packbits(padded, axis=1).view(">u2").astype(np.uint16)
    return codes.reshape(shape)


def _ends(values: Array) -> tuple[float, float]:
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def _nearest(values: Array, low: float, high: float, levels: int) -> NDArray[np.uint16]:
    if not high > low:
        return np.zeros(values.shape, dtype=np.uint16)
    # Halved first: the distance of the ends may exceed the largest double.
    share = (values / 2 - low / 2) / (high / 2 - low / 2)
    return np.rint(share * (levels - 1)).astype(np.uint16)


def _level(codes: NDArray[Any], low: float, high: float, levels: int) -> Array:
    share = codes.astype(np.float64) / max(levels - 1, 1)
    return share * high + (1.0 - share) * low


def _encode_log(values: Array, levels: int, bounds: tuple[float, float]) -> Codes:
    """Give negative numbers even codes, positive ones odd codes and zero its own."""
    each = levels // 2
    zero = values == 0.0
    sizes = np.log2(np.abs(values[~zero]))
    low, high = _ends(sizes)
    codes = np.full(values.shape, 2 * each, dtype=np.uint16)
    codes[~zero] = 2 * _nearest(sizes, low, high, each) + (values[~zero] > 0.0)
    return Codes(codes, low, high, levels, "log", bounds)


def _decode_log(coded: Codes) -> Array:
    each = coded.levels // 2
    with np.errstate(over="ignore"):  # the logarithm of the largest double is 1024
        sizes = np.exp2(_level(coded.codes // 2, coded.low, coded.high, each))
    signs = np.where(coded.codes % 2 == 1, 1.0, -1.0)
    return np.where(coded.codes == 2 * each, 0.0, signs * sizes)
