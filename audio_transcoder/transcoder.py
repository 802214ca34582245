"""The service class: what the steps call to have a file transcoded."""

from __future__ import annotations

import functools
import logging
from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from audio_transcoder import keys, settling, turns
from audio_transcoder.engines import ENGINES
from audio_transcoder.engines.base import (
    Engine,
    TranscoderRejected,
    TranscoderUnavailable,
)
from audio_transcoder.models import TranscodeJob
from buckets import BucketError, ObjectInfo, bucket

logger = logging.getLogger(__name__)


class AudioTranscoder:
    """Places, reads and cancels transcoding jobs with the engine of each job.

    ``region_name`` and ``pipeline_name`` default to the settings AWS_REGION and
    TRANSCODER_PIPELINE_NAME. Nothing is called at construction.
    """

    def __init__(self, region_name: str | None = None, pipeline_name: str | None = None) -> None:
        self.region_name = region_name or settings.AWS_REGION
        self.pipeline_name = pipeline_name or settings.TRANSCODER_PIPELINE_NAME
        self._engines: dict[str, Engine] = {}

    def engine(self, name: str) -> Engine:
        """Return the engine of that name, built at its first use."""
        if name not in self._engines:
            self._engines[name] = ENGINES[name].from_settings(self.region_name, self.pipeline_name)
        return self._engines[name]

    def start_transcode(self, job: TranscodeJob) -> str:
        """Place one engine job with all outputs of ``job``; store and return the engine's id.

        Called again after an attempt without an answer, it finds the job that the first attempt
        may have made. Raises TranscoderUnavailable (repeat), or TranscoderRejected after the job
        was ended with the engine's reason.
        """
        self._look_at_the_source(job)
        engine = self.engine(job.engine)
        attempted_before = job.place_attempts > 1
        try:
            engine_id = engine.find_job(job.order_id) if attempted_before else None
            if engine_id is None:
                engine_id = engine.create_job(job.order)
        except TranscoderRejected as error:
            # Unless it is the upload's fault: the web app chose every word of the order, and
            # whoever runs it has to look.
            level = logging.ERROR if error.reason == "internal" else logging.INFO
            logger.log(level, "job %s: refused by the engine: %s", job.code, error.detail)
            settling.fail(job, reason=error.reason, detail=error.detail)
            raise
        now = timezone.now()
        # It may have failed already, and have another run by now.
        stored = TranscodeJob.objects.filter(pk=job.pk, run=job.run, engine_id="").update(
            engine_id=engine_id,
            asked_since=None,
            placed_at=now,
            facts_due_at=now if ENGINES[job.engine].tells_facts else None,
            read_at=now,
            next_step_at=now + TranscodeJob.READ_OTHERWISE,
        )
        if stored:
            job.engine_id = engine_id
            logger.info("job %s: placed as %s", job.code, engine_id)
        return engine_id

    @staticmethod
    def _look_at_the_source(job: TranscodeJob) -> None:
        """End the job when its upload is not in the store as it was stored: ``lost``."""
        stored = job.audio_file
        try:
            found = bucket(settings.MEDIA_BUCKET).stat(keys.bucket_key(stored.mp3_file.name))
        except BucketError as error:
            raise TranscoderUnavailable(f"the store does not answer: {error}") from error
        detail = _difference(job, found)
        if not detail:
            return
        logger.error("job %s: the upload is lost: %s", job.code, detail)
        settling.fail(job, reason="lost", detail=detail)
        raise TranscoderRejected("lost", detail)

    def refresh(self, job: TranscodeJob) -> bool:
        """Ask the engine about ``job`` and record the answer; return whether it changed.

        A job that the engine does not know any more is ordered once more, then it fails. One that
        it works on beyond ``job.work_limit`` ends in Error ``timed_out``.
        Raises TranscoderUnavailable or TranscoderRejected.
        """
        report = self.engine(job.engine).read_job(job.engine_id)
        now = timezone.now()
        if report is None:
            return self._forgotten(job)
        TranscodeJob.objects.filter(pk=job.pk, run=job.run).update(
            read_at=now, next_step_at=now + TranscodeJob.READ_OTHERWISE, asked_since=None
        )
        changed = settling.settle(job, report)
        since = report.started_at or job.placed_at or job.created_at
        if report.status == TranscodeJob.Status.PROGRESSING and now - since > job.work_limit:
            logger.error("job %s: the engine works on it since %s, timed out", job.code, since)
            return job.time_out()
        return changed

    def cancel(self, engine: str, engine_id: str) -> bool:
        """Ask an engine to give a job up; return whether the engine is done with it.

        One that it cannot stop any more ends by itself. Raises TranscoderUnavailable or
        TranscoderRejected.
        """
        report = self.engine(engine).read_job(engine_id)
        if report is None or report.status in TranscodeJob.FINAL:
            return True
        self.engine(engine).cancel_job(engine_id)
        return False

    def _forgotten(self, job: TranscodeJob) -> bool:
        if job.is_reordered:
            return settling.fail(job, reason="internal", detail="The engine forgot the job twice.")
        logger.warning("job %s: the engine knows no job %s, ordering anew", job.code, job.engine_id)
        TranscodeJob.objects.unfinished().filter(pk=job.pk, engine_id=job.engine_id).update(
            engine_id="", is_reordered=True, next_step_at=timezone.now()
        )
        return False


def _difference(job: TranscodeJob, found: ObjectInfo | None) -> str:
    """Return how the object differs from what was uploaded, in words; "" when it does not.

    Other bytes of the same size are told by the ETag, before the file's first job. Later the file
    may have come to another store with everything else, and that has ETags of its own.
    """
    stored = job.audio_file
    if found is None or found.size_bytes != stored.size_bytes:
        size = "no" if found is None else found.size_bytes
        return f"The store has {size} bytes of it, {stored.size_bytes} were uploaded."
    is_known = bool(stored.etag) and not stored.jobs.filter(pk__lt=job.pk).exists()
    if is_known and found.etag != stored.etag:
        return "The store has another object of its size."
    return ""


def place_again_after(attempts: int) -> timedelta:
    """Return how long to wait after ``attempts`` orders without an answer: 5 s to 1 min.

    Longer than a server may still work on an order whose caller has gone, so that by then the
    order is in the engine's list or will never be.
    """
    first, longest = timedelta(seconds=5), timedelta(minutes=1)
    return turns.back_off(attempts - 1, first=first, longest=longest)


@functools.cache
def default_transcoder() -> AudioTranscoder:
    """Return the transcoder of the settings, one for each process: clients are costly to make."""
    return AudioTranscoder()
