"""Who works on a job: claims with a lease.

A claim is a conditional update, and every later write of its holder repeats the condition, so
whoever lost a lease can change nothing. The row decides, not an instance in memory.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Min
from django.utils import timezone

import steps
from elastic_transcoder import notices
from elastic_transcoder.models import Job, JobOutput, JobQuerySet, Pipeline
from elastic_transcoder.worker import failures

logger = logging.getLogger(__name__)

# An owner's name for a job whose worker is alive and gave it up: the attempt counts.
GIVEN_UP = "given up"
# When this process last took a job of a pipeline: they take turns.
_served: dict[str, float] = {}


class LeaseLost(Exception):
    """The job went to another worker, or is over; nothing of ours counts any more."""


@dataclass(frozen=True)
class Claim:
    """A job in hand. ``owner`` is unique to this one claim."""

    job: Job
    owner: str

    def held(self) -> JobQuerySet:
        """The job's row, if it is still ours."""
        return Job.objects.filter(
            pk=self.job.pk, status=Job.Status.PROGRESSING, lease_owner=self.owner
        )

    def update(self, **fields: object) -> None:
        """Write to the job's row. Raises LeaseLost when it is not ours."""
        if self.held().update(**fields) != 1:
            raise LeaseLost(self.job.pk)

    def renew(self) -> None:
        """Hold the job for another ``settings.TRANSCODER_LEASE_S``. Raises LeaseLost.

        A final job too: one whose source is being analysed.
        """
        ours = Job.objects.filter(pk=self.job.pk, lease_owner=self.owner)
        if ours.update(lease_until=_lease_end()) != 1:
            raise LeaseLost(self.job.pk)

    def end_analysis(self, found: dict[str, object]) -> None:
        """Record what the analysis of a final job came to, and let go. Raises LeaseLost."""
        if (
            _held_for_analysis()
            .filter(lease_owner=self.owner, pk=self.job.pk)
            .update(analysis=found, lease_owner="", lease_until=None)
            != 1
        ):
            raise LeaseLost(self.job.pk)

    def update_output(self, output: JobOutput, **fields: object) -> None:
        """Write to an output of the job, row and instance. Raises LeaseLost."""
        with transaction.atomic():
            # Locks the job's row, so that nobody takes it over before this is committed.
            self.renew()
            JobOutput.objects.filter(pk=output.pk).update(**fields)
        for name, value in fields.items():
            setattr(output, name, value)


def claim() -> Claim | None:
    """Take the next job that is due, or return None when there is none.

    Left-behind jobs come first, then the oldest waiting one of the active pipeline that was
    served longest ago. A job whose last attempt was cut off ends in Error here.
    """
    while (job := _next()) is not None:
        owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        if job.status == Job.Status.SUBMITTED:
            taken = _start(job, owner)
        elif job.attempts >= Job.MAX_ATTEMPTS and job.lease_owner:
            _end_cut_off(job)
            continue
        else:
            taken = _take_over(job, owner)
        if taken:
            _served[job.pipeline_id] = time.monotonic()
            job.refresh_from_db()
            return Claim(job, owner)
    return None


def _next() -> Job | None:
    left_behind = Job.objects.filter(status=Job.Status.PROGRESSING, lease_until__lt=timezone.now())
    # Progressing rows are few: one for each worker.
    return left_behind.order_by("lease_until").first() or next(_waiting(), None)


def _waiting() -> Iterator[Job]:
    active = Pipeline.objects.filter(status=Pipeline.Status.ACTIVE).values_list("id", flat=True)
    for pipeline_id in sorted(active, key=lambda one: (_served.get(one, 0.0), one)):
        waiting = Job.objects.filter(status=Job.Status.SUBMITTED, pipeline_id=pipeline_id)
        job = waiting.order_by("id").first()
        if job is not None:
            yield job


def _start(job: Job, owner: str) -> bool:
    with transaction.atomic():
        waiting = Job.objects.filter(pk=job.pk, status=Job.Status.SUBMITTED)
        taken = waiting.update(
            status=Job.Status.PROGRESSING,
            start_time_ms=now_ms(),
            lease_owner=owner,
            lease_until=_lease_end(),
            attempts=1,
        )
        if not taken:
            return False
        JobOutput.objects.filter(job=job, number=1).update(status=Job.Status.PROGRESSING)
        notices.write(job, notices.PROGRESSING)
    logger.info("job %s: Submitted -> Progressing", job.pk)
    return True


