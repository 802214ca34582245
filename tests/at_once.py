"""Calls that happen at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def at_once(*acts: Callable[[], T]) -> list[T]:
    """Return what these return, in their order, called in threads that begin together.

    The first exception of an act is raised, when all have ended.
    """
    together = threading.Barrier(len(acts))

    def run(act: Callable[[], T]) -> T:
        try:
            together.wait(30)
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as threads:
        running = [threads.submit(run, act) for act in acts]
    return [one.result() for one in running]
