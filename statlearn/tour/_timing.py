"""Wall time of a call on one thread, so that peers meet on equal terms."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from threadpoolctl import threadpool_limits

T = TypeVar("T")


def time_call(call: Callable[[], T], repeats: int = 1) -> tuple[T, float]:
    """Value of the last of some calls, and the shortest time in seconds.

    The shortest one is least disturbed by whatever else the machine does.
    """
    times = []
    with threadpool_limits(limits=1):
        for _ in range(max(1, repeats)):
            start = time.perf_counter()
            value = call()
            times.append(time.perf_counter() - start)
    return value, min(times)


def format_seconds(seconds: float) -> str:
    """Seconds or milliseconds with two digits that mean something."""
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.3g} s"
