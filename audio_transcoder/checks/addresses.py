"""Addresses: E001, E002, E013, W001, W061."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

_AMAZONS_OWN = re.compile(r"elastictranscoder\..*\.?(amazonaws\.com(\.cn)?|api\.aws)")


@register
def addresses(**_: Any) -> Iterator[CheckMessage]:
    host = (host_of(settings.TRANSCODER_ENDPOINT_URL) or "").rstrip(".").lower()
    if _AMAZONS_OWN.fullmatch(host):
        yield Error(
            f"TRANSCODER_ENDPOINT_URL is Amazon's: {host}.",
            hint="Amazon switched Elastic Transcoder off on 2025-11-13. Leave the variable out to "
            "use the transcoder of this site, or name another one.",
            id="audio.E001",
        )
    for name in ("SITE_URL", "LOCAL_URL", "TRANSCODER_ENDPOINT_URL", "AWS_S3_ENDPOINT_URL"):
        value = getattr(settings, name)
        if value and not is_address(value):
            yield Error(
                f"{name} is no address of a site: {value!r}.",
                hint="Expected is http:// or https://, a host and maybe a port, and no more, e.g. "
                "https://audio.example.org",
                id="audio.E002",
            )
    if not 0 < settings.PORT < 65536:
        yield Error(
            f"PORT is {settings.PORT}.", hint="Choose one from 1 to 65535.", id="audio.E013"
        )
    if settings.DEBUG and settings.SITE_URL.startswith("https://"):
        yield Warning(
            f"DEBUG is on and people reach the site at {settings.SITE_URL}.",
            hint="Its error pages show settings and code to everybody: leave DEBUG out.",
            id="audio.W001",
        )
    if settings.SECURE_PROXY_SSL_HEADER and not settings.TRUSTED_PROXY_COUNT:
        yield Warning(
            "A proxy stands in front, and all visitors have its address.",
            hint="They share the limits on guessing and on floods: let the proxy send "
            "X-Forwarded-For and set TRUSTED_PROXY_COUNT to the number of your proxies.",
            id="audio.W061",
        )


def host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port != 0  # a port that is no number raises
    except ValueError:
        return False
    return (
        port_is_fine
        and parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and not re.search(r"[\s\x00-\x1f]", url)
        and parts.path in ("", "/")
        and not (parts.query or parts.fragment)
    )
