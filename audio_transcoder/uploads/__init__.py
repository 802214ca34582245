"""How an upload comes in by the form: to a temporary file while it is hashed, then accepted."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import uuid
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.files.uploadhandler import (
    FileUploadHandler,
    TemporaryFileUploadHandler,
)
from django.db import IntegrityError
from django.http import multipartparser
from django.utils import timezone

from audio_transcoder import covers, keys, names, tags
from audio_transcoder.models import AudioFile, DeletedFile, Deletion, Upload, source_name
from audio_transcoder.quotas import (
    require_room,
    require_room_for_results,
    room_for_results,
    wait_for_others_of,
)
from audio_transcoder.variants import AS_USUAL, Options
from buckets import BucketUnavailable, bucket
from images import Cannot
from sound.probe import Sound

logger = logging.getLogger(__name__)

# Bytes of the headers of one part of a form. Django allows 1,024, which a file name of 255 letters
# fills when each of them takes four bytes.
multipartparser.MAX_TOTAL_HEADER_SIZE = 8 * 1024

# A process may die between storing an object and committing its rows; the note that the object
# must go waits this long for the commit that takes it back.
UNCLAIMED = timedelta(hours=1)
# What surrounds the file in a multipart body: boundaries, headers, the other fields.
FORM_OVERHEAD_BYTES = 64 * 1024


class UploadTooLarge(Exception):
    """More bytes came than an upload may have."""


class HashingUploadHandler(TemporaryFileUploadHandler):
    """Writes the one expected file to DATA_DIR/tmp and hashes it on the way.

    The file it hands out has ``sha256`` (hex digits). Memory does not grow with the file. Raises
    UploadTooLarge beyond ``limit_bytes``; other file fields are thrown away.
    """

    FIELD = "mp3_file"
    _received = 0  # by all files of the request together

    @property
    def limit_bytes(self) -> int:
        return settings.UPLOAD_MAX_BYTES

    def new_file(self, field_name: str, *args: object, **kwargs: object) -> None:
        FileUploadHandler.new_file(self, field_name, *args, **kwargs)
        # Of no name of theirs: Django keeps its extension, and FFmpeg would judge by that.
        self.file = TemporaryUploadedFile("upload", self.content_type, 0, self.charset)
        self.file.name = self.file_name
        self._hash = hashlib.sha256()
        self._is_wanted = field_name == self.FIELD

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if not self._is_wanted:
            return
        self._received += len(raw_data)
        if self._received > self.limit_bytes:
            self.file.close()
            raise UploadTooLarge
        self._hash.update(raw_data)
        self.file.write(raw_data)

    def file_complete(self, file_size: int) -> TemporaryUploadedFile | None:
        if not self._is_wanted:
            self.file.close()
            return None
        file = super().file_complete(file_size)
        file.sha256 = self._hash.hexdigest()
        return file


def accept(
    owner: AbstractBaseUser,
    upload: TemporaryUploadedFile,
    sound: Sound,
    *,
    name: str,
    formats: Iterable[str],
    options: Options = AS_USUAL,
    token: uuid.UUID,
) -> AudioFile:
    """Store an upload and order its renditions; return its file, the first one's if sent twice.

    The object is stored first, under a note that it must go; the transaction that writes the rows
    takes the note back. So whatever stops in between leaves nothing behind. Raises OverQuota,
    BucketError when the store does not take it, and PermissionDenied when the account went
    meanwhile.
    """
    require_room(owner, upload.size)
    require_room_for_results(owner)
    audio_file = _row_of(owner, upload, sound, name=name, token=token)
    cover = None
    with contextlib.suppress(Cannot):  # the engine hands out the picture too, later
        cover = covers.found(sound.picture)
    note = note_of(audio_file.code)
    try:
        storage = audio_file.mp3_file.storage
        audio_file.mp3_file.name = storage.save(source_name(audio_file, ""), upload)
        audio_file.etag = _etag_of(audio_file)
        if cover is not None:
            covers.store(audio_file, cover)
        with room_for_results(owner):
            take_back(note)
            keep(audio_file, formats, options)
    except IntegrityError as error:
        remove_now(note)
        before = AudioFile.objects.filter(owner=owner, upload_token=token).first()
        if before is None and not get_user_model().objects.filter(pk=owner.pk).exists():
            raise PermissionDenied from error
        if before is None:
            raise
        return before
    except BaseException:
        remove_now(note)
        raise
    logger.info("file %s: accepted, %d bytes", audio_file.code, audio_file.size_bytes)
    return audio_file


def _row_of(
    owner: AbstractBaseUser,
    upload: TemporaryUploadedFile,
    sound: Sound,
    *,
    name: str,
    token: uuid.UUID,
) -> AudioFile:
    """Return the row, not saved, with what is known before anything is stored."""
    file_name = names.clean(upload.name) or "untitled"
    return AudioFile(
        owner=owner,
        name=names.typed(name) or names.without_extension(file_name),
        file_name=file_name,
        upload_token=token,
        size_bytes=upload.size,
        sha256=upload.sha256,
        container=sound.container,
        codec=sound.codec,
        channels=sound.channels,
        sample_rate_hz=sound.sample_rate_hz,
        duration_ms=sound.duration_ms,
        **tags.of(sound),
    )


def keep(audio_file: AudioFile, formats: Iterable[str], options: Options = AS_USUAL) -> None:
    """Write the rows of a file whose object is stored, inside the caller's transaction.

    Raises OverQuota, and IntegrityError when its form, or itself, was kept before.
    """
    wait_for_others_of(audio_file.owner_id)
    require_room(audio_file.owner, audio_file.size_bytes)
    audio_file.save(force_insert=True)
    audio_file.order(formats, options)


def _etag_of(audio_file: AudioFile) -> str:
    info = bucket(settings.MEDIA_BUCKET).stat(keys.bucket_key(audio_file.mp3_file.name))
    if info is None:
        raise BucketUnavailable("does not have what it was given", bucket=settings.MEDIA_BUCKET)
    return info.etag[:200]


def is_flood(owner: AbstractBaseUser) -> bool:
    """Return whether ``owner`` has uploaded so much within the last minute that it is enough."""
    since = timezone.now() - timedelta(minutes=1)
    limit = settings.UPLOADS_PER_MINUTE
    files = AudioFile.objects.filter(owner=owner, created_at__gt=since).order_by().values("pk")
    gone = DeletedFile.objects.filter(owner=owner, uploaded_at__gt=since).values("pk")
    # Those that are on their way or were given up; one that has arrived is a file.
    coming = Upload.objects.filter(owner=owner, created_at__gt=since, finished_at=None)
    # In one statement: a file that is deleted meanwhile counts once.
    all_of_them = files.union(gone, coming.order_by().values("pk"), all=True)
    return bool(limit) and all_of_them.count() >= limit


def note_of(code: uuid.UUID) -> Deletion:
    """Write down that what lies at ``uploads/<code>/`` must go, unless it is taken back."""
    return Deletion.objects.note([f"uploads/{code}/"], due=timezone.now() + UNCLAIMED)


def take_back(note: Deletion) -> None:
    """Delete the note that the object must go; raises BucketUnavailable if it is acted on."""
    if not Deletion.objects.filter(pk=note.pk, attempts=0).delete()[0]:
        raise BucketUnavailable("took so long that it was cleared away", bucket="media")


def remove_now(note: Deletion) -> None:
    """Let what the note names go at once, without an error if that cannot be written down."""
    # The database itself may be what failed; then the note's own time comes.
    with contextlib.suppress(Exception):
        Deletion.objects.filter(pk=note.pk).update(next_step_at=timezone.now())


def remove_stale_temporary_files() -> None:
    """Remove what uploads of dead processes left in DATA_DIR/tmp more than a day ago."""
    too_old = timezone.now() - timedelta(days=1)
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR).glob("*.upload*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < too_old.timestamp():
                path.unlink()


def is_too_large(content_length: str | None, limit_bytes: int | None = None) -> bool:
    """Return whether a declared body length cannot belong to a file of ``limit_bytes``.

    By default UPLOAD_MAX_BYTES.
    """
    if not content_length or not content_length.isdecimal():
        return False
    limit_bytes = settings.UPLOAD_MAX_BYTES if limit_bytes is None else limit_bytes
    return int(content_length) > limit_bytes + FORM_OVERHEAD_BYTES
