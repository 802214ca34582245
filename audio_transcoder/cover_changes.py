"""Giving a file another cover, or none.

A picture is stored before its row is written, under a note that it must go; so whatever stops in
between leaves nothing behind.
"""

from __future__ import annotations

import logging

from django.db import transaction
from django.utils import timezone

import steps
from audio_transcoder import covers, uploads
from audio_transcoder.models import AudioFile, Deletion
from buckets import BucketError, BucketUnavailable
from images import Picture
from sound.probe import Sound

logger = logging.getLogger(__name__)


def learn(audio_file: AudioFile, sound: Sound) -> None:
    """Take the cover that a look at a stored file has found, unless there is one.

    Raises BucketUnavailable. Must not be called inside a transaction.
    """
    picture = None if audio_file.cover else covers.found(sound.picture)
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
    row = AudioFile.objects.select_for_update().filter(pk=audio_file.pk).first()
    if row is not None and row.cover:
        _forget(row.cover)
        AudioFile.objects.filter(pk=row.pk).update(cover="", cover_width=None, cover_height=None)


def _keep(audio_file: AudioFile, picture: Picture, *, only_if_none: bool) -> bool:
    name = covers.new_name(audio_file.code)
    unclaimed = timezone.now() + uploads.UNCLAIMED
    note = Deletion.objects.create(prefixes=[name], next_step_at=unclaimed)
    try:
        covers.put(name, picture)
        with transaction.atomic():
            row = AudioFile.objects.select_for_update().filter(pk=audio_file.pk).first()
            is_wanted = row is not None and not (only_if_none and row.cover)
            if is_wanted:
                uploads.take_back(note)
                if row.cover:
                    _forget(row.cover)
                AudioFile.objects.filter(pk=row.pk).update(
                    cover=name, cover_width=picture.width, cover_height=picture.height
                )
    except BaseException:
        uploads.remove_now(note)
        raise
    if not is_wanted:
        uploads.remove_now(note)
    return row is not None


def _forget(cover: str) -> None:
    """Let a cover and its sizes go with the caller's transaction."""
    Deletion.objects.create(prefixes=[cover, covers.variants_prefix(cover)])
    steps.nudge("delete")
