"""The JSON envelope in which SNS posts a message to an HTTP(S) subscriber.

Source: SNS Developer Guide, "HTTP/HTTPS headers", "Parsing Amazon SNS message formats" and
"Verifying the signatures of Amazon SNS messages".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

from sns.errors import Malformed, Refused

NOTIFICATION = "Notification"
SUBSCRIPTION_CONFIRMATION = "SubscriptionConfirmation"
UNSUBSCRIBE_CONFIRMATION = "UnsubscribeConfirmation"

MAX_BODY_BYTES = 1024 * 1024
# The deepest thing SNS sends is MessageAttributes: the envelope, the attributes, one attribute.
_MAX_DEPTH = 4

_SUBSCRIPTION_KEYS = (
    "Message",
    "MessageId",
    "SubscribeURL",
    "Timestamp",
    "Token",
    "TopicArn",
    "Type",
)
# What is signed, in this order. Fixed by the type: a field that a forger adds is never signed.
_SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SUBSCRIPTION_CONFIRMATION: _SUBSCRIPTION_KEYS,
    UNSUBSCRIBE_CONFIRMATION: _SUBSCRIPTION_KEYS,
}
_OPTIONAL = {"Subject"}
_UNSIGNED = ("Signature", "SigningCertURL")
# Lambda deliveries spell these keys so, HTTP deliveries never do. To take both spellings would
# leave room for one that is checked beside another that is used.
_LAMBDA_SPELLINGS = {"SigningCertUrl", "SubscribeUrl", "UnsubscribeUrl"}
_MAX_CHARACTERS = {
    "MessageId": 100,
    "TopicArn": 512,
    "Subject": 1024,
    "Timestamp": 64,
    "Token": 4096,
    "SubscribeURL": 8192,
    "Signature": 4096,
    "SigningCertURL": 4096,
}
_MESSAGE_ID = re.compile(r"[\x21-\x7e]+")
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")


@dataclass(frozen=True)
class Envelope:
    """One SNS message, as its body says; nothing in it is proven yet.

    The fields that may identify, authorise or act (token, URLs, signature, text) stay out of
    ``repr``, so that a log line cannot give them away.
    """

    type: str
    message_id: str
    topic_arn: str
    message: str = field(repr=False)
    subject: str | None = field(repr=False)
    raw_timestamp: str
    token: str | None = field(repr=False)
    subscribe_url: str | None = field(repr=False)
    # Empty when the body has none or one that is no text: no version that could be accepted.
    signature_version: str
    signature: str = field(repr=False)
    signing_cert_url: str = field(repr=False)

    @property
    def timestamp(self) -> datetime:
        """The time of publishing, aware, in UTC; repeats keep it. Raises Refused if it is none."""
        if not _TIMESTAMP.fullmatch(self.raw_timestamp):
            raise Refused("timestamp_form")
        try:
            return datetime.fromisoformat(self.raw_timestamp)
        except ValueError as error:  # such as the 30th of February
            raise Refused("timestamp_form") from error


def parse(body: bytes, headers: Mapping[str, str]) -> Envelope:
    """Return the message that ``body`` holds.

    ``headers`` are those of the request, names in any case; they are hints, and those that are
    missing change nothing. Raises Malformed for what SNS would not send, and Refused when a
    header names another type, topic or message id than the body.
    """
    sns_headers = {
        name.lower(): value for name, value in headers.items() if name.lower().startswith("x-amz-")
    }
    if "x-amz-sns-rawdelivery" in sns_headers:
        raise Malformed("raw_delivery")
    document = _read(body)
    if not _LAMBDA_SPELLINGS.isdisjoint(document):
        raise Malformed("lambda_spelling")
    message_type = document.get("Type")
    if not isinstance(message_type, str) or message_type not in _SIGNED:
        raise Malformed("type")
    texts = _texts(document, (*_SIGNED[message_type], *_UNSIGNED))
    if not _MESSAGE_ID.fullmatch(texts["MessageId"]):
        raise Malformed("message_id")
    _check_unused(document)
    for name, key in (
        ("x-amz-sns-message-type", "Type"),
        ("x-amz-sns-topic-arn", "TopicArn"),
        ("x-amz-sns-message-id", "MessageId"),
    ):
        if sns_headers.get(name, texts[key]) != texts[key]:
            raise Refused("header_contradicts_body")
    version = document.get("SignatureVersion")
    return Envelope(
        type=message_type,
        message_id=texts["MessageId"],
        topic_arn=texts["TopicArn"],
        message=texts["Message"],
        subject=texts.get("Subject"),
        raw_timestamp=texts["Timestamp"],
        token=texts.get("Token"),
        subscribe_url=texts.get("SubscribeURL"),
        signature_version=version if isinstance(version, str) else "",
        signature=texts["Signature"],
        signing_cert_url=texts["SigningCertURL"],
    )


def string_to_sign(envelope: Envelope) -> bytes:
    """Return the bytes that SNS signs: each signed key and its value, a newline after both.

    The last value has its newline too. ``Subject`` counts when the message has one, empty or
    not. Source: SNS Developer Guide, "Verifying the signatures of Amazon SNS messages".
    """
    values = {
        "Message": envelope.message,
        "MessageId": envelope.message_id,
        "Subject": envelope.subject,
        "SubscribeURL": envelope.subscribe_url,
        "Timestamp": envelope.raw_timestamp,
        "Token": envelope.token,
        "TopicArn": envelope.topic_arn,
        "Type": envelope.type,
    }
    pairs = ((key, values[key]) for key in _SIGNED[envelope.type])
    return "".join(f"{key}\n{value}\n" for key, value in pairs if value is not None).encode()


def _read(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise Malformed("too_large")
    try:
        document = json.loads(
            body.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise Malformed("not_json") from error
    if not isinstance(document, dict):
        raise Malformed("not_an_object")
    if _deeper_than(document, _MAX_DEPTH):
        raise Malformed("too_deep")
    return document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise Malformed("duplicate_key")
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _deeper_than(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if levels == 0:
        return True
    children = value.values() if isinstance(value, dict) else value
    return any(_deeper_than(child, levels - 1) for child in children)


def _texts(document: dict[str, Any], keys: Iterable[str]) -> dict[str, str]:
    texts = {}
    for key in keys:
        if key not in document:
            if key in _OPTIONAL:
                continue
            raise Malformed("missing_field")
        texts[key] = _text(document[key], _MAX_CHARACTERS.get(key, MAX_BODY_BYTES))
    return texts


def _text(value: Any, max_characters: int) -> str:
    if not isinstance(value, str):
        raise Malformed("not_text")
    if len(value) > max_characters:
        raise Malformed("field_too_long")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise Malformed("not_unicode")  # half of a surrogate pair has no UTF-8 to verify
    return value


def _check_unused(document: dict[str, Any]) -> None:
    """Hold the unsigned fields that we never use to their types."""
    if "UnsubscribeURL" in document:
        _text(document["UnsubscribeURL"], 8192)
    if not isinstance(document.get("MessageAttributes", {}), dict):
        raise Malformed("not_an_object")
