"""The sounds themselves, to hear or to keep."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audio_transcoder import downloads, keys
from audio_transcoder.access import signed_in
from audio_transcoder.formats import FORMATS
from audio_transcoder.models import AudioFile, Rendition, TranscodeJob

# The bytes, some of them, or the way to them.
_HANDED_OUT = (200, 206, 302)


@never_cache
@signed_in
@require_safe
def download(request: HttpRequest, code: UUID, rendition: str) -> HttpResponseBase:
    return _serve(request, code, rendition, inline=False)


@never_cache
@signed_in
@require_safe
def listen(request: HttpRequest, code: UUID, rendition: str) -> HttpResponseBase:
    return _serve(request, code, rendition, inline=True)


def _serve(request: HttpRequest, code: UUID, rendition: str, *, inline: bool) -> HttpResponseBase:
    """Hand out one object. ``rendition`` is its code, a format's name, or ``original``."""
    audio_file = get_object_or_404(request.user.audio_files, code=code)
    found = audio_file if rendition == "original" else _ready_rendition(audio_file, rendition)
    if isinstance(found, Rendition):
        response = result(request, found, inline=inline)
    else:
        response = original(request, found)
    if not inline and is_handed_out(request, response):
        _note_download(found)
    return response


def original(
    request: HttpRequest, audio_file: AudioFile, *, ends_at: datetime | None = None
) -> HttpResponseBase:
    """Return the answer that brings what was uploaded; links to it end at ``ends_at``.

    It is a download, for players too: a stranger's bytes, of which no page is ever to be made.
    Raises Http404 and BucketError.
    """
    return downloads.serve(
        request,
        bucket_name=settings.MEDIA_BUCKET,
        key=keys.bucket_key(audio_file.mp3_file.name),
        filename=audio_file.original_download_name,
        content_type=audio_file.media_type,
        inline=False,
        duration_ms=audio_file.duration_ms,
        ends_at=ends_at,
    )


def result(
    request: HttpRequest, rendition: Rendition, *, inline: bool, ends_at: datetime | None = None
) -> HttpResponseBase:
    """Return the answer that brings a ready result; as ``original`` otherwise."""
    return downloads.serve(
        request,
        bucket_name=settings.MEDIA_BUCKET,
        key=keys.bucket_key(rendition.file.name),
        filename=rendition.download_name,
        content_type=rendition.format.media_type,
        inline=inline,
        duration_ms=rendition.duration_ms,
        ends_at=ends_at,
    )


def is_handed_out(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Return whether somebody has the sound now, or the way to it."""
    return request.method == "GET" and response.status_code in _HANDED_OUT


def _note_download(found: AudioFile | Rendition) -> None:
    """Note when its owner had an original or a result for the first time."""
    if found.downloaded_at is None:
        row = type(found).objects.filter(pk=found.pk, downloaded_at=None)
        row.update(downloaded_at=timezone.now())


def _ready_rendition(audio_file: AudioFile, which: str) -> Rendition:
    ready = audio_file.renditions.filter(status=TranscodeJob.Status.COMPLETE).order_by("-id")
    if which in FORMATS:
        found = ready.plain().filter(format_name=which).first()
    else:
        try:
            found = ready.filter(code=UUID(which)).first()
        except ValueError:
            found = None
    if found is None:
        raise Http404(_("There is no such result."))
    return found
