"""Where SNS tells us how a job went, and what came into the bucket.

Nothing in the headers is believed, and nothing in the body before its signature is verified.
The order of work: cheap refusals, signature, our job, a look at its results with no transaction
open, then one transaction for the MessageId, the job's state and the person's message. Whatever
stops before that commit leaves no MessageId, so the sender's repeat is not taken for a duplicate.
"""

from __future__ import annotations

import functools
import json
import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from audio_transcoder import engines, keys, order_ids, settling
from audio_transcoder.engines.base import JobReport
from audio_transcoder.models import DeletedJob, IntakeObject, ReceivedNotice, TranscodeJob
from audio_transcoder.uploads import intake
from buckets import BucketError
from sns import certificates, deliver
from sns import keys as sns_keys
from sns.envelope import Envelope
from sns.errors import CertificateUnavailable, Malformed, Refused
from sns.verify import Verifier

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024**2
# A notice may overtake the commit of its own job by moments, never by more.
UNKNOWN_JOB_WAITS = timedelta(minutes=5)


@csrf_exempt
@require_POST
def transcode_complete(request: HttpRequest) -> HttpResponse:
    """Take one SNS delivery. SNS repeats only what is answered 5xx or not at all.

    200: recorded now or by an earlier delivery, or nothing for us. 400: unreadable, or of a job
    that never was ours. 403: not from a topic of ours, not genuine or not in time. 413: too
    large. 503: we cannot tell yet, SNS tries again.
    """
    length = request.META.get("CONTENT_LENGTH") or "0"
    is_endless = "HTTP_TRANSFER_ENCODING" in request.META  # of no declared length
    if is_endless or not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        return HttpResponse(status=413)
    try:
        envelope = _verifier().verify(request.body, request.headers, timezone.now())
    except Malformed as error:
        _log_refusal(error)
        return HttpResponse("Not a message of Amazon SNS.", status=400)
    except Refused as error:
        _log_refusal(error)
        return HttpResponse("Refused.", status=403)
    except CertificateUnavailable as error:
        logger.warning("notice not checked: %s", error)
        return _later()
    if ReceivedNotice.objects.filter(message_id=envelope.message_id).exists():
        return HttpResponse()
    if envelope.type == "Notification":
        return _take_notification(envelope)
    if envelope.type == "SubscriptionConfirmation":
        return _confirm_subscription(envelope)
    logger.error("topic %s: somebody ended our subscription", envelope.topic_arn)
    return _record(envelope, "unsubscribed")


def _take_notification(envelope: Envelope) -> HttpResponse:
    document = _document(envelope)
    dropped = intake.parse_notice(document)
    if dropped is not None:
        return _take_dropped(envelope, dropped)
    report = engines.parse_notice(document, envelope.timestamp)
    if report is None:
        logger.warning("notice %s: of no kind we know, ignored", envelope.message_id)
        return _record(envelope, "ignored: unknown kind")
    job = _find_job(report)
    if job is None:
        return _unknown_job(envelope, report)
    if report.our_id not in ("", job.order_id):
        DeletedJob.look_again(job.code)  # it may have stored something after all
        return _record(envelope, "ignored: another run")
    if report.input_key not in ("", keys.bucket_key(job.audio_file.mp3_file.name)):
        # The job's id decides.
        logger.warning("notice %s: names another input than job %s", envelope.message_id, job.pk)
    try:
        return _record(envelope, "recorded", job, report)
    except BucketError as error:
        logger.warning("notice %s: store down: %s", envelope.message_id, error)
        return _later()


def _document(envelope: Envelope) -> object:
    """Return the JSON in the message, None if it is none; half a character becomes a "?".

    A text can end within a UTF-16 pair ("\\ud83d"), and no database takes that.
    """
    try:
        document = json.loads(envelope.message)
        if "\\ud" not in envelope.message.lower():
            return document
        whole = json.dumps(document, ensure_ascii=False).encode(errors="replace")
        return json.loads(whole)
    except (ValueError, RecursionError):
        return None


