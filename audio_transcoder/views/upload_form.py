"""The page that uploads, and its form."""

from __future__ import annotations

from uuid import UUID, uuid4

from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.generic import View

from audio_transcoder import engines, reasons, uploads
from audio_transcoder.access import is_scripted, not_signed_in
from audio_transcoder.formats import SOUND_EXTENSIONS
from audio_transcoder.forms.upload import UploadForm
from audio_transcoder.models import AudioFile, Upload
from audio_transcoder.quotas import OverQuota, quotas_of
from audio_transcoder.uploads import declarations, limits
from buckets import takes_parts


# CSRF is checked inside: the token stands in the body, and a body that is too large, or whose
# sender is signed out, is not read at all. Of a chosen file the page lets the browser tell how long
# it is.
@method_decorator([never_cache, csrf_exempt, csp_update({"media-src": ["blob:"]})], name="dispatch")
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
                options=form.options,
                token=form.cleaned_data["token"],
            )
        except OverQuota as error:
            form.add_error(None, reasons.sentence(error.reason))
            return self._refused(request, form, reason=error.reason)
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
        coming = Upload.objects.unfinished().filter(owner=request.user)
        quotas = quotas_of(request.user, coming=coming)
        context = {
            "form": form,
            "quotas": quotas,
            "limits": limits.told(quotas),
            "max_bytes": settings.UPLOAD_MAX_BYTES,
            "max_duration_s": settings.MAX_DURATION_S,
            "media_types": declarations.MEDIA_TYPE.pattern,
            "extensions": ",".join(SOUND_EXTENSIONS),
            "not_audio": reasons.sentence("not_audio"),
            "too_long": reasons.sentence("too_long"),
            "no_results": reasons.sentence("result_quota"),
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
