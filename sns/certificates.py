"""The certificates with which Amazon signs SNS messages: fetched, checked and kept.

A message names the URL of its certificate, unsigned. What makes a certificate trustworthy is
the TLS connection to the SNS host of the topic's own region; the file holds a lone leaf, so no
chain can be built from it.

Source: SNS Developer Guide, "Verifying the signatures of Amazon SNS messages".
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sns import arn, wire
from sns.errors import CertificateUnavailable, Malformed, Refused

MAX_BYTES = 16 * 1024
FETCH_TIMEOUT_S = 4.0
# For those who wait while another thread fetches the same certificate.
_WAIT_S = FETCH_TIMEOUT_S + 0.5

KEEP = timedelta(hours=24)
MAX_KEPT = 10
# Names that nobody has seen yet are any forger's to invent: so many are asked for in a minute,
# and each of them (or a known one, while its host is down) so often.
MAX_UNKNOWN_PER_MINUTE = 10
MAX_FETCHES_PER_URL_AND_MINUTE = 30
MIN_KEY_BITS = 2048

_URL_CHARACTERS = re.compile(r"[A-Za-z0-9:/._-]+")
_PATH = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{32}\.pem")
_ONE_PEM = re.compile(
    rb"\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*"
)
# Organisation that issued -> the last moment at which such a certificate may end. Symantec
# issued SNS's certificates until Amazon had a certificate authority of its own.
_ISSUERS = {
    "Amazon": datetime.max.replace(tzinfo=UTC),
    "Symantec Corporation": datetime(2017, 12, 31, tzinfo=UTC),
}

Get = Callable[[str], wire.Reply]


class _Kept(NamedTuple):
    key: RSAPublicKey
    not_before: datetime
    not_after: datetime
    fetched_at: datetime

    def is_valid(self, now: datetime) -> bool:
        return self.not_before <= now <= self.not_after

    def is_fresh(self, now: datetime) -> bool:
        return timedelta(0) <= now - self.fetched_at < KEEP and now <= self.not_after


def fetch(url: str) -> wire.Reply:
    """Return the answer to GET ``url``; raises NoAnswer. TLS verified, no redirects."""
    return wire.exchange("GET", url, timeout_s=FETCH_TIMEOUT_S, answer_bytes=MAX_BYTES + 1)


class Certificates:
    """The keys behind certificate URLs; one instance serves all threads.

    At most ten certificates are kept, each for a day or until it ends, and failures never are.
    ``get``: what asks for a URL; it raises OSError when there is no answer.
    """

    def __init__(self, get: Get = fetch) -> None:
        self._get = get
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._under_way: dict[str, Future[_Kept]] = {}
        self._fetches: deque[tuple[datetime, str]] = deque()

    def public_key(self, url: str, topic_arn: str, now: datetime) -> RSAPublicKey:
        """Return the key of the certificate at ``url``, for a message of ``topic_arn``.

        Nothing is fetched unless ``url`` is a certificate's name on the SNS host of the topic's
        region. Raises Refused for another URL and for a certificate that is absent or not one of
        SNS's, Malformed for a redirect and for an answer above 16 KiB, and
        CertificateUnavailable when the host does not answer or too many unknown names came.
        """
        topic = arn.parse(topic_arn)
        url = _checked_url(url, topic)
        with self._lock:
            certificate = self._fresh(url, now)
        if certificate is None:
            certificate = self._fetch_once(url, topic, now)
        if not certificate.is_valid(now):
            raise Refused("certificate_dates")
        return certificate.key

    def _fresh(self, url: str, now: datetime) -> _Kept | None:
        certificate = self._kept.get(url)
        if certificate is None or not certificate.is_fresh(now):
            return None
        self._kept.move_to_end(url)
        return certificate

    def _fetch_once(self, url: str, topic: arn.Topic, now: datetime) -> _Kept:
        with self._lock:
            certificate = self._fresh(url, now)  # another thread may have brought it by now
            if certificate is not None:
                return certificate
            under_way = self._under_way.get(url)
            if under_way is None:
                self._count(url, now)
                mine = self._under_way[url] = Future()
        if under_way is not None:
            try:
                return under_way.result(_WAIT_S)
            except TimeoutError as error:
                raise CertificateUnavailable("certificate_slow") from error
        try:
            certificate = _certificate(self._ask(url), topic, now)
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            with self._lock:
                self._keep(url, certificate)
            mine.set_result(certificate)
            return certificate
        finally:
            with self._lock:
                del self._under_way[url]

    def _ask(self, url: str) -> bytes:
        try:
            reply = self._get(url)
        except OSError as error:
            raise CertificateUnavailable("certificate_no_answer") from error
        if 300 <= reply.status < 400:
            raise Malformed("certificate_redirect")
        if 400 <= reply.status < 500 and reply.status not in (
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.TOO_MANY_REQUESTS,
        ):
            raise Refused("certificate_absent")
        if reply.status != HTTPStatus.OK:
            raise CertificateUnavailable("certificate_no_answer")
        if len(reply.body) > MAX_BYTES:
            raise Malformed("certificate_size")
        if not reply.whole:
            raise CertificateUnavailable("certificate_broken_off")
        return reply.body

    def _count(self, url: str, now: datetime) -> None:
        minute = timedelta(minutes=1)
        self._fetches = deque(
            (at, asked) for at, asked in self._fetches if timedelta(0) <= now - at < minute
        )
        unknown = {asked for _, asked in self._fetches} - self._kept.keys()
        is_new = url not in self._kept and url not in unknown
        repeats = sum(asked == url for _, asked in self._fetches)
        if (
            is_new and len(unknown) >= MAX_UNKNOWN_PER_MINUTE
        ) or repeats >= MAX_FETCHES_PER_URL_AND_MINUTE:
            raise CertificateUnavailable("certificate_too_many")
        self._fetches.append((now, url))

    def _keep(self, url: str, certificate: _Kept) -> None:
        self._kept[url] = certificate
        self._kept.move_to_end(url)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)


def single(pem: bytes) -> x509.Certificate:
    """Return the one certificate that ``pem`` holds; raises Refused when it is another thing."""
    if not _ONE_PEM.fullmatch(pem):
        raise Refused("certificate_form")
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise Refused("certificate_form") from error


def rsa_key(certificate: x509.Certificate) -> RSAPublicKey:
    """Return the certificate's key; raises Refused unless it is RSA of 2048 bits or more."""
    try:
        key = certificate.public_key()
    except Exception as error:  # unknown algorithms and broken keys raise many kinds
        raise Refused("certificate_key") from error
    if not isinstance(key, RSAPublicKey) or key.key_size < MIN_KEY_BITS:
        raise Refused("certificate_key")
    return key


