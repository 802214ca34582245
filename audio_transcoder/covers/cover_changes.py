"""Giving a file another cover, or none.

A picture is stored before its row is written, under a note that it must go; so whatever stops in
between leaves nothing behind.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from audio_transcoder import covers, uploads
from audio_transcoder.models import AudioFile, Deletion, TranscodeJob
from buckets import BucketError, BucketUnavailable
from images import Picture

logger = logging.getLogger(__name__)

# A job that was ordered with a cover finds it for so long, whatever becomes of that meanwhile.
LEFT_TO_JOBS = timedelta(hours=25)


def learn(audio_file: AudioFile, found: bytes) -> None:
    """Take a picture that was found in a stored file for its cover, unless there is one.

    Nor is it taken when the owner wants none. Raises BucketUnavailable and images.Cannot. Must not
    be called inside a transaction.
    """
    is_wanted = not audio_file.cover and not audio_file.is_cover_chosen
    picture = covers.found(found) if is_wanted else None
    if picture is None:
        return
    try:
        _keep(audio_file, picture, only_if_none=True)
    except BucketUnavailable:
        raise
    except BucketError as error:
        # A sound is not held up by its picture.
        logger.error("file %s: its cover cannot be stored: %s", audio_file.code, error)


def replace(audio_file: AudioFile, picture: Picture) -> bool:
    """Give the file this cover instead of the one it has; return whether the file is still there.

    Raises BucketError. Must not be called inside a transaction.
    """
    return _keep(audio_file, picture, only_if_none=False)


@transaction.atomic
def remove(audio_file: AudioFile) -> None:
    """Take the file's cover away, with all sizes of it; a file that has none is fine."""
    row = audio_file.hold()
    if row is not None and row.cover:
        _forget(row)
        AudioFile.objects.filter(pk=row.pk).update(
            cover="", cover_width=None, cover_height=None, **_by_owner()
        )


def _keep(audio_file: AudioFile, picture: Picture, *, only_if_none: bool) -> bool:
    name = covers.new_name(audio_file.code)
    note = Deletion.objects.note([name], due=timezone.now() + uploads.UNCLAIMED)
    try:
        covers.put(name, picture)
        with transaction.atomic():
            row = audio_file.hold()
            is_taken = row is not None and (row.cover or row.is_cover_chosen)
            is_wanted = row is not None and not (only_if_none and is_taken)
            if is_wanted:
                uploads.take_back(note)
                if row.cover:
                    _forget(row)
                AudioFile.objects.filter(pk=row.pk).update(
                    cover=name,
                    cover_width=picture.width,
                    cover_height=picture.height,
                    **({} if only_if_none else _by_owner()),
                )
    except BaseException:
        uploads.remove_now(note)
        raise
    if not is_wanted:
        uploads.remove_now(note)
    return row is not None


def _by_owner() -> dict[str, object]:
    return {"is_cover_chosen": True, "label_changed_at": timezone.now()}


def _forget(audio_file: AudioFile) -> None:
    """Let a file's cover and its sizes go with the caller's transaction."""
    is_read = TranscodeJob.objects.unfinished().filter(audio_file=audio_file).exists()
    Deletion.objects.note(
        [audio_file.cover, covers.variants_prefix(audio_file.cover)],
        due=timezone.now() + LEFT_TO_JOBS if is_read else None,
    )
