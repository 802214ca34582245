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
    probes: dict[str, Probe] = {
        f"cannot read the bucket {input_bucket}": lambda: _read(input_bucket),
        f"cannot use the bucket {output_bucket}": lambda: _write(output_bucket),
    }
    for topic in dict.fromkeys(filter(None, params["Topics"])):
        for url in settings.TRANSCODER_TOPICS.get(topic, [""]):
            named = f"cannot publish to the topic {topic}" + (f" for {url}" if url else "")
            probes[named] = lambda topic=topic, url=url: _publish(topic, url)
    messages = [
        f"The role {role} {what}: {why}." for what, why in _run(probes).items() if why is not None
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


def _run(probes: dict[str, Probe]) -> dict[str, str | None]:
    """Run all probes at once; return what each found, in their order."""
    found: dict[str, str | None] = {}

    def run(what: str, probe: Probe) -> None:
        try:
            found[what] = probe()
        except Exception as error:  # somebody else's failure is an answer here
            found[what] = type(error).__name__

    threads = [
        threading.Thread(target=run, args=[what, probe], daemon=True)
        for what, probe in probes.items()
    ]
    deadline = time.monotonic() + PATIENCE_S
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    silence = f"there was no answer within {PATIENCE_S:g} seconds"
    return {what: found.get(what, silence) for what in probes}
