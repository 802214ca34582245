"""Write and sign messages exactly as SNS posts them, for topics of our own.

Source: SNS Developer Guide, "HTTP/HTTPS headers", "HTTP/HTTPS notification JSON format" and
"Verifying the signatures of Amazon SNS messages".
"""

from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from sns import arn
from sns.envelope import NOTIFICATION, Envelope, string_to_sign

SIGNATURE_VERSION = "2"


class SignedMessage(NamedTuple):
    """One POST, ready to be sent: the same bytes for every repeat."""

    body: bytes
    headers: dict[str, str]


class Signer:
    """Signs with SignatureVersion 2 (RSA PKCS #1 v1.5 with SHA-256).

    ``private_key_pem``: an unencrypted RSA key; ``certificate_pem``: its certificate, which
    receivers pin. Raises ValueError when either is unreadable or they do not belong together.
    """

    def __init__(self, private_key_pem: bytes, certificate_pem: bytes) -> None:
        key = serialization.load_pem_private_key(private_key_pem, password=None)
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("SNS signs with RSA; this is another kind of key")
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        if certificate.public_key() != key.public_key():
            raise ValueError("the certificate is not that of the private key")
        self._key = key
        # 32 hexadecimal digits, as in the names of SNS's own certificates.
        self._certificate_name = certificate.fingerprint(hashes.SHA256()).hex()[:32]

    def notification(
        self,
        *,
        topic_arn: str,
        message: str,
        subject: str | None,
        message_id: uuid.UUID | str,
        timestamp: datetime,
        subscriber: str,
    ) -> SignedMessage:
        """Return the Notification of ``message`` to one subscriber of ``topic_arn``.

        ``message_id`` and ``timestamp`` (aware) are the caller's: a repeat must have those of
        the first attempt. ``subject``: None or empty for none. ``subscriber``: the URL it goes
        to; the subscription's ARN is derived from it. Raises ValueError for a topic ARN that is
        none and for a time without a zone.
        """
        host = _host(topic_arn)
        subscription_arn = f"{topic_arn}:{uuid.uuid5(uuid.NAMESPACE_URL, subscriber)}"
        cert_url = f"https://{host}/SimpleNotificationService-{self._certificate_name}.pem"
        unsigned = Envelope(
            type=NOTIFICATION,
            message_id=str(message_id),
            topic_arn=topic_arn,
            message=message,
            subject=subject or None,
            raw_timestamp=_milliseconds(timestamp),
            token=None,
            subscribe_url=None,
            signature_version=SIGNATURE_VERSION,
            signature="",
            signing_cert_url=cert_url,
        )
        signature = self._key.sign(string_to_sign(unsigned), padding.PKCS1v15(), hashes.SHA256())
        document = {
            "Type": unsigned.type,
            "MessageId": unsigned.message_id,
            "TopicArn": topic_arn,
            **({"Subject": unsigned.subject} if unsigned.subject is not None else {}),
            "Message": message,
            "Timestamp": unsigned.raw_timestamp,
            "SignatureVersion": SIGNATURE_VERSION,
            "Signature": base64.b64encode(signature).decode(),
            "SigningCertURL": cert_url,
            "UnsubscribeURL": (
                f"https://{host}/?Action=Unsubscribe&SubscriptionArn={subscription_arn}"
            ),
        }
        return SignedMessage(
            body=json.dumps(document, indent=2, ensure_ascii=False).encode(),
            headers={
                "Content-Type": "text/plain; charset=UTF-8",
                "User-Agent": "Amazon Simple Notification Service Agent",
                "x-amz-sns-message-type": NOTIFICATION,
                "x-amz-sns-message-id": unsigned.message_id,
                "x-amz-sns-topic-arn": topic_arn,
                "x-amz-sns-subscription-arn": subscription_arn,
            },
        )


def _host(topic_arn: str) -> str:
    topic = arn.parse(topic_arn)
    if topic is None or topic.host is None:
        raise ValueError(f"not the ARN of an SNS topic: {topic_arn}")
    return topic.host


def _milliseconds(timestamp: datetime) -> str:
    if timestamp.tzinfo is None:
        raise ValueError("the time of publishing needs a zone")
    text = timestamp.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
