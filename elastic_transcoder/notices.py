"""What the transcoder tells: notice rows, written with the state, and their delivery.

Source: Elastic Transcoder developer guide, "Notifications of job status"; members and their
order as in captured messages.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db.models import Min
from django.utils import timezone

import steps
from elastic_transcoder.models import Job, JobOutput, Notice, Pipeline
from sns import deliver as sns_deliver
from sns import keys
from sns.sign import Signer

logger = logging.getLogger(__name__)

API_VERSION = "2012-09-25"
PROGRESSING, COMPLETED, WARNING, ERROR = "PROGRESSING", "COMPLETED", "WARNING", "ERROR"
# State -> member of the pipeline's Notifications.
EVENT_OF_STATE = {
    PROGRESSING: "Progressing",
    COMPLETED: "Completed",
    WARNING: "Warning",
    ERROR: "Error",
}
SUBJECTS = {
    PROGRESSING: "Amazon Elastic Transcoder has scheduled job {id} for transcoding.",
    COMPLETED: "Amazon Elastic Transcoder has finished transcoding job {id}.",
    WARNING: "Amazon Elastic Transcoder has a warning for job {id}.",
    ERROR: "The Amazon Elastic Transcoder job {id} has failed.",
}
# API member of an input or output -> member of a notice, in the order of captures.
INPUT_MEMBERS = {
    "Key": "key",
    "FrameRate": "frameRate",
    "Resolution": "resolution",
    "AspectRatio": "aspectRatio",
    "Interlaced": "interlaced",
    "Container": "container",
}
OUTPUT_MEMBERS = {"ThumbnailPattern": "thumbnailPattern", "Rotate": "rotate"}

MAX_BACKOFF_S = 600.0
# One post at a time to each subscriber, and so many in all.
PARALLEL_POSTS = 8
# A step waits so long for answers; those still missing are taken by its next run.
PATIENCE_S = 2.0


# --- Writing ------------------------------------------------------------------------------------


def write(job: Job, state: str) -> list[Notice]:
    """Write the notices of ``state``; the caller's transaction commits them with that state.

    One for each subscriber of a topic in ``settings.TRANSCODER_TOPICS``, one without URL for
    any other topic. None where the pipeline has no topic for the event.
    """
    pipeline = Pipeline.objects.filter(pk=job.pipeline_id).first()
    topic = pipeline.notifications.get(EVENT_OF_STATE[state]) if pipeline else ""
    if not topic:
        return []
    text = json.dumps(
        body(job, state, list(job.outputs.order_by("number"))),
        indent=2,
        separators=(",", " : "),
        ensure_ascii=False,
    )
    notices = Notice.objects.bulk_create(
        Notice(
            job=job,
            state=state,
            topic_arn=topic,
            url=url,
            subject=SUBJECTS[state].format(id=job.pk),
            message=text,
        )
        for url in settings.TRANSCODER_TOPICS.get(topic, [""])
    )
    steps.nudge("deliver")
    return notices


def body(job: Job, state: str, outputs: list[JobOutput]) -> dict[str, Any]:
    """Return the JSON document of a notice. Members without a value are absent."""
    document: dict[str, Any] = {"state": state}
    if state == ERROR:
        failed = next((one for one in outputs if one.status == Job.Status.ERROR), None)
        if failed is not None:
            document["errorCode"] = failed.error_code
            document["messageDetails"] = failed.status_detail
    if state == WARNING:
        document["messageDetails"] = next(
            (one.status_detail for one in outputs if _is_told(one, state)), ""
        )
    first = job.inputs[0]
    document |= {
        "version": API_VERSION,
        "jobId": job.pk,
        "pipelineId": job.pipeline_id,
        "input": {
            name: first[member] for member, name in INPUT_MEMBERS.items() if first.get(member)
        },
        "inputCount": len(job.inputs),
    }
    if job.output_key_prefix:
        document["outputKeyPrefix"] = job.output_key_prefix
    document["outputs"] = [_output(output, state) for output in outputs]
    if job.playlists:
        document["playlists"] = [_playlist(playlist, state) for playlist in job.playlists]
    if job.user_metadata:
        document["userMetadata"] = job.user_metadata
    return document


def _output(output: JobOutput, state: str) -> dict[str, Any]:
    member: dict[str, Any] = {
        "id": str(output.number),
        "presetId": output.preset_id,
        "key": output.key,
    }
    for name, sent in OUTPUT_MEMBERS.items():
        if output.options.get(name):
            member[sent] = output.options[name]
    if output.options.get("SegmentDuration"):
        member["segmentDuration"] = float(output.options["SegmentDuration"])
    # Before the end every output is told as Progressing, also one that waits for its turn.
    is_final = state in (COMPLETED, ERROR)
    member["status"] = output.status if is_final else Job.Status.PROGRESSING.value
    if _is_told(output, state):
        member["statusDetail"] = output.status_detail
    if is_final and output.error_code is not None:
        member["errorCode"] = output.error_code
    if is_final and output.status == Job.Status.COMPLETE and output.duration_ms is not None:
        member["duration"] = -(-output.duration_ms // 1000)
    return member


def _is_told(output: JobOutput, state: str) -> bool:
    """Return whether the output's detail is of ``state``: a warning tells of no failure."""
    if state == WARNING and output.status == Job.Status.ERROR:
        return False
    return bool(output.status_detail) and state != PROGRESSING


