"""What stands on a file's label: its tags and its cover."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_safe

from audio_transcoder import covers, reasons, uploads
from audio_transcoder.access import signed_in
from audio_transcoder.covers import cover_changes
from audio_transcoder.forms.labels import CoverForm, TagsForm
from audio_transcoder.models import AudioFile
from images import Size

# Pixels of the picture in which the part is chosen.
PREVIEW = Size(960, 960)


def _own_file(request: HttpRequest, code: UUID) -> AudioFile:
    return get_object_or_404(request.user.audio_files, code=code)


@never_cache
@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def edit_tags(request: HttpRequest, code: UUID) -> HttpResponse:
    audio_file = _own_file(request, code)
    form = TagsForm(request.POST or None, instance=audio_file)
    if request.method == "POST" and form.is_valid():
        if not form.keep():  # deleted meanwhile
            raise Http404
        return redirect(audio_file)
    status = 422 if request.method == "POST" else 200
    context = {"audio_file": audio_file, "form": form}
    return render(request, "audio_transcoder/edit_tags.html", context, status=status)


@signed_in
@require_safe
def cover(request: HttpRequest, code: UUID, size: str) -> HttpResponse:
    """One size of the cover, for its owner; the signature says that a page of ours shows it."""
    return covers.answer(request, _own_file(request, code), size)


class _CoverUploadHandler(uploads.HashingUploadHandler):
    FIELD = "picture"
    limit_bytes = covers.MAX_BYTES


# CSRF is checked inside: the token stands in the body, and a body that is too large, or is about
# somebody else's file, is not read at all.
@never_cache
@csrf_exempt
@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def edit_cover(request: HttpRequest, code: UUID) -> HttpResponse:
    """The page that gives a file another cover, or a part of the one it has, or none.

    302 back to it when that is done; 422 with the form for what is no picture that we take, 413
    beyond covers.MAX_BYTES.
    """
    audio_file = _own_file(request, code)
    length = request.META.get("CONTENT_LENGTH")
    has_no_length = "HTTP_TRANSFER_ENCODING" in request.META
    if request.method == "POST" and (
        has_no_length or uploads.is_too_large(length, covers.MAX_BYTES)
    ):
        return _too_large(request, audio_file)
    request.upload_handlers = [_CoverUploadHandler(request)]
    try:
        return csrf_protect(_edit_cover)(request, audio_file)
    except uploads.UploadTooLarge:
        return _too_large(request, audio_file)


def _edit_cover(request: HttpRequest, audio_file: AudioFile) -> HttpResponse:
    if request.method != "POST":
        return _cover_page(request, audio_file, CoverForm(audio_file=audio_file))
    if "remove" in request.POST:
        cover_changes.remove(audio_file)
        messages.success(request, _("The cover was removed."))
        return redirect("audio:edit-cover", audio_file.code)
    form = CoverForm(request.POST, request.FILES, audio_file=audio_file)
    if not form.is_valid():
        return _cover_page(request, audio_file, form, status=422)
    if form.drawn is not None:
        if not cover_changes.replace(audio_file, form.drawn):
            raise Http404
        messages.success(request, _("The cover is saved."))
    return redirect("audio:edit-cover", audio_file.code)


def _too_large(request: HttpRequest, audio_file: AudioFile) -> HttpResponse:
    form = CoverForm(audio_file=audio_file)
    refusal = reasons.sentence("picture_too_large")
    response = _cover_page(request, audio_file, form, status=413, refusal=refusal)
    if request.META.get("SERVER_SOFTWARE", "").startswith("gunicorn"):
        response["Connection"] = "close"  # else it reads the rest of the body, to no end
    return response


def _cover_page(
    request: HttpRequest,
    audio_file: AudioFile,
    form: CoverForm,
    status: int = 200,
    refusal: str = "",
) -> HttpResponse:
    context = {"audio_file": audio_file, "form": form, "refusal": refusal, "preview": PREVIEW}
    return render(request, "audio_transcoder/edit_cover.html", context, status=status)
