"""What MediaConvert says of a job, in an event or when asked, as a report.

Events come through EventBridge and SNS, at least once and in any order. Nothing in them is taken
for granted but their signature, which the webhook has verified.

Source: MediaConvert API 2017-08-29, GetJob; User Guide, "MediaConvert EventBridge events" and
"MediaConvert error codes".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from audio_transcoder.engines.base import JobReport, OutputReport, SoundReport
from audio_transcoder.engines.mediaconvert.requests import ENV, OUR_ID, output_key

DETAIL_TYPE = "MediaConvert Job State Change"

# What an event and what GetJob calls a status -> a value of TranscodeJob.Status. A status that is
# not here is news that we do not know: it is ignored.
STATUS_OF_EVENT = {
    "QUEUE_HOP": "Submitted",
    "INPUT_INFORMATION": "Progressing",
    "PROGRESSING": "Progressing",
    "STATUS_UPDATE": "Progressing",
    "NEW_WARNING": "Progressing",  # COMPLETE names the warnings again
    "COMPLETE": "Complete",
    "ERROR": "Error",
    "CANCELED": "Canceled",
}
STATUS_OF_JOB = {
    "SUBMITTED": "Submitted",
    "PROGRESSING": "Progressing",
    "COMPLETE": "Complete",
    "ERROR": "Error",
    "CANCELED": "Canceled",
}
# Error code -> our reason code, where it is the upload's fault. The others are our settings', our
# rights' or the service's: ``internal``, which operators hear of.
REASON_OF_CODE = {
    1010: "damaged",
    1020: "unsupported_here",
    1021: "no_audio",
    1030: "unsupported_here",
    1056: "damaged",
    1075: "damaged",
    1076: "damaged",
    1091: "unsupported_here",
    1092: "damaged",
    1093: "damaged",
    1404: "lost",
}
# Nobody's fault: resources that were short, and the service's own unknown errors.
PASSING_CODES = {1550, 1999, 3999}
# Warnings that whoever gets the result must know of; the rest is for video and for operators.
NOTES: dict[int, str | Promise] = {
    220000: _("The source ended before it should have."),
    230006: _("Part of the sound could not be decoded."),
    240000: _("Silence was put in where the source had a gap."),
    240001: _("Sound was left out where the source overlaps itself."),
}


def of_event(
    document: object, at: datetime, *, queue: str, env: str, bucket: str
) -> JobReport | None:
    """Return the report in an event, or None if it is no event of ours.

    Ours are of ``queue`` (an ARN), of its account, and of the installation called ``env``; results
    that lie elsewhere than in ``bucket`` are not believed. ``at`` is used where the event has no
    time of its own.
    """
    detail = _our_detail(document, queue, env)
    engine_id, status = detail.get("jobId"), detail.get("status")
    if not isinstance(engine_id, str) or not isinstance(status, str):
        return None
    if status not in STATUS_OF_EVENT:
        return None
    progress = _dict(detail.get("jobProgress")).get("jobPercentComplete")
    our_id = detail["userMetadata"].get(OUR_ID)
    inputs = _dicts(detail.get("inputDetails"))  # INPUT_INFORMATION has them
    failure: dict[str, Any] = {}
    if status == "ERROR":
        failure = _failure(detail.get("errorCode"), detail.get("errorMessage"))
    return JobReport(
        engine_id=engine_id,
        our_id=our_id if isinstance(our_id, str) else "",
        input_key=_key(inputs[0].get("uri"), bucket) if inputs else "",
        sound=_sound(inputs[0]) if inputs else None,
        status=STATUS_OF_EVENT[status],
        at=_time(detail.get("timestamp")) or at,
        progress=progress if type(progress) is int and 0 <= progress <= 100 else None,
        outputs=tuple(_results(detail, bucket)) if status == "COMPLETE" else (),
        **failure,
    )


def _our_detail(document: object, queue: str, env: str) -> dict[str, Any]:
    """Return the ``detail`` of an event of ours, nothing of any other."""
    event = _dict(document)
    if event.get("detail-type") != DETAIL_TYPE or event.get("source") != "aws.mediaconvert":
        return {}
    detail = _dict(event.get("detail"))
    account = "".join(queue.split(":")[4:5])
    is_ours = (
        bool(queue)
        and event.get("account") == detail.get("accountId") == account
        and detail.get("queue") == queue
        and _dict(detail.get("userMetadata")).get(ENV) == env
    )
    return detail if is_ours else {}


def of_job(job: dict[str, Any], *, bucket: str) -> JobReport:
    """Return the report in a Job, as GetJob answers it."""
    status = STATUS_OF_JOB.get(job["Status"], "Progressing")
    failure: dict[str, Any] = {}
    if status == "Error":
        failure = _failure(job.get("ErrorCode"), job.get("ErrorMessage"))
    return JobReport(
        engine_id=job["Id"],
        our_id=job.get("UserMetadata", {}).get(OUR_ID, ""),
        status=status,
        at=datetime.now(UTC),
        progress=job.get("JobPercentComplete"),
        started_at=job.get("Timing", {}).get("StartTime"),
        outputs=tuple(_planned(job, bucket)) if status == "Complete" else (),
        **failure,
    )


def _sound(found: dict[str, Any]) -> SoundReport | None:
    """Return what an input has for its first sound track; GetJob says nothing of that."""
    for track in _dicts(found.get("audio"))[:1]:
        codec = track.get("codec")
        is_word = isinstance(codec, str) and re.fullmatch(r"[\w .+-]{1,32}", codec, re.ASCII)
        return SoundReport(
            codec=codec.lower() if is_word else "",
            channels=_count(track.get("channels"), 1000),
            sample_rate_hz=_count(track.get("sampleRate"), 10**7),
        )
    return None


def _results(detail: dict[str, Any], bucket: str) -> Iterator[OutputReport]:
    """Yield what a COMPLETE event says was stored: files, playlists and their streams, by path."""
    note = _note(one.get("code") for one in _dicts(detail.get("warnings")))
    for group in _dicts(detail.get("outputGroupDetails")):
        outputs = _dicts(group.get("outputDetails"))
        # A playlist is as long as any of its streams.
        stored = [(path, outputs[:1]) for path in _list(group.get("playlistFilePaths"))]
        for output in outputs:
            stored += [(path, [output]) for path in _list(output.get("outputFilePaths"))]
        for path, of in stored:
            key = _key(path, bucket)
            length = _milliseconds(of[0].get("durationInMs")) if of else None
            if key:
                yield OutputReport(key, "Complete", duration_ms=length, detail=note)


def _planned(job: dict[str, Any], bucket: str) -> Iterator[OutputReport]:
    """Yield what a complete job was to store: GetJob repeats the order, and names no paths."""
    note = _note(one.get("Code") for one in job.get("Warnings", []))
    groups = job["Settings"].get("OutputGroups", [])
    details = job.get("OutputGroupDetails", [])
    for number, group in enumerate(groups):
        told = details[number].get("OutputDetails", []) if number < len(details) else []
        for place, output in enumerate(group.get("Outputs", [])):
            key = output_key(group, output, bucket)
            if key:
                length = told[place].get("DurationInMs") if place < len(told) else None
                yield OutputReport(key, "Complete", duration_ms=length, detail=note)


def _failure(code: object, message: object) -> dict[str, Any]:
    """Return what a report says of an error; a code may be a number or a text."""
    return {
        "reason": REASON_OF_CODE.get(_number(code), "internal"),
        "detail": f"{code}: {message or ''}".replace("\0", ""),
        "is_passing": _number(code) in PASSING_CODES,
    }


def _note(codes: Iterable[object]) -> str:
    numbers = {_number(code) for code in codes}
    return " ".join(str(NOTES[number]) for number in sorted(numbers & NOTES.keys()))


def _number(code: object) -> int:
    """Return a code as a number, whether it came as one or as text; 0 if it is none."""
    digits = str(code)
    return int(digits) if digits.isdecimal() and len(digits) < 10 else 0


def _key(path: object, bucket: str) -> str:
    """Return the key of an ``s3://`` path in ``bucket``, ``""`` for any other."""
    start = f"s3://{bucket}/"
    return path[len(start) :] if isinstance(path, str) and path.startswith(start) else ""


def _time(timestamp: object) -> datetime | None:
    """Return the time of an event from its milliseconds since 1970."""
    if type(timestamp) is not int or not 0 < timestamp < 10**14:
        return None
    return datetime.fromtimestamp(timestamp / 1000, UTC)


def _count(value: object, most: int) -> int | None:
    return value if type(value) is int and 0 < value <= most else None


def _milliseconds(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 10**12 else None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in _list(value) if isinstance(one, dict)]
