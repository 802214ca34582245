import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sns import envelope
from sns.errors import Malformed, Refused, SnsError
from sns.tests import amazon


def parsed(message, headers=None):
    return envelope.parse(json.dumps(message).encode(), headers or {})


def without(message, key):
    return {name: value for name, value in message.items() if name != key}


def test_a_notification_is_read():
    message = parsed(amazon.notification(MessageAttributes={"k": {"Type": "String", "Value": "v"}}))

    assert message.type == envelope.NOTIFICATION
    assert message.topic_arn == amazon.TOPIC
    assert message.subject == "A job is done"
    assert message.timestamp == amazon.NOW
    assert message.token is None


def test_a_confirmation_is_read():
    message = parsed(amazon.confirmation())

    assert message.type == envelope.SUBSCRIPTION_CONFIRMATION
    assert message.token == "2336412f37"
    assert message.subject is None


def test_the_signed_text_of_a_notification_ends_with_a_newline():
    message = parsed(amazon.notification(Message="two\nlines é", Subject=""))

    assert (
        envelope.string_to_sign(message)
        == (
            "Message\ntwo\nlines é\nMessageId\n5b6f2c1e-41d3-5c0e-9a8b-7f3e21d0aa01\n"
            "Subject\n\nTimestamp\n2026-03-02T10:15:31.204Z\n"
            f"TopicArn\n{amazon.TOPIC}\nType\nNotification\n"
        ).encode()
    )


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_the_signed_text_of_a_confirmation_holds_token_and_address_but_no_subject(kind):
    message = parsed(amazon.confirmation(Type=kind, Subject="not signed here", Message="visit"))

    assert (
        envelope.string_to_sign(message)
        == (
            "Message\nvisit\nMessageId\n5b6f2c1e-41d3-5c0e-9a8b-7f3e21d0aa01\n"
            "SubscribeURL\nhttps://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription\n"
            "Timestamp\n2026-03-02T10:15:31.204Z\nToken\n2336412f37\n"
            f"TopicArn\n{amazon.TOPIC}\nType\n{kind}\n"
        ).encode()
    )


def test_what_may_act_or_identify_stays_out_of_the_representation():
    message = parsed(amazon.confirmation(Signature="c2VjcmV0", Message="private"))

    for secret in ("2336412f37", "c2VjcmV0", "private", "ConfirmSubscription"):
        assert secret not in repr(message)


@pytest.mark.parametrize("name", ["x-amz-sns-topic-arn", "X-Amz-Sns-Topic-Arn"])
def test_n2_a_header_that_contradicts_the_body_is_refused(name):
    other = "arn:aws:sns:eu-west-1:111122223333:other"

    with pytest.raises(Refused) as refusal:
        parsed(amazon.notification(), {name: other})
    assert refusal.value.reason == "header_contradicts_body"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-sns-message-type", "SubscriptionConfirmation"),
        ("x-amz-sns-message-id", "00000000-0000-0000-0000-000000000000"),
        ("x-amz-sns-message-type", ""),
    ],
)
def test_n2_type_and_message_id_headers_must_agree_too(name, value):
    with pytest.raises(Refused):
        parsed(amazon.notification(), {name: value})


def test_n2_headers_that_are_missing_or_agree_change_nothing():
    headers = {
        "Content-Type": "application/json",
        "X-Amz-Sns-Message-Type": "Notification",
        "X-Amz-Sns-Topic-Arn": amazon.TOPIC,
        "X-Amz-Sns-Message-Id": "5b6f2c1e-41d3-5c0e-9a8b-7f3e21d0aa01",
    }

    assert parsed(amazon.notification(), headers) == parsed(amazon.notification())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no",
        b"null",
        b"[]",
        b"17",
        b'"text"',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b'{"Type": "\xe9"}',
        b"{}",
        b'{"Type": NaN}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' + b"9" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body[:16]),
)
def test_n3_what_is_no_json_object_is_malformed(body):
    with pytest.raises(Malformed):
        envelope.parse(body, {})


def test_n4_a_body_above_one_mebibyte_is_malformed():
    body = json.dumps(amazon.notification(Message="x" * 1024 * 1024)).encode()

    with pytest.raises(Malformed) as refusal:
        envelope.parse(body, {})
    assert refusal.value.reason == "too_large"


def test_n4_the_largest_message_that_sns_takes_is_read():
    assert len(parsed(amazon.notification(Message='"' * 256 * 1024)).message) == 256 * 1024


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (make, key)
        for make in (amazon.notification, amazon.confirmation)
        for key in make()
        if key not in ("Subject", "UnsubscribeURL", "SignatureVersion")
    ],
)
def test_n5_a_missing_field_is_malformed(make, key):
    with pytest.raises(Malformed):
        parsed(without(make(), key))


