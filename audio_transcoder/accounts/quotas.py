"""How much of what they may keep people use, in words; ``uploads.check_quota`` enforces it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from audio_transcoder.models import AudioFile, StorageAccount


@dataclass(frozen=True)
class Quota:
    """One limit and what is used of it; ``limit`` 0: there is none."""

    name: str
    label: str
    used: int
    limit: int
    words: str

    @property
    def is_used_up(self) -> bool:
        return bool(self.limit) and self.used >= self.limit


def quotas_of(account: StorageAccount) -> list[Quota]:
    """Return the three limits; ``account`` comes from ``StorageAccount.objects.with_use()``."""
    since = timezone.now() - timedelta(days=1)
    today = AudioFile.objects.filter(owner_id=account.pk, created_at__gt=since).count()
    limits = settings.QUOTA_FILES, settings.QUOTA_FILES_PER_DAY
    return [
        _bytes(account.upload_bytes, settings.QUOTA_BYTES),
        _files("files", _("Files"), account.files, limits[0]),
        _files("files-per-day", _("Files uploaded in the last 24 hours"), today, limits[1]),
    ]


def _bytes(used: int, limit: int) -> Quota:
    words = _words(filesizeformat(used), filesizeformat(limit) if limit else "")
    return Quota("bytes", _("Uploaded files together"), used, limit, words)


def _files(name: str, label: str, used: int, limit: int) -> Quota:
    words = _words(_number(used), _number(limit) if limit else "")
    return Quota(name, label, used, limit, words)


def _number(number: int) -> str:
    return number_format(number, force_grouping=True)


def _words(used: str, limit: str) -> str:
    if not limit:
        return _("%(used)s, no limit") % {"used": used}
    return _("%(used)s of %(limit)s") % {"used": used, "limit": limit}
