"""Notices of a topic of Amazon's, through the webhook: certificates, hosts, confirmations."""

from __future__ import annotations

import json
import time
import uuid

import pytest
import time_machine

from audio_transcoder import webhook
from audio_transcoder.models import ReceivedNotice, TranscodeJob
from audio_transcoder.tests.conftest import notice_for
from audio_transcoder.tests.factories import make_job, store_results
from sns import deliver as sns_deliver
from sns import wire
from sns.certificates import Certificates
from sns.tests import amazon
from sns.verify import Verifier

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def amazons_time():
    with time_machine.travel(amazon.NOW, tick=True):
        yield


@pytest.fixture
def host(monkeypatch) -> amazon.Host:
    """Amazon's certificate host, in this process; the webhook knows one topic of Amazon's."""
    host = amazon.host_with(amazon.certificate())
    verifier = Verifier([amazon.TOPIC], ["1", "2"], Certificates(host), None)
    monkeypatch.setattr(webhook, "_verifier", lambda: verifier)
    return host


@pytest.fixture
def job(db) -> TranscodeJob:
    job = make_job()
    store_results(job)
    return job


def post(client, body: bytes):
    return client.post("/transcode-complete/", body, content_type="text/plain; charset=UTF-8")


def notice(job: TranscodeJob, **changes: str) -> bytes:
    values = {"Message": json.dumps(notice_for(job)), "MessageId": str(uuid.uuid4()), **changes}
    return amazon.signed(amazon.notification(**values))


def test_a_notice_that_amazon_signed_settles_the_job(client, host, job):
    assert post(client, notice(job)).status_code == 200
    job.refresh_from_db()
    assert job.status == "Complete"


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-" + "a" * 32 + ".pem",
        "https://evil.test/SimpleNotificationService-" + "a" * 32 + ".pem",
        "https://sns.eu-west-1.amazonaws.com.evil.test/SimpleNotificationService-x.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.test/SimpleNotificationService-x.pem",
        "https://bucket.s3.amazonaws.com/SimpleNotificationService-" + "a" * 32 + ".pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-" + "a" * 32 + ".pem",
    ],
)
def test_n10_a_foreign_certificate_address_is_403_and_nobody_is_asked(client, host, job, url):
    assert post(client, notice(job, SigningCertURL=url)).status_code == 403
    assert host.asked == []
    assert not ReceivedNotice.objects.exists()


@pytest.mark.parametrize(
    "reply",
    [
        wire.Reply(404, b""),
        wire.Reply(200, b"<html>"),
        wire.Reply(200, amazon.certificate() * 2),
        wire.Reply(200, amazon.certificate(amazon.key(1024))),
        wire.Reply(200, amazon.certificate(names=("evil.test",), common_name="evil.test")),
        wire.Reply(200, amazon.certificate(issuer="Somebody")),
    ],
    ids=["404", "page", "two", "1,024 bits", "name", "issuer"],
)
def test_n11_a_certificate_that_is_not_one_of_snss_is_403(client, host, job, reply):
    host.otherwise = reply
    assert post(client, notice(job)).status_code == 403
    job.refresh_from_db()
    assert job.status == "Submitted"


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (TimeoutError(), 503),
        (ConnectionRefusedError(), 503),
        (wire.Reply(500, b""), 503),
        (wire.Reply(302, b""), 400),
        (wire.Reply(200, b"x" * 10_000_000), 400),
    ],
    ids=["silent", "down", "500", "redirect", "huge"],
)
def test_n12_a_certificate_host_that_fails_is_answered_and_the_next_notice_works(
    client, host, job, reply, status
):
    body, good = notice(job), host.otherwise
    host.otherwise = reply
    began = time.monotonic()
    assert post(client, body).status_code == status
    assert time.monotonic() - began < 5
    assert not ReceivedNotice.objects.exists()
    host.otherwise = good
    assert post(client, body).status_code == 200
    job.refresh_from_db()
    assert job.status == "Complete"


def test_n13_a_thousand_certificate_addresses_cost_ten_requests(client, host, job):
    assert post(client, notice(job)).status_code == 200
    host.otherwise = wire.Reply(404, b"")
    for number in range(1000):
        url = f"{amazon.URL[:-36]}{number:032x}.pem"
        body = json.dumps(amazon.notification(SigningCertURL=url, Signature="AAAA"))
        assert post(client, body.encode()).status_code in (403, 503)
    assert len(host.asked) <= 12
    assert post(client, notice(job)).status_code == 200


def test_n15_a_subscription_is_confirmed_once_and_its_address_never_opened(
    client, host, monkeypatch
):
    confirmed = []

    def confirm(topic_arn: str, token: str) -> sns_deliver.Answer:
        confirmed.append((topic_arn, token))
        return sns_deliver.Answer(sns_deliver.Outcome.DELIVERED, "")

    monkeypatch.setattr(webhook.deliver, "confirm", confirm)
    for _ in range(2):
        message = amazon.confirmation(
            MessageId=str(uuid.uuid4()), SubscribeURL="https://evil.test/?Action=Confirm"
        )
        assert post(client, amazon.signed(message)).status_code == 200
    assert confirmed == [(amazon.TOPIC, "2336412f37")]
    assert host.asked == [amazon.URL]
    other = amazon.confirmation(TopicArn="arn:aws:sns:eu-west-1:111122223333:another")
    assert post(client, amazon.signed(other)).status_code == 403
    assert len(confirmed) == 1


def test_n8_what_is_not_signed_decides_nothing(client, host, job):
    body = json.loads(notice(job))
    body |= {
        "UnsubscribeURL": "https://evil.test/",
        "MessageAttributes": {"state": {"Type": "String", "Value": "ERROR"}},
    }
    assert post(client, json.dumps(body).encode()).status_code == 200
    job.refresh_from_db()
    assert job.status == "Complete"


@pytest.mark.parametrize("signature", ["", "AAAA", "no base64 !", "A" * 344])
def test_n6_a_signature_that_is_none_is_403(client, host, job, signature):
    body = json.loads(notice(job)) | {"Signature": signature}
    assert post(client, json.dumps(body).encode()).status_code in (400, 403)
    job.refresh_from_db()
    assert job.status == "Submitted"