def _take_over(job: Job, owner: str) -> bool:
    attempts = job.attempts + bool(job.lease_owner)
    taken = _as_it_was(job).update(lease_owner=owner, lease_until=_lease_end(), attempts=attempts)
    if taken:
        logger.info("job %s: taken over, attempt %d", job.pk, attempts)
    return taken == 1


def _as_it_was(job: Job) -> JobQuerySet:
    return Job.objects.filter(
        pk=job.pk,
        status=Job.Status.PROGRESSING,
        lease_owner=job.lease_owner,
        lease_until=job.lease_until,
        attempts=job.attempts,
    )


def _end_cut_off(job: Job) -> None:
    with transaction.atomic():
        if _as_it_was(job).update(lease_until=_lease_end()) == 1:
            for output in job.outputs.exclude(status__in=Job.FINAL):
                job.outputs.filter(pk=output.pk).update(**failed(failures.TOO_MANY_ATTEMPTS))
            finish(job)


def end_left_analyses() -> None:
    """Give up the analysis of every final job whose worker is gone: it is not begun again."""
    left = _held_for_analysis().filter(lease_until__lt=timezone.now())
    # SQLite would take its one write lock to change nothing.
    if not left.exists():
        return
    ended = left.update(analysis=Job.NOT_ANALYSED, lease_owner="", lease_until=None)
    logger.warning("%d analyses were cut off", ended)


def _held_for_analysis() -> JobQuerySet:
    # Not status__in: SQLite would go through all jobs that are final.
    held = Job.objects.filter(lease_until__isnull=False)
    return held.exclude(status=Job.Status.PROGRESSING)


def hand_back(held: Claim, *, after_s: float = 0.0) -> None:
    """Let go of the job, to be taken again in ``after_s`` seconds; costs no attempt."""
    free_at = timezone.now() + timedelta(seconds=after_s)
    if held.held().update(lease_owner="", lease_until=free_at):
        logger.info("job %s: handed back", held.job.pk)
        steps.nudge("transcode")


def give_up(held: Claim, *, after_s: float) -> None:
    """Let go of the job after an attempt that failed on our side; the attempt counts."""
    free_at = timezone.now() + timedelta(seconds=after_s)
    held.held().update(lease_owner=GIVEN_UP, lease_until=free_at)


def failed(failure: failures.Failure) -> dict[str, object]:
    """Return what the row of a failed output says: nothing of a result that nobody gets."""
    return {
        "status": Job.Status.ERROR,
        "error_code": failure.code,
        "status_detail": failure.detail(),
        "size_bytes": None,
        "duration_ms": None,
        "sound": None,
    }


def finish(job: Job, *, is_analysed_next: bool = False) -> None:
    """End a job whose outputs are all final; the caller holds it, in a transaction.

    Its status, its outputs' and the notice rows are committed together. A playlist that has not
    come to its end by now has lost an output. Where ``is_analysed_next``, the caller goes on
    holding it; otherwise an analysis that was asked for ends here too.
    """
    lost = failures.OUTPUT_OF_PLAYLIST_FAILED
    job.playlists = [
        playlist
        if playlist["Status"] in Job.FINAL
        else playlist | {"Status": Job.Status.ERROR.value, "StatusDetail": lost.detail()}
        for playlist in job.playlists
    ]
    parts = [output.status for output in job.outputs.all()]
    parts += [playlist["Status"] for playlist in job.playlists]
    is_good = all(status == Job.Status.COMPLETE for status in parts)
    status = Job.Status.COMPLETE if is_good else Job.Status.ERROR
    Job.objects.filter(pk=job.pk).update(
        status=status,
        playlists=job.playlists,
        finish_time_ms=now_ms(),
        progress=100 if is_good else job.progress,
        **({} if is_analysed_next else _nothing_follows(job)),
    )
    notices.write(job, notices.COMPLETED if is_good else notices.ERROR)
    logger.info("job %s: Progressing -> %s", job.pk, status)


def _nothing_follows(job: Job) -> dict[str, object]:
    free = {"lease_owner": "", "lease_until": None}
    return free | {"analysis": Job.NOT_ANALYSED} if job.awaits_analysis else free


def next_due() -> datetime | None:
    """Return when the earliest lease runs out: then a job may have to be taken over."""
    held = Job.objects.filter(lease_until__isnull=False)
    return held.aggregate(first=Min("lease_until"))["first"]


def now_ms() -> int:
    """Return the time as the API counts it: milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def _lease_end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.TRANSCODER_LEASE_S)
