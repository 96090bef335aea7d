"""Settings that hold for every test."""

from __future__ import annotations

import os
import sys

import hypothesis
import pytest

# One thread a process: the suite runs one process a core. Set before any import of
# NumPy, so that subprocesses and worker processes inherit it.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# A run never depends on luck: examples are the same in each. `HYPOTHESIS_PROFILE`
# set to `explore` draws new ones, and many more.
hypothesis.settings.register_profile(
    "fixed", derandomize=True, deadline=None, database=None, max_examples=50
)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# Scripts and parts, not tests: doctest collection would run them.
collect_ignore_glob = ["*/bench_*.py", "*/make_*.py", "support/*"]


@pytest.fixture(autouse=True)
def close_figures():
    """Close what a test drew, so that no figure leaks into the next test."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def torch():
    """PyTorch, for what the core does with tensors; without it the test is skipped."""
    return pytest.importorskip("torch")