def _checked_url(url: str, topic: arn.Topic | None) -> str:
    """Return ``url`` in its one canonical form; raises Refused when it breaks a rule."""
    # Parsers disagree about everything outside these characters: \\, @, %, ;, ?, #, controls.
    if topic is None or topic.host is None or not _URL_CHARACTERS.fullmatch(url):
        raise Refused("certificate_url")
    parts = urlsplit(url)
    if (
        parts.scheme != "https"
        or parts.netloc.lower() not in (topic.host, f"{topic.host}:443")
        or not _PATH.fullmatch(parts.path)
    ):
        raise Refused("certificate_url")
    return f"https://{topic.host}{parts.path}"


def _certificate(pem: bytes, topic: arn.Topic, now: datetime) -> _Kept:
    certificate = single(pem)
    key = rsa_key(certificate)
    if _names(certificate).isdisjoint({f"sns.{topic.domain}", topic.host, "sns.amazonaws.com"}):
        raise Refused("certificate_name")
    if not _is_issued_by_a_known_authority(certificate):
        raise Refused("certificate_issuer")
    kept = _Kept(key, certificate.not_valid_before_utc, certificate.not_valid_after_utc, now)
    if not kept.is_valid(now):
        raise Refused("certificate_dates")
    return kept


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return set()
    return {name.lower() for name in names.get_values_for_type(x509.DNSName)}


def _is_issued_by_a_known_authority(certificate: x509.Certificate) -> bool:
    try:
        organisations = certificate.issuer.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    except ValueError:
        return False
    return len(organisations) == 1 and (
        certificate.not_valid_after_utc
        <= _ISSUERS.get(organisations[0].value, datetime.min.replace(tzinfo=UTC))
    )
