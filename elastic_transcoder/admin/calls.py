"""Operations of the API, called from the console by the same way: parse, rules, act."""

from __future__ import annotations

import json
from typing import Any

from elastic_transcoder.api import rules
from elastic_transcoder.api.parsing import parse
from elastic_transcoder.api.service import service
from elastic_transcoder.api.views import OPERATIONS


def call(operation_name: str, body: dict[str, Any], **path_values: str) -> dict[str, Any]:
    """Do what the API does with this request, and return the members of its answer.

    Raises ApiError with the sentence that the API's caller would read.
    """
    operation = service().operation_model(operation_name)
    params = parse(operation, path_values, "", json.dumps(body).encode())
    rules.check(operation_name, params)
    return OPERATIONS[operation_name](params)
