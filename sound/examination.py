"""Our end of the examiner: a child process that reads sound files, because they may harm it."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import sandbox

_PROGRAM = Path(__file__).resolve().parent / "examiner"
# PyAV's libraries alone take more than 300 MB of address space, and next to no memory.
MEMORY_BYTES = 1 << 30
ANSWER_BYTES = 1 << 18
START_S = 20.0
WAITING_S = 0.5


class ExaminerDied(Exception):
    """The child ended, or was ended, before it answered: by a signal, a limit or the clock."""


class ExaminerTooSlow(ExaminerDied):
    """The child did not answer in time."""


class ExaminerNotStarted(ExaminerDied):
    """The child was not ready for any question: this machine's fault, not the file's."""


class Examiner:
    """One fenced child that answers questions about files below ``readable``.

    Starting takes a moment (PyAV is large), so whoever will need it starts it early; ``ask()``
    waits for it, and meanwhile calls ``waiting`` about twice a second; what that raises travels
    on. Somebody waits for most answers, so priority is lowered only where ``nice`` says so. The
    child dies with the thread that made it. Use as a context manager, or ``close()``.
    """

    def __init__(
        self,
        *readable: Path,
        cpu_s: float = 3600.0,
        waiting: Callable[[], None] = lambda: None,
        nice: int = 0,
    ) -> None:
        self._process = sandbox.start(
            [sys.executable, "-I", str(_PROGRAM)],
            folder=None,
            memory_bytes=MEMORY_BYTES,
            cpu_s=cpu_s,
            file_bytes=0,
            readable=[*readable, _PROGRAM, *sandbox.python()],
            nice=nice,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._waiting = waiting
        self._received = bytearray()
        self._is_ready = False

    def __enter__(self) -> Examiner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def process_id(self) -> int:
        return self._process.pid

    def ask(
        self,
        task: str,
        path: Path,
        *,
        timeout_s: float,
        answer_bytes: int = ANSWER_BYTES,
        **question: Any,
    ) -> dict[str, Any]:
        """Return the answer to one question, of about ``answer_bytes`` at most.

        Raises ExaminerNotStarted when there is no child to ask; ExaminerDied when it crashes,
        says something else than an answer, or needs more than ``timeout_s`` seconds
        (ExaminerTooSlow). It is gone then.
        """
        self._be_ready()
        try:
            line = json.dumps({"task": task, "path": str(path.resolve()), **question}) + "\n"
            stdin = self._process.stdin
            assert stdin is not None  # noqa: S101 -- asked for above
            stdin.write(line.encode())
            stdin.flush()
            answer = json.loads(self._line(timeout_s, answer_bytes))
        except (OSError, ValueError) as error:
            self.close()
            raise ExaminerDied(self._how()) from error
        except ExaminerDied:
            self.close()
            raise
        if not isinstance(answer, dict):
            self.close()
            raise ExaminerDied("it did not answer")
        return answer

    def _be_ready(self) -> None:
        if self._is_ready:
            return
        try:
            self._line(START_S, ANSWER_BYTES)
        except (OSError, ExaminerDied) as error:
            self.close()
            raise ExaminerNotStarted(str(error)) from error
        self._is_ready = True

    def close(self) -> None:
        """End the child, whatever it does."""
        sandbox.kill(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                # Closing writes what is left, into a pipe that nobody reads any more.
                try:
                    pipe.close()
                except OSError:
                    continue

    def _line(self, timeout_s: float, limit_bytes: int) -> bytes:
        deadline = time.monotonic() + timeout_s
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 -- asked for in sandbox.start
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._received:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise ExaminerTooSlow(f"no answer within {timeout_s:.0f} s")
                if not selector.select(min(left_s, WAITING_S)):
                    self._waiting()
                    continue
                chunk = os.read(stdout.fileno(), 1 << 16)
                if not chunk or len(self._received) > limit_bytes:
                    raise ExaminerDied(self._how())
                self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        return bytes(line)

    def _how(self) -> str:
        try:
            code = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return "it stopped answering"
        return f"it ended with signal {-code}" if code < 0 else f"it ended with status {code}"
