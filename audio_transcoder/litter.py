"""What the store and the database do not agree on: objects without rows, rows without objects.

A crash, or a backup that is older than the bucket, leaves either. Listing changes nothing. What
is not below ``uploads/``, ``renditions/`` or ``variants/`` is somebody else's and only counted.
"""

from __future__ import annotations

import itertools
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

import steps
from audio_transcoder import keys
from audio_transcoder.models import AudioFile, Deletion, Rendition, TranscodeJob, Upload
from buckets import Bucket, BucketMissing, ObjectInfo, bucket
from transcode_messages.models import Message

# Younger objects may belong to rows that are still to be committed.
YOUNG = timedelta(days=1)
_KINDS = ("uploads", "renditions", "variants")
_ROWS_AT_ONCE = 500
_OBJECTS_AT_ONCE = 50  # of one deletion, which the step works off whole
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Orphan:
    """An object that no row knows."""

    name: str  # in the media storage
    info: ObjectInfo


@dataclass
class Litter:
    """What was found. ``files`` have lost their original, ``renditions`` their object."""

    objects_seen: int = 0
    own: int = 0  # objects of our making
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
    number of objects, some 200 bytes each. Raises BucketError, BucketMissing where there are files:
    a bucket that is not there has not lost them.
    """
    began = timezone.now()
    media = bucket(settings.MEDIA_BUCKET)
    litter = Litter()
    names = _listed(media, litter, seen)
    for some in _some(names):
        litter.orphans += _orphans(media, {code: names[code] for code in some}, began)
    stored = set(itertools.chain.from_iterable(names.values()))
    litter.renditions = [*_without_object(media, _complete_renditions(began), "file", stored)]
    litter.files = [*_without_object(media, _files(began), "mp3_file", stored)]
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
        Rendition.objects.filter(pk__in=[rendition.pk for rendition in some]).delete()
    return [file for file in litter.files if not _give_up(file)]


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
            kind, _slash, rest = name.partition("/")
            code = _code(rest.partition("/")[0])
            # A name that ends with a slash is a mark of a folder, which consoles make.
            if kind in _KINDS and code is not None and not name.endswith("/"):
                names[code].append(name)
                litter.own += 1
            elif kind != "intake":  # those wait to be taken in
                litter.foreign += 1
    except BucketMissing:
        if AudioFile.objects.exists():
            raise
    return names


def _code(text: str) -> uuid.UUID | None:
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
    # Asked before the files: one that arrives in between is in either answer. S3 dates an object
    # that came in parts from when the first of them was asked for, so its age says nothing.
    coming = Upload.objects.unfinished().filter(file_code__in=names)
    coming_codes = set(coming.values_list("file_code", flat=True))
    files = AudioFile.objects.filter(code__in=names)
    known = set(files.values_list("mp3_file", flat=True))
    known |= set(Rendition.objects.filter(audio_file__in=files).values_list("file", flat=True))
    owners = set(files.values_list("code", flat=True))
    going = _prefixes_of_deletions()
    for code, stored in names.items():
        if code in coming_codes:
            continue
        # Variants are made on demand: they are their file's as long as it is there.
        kept = [
            name
            for name in stored
            if name in known or (name.startswith("variants/") and code in owners)
        ]
        for name in set(stored).difference(kept):
            # What goes takes everything with it whose name goes on.
            if name.startswith(going) or any(other.startswith(name) for other in kept):
                continue
            info = media.stat(keys.bucket_key(name))
            if info is not None and began - info.modified_at > YOUNG:
                yield Orphan(name, info)


def _prefixes_of_deletions() -> tuple[str, ...]:
    """Return what deletions that are under way take with them."""
    every = Deletion.objects.values_list("prefixes", flat=True)
    return tuple(itertools.chain.from_iterable(every))


def _complete_renditions(began: datetime) -> Iterator[Rendition]:
    complete = Rendition.objects.filter(
        status=TranscodeJob.Status.COMPLETE, job__finished_at__lt=began
    )
    return complete.select_related("audio_file__owner").iterator(_ROWS_AT_ONCE)


def _files(began: datetime) -> Iterator[AudioFile]:
    older = AudioFile.objects.filter(created_at__lt=began)
    return older.select_related("owner").iterator(_ROWS_AT_ONCE)


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
        AudioFile.objects.filter(pk=audio_file.pk).remove()
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
