"""Signs of life of the processes that run steps; ``/health/`` reads them."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

logger = logging.getLogger(__name__)

# Seconds between two heartbeats of a process.
INTERVAL_S = 15.0
# A newest heartbeat older than this says that no process of its kind is alive. A beat may have to
# wait for SQLite's write lock.
ALIVE_FOR = timedelta(seconds=60)
# A process for the short steps in which nothing has moved for so long hangs, and beats no more.
# Transcoding takes its time, and watches by itself that it moves.
HANGS_AFTER_S = 600.0
# Rows of processes that died without taking theirs away.
_KEPT_FOR = timedelta(minutes=10)

_moved_at = time.monotonic()


def beat() -> None:
    """Say that the step in hand moves, when it may take minutes. Costs nothing and never raises."""
    global _moved_at
    _moved_at = time.monotonic()


def hangs(kind: str) -> bool:
    """Return whether this process, of that kind, has stood still for too long."""
    return kind == "steps" and time.monotonic() - _moved_at > HANGS_AFTER_S


@contextmanager
def beating(kind: str) -> Iterator[None]:
    """Keep a heartbeat of this process in the database, from a thread, while the block runs."""
    end = threading.Event()
    beat()
    thread = threading.Thread(target=_beat_until, args=(kind, end), daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(timeout=5)


def _process() -> str:
    return f"{socket.gethostname()[:80]} {os.getpid()}"


def _beat_until(kind: str, end: threading.Event) -> None:
    try:
        while True:
            wait_s = INTERVAL_S
            if hangs(kind):
                logger.error("a step of %s stands still, no heartbeat", kind)
            else:
                try:
                    write(kind)
                except DatabaseError as error:
                    logger.warning("no heartbeat: %s", error)
                    wait_s = INTERVAL_S / 5
            connection.close()
            if end.wait(wait_s):
                break
        _remove()
    finally:
        connection.close()


def write(kind: str) -> None:
    """Write this process's heartbeat and sweep those of dead ones. Raises DatabaseError."""
    from steps.models import Heartbeat

    now = timezone.now()
    with transaction.atomic():
        Heartbeat.objects.update_or_create(process=_process(), defaults={"kind": kind, "at": now})
        Heartbeat.objects.filter(at__lt=now - _KEPT_FOR).delete()


def _remove() -> None:
    from steps.models import Heartbeat

    try:
        Heartbeat.objects.filter(process=_process()).delete()
    except DatabaseError as error:
        logger.warning("heartbeat not removed: %s", error)


def alive() -> set[str]:
    """Return the kinds of process of which one at least is alive. Raises DatabaseError."""
    return set(count_alive())


def count_alive() -> Counter[str]:
    """Return how many processes of each kind are alive. Raises DatabaseError."""
    from steps.models import Heartbeat

    now = timezone.now()
    # A clock that was set back leaves rows in the future; they say nothing.
    recent = Heartbeat.objects.filter(at__gt=now - ALIVE_FOR, at__lt=now + ALIVE_FOR)
    return Counter(recent.values_list("kind", flat=True))
