"""Nudges between the processes of one machine, over named pipes.

``NUDGE_DIR/<step>/`` holds one pipe for each process that waits for nudges of that step. A pipe
carries no data: that something is in it is the nudge, and a full one says it already.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import select
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings


def send(name: str) -> None:
    """Wake every process that waits for the step ``name``. Raises OSError."""
    try:
        waiting = [entry.path for entry in os.scandir(settings.NUDGE_DIR / name)]
    except FileNotFoundError:  # nobody has ever waited
        return
    for path in waiting:
        if not Path(path).name.startswith("."):
            _write(path)


def _write(path: str) -> None:
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        # Nobody reads: its process died without a chance to remove it.
        Path(path).unlink(missing_ok=True)
        return
    try:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(pipe, b"\0")
    finally:
        os.close(pipe)


class Listener:
    """Pipes of this process, one for each of its steps; a context manager."""

    def __init__(self, names: Iterable[str]) -> None:
        self._paths: list[Path] = []
        self._names: dict[int, str] = {}  # by file descriptor
        for name in names:
            folder = settings.NUDGE_DIR / name
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{os.getpid()}-{secrets.token_hex(4)}"
            # A sender removes a pipe without a reader, so it gets its name once it has one.
            unready = folder / f".{path.name}"
            os.mkfifo(unready, 0o600)
            # Open for writing too: else it reads as closed after each sender.
            self._names[os.open(unready, os.O_RDWR | os.O_NONBLOCK)] = name
            unready.rename(path)
            self._paths.append(path)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_error: object) -> None:
        for path in self._paths:
            path.unlink(missing_ok=True)
        for pipe in self._names:
            os.close(pipe)

    def wait(self, timeout_s: float, *, until: int | None = None) -> set[str]:
        """Return the names of the steps nudged since the last call; wait while there are none.

        Ends without a name after ``timeout_s`` seconds, or once the file descriptor ``until``
        is readable.
        """
        poll = select.poll()
        for pipe in (*self._names, *([] if until is None else [until])):
            poll.register(pipe, select.POLLIN)
        nudged = set()
        for pipe, _event in poll.poll(max(0, timeout_s) * 1000):
            if pipe in self._names:
                _drain(pipe)
                nudged.add(self._names[pipe])
        return nudged


def _drain(pipe: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(pipe, 65536):
            pass
