"""Being asked to stop: SIGTERM or SIGINT, once to finish, twice to hurry."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Stop:
    """How often this process was asked to stop; readable, in poll's sense, once it was."""

    def __init__(self) -> None:
        self.requests = 0
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def request(self) -> None:
        """Ask once more. Safe in a signal handler and from any thread."""
        self.requests += 1
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"\0")

    def fileno(self) -> int:
        return self._reader

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


# One loop for each process; steps and their threads ask for it by the functions below.
_current: Stop | None = None


def stopping() -> bool:
    """Return whether the loop of this process was asked to end: finish what is in hand."""
    return _current is not None and _current.requests > 0


def hurrying() -> bool:
    """Return whether it was asked twice: drop what is in hand, another process takes it."""
    return _current is not None and _current.requests > 1


def request() -> None:
    """Ask the loop of this process to end, as a signal would; without one nothing happens."""
    if _current is not None:
        _current.request()


@contextlib.contextmanager
def listening() -> Iterator[Stop]:
    """Take SIGTERM and SIGINT as requests to stop; the third one kills.

    Only a process's main thread hears signals; in another thread ``request`` does it.
    """
    global _current
    stop = Stop()
    previous = {}

    def handle(number: int, _frame: FrameType | None) -> None:
        stop.request()
        if stop.requests > 1:
            signal.signal(number, signal.SIG_DFL)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            previous[number] = signal.signal(number, handle)
    _current = stop
    try:
        yield stop
    finally:
        _current = None
        for number, handler in previous.items():
            signal.signal(number, handler)
        stop.close()
