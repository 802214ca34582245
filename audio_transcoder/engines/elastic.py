"""The engine behind the Elastic Transcoder API 2012-09-25: our own transcoder's, or another's."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from django.conf import settings

from audio_transcoder import reasons
from audio_transcoder.engines.base import (
    UNREADABLE,
    Clip,
    JobReport,
    Order,
    OutputReport,
    OutputSound,
    SoundReport,
    TranscoderError,
    TranscoderRejected,
    TranscoderUnavailable,
    Wanted,
)
from elastic_transcoder.client import client

# UserMetadata member that carries our own id through the engine and back.
OUR_ID = "transcode_job"

# Error code of an output (the number its StatusDetail begins with) -> our reason code.
REASON_OF_CODE = {
    3001: "lost",
    4000: "not_audio",
    4002: "too_long",
    4006: "unsupported",
    4007: "damaged",
    4008: "no_audio",
}
STATUS_OF_STATE = {
    "PROGRESSING": "Progressing",
    "WARNING": "Progressing",
    "COMPLETED": "Complete",
    "ERROR": "Error",
}
Answer = TypeVar("Answer")

# How large a cover that the owner chose is in results, and what it is.
COVER = {
    "MaxWidth": "1400",
    "MaxHeight": "1400",
    "SizingPolicy": "ShrinkToFit",
    "PaddingPolicy": "NoPad",
    "AlbumArtFormat": "jpg",
}
# Of a waveform: what a row keeps.
WAVEFORM_POINTS = 2000
_STATUSES = {"Submitted", "Progressing", "Complete", "Canceled", "Error"}
# Pages of 50 jobs, newest first: an unanswered order is looked for among so many.
_SEARCH_PAGES = 40


class ElasticTranscoder:
    """Orders renditions from an Elastic Transcoder API, Amazon's form or our own server.

    ``client`` is a botocore client of the service "elastictranscoder"; ``pipeline_name`` is looked
    up at the first order and remembered.
    """

    is_read_often = True
    tells_facts = True
    carries_labels = True

    def __init__(self, client: BaseClient, pipeline_name: str) -> None:
        self.client = client
        self.pipeline_name = pipeline_name
        self._pipeline_id: str | None = None
        # Presets of our own: base preset and kbit/s, None for what keeps the source's rate -> id.
        self._made_presets: dict[tuple[str, int | None], str] = {}

    @classmethod
    def from_settings(cls, region_name: str, pipeline_name: str) -> ElasticTranscoder:
        """Return the engine at TRANSCODER_ENDPOINT_URL; nothing is called yet."""
        api = client(
            endpoint_url=settings.TRANSCODER_ENDPOINT_URL,
            region_name=region_name,
            access_key_id=settings.TRANSCODER_ACCESS_KEY_ID,
            secret_access_key=settings.TRANSCODER_SECRET_ACCESS_KEY,
            timeout_s=settings.TRANSCODER_TIMEOUT,
        )
        return cls(api, pipeline_name)

    @staticmethod
    def refusal(order: Order) -> TranscoderRejected | None:
        """Return None: it takes whatever the look at an upload lets through."""
        return None

    @property
    def pipeline_id(self) -> str:
        """The id of the pipeline of that name; the oldest one if there are several.

        Raises TranscoderUnavailable if there is none (yet). Source: ListPipelines.
        """
        if self._pipeline_id is None:
            pages = self.client.get_paginator("list_pipelines").paginate(Ascending="true")
            ids = self._call(
                lambda: [
                    pipeline["Id"]
                    for page in pages
                    for pipeline in page["Pipelines"]
                    if pipeline["Name"] == self.pipeline_name
                ]
            )
            if not ids:
                raise TranscoderUnavailable(f"no pipeline is called {self.pipeline_name!r}")
            self._pipeline_id = ids[0]
        return self._pipeline_id

    def create_job(self, order: Order) -> str:
        """Place ``order`` and return the engine's job id.

        Keys are relative to the pipeline's buckets. Raises TranscoderRejected or
        TranscoderUnavailable. Source: CreateJob.
        """
        presets = {wanted.key: self._preset_id(wanted) for wanted in order.outputs}
        time_span = {"TimeSpan": _time_span(order.clip)} if order.clip else {}
        request = {
            "PipelineId": self.pipeline_id,
            "Input": {"Key": order.source.key, **time_span},
            "Outputs": [_output(wanted, presets[wanted.key], order) for wanted in order.outputs],
            "UserMetadata": {OUR_ID: order.our_id},
        }
        # Our own server's extra members.
        if order.tags:
            request["Tags"] = dict(order.tags)
        if order.is_analysed:
            where = {"CoverKey": order.found_cover_key} if order.found_cover_key else {}
            request["Analysis"] = where
        try:
            return self._call(lambda: self.client.create_job(**request)["Job"]["Id"])
        except TranscoderRejected as error:
            if error.detail.startswith("ResourceNotFoundException") and self._pipeline_id in (
                error.detail
            ):
                self._pipeline_id = None  # deleted, and maybe made anew under its name
                raise TranscoderUnavailable(error.detail) from error
            lost = [key for key, made in self._made_presets.items() if made in error.detail]
            if lost and error.detail.startswith("ResourceNotFoundException"):
                for key in lost:  # deleted; it is made anew
                    del self._made_presets[key]
                raise TranscoderUnavailable(error.detail) from error
            raise

    def _preset_id(self, wanted: Wanted) -> str:
        """Return the id of the preset for ``wanted``; one that no system has is made once.

        That is one for a bit rate of its own, or for what keeps the source's rate, depth and
        channels. It is known by its name. Two that are made at once are alike, and the older one
        counts. Source: ListPresets, ReadPreset, CreatePreset.
        """
        base_id, kbps = wanted.format.elastic_preset_id, wanted.bitrate_kbps
        if kbps is None and not wanted.format.keeps_source:
            return base_id
        key = (base_id, kbps)
        if key not in self._made_presets:
            base = self._call(lambda: self.client.read_preset(Id=base_id)["Preset"])
            alike = {"Container": base["Container"], **_own_preset(base["Audio"], wanted)}
            self._made_presets[key] = self._call(
                lambda: (
                    self._find_preset(alike) or self.client.create_preset(**alike)["Preset"]["Id"]
                )
            )
        return self._made_presets[key]

    def _find_preset(self, alike: dict[str, Any]) -> str | None:
        """Return the id of the oldest custom preset that has all this."""
        pages = self.client.get_paginator("list_presets").paginate(Ascending="true")
        for page in pages:
            for preset in page["Presets"]:
                if preset.get("Type") == "Custom" and _as_made(preset) == _as_made(alike):
                    return preset["Id"]
        return None

    def find_job(self, our_id: str) -> str | None:
        """Return the id of the newest job that carries ``our_id``, or None.

        The API has no request token, so the pipeline's newest jobs are searched.
        Source: ListJobsByPipeline.
        """
        pages = self.client.get_paginator("list_jobs_by_pipeline").paginate(
            PipelineId=self.pipeline_id, Ascending="false"
        )

        def search() -> str | None:
            for number, page in enumerate(pages):
                for job in page["Jobs"]:
                    if (job.get("UserMetadata") or {}).get(OUR_ID) == our_id:
                        return job["Id"]
                if number + 1 == _SEARCH_PAGES:
                    break
            return None

        return self._call(search)

    def read_job(self, engine_id: str) -> JobReport | None:
        """Return the job as the engine has it now, None if it has none. Source: ReadJob."""
        try:
            return self._call(lambda: _job_report(self.client.read_job(Id=engine_id)["Job"]))
        except TranscoderRejected as error:
            if error.detail.startswith("ResourceNotFoundException"):
                return None
            raise

    def cancel_job(self, engine_id: str) -> None:
        """Ask for the job not to be started; one that runs, is over or is unknown is left alone.

        Source: CancelJob, which the API allows for Submitted jobs only.
        """
        try:
            self._call(lambda: self.client.cancel_job(Id=engine_id))
        except TranscoderRejected as error:
            if not error.detail.startswith(("ResourceInUseException", "ResourceNotFoundException")):
                raise

    @staticmethod
    def parse_notice(document: object, at: datetime) -> JobReport | None:
        """Return the report in a job notification, or None if ``document`` is none.

        Source: "Notifications of Job Status", API 2012-09-25.
        """
        state = document.get("state") if isinstance(document, dict) else None
        if not isinstance(state, str) or state not in STATUS_OF_STATE:
            return None
        engine_id, outputs = document.get("jobId"), document.get("outputs")
        if not isinstance(engine_id, str) or not isinstance(outputs, list):
            return None
        prefix = document.get("outputKeyPrefix")
        prefix = prefix if isinstance(prefix, str) else ""
        reports = tuple(
            _output_notice(output, prefix)
            for output in outputs
            if isinstance(output, dict) and isinstance(output.get("key"), str)
        )
        metadata = document.get("userMetadata")
        our_id = metadata.get(OUR_ID, "") if isinstance(metadata, dict) else ""
        first_input = document.get("input")
        input_key = first_input.get("key", "") if isinstance(first_input, dict) else ""
        status = STATUS_OF_STATE[state]
        reason, detail = "", ""
        if status == "Error":
            reason, detail = _first_failure(reports)
            if not detail:
                detail = str(document.get("messageDetails", ""))
                reason = _reason(detail)
        return JobReport(
            engine_id=engine_id,
            our_id=our_id if isinstance(our_id, str) else "",
            input_key=input_key if isinstance(input_key, str) else "",
            status=status,
            at=at,
            outputs=reports,
            reason=reason,
            detail=detail,
        )

    def _call(self, call: Callable[[], Answer]) -> Answer:
        try:
            return call()
        except ClientError as error:
            raise _as_transcoder_error(error) from error
        except BotoCoreError as error:
            raise TranscoderUnavailable(str(error)) from error
        except (ResponseParserError, *UNREADABLE) as error:
            raise TranscoderUnavailable(f"an answer that makes no sense ({error!r})") from error


def _as_made(preset: dict[str, Any]) -> dict[str, Any]:
    """Return what tells one of our presets from another, without what a server fills in."""
    audio = {**(preset.get("Audio") or {})}
    audio.pop("AudioPackingMode", None)
    return {"Name": preset.get("Name"), "Container": preset.get("Container"), "Audio": audio}


def _own_preset(audio: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    """Return name and sound of the preset for ``wanted``; ``audio``: the system preset's."""
    if not wanted.format.keeps_source:
        name = f"{wanted.format.label} {wanted.bitrate_kbps} kbit/s"
        return {"Name": name, "Audio": {**audio, "BitRate": str(wanted.bitrate_kbps)}}
    # Without BitDepth a FLAC has that of each input, up to 24.
    kept = {name: value for name, value in audio.items() if name != "CodecOptions"}
    audio = {**kept, "SampleRate": "auto", "Channels": "auto"}
    return {"Name": wanted.format.label, "Audio": audio}


