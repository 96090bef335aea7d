"""What a section of the tour is, and what it hands back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

STATUSES = ("stable", "experimental")


class UsageError(ValueError):
    """A word on the command line that cannot be honoured."""


class Progress(Protocol):
    """Way of a section to say how far it is; a bar shows only when it takes long."""

    def track(self, steps: Iterable[T], label: str) -> Iterator[T]:
        """Yield the steps one by one and move the bar after each."""
        ...

    def step(self, label: str) -> AbstractContextManager[None]:
        """Cover one piece of work whose length is not known."""
        ...


@dataclass(frozen=True, slots=True)
class Table:
    """A table below the figures of a section.

    Parameters
    ----------
    caption : str
        What the table shows, in one sentence.
    header : tuple of str
        Names of the columns; the first column names the rows.
    rows : tuple of tuple of str
        The cells, already formatted.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.rows} - {len(self.header)}
        if widths:
            raise ValueError(
                f"The 'rows' parameter of Table must have {len(self.header)} cells "
                f"each, as the header. Got rows of {sorted(widths)} cells in "
                f"{self.caption!r}; fill or drop cells."
            )


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a section, drawn only when matplotlib is there.

    Parameters
    ----------
    title : str
        Short heading; the figure itself carries none.
    alt : str
        What a reader who cannot see the figure should know: kind, axes, finding.
    caption : str
        What to look at.
    draw : callable
        Receives an empty ``matplotlib.figure.Figure`` and draws on it, or returns
        one of its own, as a display of the package makes it.
    size : tuple of float, default=(7.2, 4.0)
        Width and height in inches.
    """

    title: str
    alt: str
    caption: str
    draw: Callable[[Any], object]
    size: tuple[float, float] = (7.2, 4.0)


@dataclass(frozen=True, slots=True)
class SectionResult:
    """What a section found.

    Parameters
    ----------
    data : str
        The data, with their size.
    measured : str
        The finding, in numbers, next to what the paper claims.
    peer : str
        Against what it was measured.
    supported : bool or None, default=None
        Whether the numbers support the claim; None when it cannot be said.
    tables : tuple of Table, default=()
        The numbers in full.
    figures : tuple of Figure, default=()
        The figures.
    notes : tuple of str, default=()
        Differences from the paper, pitfalls, how the numbers came about.
    """

    data: str
    measured: str
    peer: str
    supported: bool | None = None
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()


def left_out(package: str, extra: str) -> SectionResult:
    """Return what a section says whose package is not installed."""
    measured = (
        f"Left out, because {package} is not installed. "
        f'pip install "statlearn[{extra}]" brings it.'
    )
    return SectionResult(data="", measured=measured, peer="")


def say_claims(claims: Mapping[str, bool]) -> str:
    """Return how many claims hold, and which do not."""
    failed = [claim for claim, holds in claims.items() if not holds]
    count = f"{len(claims) - len(failed)} of {len(claims)} claims hold"
    return f"{count}; not: {', '.join(failed)}." if failed else f"{count}."


@dataclass(frozen=True, slots=True)
class Section:
    """One method in the tour.

    Parameters
    ----------
    name : str
        Short name for the command line: lower-case letters, digits, underscores.
    method : str
        Name of the method for readers.
    classes : tuple of str
        Dotted names of the public classes and functions.
    paper : str
        Authors, title, venue, year.
    status : {"stable", "experimental"}
        Whether the method is checked against reference numbers, theory and peers.
    claim : str
        What the paper, or the reference, claims.
    run : callable
        Receives a :class:`Progress`, fits, measures, gives a :class:`SectionResult`.
    """

    name: str
    method: str
    classes: tuple[str, ...]
    paper: str
    status: str
    claim: str
    run: Callable[[Progress], SectionResult]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError(
                "The 'name' parameter of Section must be lower-case letters, digits "
                f"and underscores. Got {self.name!r}; pass something like 'presto'."
            )
        if self.status not in STATUSES:
            raise ValueError(
                f"The 'status' parameter of Section must be one of {STATUSES}. "
                f"Got {self.status!r}; pass one of them."
            )

    def describe(self) -> dict[str, Any]:
        """Everything but the work, as plain data."""
        return {
            "name": self.name,
            "method": self.method,
            "classes": list(self.classes),
            "paper": self.paper,
            "status": self.status,
            "claim": self.claim,
        }
