"""The lease of the job in hand, kept alive while something moves."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType

from django.conf import settings
from django.db import connection

import steps
from elastic_transcoder.worker.claims import Claim, LeaseLost

logger = logging.getLogger(__name__)

# After the first request to stop a job in hand may take so long; then it goes to another worker.
GRACE_S = 8.0


class Stopped(Exception):
    """This process is to end; another one does the job."""


class Hold:
    """The lease of the job in hand, renewed by a thread while something moves."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._moved_at = time.monotonic()
        self._is_lost = False
        self._over = threading.Event()
        self._stop_seen_at: float | None = None
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def __enter__(self) -> Hold:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def moved(self, _count: int = 0) -> None:
        """Say that work went on. Raises LeaseLost, or Stopped when the process is to end."""
        self._moved_at = time.monotonic()
        self.check()

    def check(self) -> None:
        """Raise LeaseLost or Stopped when going on makes no sense."""
        if self._is_lost:
            raise LeaseLost(self._claim.job.pk)
        if steps.stopping():
            self._stop_seen_at = self._stop_seen_at or time.monotonic()
            if steps.hurrying() or time.monotonic() - self._stop_seen_at > GRACE_S:
                raise Stopped

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _renew(self) -> None:
        try:
            while not self._over.wait(settings.TRANSCODER_RENEW_S):
                if time.monotonic() - self._moved_at > settings.TRANSCODER_STALL_S:
                    continue
                try:
                    self._claim.renew()
                except LeaseLost:
                    self._is_lost = True
                    return
                except Exception:
                    # The database is away for a moment; the lease outlasts several renewals.
                    logger.exception("job %s: lease not renewed", self._claim.job.pk)
                    connection.close()
        finally:
            connection.close()
