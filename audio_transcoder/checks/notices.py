"""Notices: E009 to E011, W002."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from audio_transcoder.checks.addresses import host_of
from sns import arn


@register
def notices(**_: Any) -> list[CheckMessage]:
    return [*_notice_errors()] or [*_refused_by_ourselves()]


def _notice_errors() -> Iterator[CheckMessage]:
    if not settings.TRANSCODER_ALONE:
        yield from _webhook_errors()
    if not _are_topics(settings.TRANSCODER_TOPICS):
        yield Error(
            "TRANSCODER_TOPICS is no JSON object of topic ARNs with lists of http(s) URLs.",
            hint='E.g. {"arn:aws:sns:eu-west-1:000000000000:transcode-complete": '
            '["http://127.0.0.1:8000/transcode-complete/"]}',
            id="audio.E011",
        )


def _webhook_errors() -> Iterator[CheckMessage]:
    wrong = [topic for topic in settings.SNS_TOPIC_ARN if arn.parse(topic) is None]
    if wrong or not settings.SNS_TOPIC_ARN:
        yield Error(
            f"SNS_TOPIC_ARN is no list of topics: {', '.join(map(repr, wrong)) or 'empty'}.",
            hint="Expected are whole ARNs of standard topics, separated by commas, e.g. "
            "arn:aws:sns:eu-west-1:123456789012:transcode-complete",
            id="audio.E009",
        )
    versions = settings.SNS_SIGNATURE_VERSIONS
    if not versions or not set(versions) <= {"1", "2"}:
        yield Error(
            f"SNS_SIGNATURE_VERSIONS is {','.join(versions) or 'empty'}.",
            hint="Expected is 1, 2 or 1,2: the versions that Amazon SNS signs with.",
            id="audio.E010",
        )


def _refused_by_ourselves() -> Iterator[CheckMessage]:
    if settings.TRANSCODER_ALONE:
        return
    webhooks = {f"{url}/transcode-complete/" for url in (settings.SITE_URL, settings.LOCAL_URL)}
    for topic, urls in settings.TRANSCODER_TOPICS.items():
        if not webhooks & set(urls):
            continue
        if topic not in settings.SNS_TOPIC_ARN or "2" not in settings.SNS_SIGNATURE_VERSIONS:
            yield Warning(
                f"This site would refuse the notices of its own topic {topic}.",
                hint="List the topic in SNS_TOPIC_ARN and 2 in SNS_SIGNATURE_VERSIONS, or take "
                "the topic out of TRANSCODER_TOPICS. Until then finished jobs show up minutes "
                "late.",
                id="audio.W002",
            )


def _are_topics(value: Any) -> bool:
    return isinstance(value, dict) and all(
        arn.parse(topic) is not None
        and isinstance(urls, list)
        and all(isinstance(url, str) and _is_http(url) for url in urls)
        for topic, urls in value.items()
    )


def _is_http(url: str) -> bool:
    return url.startswith(("http://", "https://")) and bool(host_of(url))
