"""Direct uploads over HTTP: for scripts, in JSON.

The paths and bodies are those that Uppy's plugin ``AwsS3`` speaks with its companion (Uppy 6,
``@uppy/aws-s3``, CompanionS3.js). It sends the session's cookie and no CSRF token, so what changes
something has to come from a page of this site, by its ``Origin``, ``Sec-Fetch-Site`` or
``Referer``. Every refusal is ``{"reason", "message"}``, with ``missing`` where parts are.

Parts and forms for folder buckets come to addresses of our own, which are signed and need no
session, like those that S3 takes.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import (
    HttpRequest,
    HttpResponse,
    JsonResponse,
    RawPostDataException,
    UnreadablePostError,
)
from django.http.multipartparser import MultiPartParserError
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

import steps
from audio_transcoder import keys, reasons, uploads
from audio_transcoder.models import Upload
from audio_transcoder.uploads import direct_uploads
from audio_transcoder.uploads.declarations import declared
from audio_transcoder.uploads.direct_uploads import ADDRESS_LIFE_S
from audio_transcoder.uploads.refusals import SENTENCES, STATUSES, Refused
from buckets import (
    ObjectExists,
    Part,
    PartsDiffer,
    PartTaken,
    UploadMissing,
    bucket,
    parts,
    takes_parts,
)

FLOOD_AGAIN_S = 60

_CHUNK_BYTES = 256 * 1024
_OPEN_SHOWN = 25
_PART_SALT, _FORM_SALT = "upload-part", "upload-form"
_KEY = re.compile(r"uploads/([0-9a-f-]{36})/(?:source|arriving)")


def for_scripts(*methods: str, changes: bool = False) -> Callable:
    """Let signed-in people's scripts call a view by these methods; say everything in JSON.

    ``changes``: the view does something, so it is called from a page of this site only.
    """

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @never_cache
        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
            try:
                if request.method not in methods:
                    raise Refused("method")
                if not takes_parts():
                    raise Refused("unknown")
                if not request.user.is_authenticated:
                    raise Refused("signed_out")
                if (changes or request.method != "GET") and not _is_from_here(request):
                    raise Refused("foreign")
                return view(request, *args, **kwargs)
            except Refused as refusal:
                response = _refused(refusal, allow=methods)
                length = request.META.get("CONTENT_LENGTH") or ""
                if length.isdecimal() and int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
                    _leave_unread(request, response)
                return response

        return guarded

    return decorate


@for_scripts("POST")
def begin(request: HttpRequest) -> HttpResponse:
    """Begin an upload in parts, or go on with one: 200 ``{key, uploadId, partSize, …}``."""
    body = _json(request)
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise Refused("invalid")
    said = declared(body.get("filename"), body.get("type"), metadata)
    upload, stored = direct_uploads.begin(request.user, said)
    return JsonResponse(
        {
            "key": upload.key,
            "uploadId": str(upload.code),
            "partSize": upload.part_bytes,
            "partCount": upload.part_count,
            "parts": _listing(stored),
        }
    )


@for_scripts("GET", "DELETE")
def one(request: HttpRequest, code: str) -> HttpResponse:
    """GET: the parts that the store has, ``[{PartNumber, ETag, Size}]``. DELETE: abort, 204."""
    upload = _own(request, code)
    if request.method == "DELETE":
        if not direct_uploads.abort(upload):
            upload.refresh_from_db(fields=["finished_at"])
        if upload.finished_at is not None:
            raise Refused("finished")
        return HttpResponse(status=204)
    if upload.finished_at is not None:
        # Whoever missed the end goes on to it, and learns where the file is.
        numbers = range(1, upload.part_count + 1)
        stored = [Part(number, upload.size_of_part(number), "-") for number in numbers]
    else:
        stored = direct_uploads.stored_parts(_open(upload))
    return JsonResponse(_listing(stored), safe=False)


@for_scripts("GET")
def sign(request: HttpRequest, code: str, number: str) -> HttpResponse:
    """Return ``{url, expires_s}``: where one part goes by PUT, with exactly its length."""
    upload = _own(request, code)
    if upload.finished_at is not None:
        raise Refused("finished")
    part = int(number) if number.isascii() and number.isdecimal() and len(number) < 6 else 0
    size = _open(upload).size_of_part(part)
    if not size or upload.is_by_form:
        raise Refused("unknown")
    url = direct_uploads.sign_part(upload, part)
    if url is None:
        token = signing.dumps([upload.code.hex, part, size], salt=_PART_SALT)
        url = reverse("audio:put-part", args=[token])
    return JsonResponse({"url": url, "expires_s": ADDRESS_LIFE_S})


@for_scripts("POST")
def complete(request: HttpRequest, code: str) -> HttpResponse:
    """Finish: 200 ``{location, key, bucket}``, as often as it is asked; 409 while parts miss."""
    upload = _own(request, code)
    told = None if upload.is_by_form else _told(_json(request))
    return _arrived(upload, direct_uploads.finish(upload, told).get_absolute_url())


@for_scripts("GET", changes=True)
def params(request: HttpRequest) -> HttpResponse:
    """Begin an upload by one form: 200 ``{method, url, fields}``; the file comes last."""
    found = re.compile(r"metadata\[(\w{1,32})\]")
    metadata = {
        match[1]: value for name, value in request.GET.items() if (match := found.fullmatch(name))
    }
    said = declared(request.GET.get("filename"), request.GET.get("type"), metadata)
    upload, form = direct_uploads.begin_by_form(request.user, said)
    if form is None:
        token = signing.dumps([upload.code.hex, upload.size_bytes], salt=_FORM_SALT)
        url, fields = reverse("audio:post-form", args=[token]), {"key": upload.key}
    else:
        url, fields = form.url, dict(form.fields)
    body = {"method": "POST", "url": url, "fields": fields, "uploadId": str(upload.code)}
    return JsonResponse(body)


@for_scripts("POST")
def arrived(request: HttpRequest) -> HttpResponse:
    """Finish an upload by form, which its page knows by key alone; answers as ``complete``."""
    match = _KEY.fullmatch(keys.storage_name(request.GET.get("key", "")))
    own = Upload.objects.filter(owner=request.user, store_id="").select_related("audio_file")
    upload = own.filter(file_code=_uuid(match[1] if match else "")).first()
    if upload is None:
        raise Refused("unknown")
    return _arrived(upload, direct_uploads.finish(upload).get_absolute_url())


@for_scripts("GET")
def open_uploads(request: HttpRequest) -> HttpResponse:
    """Return this person's unfinished uploads, newest first, with the bytes that are stored."""
    own = Upload.objects.unfinished().filter(owner=request.user).exclude(store_id="")
    found = []
    for upload in own.order_by("-created_at")[:_OPEN_SHOWN]:
        try:
            stored = direct_uploads.stored_parts(upload)
        except Refused:
            continue  # gone from the store; the step will see
        found.append(
            {
                "uploadId": str(upload.code),
                "key": upload.key,
                "fileName": upload.file_name,
                "size": upload.size_bytes,
                "partSize": upload.part_bytes,
                "sent": sum(part.size_bytes for part in stored),
                "fingerprint": upload.fingerprint,
                "createdAt": upload.created_at.isoformat(),
            }
        )
    return JsonResponse(found, safe=False)


