"""The service model, loaded once: the only description of operations and shapes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote

from botocore.model import OperationModel, ServiceModel

from elastic_transcoder.client import API_VERSION, MODEL_PATH, SERVICE


@dataclass(frozen=True)
class Route:
    """One operation and how its path looks."""

    operation: OperationModel
    method: str
    segments: tuple[str, ...]

    def match(self, method: str, segments: list[str]) -> dict[str, str] | None:
        """Return the path's values by name, or None when this is another operation.

        An empty value matches: it is a malformed id, not an unknown path.
        """
        if method != self.method or len(segments) != len(self.segments):
            return None
        values: dict[str, str] = {}
        for pattern, segment in zip(self.segments, segments, strict=True):
            if pattern.startswith("{"):
                values[pattern[1:-1]] = unquote(segment, errors="replace")
            elif pattern != segment:
                return None
        return values


@cache
def service() -> ServiceModel:
    path = MODEL_PATH / SERVICE / API_VERSION / "service-2.json"
    return ServiceModel(json.loads(path.read_text(encoding="utf-8")), SERVICE)


@cache
def routes() -> tuple[Route, ...]:
    operations = [service().operation_model(name) for name in service().operation_names]
    return tuple(
        Route(operation, operation.http["method"], tuple(operation.http["requestUri"].split("/")))
        for operation in operations
    )


def find_operation(method: str, raw_path: str) -> tuple[OperationModel, dict[str, str]] | None:
    """Return the operation that a request asks for and the values in its path, or None.

    ``raw_path`` is still percent-encoded, so a slash inside an id is not taken for a separator.
    """
    segments = raw_path.split("/")
    for route in routes():
        values = route.match(method, segments)
        if values is not None:
            return route.operation, values
    return None


@cache
def member_names(shape: str) -> tuple[str, ...]:
    """Return the members of a structure, in the model's order."""
    return tuple(service().shape_for(shape).members)


@cache
def pattern(text: str) -> re.Pattern[str]:
    # The model's \w and \d are those of ASCII.
    return re.compile(text, re.ASCII)
