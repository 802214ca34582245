"""Rules between members, and what this server does not do yet: one table, operation -> rules.

A rule takes the parsed members and yields one sentence for each breach. What a single member must
look like stands in the service model. Source: API 2012-09-25, CreatePipeline, UpdatePipeline,
UpdatePipelineNotifications, CreateJob.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from elastic_transcoder.api.errors import ApiError
from elastic_transcoder.api.parsing import MAX_LISTED, MAX_SHOWN_LENGTH
from elastic_transcoder.api.service import pattern, service

Params = dict[str, Any]
Rule = Callable[[Params], Iterator[str]]

MAX_OBJECT_KEY_BYTES = 1024  # of UTF-8; what S3 takes
MAX_METADATA_PAIRS = 10
MAX_METADATA_KEY = 128
MAX_METADATA_VALUE = 256
_METADATA = re.compile(r"[0-9A-Za-z _.:/=+\-%@]*")
# Role and topic ARNs have no length in the model; Amazon's stay below this, and so do columns.
MAX_ARN = 255


def check(operation: str, params: Params) -> None:
    """Raise ApiError ValidationException with the sentence of every rule that is broken."""
    sentences = [sentence for rule in RULES.get(operation, ()) for sentence in rule(params)]
    if sentences:
        raise ApiError("ValidationException", " ".join(sentences[:MAX_LISTED]))


# --- Pipelines --------------------------------------------------------------------------------


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


def no_permissions(params: Params) -> Iterator[str]:
    for name in ("ContentConfig", "ThumbnailConfig"):
        if params.get(name, {}).get("Permissions"):
            yield f"{name}:Permissions are not supported; results are private."


# --- Jobs -------------------------------------------------------------------------------------


def one_way_to_name_inputs(params: Params) -> Iterator[str]:
    yield from _one_of(params, "Input", "Inputs")


def one_way_to_name_outputs(params: Params) -> Iterator[str]:
    yield from _one_of(params, "Output", "Outputs")


def no_stitching(params: Params) -> Iterator[str]:
    if len(params.get("Inputs", ())) > 1:
        yield "inputs: stitching several inputs is not supported."


def inputs_are_plain(params: Params) -> Iterator[str]:
    for path, job_input in _named(params, "Input", "Inputs"):
        if job_input.get("Resolution", "auto") != "auto":
            yield f"{path}.resolution must be 'auto'."
        if job_input.get("TimeSpan"):
            yield f"{path}.timeSpan: clips are not supported."
        if job_input.get("InputCaptions", {}).get("CaptionSources"):
            yield f"{path}.inputCaptions: captions are not supported."
        # S3 decrypts what it encrypted by itself.
        yield from _encryption(f"{path}.encryption", job_input, allowed=("s3", "s3-aws-kms"))


def output_keys_differ(params: Params) -> Iterator[str]:
    counts = Counter(output.get("Key") for _, output in _named(params, "Output", "Outputs"))
    for key, count in counts.items():
        if count > 1:
            yield f"Output keys must be unique within a job; '{key}' is given {count} times."


def output_keys_fit(params: Params) -> Iterator[str]:
    prefix = params.get("OutputKeyPrefix") or ""
    for path, output in _named(params, "Output", "Outputs"):
        if len(f"{prefix}{output.get('Key') or ''}".encode()) > MAX_OBJECT_KEY_BYTES:
            yield f"{path}.key: after outputKeyPrefix it exceeds {MAX_OBJECT_KEY_BYTES} bytes."


def outputs_are_plain(params: Params) -> Iterator[str]:
    for path, output in _named(params, "Output", "Outputs"):
        for member, what in _UNSUPPORTED_OF_OUTPUTS.items():
            if output.get(member):
                yield f"{path}.{member[0].lower()}{member[1:]}: {what} not supported."
        captions = output.get("Captions", {})
        if captions.get("CaptionSources") or captions.get("CaptionFormats"):
            yield f"{path}.captions: captions are not supported."
        yield from _encryption(f"{path}.encryption", output, allowed=("s3",))


def no_playlists(params: Params) -> Iterator[str]:
    if params.get("Playlists"):
        yield "playlists: playlists are not supported."


def metadata_is_small(params: Params) -> Iterator[str]:
    metadata = params.get("UserMetadata", {})
    if len(metadata) > MAX_METADATA_PAIRS:
        yield f"userMetadata may hold {MAX_METADATA_PAIRS} pairs, {len(metadata)} were given."
        return
    for key, value in metadata.items():
        shown = key[:MAX_METADATA_KEY]
        if not 1 <= len(key) <= MAX_METADATA_KEY:
            yield f"userMetadata key '{shown}' must have 1 to {MAX_METADATA_KEY} characters."
        if len(value) > MAX_METADATA_VALUE:
            yield f"userMetadata value of '{shown}' is longer than {MAX_METADATA_VALUE} characters."
        if not _METADATA.fullmatch(key) or not _METADATA.fullmatch(value):
            yield f"userMetadata pair '{shown}' may hold only 0-9, A-Z, a-z, space, _.:/=+-%@."


_UNSUPPORTED_OF_OUTPUTS = {
    "SegmentDuration": "segmented results are",
    "Watermarks": "watermarks are",
    "AlbumArt": "album art is",
    "Composition": "clips are",
}


def _one_of(params: Params, one: str, many: str) -> Iterator[str]:
    if params.get(one) is not None and params.get(many):
        yield f"{one} and {many} are mutually exclusive."
    if params.get(one) is None and not params.get(many):
        yield f"{one} and {many} are not allowed to both be null or empty."


def _named(params: Params, one: str, many: str) -> Iterator[tuple[str, Params]]:
    """Yield each input or output with its path, in whichever form the request gave it."""
    if one in params:
        yield one.lower(), params[one]
    for number, item in enumerate(params.get(many, ()), start=1):
        yield f"{many.lower()}.{number}.member", item


def _encryption(path: str, owner: Params, *, allowed: tuple[str, ...]) -> Iterator[str]:
    encryption = owner.get("Encryption")
    if encryption and encryption.get("Mode") not in allowed:
        yield f"{path}: encryption other than {' and '.join(allowed)} is not supported."


RULES: dict[str, tuple[Rule, ...]] = {
    "CreatePipeline": (role_is_valid, topics_are_short, one_output_bucket, no_permissions),
    "UpdatePipeline": (role_is_valid, topics_are_short, no_permissions),
    "UpdatePipelineNotifications": (topics_are_short,),
    "CreateJob": (
        one_way_to_name_inputs,
        one_way_to_name_outputs,
        no_stitching,
        inputs_are_plain,
        output_keys_differ,
        output_keys_fit,
        outputs_are_plain,
        no_playlists,
        metadata_is_small,
    ),
}
