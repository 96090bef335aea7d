"""What a run is known by: texts and numbers that are the same in another process.

A file or a state that a run goes on from holds them, so that it is not taken up by a
run with other settings, data or rates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import partial
from types import MethodType
from typing import Any
from zlib import crc32

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator

from statlearn.utils._optional import require

# Says what objects of another library are known by; None for all others.
Describe = Callable[[Any], str | None]

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_PLAIN = (bool, int, float, str)


def describe(value: Any, other: Describe | None = None) -> str:
    """Return a text of a setting: names and numbers, and no address in memory.

    Parameters
    ----------
    value : object
        Number, word, array, tensor, function, estimator, dataclass, or a partial
        function, list or mapping of them.
    other : callable, default=None
        Asked first about every part: returns its text, or None.

    Returns
    -------
    text : str
        Functions that are made in one place, as lambdas are, differ by the numbers in
        them. Of an array it has the shape and the checksum.

    Examples
    --------
    >>> from functools import partial
    >>> from math import pow
    >>> from statlearn.utils._identity import describe
    >>> describe(partial(pow, 2.0))
    'partial(math.pow, 2.0)'
    """
    known = None if other is None else other(value)
    if known is not None:
        return known

    def texts(parts: Iterable[Any]) -> Iterable[str]:
        return (describe(part, other) for part in parts)

    def named(parts: Mapping[str, Any]) -> Iterable[str]:
        return (f"{name}={describe(part, other)}" for name, part in parts.items())

    if isinstance(value, partial):
        parts = (value.func, *value.args)
        return called("partial", texts(parts), named(value.keywords))
    if _is_array(value):
        return f"array {tuple(value.shape)} {checksum(value)}"
    if isinstance(value, Mapping):
        return called("", (f"{key!r}: {describe(value[key], other)}" for key in value))
    if isinstance(value, (list, tuple)):
        return called("", texts(value))
    if isinstance(value, (set, frozenset)):  # in another order in another process
        return called("set", sorted(texts(value)))
    if isinstance(value, BaseEstimator):
        settings = value.get_params(deep=False)
    elif is_dataclass(value) and not isinstance(value, type):
        settings = {field.name: getattr(value, field.name) for field in fields(value)}
    elif callable(value) and hasattr(value, "__qualname__"):
        return _function(value)
    elif isinstance(value, np.generic):
        return repr(value.item())
    else:
        return _ADDRESS.sub("", repr(value))
    return called(qualified_name(type(value)), named(settings))


def called(name: str, *parts: Iterable[str]) -> str:
    """Return a text as of a call: the name, and all parts in brackets."""
    return f"{name}({', '.join(text for some in parts for text in some)})"


def qualified_name(thing: Any) -> str:
    """Return the name of a class or function with its module."""
    return f"{thing.__module__}.{thing.__qualname__}"


def _function(function: Any) -> str:
    """Return the name of a function, and the numbers in one that has no own name."""
    if isinstance(function, MethodType):
        function = function.__func__
    name = qualified_name(function)
    code = getattr(function, "__code__", None)
    if code is None or "<" not in name:
        return name
    # Those that are made in one place share a name, but not what they were made with.
    known = _closed_over(function)
    inside = [*code.co_consts, *(function.__defaults__ or ()), *known]
    return called(name, (repr(part) for part in inside if isinstance(part, _PLAIN)))


def _closed_over(function: Any) -> Iterator[Any]:
    """Yield what a function knows of the place where it was made."""
    for cell in function.__closure__ or ():
        # Empty for a name that is given only later, such as that of a loop.
        with suppress(ValueError):
            yield cell.cell_contents


def checksum(*parts: Any, other: Describe | None = None) -> int:
    """Return a number that other values, or other mappings of them, hardly share.

    Parameters
    ----------
    *parts : object
        Arrays, tensors and sparse tables, of which all numbers count as well as shape
        and type; mappings, of which names and order count; for all else what
        :func:`describe` says of it.
    other : callable, default=None
        As for :func:`describe`.

    Returns
    -------
    number : int
        Of 32 bits: it tells mistakes apart, not forgeries.
    """
    found = 0
    for part in parts:
        if isinstance(part, Mapping):
            for name in part:
                text = f"{name} {checksum(part[name], other=other)}"
                found = crc32(text.encode(), found)
        elif _is_array(part):
            found = crc32(f"{part.dtype}{tuple(part.shape)}".encode(), found)
            for numbers in _stored(part):
                found = crc32(_bytes_of(numbers), found)
        else:
            found = crc32(describe(part, other).encode(), found)
    return found


def _is_array(value: Any) -> bool:
    """Tell an array, a sparse table or a tensor."""
    return isinstance(value, np.ndarray) or issparse(value) or hasattr(value, "detach")


def _stored(table: Any) -> Iterable[Any]:
    """Return the arrays in which the numbers of a table are."""
    if not issparse(table):
        return [table]
    rows = table.tocsr()
    return [rows.data, rows.indices, rows.indptr]


def _bytes_of(array: Any) -> Any:
    """Return what an array or tensor holds, as a buffer; not copied if contiguous."""
    if isinstance(array, np.ndarray):
        if array.dtype.hasobject:
            return repr(array.tolist()).encode()
        return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    torch = require("torch", "neural", "the checksum of a tensor")
    array = array.detach().cpu()
    if array.layout != torch.strided:
        array = array.to_dense()
    return array.contiguous().reshape(-1).view(torch.uint8).numpy()
