"""What holds for the whole run: rooms that are left out, and memory of the tests."""

from __future__ import annotations

import gc
from importlib.util import find_spec

# Without torch the neural layer and its tests are left out, and the run says so.
HAS_TORCH = find_spec("torch") is not None
collect_ignore_glob = [] if HAS_TORCH else ["statlearn/neural*", "tests/neural*"]


def pytest_report_header() -> str | None:
    """Return the line of the header on what is left out."""
    return None if HAS_TORCH else "torch is not installed: the neural layer is skipped"


def pytest_collection_finish() -> None:
    """Keep the garbage collector from walking over all tests at each of its rounds.

    There are more than twenty thousand of them, and none becomes garbage.
    """
    gc.collect()
    gc.freeze()
