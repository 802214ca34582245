"""Operations on pipelines. Each takes the parsed members and returns the members of the answer.

Errors are ApiErrors. Source: API 2012-09-25.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import transaction

import steps
from elastic_transcoder.api import answers, limits
from elastic_transcoder.api.errors import ApiError
from elastic_transcoder.api.paging import page_of
from elastic_transcoder.models import Job, Pipeline
from elastic_transcoder.pipelines import EVENTS

Members = dict[str, Any]

_COLUMNS = {
    "Name": "name",
    "InputBucket": "input_bucket",
    "Role": "role",
    "AwsKmsKeyArn": "aws_kms_key_arn",
}
_TOPIC_WARNINGS = {"Progressing": "6003", "Warning": "6004", "Completed": "6005", "Error": "6006"}
_KEY_WARNINGS = {"ContentConfig": "6007", "ThumbnailConfig": "6008"}
_CHANGEABLE = [
    *_COLUMNS.values(),
    "notifications",
    "content_config",
    "thumbnail_config",
    "output_bucket",
]


def pipeline_missing(pipeline_id: str) -> ApiError:
    account = settings.TRANSCODER_ACCOUNT_ID
    return ApiError(
        "ResourceNotFoundException",
        f"The specified pipeline was not found: account={account}, pipelineId={pipeline_id}.",
    )


def create_pipeline(params: Members) -> Members:
    """Make a pipeline. Whether its buckets exist is not looked at, as the service did not."""
    with transaction.atomic():
        limits.leave_room_for_pipelines()
        pipeline = Pipeline.objects.create(
            **{column: params.get(member, "") for member, column in _COLUMNS.items()},
            output_bucket=params.get("OutputBucket", ""),
            content_config=params.get("ContentConfig"),
            thumbnail_config=params.get("ThumbnailConfig"),
            notifications=dict.fromkeys(EVENTS, "") | params.get("Notifications", {}),
        )
    return _with_warnings(pipeline)


def list_pipelines(params: Members) -> Members:
    pipelines, next_token = page_of(Pipeline.objects.all(), params)
    return {"Pipelines": [answers.pipeline(row) for row in pipelines], "NextPageToken": next_token}


def read_pipeline(params: Members) -> Members:
    return _with_warnings(_pipeline(params["Id"]))


@transaction.atomic
def update_pipeline(params: Members) -> Members:
    """Change what is given; configs are merged member by member, Permissions as a whole."""
    pipeline = _pipeline(params["Id"], locked=True)
    for member, column in _COLUMNS.items():
        setattr(pipeline, column, params.get(member, getattr(pipeline, column)))
    pipeline.notifications = pipeline.notifications | params.get("Notifications", {})
    if params.get("ContentConfig") or params.get("ThumbnailConfig"):
        # From here on the two configs name the buckets.
        of_before = {"Bucket": pipeline.output_bucket}
        content = pipeline.content_config or of_before
        thumbnails = pipeline.thumbnail_config or of_before
        pipeline.content_config = content | params.get("ContentConfig", {})
        pipeline.thumbnail_config = thumbnails | params.get("ThumbnailConfig", {})
        pipeline.output_bucket = ""
    pipeline.save(update_fields=_CHANGEABLE)
    return _with_warnings(pipeline)


@transaction.atomic
def update_pipeline_notifications(params: Members) -> Members:
    """Change the topics that are given; "" switches one off."""
    pipeline = _pipeline(params["Id"], locked=True)
    pipeline.notifications = pipeline.notifications | params["Notifications"]
    pipeline.save(update_fields=["notifications"])
    return {"Pipeline": answers.pipeline(pipeline)}


@transaction.atomic
def update_pipeline_status(params: Members) -> Members:
    """Pause or go on. A paused pipeline takes jobs and starts none."""
    pipeline = _pipeline(params["Id"], locked=True)
    pipeline.status = params["Status"]
    pipeline.save(update_fields=["status"])
    if pipeline.status == Pipeline.Status.ACTIVE:
        steps.nudge("transcode")
    return {"Pipeline": answers.pipeline(pipeline)}


@transaction.atomic
def delete_pipeline(params: Members) -> Members:
    """Delete a pipeline without active jobs; its finished jobs stay readable."""
    pipeline = _pipeline(params["Id"], locked=True)
    if Job.objects.unfinished().filter(pipeline_id=pipeline.id).exists():
        account = settings.TRANSCODER_ACCOUNT_ID
        raise ApiError(
            "ResourceInUseException",
            f"The pipeline contains active jobs: account={account}, pipeline={pipeline.id}.",
        )
    pipeline.delete()
    return {"Success": "true"}


def _with_warnings(pipeline: Pipeline) -> Members:
    return {"Pipeline": answers.pipeline(pipeline), "Warnings": list(_warnings(pipeline))}


def _warnings(pipeline: Pipeline) -> Iterator[Members]:
    """Yield what is in another region: topics than the pipeline, the KMS key than the buckets.

    All our pipelines are in AWS_REGION and all buckets in AWS_S3_REGION_NAME.
    """
    for event, code in _TOPIC_WARNINGS.items():
        region = _region(pipeline.notifications.get(event, ""))
        if region and region != settings.AWS_REGION:
            yield _warning(
                code,
                f"The SNS notification topic for {event} events and the pipeline are in different"
                " regions, which increases processing time for jobs in the pipeline and can incur"
                " additional charges. To decrease processing time and prevent cross-regional"
                " charges, use the same region for the SNS notification topic and the pipeline.",
            )
    region = _region(pipeline.aws_kms_key_arn)
    if region and region != settings.AWS_S3_REGION_NAME:
        for config, code in _KEY_WARNINGS.items():
            yield _warning(
                code,
                f"The AWS KMS key and the bucket of {config} are in different regions: outputs with"
                " encryption mode s3-aws-kms will fail. Use a key of the region of the bucket.",
            )


def _warning(code: str, message: str) -> Members:
    return {"Code": code, "Message": message}


def _region(arn: str) -> str:
    """Return the region of an ARN, ``arn:aws:<service>:<region>:…``; empty when it has none."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 5 and parts[0] == "arn" else ""


def _pipeline(pipeline_id: str, *, locked: bool = False) -> Pipeline:
    rows = Pipeline.objects.select_for_update() if locked else Pipeline.objects
    pipeline = rows.filter(pk=pipeline_id).first()
    if pipeline is None:
        raise pipeline_missing(pipeline_id)
    return pipeline
