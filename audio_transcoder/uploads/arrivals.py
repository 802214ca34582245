"""Files that came past the web process: their rows first, then a look at what they are.

The object lies in the bucket already. A job of such a file is not placed before the look, which
reads no more than the object's head: what is no sound is refused in the words of the upload form,
and what a head cannot tell is left to the engine.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

import steps
from audio_transcoder import keys, names, settling, tags, turns, uploads
from audio_transcoder.covers import cover_changes
from audio_transcoder.engines import ENGINES
from audio_transcoder.models import AudioFile, TranscodeJob, source_name
from audio_transcoder.variants import AS_USUAL, Options
from buckets import BucketError, BucketUnavailable, ObjectInfo, ObjectMissing, bucket
from images import Cannot
from sound import probe
from sound.examination import ExaminerNotStarted

logger = logging.getLogger(__name__)

# What a look reads, at most. For a job we take its whole source from the store and 1 MiB more: the
# other 64 KiB are for the heads of answers and for listings.
HEAD_BYTES = 15 << 16
# Whoever has a file in hand may die; nobody else looks before this has passed.
IN_HAND = timedelta(seconds=60)
FIRST_BACK_OFF, LONGEST_BACK_OFF = timedelta(seconds=5), timedelta(minutes=5)


def take_in(
    owner: AbstractBaseUser,
    *,
    code: uuid.UUID,
    name: str,
    file_name: str,
    info: ObjectInfo,
    formats: Iterable[str],
    options: Options = AS_USUAL,
    token: uuid.UUID,
) -> AudioFile:
    """Write the rows of a file whose object is stored as ``uploads/<code>/source``.

    ``info`` is what the store says of the object. Returns the file, or the one that was taken in
    before under this ``token`` (which may have another code: the caller's object is then nobody's)
    or this ``code``. Raises OverQuota; the object is the caller's to remove.
    """
    shown = names.clean(file_name) or "untitled"
    audio_file = AudioFile(
        code=code,
        owner=owner,
        name=names.typed(name) or names.without_extension(shown),
        file_name=shown,
        upload_token=token,
        size_bytes=info.size_bytes,
        etag=info.etag[:200],
        examined_at=None,
    )
    audio_file.mp3_file.name = source_name(audio_file, "")
    try:
        with transaction.atomic():
            uploads.keep(audio_file, formats, options)
            steps.nudge("examine")
    except IntegrityError:
        own = AudioFile.objects.filter(owner=owner)
        before = own.filter(upload_token=token).first() or own.filter(code=code).first()
        if before is None:
            raise
        return before
    logger.info("file %s: taken in, %d bytes", audio_file.code, audio_file.size_bytes)
    return audio_file


def examine_due() -> datetime | None:
    """Look into every file that is due; return when to look again."""
    waiting = AudioFile.objects.unexamined().order_by("examine_at", "pk")
    due = waiting.filter(examine_at__lte=timezone.now())
    later = waiting.values_list("examine_at", flat=True)
    return turns.work_off(due, _take) or later.first()


def _take(audio_file: AudioFile) -> bool:
    """Look into a file, if nobody else does; return whether the store answered."""
    row = AudioFile.objects.unexamined().filter(pk=audio_file.pk, examine_at=audio_file.examine_at)
    in_hand_until = timezone.now() + IN_HAND
    if not row.update(examine_at=in_hand_until, examine_attempts=F("examine_attempts") + 1):
        return True
    try:
        _examine(audio_file)
    except (BucketError, ExaminerNotStarted, OSError) as error:
        # OSError: this machine's own disk. Behind the others, so that one holds up nobody.
        wait = turns.back_off(
            audio_file.examine_attempts, first=FIRST_BACK_OFF, longest=LONGEST_BACK_OFF
        )
        logger.warning("file %s: no look yet, again in %s: %s", audio_file.code, wait, error)
        again = timezone.now() + wait
        AudioFile.objects.unexamined().filter(pk=audio_file.pk).update(examine_at=again)
        return not isinstance(error, BucketUnavailable)
    return True


def _examine(audio_file: AudioFile) -> None:
    try:
        head = _head(audio_file)
        sound = _look(head, is_whole=audio_file.size_bytes <= HEAD_BYTES)
    except probe.NotSound as error:
        _refuse(audio_file, error.reason, error.detail)
        return
    except ObjectMissing:
        _refuse(audio_file, "lost", "The store has nothing of it.")
        return
    if sound is None:
        facts: dict[str, object] = {"container": probe.container_of(head)}
    else:
        facts = {
            "container": sound.container,
            "codec": sound.codec,
            "channels": sound.channels,
            "sample_rate_hz": sound.sample_rate_hz,
        }
        if audio_file.size_bytes <= HEAD_BYTES:  # else it is the head that was counted
            facts["duration_ms"] = sound.duration_ms
        tags.learn(audio_file, sound)
        # The engine hands out the picture too, later.
        with contextlib.suppress(Cannot):
            cover_changes.learn(audio_file, sound.picture)
    with transaction.atomic():
        row = AudioFile.objects.unexamined().filter(pk=audio_file.pk)
        row.update(examined_at=timezone.now(), **facts)
        for job in TranscodeJob.objects.unfinished().filter(audio_file=audio_file):
            _ask_its_engine(job)
        steps.nudge("place")


def _head(audio_file: AudioFile) -> bytes:
    """Return the object's first bytes. Raises NotSound where there are none, and BucketError."""
    if audio_file.size_bytes == 0:
        raise probe.NotSound("empty", "0 bytes")
    key = keys.bucket_key(audio_file.mp3_file.name)
    return bucket(settings.MEDIA_BUCKET).head(key, HEAD_BYTES)


def _look(head: bytes, *, is_whole: bool) -> probe.Sound | None:
    """Return what the head of a file says; None where it says nothing. Raises NotSound.

    Raises ExaminerNotStarted and OSError when nobody can look just now.
    """
    # Of the name that remove_stale_temporary_files() knows, and that FFmpeg makes nothing of.
    with tempfile.NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR, suffix=".upload") as copy:
        copy.write(head)
        copy.flush()
        look = probe.probe if is_whole else probe.probe_head
        return look(Path(copy.name), with_picture=True)


def _ask_its_engine(job: TranscodeJob) -> None:
    """End ``job`` in Error if its engine cannot do it, of all that is known by now."""
    refused = ENGINES[job.engine].refusal(job.order)
    if refused:
        settling.fail(job, reason=refused.reason, detail=refused.detail)


def _refuse(audio_file: AudioFile, reason: str, detail: str) -> None:
    """End every open job of the file in Error, and be done with looking."""
    logger.info("file %s: refused: %s, %s", audio_file.code, reason, detail)
    with transaction.atomic():
        # Orders of this file wait here: one that comes later is placed, and the engine says why.
        if audio_file.hold() is None:
            return
        for job in TranscodeJob.objects.unfinished().filter(audio_file=audio_file):
            settling.fail(job, reason=reason, detail=detail)
        AudioFile.objects.filter(pk=audio_file.pk).update(examined_at=timezone.now())
