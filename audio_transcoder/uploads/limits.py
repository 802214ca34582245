"""How much one person may upload: the site's limits, and what is left of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet, Sum
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audio_transcoder.models import AudioFile, Upload


@dataclass(frozen=True)
class Room:
    """What one person may still upload; None: as much as they like."""

    bytes: int | None
    files: int | None
    files_today: int | None

    def has(self, size_bytes: int) -> bool:
        """Return whether one more file of this size may come."""
        counts = (self.files, self.files_today)
        has_bytes = self.bytes is None or size_bytes <= self.bytes
        return has_bytes and all(count is None or count > 0 for count in counts)


def room_of(owner: AbstractBaseUser, *, coming: QuerySet[Upload] | None = None) -> Room:
    """Return what ``owner`` may still upload.

    ``coming``: uploads that count as if they had arrived. What has no limit is not counted.
    """
    files = AudioFile.objects.filter(owner=owner)
    counts_files = settings.QUOTA_FILES or settings.QUOTA_FILES_PER_DAY
    more = coming.count() if counts_files and coming is not None else 0
    kept = today = space = None
    if settings.QUOTA_FILES:
        kept = max(0, settings.QUOTA_FILES - files.count() - more)
    if settings.QUOTA_FILES_PER_DAY:
        a_day_ago = timezone.now() - timedelta(days=1)
        arrived = files.filter(created_at__gt=a_day_ago).count()
        today = max(0, settings.QUOTA_FILES_PER_DAY - arrived - more)
    if settings.QUOTA_BYTES:
        taken = _bytes_of(files) + (0 if coming is None else _bytes_of(coming))
        space = max(0, settings.QUOTA_BYTES - taken)
    return Room(bytes=space, files=kept, files_today=today)


def told(room: Room) -> list[str]:
    """Return the limits of an upload, each in a few words."""
    size = filesizeformat(settings.UPLOAD_MAX_BYTES)
    words = [_("up to {size} a file").format(size=size), _longest()]
    if room.bytes is not None:
        words.append(_("{size} of your space left").format(size=filesizeformat(room.bytes)))
    if room.files is not None:
        words.append(
            _numbered(
                ngettext("room for {n} more file", "room for {n} more files", room.files),
                room.files,
            )
        )
    if room.files_today is not None:
        words.append(
            _numbered(
                ngettext("{n} more file today", "{n} more files today", room.files_today),
                room.files_today,
            )
        )
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


def _bytes_of(rows: QuerySet[AudioFile] | QuerySet[Upload]) -> int:
    return rows.aggregate(total=Sum("size_bytes"))["total"] or 0
