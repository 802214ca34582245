"""How a report of an engine becomes the state of a job: first look, then believe.

The store is asked with no transaction open; what was found is then recorded in one.
"""

from __future__ import annotations

import dataclasses
import logging
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from audio_transcoder import keys
from audio_transcoder.engines.base import JobReport, OutputReport
from audio_transcoder.models import TranscodeJob
from buckets import BucketUnavailable, bucket

logger = logging.getLogger(__name__)

LOOK_LIMIT_S = 3.0
_lookers = ThreadPoolExecutor(8, thread_name_prefix="look")


def settle(job: TranscodeJob, report: JobReport) -> bool:
    """Look and record; return whether the job changed. Raises BucketError from the look."""
    return record(job, look(job, report))


def look(job: TranscodeJob, report: JobReport) -> JobReport:
    """Return ``report`` as the store bears it out; no transaction may be open.

    A result that is called complete must be in the store and hold something. While one is
    missing the job stays open and is looked at again; after ``TranscodeJob.RESULT_LIMIT`` it ends
    in Error ``bad_result``. Raises BucketError when the store does not answer.
    """
    outputs, missing = _look(job, report)
    if not missing or report.status not in TranscodeJob.FINAL:
        return dataclasses.replace(report, outputs=outputs)
    if not _is_overdue(job):
        logger.warning("job %s: results not in the store yet: %s", job.code, missing)
        return dataclasses.replace(report, status=TranscodeJob.Status.PROGRESSING, outputs=outputs)
    return dataclasses.replace(
        report,
        status=TranscodeJob.Status.ERROR,
        reason="bad_result",
        detail=f"The engine called results complete that never came: {', '.join(missing)}",
        outputs=[_refused(output) if output.key in missing else output for output in outputs],
    )


def record(job: TranscodeJob, report: JobReport) -> bool:
    """Record a report that was borne out; return whether the job changed.

    A passing fault of the engine's is no news: the job gets a new run, as long as it may.
    """
    if report.is_passing and job.run_again():
        logger.warning(
            "job %s: %s, run %d from %s on", job.code, report.detail, job.run, job.next_step_at
        )
        return True
    changed = job.report(report)
    if changed:
        # Nobody but the operators can do anything about what is our own fault.
        level = logging.ERROR if job.reason == "internal" else logging.INFO
        logger.log(level, "job %s: %s %s %s", job.code, job.status, job.reason, job.detail)
    return changed


def fail(job: TranscodeJob, *, reason: str, detail: str) -> bool:
    """End ``job`` in Error; return whether it was still open."""
    return job.report(
        JobReport(
            engine_id=job.engine_id,
            status=TranscodeJob.Status.ERROR,
            at=timezone.now(),
            reason=reason,
            detail=detail,
        )
    )


def _look(job: TranscodeJob, report: JobReport) -> tuple[list[OutputReport], list[str]]:
    """Return the outputs as the store confirms them, and the keys of results not found there.

    A job that is complete has all its results, whether the engine spoke of each or not. What else
    an engine speaks of, parts of a result or another's objects, is none of ours to look for.
    """
    renditions = {keys.bucket_key(one.file.name): one for one in job.renditions.all()}
    outputs = [output for output in report.outputs if output.key in renditions]
    sizes: dict[str, int | None] = {}
    told = {output.key for output in outputs}
    for key, rendition in renditions.items():
        if rendition.is_ready:
            sizes[key] = rendition.size_bytes  # found there before
        elif report.status == TranscodeJob.Status.COMPLETE and key not in told:
            outputs.append(OutputReport(key=key, status=TranscodeJob.Status.COMPLETE))
    complete = [one.key for one in outputs if one.status == TranscodeJob.Status.COMPLETE]
    sizes |= _sizes([key for key in complete if key not in sizes])
    seen, missing = [], []
    for output in outputs:
        if output.status == TranscodeJob.Status.COMPLETE:
            if sizes[output.key]:
                output = dataclasses.replace(output, size_bytes=sizes[output.key])
            else:
                missing.append(output.key)
                output = dataclasses.replace(output, status=TranscodeJob.Status.PROGRESSING)
        seen.append(output)
    return seen, missing


def _sizes(keys_to_find: list[str]) -> dict[str, int | None]:
    """Return the size of each object in bytes, None for one that is not there.

    Raises BucketUnavailable when that takes longer than ``LOOK_LIMIT_S``: the sender of a notice
    waits for us, and asks again.
    """
    media = bucket(settings.MEDIA_BUCKET)
    found = {key: _lookers.submit(media.stat, key) for key in keys_to_find}
    wait(found.values(), timeout=LOOK_LIMIT_S)
    if not all(future.done() for future in found.values()):
        for future in found.values():
            future.cancel()
        raise BucketUnavailable("no answer in time", bucket=settings.MEDIA_BUCKET)
    infos = {key: future.result() for key, future in found.items()}
    return {key: info.size_bytes if info else None for key, info in infos.items()}


def _is_overdue(job: TranscodeJob) -> bool:
    now = timezone.now()
    first = TranscodeJob.objects.filter(pk=job.pk, run=job.run, missing_since=None)
    since: datetime = now if first.update(missing_since=now) else job.missing_since or now
    return now - since > TranscodeJob.RESULT_LIMIT


def _refused(output: OutputReport) -> OutputReport:
    return dataclasses.replace(
        output, status=TranscodeJob.Status.ERROR, reason="bad_result", detail="not in the store"
    )
