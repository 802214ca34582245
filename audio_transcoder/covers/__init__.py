"""Covers: the picture on the front of a file, and the sizes of it that pages show.

The original lies at ``uploads/<file>/cover-…``, drawn by us from whatever came, and never changes:
another picture has another name. Its sizes lie at ``variants/<file>/<cover>/<size>``, made when
somebody first asks.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import reverse
from django.utils.cache import get_conditional_response

import images
from audio_transcoder import keys
from audio_transcoder.models import AudioFile, Deletion
from buckets import BucketError, BucketMissing, ObjectExists, ObjectMissing, bucket
from images import Box, Picture, Size

logger = logging.getLogger(__name__)

# What somebody may bring as a cover, in bytes.
MAX_BYTES = 10 << 20
# Of what we keep; an album's art in the transcoder's API may have 4096 by 3072 pixels.
MAX_PIXELS = 3000
ORIGINAL_QUALITY = 92
# Seconds: how long a page waits for a picture to be drawn, and somebody who brings one.
PAGE_WAITS_S = 4.0
FORM_WAITS_S = 20.0
# Larger than any that we make.
_VARIANT_BYTES = _ORIGINAL_BYTES = 32 << 20
_PLACEHOLDER = "img/cover.svg"


# --- Addresses ----------------------------------------------------------------------------------


def url(audio_file: AudioFile, size: Size) -> str:
    """Return the address of the file's cover in this size, for its owner; else the placeholder's.

    Reads no more than the row.
    """
    return _address(audio_file.code, audio_file.cover, size)


# For messages: the cover of the file that one is about.
key_of_a_message = Subquery(
    AudioFile.objects.filter(code=OuterRef("about")).order_by().values("cover")[:1]
)


def beside_a_message(code: uuid.UUID, key: str) -> str:
    """Return the address of a small cover, or the placeholder's; 48 pixels wide where it stands."""
    return _address(code, key, square(96))


def _address(code: uuid.UUID, cover: str, size: Size) -> str:
    if not cover:
        return static(_PLACEHOLDER)
    return reverse("audio:cover", args=[code, images.token(cover, size)])


def token(audio_file: AudioFile, size: Size) -> str:
    """Return the last part of an address of the cover, for ``answer()``."""
    return images.token(audio_file.cover, size)


def square(pixels: int) -> Size:
    """Return the size of a cover that fills a square; screens of phones show two for each."""
    return Size(pixels, pixels, fills=True)


# --- Answers ------------------------------------------------------------------------------------


def answer(request: HttpRequest, audio_file: AudioFile, text: str) -> HttpResponse:
    """Return the cover of ``audio_file`` in the size that ``text`` of ``token()`` says.

    For GET and HEAD of somebody who may see the file: ask that first. The answer is the picture,
    drawn now and stored if nobody asked before, and never a redirect; 304 where the browser has it.
    It may be kept for ever, as the address is another one when the cover is. A picture that cannot
    be drawn is the placeholder, which nobody keeps. Raises Http404 for a text that is not ours, and
    BucketError when the store is down.
    """
    if not audio_file.cover:
        raise Http404("There is no cover.")
    try:
        size = images.opened(audio_file.cover, text)
    except images.Forged as error:
        raise Http404("There is no such picture.") from error
    etag = f'"{text}"'
    unmet = get_conditional_response(request, etag=etag)
    if unmet is not None:
        return _kept(unmet, etag)
    name = variant_name(audio_file, size)
    try:
        stored = bucket(settings.MEDIA_BUCKET).head(keys.bucket_key(name), _VARIANT_BYTES)
        return _kept(HttpResponse(stored, content_type=size.media_type), etag)
    except (ObjectMissing, BucketMissing):
        pass  # nobody has asked for it so far
    picture = _drawn(audio_file, size)
    return _kept(_StoredLater(audio_file, name, picture), etag) if picture else _placeholder()


class _StoredLater(HttpResponse):
    """A picture that is stored once it is sent: nobody waits for that."""

    def __init__(self, audio_file: AudioFile, name: str, picture: Picture) -> None:
        super().__init__(picture.data, content_type=picture.media_type)
        self._audio_file, self._name, self._picture = audio_file, name, picture

    def close(self) -> None:
        try:
            put(self._name, self._picture)
            self._remove_if_late()
        except (BucketError, OSError) as error:
            # It is drawn again for the next one who asks.
            logger.warning("%s: not stored: %s", self._name, error)
        finally:
            super().close()  # and whatever the request held, the connection to the database too

    def _remove_if_late(self) -> None:
        """Have it removed if its cover is gone; whoever removes the cover from now on finds it."""
        pk, cover = self._audio_file.pk, self._audio_file.cover
        if not AudioFile.objects.filter(pk=pk, cover=cover).exists():
            Deletion.objects.note([self._name])


