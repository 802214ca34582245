import json
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sns import wire
from sns.certificates import Certificates
from sns.errors import CertificateUnavailable, Malformed, Refused, SnsError
from sns.tests import amazon
from sns.tests.conftest import NOW, TOPIC
from sns.verify import Verifier

PUBLISHED = amazon.published()
NAMES = [f"{i}-{m['Type']}-{m['SignatureVersion']}" for i, (m, _) in enumerate(PUBLISHED)]


def verifier(host, *, topics=(amazon.TOPIC,), versions=("1", "2"), own=None):
    return Verifier(topics, versions, Certificates(host), own)


def verified(message, pem):
    """Verify a published message in its own time, with the certificate that came with it."""
    checker = verifier(amazon.host_with(pem), topics=[message["TopicArn"]])
    return checker.verify(
        json.dumps(message).encode(), {}, datetime.fromisoformat(message["Timestamp"])
    )


def reason_of(checker, body, now=amazon.NOW, headers=None):
    with pytest.raises(SnsError) as refusal:
        checker.verify(body, headers or {}, now)
    return type(refusal.value), refusal.value.reason


def test_all_fifteen_published_messages_are_here():
    assert len(PUBLISHED) == 15
    assert Counter(message["SignatureVersion"] for message, _ in PUBLISHED) == {"1": 9, "2": 6}


@pytest.mark.parametrize(("message", "pem"), PUBLISHED, ids=NAMES)
def test_a_message_that_amazon_signed_is_accepted_in_its_own_time(message, pem):
    accepted = verified(message, pem)

    assert accepted.message_id == message["MessageId"]
    assert accepted.message == message["Message"]


