import time
from datetime import timedelta

import pytest

from sns import wire
from sns.certificates import MAX_BYTES, Certificates, fetch
from sns.errors import CertificateUnavailable, Malformed, Refused, SnsError
from sns.tests import amazon
from sns.tests.server import Server, says, silent

DAY = timedelta(days=1)


def url(number):
    return amazon.URL.replace("0123456789abcdef0123456789abcdef", f"{number:032x}")


def ask(certificates, address=amazon.URL, now=amazon.NOW):
    return certificates.public_key(address, amazon.TOPIC, now)


def problem_of(certificates, address=amazon.URL, now=amazon.NOW):
    with pytest.raises(SnsError) as problem:
        ask(certificates, address, now)
    return type(problem.value), problem.value.reason


def test_a_certificate_is_fetched_once_and_its_key_given():
    host = amazon.host_with(amazon.certificate())
    certificates = Certificates(host)

    for _ in range(3):
        assert ask(certificates) == amazon.key().public_key()
    assert host.asked == [amazon.URL]


def test_the_same_address_in_other_letters_or_with_its_port_is_the_same_certificate():
    host = amazon.host_with(amazon.certificate())
    certificates = Certificates(host)

    ask(certificates)
    ask(certificates, amazon.URL.replace("sns.eu", "SNS.EU"))
    ask(certificates, amazon.URL.replace(".com/", ".com:443/"))
    assert host.asked == [amazon.URL]


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        (b"", "certificate_form"),
        (b"<html><body>Not found</body></html>", "certificate_form"),
        (amazon.certificate() + amazon.certificate(), "certificate_form"),
        (b"text before\n" + amazon.certificate(), "certificate_form"),
        (amazon.certificate()[:400], "certificate_form"),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "certificate_form",
        ),
        (amazon.certificate(amazon.curve_key()), "certificate_key"),
        (amazon.certificate(amazon.key(1024)), "certificate_key"),
        (amazon.certificate(not_after=amazon.NOW - timedelta(seconds=1)), "certificate_dates"),
        (amazon.certificate(not_before=amazon.NOW + timedelta(seconds=1)), "certificate_dates"),
        (amazon.certificate(names=["evil.test"]), "certificate_name"),
        (amazon.certificate(names=["sns.amazonaws.com.evil.test"]), "certificate_name"),
        (amazon.certificate(names=["*.amazonaws.com"]), "certificate_name"),
        (amazon.certificate(names=["sns.us-east-1.amazonaws.com"]), "certificate_name"),
        (amazon.certificate(names=[]), "certificate_name"),
        (amazon.certificate(issuer="Let's Encrypt"), "certificate_issuer"),
        (amazon.certificate(issuer="Amazon Fakes"), "certificate_issuer"),
        (amazon.certificate(issuer=None), "certificate_issuer"),
        (amazon.certificate(issuer="Symantec Corporation"), "certificate_issuer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_n11_a_certificate_that_is_not_one_of_snss_is_refused_and_not_kept(pem, reason):
    host = amazon.host_with(pem)
    certificates = Certificates(host)

    assert problem_of(certificates) == (Refused, reason)
    host.otherwise = wire.Reply(200, amazon.certificate())
    assert ask(certificates) == amazon.key().public_key()


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_n11_a_certificate_that_is_absent_is_refused(status):
    host = amazon.Host(wire.Reply(status, b"absent"))

    assert problem_of(Certificates(host)) == (Refused, "certificate_absent")


@pytest.mark.parametrize("name", ["sns.amazonaws.com", "sns.eu-west-1.amazonaws.com"])
def test_the_general_and_the_regions_name_are_both_right(name):
    certificates = Certificates(amazon.host_with(amazon.certificate(names=["x.test", name])))

    assert ask(certificates)


@pytest.mark.parametrize(
    "answer",
    [
        TimeoutError(),
        ConnectionRefusedError(),
        wire.NoAnswer("the name is not known"),
        wire.Reply(500, b""),
        wire.Reply(503, b""),
        wire.Reply(429, b""),
        wire.Reply(408, b""),
        wire.Reply(204, b""),
        wire.Reply(200, amazon.certificate()[:500], whole=False),
    ],
    ids=lambda answer: repr(answer)[:40],
)
def test_n12_a_host_that_does_not_answer_is_asked_again_for_the_next_message(answer):
    host = amazon.Host(answer)
    certificates = Certificates(host)

    assert problem_of(certificates)[0] is CertificateUnavailable
    host.otherwise = wire.Reply(200, amazon.certificate())
    assert ask(certificates) == amazon.key().public_key()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (wire.Reply(301, b""), "certificate_redirect"),
        (wire.Reply(302, amazon.certificate()), "certificate_redirect"),
        (wire.Reply(200, b"x" * (MAX_BYTES + 1)), "certificate_size"),
        (wire.Reply(200, amazon.certificate() + b"\n" * MAX_BYTES), "certificate_size"),
    ],
)
def test_n12_a_redirect_and_a_huge_answer_are_malformed(answer, reason):
    host = amazon.Host(answer)
    certificates = Certificates(host)

    assert problem_of(certificates) == (Malformed, reason)
    host.otherwise = wire.Reply(200, amazon.certificate())
    assert ask(certificates) == amazon.key().public_key()


