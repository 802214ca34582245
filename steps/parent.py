"""One parent of several processes: starts them, restarts what dies, ends them all together."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.conf import settings

from steps.stop import Stop, listening

logger = logging.getLogger(__name__)

# Seconds before a child that died is started again; the last one for every further death.
BACK_OFF_S = (0.5, 1.0, 2.0, 4.0)
# A child that dies so often within so many seconds is not worth another try.
DEATHS = 5
DEATHS_WITHIN_S = 60.0
# Seconds from the first SIGTERM to the second, which says hurry, and to SIGKILL.
HURRY_AFTER_S = 7.0
KILL_AFTER_S = 10.0

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process once ``parent_pid``, its parent, is gone.

    Linux only, prctl(2) PR_SET_PDEATHSIG: it means the thread that forked, so a parent forks in
    its main thread. Elsewhere nothing happens.
    """
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before the kernel knew
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Child:
    """One process that has to be there. ``pass_fds`` stay open in it."""

    name: str
    command: list[str]
    pass_fds: tuple[int, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen | None = None
    start_at: float = 0.0  # by the monotonic clock
    deaths: list[float] = field(default_factory=list)

    def start(self) -> None:
        parent_pid = os.getpid()
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self.environment},
            pass_fds=self.pass_fds,
            # Ctrl-C reaches the parent alone, which then ends everybody in order.
            process_group=0,
            # A parent has one thread, so running Python between fork and exec is safe.
            preexec_fn=lambda: die_with_parent(parent_pid),
        )

    def signal(self, number: int) -> None:
        """Send a signal to the process and whatever it started in its own group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if number == signal.SIGKILL:
                    os.killpg(self.process.pid, number)
                else:
                    self.process.send_signal(number)

    def has_died(self) -> bool:
        """Return whether it ran and is gone; what was left of its group is gone then too."""
        if self.process is None or self.process.poll() is None:
            return False
        self.signal(signal.SIGKILL)
        return True

    def note_death(self) -> float | None:
        """Return the seconds to wait before it is started again; None when it dies too often."""
        now = time.monotonic()
        self.deaths = [at for at in self.deaths if now - at < DEATHS_WITHIN_S] + [now]
        self.process = None
        if len(self.deaths) >= DEATHS:
            return None
        back_off = BACK_OFF_S[min(len(self.deaths), len(BACK_OFF_S)) - 1]
        self.start_at = now + back_off
        return back_off


def workers(transcoding: int) -> list[Child]:
    """Return ``transcoding`` processes that transcode and one for the short steps."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "transcode_worker", "--kind"]
    numbers = range(1, transcoding + 1)
    return [
        Child("steps", [*command, "steps"]),
        *(Child(f"transcode {number}", [*command, "transcode"]) for number in numbers),
    ]


def run(children: list[Child], *, started: Callable[[], None] = lambda: None) -> bool:
    """Keep these processes running until SIGTERM, SIGINT or SIGHUP; return whether that came.

    False: one of them died ``DEATHS`` times within a minute; the others were ended for it.
    ``started`` is called once when all of them were started. Call it in the main thread.
    """
    with listening() as stop, _deaths() as deaths:
        signal.signal(signal.SIGHUP, lambda *_: stop.request())  # the terminal is gone
        poll = select.poll()
        poll.register(stop.fileno(), select.POLLIN)
        poll.register(deaths, select.POLLIN)
        try:
            for child in children:
                child.start()
            started()
            while not stop.requests:
                if not _restart(children):
                    return False
                _wait(poll, deaths, min((c.start_at for c in children if not c.process), default=0))
        finally:
            _end(children, stop)
    return True


def _restart(children: list[Child]) -> bool:
    """Start what is due again; return False when one child is given up."""
    for child in children:
        if child.has_died():
            code = child.process.returncode
            how = f"signal {-code}" if code < 0 else f"status {code}"
            back_off = child.note_death()
            if back_off is None:
                logger.error("%s ended (%s), once too often: giving up", child.name, how)
                return False
            logger.warning("%s ended (%s), again in %.1f s", child.name, how, back_off)
        if child.process is None and child.start_at <= time.monotonic():
            child.start()
    return True


def _wait(poll: select.poll, deaths: int, until: float) -> None:
    """Wait for a signal, a death, or the moment ``until``; 0 for no such moment."""
    wait_ms = max(0, until - time.monotonic()) * 1000 + 1 if until else None
    for descriptor, _event in poll.poll(wait_ms):
        if descriptor == deaths:
            os.read(deaths, 4096)


@contextlib.contextmanager
def _deaths() -> Iterator[int]:
    """Give a file descriptor that is readable when a child has died."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def handle(*_: object) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(writer, b"\0")

    previous = signal.signal(signal.SIGCHLD, handle)
    try:
        yield reader
    finally:
        signal.signal(signal.SIGCHLD, previous)
        os.close(reader)
        os.close(writer)


def _end(children: list[Child], stop: Stop) -> None:
    """End all children: SIGTERM, once more to hurry, then SIGKILL; a second Ctrl-C kills now."""
    asked = stop.requests
    began = time.monotonic()
    running = [child for child in children if child.process is not None]
    for child in running:
        child.signal(signal.SIGTERM)
    has_hurried = False
    while running and stop.requests <= max(asked, 1):
        running = [child for child in running if not child.has_died()]
        waited = time.monotonic() - began
        if waited > KILL_AFTER_S:
            break
        if waited > HURRY_AFTER_S and not has_hurried:
            has_hurried = True
            for child in running:
                child.signal(signal.SIGTERM)
        time.sleep(0.05)
    for child in running:
        child.signal(signal.SIGKILL)
        child.process.wait()
