"""From rows to the shapes of the API.

Members of a job that are unset are written as null, as the service did. Source: API 2012-09-25,
shapes Job, JobInput, JobOutput, Playlist, Pipeline, Preset. ``Progress``, ``Tags`` and
``Analysis`` of a job, ``Sound`` and ``LoudnessTarget`` of an output are additions.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from elastic_transcoder.api.service import member_names
from elastic_transcoder.models import Job, JobOutput, Pipeline
from elastic_transcoder.pipelines import EVENTS
from elastic_transcoder.presets import AnyPreset, SystemPreset


def job(row: Job) -> dict[str, Any]:
    """Return the shape Job of a row; its outputs should be prefetched."""
    inputs = [_job_input(values) for values in row.inputs]
    outputs = [_job_output(output) for output in row.outputs.all()]
    return _filled(
        "Job",
        Id=row.id,
        Arn=_arn("job", row.id),
        PipelineId=row.pipeline_id,
        Input=inputs[0],
        Inputs=inputs,
        Output=outputs[0],
        Outputs=outputs,
        OutputKeyPrefix=row.output_key_prefix or None,
        Playlists=[_filled("Playlist", **values) for values in row.playlists],
        Status=row.status,
        Progress=row.progress,
        Tags=row.tags or None,
        Analysis=row.analysis_asked if row.analysis is None else row.analysis,
        UserMetadata=row.user_metadata or None,
        Timing=_filled(
            "Timing",
            SubmitTimeMillis=row.submit_time_ms,
            StartTimeMillis=row.start_time_ms,
            FinishTimeMillis=row.finish_time_ms,
        ),
    )


def pipeline(row: Pipeline) -> dict[str, Any]:
    """Return the shape Pipeline; ``OutputBucket`` is absent when ContentConfig names the bucket."""
    answer = {
        "Id": row.id,
        "Arn": _arn("pipeline", row.id),
        "Name": row.name,
        "Status": row.status,
        "InputBucket": row.input_bucket,
        "Role": row.role,
        "AwsKmsKeyArn": row.aws_kms_key_arn or None,
        "Notifications": {event: row.notifications.get(event, "") for event in EVENTS},
        "ContentConfig": _output_config(row, row.content_config),
        "ThumbnailConfig": _output_config(row, row.thumbnail_config),
    }
    if row.output_bucket:
        answer["OutputBucket"] = row.output_bucket
    return answer


def preset(row: AnyPreset) -> dict[str, Any]:
    """Return the shape Preset; sections that the preset lacks are null."""
    return {
        "Id": row.id,
        "Arn": _arn("preset", row.id),
        "Name": row.name,
        "Description": row.description or None,
        "Container": row.container,
        "Audio": row.audio,
        "Video": row.video,
        "Thumbnails": row.thumbnails,
        "Type": "System" if isinstance(row, SystemPreset) else "Custom",
    }


def _job_input(values: dict[str, Any]) -> dict[str, Any]:
    detected = values.get("DetectedProperties")
    if detected is not None:
        values = {**values, "DetectedProperties": _filled("DetectedProperties", **detected)}
    return _filled("JobInput", **values)


def _job_output(row: JobOutput) -> dict[str, Any]:
    # Whole seconds, rounded up.
    duration_s = None if row.duration_ms is None else -(-row.duration_ms // 1000)
    values = {
        "Watermarks": [],
        **row.options,
        "Id": str(row.number),
        "Key": row.key,
        "PresetId": row.preset_id,
        "Status": row.status,
        "StatusDetail": row.status_detail or None,
        "Duration": duration_s,
        "DurationMillis": row.duration_ms,
        "FileSize": row.size_bytes,
        "Sound": row.sound,
    }
    return _filled("JobOutput", **values)


def _output_config(row: Pipeline, config: dict[str, Any] | None) -> dict[str, Any]:
    values = config or {"Bucket": row.output_bucket}
    return _filled("PipelineOutputConfig", **{"Permissions": [], **values})


def _filled(shape: str, **values: Any) -> dict[str, Any]:
    return {name: values.get(name) for name in member_names(shape)}


def _arn(kind: str, resource_id: str) -> str:
    account = settings.TRANSCODER_ACCOUNT_ID
    return f"arn:aws:elastictranscoder:{settings.AWS_REGION}:{account}:{kind}/{resource_id}"
