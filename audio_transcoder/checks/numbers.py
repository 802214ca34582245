"""Numbers: E006 to E008."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

POSITIVE = (
    "AWS_QUERYSTRING_EXPIRE",
    "CLIENT_BODY_S",
    "CLIENT_IDLE_S",
    "EMAIL_TIMEOUT",
    "FFMPEG_MEMORY_BYTES",
    "MAX_DURATION_S",
    "NOTICE_RETRY_S",
    "OUTPUT_MAX_BYTES",
    "RECONCILE_S",
    "TRANSCODER_LEASE_S",
    "TRANSCODER_MAX_PLACED",
    "TRANSCODER_RENEW_S",
    "TRANSCODER_STALL_S",
    "TRANSCODER_TIMEOUT",
    "TRANSCODER_WORKERS",
    "UPLOAD_MAX_BYTES",
    "WEB_BUSY_TIMEOUT",
    "WEB_PROCESSES",
    "WEB_THREADS",
    "WORKER_BUSY_TIMEOUT",
)
NOT_NEGATIVE = (
    "POLLS_PER_MINUTE",
    "QUOTA_BYTES",
    "QUOTA_FILES",
    "QUOTA_FILES_PER_DAY",
    "QUOTA_RESULT_BYTES",
    "SECURE_HSTS_SECONDS",
    "SHARE_REQUESTS_PER_MINUTE",
    "STORAGE_PRICE_PER_GIB",
    "TRANSCODER_MAX_PIPELINES",
    "TRANSCODER_MAX_PRESETS",
    "TRANSCODER_MAX_QUEUED_JOBS",
    "TRUSTED_PROXY_COUNT",
    "UPLOADS_PER_MINUTE",
)


@register
def numbers(**_: Any) -> Iterator[CheckMessage]:
    for name in POSITIVE:
        if not getattr(settings, name) > 0:
            yield Error(
                f"{name} is {getattr(settings, name)}.",
                hint="It must be more than 0; leave it out for the default.",
                id="audio.E006",
            )
    for name in NOT_NEGATIVE:
        if getattr(settings, name) < 0:
            yield Error(
                f"{name} is {getattr(settings, name)}.",
                hint="It must not be negative; 0 switches it off.",
                id="audio.E007",
            )
    if settings.TRANSCODER_RENEW_S * 2 > settings.TRANSCODER_LEASE_S:
        yield Error(
            f"A job's lease of {settings.TRANSCODER_LEASE_S:g} s is renewed only every "
            f"{settings.TRANSCODER_RENEW_S:g} s.",
            hint="A single late renewal would give a running job away: make TRANSCODER_LEASE_S at "
            "least twice TRANSCODER_RENEW_S.",
            id="audio.E008",
        )