def _playlist(playlist: dict[str, Any], state: str) -> dict[str, Any]:
    is_final = state in (COMPLETED, ERROR)
    member = {
        "name": playlist["Name"],
        "format": playlist["Format"],
        "outputKeys": playlist["OutputKeys"],
        "status": playlist["Status"] if is_final else Job.Status.PROGRESSING.value,
    }
    if is_final and playlist.get("StatusDetail"):
        member["statusDetail"] = playlist["StatusDetail"]
    return member


# --- Delivering ---------------------------------------------------------------------------------


@dataclass
class _Post:
    """One attempt under way, in a thread that touches no row."""

    notice: Notice
    signer: Signer | None
    answer: sns_deliver.Answer | None = None
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def subscriber(self) -> str:
        return self.notice.url or self.notice.topic_arn

    def run(self, finished: threading.Event) -> None:
        try:
            self.answer = _send(self.notice, self.signer)
        except Exception as error:
            logger.exception("notice %s: could not be sent", self.notice.pk)
            self.answer = sns_deliver.Answer(sns_deliver.Outcome.REPEAT, type(error).__name__)
        self.done.set()
        finished.set()


# Attempts whose answer no run of the step has taken yet.
_under_way: list[_Post] = []
_finished = threading.Event()


def deliver() -> datetime | None:
    """Send every notice that is due; return when the next one is.

    A notice's message id and time are fixed before its first attempt, so that each repeat is the
    same message. 2xx is the end, and so is a refusal; everything else is repeated with a growing
    pause for three days. A subscriber that does not answer holds up nobody else.
    """
    waited_since = timezone.now()
    while True:
        if _record_answers():
            waited_since = timezone.now()
        if not steps.stopping():
            _start_due()
        if not _under_way:
            return _next_due()
        patience = PATIENCE_S - (timezone.now() - waited_since).total_seconds()
        if patience <= 0:
            # The answers come while the loop does something else.
            return timezone.now() + timedelta(seconds=PATIENCE_S)
        _finished.wait(patience)
        _finished.clear()


def _start_due() -> None:
    while len(_under_way) < PARALLEL_POSTS:
        busy = [post.notice for post in _under_way]
        due = (
            Notice.objects.undelivered()
            .filter(next_attempt_at__lte=timezone.now())
            .exclude(url__in=[notice.url for notice in busy if notice.url])
            .exclude(url="", topic_arn__in=[notice.topic_arn for notice in busy if not notice.url])
        )
        notice = due.order_by("next_attempt_at", "id").first()
        if notice is None:
            return
        if _begin_attempt(notice):
            post = _Post(notice, signer() if notice.url else None)
            _under_way.append(post)
            threading.Thread(target=post.run, args=[_finished], daemon=True).start()


