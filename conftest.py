"""Without torch, the neural layer and its tests are left out, and the run says so."""

from __future__ import annotations

from importlib.util import find_spec

HAS_TORCH = find_spec("torch") is not None
collect_ignore_glob = [] if HAS_TORCH else ["statlearn/neural*", "tests/neural*"]


def pytest_report_header() -> str | None:
    """Return the line of the header on what is left out."""
    return None if HAS_TORCH else "torch is not installed: the neural layer is skipped"
