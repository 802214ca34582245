"""Whether a person's work is still open, so that a page goes on asking for news."""

from __future__ import annotations

from django.http import HttpRequest

from audio_transcoder.models import TranscodeJob


def note(request: HttpRequest) -> None:
    """Spare ``has_open_jobs`` its query: who answers has just read an open job of whoever asks."""
    request.has_open_jobs = True


def has_open_jobs(request: HttpRequest) -> bool:
    """Return whether a job of whoever asks is not final; a visitor has none."""
    if not request.user.is_authenticated:
        return False
    if getattr(request, "has_open_jobs", False):
        return True
    return TranscodeJob.objects.unfinished().filter(audio_file__owner=request.user).exists()