def _begin_attempt(notice: Notice) -> bool:
    """Count the attempt, and fix what the message says of itself; False if another did."""
    now = timezone.now()
    row = Notice.objects.undelivered().filter(pk=notice.pk, attempts=notice.attempts)
    notice.message_id = notice.message_id or uuid.uuid4()
    notice.published_at = notice.published_at or now
    notice.attempts += 1
    # Should this process die, the next attempt is not before this one's answer could come.
    safe_s = max(_pause_s(notice.attempts), sns_deliver.POST_TIMEOUT_S + 5)
    begun = row.update(
        attempts=notice.attempts,
        next_attempt_at=now + timedelta(seconds=safe_s),
        message_id=notice.message_id,
        published_at=notice.published_at,
    )
    return begun == 1


def _send(notice: Notice, signer: Signer | None) -> sns_deliver.Answer:
    if signer is None:
        return sns_deliver.publish(notice.topic_arn, notice.subject, notice.message)
    signed = signer.notification(
        topic_arn=notice.topic_arn,
        message=notice.message,
        subject=notice.subject,
        message_id=notice.message_id,
        timestamp=notice.published_at,
        subscriber=notice.url,
    )
    return sns_deliver.post(notice.url, signed.body, signed.headers)


def _record_answers() -> bool:
    answered = [post for post in _under_way if post.done.is_set()]
    for post in answered:
        _record(post.notice, post.answer)
        # Only now: what failed to be recorded is recorded by the next run.
        _under_way.remove(post)
    return bool(answered)


def _record(notice: Notice, answer: sns_deliver.Answer) -> None:
    now = timezone.now()
    row = Notice.objects.undelivered().filter(pk=notice.pk)
    if answer.repeat and now < notice.created_at + Notice.LIFETIME:
        pause = timedelta(seconds=_pause_s(notice.attempts))
        row.update(next_attempt_at=now + pause, last_answer=answer.text)
        logger.info("notice %s: attempt %d: %s", notice.pk, notice.attempts, answer.text)
        return
    status = Notice.Status.DELIVERED if answer.delivered else Notice.Status.REFUSED
    row.update(status=status, finished_at=now, last_answer=answer.text)
    level = logging.INFO if answer.delivered else logging.WARNING
    logger.log(level, "notice %s: Waiting -> %s: %s", notice.pk, status, answer.text)


def _pause_s(attempts: int) -> float:
    """Seconds before the next attempt: doubling, at most ten minutes, spread by a fifth."""
    pause = min(settings.NOTICE_RETRY_S * 2 ** min(attempts - 1, 30), MAX_BACKOFF_S)
    return pause * random.uniform(0.8, 1.2)  # noqa: S311 -- spreads load, hides nothing


def _next_due() -> datetime | None:
    return Notice.objects.undelivered().aggregate(first=Min("next_attempt_at"))["first"]


def signer() -> Signer:
    """Return what signs for our own topics; its key is made at the first call."""
    keys.ensure(settings.SNS_KEY_FILE, settings.SNS_CERTIFICATE_FILE)
    if not settings.SNS_KEY_FILE.exists():
        raise FileNotFoundError(
            f"{settings.SNS_CERTIFICATE_FILE} came without its key, so nothing can be signed here: "
            f"bring {settings.SNS_KEY_FILE} too, or remove the certificate to have a new pair made"
        )
    return _signer_of(
        settings.SNS_KEY_FILE.read_bytes(), settings.SNS_CERTIFICATE_FILE.read_bytes()
    )


@cache
def _signer_of(private_key_pem: bytes, certificate_pem: bytes) -> Signer:
    return Signer(private_key_pem, certificate_pem)