def test_n12_a_real_host_is_read_up_to_the_cap_and_not_followed():
    with Server(says("200 OK", b"x" * 10_000_000)) as huge:
        certificates = Certificates(lambda _: fetch(huge.url))
        assert problem_of(certificates) == (Malformed, "certificate_size")
    with Server(says("302 Found", headers=f"Location: {amazon.URL}\r\n")) as elsewhere:
        certificates = Certificates(lambda _: fetch(elsewhere.url))
        assert problem_of(certificates) == (Malformed, "certificate_redirect")


def test_n12_a_real_host_that_is_silent_costs_no_more_than_the_limit(monkeypatch):
    monkeypatch.setattr("sns.certificates.FETCH_TIMEOUT_S", 0.3)
    with Server(silent) as server:
        started = time.monotonic()
        problem = problem_of(Certificates(lambda _: fetch(server.url)))
    assert problem == (CertificateUnavailable, "certificate_no_answer")
    assert time.monotonic() - started < 1.5


def test_n13_a_thousand_addresses_cost_ten_requests_a_minute_and_known_ones_still_work():
    host = amazon.Host(wire.Reply(404, b""), {amazon.URL: wire.Reply(200, amazon.certificate())})
    certificates = Certificates(host)
    ask(certificates)

    seen = [problem_of(certificates, url(number))[0] for number in range(1000)]

    assert seen == [Refused] * 10 + [CertificateUnavailable] * 990
    assert len(host.asked) == 11
    assert ask(certificates)
    later = amazon.NOW + timedelta(minutes=1)
    assert problem_of(certificates, url(1001), later)[0] is Refused


def test_n13_one_address_is_not_asked_for_without_end_either():
    host = amazon.Host(wire.Reply(503, b""))
    certificates = Certificates(host)

    for _ in range(1000):
        problem_of(certificates)
    assert len(host.asked) == 30


def test_n13_at_most_ten_certificates_are_kept_those_used_last():
    host = amazon.host_with(amazon.certificate())
    certificates = Certificates(host)

    for number in range(11):
        ask(certificates, url(number), amazon.NOW + number * timedelta(minutes=1))
        ask(certificates, url(0), amazon.NOW + number * timedelta(minutes=1))
    assert len(host.asked) == 11
    host.asked.clear()

    later = amazon.NOW + timedelta(minutes=20)
    ask(certificates, url(0), later)
    assert host.asked == []
    ask(certificates, url(1), later)
    assert host.asked == [url(1)]


def test_a_certificate_is_fetched_again_after_a_day():
    host = amazon.host_with(amazon.certificate())
    certificates = Certificates(host)

    ask(certificates)
    ask(certificates, now=amazon.NOW + DAY - timedelta(seconds=1))
    assert len(host.asked) == 1
    ask(certificates, now=amazon.NOW + DAY)
    assert len(host.asked) == 2


def test_a_kept_certificate_is_not_used_after_its_end():
    host = amazon.host_with(amazon.certificate(not_after=amazon.NOW + timedelta(hours=1)))
    certificates = Certificates(host)

    ask(certificates)
    assert problem_of(certificates, now=amazon.NOW + timedelta(hours=2)) == (
        Refused,
        "certificate_dates",
    )
    host.otherwise = wire.Reply(200, amazon.certificate())
    assert ask(certificates, now=amazon.NOW + timedelta(hours=2))


def test_a_known_certificate_is_renewed_even_when_unknown_addresses_are_at_their_limit():
    host = amazon.Host(wire.Reply(404, b""), {amazon.URL: wire.Reply(200, amazon.certificate())})
    certificates = Certificates(host)
    ask(certificates)
    for number in range(20):
        problem_of(certificates, url(number), amazon.NOW + DAY)

    assert ask(certificates, now=amazon.NOW + DAY)


def test_an_address_is_judged_before_anything_is_asked():
    host = amazon.host_with(amazon.certificate())

    for topic in ("no arn", "arn:aws-iso:sns:us-iso-east-1:111122223333:t", amazon.TOPIC + ".fifo"):
        with pytest.raises(Refused) as refusal:
            Certificates(host).public_key(amazon.URL, topic, amazon.NOW)
        assert refusal.value.reason == "certificate_url"
    assert host.asked == []
