"""What the web app's rows still need: place jobs, ask about them, remove what was deleted."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from audio_transcoder import keys, settling, uploads
from audio_transcoder.engines.base import TranscoderError, TranscoderRejected, TranscoderUnavailable
from audio_transcoder.models import Deletion, ReceivedNotice, TranscodeJob
from audio_transcoder.transcoder import default_transcoder, place_again_after
from buckets import Bucket, BucketError, BucketMissing, bucket
from steps import step, stopping

logger = logging.getLogger(__name__)

# A process may die while it places a job; nobody else tries before this has passed.
PLACING = timedelta(seconds=60)
# After everything was found gone, a worker that had lost its lease may still store something.
GRACE = timedelta(seconds=30)


@step("place", runs_in="steps")
def place() -> datetime | None:
    """Place waiting jobs with their engines, persons in turn; return when to look again."""
    _give_up_on_silent_engines()
    for job in _in_turn():
        if stopping():
            break
        attempt = TranscodeJob.objects.waiting_to_be_placed(timezone.now()).filter(pk=job.pk)
        claimed = attempt.update(
            next_step_at=timezone.now() + PLACING, place_attempts=F("place_attempts") + 1
        )
        if not claimed:
            continue
        job.refresh_from_db()
        try:
            default_transcoder().start_transcode(job)
        except TranscoderRejected:
            continue  # the job has ended with the engine's reason
        except TranscoderUnavailable as error:
            logger.warning("job %s: not placed yet: %s", job.code, error)
            again = timezone.now() + place_again_after(job.place_attempts)
            TranscodeJob.objects.filter(pk=job.pk, engine_id="").update(next_step_at=again)
            break  # it would say the same of the next job
    # Jobs that are due but found no room wait for a nudge: one comes with every job that ends.
    later = TranscodeJob.objects.unfinished().filter(engine_id="", next_step_at__gt=timezone.now())
    return later.order_by("next_step_at").values_list("next_step_at", flat=True).first()


def _in_turn() -> Iterator[TranscodeJob]:
    """Yield the jobs to place now: always the oldest one of whoever has fewest with the engine.

    Our own engine gets no more than TRANSCODER_MAX_PLACED at once: what it has, it works off in
    order, and a person who comes later must not wait behind a thousand files of another.
    """
    placed = TranscodeJob.objects.placed().values_list("audio_file__owner_id", flat=True)
    busy = Counter(placed)
    room = settings.TRANSCODER_MAX_PLACED - busy.total()
    waiting: dict[int, deque[int]] = defaultdict(deque)
    due = TranscodeJob.objects.waiting_to_be_placed(timezone.now()).order_by("pk")
    for pk, owner in due.values_list("pk", "audio_file__owner_id"):
        waiting[owner].append(pk)
    while waiting and room > 0:
        owner = min(waiting, key=lambda person: (busy[person], waiting[person][0]))
        pk = waiting[owner].popleft()
        if not waiting[owner]:
            del waiting[owner]
        busy[owner] += 1
        room -= 1
        job = TranscodeJob.objects.select_related("audio_file__owner").filter(pk=pk).first()
        if job:
            yield job


def _give_up_on_silent_engines() -> None:
    too_old = timezone.now() - TranscodeJob.ENGINE_LIMIT
    for job in TranscodeJob.objects.unfinished().filter(
        engine_id="", created_at__lt=too_old, place_attempts__gt=0
    ):
        settling.fail(job, reason="engine_down", detail="not placed within 24 hours")


@step("refresh", runs_in="steps")
def refresh() -> datetime | None:
    """Ask the engines about jobs that are watched, or without news; return when to look again."""
    for job in TranscodeJob.objects.to_be_read(timezone.now()).select_related("audio_file__owner"):
        if stopping():
            break
        try:
            default_transcoder().refresh(job)
        except (TranscoderError, BucketError) as error:
            logger.warning("job %s: no news: %s", job.code, error)
            now = timezone.now()
            TranscodeJob.objects.filter(pk=job.pk).update(
                read_at=now, next_step_at=now + timedelta(seconds=30)
            )
    placed = TranscodeJob.objects.placed()
    now = timezone.now()
    if placed.filter(watched_at__gt=now - TranscodeJob.WATCHED_FOR).exists():
        return now + TranscodeJob.READ_WHILE_WATCHED
    return placed.order_by("next_step_at").values_list("next_step_at", flat=True).first()


@step("delete", runs_in="steps")
def delete() -> datetime | None:
    """Remove the objects of deleted files and canceled jobs; return when to look again."""
    now = timezone.now()
    for deletion in Deletion.objects.filter(next_step_at__lte=now).prefetch_related("jobs"):
        if stopping():
            break
        try:
            is_clear = _remove(deletion)
        except (TranscoderError, BucketError) as error:
            logger.warning("deletion %s: not done yet: %s", deletion.pk, error)
            is_clear = False
        _record(deletion, is_clear)
    return Deletion.objects.order_by("next_step_at").values_list("next_step_at", flat=True).first()


def _remove(deletion: Deletion) -> bool:
    """Remove what there is; return whether nothing is left and no engine works on it."""
    for job in deletion.jobs.all():
        if job.is_done:
            continue
        if not job.engine_id and job.is_maybe_placed:
            engine = default_transcoder().engine(job.engine)
            job.engine_id = engine.find_job(str(job.code)) or ""
        job.is_done = not job.engine_id or default_transcoder().cancel(job.engine, job.engine_id)
        job.save(update_fields=["engine_id", "is_done"])
    media = bucket(settings.MEDIA_BUCKET)
    removed = sum(_removed(media, keys.bucket_key(prefix)) for prefix in deletion.prefixes)
    return not removed and all(job.is_done for job in deletion.jobs.all())


def _removed(media: Bucket, prefix: str) -> int:
    try:
        return media.delete_prefix(prefix)
    except BucketMissing:  # a bucket nobody has stored anything in yet
        return 0


def _record(deletion: Deletion, is_clear: bool) -> None:
    now = timezone.now()
    if is_clear and deletion.clear_since and now - deletion.clear_since >= GRACE:
        deletion.delete()
        return
    deletion.clear_since = (deletion.clear_since or now) if is_clear else None
    deletion.attempts += 1
    wait_s = GRACE.total_seconds() if is_clear else min(2 ** min(deletion.attempts, 10), 60)
    deletion.next_step_at = now + timedelta(seconds=wait_s)
    deletion.save(update_fields=["clear_since", "attempts", "next_step_at"])


@step("sweep", runs_in="steps")
def sweep() -> datetime | None:
    """Remove, twice a day, what crashes left behind and what nobody needs to know any more."""
    global _next_sweep
    now = timezone.now()
    if now >= _next_sweep:
        ReceivedNotice.objects.filter(received_at__lt=now - ReceivedNotice.KEPT_FOR).delete()
        uploads.remove_stale_temporary_files()
        bucket(settings.MEDIA_BUCKET).sweep()
        _next_sweep = now + timedelta(hours=12)
    return _next_sweep


_next_sweep = datetime.min.replace(tzinfo=UTC)  # the first loop of every process sweeps
