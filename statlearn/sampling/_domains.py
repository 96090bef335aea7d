"""Which rows belong to which domain, without a list of rows where none is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from statlearn.utils._groups import group_codes

Integers = NDArray[np.int64]

_HOW = (
    "pass a list of sizes, a list of ranges, a dict of either by name, or an array of "
    "one label for each row"
)


@dataclass(frozen=True, slots=True)
class DomainRanges:
    """Domains of rows, each a range, in place or in a list of rows.

    Attributes
    ----------
    names : list of length K
        Labels, or the numbers from 0.
    sizes : ndarray of shape (K,)
        Number of rows.
    starts : ndarray of shape (K,)
        First row of each domain; position of it in `order` if there is one.
    order : ndarray of shape (n,) or None
        Rows sorted by domain, where domains are not contiguous.
    """

    names: list[Any]
    sizes: Integers
    starts: Integers
    order: Integers | None = None

    def rows(self, domain: NDArray[np.intp], local: Integers) -> Integers:
        """Return rows (m,) of the data from domains and rows within them (m,)."""
        rows = self.starts[domain] + local
        return rows if self.order is None else self.order[rows]


def read_domains(domains: Any, caller: str) -> DomainRanges:
    """Return the domains that sizes, ranges or labels describe.

    Parameters
    ----------
    domains : list of int, list of range, dict of either, or array-like of shape (n,)
        Sizes, ranges of rows, or labels of the rows.
    caller : str
        For messages.
    """
    if isinstance(domains, Mapping):
        names, parts = list(domains), list(domains.values())
    elif isinstance(domains, (list, tuple)):
        names, parts = list(range(len(domains))), list(domains)
    else:
        return _from_labels(domains, caller)
    if not parts:
        raise ValueError(
            f"The 'domains' of {caller} must hold one domain or more. Got none; {_HOW}."
        )
    if all(isinstance(part, range) for part in parts):
        return _from_ranges(names, parts, caller)
    if all(isinstance(p, Integral) and not isinstance(p, bool) for p in parts):
        return _from_sizes(names, parts, caller)
    if isinstance(domains, Mapping):
        raise TypeError(
            f"The 'domains' of {caller} must map names to sizes or to ranges. Got "
            f"{type(parts[0]).__name__} among the values; {_HOW}."
        )
    if any(isinstance(part, (float, range)) for part in parts):
        raise TypeError(
            f"The 'domains' of {caller} as a list must hold integers, ranges or names. "
            f"Got {_few(parts)}; {_HOW}."
        )
    return _from_labels(domains, caller)


def _from_sizes(names: list[Any], parts: list[Any], caller: str) -> DomainRanges:
    if sum(map(abs, map(int, parts))) >= 2**63:
        raise ValueError(
            f"The sizes in 'domains' of {caller} must add up to less than 2^63. Got "
            f"{_few(parts)}; count rows, not bytes."
        )
    sizes = np.array([int(part) for part in parts], dtype=np.int64)
    _refuse_empty(names, sizes, caller)
    return DomainRanges(names, sizes, np.cumsum(sizes) - sizes)


def _from_ranges(names: list[Any], parts: list[range], caller: str) -> DomainRanges:
    sizes = np.array([len(part) for part in parts], dtype=np.int64)
    _refuse_empty(names, sizes, caller)
    starts = np.array([part.start for part in parts], dtype=np.int64)
    order = np.argsort(starts)
    apart = (starts + sizes)[order][:-1] <= starts[order][1:]
    if any(part.step != 1 for part in parts) or starts.min() < 0 or not apart.all():
        raise ValueError(
            f"The ranges in 'domains' of {caller} must have the step 1, start at 0 or "
            f"later and not overlap. Got {_few(parts)}; pass labels for domains that "
            f"are no blocks of rows."
        )
    return DomainRanges(names, sizes, starts)


def _from_labels(labels: Any, caller: str) -> DomainRanges:
    names, codes = group_codes(labels, caller, name="domains")
    sizes = np.bincount(codes, minlength=len(names)).astype(np.int64)
    whole = all(isinstance(name, Integral) for name in names)
    if whole and 1 < len(names) == len(codes):
        raise ValueError(
            f"The 'domains' of {caller} as an array must label rows. Got "
            f"{len(names)} different numbers for as many rows, which look like sizes; "
            f"pass sizes as a list."
        )
    starts = np.cumsum(sizes) - sizes
    if (np.diff(codes) >= 0).all():
        return DomainRanges(names, sizes, starts)
    return DomainRanges(names, sizes, starts, np.argsort(codes, kind="stable"))


def _refuse_empty(names: list[Any], sizes: Integers, caller: str) -> None:
    if (sizes > 0).all():
        return
    empty = [name for name, size in zip(names, sizes, strict=True) if size <= 0]
    raise ValueError(
        f"The sizes in 'domains' of {caller} must be at least 1. Got "
        f"{sizes[sizes <= 0][0]} for domain {_few(empty)}; leave empty domains out; "
        f"labels of rows that are numbers have to be an array, not a list."
    )


def _few(values: list[Any]) -> str:
    listed = [repr(value) for value in values]
    return ", ".join([*listed[:5], "..."] if len(listed) > 5 else listed)
