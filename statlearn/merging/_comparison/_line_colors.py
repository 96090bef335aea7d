"""Colours of lines that share axes."""

from __future__ import annotations

from typing import Any

from statlearn.utils._axes import COLORS

# Lines that belong to others, so that they take no colour.
AUXILIARY = "auxiliary"


def next_color(ax: Any) -> str:
    """Return the colour for one more line."""
    drawn = [line for line in ax.get_lines() if line.get_gid() != AUXILIARY]
    return COLORS[len(drawn) % len(COLORS)]
