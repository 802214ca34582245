"""What the store and the database do not agree on: objects without rows, rows without objects.

A crash, or a backup that is older than the bucket, leaves either. Listing changes nothing. What
is not below ``uploads/``, ``renditions/``, ``variants/`` or ``check/`` (where a look at the store
that was killed leaves its object) is somebody else's and only counted.
"""

from __future__ import annotations

import itertools
import re
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

import steps
from audio_transcoder import keys
from audio_transcoder.models import AudioFile, Deletion, Rendition, TranscodeJob, Upload
from buckets import Bucket, BucketMissing, ObjectInfo, bucket
from transcode_messages.languages import spoken_to
from transcode_messages.models import Message

# Younger objects may belong to rows that are still to be committed.
YOUNG = timedelta(days=1)
# The names of all that we store; a folder's mark, as consoles make them, is none of ours.
_OURS = re.compile(
    r"uploads/(?P<upload>[^/]+)/(?:source|arriving|(?:cover|found)-[0-9a-z.-]+)"
    r"|renditions/(?P<result>[^/]+)/[^/]+/.*[^/]"
    r"|variants/(?P<variant>[^/]+)/.*[^/]|check/(?P<look>[^/]+)",
    re.DOTALL,
)
_ROWS_AT_ONCE = 500
_OBJECTS_AT_ONCE = 50  # of one deletion, which the step works off whole
_Item = TypeVar("_Item")


class NotOurs(Exception):
    """The store has nothing of what the rows name, so it is another one, or not there just now."""


@dataclass(frozen=True)
class Orphan:
    """An object that no row knows."""

    name: str  # in the media storage
    info: ObjectInfo


@dataclass
class Litter:
    """What was found. ``files`` have lost their original, ``renditions`` their object."""

    objects_seen: int = 0
    foreign: int = 0  # objects that are not of our making
    orphans: list[Orphan] = field(default_factory=list)
    renditions: list[Rendition] = field(default_factory=list)
    files: list[AudioFile] = field(default_factory=list)

    @property
    def orphan_bytes(self) -> int:
        return sum(orphan.info.size_bytes for orphan in self.orphans)


def find(seen: Callable[[int], object] = lambda count: None) -> Litter:
    """List the whole media location and compare it with the rows; nothing is changed.

    ``seen`` is called with the number of objects since its last call. Memory grows with the
    number of objects, some 200 bytes each. Raises BucketError, and NotOurs: a disk that is not
    mounted, or a wrong name in the settings, must not count as the loss of every file.
    """
    began = timezone.now()
    media = bucket(settings.MEDIA_BUCKET)
    litter = Litter()
    names = _listed(media, litter, seen)
    if not names and _files(began).exists():
        raise NotOurs
    for some in _some(names):
        litter.orphans += _orphans(media, {code: names[code] for code in some}, began)
    stored = set(itertools.chain.from_iterable(names.values()))
    files = _files(began).iterator(_ROWS_AT_ONCE)
    litter.renditions = [*_without_object(media, _complete_renditions(began), "file", stored)]
    litter.files = [*_without_object(media, files, "mp3_file", stored)]
    return litter


def remove(litter: Litter) -> list[AudioFile]:
    """Remove what was found; return the files that stay because results of them are there.

    Objects go by the step ``delete``. A rendition without its object can be ordered again. A
    file that is wholly lost leaves the library, and its owner is told.
    """
    with transaction.atomic():
        Deletion.objects.bulk_create(
            Deletion(prefixes=[orphan.name for orphan in some])
            for some in _some(litter.orphans, _OBJECTS_AT_ONCE)
        )
        steps.nudge("delete")
    for some in _some(litter.renditions):
        _forget(some)
    return [file for file in litter.files if not _give_up(file)]


@transaction.atomic
def _forget(renditions: Sequence[Rendition]) -> None:
    """Delete rows without an object; what the library says of their files changes with them."""
    Rendition.objects.filter(pk__in=[rendition.pk for rendition in renditions]).delete()
    files = {rendition.audio_file_id for rendition in renditions}
    for audio_file in AudioFile.objects.select_for_update().filter(pk__in=files).order_by("pk"):
        audio_file.keep_state()


