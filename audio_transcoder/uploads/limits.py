"""How much one person may upload, in words: the site's limits, and what is left of them."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audio_transcoder.quotas import Quota


def told(quotas: Mapping[str, Quota]) -> list[str]:
    """Return the limits of an upload, each in a few words; ``quotas`` by name."""
    size = filesizeformat(settings.UPLOAD_MAX_BYTES)
    words = [_("up to {size} a file").format(size=size), _longest()]
    left = {name: quota.left for name, quota in quotas.items() if quota.left is not None}
    if "bytes" in left:
        words.append(_("{size} of your space left").format(size=filesizeformat(left["bytes"])))
    if "result_bytes" in left:
        size = filesizeformat(left["result_bytes"])
        words.append(_("{size} left for results").format(size=size))
    if "files" in left:
        n = left["files"]
        words.append(_numbered(ngettext("room for {n} more file", "room for {n} more files", n), n))
    if "files_today" in left:
        n = left["files_today"]
        words.append(_numbered(ngettext("{n} more file today", "{n} more files today", n), n))
    return words


def _longest() -> str:
    seconds = settings.MAX_DURATION_S
    if seconds < 120:
        return _numbered(
            ngettext("up to {n} second of sound", "up to {n} seconds of sound", seconds), seconds
        )
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 120:
        return _numbered(
            ngettext("up to {n} minute of sound", "up to {n} minutes of sound", minutes), minutes
        )
    return _numbered(ngettext("up to {n} hour of sound", "up to {n} hours of sound", hours), hours)


def _numbered(words: str, count: int) -> str:
    return words.format(n=number_format(count))
