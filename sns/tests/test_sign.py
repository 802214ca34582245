import json
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sns.certificates import Certificates
from sns.sign import Signer
from sns.tests import amazon
from sns.tests.conftest import NOW, TOPIC
from sns.verify import Verifier


@pytest.fixture(scope="session")
def own_verifier(certificate_pem):
    return Verifier([TOPIC], ["2"], Certificates(amazon.Host()), {TOPIC: certificate_pem})


def test_the_body_has_exactly_the_members_of_sns_in_their_order(signed):
    document = json.loads(signed().body)

    assert list(document) == [
        "Type",
        "MessageId",
        "TopicArn",
        "Subject",
        "Message",
        "Timestamp",
        "SignatureVersion",
        "Signature",
        "SigningCertURL",
        "UnsubscribeURL",
    ]
    assert document["Type"] == "Notification"
    assert document["Timestamp"] == "2026-03-02T10:15:31.204Z"
    assert document["SignatureVersion"] == "2"
    assert all(isinstance(value, str) for value in document.values())


def test_letters_beyond_ascii_travel_as_utf_8(signed):
    assert "é".encode() in signed(message="é").body


def test_the_addresses_in_the_body_have_the_form_of_sns(signed):
    document = json.loads(signed().body)

    start = "https://sns.eu-west-1.amazonaws.com/"
    name = document["SigningCertURL"].removeprefix(f"{start}SimpleNotificationService-")
    assert len(name) == len("0123456789abcdef0123456789abcdef.pem")
    int(name.removesuffix(".pem"), 16)
    assert document["UnsubscribeURL"].startswith(
        f"{start}?Action=Unsubscribe&SubscriptionArn={TOPIC}:"
    )


def test_the_headers_are_those_of_sns(signed):
    headers = signed().headers

    subscription_arn = headers.pop("x-amz-sns-subscription-arn")
    assert headers == {
        "Content-Type": "text/plain; charset=UTF-8",
        "User-Agent": "Amazon Simple Notification Service Agent",
        "x-amz-sns-message-type": "Notification",
        "x-amz-sns-message-id": "5b6f2c1e-41d3-5c0e-9a8b-7f3e21d0aa01",
        "x-amz-sns-topic-arn": TOPIC,
    }
    assert uuid.UUID(subscription_arn.removeprefix(f"{TOPIC}:"))


@pytest.mark.parametrize("subject", [None, ""])
def test_a_message_without_subject_has_no_such_member_and_verifies(signed, own_verifier, subject):
    message = signed(subject=subject)

    assert "Subject" not in json.loads(message.body)
    assert own_verifier.verify(*message, NOW).subject is None


def test_a_repeat_is_the_same_to_the_byte(signed):
    assert signed() == signed()


def test_each_subscriber_has_a_subscription_of_its_own(signed):
    one = signed(subscriber="http://a.test/").headers["x-amz-sns-subscription-arn"]
    other = signed(subscriber="http://b.test/").headers["x-amz-sns-subscription-arn"]

    assert one != other


def test_times_of_other_zones_are_written_in_utc_and_cut_to_milliseconds(signed):
    timestamp = datetime(2026, 3, 2, 12, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))

    assert json.loads(signed(timestamp=timestamp).body)["Timestamp"] == "2026-03-02T10:00:00.999Z"


def test_a_time_without_zone_and_a_topic_that_is_none_are_errors(signed):
    with pytest.raises(ValueError, match="zone"):
        signed(timestamp=datetime(2026, 3, 2))
    with pytest.raises(ValueError, match="topic"):
        signed(topic_arn="transcodes")


def test_a_key_and_a_certificate_that_do_not_belong_together_are_refused(key_files):
    with pytest.raises(ValueError, match="certificate"):
        Signer(key_files[0].read_bytes(), amazon.certificate())


@given(
    message=st.text('aé\n\r"\\ \x00\x7f\u2028\U0001f3b5', max_size=30),
    subject=st.none() | st.text("aé \n", max_size=10),
    timestamp=st.datetimes(
        datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(NOW.tzinfo)
    ),
)
def test_whatever_is_signed_verifies_and_reads_the_same(
    signer, own_verifier, message, subject, timestamp
):
    message_id = uuid.UUID(int=7)
    post = signer.notification(
        topic_arn=TOPIC,
        message=message,
        subject=subject,
        message_id=message_id,
        timestamp=timestamp,
        subscriber="http://a.test/",
    )

    read = own_verifier.verify(*post, timestamp)
    assert (read.message, read.subject or None) == (message, subject or None)
    assert read.message_id == str(message_id)
    assert abs(read.timestamp - timestamp) < timedelta(milliseconds=1)
