"""Which of a person's files something is done with: those that were ticked, or all that match."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.http import QueryDict

from audio_transcoder.library.listing import Listing
from audio_transcoder.models import AudioFile
from audio_transcoder.models.files import AudioFileQuerySet

# More than a page shows, and few enough for the address of a question about them.
MAX_CODES = 100
# Seconds of one request, and files of one transaction. What is left then is for the next request.
TURN_S = 8.0
FILES_AT_ONCE = 50
_SALT = "audio_transcoder.selection"


@dataclass(frozen=True)
class Selection:
    """Files by code, or, with ``is_all``, whatever ``listing`` finds."""

    codes: tuple[UUID, ...]
    is_all: bool
    listing: Listing
    # The newest file that is meant: what is uploaded while somebody reads a question is not, and
    # what was done before a turn ended is not done again.
    up_to: int | None = None

    @classmethod
    def of(cls, query: QueryDict) -> Selection:
        """Return the selection that a form of the library, or ``pairs``, sent."""
        return cls(
            codes=_codes(query.getlist("file")),
            is_all=query.get("all") == "1",
            listing=Listing.of(query),
            up_to=_unsigned(query.get("up_to", "")),
        )

    def __bool__(self) -> bool:
        return self.is_all or bool(self.codes)

    def files(self, person: AbstractBaseUser) -> AudioFileQuerySet:
        """Return what of it is there and belongs to ``person``, in no order."""
        files = AudioFile.objects.filter(owner=person).order_by()
        files = self.listing.filtered(files) if self.is_all else files.filter(code__in=self.codes)
        return files if self.up_to is None else files.filter(pk__lte=self.up_to)

    def pairs(self, up_to: int) -> list[tuple[str, str]]:
        """Return names and values of hidden fields that say the same, of files up to ``up_to``."""
        which = [("all", "1")] if self.is_all else [("file", str(code)) for code in self.codes]
        return [*which, *self.listing.pairs(), ("up_to", signing.dumps(up_to, salt=_SALT))]


def _codes(texts: Sequence[str]) -> tuple[UUID, ...]:
    codes = []
    for text in texts[:MAX_CODES]:
        try:
            codes.append(UUID(text))
        except ValueError:  # nobody's
            continue
    return tuple(dict.fromkeys(codes))


def _unsigned(text: str) -> int | None:
    try:
        return signing.loads(text, salt=_SALT) if text else None
    except signing.BadSignature:
        return None


def work_off(
    files: AudioFileQuerySet, act: Callable[[AudioFileQuerySet], int]
) -> tuple[int, int | None]:
    """Do ``act`` on some files at a time, newest first, until the turn ends.

    Returns the sum of what ``act`` returned, and the newest file that is left, None when all is
    done.
    """
    ends = time.monotonic() + TURN_S
    done, last = 0, None
    newest_first = files.order_by("-pk").values_list("pk", flat=True)
    while True:
        left = newest_first if last is None else newest_first.filter(pk__lt=last)
        pks = list(left[:FILES_AT_ONCE])
        if not pks:
            return done, None
        if last is not None and time.monotonic() > ends:
            return done, pks[0]
        done += act(AudioFile.objects.filter(pk__in=pks))
        last = pks[-1]
