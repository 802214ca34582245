"""What every page may show of the web app."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from audio_transcoder.models import TranscodeJob


def has_open_jobs(request: HttpRequest) -> bool:
    """Return whether this person's work is still open; a visitor has none."""
    if not request.user.is_authenticated:
        return False
    return TranscodeJob.objects.unfinished().filter(audio_file__owner=request.user).exists()


def open_work(request: HttpRequest) -> dict[str, object]:
    """``has_open_jobs``: asked only when a template asks."""
    return {"has_open_jobs": SimpleLazyObject(lambda: has_open_jobs(request))}
