"""Progress on the error stream: a bar after two seconds, or nothing but two lines."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar

from statlearn.tour._installed import installed
from statlearn.tour._section import Progress

T = TypeVar("T")

DELAY = 2.0


def make_progress(stream: TextIO) -> Progress:
    """Pick the reporter that suits the stream."""
    if not stream.isatty():
        return SilentProgress()
    if installed("rich"):
        return RichProgress(stream)
    return LineProgress(stream)


class SilentProgress:
    """Report nothing; for files, pipes and tests."""

    def track(self, steps: Iterable[T], label: str) -> Iterator[T]:
        """Yield the steps."""
        yield from steps

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """Do nothing."""
        yield


class _DelayedProgress:
    """Reporter whose bar appears once a piece of work has lasted for `delay` seconds.

    A timer shows the bar, so that one long step without any advance is announced too.
    """

    def __init__(self, stream: TextIO, delay: float = DELAY) -> None:
        self.stream = stream
        self.delay = delay
        self._lock = threading.Lock()

    def track(self, steps: Iterable[T], label: str) -> Iterator[T]:
        """Yield the steps one by one and move the bar after each."""
        items = list(steps)
        with self._bar(label, len(items)) as bar:
            for item in items:
                yield item
                with self._lock:
                    bar.advance()

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """Cover one piece of work whose length is not known."""
        with self._bar(label, None):
            yield

    @contextmanager
    def _bar(self, label: str, total: int | None) -> Iterator[Any]:
        bar = self._make_bar(label, total)
        closed = False

        def show() -> None:
            with self._lock:
                if not closed:
                    bar.show()

        timer = threading.Timer(self.delay, show)
        timer.daemon = True
        timer.start()
        try:
            yield bar
        finally:
            with self._lock:
                closed = True
                timer.cancel()
                bar.close()

    def _make_bar(self, label: str, total: int | None) -> Any:
        raise NotImplementedError


class RichProgress(_DelayedProgress):
    """Bars drawn by rich."""

    def _make_bar(self, label: str, total: int | None) -> _RichBar:
        return _RichBar(self.stream, label, total)


class LineProgress(_DelayedProgress):
    """Bars drawn with plain characters on one line, for a terminal without rich."""

    def _make_bar(self, label: str, total: int | None) -> _LineBar:
        return _LineBar(self.stream, label, total)


class _RichBar:
    """One bar of rich, gone when the work is done."""

    def __init__(self, stream: TextIO, label: str, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import Progress as Bars
        from rich.progress import TimeElapsedColumn

        columns = (*Bars.get_default_columns()[:3], TimeElapsedColumn())
        self._bars = Bars(*columns, console=Console(file=stream), transient=True)
        self._task = self._bars.add_task(label, total=total)

    def show(self) -> None:
        self._bars.start()

    def advance(self) -> None:
        self._bars.advance(self._task)

    def close(self) -> None:
        self._bars.stop()


class _LineBar:
    """One line, rewritten in place and wiped at the end."""

    _WIDTH = 24

    def __init__(self, stream: TextIO, label: str, total: int | None) -> None:
        self._stream, self._label, self._total = stream, label, total
        self._done = 0
        self._visible = False

    def show(self) -> None:
        self._visible = True
        self._draw()

    def advance(self) -> None:
        self._done += 1
        if self._visible:
            self._draw()

    def close(self) -> None:
        if self._visible:
            self._write("\r" + " " * len(self._text()) + "\r")

    def _text(self) -> str:
        if not self._total:
            return f"{self._label} ..."
        filled = self._WIDTH * self._done // self._total
        bar = "#" * filled + "-" * (self._WIDTH - filled)
        return f"{self._label} [{bar}] {self._done}/{self._total}"

    def _draw(self) -> None:
        self._write("\r" + self._text())

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
