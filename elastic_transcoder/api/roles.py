"""TestRole: whether a pipeline's buckets and topics can be reached. Source: API 2012-09-25."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.utils import timezone

from buckets import BucketError, bucket
from elastic_transcoder import notices
from sns import deliver

logger = logging.getLogger(__name__)

Members = dict[str, Any]

# Seconds after which what has not answered counts as not reached.
PATIENCE_S = 10.0
SUBJECT = "Amazon Elastic Transcoder test message"
MESSAGE = "A test of whether Elastic Transcoder can publish to this topic."

# Returns what went wrong, or None.
Probe = Callable[[], str | None]


def test_role(params: Members) -> Members:
    """Try to read the input bucket, to write to the output bucket, and to publish to each topic.

    A topic of ``settings.TRANSCODER_TOPICS`` is reached when each of its subscribers took a
    test message; any other belongs to Amazon SNS. The role itself has no meaning here. All
    tests run at once and none is waited for longer than ten seconds. Call it outside any
    transaction.
    """
    role = params["Role"]
    input_bucket, output_bucket = params["InputBucket"], params["OutputBucket"]
    probes: list[tuple[str, Probe]] = [
        (f"cannot read the bucket {input_bucket}", lambda: _read(input_bucket)),
        (f"cannot use the bucket {output_bucket}", lambda: _write(output_bucket)),
    ]
    for topic in dict.fromkeys(filter(None, params["Topics"])):
        for url in settings.TRANSCODER_TOPICS.get(topic, [""]):
            subscriber = f" for {deliver.shown(url)}" if url else ""
            what = f"cannot publish to the topic {topic}{subscriber}"
            probes.append((what, lambda topic=topic, url=url: _publish(topic, url)))
    answers = _run([probe for _, probe in probes])
    messages = [
        f"The role {role} {what}: {why}."
        for (what, _), why in zip(probes, answers, strict=True)
        if why is not None
    ]
    return {"Success": "false" if messages else "true", "Messages": messages}


def _read(name: str) -> str | None:
    try:
        next(iter(bucket(name).keys("")), None)
    except BucketError as error:
        return str(error)
    return None


def _write(name: str) -> str | None:
    try:
        bucket(name).check()
    except BucketError as error:
        return str(error)
    return None


def _publish(topic: str, url: str) -> str | None:
    if not url:
        answer = deliver.publish(topic, SUBJECT, MESSAGE)
    else:
        try:
            signer = notices.signer()
        except (OSError, ValueError):
            logger.warning("no key to sign with", exc_info=True)
            return "this server has no key to sign with"
        signed = signer.notification(
            topic_arn=topic,
            message=MESSAGE,
            subject=SUBJECT,
            message_id=uuid.uuid4(),
            timestamp=timezone.now(),
            subscriber=url,
        )
        answer = deliver.post(url, signed.body, signed.headers, timeout_s=PATIENCE_S)
    return None if answer.delivered else answer.text


def _run(probes: list[Probe]) -> list[str | None]:
    """Run all probes at once; return what each found, in their order."""
    silence = f"there was no answer within {PATIENCE_S:g} seconds"
    found: list[str | None] = [silence] * len(probes)

    def run(number: int, probe: Probe) -> None:
        try:
            found[number] = probe()
        except Exception as error:  # somebody else's failure is an answer here
            found[number] = type(error).__name__

    threads = [
        threading.Thread(target=run, args=[number, probe], daemon=True)
        for number, probe in enumerate(probes)
    ]
    deadline = time.monotonic() + PATIENCE_S
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    return list(found)  # as it is now, whatever the late ones still find
