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
from elastic_transcoder.api import answers, limits, rules
from elastic_transcoder.api.errors import ApiError
from elastic_transcoder.api.paging import is_ascending, page_of
from elastic_transcoder.api.pipelines import pipeline_missing
from elastic_transcoder.api.presets import find_presets
from elastic_transcoder.api.rules.base import OutputOrder, named
from elastic_transcoder.ids import new_id
from elastic_transcoder.models import Job, JobOutput, Pipeline
from elastic_transcoder.presets import AnyPreset

logger = logging.getLogger(__name__)

Members = dict[str, Any]

# Lists hold the jobs of the last six months; ReadJob knows older ones too.
LISTED_FOR = timedelta(days=183)


def create_job(params: Members) -> Members:
    """Order results of the inputs, which are joined in order; each result has an audio preset.

    Nothing is looked up in a bucket: what is missing there fails the job. Rotate and thumbnails
    mean nothing for sound and are only kept. Captions, watermarks, presets with video, Smooth and
    PlayReady, and the aes modes of encryption are refused; the table of ``rules`` has the rest.
    """
    inputs = params.get("Inputs") or [params["Input"]]
    orders = _orders(params)
    rules.check_job(params, orders)
    limits.take_place_in_queue(params["PipelineId"])
    with transaction.atomic():
        # Held until the job is there, so that the pipeline is not deleted under it.
        held = Pipeline.objects.select_for_update(no_key=True).only("id")
        if held.filter(pk=params["PipelineId"]).first() is None:
            raise pipeline_missing(params["PipelineId"])
        job = Job.objects.create(
            id=new_id(),  # before the time of submission, which is never before the time in it
            pipeline_id=params["PipelineId"],
            inputs=inputs,
            playlists=[_playlist(requested) for requested in params.get("Playlists", ())],
            output_key_prefix=params.get("OutputKeyPrefix", ""),
            user_metadata=params.get("UserMetadata", {}),
            tags=params.get("Tags", {}),
            analysis_asked=params.get("Analysis"),
            submit_time_ms=_now_ms(),
        )
        outputs = JobOutput.objects.bulk_create(
            _output(job, number, order.members, order.preset)
            for number, order in enumerate(orders, start=1)
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
    oldest = f"{_now_ms() - LISTED_FOR // timedelta(milliseconds=1):013d}"
    # Where the page begins later by itself, SQLite would begin at the earlier of two bounds.
    if not (is_ascending(params) and params.get("PageToken", "") >= oldest):
        jobs = jobs.filter(id__gte=oldest)
    jobs = jobs.prefetch_related("outputs")
    page, next_token = page_of(jobs, params)
    return {"Jobs": [answers.job(row) for row in page], "NextPageToken": next_token}


def _orders(params: Members) -> list[OutputOrder]:
    """Return the outputs with their presets; the pipeline's absence is told before a preset's."""
    requested = list(named(params, "Output", "Outputs"))
    try:
        presets = find_presets(output["PresetId"] for _, output in requested)
    except ApiError:
        if not Pipeline.objects.filter(pk=params["PipelineId"]).exists():
            raise pipeline_missing(params["PipelineId"]) from None
        raise
    return [
        OutputOrder(path, output, preset)
        for (path, output), preset in zip(requested, presets, strict=True)
    ]


def _output(job: Job, number: int, requested: Members, preset: AnyPreset) -> JobOutput:
    options = {name: value for name, value in requested.items() if name not in ("Key", "PresetId")}
    if "SegmentDuration" in options:
        # The service gave "10" back as "10.0".
        options["SegmentDuration"] = str(float(options["SegmentDuration"]))
    return JobOutput(
        job=job,
        number=number,
        key=requested["Key"],
        preset_id=preset.id,
        preset=preset.settings,
        options=options,
    )


def _playlist(requested: Members) -> Members:
    return {**requested, "Status": Job.Status.SUBMITTED, "StatusDetail": None}


def _job_missing(job_id: str) -> ApiError:
    account = settings.TRANSCODER_ACCOUNT_ID
    return ApiError(
        "ResourceNotFoundException",
        f"The specified job was not found: account={account}, jobId={job_id}.",
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