def _listed(
    media: Bucket, litter: Litter, seen: Callable[[int], object]
) -> dict[uuid.UUID, list[str]]:
    """Return the storage names of our objects, by the code of the file they belong to."""
    names: dict[uuid.UUID, list[str]] = defaultdict(list)
    try:
        for key in media.keys(f"{settings.MEDIAFILES_LOCATION}/"):
            seen(1)
            litter.objects_seen += 1
            name = keys.storage_name(key)
            code = _code_in(name)
            if code is not None:
                names[code].append(name)
            elif not name.startswith("intake/"):  # those wait to be taken in
                litter.foreign += 1
    except BucketMissing:  # nothing was ever stored
        pass
    return names


def _code_in(name: str) -> uuid.UUID | None:
    """Return the code of the file that an object of this name belongs to, None if not ours."""
    found = _OURS.fullmatch(name)
    text = found[found.lastgroup] if found and found.lastgroup else ""
    try:
        code = uuid.UUID(text)
    except ValueError:
        return None
    return code if str(code) == text else None


def _some(items: Iterable[_Item], count: int = _ROWS_AT_ONCE) -> Iterator[list[_Item]]:
    rest = iter(items)
    while some := list(itertools.islice(rest, count)):
        yield some


def _orphans(media: Bucket, names: dict[uuid.UUID, list[str]], began: datetime) -> Iterator[Orphan]:
    # What vouches for an object until its rows are there is read before them: an upload that
    # ends in between is seen as the one or as the other.
    going = _prefixes_of_deletions()
    coming = set(
        Upload.objects.unfinished().filter(file_code__in=names).values_list("file_code", flat=True)
    )
    known: dict[uuid.UUID, list[str]] = defaultdict(list)
    for code, name in _names_in_rows(names):
        known[code].append(name)
    for code, stored in names.items():
        for name in stored:
            # Variants are made on demand: they are their file's as long as it is there.
            is_variant = name.startswith("variants/") and code in known
            if code in coming or is_variant or name.startswith(going):
                continue
            # A deletion takes what begins with the name, so that must be nobody's either.
            if any(one.startswith(name) for one in known.get(code, ())):
                continue
            info = media.stat(keys.bucket_key(name))
            if info is not None and began - info.modified_at > YOUNG:
                yield Orphan(name, info)


def _names_in_rows(codes: Iterable[uuid.UUID]) -> Iterator[tuple[uuid.UUID, str]]:
    """Return what the rows of these files name, each with the code of its file."""
    files = AudioFile.objects.filter(code__in=codes)
    results = Rendition.objects.filter(audio_file__in=files)
    return itertools.chain(
        files.values_list("code", "mp3_file"),
        files.exclude(cover="").values_list("code", "cover"),
        results.values_list("audio_file__code", "file"),
    )


def _prefixes_of_deletions() -> tuple[str, ...]:
    """Return what deletions that are under way take with them."""
    every = Deletion.objects.values_list("prefixes", flat=True)
    return tuple(itertools.chain.from_iterable(every))


def _complete_renditions(began: datetime) -> Iterator[Rendition]:
    complete = Rendition.objects.filter(
        status=TranscodeJob.Status.COMPLETE, job__finished_at__lt=began
    )
    return complete.select_related("audio_file__owner").iterator(_ROWS_AT_ONCE)


def _files(began: datetime) -> QuerySet[AudioFile]:
    return AudioFile.objects.filter(created_at__lt=began).select_related("owner")


def _without_object(media: Bucket, rows: Iterator, field_name: str, stored: set[str]) -> Iterator:
    """Return the rows whose object was not listed and, asked again, is not there."""
    for row in rows:
        name = getattr(row, field_name).name
        if name not in stored and media.stat(keys.bucket_key(name)) is None:
            yield row


def _give_up(audio_file: AudioFile) -> bool:
    """Take a lost file out of the library, unless a result of it is left; return whether."""
    with transaction.atomic():
        if audio_file.renditions.filter(status=TranscodeJob.Status.COMPLETE).exists():
            return False
        if not AudioFile.objects.filter(pk=audio_file.pk).remove():
            return True  # its owner has deleted it meanwhile, and needs no word
        with spoken_to(audio_file.owner):
            text = _("Your file {name} is no longer in the store. Please upload it again.")
        Message.objects.tell(
            audio_file.owner,
            event=f"lost:{audio_file.code}",
            about=audio_file.code,
            level=Message.Level.ERROR,
            text=text.format(name=audio_file.name),
            link=reverse("audio:upload"),
        )
    return True