def _output(wanted: Wanted, preset_id: str, order: Order) -> dict[str, Any]:
    """Return ``wanted`` as the API has it, with the cover where its container takes one."""
    output: dict[str, Any] = {"Key": wanted.key, "PresetId": preset_id}
    if order.target_lufs is not None:
        output["LoudnessTarget"] = f"{order.target_lufs:g}"  # our own server's extra member
    cover_key = order.cover_key
    if cover_key is not None and wanted.format.holds_cover:
        artwork = [{"InputKey": cover_key, **COVER}] if cover_key else []
        output["AlbumArt"] = {"MergePolicy": "Replace", "Artwork": artwork}
    return output


def _time_span(clip: Clip) -> dict[str, str]:
    """Return ``clip`` as the API has it: seconds with three decimals."""
    span = {"StartTime": f"{clip.start_ms / 1000:.3f}"}
    if clip.duration_ms is not None:
        span["Duration"] = f"{clip.duration_ms / 1000:.3f}"
    return span


def _as_transcoder_error(error: ClientError) -> TranscoderError:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response.get("Error", {}).get("Code", "")
    text = f"{code}: {error.response.get('Error', {}).get('Message', '')}"
    # A clock that is wrong, on either side, is put right some day; the job has done nothing.
    if status == 429 or status >= 500 or not status or code == "RequestExpired":
        return TranscoderUnavailable(text)
    return TranscoderRejected("internal", text)


