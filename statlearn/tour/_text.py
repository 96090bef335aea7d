"""Tables for a terminal, in plain characters."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from statlearn.utils._tables import GAP, aligned

_NARROWEST = 10


def text_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int = 100
) -> str:
    """Lay out a table within a width; long cells are wrapped."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = _column_widths(lines, width)
    rule = GAP.join("-" * w for w in widths)
    blocks = [_row(line, widths) for line in lines]
    between = "\n\n" if any("\n" in block for block in blocks[1:]) else "\n"
    return f"{blocks[0]}\n{rule}\n{between.join(blocks[1:])}"


def _column_widths(lines: Sequence[Sequence[str]], width: int) -> list[int]:
    """Natural widths; while they do not fit, the widest column gives way.

    Columns that can shrink without breaking a word do so first.
    """
    columns = list(zip(*lines, strict=True))
    widths = [max(_longest(cell, "\n") for cell in column) for column in columns]
    words = [max(_longest(cell, None) for cell in column) for column in columns]
    room = width - len(GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _NARROWEST:
        loose = [w if w > word else 0 for w, word in zip(widths, words, strict=True)]
        candidates = loose if any(loose) else widths
        widths[candidates.index(max(candidates))] -= 1
    return widths


def _longest(cell: str, separator: str | None) -> int:
    """Length of the longest line, or of the longest word without a separator."""
    return max((len(part) for part in cell.split(separator)), default=0)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    """One row of the table, over as many lines as its longest cell needs."""
    columns = [_wrap(cell, w) for cell, w in zip(cells, widths, strict=True)]
    height = max(len(column) for column in columns)
    padded = [column + [""] * (height - len(column)) for column in columns]
    return "\n".join(
        aligned(parts, widths, n_left=len(parts)).rstrip()
        for parts in zip(*padded, strict=True)
    )


def _wrap(cell: str, width: int) -> list[str]:
    """Lines of one cell."""
    parts = [textwrap.wrap(part, width) for part in cell.split("\n")]
    return [line for part in parts for line in (part or [""])]
