"""Ids of pipelines, jobs and presets."""

from __future__ import annotations

import secrets
import string
import time

_ALPHABET = string.digits + string.ascii_lowercase


def new_id() -> str:
    """Return an id like ``1600000000000-def456``: epoch milliseconds, six random characters.

    Source: Elastic Transcoder API 2012-09-25, type Id, ``^\\d{13}-\\w{6}$``.
    """
    tail = "".join(secrets.choice(_ALPHABET) for _ in range(6))
    return f"{time.time_ns() // 1_000_000}-{tail}"