def _reason(status_detail: str) -> str:
    """Return our reason code for ``{code} {uuid}: {sentence}``.

    Our own server ends the sentence with the reason in brackets, where a code covers several.
    """
    named = re.search(r"\[(\w+)\]$", status_detail)
    if named and named[1] in reasons.SENTENCES:
        return named[1]
    code = re.match(r"\d{4}\b", status_detail)
    return REASON_OF_CODE.get(int(code[0]), "internal") if code else "internal"


def _status(told: object) -> str:
    """Return a status as it is; one that we do not know says no more than that it goes on."""
    return told if isinstance(told, str) and told in _STATUSES else "Progressing"


def _job_report(job: dict[str, Any]) -> JobReport:
    """Return the report in a Job, as ReadJob answers it."""
    status = _status(job["Status"])
    prefix = job.get("OutputKeyPrefix") or ""
    outputs = tuple(_output_report(output, prefix) for output in job["Outputs"])
    reason, detail = _first_failure(outputs) if status == "Error" else ("", "")
    started_ms = (job.get("Timing") or {}).get("StartTimeMillis")
    return JobReport(
        engine_id=job["Id"],
        our_id=(job.get("UserMetadata") or {}).get(OUR_ID, ""),
        status=status,
        at=datetime.now(UTC),
        progress=job.get("Progress"),  # our own server's extra member
        started_at=datetime.fromtimestamp(started_ms / 1000, UTC) if started_ms else None,
        outputs=outputs,
        reason=reason,
        detail=detail,
        sound=_sound_report(job.get("Analysis")),
        awaits_facts=job.get("Analysis") is not None and "Status" not in job["Analysis"],
    )


