"""Stand-ins for Amazon: certificates like those of SNS, messages signed with them, its host."""

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from sns import envelope, wire

NOW = datetime(2026, 3, 2, 10, 15, 31, 204000, tzinfo=UTC)
TOPIC = "arn:aws:sns:eu-west-1:111122223333:app-transcoder-events"
URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"


def published():
    """Return the fifteen published messages as (message, certificate) in HTTP's spelling.

    Six of them stand in the files as Lambda functions get them: with other spellings of two
    unsigned keys, and two with a null for the subject they do not have.
    """
    path = Path(__file__).parent / "data" / "sns-vectors.json"
    found = []
    for vector in json.loads(path.read_text())["vectors"]:
        message = {
            key.replace("CertUrl", "CertURL").replace("beUrl", "beURL"): value
            for key, value in vector["message"].items()
            if value is not None
        }
        found.append((message, vector["cert_pem"].encode()))
    return found


@cache
def key(bits=2048):
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def curve_key():
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    private_key=None,
    *,
    names=("sns.amazonaws.com",),
    common_name="sns.amazonaws.com",
    issuer="Amazon",
    not_before=NOW - timedelta(days=100),
    not_after=NOW + timedelta(days=265),
):
    """Return a leaf as SNS has it, in PEM, signed with a key of ours in place of Amazon's."""
    private_key = private_key or key()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    issued_by = [x509.NameAttribute(x509.NameOID.COMMON_NAME, "Amazon RSA 2048 M01")]
    if issuer:
        issued_by.append(x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, issuer))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name(issued_by))
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternative, critical=False)
    return builder.sign(key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def notification(**changes):
    """Return a Notification as SNS writes it, not signed yet."""
    return {
        "Type": "Notification",
        "MessageId": "5b6f2c1e-41d3-5c0e-9a8b-7f3e21d0aa01",
        "TopicArn": TOPIC,
        "Subject": "A job is done",
        "Message": '{"state": "COMPLETED"}',
        "Timestamp": "2026-03-02T10:15:31.204Z",
        "SignatureVersion": "2",
        "Signature": "",
        "SigningCertURL": URL,
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
        **changes,
    }


def confirmation(**changes):
    """Return a SubscriptionConfirmation as SNS writes it, not signed yet."""
    message = notification(Type="SubscriptionConfirmation", Token="2336412f37")
    del message["Subject"], message["UnsubscribeURL"]
    address = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription"
    return {**message, "SubscribeURL": address, **changes}


def signed(message, private_key=None):
    """Return the body of ``message``, signed as its SignatureVersion says."""
    unsigned = envelope.parse(json.dumps(message).encode(), {})
    version = message["SignatureVersion"]
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()  # noqa: S303
    signature = (private_key or key()).sign(
        envelope.string_to_sign(unsigned), padding.PKCS1v15(), algorithm
    )
    return json.dumps({**message, "Signature": base64.b64encode(signature).decode()}).encode()


class Host:
    """The SNS host: answers with what ``replies`` holds for a URL, else with ``otherwise``."""

    def __init__(self, otherwise=None, replies=None):
        self.otherwise = otherwise
        self.replies = replies or {}
        self.asked = []

    def __call__(self, url):
        self.asked.append(url)
        reply = self.replies.get(url, self.otherwise)
        if isinstance(reply, Exception):
            raise reply
        return reply


def host_with(pem):
    """Return a host that answers every URL with this certificate."""
    return Host(wire.Reply(200, pem))
