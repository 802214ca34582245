"""From bytes to the members of an operation, typed and checked by the service model."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from botocore.model import OperationModel, Shape

from elastic_transcoder.api.errors import ApiError
from elastic_transcoder.api.service import pattern

# Longer than any valid value of a type with a pattern; keeps matching quick.
MAX_MATCHED_LENGTH = 4096
# A message lists this many violations, with values cut to this length.
MAX_LISTED = 50
MAX_SHOWN_LENGTH = 255

# Required beyond what the model says, by operation and shape. Source: API 2012-09-25, CreateJob,
# CreatePipeline, UpdatePipeline and CreatePreset.
ALSO_REQUIRED = {
    ("CreateJob", "JobInput"): ("Key",),
    ("CreateJob", "CreateJobOutput"): ("Key", "PresetId"),
    ("CreateJob", "Artwork"): ("InputKey",),
    ("CreateJob", "CreateJobPlaylist"): ("Name", "Format", "OutputKeys"),
    ("CreateJob", "HlsContentProtection"): ("Method", "KeyStoragePolicy"),
    ("CreatePipeline", "PipelineOutputConfig"): ("Bucket",),
    ("CreatePipeline", "Permission"): ("GranteeType", "Grantee", "Access"),
    ("UpdatePipeline", "Permission"): ("GranteeType", "Grantee", "Access"),
    ("CreatePreset", "AudioParameters"): ("Codec", "SampleRate", "Channels"),
    ("CreatePreset", "VideoParameters"): ("Codec",),
}
# Response only; whatever a request says there is ignored.
IGNORED_SHAPES = {"DetectedProperties"}
# The service had other words for a wrong one; see rules.
OWN_MESSAGE_SHAPES = {"Role"}


def parse(
    operation: OperationModel, path_values: dict[str, str], query: str, body: bytes
) -> dict[str, Any]:
    """Return the members given, by the model's names; null counts as absent.

    Raises ApiError: SerializationException when the body is no JSON object or a value has
    another JSON type than the model's, ValidationException with every violation of the model's
    patterns, lengths and required members in one message.
    """
    shape = operation.input_shape
    found: dict[str, Any] = {}
    in_body = _load(body) if operation.http["method"] in ("POST", "PUT") else {}
    in_query = dict(reversed(parse_qsl(query, keep_blank_values=True)))
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        wire_name = member.serialization.get("name", name)
        values = {"uri": path_values, "querystring": in_query}.get(location, in_body)
        if values.get(wire_name) is not None:
            found[name] = values[wire_name]
    return _Reader(operation.name).read(shape, found)


def path_of(*names: str) -> str:
    """Return a member's path as messages spell it: ``outputs.1.member.key``."""
    return ".".join(name[:1].lower() + name[1:] for name in names if name)


def violation(value: str | None, path: str, constraint: str) -> str:
    """Return one violation in the service's words; None is written as null."""
    if value is None:
        shown = "null"
    else:
        cut = value if len(value) <= MAX_SHOWN_LENGTH else value[:MAX_SHOWN_LENGTH] + "…"
        shown = f"'{cut}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def validation_error(violations: list[str]) -> ApiError:
    count = len(violations)
    listed = "; ".join(violations[:MAX_LISTED])
    noun = "error" if count == 1 else "errors"
    return ApiError("ValidationException", f"{count} validation {noun} detected: {listed}")


def _load(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        loaded = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ApiError("SerializationException", "The request body is not JSON.") from error
    if not isinstance(loaded, dict):
        raise ApiError("SerializationException", "The request body must be a JSON object.")
    return loaded


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(constant)


class _Reader:
    """Reads one request; collects what is wrong with it."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.violations: list[str] = []
        self.readers: dict[str, Callable[[Shape, Any, str], Any]] = {
            "structure": self.structure,
            "list": self.list,
            "map": self.map,
            "string": self.string,
        }

    def read(self, shape: Shape, value: dict[str, Any]) -> dict[str, Any]:
        result = self.structure(shape, value, "")
        if self.violations:
            raise validation_error(self.violations)
        return result

    def structure(self, shape: Shape, value: Any, path: str) -> dict[str, Any]:
        self._expect(value, dict, path, "an object")
        required = {
            *shape.required_members,
            *ALSO_REQUIRED.get((self.operation, shape.name), ()),
        }
        result: dict[str, Any] = {}
        for name, member in shape.members.items():
            if member.name in IGNORED_SHAPES:
                continue
            if value.get(name) is not None:
                result[name] = self._value(member, value[name], path_of(path, name))
            elif name in required:
                self._add(None, path_of(path, name), "Member must not be null")
        return result

    def list(self, shape: Shape, value: Any, path: str) -> list[Any]:
        self._expect(value, list, path, "a list")
        if self._wrong_length(shape, len(value), path, f"[{len(value)} members]"):
            return []
        result = []
        for number, item in enumerate(value, start=1):
            item_path = f"{path}.{number}.member"
            if item is None:
                self._add(None, item_path, "Member must not be null")
            else:
                result.append(self._value(shape.member, item, item_path))
        return result

    def map(self, shape: Shape, value: Any, path: str) -> dict[str, Any]:
        self._expect(value, dict, path, "an object")
        if self._wrong_length(shape, len(value), path, f"[{len(value)} members]"):
            return {}
        return {
            self._value(shape.key, key, f"{path}.key"): self._value(
                shape.value, item, f"{path}.{key[:MAX_SHOWN_LENGTH]}.member"
            )
            for key, item in value.items()
            if item is not None
        }

    def string(self, shape: Shape, value: Any, path: str) -> str:
        self._expect(value, str, path, "a string")
        if not _is_storable(value):
            self._add(ascii(value)[1:-1], path, "Member must hold characters of Unicode, not NUL")
            return ""
        if self._wrong_length(shape, len(value), path, value):
            return value
        wanted = shape.metadata.get("pattern")
        if wanted and shape.name not in OWN_MESSAGE_SHAPES and not _matches(wanted, value):
            constraint = f"Member must satisfy regular expression pattern: {wanted}"
            self._add(value, path, constraint)
        return value

    def _value(self, shape: Shape, value: Any, path: str) -> Any:
        return self.readers[shape.type_name](shape, value, path)

    def _wrong_length(self, shape: Shape, length: int, path: str, shown: str) -> bool:
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        if least is not None and length < least:
            self._add(shown, path, f"Member must have length greater than or equal to {least}")
            return True
        if most is not None and length > most:
            self._add(shown, path, f"Member must have length less than or equal to {most}")
            return True
        return False

    def _add(self, value: str | None, path: str, constraint: str) -> None:
        self.violations.append(violation(value, path, constraint))

    def _expect(self, value: Any, kind: type, path: str, words: str) -> None:
        if not isinstance(value, kind):
            where = f" at '{path[:MAX_SHOWN_LENGTH]}'" if path else ""
            raise ApiError("SerializationException", f"Expected {words}{where}.")


def _matches(wanted: str, value: str) -> bool:
    return len(value) <= MAX_MATCHED_LENGTH and pattern(wanted).fullmatch(value) is not None


def _is_storable(value: str) -> bool:
    """Return whether every database takes the text: PostgreSQL has no NUL, UTF-8 no half pairs."""
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
