"""Rules of pipelines and of TestRole. Source: API 2012-09-25, CreatePipeline, TestRole."""

from __future__ import annotations

import re
from collections.abc import Iterator

from elastic_transcoder.api.parsing import MAX_SHOWN_LENGTH
from elastic_transcoder.api.rules.base import Params, items
from elastic_transcoder.api.service import pattern, service

# Role and topic ARNs have no length in the model; Amazon's stay below this, and so do columns.
MAX_ARN = 255
GROUPS = ("AllUsers", "AuthenticatedUsers", "LogDelivery")
# They travel in headers, between quotes.
_GRANTEE = re.compile(r"[!#-+\--~]+")
_EMAIL = re.compile(r"[^@]+@[^@]+")


def role_is_valid(params: Params) -> Iterator[str]:
    role = params.get("Role")
    if role is None:
        return
    wanted = pattern(service().shape_for("Role").metadata["pattern"])
    if not role:
        yield "Role cannot be blank"
    elif len(role) > MAX_ARN or not wanted.fullmatch(role):
        yield f"Role ARN is invalid: {role[:MAX_SHOWN_LENGTH]}"


def topics_are_short(params: Params) -> Iterator[str]:
    for event, topic in params.get("Notifications", {}).items():
        if len(topic) > MAX_ARN:
            yield f"The {event} topic ARN is longer than {MAX_ARN} characters."


def tested_topics_are_short(params: Params) -> Iterator[str]:
    for path, topic in items(params, "Topics", "topics"):
        if len(topic) > MAX_ARN:
            yield f"{path}: a topic ARN is longer than {MAX_ARN} characters."


def one_output_bucket(params: Params) -> Iterator[str]:
    has_bucket, has_config = "OutputBucket" in params, "ContentConfig" in params
    if not has_bucket and not has_config:
        yield "[OutputBucket and ContentConfig:Bucket are not allowed to both be null.]"
    if has_bucket and has_config:
        yield "[OutputBucket and ContentConfig are mutually exclusive.]"
    if has_bucket and not has_config and "ThumbnailConfig" in params:
        yield "[OutputBucket and ThumbnailConfig are mutually exclusive.]"
    if has_config and "ThumbnailConfig" not in params:
        yield "[ThumbnailConfig:Bucket is not allowed to be null if ContentConfig is specified.]"


def permissions_are_grants(params: Params) -> Iterator[str]:
    """Each permission grants something to somebody whom S3 could know."""
    for name, config in (
        ("ContentConfig", "contentConfig"),
        ("ThumbnailConfig", "thumbnailConfig"),
    ):
        for path, permission in items(params.get(name, {}), "Permissions", f"{config}.permissions"):
            if not permission["Access"]:
                yield f"{path}.access must name at least one kind of access."
            kind, grantee = permission["GranteeType"], permission["Grantee"]
            if kind == "Group" and grantee not in GROUPS:
                yield f"{path}.grantee of a Group must be one of {', '.join(GROUPS)}."
            elif not _GRANTEE.fullmatch(grantee):
                yield f"{path}.grantee may hold visible ASCII only, no quote and no comma."
            elif kind == "Email" and not _EMAIL.fullmatch(grantee):
                yield f"{path}.grantee must be an e-mail address."
