"""Tables and numbers as plain text, in one format for all rooms, without NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence

GAP = "  "


def number(value: float, digits: int = 4) -> str:
    """Write a number with fixed decimals, or in scientific form where they mislead."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value != 0.0 and not 10.0**-digits <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{digits}f}"


def probability(value: float) -> str:
    """Write a p-value."""
    if math.isnan(value):
        return "-"
    return "<0.0001" if value < 1e-4 else f"{value:.4f}"


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align rows below a header, the first column to the left.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequences of str
        As long as the header.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [aligned(header, widths)]
    lines.append("-" * len(lines[0]))
    lines.extend(aligned(row, widths) for row in rows)
    return "\n".join(lines)


def aligned(cells: Sequence[str], widths: Sequence[int], n_left: int = 1) -> str:
    """Set cells in columns, the first `n_left` to the left, the others to the right."""
    return GAP.join(
        cell.ljust(width) if position < n_left else cell.rjust(width)
        for position, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Set names and values in two columns of pairs.

    Parameters
    ----------
    pairs : sequence of (name, value)
        Read down the first column, then down the second.
    """
    half = (len(pairs) + 1) // 2
    columns = [pairs[:half], pairs[half:]]
    blocks = []
    for column in columns:
        name = max((len(left) for left, _ in column), default=0)
        value = max((len(right) for _, right in column), default=0)
        blocks.append(
            [f"{left.ljust(name)}{GAP}{right.rjust(value)}" for left, right in column]
        )
    blocks[1] += [""] * (half - len(blocks[1]))
    return "\n".join(
        f"{left}{GAP * 2}{right}".rstrip() for left, right in zip(*blocks, strict=True)
    )
