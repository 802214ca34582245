"""The doctor's own questions to AWS: one client for each service, one way to ask.

What comes out of ``ask``::

    AmazonError
    ├── NotAllowed       the credentials are good and may not do this
    ├── BadCredentials   there are none, or they are not accepted
    ├── Missing          there is no such thing
    ├── NoAnswer         nobody answered
    └── Refused          any other answer
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

import boto3.session
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
from django.conf import settings

_ASSUMED = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([^/]+)/.*")
_CONFIG = Config(
    connect_timeout=3,
    read_timeout=8,
    retries={"mode": "standard", "total_max_attempts": 2},
)
_NOT_ALLOWED = {
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "UnauthorizedOperation",
}
_BAD_CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_MISSING = {"404", "NoSuchBucket", "NoSuchEntity", "NotFound", "NotFoundException"}
_MISSING |= {"ResourceNotFoundException"}


class AmazonError(Exception):
    """The question was not answered; ``hint`` says what to do about it."""

    hint = "Look the code up in the documentation of the service."


class NotAllowed(AmazonError):
    """``action`` is the permission that is missing."""

    def __init__(self, action: str) -> None:
        super().__init__(f"the credentials may not call {action}")
        self.action = action
        self.hint = f"Allow {action}."


class BadCredentials(AmazonError):
    hint = (
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to a key that exists, is active and "
        "belongs to this service, or give the machine a role."
    )


class Missing(AmazonError):
    hint = "Create it, or correct the setting that names it."


class NoAnswer(AmazonError):
    hint = "See whether this machine reaches the service: region, endpoint, firewall, proxy."


class Refused(AmazonError):
    """``code`` is the service's own."""

    def __init__(self, action: str, code: str) -> None:
        super().__init__(f"{action} was answered with {code}")
        self.code = code
        if code in ("RequestTimeTooSkewed", "RequestExpired"):
            self.hint = "Set this machine's clock, e.g. with NTP."


def ask(action: str, call: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any]:
    """Return the answer of a boto3 call; ``action`` is the permission that it needs.

    Raises AmazonError.
    """
    try:
        return call(**arguments)
    except ClientError as error:
        raise _named(action, error) from error
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
        raise BadCredentials("there are no credentials") from error
    except BotoCoreError as error:
        # Its text can hold the whole signed request.
        raise NoAnswer(f"no answer to {action} ({type(error).__name__})") from error


def _named(action: str, error: ClientError) -> AmazonError:
    code = error.response.get("Error", {}).get("Code", "") or "an error"
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _NOT_ALLOWED:
        return NotAllowed(action)
    if code in _BAD_CREDENTIALS:
        return BadCredentials(f"the credentials are not accepted ({code})")
    if code in _MISSING:
        return Missing(f"{action} finds nothing there ({code})")
    if status >= 500 and status != 501:
        return NoAnswer(f"{action} was answered with {status} {code}")
    return Refused(action, code)


def client(service: str, region: str = "") -> BaseClient:
    """Return a client for ``service``, in AWS_REGION unless said otherwise.

    Credentials and endpoints come from boto3's usual places, as everywhere else here.
    """
    return _client(service, region or settings.AWS_REGION)


_making = threading.Lock()


def _client(service: str, region: str) -> BaseClient:
    with _making:  # a session may not make two clients at once
        return _made_client(service, region)


@functools.cache
def _made_client(service: str, region: str) -> BaseClient:
    return _session().client(service, region_name=region, config=_CONFIG)


@functools.cache
def _session() -> boto3.session.Session:
    return boto3.session.Session()  # one for all clients: a new one reads boto3's files again


def credentials() -> Credentials | None:
    """Return what boto3 finds in its usual places; raises BadCredentials for half a pair."""
    try:
        return boto3.session.Session().get_credentials()
    except (PartialCredentialsError, CredentialRetrievalError) as error:
        raise BadCredentials("the credentials are not complete") from error
    except BotoCoreError as error:
        raise BadCredentials(f"the credentials cannot be read ({type(error).__name__})") from error


