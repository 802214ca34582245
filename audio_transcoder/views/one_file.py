"""One file: its page, what changes on it, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from csp.constants import NONCE
from csp.decorators import csp_update
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

import steps
from audio_transcoder import open_work, reasons
from audio_transcoder.access import signed_in
from audio_transcoder.file_page import facts, player, timeline
from audio_transcoder.file_page.forecast import Forecast, forecast
from audio_transcoder.forms.orders import OptionsForm
from audio_transcoder.forms.sharing import ShareForm
from audio_transcoder.models import AudioFile, Deletion, Share, TooManyResults, TranscodeJob
from audio_transcoder.quotas import OverQuota, room_for_results

STOP_POLLING = 286  # htmx ends an element's polling with this status
# wavesurfer.js writes the styles of its shadow tree.
with_waveform = csp_update({"style-src": [NONCE]})


def own_file(request: HttpRequest, code: UUID) -> AudioFile:
    return get_object_or_404(request.user.audio_files.with_work(), code=code)


def file_to_show(request: HttpRequest, code: UUID) -> AudioFile:
    """Return one's own file with its waveform, unless the page says that it has that already."""
    files = request.user.audio_files.with_work()
    if "drawn" not in request.GET:
        files = files.select_related("waveform")
    return get_object_or_404(files, code=code)


@never_cache
@signed_in
@require_safe
@with_waveform
def detail(request: HttpRequest, code: UUID) -> HttpResponse:
    audio_file = file_to_show(request, code)
    _watch(request, audio_file)
    return render(request, "audio_transcoder/detail.html", page_context(audio_file))


@never_cache
@signed_in
@require_safe
def file_state(request: HttpRequest, code: UUID) -> HttpResponse:
    """What changes on the file's page, which asks for it while its work is open."""
    audio_file = file_to_show(request, code)
    context = _work_context(audio_file, is_drawn="drawn" in request.GET)
    return polled(request, audio_file, "audio_transcoder/_file_state.html", context)


def polled(
    request: HttpRequest, audio_file: AudioFile, template: str, context: dict | None = None
) -> HttpResponse:
    """Answer a page that asks for what changed; the answer after the last news is the last."""
    _watch(request, audio_file)
    status = 200 if audio_file.has_news else STOP_POLLING
    context = {"audio_file": audio_file, **(context or {})}
    response = render(request, template, context, status=status)
    if not audio_file.open_jobs and "told" not in request.GET:
        response["HX-Trigger"] = "messages-changed"
    return response


def page_context(
    audio_file: AudioFile,
    order_form: OptionsForm | None = None,
    share_form: ShareForm | None = None,
) -> dict:
    """Return what the page of a file shows, with a form as it was refused."""
    return {
        **_work_context(audio_file),
        "order_form": order_form or OptionsForm(audio_file=audio_file),
        "share_form": share_form or ShareForm(audio_file=audio_file),
        "shares": Share.objects.of_page(audio_file),
        "wavesurfer": settings.WAVESURFER if settings.HAS_WAVESURFER else "",
        "wavesurfer_regions": settings.WAVESURFER_REGIONS,
    }


def _work_context(audio_file: AudioFile, *, is_drawn: bool = False) -> dict:
    """Return what changes on the page while work is open; the waveform unless it is drawn."""
    drawing = None if is_drawn else player.drawing(audio_file)
    job = audio_file.shown_job
    return {
        "audio_file": audio_file,
        "renditions": audio_file.latest_renditions,
        "job": job,
        "forecast": forecast(job, timezone.now()) if job else Forecast(),
        "sources": player.sources(audio_file),
        "drawing": drawing,
        # Without its length a waveform cannot be moved in: it is sent again.
        "is_drawn": is_drawn or (drawing is not None and audio_file.duration_ms is not None),
        "facts": facts.table(audio_file),
        "timeline": timeline.events(audio_file),
    }


def _watch(request: HttpRequest, audio_file: AudioFile) -> None:
    """Note that somebody looks, so that the engine is asked every second."""
    if audio_file.open_jobs:
        open_work.note(request)
    now = timezone.now()
    stale = TranscodeJob.objects.unfinished().filter(audio_file=audio_file)
    is_new = stale.filter(watched_at=None) | stale.filter(watched_at__lt=now - timedelta(seconds=2))
    if audio_file.open_jobs and is_new.update(watched_at=now):
        steps.nudge("refresh")


@signed_in
@require_POST
@with_waveform
def order(request: HttpRequest, code: UUID) -> HttpResponse:
    audio_file = file_to_show(request, code)
    form = OptionsForm(request.POST, audio_file=audio_file)
    job = None
    if form.is_valid():
        try:
            with room_for_results(request.user):
                job = audio_file.order_missing(form.cleaned_data["formats"], form.options)
        except OverQuota as error:
            form.add_error("formats", reasons.refusal(error.reason))
        except TooManyResults:
            form.add_error("formats", reasons.refusal("too_many_results"))
    if not form.is_valid():
        context = page_context(audio_file, form)
        return render(request, "audio_transcoder/detail.html", context, status=422)
    if job is None:
        messages.info(request, _("You have that already."))
    return redirect(audio_file)


@signed_in
@require_POST
def retry(request: HttpRequest, code: UUID) -> HttpResponse:
    """Order again whatever failed or was canceled."""
    audio_file = own_file(request, code)
    _order_if_room(request, audio_file.order_failed)
    return redirect(audio_file)


@signed_in
@require_POST
def apply_label(request: HttpRequest, code: UUID) -> HttpResponse:
    """Order again the results that carry older tags or another cover."""
    audio_file = own_file(request, code)
    _order_if_room(request, audio_file.order_outdated)
    return redirect(audio_file)


def _order_if_room(request: HttpRequest, order: Callable[[], object]) -> None:
    """Order something; whoever may have no more is told so on the next page."""
    try:
        with room_for_results(request.user):
            order()
    except OverQuota as error:
        messages.error(request, reasons.sentence(error.reason))


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
        is_deleted = request.user.audio_files.filter(code=code).remove(by_owner=True)
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