def _take_dropped(envelope: Envelope, dropped: list[IntakeObject]) -> HttpResponse:
    """Write a row for each new object; a step looks at them."""
    if not dropped:
        logger.warning("notice %s: of no object for us, ignored", envelope.message_id)
        return _record(envelope, "ignored: no object for us")
    return _record(envelope, "recorded: new objects", dropped=dropped)


def _find_job(report: JobReport) -> TranscodeJob | None:
    """Find the job by our own id, which was committed before it was placed; else by theirs."""
    jobs = TranscodeJob.objects.select_related("audio_file__owner")
    if report.our_id:
        try:
            code, _run = order_ids.parse(report.our_id)
            return jobs.filter(code=code).first()
        except ValueError:
            return None
    return jobs.filter(engine_id=report.engine_id).first() if report.engine_id else None


def _unknown_job(envelope: Envelope, report: JobReport) -> HttpResponse:
    try:
        code, _run = order_ids.parse(report.our_id)
        if DeletedJob.look_again(code):
            return _record(envelope, "ignored: deleted")
    except ValueError:
        pass
    if timezone.now() - envelope.timestamp < UNKNOWN_JOB_WAITS:
        return _later()
    logger.warning("notice %s: engine job %s is not ours", envelope.message_id, report.engine_id)
    return HttpResponse("No such job.", status=400)


def _confirm_subscription(envelope: Envelope) -> HttpResponse:
    """Confirm through the API, once; the URL in the body is never opened."""
    ours = ReceivedNotice.objects.filter(topic_arn=envelope.topic_arn)
    last = ours.filter(outcome__in=["confirmed", "unsubscribed"]).order_by("-pk").first()
    if last and last.outcome == "confirmed":
        logger.error("topic %s: asked to confirm our subscription again", envelope.topic_arn)
        return _record(envelope, "already confirmed")
    answer = deliver.confirm(envelope.topic_arn, envelope.token)
    if answer.delivered:
        logger.info("topic %s: subscription confirmed", envelope.topic_arn)
        return _record(envelope, "confirmed")
    logger.error("topic %s: not confirmed: %s", envelope.topic_arn, answer.text)
    return _later() if answer.repeat else HttpResponse("Refused.", status=403)


def _record(
    envelope: Envelope,
    outcome: str,
    job: TranscodeJob | None = None,
    report: JobReport | None = None,
    dropped: Sequence[IntakeObject] = (),
) -> HttpResponse:
    seen = settling.look(job, report) if job is not None and report is not None else None
    try:
        with transaction.atomic():
            ReceivedNotice.objects.create(
                message_id=envelope.message_id,
                topic_arn=envelope.topic_arn,
                message=envelope.message.replace("\0", "")
                if envelope.type == "Notification"
                else "",
                outcome=outcome,
            )
            if job is not None and seen is not None:
                settling.record(job, seen)
            if dropped:
                intake.record(dropped)
    except IntegrityError:
        pass  # the same message, at the same moment: the other delivery has recorded it
    return HttpResponse()


def _later() -> HttpResponse:
    return HttpResponse("Not now.", status=503, headers={"Retry-After": "5"})


@functools.cache
def _verifier() -> Verifier:
    sns_keys.ensure(settings.SNS_KEY_FILE, settings.SNS_CERTIFICATE_FILE)
    own = settings.SNS_CERTIFICATE_FILE.read_bytes()
    return Verifier(
        topics=settings.SNS_TOPIC_ARN,
        signature_versions=settings.SNS_SIGNATURE_VERSIONS,
        certificates=certificates.Certificates(),
        own_certificates=dict.fromkeys(settings.TRANSCODER_TOPICS, own),
    )


class _OncePerMinute:
    """Forged messages may come by the thousand; the log gets one line a minute, with a count."""

    def __init__(self) -> None:
        self.silent_until = 0.0
        self.unlogged = 0

    def __call__(self, error: Exception) -> None:
        now = time.monotonic()
        if now < self.silent_until:
            self.unlogged += 1
            return
        logger.warning("notice refused: %s (%d more since the last line)", error, self.unlogged)
        self.silent_until, self.unlogged = now + 60, 0


_log_refusal = _OncePerMinute()