def caller() -> str:
    """Return the ARN of whoever the credentials are. Source: STS GetCallerIdentity."""
    return ask("sts:GetCallerIdentity", client("sts").get_caller_identity)["Arn"]


def denied(
    who: str, wanted: Iterable[tuple[str, str]], *, context: dict[str, str] | None = None
) -> list[str]:
    """Return the actions of ``wanted``, pairs with a resource, that ``who`` has no policy for.

    ``context``: condition keys and their values. Source: IAM SimulatePrincipalPolicy.
    """
    entries = [
        {"ContextKeyName": name, "ContextKeyValues": [value], "ContextKeyType": "string"}
        for name, value in (context or {}).items()
    ]
    refused = []
    for action, resource in wanted:
        try:
            answer = ask(
                "iam:SimulatePrincipalPolicy",
                client("iam").simulate_principal_policy,
                PolicySourceArn=_principal(who),
                ActionNames=[action],
                ResourceArns=[resource],
                ContextEntries=entries,
            )
        except Missing as error:
            if not _ASSUMED.fullmatch(who):
                raise
            raise NotAllowed("iam:SimulatePrincipalPolicy (its role has a path)") from error
        if any(each["EvalDecision"] != "allowed" for each in answer["EvaluationResults"]):
            refused.append(action)
    return refused


def _principal(who: str) -> str:
    """Return the ARN that policies hang on: a session's is its role. A role's path is not told."""
    found = _ASSUMED.fullmatch(who)
    return f"arn:{found[1]}:iam::{found[2]}:role/{found[3]}" if found else who


def is_amazons(endpoint_url: str) -> bool:
    """Return whether a client's endpoint is AWS and no stand-in."""
    host = endpoint_url.partition("://")[2].partition("/")[0].partition(":")[0]
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))


def allows(
    policy: dict[str, Any],
    *,
    action: str,
    service: str,
    sources: Iterable[str] = (),
    account: str = "",
) -> bool:
    """Return whether a resource policy lets an AWS service do ``action``.

    ``sources`` are ARNs on whose behalf it may act, ``account`` whose they are; one that the
    conditions admit is enough. Conditions on other things are taken as met.
    """
    return any(
        statement.get("Effect") == "Allow"
        and _names(statement, service)
        and any(_matches(action.lower(), each.lower()) for each in _list(statement.get("Action")))
        and _admits(statement.get("Condition") or {}, list(sources), account)
        for statement in _list(policy.get("Statement"))
    )


def opens_to_its_account(policy: dict[str, Any], action: str, account: str) -> bool:
    """Return whether a topic's policy lets everybody of its own account do ``action``.

    So does the one that SNS gives a new topic, by its condition on the owner.
    """
    ours = {"*", account, f"arn:aws:iam::{account}:root"}
    return any(
        statement.get("Effect") == "Allow"
        and isinstance(statement.get("Principal"), dict)
        and ours & set(_list(statement["Principal"].get("AWS")))
        and any(_matches(action.lower(), each.lower()) for each in _list(statement.get("Action")))
        for statement in _list(policy.get("Statement"))
    )


def _names(statement: dict[str, Any], service: str) -> bool:
    principal = statement.get("Principal")
    services = principal.get("Service") if isinstance(principal, dict) else principal
    return bool({service, "*"} & set(_list(services)))


def _admits(conditions: dict[str, Any], sources: list[str], account: str) -> bool:
    for operator, tests in conditions.items():
        if not operator.startswith(("Arn", "String")) or "Not" in operator:
            continue
        for key, values in tests.items():
            wanted = {"aws:sourcearn": sources, "aws:sourceaccount": [account]}.get(key.lower())
            if wanted is None or not any(wanted):
                continue
            if not any(_matches(one, pattern) for one in wanted for pattern in _list(values)):
                return False
    return True


def _matches(text: str, pattern: str) -> bool:
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