# --- Addresses of our own, for folders --------------------------------------------------------


def for_signed(method: str) -> Callable:
    """Let whoever has a signed address call a view; a body that is refused is not read."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @never_cache
        @functools.wraps(view)
        def guarded(request: HttpRequest, token: str) -> HttpResponse:
            try:
                if request.method != method:
                    raise Refused("method")
                if settings.AWS_STORAGE_BUCKET_NAME:  # which has addresses of its own
                    raise Refused("unknown")
                return view(request, token)
            except Refused as refusal:
                response = _refused(refusal, allow=[method])
                _leave_unread(request, response)
                return response

        return guarded

    return decorate


@for_signed("PUT")
def put_part(request: HttpRequest, token: str) -> HttpResponse:
    """Take one part: 200 with its ``ETag``. Memory does not grow with it."""
    code, number, size = _signed(token, _PART_SALT)
    _require_length(request, size, size)
    upload = _signed_upload(code)
    try:
        chunks = _chunks(request, size, _checksum(request))
        etag = parts(settings.MEDIA_BUCKET).write(upload.key, upload.store_id, number, chunks)
    except (PartsDiffer, UnreadablePostError) as error:  # the body broke off
        raise Refused("broken") from error
    except PartTaken as error:
        raise Refused("busy") from error
    except UploadMissing as error:
        raise Refused("unknown") from error
    return HttpResponse(headers={"ETag": f'"{etag}"'})


@for_signed("POST")
def post_form(request: HttpRequest, token: str) -> HttpResponse:
    """Take one file by form: 201 with an ``ETag``. A form that was used is refused, 409."""
    code, size = _signed(token, _FORM_SALT)
    _require_length(request, 1, size + uploads.FORM_OVERHEAD_BYTES)
    upload = _signed_upload(code)
    request.upload_handlers = [_OneFile(request, size)]
    try:
        file = request.FILES.get("file")
    except uploads.UploadTooLarge as error:
        raise Refused("too_large") from error
    except (MultiPartParserError, SuspiciousOperation, UnreadablePostError) as error:
        raise Refused("broken") from error
    if file is None or file.size != size:
        raise Refused("broken")
    file.flush()
    try:
        path = Path(file.temporary_file_path())
        bucket(settings.MEDIA_BUCKET).put(upload.key, path, content_type=upload.media_type)
    except ObjectExists as error:
        raise Refused("finished") from error
    Upload.objects.unfinished().filter(pk=upload.pk).update(next_step_at=timezone.now())
    steps.nudge("uploads")
    return HttpResponse(status=201, headers={"ETag": f'"{file.sha256}"'})


class _OneFile(uploads.HashingUploadHandler):
    FIELD = "file"

    def __init__(self, request: HttpRequest, limit_bytes: int) -> None:
        super().__init__(request)
        self._limit_bytes = limit_bytes

    @property
    def limit_bytes(self) -> int:
        return self._limit_bytes


def _signed(token: str, salt: str) -> list[Any]:
    try:
        return signing.loads(token, salt=salt, max_age=ADDRESS_LIFE_S)
    except signing.SignatureExpired as error:
        raise Refused("expired") from error
    except signing.BadSignature as error:
        raise Refused("unknown") from error


def _signed_upload(code: str) -> Upload:
    upload = Upload.objects.filter(code=code).first()
    if upload is None or upload.aborted_at is not None or upload.owner_id is None:
        raise Refused("unknown")
    if upload.finished_at is not None:
        raise Refused("finished")
    return upload


def _require_length(request: HttpRequest, least: int, most: int) -> None:
    length = request.META.get("CONTENT_LENGTH") or ""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Refused("packed")
    if "HTTP_TRANSFER_ENCODING" in request.META or not re.fullmatch(r"[0-9]{1,18}", length):
        raise Refused("no_length")
    if int(length) > most:
        raise Refused("too_large")
    if int(length) < least:
        raise Refused("broken")


def _checksum(request: HttpRequest) -> bytes | None:
    """Return the MD5 that the body must have, if it says so. Source: RFC 1864, Content-MD5."""
    told = request.headers.get("Content-MD5")
    if told is None:
        return None
    try:
        return base64.b64decode(told, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("broken") from error


def _chunks(request: HttpRequest, size: int, checksum: bytes | None) -> Iterator[bytes]:
    """Yield the body. Raises Refused at its end when it has another checksum than was said."""
    # The bucket hashes each part anyway; this is for who wants it refused when it differs.
    digest = None if checksum is None else hashlib.md5(usedforsecurity=False)
    left = size
    while left:
        chunk = request.read(min(left, _CHUNK_BYTES))
        if not chunk:
            return
        if digest is not None:
            digest.update(chunk)
        left -= len(chunk)
        yield chunk
    if digest is not None and digest.digest() != checksum:
        raise Refused("broken")


# --- Reading and answering --------------------------------------------------------------------


def _is_from_here(request: HttpRequest) -> bool:
    """Return whether a page of this site asks, or one that has its CSRF token."""
    ours = {f"{request.scheme}://{request.get_host()}", *settings.CSRF_TRUSTED_ORIGINS}
    if "Origin" in request.headers:
        if request.headers["Origin"] in ours:
            return True
    elif "Sec-Fetch-Site" in request.headers:
        if request.headers["Sec-Fetch-Site"] == "same-origin":
            return True
    elif _origin(request.headers.get("Referer", "")) in ours:
        return True
    if "X-CSRFToken" not in request.headers or request.method == "GET":
        return False
    check = CsrfViewMiddleware(lambda _request: HttpResponse())
    check.process_request(request)
    return check.process_view(request, lambda: None, (), {}) is None


def _origin(url: str) -> str:
    try:
        found = urlsplit(url)
    except ValueError:
        return ""
    return f"{found.scheme}://{found.netloc}"


def _json(request: HttpRequest) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except RequestDataTooBig as error:
        raise Refused("too_large") from error
    except (ValueError, RecursionError, UnreadablePostError, RawPostDataException) as error:
        raise Refused("broken") from error
    if not isinstance(body, dict):
        raise Refused("broken")
    return body


def _told(body: dict[str, Any]) -> dict[int, str]:
    """Return the ETag of each part that the sender names, without its quotes."""
    found = {}
    listed = body.get("parts")
    for part in listed if isinstance(listed, list) else [None]:
        number, etag = (
            (part.get("PartNumber"), part.get("ETag")) if isinstance(part, dict) else (None, None)
        )
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(etag, str):
            raise Refused("broken")
        found[number] = etag.strip('"')
    return found


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _own(request: HttpRequest, code: str) -> Upload:
    """Return this person's upload, if the key in the address is its own, too."""
    own = Upload.objects.filter(owner=request.user).select_related("audio_file", "owner")
    upload = own.filter(code=_uuid(code)).first()
    if upload is None or request.GET.get("key") not in (upload.key, upload.form_key):
        raise Refused("unknown")
    return upload


