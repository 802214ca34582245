"""How often one asks within a minute.

Counted in this process alone: a limit that writes to the database for each request would cost more
than what it keeps away. What must count everywhere (guesses of passwords) is not for here.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

WINDOW_S = 60


class Turnstile:
    """Counts by key, in windows of a minute; remembers ``most_keys`` of them at most."""

    def __init__(
        self, most_keys: int = 20_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most_keys = most_keys
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._window = 0

    def wait_s(self, key: str, limit: int) -> int:
        """Count one more for ``key``; return 0, or the seconds to wait beyond ``limit``.

        0 as a limit is none.
        """
        if not limit:
            return 0
        now = self._clock()
        with self._lock:
            if self._window != now // WINDOW_S or len(self._counts) >= self._most_keys:
                self._counts.clear()
                self._window = now // WINDOW_S
            count = self._counts[key] = self._counts.get(key, 0) + 1
        return 0 if count <= limit else math.ceil(WINDOW_S - now % WINDOW_S)

    def forget(self) -> None:
        """Begin anew, as a process that has just started."""
        with self._lock:
            self._counts.clear()
