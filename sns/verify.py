"""Decide whether an SNS message is genuine, for us, and in time.

Source: SNS Developer Guide, "Verifying the signatures of Amazon SNS messages".
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sns import certificates as certificate_rules
from sns import envelope as envelopes
from sns.certificates import Certificates
from sns.envelope import Envelope
from sns.errors import Malformed, Refused

# How far back a message may have been published. SNS repeats for an hour at most, our own
# transcoder for three days; the minutes ahead allow for clocks that differ.
AMAZON_BACK = timedelta(hours=2)
OWN_BACK = timedelta(days=3)
AHEAD = timedelta(minutes=15)

# SHA-1 is what SignatureVersion 1 means; leaving "1" out of the accepted versions ends it.
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "1": hashes.SHA1(),  # noqa: S303
    "2": hashes.SHA256(),
}


class Verifier:
    """Accepts the messages of listed topics that their owner really signed.

    ``topics``: the exact ARNs that are accepted. ``signature_versions``: which of ``"1"`` (RSA
    with SHA-1) and ``"2"`` (RSA with SHA-256) are. ``own_certificates``: topic ARN -> PEM
    certificate, for topics that are not Amazon's: their messages are checked with that
    certificate alone, and nothing is fetched for them. Raises ValueError for a version we do not
    know and for a pinned certificate that is none.

    One instance serves all threads.
    """

    def __init__(
        self,
        topics: Collection[str],
        signature_versions: Collection[str],
        certificates: Certificates,
        own_certificates: Mapping[str, bytes] | None = None,
    ) -> None:
        unknown = set(signature_versions) - set(_HASHES)
        if unknown:
            raise ValueError(f"SignatureVersion must be 1 or 2, not {', '.join(sorted(unknown))}")
        self._topics = frozenset(topics)
        self._signature_versions = frozenset(signature_versions)
        self._certificates = certificates
        self._own_keys = {
            topic_arn: _pinned_key(topic_arn, pem)
            for topic_arn, pem in (own_certificates or {}).items()
        }

    def verify(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Envelope:
        """Return the message in ``body``, proven.

        ``headers`` are those of the request; ``now`` is aware. The checks run from cheap to
        dear, and only a message of a listed topic, in time and with a certificate URL of the
        topic's own SNS host can make us fetch anything. Raises Malformed, Refused or
        CertificateUnavailable. That a message comes only once is for the caller to see to.
        """
        message = envelopes.parse(body, headers)
        if message.topic_arn not in self._topics:
            raise Refused("topic")
        if message.signature_version not in self._signature_versions:
            raise Refused("signature_version")
        own_key = self._own_keys.get(message.topic_arn)
        back = OWN_BACK if own_key else AMAZON_BACK
        if not now - back <= message.timestamp <= now + AHEAD:
            raise Refused("timestamp")
        key = own_key or self._certificates.public_key(
            message.signing_cert_url, message.topic_arn, now
        )
        _check_signature(message, key)
        return message


def _pinned_key(topic_arn: str, pem: bytes) -> RSAPublicKey:
    try:
        return certificate_rules.rsa_key(certificate_rules.single(pem))
    except (Refused, Malformed) as error:
        raise ValueError(f"certificate of {topic_arn} is not usable: {error.reason}") from error


def _check_signature(message: Envelope, key: RSAPublicKey) -> None:
    try:
        signature = base64.b64decode(message.signature, validate=True)
    except ValueError as error:
        raise Refused("signature_form") from error
    try:
        key.verify(
            signature,
            envelopes.string_to_sign(message),
            padding.PKCS1v15(),
            _HASHES[message.signature_version],
        )
    except InvalidSignature as error:
        raise Refused("signature") from error
