"""How what was deleted goes: first the objects, then a word with the engines, then the note."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

import steps
from audio_transcoder import keys, turns
from audio_transcoder.engines.base import TranscoderError, TranscoderRejected
from audio_transcoder.models import AudioFile, DeletedJob, Deletion
from audio_transcoder.transcoder import default_transcoder
from buckets import Bucket, BucketError, BucketMissing, BucketUnavailable, bucket

logger = logging.getLogger(__name__)

# Whoever takes a note in hand may die; nobody else does before this has passed.
IN_HAND = timedelta(seconds=60)
# An order without an answer may still reach the engine's list; later than this it never will.
UNANSWERED = timedelta(minutes=2)


@transaction.atomic
def forget(people: Collection[AbstractBaseUser]) -> None:
    """Remove all files of these people, and what lies for them in the intake; not themselves.

    Who takes the user name of one of them later must find nothing that was theirs.
    """
    AudioFile.objects.filter(owner__in=people).remove()
    waiting = [f"intake/{person.get_username()}/" for person in people]
    Deletion.objects.bulk_create(Deletion(prefixes=[prefix]) for prefix in waiting)
    steps.nudge("delete")


def remove_due() -> datetime | None:
    """Remove what every due note names; return when to look again."""
    waiting = Deletion.objects.order_by("next_step_at", "pk")
    due = waiting.filter(next_step_at__lte=timezone.now())
    later = waiting.values_list("next_step_at", flat=True)
    return turns.work_off(due, _take) or later.first()


def _take(deletion: Deletion) -> bool:
    """Work on a note, if nobody else does; return whether the store answered."""
    # An upload takes its own note back when it commits, unless somebody has begun to act on it.
    untouched = Deletion.objects.filter(pk=deletion.pk, attempts=deletion.attempts)
    deletion.attempts += 1
    in_hand_until = timezone.now() + IN_HAND
    if not untouched.update(attempts=deletion.attempts, next_step_at=in_hand_until):
        return True
    has_answered = True
    try:
        is_clear = not _remove_objects(deletion)
    except BucketError as error:
        logger.warning("deletion %s: not done yet: %s", deletion.pk, error)
        is_clear = False
        has_answered = not isinstance(error, BucketUnavailable)
    for job in deletion.jobs.filter(is_done=False):
        is_clear &= _is_done(job)
    _record(deletion, is_clear)
    return has_answered


def _remove_objects(deletion: Deletion) -> int:
    media = bucket(settings.MEDIA_BUCKET)
    count = 0
    for prefix in deletion.prefixes:
        steps.beat()
        count += _removed(media, keys.bucket_key(prefix))
    return count


def _removed(media: Bucket, prefix: str) -> int:
    try:
        return media.delete_prefix(prefix)
    except BucketMissing:  # a bucket nobody has stored anything in yet
        return 0


def _is_done(job: DeletedJob) -> bool:
    """Return whether no engine works on ``job``; one that has not begun is asked not to."""
    try:
        if not job.engine_id and job.is_maybe_placed:
            found = default_transcoder().engine(job.engine).find_job(job.order_id)
            job.engine_id = found or ""
        if job.engine_id:
            is_done = default_transcoder().cancel(job.engine, job.engine_id)
        else:
            is_done = not job.is_maybe_placed or timezone.now() - job.created_at > UNANSWERED
    except TranscoderRejected as error:
        logger.error("deleted job %s: the engine does not talk of it: %s", job.code, error)
        is_done = True
    except TranscoderError as error:
        logger.warning("deleted job %s: no answer: %s", job.code, error)
        return False
    DeletedJob.objects.filter(pk=job.pk).update(engine_id=job.engine_id, is_done=is_done)
    return is_done


def _record(deletion: Deletion, is_clear: bool) -> None:
    now, grace_s = timezone.now(), settings.DELETION_GRACE_S
    clear_since = (deletion.clear_since or now) if is_clear else None
    row = Deletion.objects.filter(pk=deletion.pk)
    if clear_since and now - clear_since >= timedelta(seconds=grace_s):
        row.delete()
        return
    wait_s = grace_s if is_clear else min(2 ** min(deletion.attempts, 10), 60)
    row.update(clear_since=clear_since, next_step_at=now + timedelta(seconds=wait_s))
