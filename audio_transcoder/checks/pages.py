"""What people need of the pages: W003, W035, W060."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register
def packages(**_: Any) -> Iterator[CheckMessage]:
    if not settings.TRANSCODER_ALONE and not settings.HAS_UPPY:
        yield Warning(
            "There is no node_modules: people upload one file at a time with the plain form, and "
            "an upload that breaks off begins anew.",
            hint="npm ci, with any Node or the one that requirements.txt brings, then restart; "
            "make run does it by itself.",
            id="audio.W035",
        )


@register
def accounts(**_: Any) -> Iterator[CheckMessage]:
    if settings.TRANSCODER_ALONE:  # nobody signs up here
        return
    nowhere = ("console", "dummy", "locmem")
    is_sent = settings.EMAIL_BACKEND.split(".")[-2] not in nowhere
    if settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory" and not is_sent:
        yield Warning(
            "People must confirm their e-mail address, and no mail leaves this machine.",
            hint="Set EMAIL_URL, e.g. smtp+tls://user:password@mail.example.org:587",
            id="audio.W003",
        )
    # django-environ puts what it does not know there, and Django asks nobody for it.
    unknown = ", ".join(sorted(settings.EMAIL_CONFIG.get("OPTIONS", {})))
    if unknown:
        yield Warning(
            f"EMAIL_URL has {unknown.lower()} after the question mark, which does nothing.",
            hint="A connection is encrypted by its scheme: smtp+tls:// (port 587) or smtp+ssl:// "
            "(port 465). With smtp:// the password is sent for everyone to read.",
            id="audio.W060",
        )
