"""Operations on jobs. Each takes the parsed members and returns the members of the answer.

Errors are ApiErrors. Source: API 2012-09-25.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

import steps
from elastic_transcoder.api import answers
from elastic_transcoder.api.errors import ApiError
from elastic_transcoder.api.paging import page_of
from elastic_transcoder.api.pipelines import pipeline_missing
from elastic_transcoder.api.presets import find_preset
from elastic_transcoder.models import Job, JobOutput, Pipeline
from elastic_transcoder.presets import SystemPreset

logger = logging.getLogger(__name__)

Members = dict[str, Any]

# Lists hold the jobs of the last six months; ReadJob knows older ones too.
LISTED_FOR = timedelta(days=183)


def create_job(params: Members) -> Members:
    """Order results of one input, each with an audio preset.

    Refused, because the worker does not make them yet: stitching, clips, playlists and segments,
    album art, captions, watermarks, encryption other than S3's own, and presets with video. Rotate
    and thumbnails mean nothing for sound and are only kept.
    """
    requested = params.get("Outputs") or [params["Output"]]
    inputs = params.get("Inputs") or [params["Input"]]
    presets = _presets_of(params["PipelineId"], requested)
    with transaction.atomic():
        # Held until the job is there, so that the pipeline is not deleted under it.
        held = Pipeline.objects.select_for_update(no_key=True).only("id")
        if held.filter(pk=params["PipelineId"]).first() is None:
            raise pipeline_missing(params["PipelineId"])
        job = Job.objects.create(
            pipeline_id=params["PipelineId"],
            inputs=inputs,
            output_key_prefix=params.get("OutputKeyPrefix", ""),
            user_metadata=params.get("UserMetadata", {}),
            submit_time_ms=_now_ms(),
        )
        outputs = JobOutput.objects.bulk_create(
            _output(job, number, output, preset)
            for number, (output, preset) in enumerate(zip(requested, presets, strict=True), start=1)
        )
        steps.nudge("transcode")
    logger.info("job %s: Submitted, %d outputs", job.id, len(outputs))
    job._prefetched_objects_cache = {"outputs": outputs}
    return {"Job": answers.job(job)}


def read_job(params: Members) -> Members:
    job = Job.objects.prefetch_related("outputs").filter(pk=params["Id"]).first()
    if job is None:
        raise _job_missing(params["Id"])
    return {"Job": answers.job(job)}


def cancel_job(params: Members) -> Members:
    """Cancel a job that no worker has begun; afterwards it has a finish and no start."""
    job_id = params["Id"]
    if not Job(pk=job_id).cancel():
        if not Job.objects.filter(pk=job_id).exists():
            raise _job_missing(job_id)
        account = settings.TRANSCODER_ACCOUNT_ID
        raise ApiError(
            "ResourceInUseException",
            f"The job was already in use: accountId={account}, resourceId={job_id}.",
        )
    logger.info("job %s: Submitted -> Canceled", job_id)
    return {"Success": "true"}


def list_jobs_by_pipeline(params: Members) -> Members:
    if not Pipeline.objects.filter(pk=params["PipelineId"]).exists():
        raise pipeline_missing(params["PipelineId"])
    return _page(Job.objects.filter(pipeline_id=params["PipelineId"]), params)


def list_jobs_by_status(params: Members) -> Members:
    return _page(Job.objects.filter(status=params["Status"]), params)


def _page(jobs: QuerySet[Job], params: Members) -> Members:
    # An id begins with its time, thirteen digits of milliseconds.
    oldest = _now_ms() - LISTED_FOR // timedelta(milliseconds=1)
    jobs = jobs.filter(id__gte=f"{oldest:013d}").prefetch_related("outputs")
    page, next_token = page_of(jobs, params)
    return {"Jobs": [answers.job(row) for row in page], "NextPageToken": next_token}


def _presets_of(pipeline_id: str, requested: list[Members]) -> list[SystemPreset]:
    """Return the preset of each output; the pipeline's absence is told before a preset's."""
    try:
        presets = [find_preset(output["PresetId"]) for output in requested]
    except ApiError:
        if not Pipeline.objects.filter(pk=pipeline_id).exists():
            raise pipeline_missing(pipeline_id) from None
        raise
    for preset in presets:
        if not preset.is_audio:
            raise ApiError(
                "ValidationException",
                f"Preset {preset.id} ({preset.name}) makes video; this server makes sound only.",
            )
    return presets


def _output(job: Job, number: int, requested: Members, preset: SystemPreset) -> JobOutput:
    options = {name: value for name, value in requested.items() if name not in ("Key", "PresetId")}
    return JobOutput(
        job=job,
        number=number,
        key=requested["Key"],
        preset_id=preset.id,
        preset=preset.settings,
        options=options,
    )


def _job_missing(job_id: str) -> ApiError:
    account = settings.TRANSCODER_ACCOUNT_ID
    return ApiError(
        "ResourceNotFoundException",
        f"The specified job was not found: account={account}, jobId={job_id}.",
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
