"""Compare the time and memory of several callables in one process.

A benchmark is a script, ``python tests/benchmarks/bench_<subject>.py``. It prints
sizes, times and ratios, and its bars are ratios, because seconds say as much about
the machine as about the code.
"""

from __future__ import annotations

import gc
import os
import resource
import statistics
import sys
import time
import traceback
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits


@dataclass(frozen=True, slots=True)
class Race:
    """Times of contestants that took turns, in the order of the rounds.

    Attributes
    ----------
    title : str
        What is compared.
    size : str
        Size of the problem, as printed.
    wall, cpu : dict of str to tuple of float
        Seconds of each round, one entry a contestant.
    """

    title: str
    size: str
    wall: dict[str, tuple[float, ...]]
    cpu: dict[str, tuple[float, ...]]

    def median(self, name: str, clock: str = "wall") -> float:
        """Return the median seconds of one contestant on a clock."""
        return statistics.median(getattr(self, clock)[name])

    def ratio(self, slow: str, fast: str, clock: str = "wall") -> float:
        """Return how many times as long as `fast` the contestant `slow` takes."""
        return self.median(slow, clock) / self.median(fast, clock)

    def report(self) -> str:
        """Return one line a contestant; ratios are to the first of them."""
        first = next(iter(self.wall))
        width = max(map(len, self.wall))
        rounds = len(self.wall[first])
        lines = [f"{self.title} ({self.size}; median of {rounds})"]
        lines += [
            f"  {name:<{width}}  wall {self.median(name):9.4f} s"
            f"  cpu {self.median(name, 'cpu'):9.4f} s"
            f"  x {self.ratio(name, first):8.2f}"
            for name in self.wall
        ]
        return "\n".join(lines)


def cpu_seconds() -> float:
    """CPU time of this process, all its threads and its finished children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def race(
    title: str,
    contestants: Mapping[str, Callable[[], object]],
    *,
    size: str,
    repeats: int = 5,
    warmup: int = 1,
    threads: int = 1,
) -> Race:
    """Run callables in turns and print the comparison.

    Each round runs every contestant once and starts with another one, so that a
    slow moment of the machine falls on all of them.

    Parameters
    ----------
    title, size : str
        Heading of the report.
    contestants : mapping of str to callable
        Functions without arguments; the first is the unit of the ratios.
    repeats : int, default=5
        Number of measured rounds.
    warmup : int, default=1
        Number of rounds before the first measured one.
    threads : int, default=1
        Limit of the thread pools of BLAS and OpenMP.

    Returns
    -------
    Race
        All measured times.
    """
    names = list(contestants)
    wall: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    with threadpool_limits(threads):
        for turn in range(-warmup, repeats):
            shift = turn % len(names)
            for name in names[shift:] + names[:shift]:
                gc.collect()
                cpu_start, wall_start = cpu_seconds(), time.perf_counter()
                contestants[name]()
                wall_end, cpu_end = time.perf_counter(), cpu_seconds()
                if turn >= 0:
                    wall[name].append(wall_end - wall_start)
                    cpu[name].append(cpu_end - cpu_start)
    result = Race(
        title,
        size,
        {name: tuple(times) for name, times in wall.items()},
        {name: tuple(times) for name, times in cpu.items()},
    )
    print(result.report(), flush=True)
    return result


def bar(
    label: str,
    value: float,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> bool:
    """Print a figure beside the bar it has to clear, and return whether it does."""
    wanted = []
    if at_least is not None:
        wanted.append(f"at least {at_least:g}")
    if at_most is not None:
        wanted.append(f"at most {at_most:g}")
    holds = (at_least is None or value >= at_least) and (
        at_most is None or value <= at_most
    )
    verdict = "holds" if holds else "MISSED"
    print(f"  {label}: {value:.3g} (bar: {' and '.join(wanted)}) {verdict}", flush=True)
    return holds


def finish(*bars: bool) -> None:
    """End the script, with an error status if a bar was missed."""
    sys.exit(0 if all(bars) else 1)


def traced_peak(function: Callable[[], object]) -> int:
    """Peak of the bytes that Python and NumPy allocate during one call.

    Memory that existed before the call, such as its input, is not counted.
    """
    gc.collect()
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def resident_peak(function: Callable[[], object]) -> int:
    """Peak growth in bytes of the resident memory of a fork that makes one call.

    Counts what compiled libraries allocate too; Linux only.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            before = _status_bytes("VmRSS")
            with threadpool_limits(1):
                function()
            os.write(writer, str(_status_bytes("VmHWM") - before).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    if not answer:
        raise RuntimeError("The call whose memory was to be measured failed; run it.")
    return int(answer)


def _status_bytes(field: str) -> int:
    """Read one memory field of this process."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"The kernel does not report {field} for this process.")
