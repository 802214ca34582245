"""The pages: each writes rows and nudges, or reads rows. No view calls an engine."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST, require_safe
from django.views.generic import View

import steps
from audio_transcoder import downloads, engines, keys, reasons, uploads
from audio_transcoder.access import is_scripted, not_signed_in, signed_in
from audio_transcoder.formats import FORMATS
from audio_transcoder.forms import OrderForm, UploadForm
from audio_transcoder.models import AudioFile, Deletion, Rendition, TranscodeJob
from buckets import takes_parts

FILES_ON_A_PAGE = 25
STOP_POLLING = 286  # htmx ends an element's polling with this status


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("audio:list")
    context = {
        "kinds": engines.kinds(),
        "formats": FORMATS.values(),
        "site_url": settings.SITE_URL,
    }
    return render(request, "audio_transcoder/landing.html", context)


# CSRF is checked inside: the token stands in the body, and a body that is too large, or whose
# sender is signed out, is not read at all.
@method_decorator([never_cache, csrf_exempt], name="dispatch")
class UploadAudioFileView(View):
    """The upload form, for people with and without scripts.

    Answers 302 to the new file's page; 422 with the form for a file that we do not take, 413
    beyond the size limit. To scripts: 201 ``{"location": …}``, or ``{"reason", "message",
    "errors"}`` with the same status codes.
    """

    def dispatch(self, request: HttpRequest) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return not_signed_in(request)
        if request.method == "POST" and (
            uploads.is_too_large(request.META.get("CONTENT_LENGTH"))
            or "HTTP_TRANSFER_ENCODING" in request.META  # of no declared length
        ):
            return self._too_large(request)
        if request.headers.get("Content-Encoding", "identity") != "identity":
            return HttpResponse(status=415)
        if request.method == "POST" and uploads.is_flood(request.user):
            return self._too_many(request)
        request.upload_handlers = [uploads.HashingUploadHandler(request)]
        try:
            return csrf_protect(super().dispatch)(request)
        except uploads.UploadTooLarge:
            return self._too_large(request)

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._page(request, UploadForm(initial={"token": uuid4()}))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = UploadForm(request.POST, request.FILES)
        before = AudioFile.objects.filter(owner=request.user, upload_token=_token(request)).first()
        if before is not None:  # the same form, sent again
            return self._accepted(request, before)
        if not form.is_valid():
            return self._refused(request, form)
        # An upload may take hours; the account was looked at when it began.
        if not get_user_model().objects.filter(pk=request.user.pk, is_active=True).exists():
            raise PermissionDenied
        try:
            audio_file = uploads.accept(
                request.user,
                form.cleaned_data["mp3_file"],
                form.sound,
                name=form.cleaned_data["name"],
                formats=form.cleaned_data["formats"],
                token=form.cleaned_data["token"],
            )
        except uploads.OverQuota:
            form.add_error(None, reasons.sentence("quota"))
            return self._refused(request, form, reason="quota")
        return self._accepted(request, audio_file)

    def _accepted(self, request: HttpRequest, audio_file: AudioFile) -> HttpResponse:
        if is_scripted(request):
            return JsonResponse({"location": audio_file.get_absolute_url()}, status=201)
        return redirect(audio_file)

    def _refused(self, request: HttpRequest, form: UploadForm, reason: str = "") -> HttpResponse:
        errors = form.errors.get_json_data()
        first = next(error for field in errors.values() for error in field)
        if is_scripted(request):
            body = {
                "reason": reason or first["code"] or "invalid",
                "message": first["message"],
                "errors": {
                    field: [error["message"] for error in found] for field, found in errors.items()
                },
            }
            return JsonResponse(body, status=422)
        return self._page(request, form, status=422)

    def _too_many(self, request: HttpRequest) -> HttpResponse:
        headers = {"Retry-After": "60"}
        if is_scripted(request):
            body = {"reason": "flood", "message": reasons.sentence("flood")}
            return JsonResponse(body, status=429, headers=headers)
        return render(request, "429.html", status=429)

    def _too_large(self, request: HttpRequest) -> HttpResponse:
        message = reasons.sentence("too_large")
        if is_scripted(request):
            response = JsonResponse({"reason": "too_large", "message": message}, status=413)
        else:
            form = UploadForm(initial={"token": uuid4()})
            response = self._page(request, form, status=413, refusal=message)
        if request.META.get("SERVER_SOFTWARE", "").startswith("gunicorn"):
            response["Connection"] = "close"  # else it reads the rest of the body, to no end
        return response

    def _page(
        self, request: HttpRequest, form: UploadForm, status: int = 200, refusal: str = ""
    ) -> HttpResponse:
        context = {
            "form": form,
            "formats": FORMATS.values(),
            "max_bytes": settings.UPLOAD_MAX_BYTES,
            "kinds": engines.kinds(),
            "refusal": refusal,
            "uppy": settings.UPPY if settings.HAS_UPPY and takes_parts() else "",
        }
        return render(request, "audio_transcoder/upload.html", context, status=status)


def _token(request: HttpRequest) -> UUID | None:
    try:
        return UUID(request.POST.get("token", ""))
    except ValueError:
        return None


@never_cache
@signed_in
@require_safe
def library(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "")[:200].replace("\0", "")
    files = request.user.audio_files.named_like(query)
    page = Paginator(files.with_work(), FILES_ON_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "audio_transcoder/library.html", {"page_obj": page, "query": query})


@never_cache
@signed_in
@require_safe
def library_row(request: HttpRequest, code: UUID) -> HttpResponse:
    """The file's row in the library, which asks for itself while its work is open."""
    audio_file = _own_file(request, code)
    return _polled(request, audio_file, "audio_transcoder/_library_row.html")


