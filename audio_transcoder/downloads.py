"""Handing an object to a browser: by a signed link, or byte by byte.

Who may read it has been asked before; these are answers to GET and HEAD.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO
from urllib.parse import quote

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, http_date

from buckets import Bucket, ObjectInfo, ObjectMissing, bucket

_CHUNK_BYTES = 256 * 1024
_RANGES = re.compile(r"bytes=[ \t]*([0-9-]+(?:[ \t]*,[ \t]*[0-9-]+)*)[ \t]*", re.IGNORECASE)
_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
# More digits than any size has, and fewer than int() refuses.
_MAX_DIGITS = 18
# Seconds: how much longer than a sound its link lives, because people pause, and the longest life
# that a link of S3 or Azure's can have.
_SLACK_S = 3600
_LONGEST_LIFE_S = 7 * 24 * 3600


def serve(
    request: HttpRequest,
    *,
    bucket_name: str,
    key: str,
    filename: str,
    content_type: str,
    inline: bool,
    duration_ms: int | None = None,
    ends_at: datetime | None = None,
) -> HttpResponseBase:
    """Return the answer that brings the object to the browser under the name ``filename``.

    Where the bucket has signed links (S3, CloudFront, Azure, Google), that is a redirect to
    one, and the store answers ranges; it lives for the length of the sound, ``duration_ms``,
    and an hour, because players come back for more all that time, but at most until ``ends_at``.
    A folder's object is sent by nginx where ACCEL_REDIRECT_PREFIX says so, and else, like any
    other, streamed in constant memory with one range (RFC 9110, section 14; several at once get
    the whole), validators and preconditions. It is a download unless ``inline``. No cache keeps
    any of it. Raises Http404 when there is no such object, and BucketError.
    """
    stored_in = bucket(bucket_name)
    # Asked now, because a store would answer a browser with XML.
    info = stored_in.stat(key)
    if info is None:
        raise Http404("There is no such object.")
    link = stored_in.link(
        key,
        filename=filename,
        content_type=content_type,
        inline=inline,
        lives_s=_life_s(duration_ms, ends_at),
    )
    if link is None:
        response = _sent_from_here(request, stored_in, key, info)
    elif request.method == "HEAD":  # the link is signed for GET alone
        response = HttpResponse(headers={"Content-Length": str(info.size_bytes)})
    else:
        response = HttpResponse(status=302, headers={"Location": link})
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if response.status_code in (200, 206):
        response.headers["Content-Type"] = content_type
        if disposition := content_disposition_header(not inline, filename):
            response.headers["Content-Disposition"] = disposition
    return response


def _sent_from_here(
    request: HttpRequest, stored_in: Bucket, key: str, info: ObjectInfo
) -> HttpResponseBase:
    path = stored_in.local_path(key) if settings.ACCEL_REDIRECT_PREFIX else None
    if path is None:
        return _stream(request, stored_in, key, info)
    # nginx reads a URL here: the percent signs of file names are quoted once more.
    place = settings.ACCEL_REDIRECT_PREFIX + quote(path)
    return HttpResponse(headers={"X-Accel-Redirect": place})


def _life_s(duration_ms: int | None, ends_at: datetime | None) -> int:
    needed_s = duration_ms // 1000 + _SLACK_S if duration_ms else 0
    life_s = min(max(settings.AWS_QUERYSTRING_EXPIRE, needed_s), _LONGEST_LIFE_S)
    if ends_at is None:
        return life_s
    left_s = int((ends_at - timezone.now()).total_seconds())
    return max(1, min(life_s, left_s))  # no store signs for less than a second


def _stream(
    request: HttpRequest, stored_in: Bucket, key: str, info: ObjectInfo
) -> HttpResponseBase:
    size, modified_s = info.size_bytes, info.modified_at.timestamp()
    # An object never changes; the time tells it from one that was stored anew under its key.
    etag = f'"{int(modified_s * 1_000_000):x}-{size:x}"'
    modified = http_date(modified_s)
    headers = {"Accept-Ranges": "bytes", "ETag": etag, "Last-Modified": modified}
    unmet = get_conditional_response(request, etag=etag, last_modified=int(modified_s))
    if unmet is not None:  # 304 or 412
        for name, value in headers.items():
            unmet.headers[name] = value
        return unmet

    start, end, status = 0, size, 200
    # Only GET has ranges (RFC 9110, section 14.2).
    if request.method == "GET" and request.headers.get("If-Range", etag) in (etag, modified):
        ranges = _ranges(request.headers.get("Range", ""), size)
        if ranges == []:
            return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
        if ranges is not None and len(ranges) == 1:
            [(start, end)] = ranges
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers)
    try:
        file = stored_in.open(key)
    except ObjectMissing as error:  # deleted since it was looked at
        raise Http404("There is no such object.") from error
    file.seek(start)
    return StreamingHttpResponse(_Slice(file, end - start), status=status, headers=headers)


def _ranges(header: str, size: int) -> list[tuple[int, int]] | None:
    """Return the ranges asked for that the object has, as (start, end), end exclusive.

    None: no ranges, or a header that makes no sense and is ignored. Empty: nothing that is
    asked for exists. Source: RFC 9110, sections 14.1.1 and 14.1.2.
    """
    found = _RANGES.fullmatch(header)
    if found is None:
        return None
    ranges = []
    for text in found[1].split(","):
        match = _RANGE.fullmatch(text.strip())
        if match is None or match[0] == "-":
            return None
        first, last = (_number(digits) for digits in match.groups())
        if first is None:  # the last so many bytes
            start, end = max(0, size - (last or 0)), size
        else:
            start, end = first, size if last is None else min(last + 1, size)
        if start < end:
            ranges.append((start, end))
    return ranges


def _number(digits: str) -> int | None:
    if not digits:
        return None
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


class _Slice:
    """The next ``size_bytes`` of a file, in pieces; closed by the response."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self._file = file
        self._left = size_bytes

    def __iter__(self) -> Iterator[bytes]:
        while self._left and (chunk := self._file.read(min(_CHUNK_BYTES, self._left))):
            self._left -= len(chunk)
            yield chunk

    def close(self) -> None:
        self._file.close()
