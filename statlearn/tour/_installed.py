"""Ask whether an optional package is there, without importing it."""

from __future__ import annotations

from importlib.util import find_spec


def installed(name: str) -> bool:
    """Whether a top-level package could be imported."""
    try:
        return find_spec(name) is not None
    except ImportError:
        return False
