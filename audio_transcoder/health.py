"""`GET /health/`: whether web, database, storage and workers are fine."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_safe

from buckets import bucket
from steps import heartbeats

logger = logging.getLogger(__name__)

# Seconds that the answer may take, all looks together.
LIMIT_S = 4.0
# Seconds that a good and a bad answer are kept: whoever asks often costs nothing.
GOOD_FOR_S = 4.0
BAD_FOR_S = 1.0


class Look:
    """One look at something outside, in a thread of its own: it may hang and harm nobody.

    There is never more than one thread at it; while one hangs, the answer is no.
    """

    def __init__(self, name: str, look: Callable[[], bool]) -> None:
        self.name = name
        self._look = look
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_fine = False
        self._fresh_until = 0.0  # by the monotonic clock

    def start(self) -> None:
        """Have an answer on its way, unless the last one is still fresh."""
        with self._lock:
            is_at_it = self._thread is not None and self._thread.is_alive()
            if not is_at_it and time.monotonic() >= self._fresh_until:
                self._thread = threading.Thread(target=self._run, daemon=True, name=self.name)
                self._thread.start()

    def answer(self, until: float) -> bool:
        """Return whether it is fine; what has not answered by ``until`` is not."""
        thread = self._thread
        if thread is not None:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                logger.warning("health: %s: no answer", self.name)
                return False
        return self._is_fine

    def _run(self) -> None:
        try:
            self._is_fine = self._look()
        except Exception as error:
            # Whatever it is, it is not fine; operators find out here, visitors never.
            logger.warning("health: %s: %s", self.name, error)
            self._is_fine = False
        finally:
            connection.close()
            kept_s = GOOD_FOR_S if self._is_fine else BAD_FOR_S
            self._fresh_until = time.monotonic() + kept_s


def _database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone() == (1,)


def _storage() -> bool:
    bucket(settings.MEDIA_BUCKET).check()
    return True


def _kind_is_alive(kind: str) -> Callable[[], bool]:
    return lambda: kind in heartbeats.alive()


def has_own_transcoder() -> bool:
    """Return whether what is ordered with the engine "elastic" is done by our own workers."""
    return settings.TRANSCODER_ENDPOINT_URL.rstrip("/") == settings.LOCAL_URL


def has_its_workers() -> bool:
    """Return whether there is a worker of ours, or no work for one.

    There is work for as long as our own engine gets the jobs, or has one still that was ordered
    before TRANSCODER_ENGINE was changed.
    """
    if "transcode" in heartbeats.alive():
        return True
    if settings.TRANSCODER_ALONE:
        return False
    if not has_own_transcoder():
        return True
    if settings.TRANSCODER_ENGINE == "elastic":
        return False
    from audio_transcoder.models import TranscodeJob  # not installed with the transcoder alone

    return not TranscodeJob.objects.unfinished().filter(engine="elastic").exists()


LOOKS = {
    "database": Look("database", _database),
    "storage": Look("storage", _storage),
    "steps": Look("steps", _kind_is_alive("steps")),
    "worker": Look("worker", has_its_workers),
}


@require_safe
def health(_request: HttpRequest) -> JsonResponse:
    """Return 200 when all is fine, else 503, within 5 s.

    The body names what was looked at, each ``ok`` or ``not ok``, and says no more: anybody may
    ask. ``worker`` is left out where TRANSCODER_ENDPOINT_URL is another transcoder than ours.
    """
    looks = [look for name, look in LOOKS.items() if name != "worker" or has_own_transcoder()]
    until = time.monotonic() + LIMIT_S
    for look in looks:
        look.start()
    answers = {"web": True, **{look.name: look.answer(until) for look in looks}}
    is_fine = all(answers.values())
    words = {name: "ok" if fine else "not ok" for name, fine in answers.items()}
    response = JsonResponse(
        {"status": "ok" if is_fine else "not ok", **words}, status=200 if is_fine else 503
    )
    add_never_cache_headers(response)
    if not is_fine:
        response["Retry-After"] = str(int(BAD_FOR_S))
        response._has_been_logged = True  # each look has said why
    return response
