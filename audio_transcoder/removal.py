"""How what was deleted goes: first the objects, then a word with the engines, then the note."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

import steps
from audio_transcoder import keys, turns
from audio_transcoder.engines.base import TranscoderError, TranscoderRejected
from audio_transcoder.models import AudioFile, DeletedJob, Deletion, Upload
from audio_transcoder.transcoder import default_transcoder
from buckets import Bucket, BucketError, BucketMissing, BucketUnavailable, bucket

logger = logging.getLogger(__name__)

# Whoever takes a note in hand may die; nobody else does before this has passed.
IN_HAND = timedelta(seconds=60)
FIRST_BACK_OFF, LONGEST_BACK_OFF = timedelta(seconds=1), timedelta(minutes=1)
# An order without an answer may still reach the engine's list; later than this it never will.
UNANSWERED = timedelta(minutes=2)
# Files of one transaction. Others wait for its end, and pages do not wait for long.
FILES_AT_ONCE = 200


class LastOperator(Exception):
    """Nobody would be left who may do everything here."""


def remove_person(person_id: int) -> bool:
    """Delete an account with everything that is this person's; return whether it was there.

    Raises LastOperator for the only active superuser. Must not be called inside a transaction:
    of many files most go in some of their own, and whoever is cut off there asks again.
    """
    # An operator may have to stay, and then with all files.
    files = AudioFile.objects.filter(owner=person_id, owner__is_superuser=False).order_by("pk")
    while pks := list(files.values_list("pk", flat=True)[:FILES_AT_ONCE]):
        AudioFile.objects.filter(pk__in=pks).remove()
    return _remove_at_once(person_id)


@transaction.atomic
def _remove_at_once(person_id: int) -> bool:
    people = get_user_model().objects.order_by("pk")
    # Two operators who leave at the same moment wait for each other here.
    operators = people.select_for_update(no_key=True).filter(is_superuser=True, is_active=True)
    if [operator.pk for operator in operators] == [person_id]:
        raise LastOperator
    person = people.filter(pk=person_id).first()
    if person is None:
        return False
    forget([person])
    person.delete()
    logger.info("person %s: deleted the account", person_id)
    return True


@transaction.atomic
def forget(people: Collection[AbstractBaseUser]) -> None:
    """Remove all files of these people, what is on its way, and their sessions; not themselves.

    Who takes the user name of one of them later must find nothing that was theirs.
    """
    ids = [person.pk for person in people]
    # An upload that comes in now waits, and then finds nobody whose it could be. A job that ends
    # now has its file in hand, which is waited for below: it may write its message.
    rows = get_user_model().objects.select_for_update(no_key=True)
    list(rows.filter(pk__in=ids).order_by("pk"))
    AudioFile.objects.filter(owner__in=people).remove()
    Upload.objects.filter(owner__in=people).abort()
    keys_of_sessions = UserSession.objects.filter(user__in=people).values("session_key")
    Session.objects.filter(session_key__in=keys_of_sessions).delete()
    for person in people:
        Deletion.objects.note([f"intake/{person.get_username()}/"])
    steps.nudge("uploads")


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
    again = turns.back_off(deletion.attempts, first=FIRST_BACK_OFF, longest=LONGEST_BACK_OFF)
    wait = timedelta(seconds=grace_s) if is_clear else again
    row.update(clear_since=clear_since, next_step_at=now + wait)
