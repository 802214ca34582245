"""One file: its page, what changes on it, and what can be done with it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

import steps
from audio_transcoder.access import signed_in
from audio_transcoder.forms import OrderForm
from audio_transcoder.models import AudioFile, Deletion, TranscodeJob

STOP_POLLING = 286  # htmx ends an element's polling with this status


def own_file(request: HttpRequest, code: UUID) -> AudioFile:
    return get_object_or_404(request.user.audio_files.with_work(), code=code)


@never_cache
@signed_in
@require_safe
def detail(request: HttpRequest, code: UUID) -> HttpResponse:
    audio_file = own_file(request, code)
    _watch(audio_file)
    return render(request, "audio_transcoder/detail.html", _file_context(audio_file))


@never_cache
@signed_in
@require_safe
def file_state(request: HttpRequest, code: UUID) -> HttpResponse:
    """What changes on the file's page, which asks for it while its work is open."""
    return polled(request, own_file(request, code), "audio_transcoder/_file_state.html")


def polled(request: HttpRequest, audio_file: AudioFile, template: str) -> HttpResponse:
    _watch(audio_file)
    status = 200 if audio_file.open_jobs else STOP_POLLING
    response = render(request, template, _file_context(audio_file), status=status)
    if not audio_file.open_jobs:
        response["HX-Trigger"] = "messages-changed"
    return response


def _file_context(audio_file: AudioFile) -> dict:
    return {
        "audio_file": audio_file,
        "renditions": audio_file.latest_renditions,
        "job": audio_file.latest_job,
        "order_form": OrderForm(),
    }


def _watch(audio_file: AudioFile) -> None:
    """Note that somebody looks, so that the engine is asked every second."""
    now = timezone.now()
    stale = TranscodeJob.objects.unfinished().filter(audio_file=audio_file)
    is_new = stale.filter(watched_at=None) | stale.filter(watched_at__lt=now - timedelta(seconds=2))
    if audio_file.open_jobs and is_new.update(watched_at=now):
        steps.nudge("refresh")


@signed_in
@require_POST
def order(request: HttpRequest, code: UUID) -> HttpResponse:
    audio_file = own_file(request, code)
    form = OrderForm(request.POST)
    if not form.is_valid():
        context = {**_file_context(audio_file), "order_form": form}
        return render(request, "audio_transcoder/detail.html", context, status=422)
    audio_file.order_missing(form.cleaned_data["formats"])
    return redirect(audio_file)


@signed_in
@require_POST
def retry(request: HttpRequest, code: UUID) -> HttpResponse:
    """Order again whatever failed or was canceled."""
    audio_file = own_file(request, code)
    audio_file.order_missing([rendition.format_name for rendition in audio_file.failed_renditions])
    return redirect(audio_file)


@signed_in
@require_POST
def cancel(request: HttpRequest, code: UUID) -> HttpResponse:
    audio_file = own_file(request, code)
    for job in audio_file.open_jobs:
        job.cancel()
    return redirect(audio_file)


@never_cache
@signed_in
def delete(request: HttpRequest, code: UUID) -> HttpResponse:
    """GET asks whether it is meant, POST deletes; deleting twice is fine."""
    if request.method == "POST":
        is_deleted = request.user.audio_files.filter(code=code).remove()
        before = Deletion.objects.filter(about=code, owner_id=request.user.pk)
        if not is_deleted and not before.exists():
            raise Http404
        return redirect("audio:list")
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
    return render(
        request,
        "audio_transcoder/confirm_delete.html",
        {"audio_file": own_file(request, code)},
    )
