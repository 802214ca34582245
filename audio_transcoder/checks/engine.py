"""Who converts: E003, E020 to E024, W020."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from audio_transcoder.checks.addresses import host_of

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/[\w+=,.@/-]{1,576}", re.ASCII)
_QUEUE = re.compile(
    r"arn:aws[a-z-]*:mediaconvert:([a-z0-9-]+):([0-9]{12}):queues/[A-Za-z0-9_-]{1,128}"
)
_AMAZONS_S3 = re.compile(r"(.+\.)?s3[.-]([a-z0-9-]+\.)*(amazonaws\.com(\.cn)?|api\.aws)")
# What MediaConvert takes as a value of UserMetadata.
_METADATA = re.compile(r"[A-Za-z0-9 _.:/=+@-]{1,256}")


@register
def engine(**_: Any) -> Iterator[CheckMessage]:
    if settings.TRANSCODER_ALONE:  # whoever orders is no part of this installation
        return
    from audio_transcoder.engines import ENGINES

    known = sorted(ENGINES)
    if settings.TRANSCODER_ENGINE not in known:
        yield Error(
            f"TRANSCODER_ENGINE is {settings.TRANSCODER_ENGINE!r}.",
            hint=f"There is: {', '.join(sorted(ENGINES))}.",
            id="audio.E003",
        )


@register
def mediaconvert(**_: Any) -> Iterator[CheckMessage]:
    if settings.TRANSCODER_ALONE or settings.TRANSCODER_ENGINE != "mediaconvert":
        return
    if not settings.AWS_STORAGE_BUCKET_NAME:
        yield Error(
            "TRANSCODER_ENGINE is mediaconvert, and the files are in folders.",
            hint="MediaConvert reads and writes a bucket on Amazon's S3: set "
            "AWS_STORAGE_BUCKET_NAME, or leave TRANSCODER_ENGINE out to convert here.",
            id="audio.E020",
        )
    yield from _mediaconvert_arns()
    host = host_of(settings.AWS_S3_ENDPOINT_URL or "") or ""
    if settings.AWS_S3_ENDPOINT_URL and not _AMAZONS_S3.fullmatch(host.lower()):
        yield Error(
            f"MediaConvert cannot reach the store at {host or settings.AWS_S3_ENDPOINT_URL!r}.",
            hint="It reads and writes Amazon's S3 alone: leave AWS_S3_ENDPOINT_URL out, or "
            "TRANSCODER_ENGINE.",
            id="audio.E023",
        )
    if not _METADATA.fullmatch(settings.MEDIACONVERT_ENV):
        yield Error(
            f"MEDIACONVERT_ENV is {settings.MEDIACONVERT_ENV!r}.",
            hint="Expected are at most 256 letters, digits, spaces and _ . : / = + - @",
            id="audio.E024",
        )
    own = settings.TRANSCODER_TOPICS
    if not set(settings.SNS_TOPIC_ARN) - set(own if isinstance(own, dict) else ()):
        yield Warning(
            "No topic in SNS_TOPIC_ARN can bring MediaConvert's events.",
            hint="Add the topic that the EventBridge rule publishes to. Until then finished jobs "
            "show up minutes late, by asking.",
            id="audio.W020",
        )


def _mediaconvert_arns() -> Iterator[CheckMessage]:
    role = _ROLE.fullmatch(settings.MEDIACONVERT_ROLE_ARN)
    if role is None:
        yield Error(
            f"MEDIACONVERT_ROLE_ARN is {settings.MEDIACONVERT_ROLE_ARN!r}.",
            hint="Expected is the ARN of the role that MediaConvert may assume to read and write "
            "the bucket, e.g. arn:aws:iam::123456789012:role/app-mediaconvert",
            id="audio.E021",
        )
    queue = _QUEUE.fullmatch(settings.MEDIACONVERT_QUEUE_ARN)
    is_here = queue is not None and queue[1] == settings.AWS_REGION
    if not is_here or (role and role[1] != queue[2]):
        yield Error(
            f"MEDIACONVERT_QUEUE_ARN is {settings.MEDIACONVERT_QUEUE_ARN!r}.",
            hint="Expected is the ARN of a queue in AWS_REGION and in the account of the role, "
            f"e.g. arn:aws:mediaconvert:{settings.AWS_REGION}:123456789012:queues/audio-uploads",
            id="audio.E022",
        )