SIGNED_TEXTS = {
    "Notification": ("Message", "MessageId", "Subject"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Token"),
}


@pytest.mark.parametrize(
    ("message", "pem", "field"),
    [
        pytest.param(message, pem, field, id=f"{name}-{field}")
        for (message, pem), name in zip(PUBLISHED, NAMES, strict=True)
        for field in SIGNED_TEXTS[message["Type"]]
    ],
)
def test_n7_any_one_signed_text_changed_is_refused(message, pem, field):
    with pytest.raises(Refused) as refusal:
        verified({**message, field: message.get(field, "") + "x"}, pem)
    assert refusal.value.reason == "signature"


@pytest.mark.parametrize(("message", "pem"), PUBLISHED, ids=NAMES)
def test_n7_a_changed_timestamp_is_refused(message, pem):
    later = datetime.fromisoformat(message["Timestamp"]) + timedelta(milliseconds=1)
    changed = {**message, "Timestamp": later.isoformat(timespec="milliseconds")[:-6] + "Z"}

    with pytest.raises(Refused) as refusal:
        verified(changed, pem)
    assert refusal.value.reason == "signature"


@pytest.mark.parametrize(("message", "pem"), PUBLISHED, ids=NAMES)
def test_n7_a_changed_topic_is_refused_even_when_it_is_listed(message, pem):
    changed = {**message, "TopicArn": message["TopicArn"] + "x"}

    with pytest.raises(Refused) as refusal:
        verified(changed, pem)
    assert refusal.value.reason == "signature"


@pytest.mark.parametrize(("message", "pem"), PUBLISHED, ids=NAMES)
def test_n7_a_changed_type_is_refused(message, pem):
    # What the other type needs is filled in: the signature alone stands against it.
    other = (
        {"Type": "UnsubscribeConfirmation"}
        if message["Type"] != "Notification"
        else {"Type": "SubscriptionConfirmation", "Token": "t", "SubscribeURL": "https://x/"}
    )

    with pytest.raises(Refused) as refusal:
        verified({**message, **other}, pem)
    assert refusal.value.reason == "signature"


def test_n7_a_subject_taken_away_is_refused():
    message, pem = next((m, pem) for m, pem in PUBLISHED if "Subject" in m)

    with pytest.raises(Refused):
        verified({key: value for key, value in message.items() if key != "Subject"}, pem)


def test_n7_a_border_between_two_fields_moved_by_newlines_is_refused():
    body = amazon.signed(amazon.notification(Message="a", Subject="s\nTimestamp\nb"))
    moved = {**json.loads(body), "Message": "a\nMessageId\n5b6f2c1e-41d3-5c0e-9a8b-7f3e21d0aa01"}
    checker = verifier(amazon.host_with(amazon.certificate()))

    assert checker.verify(body, {}, amazon.NOW).subject == "s\nTimestamp\nb"
    assert reason_of(checker, json.dumps(moved).encode()) == (Refused, "signature")


@pytest.mark.parametrize("index", [4, 6])
def test_a_message_as_lambda_functions_get_it_is_malformed(index):
    path = Path(__file__).parent / "data" / "sns-vectors.json"
    message = json.loads(path.read_text())["vectors"][index]["message"]
    checker = verifier(amazon.Host(), topics=[message["TopicArn"]])

    assert reason_of(checker, json.dumps(message).encode()) == (Malformed, "lambda_spelling")


def test_n6_a_signature_that_is_none_is_refused():
    checker = verifier(amazon.host_with(amazon.certificate()))

    for signature in ("", "no base64!", "é", "AAAA", "A" * 344, "AAA"):
        body = json.dumps(amazon.notification(Signature=signature)).encode()
        kind, reason = reason_of(checker, body)
        assert kind is Refused
        assert reason in ("signature", "signature_form")


@pytest.mark.parametrize("junk", ["!", "\n", " "])
def test_n6_a_right_signature_with_junk_in_it_is_refused(junk):
    message = json.loads(amazon.signed(amazon.notification()))
    message["Signature"] = message["Signature"][:4] + junk + message["Signature"][4:]
    checker = verifier(amazon.host_with(amazon.certificate()))

    assert reason_of(checker, json.dumps(message).encode()) == (Refused, "signature_form")


def test_n6_the_signature_of_another_key_is_refused():
    checker = verifier(amazon.host_with(amazon.certificate()))
    body = amazon.signed(amazon.notification(), amazon.key(3072))

    assert reason_of(checker, body) == (Refused, "signature")


def test_n8_unsigned_parts_decide_nothing():
    body = amazon.signed(amazon.notification())
    changed = {
        **json.loads(body),
        "UnsubscribeURL": "https://evil.test/",
        "MessageAttributes": {"state": {"Type": "String", "Value": "ERROR"}},
        "Other": [1, 2],
    }
    headers = {"User-Agent": "curl", "x-amz-sns-subscription-arn": "arn:aws:sns:evil"}
    checker = verifier(amazon.host_with(amazon.certificate()))

    assert checker.verify(json.dumps(changed).encode(), headers, amazon.NOW) == checker.verify(
        body, {}, amazon.NOW
    )


@pytest.mark.parametrize("version", ["3", "", "01", "1 ", " 2", "\u0661", 1, 2, None, [], "absent"])
def test_n9_other_signature_versions_are_refused(version):
    message = {**json.loads(amazon.signed(amazon.notification())), "SignatureVersion": version}
    if version == "absent":
        del message["SignatureVersion"]
    host = amazon.host_with(amazon.certificate())

    assert reason_of(verifier(host), json.dumps(message).encode()) == (
        Refused,
        "signature_version",
    )
    assert host.asked == []


def test_n9_one_and_two_are_both_right_and_one_can_be_switched_off():
    first = amazon.signed(amazon.notification(SignatureVersion="1"))
    second = amazon.signed(amazon.notification(SignatureVersion="2"))
    host = amazon.host_with(amazon.certificate())

    for body in (first, second):
        assert verifier(host).verify(body, {}, amazon.NOW)
    strict = verifier(host, versions=["2"])
    assert strict.verify(second, {}, amazon.NOW)
    assert reason_of(strict, first) == (Refused, "signature_version")


def test_n9_a_version_that_does_not_fit_the_signature_is_refused():
    body = amazon.signed(amazon.notification(SignatureVersion="1"))
    relabelled = json.dumps({**json.loads(body), "SignatureVersion": "2"}).encode()
    checker = verifier(amazon.host_with(amazon.certificate()))

    assert reason_of(checker, relabelled) == (Refused, "signature")


def test_n9_a_version_we_do_not_know_cannot_be_switched_on():
    with pytest.raises(ValueError, match="3"):
        verifier(amazon.host_with(b""), versions=["2", "3"])


@pytest.mark.parametrize(
    "url",
    [
        "",
        amazon.URL.replace("https", "http"),
        amazon.URL.replace("amazonaws.com", "amazonaws.com.evil.test"),
        amazon.URL.replace("amazonaws.com", "amazonaws.com."),
        amazon.URL.replace("amazonaws.com", "amazonaws.com.cn"),
        amazon.URL.replace("amazonaws.com", "amazonaws.com@evil.test"),
        amazon.URL.replace("amazonaws.com", "amazonaws.com:8443"),
        amazon.URL.replace("amazonaws.com", "amazonaws.com:0443"),
        amazon.URL.replace("amazonaws.com", "amazonaws.com\\@evil.test"),
        amazon.URL.replace("https://", "https://evil.test@"),
        amazon.URL.replace("https://", "https://evil.test/"),
        amazon.URL.replace("https://", "https:///"),
        amazon.URL.replace("https://", "//"),
        amazon.URL.replace("https://", " https://"),
        amazon.URL.replace("https://", "ht\ntps://"),
        amazon.URL.replace("sns.eu-west-1", "bucket.s3.eu-west-1"),
        amazon.URL.replace("sns.eu-west-1", "sns.us-east-1"),
        amazon.URL.replace("sns.eu-west-1", "sns.evil.eu-west-1"),
        amazon.URL.replace("sns.eu-west-1", "sns"),
        amazon.URL.replace("eu-west-1", "eu-we\u017ft-1"),
        amazon.URL.replace(".com/", ".com/other/"),
        amazon.URL.replace(".com/", ".com/../"),
        amazon.URL.replace(".com/", ".com//"),
        amazon.URL.replace(".pem", ".pem.html"),
        amazon.URL.replace(".pem", ".crt"),
        amazon.URL.replace("Simple", "%53imple"),
        amazon.URL.replace("0123456789abcdef.", "0123456789abcde."),
        amazon.URL + "?",
        amazon.URL + "?x=1",
        amazon.URL + "#x",
        amazon.URL + ";x",
        amazon.URL + "\n",
        "https://sns.eu-west-1.amazonaws.com/?x=" + amazon.URL[35:],
        "file:///etc/passwd",
    ],
)
def test_n10_another_certificate_address_is_refused_and_nothing_is_asked(url):
    host = amazon.host_with(amazon.certificate())
    body = amazon.signed(amazon.notification(SigningCertURL=url))

    assert reason_of(verifier(host), body) == (Refused, "certificate_url")
    assert host.asked == []


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1"])
def test_other_partitions_have_their_own_hosts(region):
    partition, end = ("aws-cn", "com.cn") if region.startswith("cn") else ("aws-us-gov", "com")
    topic = f"arn:{partition}:sns:{region}:111122223333:events"
    url = f"https://sns.{region}.amazonaws.{end}/SimpleNotificationService-{'a' * 32}.pem"
    body = amazon.signed(amazon.notification(TopicArn=topic, SigningCertURL=url))
    host = amazon.host_with(amazon.certificate(names=[f"sns.{region}.amazonaws.{end}"]))

    assert verifier(host, topics=[topic]).verify(body, {}, amazon.NOW)
    assert host.asked == [url]


@pytest.mark.parametrize(
    "topic",
    [
        "arn:aws:sns:eu-west-1:111122223333:other",
        "arn:aws:sns:eu-west-1:999999999999:app-transcoder-events",
        "arn:aws:sns:us-east-1:111122223333:app-transcoder-events",
        amazon.TOPIC + " ",
        amazon.TOPIC.upper(),
        "",
    ],
)
def test_n14_a_well_signed_message_of_another_topic_is_refused(topic):
    host = amazon.host_with(amazon.certificate())
    body = amazon.signed(amazon.notification(TopicArn=topic))

    assert reason_of(verifier(host), body) == (Refused, "topic")
    assert host.asked == []


def test_n14_the_topic_is_looked_at_before_anything_else():
    message = amazon.notification(
        TopicArn="arn:aws:sns:eu-west-1:111122223333:other",
        SignatureVersion="9",
        Timestamp="yesterday",
        SigningCertURL="https://evil.test/",
        Signature="",
    )

    assert reason_of(verifier(amazon.Host()), json.dumps(message).encode()) == (Refused, "topic")


def test_the_checks_come_in_the_order_of_their_cost():
    bad = {
        "SignatureVersion": "9",
        "Timestamp": "2020-03-02T10:15:31.204Z",
        "SigningCertURL": "https://evil.test/",
    }
    seen = []
    for repaired in ((), ("SignatureVersion",), ("SignatureVersion", "Timestamp")):
        changes = {key: value for key, value in bad.items() if key not in repaired}
        body = json.dumps(amazon.notification(**changes)).encode()
        seen.append(reason_of(verifier(amazon.Host()), body)[1])

    assert seen == ["signature_version", "timestamp", "certificate_url"]


def test_n15_a_confirmation_is_verified_like_any_message_and_its_address_never_opened():
    evil = "https://evil.test/?Action=ConfirmSubscription"
    host = amazon.host_with(amazon.certificate())

    message = verifier(host).verify(
        amazon.signed(amazon.confirmation(SubscribeURL=evil)), {}, amazon.NOW
    )

    assert message.token == "2336412f37"
    assert host.asked == [amazon.URL]


def test_n15_a_confirmation_for_another_topic_is_refused():
    body = amazon.signed(amazon.confirmation(TopicArn="arn:aws:sns:eu-west-1:111122223333:other"))

    assert reason_of(verifier(amazon.Host()), body) == (Refused, "topic")


@pytest.mark.parametrize(
    "age",
    [timedelta(0), timedelta(hours=1), timedelta(hours=2), timedelta(minutes=-15)],
    ids=str,
)
def test_n16_amazons_messages_are_accepted_two_hours_back_and_15_minutes_ahead(age):
    body = amazon.signed(amazon.notification())

    checker = verifier(amazon.host_with(amazon.certificate()))
    assert checker.verify(body, {}, amazon.NOW + age)


@pytest.mark.parametrize(
    "age",
    [timedelta(hours=2, seconds=1), timedelta(days=7), timedelta(minutes=-15, seconds=-1)],
    ids=str,
)
def test_n16_amazons_messages_are_refused_outside_of_that(age):
    host = amazon.host_with(amazon.certificate())
    body = amazon.signed(amazon.notification())

    assert reason_of(verifier(host), body, amazon.NOW + age) == (Refused, "timestamp")
    assert host.asked == []


def test_n16_a_timestamp_that_is_none_is_refused():
    body = json.dumps(amazon.notification(Timestamp="yesterday")).encode()

    assert reason_of(verifier(amazon.Host()), body) == (Refused, "timestamp_form")


@pytest.mark.parametrize(
    ("age", "accepted"),
    [
        (timedelta(days=3), True),
        (timedelta(days=3, seconds=1), False),
        (timedelta(minutes=-15), True),
        (timedelta(minutes=-16), False),
    ],
    ids=str,
)
def test_n16_our_own_messages_are_accepted_three_days_back(signed, certificate_pem, age, accepted):
    checker = verifier(amazon.Host(), topics=[TOPIC], own={TOPIC: certificate_pem})
    body, headers = signed()

    if accepted:
        assert checker.verify(body, headers, NOW + age)
    else:
        assert reason_of(checker, body, NOW + age) == (Refused, "timestamp")


def test_our_own_topic_is_checked_with_the_pinned_key_and_nothing_is_asked(signed, certificate_pem):
    host = amazon.Host()
    checker = verifier(host, topics=[TOPIC], own={TOPIC: certificate_pem})
    body, headers = signed()
    elsewhere = {**json.loads(body), "SigningCertURL": "https://evil.test/"}

    assert checker.verify(body, headers, NOW).subject == "A job is done"
    assert checker.verify(json.dumps(elsewhere).encode(), headers, NOW)
    assert host.asked == []


def test_our_own_topic_does_not_take_amazons_signature(certificate_pem):
    host = amazon.host_with(amazon.certificate())
    checker = verifier(host, own={amazon.TOPIC: certificate_pem})

    assert reason_of(checker, amazon.signed(amazon.notification())) == (Refused, "signature")
    assert host.asked == []


def test_our_own_key_does_not_sign_for_amazons_topics(signed, certificate_pem):
    checker = verifier(
        amazon.host_with(amazon.certificate()),
        topics=[TOPIC, amazon.TOPIC],
        own={TOPIC: certificate_pem},
    )
    body, headers = signed(topic_arn=amazon.TOPIC)
    forged = json.dumps({**json.loads(body), "SigningCertURL": amazon.URL}).encode()

    assert reason_of(checker, forged, NOW, headers) == (Refused, "signature")


def test_a_pinned_topic_that_is_not_listed_is_refused(signed, certificate_pem):
    checker = verifier(amazon.Host(), own={TOPIC: certificate_pem})
    body, headers = signed()

    assert reason_of(checker, body, NOW, headers) == (Refused, "topic")


def test_a_pinned_certificate_that_is_none_is_an_error_at_the_start():
    for pem in (b"", b"nonsense", amazon.certificate(amazon.key(1024))):
        with pytest.raises(ValueError, match="not usable"):
            verifier(amazon.Host(), own={TOPIC: pem})


def test_n12_a_silent_certificate_host_is_no_refusal_and_the_next_message_works():
    host = amazon.Host(TimeoutError())
    checker = verifier(host)
    body = amazon.signed(amazon.notification())

    assert reason_of(checker, body)[0] is CertificateUnavailable
    host.otherwise = wire.Reply(200, amazon.certificate())
    assert checker.verify(body, {}, amazon.NOW)


def test_n13_fifty_messages_at_once_fetch_a_new_certificate_once():
    def slow(url):
        time.sleep(0.1)
        return host(url)

    host = amazon.host_with(amazon.certificate())
    checker = verifier(slow)
    body = amazon.signed(amazon.notification())

    with ThreadPoolExecutor(50) as pool:
        messages = list(pool.map(lambda _: checker.verify(body, {}, amazon.NOW), range(50)))

    assert len({message.message_id for message in messages}) == 1
    assert host.asked == [amazon.URL]


def test_n17_the_same_message_again_is_as_genuine_as_before():
    checker = verifier(amazon.host_with(amazon.certificate()))
    body = amazon.signed(amazon.notification())

    first = checker.verify(body, {}, amazon.NOW)
    assert checker.verify(body, {}, amazon.NOW + timedelta(hours=1)) == first


def test_n26_a_thousand_forged_messages_cost_little_and_real_ones_still_pass():
    host = amazon.Host(wire.Reply(404, b""), {amazon.URL: wire.Reply(200, amazon.certificate())})
    checker = verifier(host)
    real = amazon.signed(amazon.notification())
    checker.verify(real, {}, amazon.NOW)
    forged = [
        amazon.notification(Signature="AAAA", TopicArn="arn:aws:sns:eu-west-1:111122223333:x"),
        amazon.notification(Signature="AAAA", SigningCertURL="https://evil.test/x.pem"),
        amazon.notification(Signature="AAAA", Timestamp="2020-03-02T10:15:31.204Z"),
        amazon.notification(Signature="AAAA"),
    ]
    bodies = [json.dumps(message).encode() for message in forged] + [b"nonsense"]

    started = time.process_time()
    for body in bodies * 200:
        with pytest.raises((Refused, Malformed)):
            checker.verify(body, {}, amazon.NOW)
    cpu_s = time.process_time() - started

    assert checker.verify(real, {}, amazon.NOW)
    assert host.asked == [amazon.URL]
    assert cpu_s < 1


def test_a_message_is_verified_in_less_than_a_millisecond():
    checker = verifier(amazon.host_with(amazon.certificate()))
    body = amazon.signed(amazon.notification())
    checker.verify(body, {}, amazon.NOW)

    times_s = []
    for _ in range(200):
        started = time.perf_counter()
        checker.verify(body, {}, amazon.NOW)
        times_s.append(time.perf_counter() - started)

    assert statistics.median(times_s) < 0.001
