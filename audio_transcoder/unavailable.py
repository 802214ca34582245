"""The answer while something we depend on does not work: 503, and when to come again."""

from __future__ import annotations

import errno
import logging
import sqlite3

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _

import images
from audio_transcoder import reasons
from audio_transcoder.logged import without_token
from buckets import BucketDenied, BucketMissing, BucketUnavailable
from sound.examination import ExaminerNotStarted

logger = logging.getLogger(__name__)

# Machines call these: no sessions, no accounts, no languages, no redirects, no HTML.
MACHINE_PREFIX = "/2012-09-25/"
MACHINE_PATHS = ("/transcode-complete/", "/health/")

REASON = "storage_down"
# Only scripts call these, and read JSON.
SCRIPTS_PREFIX = "/audio/uploads/"
# Seconds for Retry-After.
DATABASE_AGAIN_S = 5
STORE_AGAIN_S = 60

_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def is_machine_path(path: str) -> bool:
    """Return whether programs call this path, not people."""
    return path.startswith(MACHINE_PREFIX) or path in MACHINE_PATHS


def unavailable(request: HttpRequest, error: BaseException | None) -> HttpResponse | None:
    """Return the 503 for ``error``, logged; None when it says something else than "not now".

    A page for people, for machines JSON with a ``message`` as the API's errors have
    (API 2012-09-25, "Handling errors"); both with Retry-After in seconds.
    """
    path = without_token(request.path)
    if _is_of_the_database(error):
        logger.warning("503 %s %s: database: %s", request.method, path, error)
        sentence = _("The site is too busy just now; nothing was saved. Try again in a moment.")
        return _answer(request, sentence, DATABASE_AGAIN_S)
    if isinstance(error, (ExaminerNotStarted, images.Cannot)):
        logger.error("503 %s %s: no look at files: %s", request.method, path, error)
        sentence = _("The site cannot look at files just now; nothing was saved. Try again soon.")
        return _answer(request, sentence, STORE_AGAIN_S)
    is_for_operators = isinstance(error, (BucketDenied, BucketMissing)) or _is_full_disk(error)
    if not is_for_operators and not isinstance(error, BucketUnavailable):
        return None
    level = logging.ERROR if is_for_operators else logging.WARNING
    logger.log(level, "503 %s %s: storage: %s", request.method, path, error)
    return _answer(request, reasons.sentence(REASON), STORE_AGAIN_S)


def _is_of_the_database(error: BaseException | None) -> bool:
    """Return whether the database cannot just now: locked, gone, full, a deadlock."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    # SQLite's plain SQLITE_ERROR is a mistake in a statement or a missing table: ours.
    return code is None or code & 0xFF != sqlite3.SQLITE_ERROR


def _is_full_disk(error: BaseException | None) -> bool:
    return isinstance(error, OSError) and error.errno in _DISK_IS_FULL


def _answer(request: HttpRequest, sentence: str, again_s: int) -> HttpResponse:
    headers = {"Retry-After": str(again_s)}
    if is_machine_path(request.path_info):
        headers["x-amzn-ErrorType"] = "ServiceUnavailable"
        response: HttpResponse = JsonResponse({"message": sentence}, status=503, headers=headers)
    elif request.path_info.startswith(SCRIPTS_PREFIX) or request.headers.get(
        "Accept", ""
    ).startswith("application/json"):
        # The upload scripts read this.
        body = {"reason": REASON, "message": sentence}
        response = JsonResponse(body, status=503, headers=headers)
    else:
        # Without the request in its context: who is signed in is a question for the database.
        page = render_to_string("503.html", {"reason": REASON, "sentence": sentence})
        response = HttpResponse(page, status=503, headers=headers)
    add_never_cache_headers(response)
    response._has_been_logged = True  # Django would log it once more, as an error of ours
    return response