def _open(upload: Upload) -> Upload:
    if not upload.is_open:
        raise Refused("unknown")
    return upload


def _listing(stored: Sequence[Part]) -> list[dict[str, object]]:
    return [
        {"PartNumber": part.number, "ETag": f'"{part.etag}"', "Size": part.size_bytes}
        for part in stored
    ]


def _arrived(upload: Upload, location: str) -> HttpResponse:
    return JsonResponse({"location": location, "key": upload.key, "bucket": ""})


def _leave_unread(request: HttpRequest, response: HttpResponse) -> None:
    """Let the connection end with this answer, without the rest of the body."""
    if request.META.get("SERVER_SOFTWARE", "").startswith("gunicorn"):
        response["Connection"] = "close"  # else it is read before the next request


def _refused(refusal: Refused, allow: Sequence[str]) -> HttpResponse:
    reason = refusal.reason
    message = str(SENTENCES[reason]) if reason in SENTENCES else reasons.sentence(reason)
    body: dict[str, object] = {"reason": reason, "message": message}
    if refusal.missing:
        body["missing"] = refusal.missing[:1000]
    response = JsonResponse(body, status=STATUSES.get(reason, 422))
    response._has_been_logged = True  # with its path, which may open a door
    if reason == "flood":
        response["Retry-After"] = str(FLOOD_AGAIN_S)
    if reason == "method":
        response["Allow"] = ", ".join(allow)
    return response
