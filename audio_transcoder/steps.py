"""What the web app's rows still need: place jobs, ask about them, remove what was deleted."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from audio_transcoder import findings, removal, settling, uploads
from audio_transcoder.engines import READ_OFTEN
from audio_transcoder.engines.base import TranscoderError, TranscoderRejected, TranscoderUnavailable
from audio_transcoder.health import has_its_workers
from audio_transcoder.models import (
    AudioFile,
    DeletedFile,
    DeletedJob,
    IntakeObject,
    ReceivedNotice,
    TranscodeJob,
)
from audio_transcoder.transcoder import default_transcoder, place_again_after
from audio_transcoder.uploads import arrivals, direct_uploads, intake
from buckets import BucketError, bucket
from steps import beat, nudge, step, stopping
from transcode_messages import outbox

logger = logging.getLogger(__name__)

# A process may die while it places a job; nobody else tries before this has passed.
PLACING = timedelta(seconds=60)
# Jobs that wait for so long while nobody works are told to whoever reads the log.
NOBODY_WORKS_AFTER = timedelta(minutes=10)
# Jobs that an engine does not answer for are left alone for a while, the others not for long.
NO_ANSWER_WAITS = timedelta(seconds=30)
SILENT_ENGINE_WAITS = timedelta(seconds=5)


@step("place", runs_in="steps")
def place() -> datetime | None:
    """Place waiting jobs with their engines, persons in turn; return when to look again."""
    _give_up_on_silent_engines()
    unanswered = 0
    for waiting in _in_turn():
        # One job without an answer may be that job's fault, two are the engine's.
        if stopping() or unanswered == 2:
            break
        beat()
        now = timezone.now()
        attempt = TranscodeJob.objects.waiting_to_be_placed(now).filter(
            pk=waiting.pk, place_attempts=waiting.place_attempts
        )
        claimed = attempt.update(
            next_step_at=now + PLACING,
            place_attempts=F("place_attempts") + 1,
            asked_since=Coalesce("asked_since", now),
            # Before the file is read: what changes in between is taken for newer.
            label_at=Coalesce("label_at", AudioFile.label_at_of_job()),
        )
        if not claimed:
            continue
        # Read whole: its file may be deleted while the store is asked, and an order of nothing is
        # an alarm for operators. What is placed all the same, the deletion finds.
        whole = TranscodeJob.objects.select_related("audio_file__owner")
        job = whole.prefetch_related("renditions").filter(pk=waiting.pk).first()
        if job is None:
            if waiting.place_attempts == 0:
                DeletedJob.never_ordered(waiting)
            continue
        try:
            default_transcoder().start_transcode(job)
        except TranscoderRejected:
            continue  # the job has ended with the engine's reason
        except TranscoderUnavailable as error:
            logger.warning("job %s: not placed yet: %s", job.code, error)
            again = timezone.now() + place_again_after(job.place_attempts)
            row = TranscodeJob.objects.filter(pk=job.pk, run=job.run, engine_id="")
            row.update(next_step_at=again)
            unanswered += 1
    # Jobs that are due but found no room wait for a nudge: one comes with every job that ends.
    later = TranscodeJob.objects.unfinished().filter(engine_id="", next_step_at__gt=timezone.now())
    return later.order_by("next_step_at").values_list("next_step_at", flat=True).first()


def _in_turn() -> Iterator[TranscodeJob]:
    """Yield the jobs to place now: always the oldest one of whoever has fewest with the engine.

    An engine gets no more than TRANSCODER_MAX_PLACED at once: what it has, it works off in order,
    and a person who comes later must not wait behind a thousand files of another. One engine that
    is full does not hold up the jobs of another.
    """
    busy: Counter[int] = Counter()
    has: Counter[str] = Counter()
    for owner, engine in TranscodeJob.objects.placed().values_list(
        "audio_file__owner_id", "engine"
    ):
        busy[owner] += 1
        has[engine] += 1
    waiting: dict[int, deque[tuple[int, str]]] = defaultdict(deque)
    due = TranscodeJob.objects.waiting_to_be_placed(timezone.now()).in_order()
    for pk, owner, engine in due.values_list("pk", "audio_file__owner_id", "engine"):
        if has[engine] < settings.TRANSCODER_MAX_PLACED:
            waiting[owner].append((pk, engine))
    while waiting:
        # min() takes the first of equals: whoever waits longest.
        owner = min(waiting, key=lambda person: busy[person])
        pk, engine = waiting[owner].popleft()
        if not waiting[owner]:
            del waiting[owner]
        if has[engine] >= settings.TRANSCODER_MAX_PLACED:
            continue
        busy[owner] += 1
        has[engine] += 1
        job = TranscodeJob.objects.select_related("audio_file__owner").filter(pk=pk).first()
        if job:
            yield job


def _give_up_on_silent_engines() -> None:
    too_old = timezone.now() - TranscodeJob.ENGINE_LIMIT
    for job in TranscodeJob.objects.unfinished().filter(asked_since__lt=too_old):
        settling.fail(job, reason="engine_down", detail="no answer for 24 hours")


@step("uploads", runs_in="steps")
def finish_uploads() -> datetime | None:
    """Finish direct uploads that are there, abort forgotten ones; return when to look again."""
    return direct_uploads.work_off_due()


@step("examine", runs_in="steps")
def examine() -> datetime | None:
    """Look into files that came past the web process; return when to look again."""
    return arrivals.examine_due()


@step("intake", runs_in="steps")
def take_in() -> datetime | None:
    """Take in what was dropped into the bucket without a browser; return when to look again."""
    return intake.take_due()


@step("refresh", runs_in="steps")
def refresh() -> datetime | None:
    """Ask the engines about jobs that are watched, or without news; return when to look again."""
    unanswered = 0
    due = TranscodeJob.objects.to_be_read(timezone.now(), READ_OFTEN)
    for job in due.select_related("audio_file__owner"):
        if stopping() or unanswered == 2:
            break
        beat()
        try:
            default_transcoder().refresh(job)
        except (TranscoderError, BucketError) as error:
            level = logging.ERROR if isinstance(error, TranscoderRejected) else logging.WARNING
            logger.log(level, "job %s: no news: %s", job.code, error)
            now = timezone.now()
            TranscodeJob.objects.filter(pk=job.pk, run=job.run).update(
                read_at=now,
                next_step_at=now + NO_ANSWER_WAITS,
                asked_since=Coalesce("asked_since", now),
            )
            unanswered += 1
    now = timezone.now()
    if unanswered == 2:
        return now + SILENT_ENGINE_WAITS
    if TranscodeJob.objects.watched(now, READ_OFTEN).exists():
        return now + TranscodeJob.READ_WHILE_WATCHED
    return (
        TranscodeJob.objects.placed()
        .order_by("next_step_at")
        .values_list("next_step_at", flat=True)
        .first()
    )


@step("facts", runs_in="steps")
def learn_facts() -> datetime | None:
    """Ask for what engines find out when a job is over; return when to look again."""
    return findings.work_off_due()


@step("delete", runs_in="steps")
def delete() -> datetime | None:
    """Remove the objects of deleted files and canceled jobs; return when to look again."""
    return removal.remove_due()


@step("mail", runs_in="steps")
def mail() -> datetime | None:
    """Send the e-mails that are due; return when to look again."""
    return outbox.send_due()


def wake_mail() -> None:
    nudge("mail")


@step("watch", runs_in="steps")
def watch() -> datetime | None:
    """Log an error, every ten minutes, while jobs wait and no worker is alive."""
    global _next_alarm
    now = timezone.now()
    waiting = TranscodeJob.objects.unfinished().order_by("created_at").first()
    if waiting is None or now - waiting.created_at < NOBODY_WORKS_AFTER or now < _next_alarm:
        return None
    if not has_its_workers():
        logger.error("jobs wait since %s and no worker is alive", waiting.created_at)
        _next_alarm = now + NOBODY_WORKS_AFTER
    return None


_next_alarm = datetime.min.replace(tzinfo=UTC)


@step("sweep", runs_in="steps")
def sweep() -> datetime | None:
    """Remove, twice a day, what crashes left behind and what nobody needs to know any more."""
    global _next_sweep
    now = timezone.now()
    if now >= _next_sweep:
        a_week_ago = now - ReceivedNotice.KEPT_FOR
        DeletedFile.objects.sweep()
        ReceivedNotice.objects.filter(received_at__lt=a_week_ago).delete()
        DeletedJob.objects.filter(deletion=None, created_at__lt=a_week_ago).delete()
        too_old = now - IntakeObject.KEPT_FOR
        IntakeObject.objects.filter(next_step_at=None, received_at__lt=too_old).delete()
        outbox.sweep()
        uploads.remove_stale_temporary_files()
        bucket(settings.MEDIA_BUCKET).sweep()
        _next_sweep = now + timedelta(hours=12)
    return _next_sweep


_next_sweep = datetime.min.replace(tzinfo=UTC)  # the first loop of every process sweeps
