"""Hand messages over: to a subscriber's URL, or to Amazon SNS.

Source: SNS Developer Guide, "Amazon SNS message delivery retries"; SNS API 2010-03-31, Publish
and ConfirmSubscription.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from sns import arn, wire

POST_TIMEOUT_S = 15.0
# What stands where nobody is to read.
HIDDEN = "•••"
# More of an answer than this is of no use to anyone.
_ANSWER_BYTES = 4096
_EXCERPT_CHARACTERS = 120
_TEXT_CHARACTERS = 255

_AMAZON = Config(
    connect_timeout=5,
    read_timeout=10,
    # Whoever calls repeats, at a pace of its own.
    retries={"mode": "standard", "total_max_attempts": 1},
)
# Not the message's fault, and past with time or with a hand on the credentials.
_REPEAT_CODES = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InternalError",
    "InternalFailure",
    "InvalidClientTokenId",
    "KMSThrottling",
    "KMSThrottlingException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "ServiceUnavailable",
    "SignatureDoesNotMatch",
    "Throttled",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "UnrecognizedClientException",
}


class Outcome(StrEnum):
    """What an attempt came to."""

    DELIVERED = "delivered"
    REPEAT = "repeat"
    REFUSED = "refused"


@dataclass(frozen=True)
class Answer:
    """``text`` says in a few words (255 characters at most) what came back, for the record."""

    outcome: Outcome
    text: str

    @property
    def delivered(self) -> bool:
        return self.outcome is Outcome.DELIVERED

    @property
    def repeat(self) -> bool:
        return self.outcome is Outcome.REPEAT

    @property
    def refused(self) -> bool:
        return self.outcome is Outcome.REFUSED


def post(
    url: str, body: bytes, headers: Mapping[str, str], timeout_s: float = POST_TIMEOUT_S
) -> Answer:
    """Post ``body`` to a subscriber and return what came of it, as SNS would judge it.

    2xx is delivered; 5xx, 429, silence and a broken connection or TLS are to be repeated; every
    other answer, a redirect too, is a refusal, and so is a URL that cannot be asked.
    ``timeout_s``: seconds for everything together. Never raises for what the other side does.
    """
    try:
        reply = wire.exchange(
            "POST",
            url,
            body=body,
            headers=headers,
            timeout_s=timeout_s,
            answer_bytes=_ANSWER_BYTES,
        )
    except wire.NoAnswer as error:
        return _answer(Outcome.REPEAT, str(error))
    except ValueError:
        return _answer(Outcome.REFUSED, "not an http or https URL")
    return _answer(_outcome(reply.status), _described(reply))


def shown(url: str) -> str:
    """Return a subscriber's URL without the password and the query that it may carry."""
    split = urlsplit(url)
    host = split.netloc.rpartition("@")[2]
    secret = f"{HIDDEN}@" if "@" in split.netloc else ""
    query = f"?{HIDDEN}" if split.query else ""
    return f"{split.scheme}://{secret}{host}{split.path}{query}"


def publish(
    topic_arn: str, subject: str | None, message: str, *, client: BaseClient | None = None
) -> Answer:
    """Publish to a topic of Amazon's, in the topic's own region; ``text`` is the message id.

    ``subject``: None or empty for none. ``client``: a boto3 SNS client; unset, one is made from
    the credentials of the environment. Throttling, 5xx, silence and credentials that do not
    work now are to be repeated; whatever else SNS answers is a refusal.

    Source: SNS API 2010-03-31, Publish.
    """
    arguments = {"TopicArn": topic_arn, "Message": message}
    if subject:
        arguments["Subject"] = subject
    return _ask_amazon(topic_arn, client, lambda sns: sns.publish(**arguments), told_by="MessageId")


def confirm(topic_arn: str, token: str, *, client: BaseClient | None = None) -> Answer:
    """Confirm our subscription to a topic of Amazon's; ``text`` is the subscription's ARN.

    The call goes to the topic's own region, and only its owner can end the subscription then.
    To confirm twice is harmless. An expired or foreign token is a refusal; otherwise as
    ``publish``. Needs ``sns:ConfirmSubscription`` on the topic.

    Source: SNS API 2010-03-31, ConfirmSubscription.
    """
    return _ask_amazon(
        topic_arn,
        client,
        lambda sns: sns.confirm_subscription(
            TopicArn=topic_arn, Token=token, AuthenticateOnUnsubscribe="true"
        ),
        told_by="SubscriptionArn",
    )


def _ask_amazon(
    topic_arn: str,
    client: BaseClient | None,
    ask: Callable[[BaseClient], dict[str, Any]],
    *,
    told_by: str,
) -> Answer:
    topic = arn.parse(topic_arn)
    if topic is None:
        return _answer(Outcome.REFUSED, "not the ARN of an SNS topic")
    try:
        response = ask(client if client is not None else _client(topic.region))
    except ClientError as error:
        return _answer(_outcome_of(error), error.response.get("Error", {}).get("Code", "unknown"))
    except ParamValidationError:
        return _answer(Outcome.REFUSED, "SNS does not take these parameters")
    except BotoCoreError as error:
        return _answer(Outcome.REPEAT, type(error).__name__)
    return _answer(Outcome.DELIVERED, response.get(told_by, ""))


_making = threading.Lock()


def _client(region: str) -> BaseClient:
    with _making:  # boto3's default session must not make two clients at once
        return _made_client(region)


@functools.cache
def _made_client(region: str) -> BaseClient:
    return boto3.client("sns", region_name=region, config=_AMAZON)


def _outcome_of(error: ClientError) -> Outcome:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response.get("Error", {}).get("Code")
    if code in _REPEAT_CODES or _outcome(status) is Outcome.REPEAT:
        return Outcome.REPEAT
    return Outcome.REFUSED


def _outcome(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome.DELIVERED
    if status >= 500 or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Outcome.REPEAT
    return Outcome.REFUSED


def _described(reply: wire.Reply) -> str:
    """Return the status and, unless it says that all is well, the first words of the body."""
    try:
        text = f"{reply.status} {HTTPStatus(reply.status).phrase}"
    except ValueError:
        text = str(reply.status)
    words = " ".join(reply.body.decode("utf-8", "replace").split())
    words = "".join(character for character in words if character.isprintable())
    if not words or 200 <= reply.status < 300:
        return text
    return f"{text}: {words[:_EXCERPT_CHARACTERS]}"


def _answer(outcome: Outcome, text: str) -> Answer:
    return Answer(outcome, text[:_TEXT_CHARACTERS])
