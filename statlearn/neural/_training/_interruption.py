"""Ctrl-C that waits for the end of a step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interruption:
    """Hold back the first interrupt from the keyboard until the loop asks for it.

    An optimizer that is interrupted has updated half of a model. A second interrupt is
    not held back. Threads other than the main one get no signals, and no handler.

    Attributes
    ----------
    requested : bool
        Whether there was one.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Interruption:
        """Take the place of the handler of Python, but not of one of the user."""
        before = signal.getsignal(signal.SIGINT)
        in_main = threading.current_thread() is threading.main_thread()
        self._replaced = in_main and before is signal.default_int_handler
        if self._replaced:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put the handler of Python back; raise what was held back."""
        if self._replaced:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        # Workers of a loader hear of it too, and their end is an error of another kind.
        if self.requested and not isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt from error

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
