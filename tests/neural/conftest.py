from __future__ import annotations

import signal

import pytest


@pytest.fixture
def keyboard():
    """Let interrupts be heard, also below a shell that starts its jobs without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