def _sound_report(found: dict[str, Any] | None) -> SoundReport | None:
    """Return what the extra member Analysis says, None before it says anything."""
    if not found or "Status" not in found:
        return None
    return SoundReport(
        codec=found.get("Codec", "")[:32],
        channels=found.get("Channels"),
        sample_rate_hz=found.get("SampleRateHz"),
        bits=found.get("BitDepth"),
        bitrate_kbps=found.get("BitRateKbps"),
        loudness_lufs=found.get("LoudnessLufs"),
        true_peak_dbtp=found.get("TruePeakDbtp"),
        waveform=base64.b64decode(found.get("Waveform", ""))[:WAVEFORM_POINTS],
        tags=found.get("Tags", {}),
        cover_key=found.get("CoverKey", ""),
    )


def _output_sound(found: dict[str, Any] | None) -> OutputSound | None:
    """Return what the extra member Sound of an output says."""
    if not found:
        return None
    return OutputSound(
        codec=found.get("Codec", ""),
        channels=found.get("Channels"),
        sample_rate_hz=found.get("SampleRateHz"),
        bits=found.get("BitDepth"),
        bitrate_kbps=found.get("BitRateKbps"),
        is_faithful=found.get("IsFaithful"),
        sample_hash=found.get("SampleHash", ""),
        correlation=found.get("Correlation"),
        loudness_lufs=found.get("LoudnessLufs"),
        true_peak_dbtp=found.get("TruePeakDbtp"),
        lost_tags=tuple(found.get("LostTags", ())),
        has_cover=found.get("HasCover"),
    )


def _output_report(output: dict, prefix: str) -> OutputReport:
    detail = output.get("StatusDetail") or ""
    return OutputReport(
        key=prefix + output["Key"],
        status=_status(output["Status"]),
        size_bytes=output.get("FileSize"),
        duration_ms=output.get("DurationMillis"),
        reason=_reason(detail) if output["Status"] == "Error" else "",
        detail=detail,
        sound=_output_sound(output.get("Sound")),
    )


def _output_notice(output: dict, prefix: str) -> OutputReport:
    status = output.get("status")
    detail = output.get("statusDetail")
    detail = detail if isinstance(detail, str) else ""
    duration_s = output.get("duration")
    return OutputReport(
        key=prefix + output["key"],
        status=_status(status),
        duration_ms=duration_s * 1000
        if type(duration_s) is int and 0 <= duration_s < 1e9
        else None,
        reason=_reason(detail) if status == "Error" else "",
        detail=detail,
    )


def _first_failure(outputs: Sequence[OutputReport]) -> tuple[str, str]:
    failed = [output for output in outputs if output.status == "Error"]
    return (failed[0].reason, failed[0].detail) if failed else ("", "")
