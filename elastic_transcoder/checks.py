"""System checks of the transcoder's own settings. Nothing here calls out.

E001 TRANSCODER_RATE_LIMITS
E002 TRANSCODER_ACCOUNT_ID
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from elastic_transcoder.api.rates import OTHERS
from elastic_transcoder.api.service import service

# Calls in a second, and calls at once: what still means something.
PER_SECOND = (0.001, 1_000_000)
BURST = (1, 1_000_000)


@register
def rate_limits(**_: Any) -> Iterator[CheckMessage]:
    limits = settings.TRANSCODER_RATE_LIMITS
    if not isinstance(limits, dict):
        yield _error("no JSON object")
        return
    known = {OTHERS, *service().operation_names}
    for name, limit in limits.items():
        if name not in known:
            yield _error(f"there is no operation {name!r}")
        elif not _is_limit(limit):
            yield _error(f"{name} has {limit!r}")


@register
def account(**_: Any) -> Iterator[CheckMessage]:
    if not re.fullmatch(r"[0-9]{12}", settings.TRANSCODER_ACCOUNT_ID):
        yield Error(
            f"TRANSCODER_ACCOUNT_ID is {settings.TRANSCODER_ACCOUNT_ID!r}.",
            hint="Expected are the twelve digits of an account: every ARN that the API gives has "
            "them, and old programs read them there. Leave it out for 000000000000.",
            id="transcoder.E002",
        )


def _is_limit(limit: Any) -> bool:
    if not isinstance(limit, list) or len(limit) != 2:
        return False
    per_second, burst = limit
    # True is a number to Python and none to whoever wrote it.
    return (
        type(per_second) in (int, float)
        and PER_SECOND[0] <= per_second <= PER_SECOND[1]
        and type(burst) is int
        and BURST[0] <= burst <= BURST[1]
    )


def _error(fault: str) -> Error:
    return Error(
        f"TRANSCODER_RATE_LIMITS is no list of limits: {fault}.",
        hint='Expected is JSON: operation, or "*" for the others -> [calls in a second, whole '
        'number of calls at once], e.g. {"CreateJob": [2, 100], "*": [50, 200]}',
        id="transcoder.E001",
    )