@never_cache
@signed_in
@require_safe
def detail(request: HttpRequest, code: UUID) -> HttpResponse:
    audio_file = _own_file(request, code)
    _watch(audio_file)
    return render(request, "audio_transcoder/detail.html", _file_context(audio_file))


@never_cache
@signed_in
@require_safe
def file_state(request: HttpRequest, code: UUID) -> HttpResponse:
    """What changes on the file's page, which asks for it while its work is open."""
    return _polled(request, _own_file(request, code), "audio_transcoder/_file_state.html")


def _polled(request: HttpRequest, audio_file: AudioFile, template: str) -> HttpResponse:
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
    audio_file = _own_file(request, code)
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
    audio_file = _own_file(request, code)
    audio_file.order_missing([rendition.format_name for rendition in audio_file.failed_renditions])
    return redirect(audio_file)


@signed_in
@require_POST
def cancel(request: HttpRequest, code: UUID) -> HttpResponse:
    audio_file = _own_file(request, code)
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
        {"audio_file": _own_file(request, code)},
    )


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
    if rendition == "original":
        name, file_name = audio_file.mp3_file.name, audio_file.original_download_name
        media_type, duration_ms = audio_file.media_type, audio_file.duration_ms
        # A stranger's bytes: players take an attachment too, and a page is never made of it.
        inline = False
    else:
        found = _ready_rendition(audio_file, rendition)
        name, file_name = found.file.name, found.download_name
        media_type, duration_ms = found.format.media_type, found.duration_ms
    return downloads.serve(
        request,
        bucket_name=settings.MEDIA_BUCKET,
        key=keys.bucket_key(name),
        filename=file_name,
        content_type=media_type,
        inline=inline,
        duration_ms=duration_ms,
    )


def _ready_rendition(audio_file: AudioFile, which: str) -> Rendition:
    ready = audio_file.renditions.filter(status=TranscodeJob.Status.COMPLETE).order_by("-id")
    if which in FORMATS:
        found = ready.filter(format_name=which).first()
    else:
        try:
            found = ready.filter(code=UUID(which)).first()
        except ValueError:
            found = None
    if found is None:
        raise Http404(_("There is no such result."))
    return found


def _own_file(request: HttpRequest, code: UUID) -> AudioFile:
    return get_object_or_404(request.user.audio_files.with_work(), code=code)
