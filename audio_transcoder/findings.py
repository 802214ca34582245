"""What engines find out of a sound and its results when a job is over and told."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from audio_transcoder import keys, tags, turns
from audio_transcoder.covers import cover_changes
from audio_transcoder.engines.base import JobReport, TranscoderError
from audio_transcoder.models import Deletion, TranscodeJob
from audio_transcoder.transcoder import default_transcoder
from buckets import BucketError, BucketMissing, ObjectMissing, bucket
from images import Cannot

logger = logging.getLogger(__name__)

# An engine is asked after 1 s, 2 s, 4 s and so on up to every five minutes, in all for an hour and
# a quarter: it hears a long sound once more.
ATTEMPTS = 22
FIRST, LONGEST = timedelta(seconds=1), timedelta(minutes=5)
# Of a picture that an engine has put.
_PICTURE_BYTES = 12 << 20


def work_off_due() -> datetime | None:
    """Ask about every job that is due; return when to look again."""
    waiting = TranscodeJob.objects.awaiting_facts().order_by("facts_due_at", "pk")
    due = waiting.filter(facts_due_at__lte=timezone.now()).select_related("audio_file__owner")
    later = waiting.values_list("facts_due_at", flat=True)
    return turns.work_off(due, _ask) or later.first()


def _ask(job: TranscodeJob) -> bool:
    """Ask about a job, if nobody else does; return whether engine and store answered."""
    row = TranscodeJob.objects.filter(pk=job.pk, facts_due_at=job.facts_due_at)
    wait = turns.back_off(job.facts_attempts, first=FIRST, longest=LONGEST)
    is_last = job.facts_attempts + 1 >= ATTEMPTS
    due = None if is_last else timezone.now() + wait
    if not row.update(facts_due_at=due, facts_attempts=F("facts_attempts") + 1):
        return True
    try:
        report = default_transcoder().engine(job.engine).read_job(job.engine_id)
        if report is not None:
            _learn(job, report)
    except (TranscoderError, BucketError, Cannot) as error:
        logger.warning("job %s: its facts are not known yet: %s", job.code, error)
        return False
    if report is None or not report.awaits_facts:
        TranscodeJob.objects.filter(pk=job.pk).update(facts_due_at=None)
    elif is_last:
        logger.warning("job %s: given up asking for facts", job.code)
    return True


def _learn(job: TranscodeJob, report: JobReport) -> None:
    """Keep what a report says of the sound.

    Raises BucketError and images.Cannot where its picture is not had yet.
    """
    job.report(report)
    if report.sound is None:
        return
    tags.learn(job.audio_file, report.sound)
    name = keys.storage_name(report.sound.cover_key)
    if name and name == keys.found_cover_name(job.audio_file.code, job.order_id):
        _take_picture(job, name)


def _take_picture(job: TranscodeJob, name: str) -> None:
    """Make the picture that an engine has put the file's cover, unless there is one."""
    try:
        picture = bucket(settings.MEDIA_BUCKET).head(keys.bucket_key(name), _PICTURE_BYTES)
    except (ObjectMissing, BucketMissing):
        return  # taken before
    cover_changes.learn(job.audio_file, picture)
    Deletion.objects.note([name])