def _kept(response: HttpResponse, etag: str) -> HttpResponse:
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _placeholder() -> HttpResponse:
    picture = (settings.BASE_DIR / "static" / _PLACEHOLDER).read_bytes()
    headers = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
    return HttpResponse(picture, content_type="image/svg+xml", headers=headers)


def _drawn(audio_file: AudioFile, size: Size) -> Picture | None:
    """Return one size, drawn now; None when that cannot be. Raises BucketError."""
    try:
        with original(audio_file) as path:
            return images.draw(path, size, timeout_s=PAGE_WAITS_S)
    except (ObjectMissing, BucketMissing, images.Refused, images.Cannot) as error:
        logger.warning("file %s: no cover of %s: %s", audio_file.code, size, error)
        return None


@contextlib.contextmanager
def original(audio_file: AudioFile) -> Iterator[Path]:
    """Give the path of a local copy of the cover, which goes with the block. Raises BucketError."""
    # head() obeys the hurry of whoever waits at a page; fetch() has patience.
    data = bucket(settings.MEDIA_BUCKET).head(keys.bucket_key(audio_file.cover), _ORIGINAL_BYTES)
    with _as_file(data) as path:
        yield path


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[Path]:
    # Of the name that remove_stale_temporary_files() knows.
    with tempfile.NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR, suffix=".upload") as file:
        file.write(data)
        file.flush()
        yield Path(file.name)


# --- Objects ------------------------------------------------------------------------------------


def new_name(code: uuid.UUID) -> str:
    """Return a storage name for a cover of the file ``code`` that no other one ever had.

    Source of its end: the pattern of Artwork.InputKey, API 2012-09-25.
    """
    return f"uploads/{code}/cover-{uuid.uuid4().hex[:16]}.jpg"


def variants_prefix(cover: str) -> str:
    """Return the prefix, in the storage, of all sizes of the cover of this storage name."""
    _uploads, code, name = cover.split("/")
    return f"variants/{code}/{name}/"


def variant_name(audio_file: AudioFile, size: Size) -> str:
    return f"{variants_prefix(audio_file.cover)}{size}"


def put(name: str, picture: Picture) -> None:
    """Store a picture under this storage name; one that is there stays. Raises BucketError."""
    media, key = bucket(settings.MEDIA_BUCKET), keys.bucket_key(name)
    with _as_file(picture.data) as path, contextlib.suppress(ObjectExists):
        media.put(key, path, content_type=picture.media_type)


def stored_variants(code: uuid.UUID | None = None) -> Iterator[str]:
    """Return the prefix, in the storage, of each stored size: of the file ``code``, or of all.

    A prefix comes as often as there are sizes below it. Raises BucketError.
    """
    prefix = f"variants/{code}/" if code else "variants/"
    with contextlib.suppress(BucketMissing):  # nothing was ever stored
        for key in bucket(settings.MEDIA_BUCKET).keys(keys.bucket_key(prefix)):
            yield f"{keys.storage_name(key).rpartition('/')[0]}/"


def clear_variants(prefix: str) -> None:
    """Remove the stored sizes below this prefix. Raises BucketError."""
    bucket(settings.MEDIA_BUCKET).delete_prefix(keys.bucket_key(prefix))


def store(audio_file: AudioFile, picture: Picture) -> None:
    """Store a new file's cover and name it in the row that is to be written. Raises BucketError."""
    name = new_name(audio_file.code)
    put(name, picture)
    audio_file.cover = name
    audio_file.cover_width, audio_file.cover_height = picture.width, picture.height


# --- Drawing anew -------------------------------------------------------------------------------


def redrawn(path: Path, box: Box | None = None) -> Picture:
    """Return what we keep as a cover of the picture in a local file, or of a part of it.

    Nothing is ever served as it came. Raises images.Refused and images.Cannot.
    """
    size = Size(MAX_PIXELS, MAX_PIXELS, box=box, quality=ORIGINAL_QUALITY, format="jpeg")
    return images.draw(path, size, timeout_s=FORM_WAITS_S)


def found(data: bytes) -> Picture | None:
    """Return what we keep as a cover of a picture found in a sound; None if it is of no use.

    Raises images.Cannot where there is no saying now.
    """
    if not data:
        return None
    try:
        with _as_file(data) as path:
            return redrawn(path)
    except images.Refused as error:
        logger.info("a cover inside a sound is left out: %s", error)
        return None