@pytest.mark.parametrize("value", [None, 17, 1.5, True, [], ["text"], {}, {"Type": "String"}])
@pytest.mark.parametrize(
    ("make", "key"),
    [
        (make, key)
        for make in (amazon.notification, amazon.confirmation)
        for key in make()
        if key != "SignatureVersion"
    ],
)
def test_n5_anything_but_text_is_malformed(make, key, value):
    with pytest.raises(Malformed):
        parsed(make(**{key: value}))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Type": "Publication"}, "type"),
        ({"MessageAttributes": []}, "not_an_object"),
        ({"MessageAttributes": {"a": {"b": {"c": {"d": "e"}}}}}, "too_deep"),
        ({"Message": "half a pair \ud83d"}, "not_unicode"),
        ({"MessageId": "x" * 101}, "field_too_long"),
        ({"MessageId": "two\nlines"}, "message_id"),
        ({"MessageId": ""}, "message_id"),
        ({"SigningCertUrl": amazon.URL}, "lambda_spelling"),
        ({"SubscribeUrl": amazon.URL}, "lambda_spelling"),
        ({"UnsubscribeUrl": amazon.URL}, "lambda_spelling"),
    ],
)
def test_what_sns_would_not_write_is_malformed(changes, reason):
    with pytest.raises(Malformed) as refusal:
        parsed(amazon.notification(**changes))
    assert refusal.value.reason == reason


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_n3_numbers_that_json_does_not_have_are_malformed(constant):
    body = json.dumps(amazon.notification())[:-1] + f', "Other": {constant}}}'

    with pytest.raises(Malformed):
        envelope.parse(body.encode(), {})


@pytest.mark.parametrize("key", ["Type", "Message", "TopicArn", "Unknown"])
def test_a_key_that_stands_twice_is_malformed(key):
    text = json.dumps(amazon.notification(Unknown="x"))
    body = text[:-1] + f', "{key}": "other"}}'

    with pytest.raises(Malformed) as refusal:
        envelope.parse(body.encode(), {})
    assert refusal.value.reason == "duplicate_key"


def test_a_key_that_stands_twice_in_the_attributes_is_malformed():
    attributes = '{"k": {"Type": "String"}, "k": {"Type": "Binary"}}'
    body = json.dumps(amazon.notification())[:-1] + f', "MessageAttributes": {attributes}}}'

    with pytest.raises(Malformed):
        envelope.parse(body.encode(), {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-03-02",
        "2026-03-02T10:15:31.204",
        "2026-03-02T10:15:31.204+01:00",
        "2026-02-30T10:15:31.204Z",
        "2026-03-02T25:15:31.204Z",
        "٢026-03-02T10:15:31.204Z",
        "2026-03-02T10:15:31.204Z\n",
    ],
)
def test_a_timestamp_of_another_form_is_refused(text):
    message = parsed(amazon.notification(Timestamp=text))

    with pytest.raises(Refused) as refusal:
        _ = message.timestamp
    assert refusal.value.reason == "timestamp_form"


@pytest.mark.parametrize("content_type", ["text/plain; charset=UTF-8", "application/json"])
def test_n25_a_raw_delivery_is_malformed_whatever_its_body(content_type):
    headers = {"X-Amz-Sns-Rawdelivery": "true", "Content-Type": content_type}

    for body in (b'{"state": "COMPLETED"}', json.dumps(amazon.notification()).encode()):
        with pytest.raises(Malformed) as refusal:
            envelope.parse(body, headers)
        assert refusal.value.reason == "raw_delivery"


def test_n25_a_message_without_envelope_is_malformed_without_the_header_too():
    with pytest.raises(Malformed):
        envelope.parse(b'{"state": "COMPLETED", "jobId": "1-1"}', {})


@given(st.binary(max_size=200))
def test_n3_no_bytes_do_more_than_be_malformed(body):
    with pytest.raises(Malformed):
        envelope.parse(body, {})


TEXT = st.text("aZ0/:\n\x00é\u2028\U0001f3b5", max_size=8)
ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | TEXT
    | st.lists(TEXT, max_size=2)
    | st.dictionaries(TEXT, TEXT, max_size=2)
)


@given(
    st.sampled_from([amazon.notification(), amazon.confirmation()]),
    st.dictionaries(
        st.sampled_from([*amazon.confirmation(), "Subject", "Other"]), ANYTHING, max_size=3
    ),
)
def test_n5_no_values_do_more_than_be_refused(message, changes):
    try:
        read = parsed({**message, **changes})
    except SnsError:
        return
    assert read.type in {"Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"}
    assert envelope.string_to_sign(read).endswith(f"Type\n{read.type}\n".encode())
