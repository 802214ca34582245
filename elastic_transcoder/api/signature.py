"""AWS Signature Version 4, as the server checks it. No Django in here.

Source: "Authenticating Requests: AWS Signature Version 4", service name ``elastictranscoder``. The
region in the scope may be any: it is whatever the client was configured with.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote

from elastic_transcoder.api.errors import ApiError

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "elastictranscoder"
MAX_SKEW = timedelta(minutes=15)

_PART = re.compile(r"(Credential|SignedHeaders|Signature)=([^\s,]+)")
_SCOPE = re.compile(
    r"(?P<key>[!-~]{1,128})/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request"
)


@dataclass(frozen=True)
class SignedRequest:
    """A request as it came over the wire."""

    method: str
    path: str  # still percent-encoded, without the query
    query: str  # still percent-encoded
    headers: Mapping[str, str]  # names in lower case


@dataclass(frozen=True)
class Claim:
    """Who says to have signed, and what: the Authorization header, taken apart."""

    access_key_id: str
    date: str  # yyyymmdd
    region: str
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str  # yyyymmddThhmmssZ

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{SERVICE}/aws4_request"


def read_claim(headers: Mapping[str, str], now: datetime) -> Claim:
    """Return what the headers claim; nothing is proven by it yet.

    Raises ApiError: MissingAuthenticationToken without an Authorization header,
    IncompleteSignature when a part of it lacks or is malformed, RequestExpired when the date is
    more than 15 minutes from ``now``, AccessDeniedException for another service or day.
    """
    authorization = headers.get("authorization", "")
    if not authorization:
        raise ApiError("MissingAuthenticationToken", "Missing Authentication Token")
    algorithm, _, rest = authorization.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise ApiError("IncompleteSignature", f"The Authorization header must use {ALGORITHM}.")
    parts = dict(_PART.findall(rest))
    for name in ("Credential", "SignedHeaders", "Signature"):
        if name not in parts:
            raise ApiError(
                "IncompleteSignature", f"Authorization header requires '{name}' parameter."
            )
    scope = _SCOPE.fullmatch(parts["Credential"])
    if scope is None:
        raise ApiError(
            "IncompleteSignature",
            "Credential must be '<key>/<yyyymmdd>/<region>/elastictranscoder/aws4_request'.",
        )
    signed_at = _signed_at(headers)
    if abs(signed_at - now) > MAX_SKEW:
        raise ApiError(
            "RequestExpired",
            f"Signature expired: {signed_at:%Y%m%dT%H%M%SZ} is more than 15 minutes from"
            f" {now:%Y%m%dT%H%M%SZ}.",
        )
    claim = Claim(
        access_key_id=scope["key"],
        date=scope["date"],
        region=scope["region"],
        signed_headers=tuple(parts["SignedHeaders"].lower().split(";")),
        signature=parts["Signature"],
        timestamp=f"{signed_at:%Y%m%dT%H%M%SZ}",
    )
    if "host" not in claim.signed_headers:
        raise ApiError("IncompleteSignature", "'Host' must be a 'SignedHeader'.")
    if scope["service"] != SERVICE:
        raise ApiError(
            "AccessDeniedException", f"Credential should be scoped to service '{SERVICE}'."
        )
    if claim.date != claim.timestamp[:8]:
        raise ApiError("AccessDeniedException", "Date in Credential scope does not match the date.")
    return claim


def is_genuine(claim: Claim, secret: str, request: SignedRequest, body: bytes) -> bool:
    """Return whether the owner of ``secret`` signed exactly this request and body.

    Verified are exactly the headers that ``SignedHeaders`` lists; one that is not there fails.
    """
    try:
        canonical = _canonical(claim, request, body)
    except KeyError:
        return False
    to_sign = "\n".join(
        [ALGORITHM, claim.timestamp, claim.scope, hashlib.sha256(canonical).hexdigest()]
    )
    key = f"AWS4{secret}".encode()
    for part in (claim.date, claim.region, SERVICE, "aws4_request", to_sign):
        key = hmac.digest(key, part.encode("utf-8", "surrogateescape"), "sha256")
    return hmac.compare_digest(key.hex().encode(), claim.signature.encode("utf-8", "replace"))


def _signed_at(headers: Mapping[str, str]) -> datetime:
    text = headers.get("x-amz-date", "")
    try:
        if text:
            return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if headers.get("date"):
            sent = parsedate_to_datetime(headers["date"])
            return sent.astimezone(UTC) if sent.tzinfo else sent.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ApiError(
            "IncompleteSignature", "Date must be in ISO-8601 'basic format' (yyyymmddThhmmssZ)."
        ) from error
    raise ApiError("IncompleteSignature", "Requires either an 'X-Amz-Date' or a 'Date' header.")


def _canonical(claim: Claim, request: SignedRequest, body: bytes) -> bytes:
    headers = "".join(
        f"{name}:{' '.join(request.headers[name].split())}\n" for name in claim.signed_headers
    )
    canonical = "\n".join(
        [
            request.method,
            _canonical_path(request.path),
            _canonical_query(request.query),
            headers,
            ";".join(claim.signed_headers),
            hashlib.sha256(body).hexdigest(),
        ]
    )
    # WSGI hands bytes over as latin-1 text; what it could not have handed over matches nothing.
    return canonical.encode("latin-1", "replace")


def _canonical_path(path: str) -> str:
    """Resolve ``.``, ``..`` and doubled slashes, then encode each segment once more."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            segments = segments[:-1]
        elif segment not in ("", "."):
            segments.append(quote(segment.encode("latin-1", "replace"), safe="-_.~"))
    slash = "/" if path.endswith("/") and segments else ""
    return f"/{'/'.join(segments)}{slash}"


def _canonical_query(query: str) -> str:
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&") if pair)
    return "&".join(f"{name}={value}" for name, value in pairs)
