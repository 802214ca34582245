"""Many files as one ZIP, made while it is read: nothing of it is ever whole in memory or on a disk.

Entries are stored as they are, for sound hardly shrinks. Where there are few, the store is asked
for each before the first byte leaves, and the length of the whole is known: what is missing is
left out and named in a text file, and what goes missing later breaks the connection. Where there
are many, the text file at the end names whatever was missing. Either way an archive that was not
read to its end has no table of contents, so nobody takes it for whole.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import PurePosixPath

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext as _
from zipstream import ZipStream

from audio_transcoder import keys, names
from audio_transcoder.models import AudioFile, Rendition
from buckets import Bucket, BucketError, ObjectMissing, bucket, in_a_hurry

logger = logging.getLogger(__name__)

ORIGINALS = "original"
# Of one archive: each costs some hundred bytes of memory until the table of contents is written.
MAX_ENTRIES = 20_000
# So many objects are looked at before the first byte, some at once.
LOOKED_AT_FIRST = 200
_LOOKS_AT_ONCE = 8
_ROWS_AT_ONCE = 100
_CHUNK_BYTES = 256 * 1024
# Archives of one person at the same time. Each holds a thread of the web server.
AT_ONCE = 2
# Seconds after which a place counts as free if nobody says that it is still taken.
_PLACE_LIVES_S = 120

# What Windows has no file names with or for; a component of a path has at most 255 bytes.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|COM\d|LPT\d)(?:\..*)?", re.IGNORECASE)
_STEM_BYTES = 200


@dataclass(frozen=True)
class Entry:
    """One object and the path that it has in the archive."""

    key: str
    path: str
    size_bytes: int | None
    model: type[AudioFile | Rendition]  # with ``pk``: the row that notes when it was downloaded
    pk: int


class Paths:
    """Names in an archive: clean, and no two alike even where case does not count.

    Several kinds of files have a folder each. Of files that are called alike the second one is
    ``… (2)`` in every folder.
    """

    def __init__(self, *, has_folders: bool) -> None:
        self.has_folders = has_folders
        self._taken: set[str] = set()
        self._called: dict[str, int] = {}
        self._free_from: dict[str, int] = {}  # by path without a number: where to go on

    def number_of(self, name: str) -> int:
        """Count one more file called ``name``, and return how many there are now."""
        stem = _clean(name).casefold()
        self._called[stem] = self._called.get(stem, 0) + 1
        return self._called[stem]

    def path(self, folder: str, file_name: str, number: int) -> str:
        """Return a path for a file of that name that is the ``number``-th one called so."""
        folder, name = _clean(folder), PurePosixPath(_clean(file_name))
        extension = name.suffix if len(name.suffix.encode()) < 20 else ""
        stem = name.name.removesuffix(extension) if extension else name.name
        alike = f"{folder}/{stem}{extension}".casefold()
        while True:
            counted = f"{stem} ({number})" if number > 1 else stem
            path = f"{folder}/{counted}{extension}" if self.has_folders else counted + extension
            number = max(number + 1, self._free_from.get(alike, 0))
            if path.casefold() not in self._taken:
                self._taken.add(path.casefold())
                self._free_from[alike] = number
                return path


def _clean(name: str) -> str:
    text = _FORBIDDEN.sub("_", names.typed(name)).rstrip(" .") or "_"
    if _RESERVED.fullmatch(text):
        text = f"_{text}"
    stem, dot, extension = text.rpartition(".")
    if not stem or len(extension.encode()) > 20:
        stem, dot, extension = text, "", ""
    stem = stem.encode()[:_STEM_BYTES].decode(errors="ignore").rstrip(" .") or "_"
    return stem + dot + extension


def entries(pks: Sequence[int], kinds: Collection[str]) -> Iterator[Entry]:
    """Return what of the files with these keys belongs into an archive, in their order.

    ``kinds``: names of formats, and ORIGINALS. Files that are deleted meanwhile are not in it.
    """
    paths = Paths(has_folders=len(kinds) > 1)
    for start in range(0, len(pks), _ROWS_AT_ONCE):
        some = pks[start : start + _ROWS_AT_ONCE]
        found = AudioFile.objects.filter(pk__in=some).prefetch_related("renditions")
        by_pk = {audio_file.pk: audio_file for audio_file in found}
        for pk in some:
            if pk in by_pk:
                yield from _entries_of(by_pk[pk], kinds, paths)


def _entries_of(audio_file: AudioFile, kinds: Collection[str], paths: Paths) -> Iterator[Entry]:
    number = paths.number_of(audio_file.name)
    if ORIGINALS in kinds:
        name = audio_file.original_download_name
        yield Entry(
            key=keys.bucket_key(audio_file.mp3_file.name),
            path=paths.path(_("Originals"), name, number),
            size_bytes=audio_file.size_bytes,
            model=AudioFile,
            pk=audio_file.pk,
        )
    for rendition in audio_file.ready_renditions:
        if rendition.format_name in kinds:
            name = rendition.name_for(audio_file)
            yield Entry(
                key=keys.bucket_key(rendition.file.name),
                path=paths.path(rendition.format.label, name, number),
                size_bytes=rendition.size_bytes,
                model=Rendition,
                pk=rendition.pk,
            )


class Place:
    """One of the archives that a person may fetch at the same time, in every web process.

    It is kept in the cache, so that one whose process died is free again after minutes. So is one
    whose reader stands still for as long: then it may be another archive's by now.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self._holder = uuid.uuid4().hex

    @classmethod
    def take(cls, person: AbstractBaseUser) -> Place | None:
        """Return a free place, or None."""
        for number in range(AT_ONCE):
            place = cls(f"archive:{person.pk}:{number}")
            if cache.add(place.key, place._holder, _PLACE_LIVES_S):
                return place
        return None

    def keep(self) -> None:
        if self._is_ours():
            cache.touch(self.key, _PLACE_LIVES_S)

    def leave(self) -> None:
        if self._is_ours():
            cache.delete(self.key)

    def _is_ours(self) -> bool:
        return cache.get(self.key) == self._holder


class Archive:
    """The bytes of a ZIP with these entries; closing it gives the place back.

    ``size_bytes`` is None where it is not known before. Iterating raises BucketError when the
    store fails; what was sent until then is no ZIP.
    """

    def __init__(self, wanted: Iterable[Entry], place: Place) -> None:
        self.size_bytes: int | None = None
        self._place = place
        self._bucket = bucket(settings.MEDIA_BUCKET)
        self._words = (_("Not in this archive"), _("These files were not in the store any more:"))
        self._missing: list[str] = []
        self._sent: dict[type, list[int]] = {AudioFile: [], Rendition: []}
        wanted = iter(wanted)
        first = [entry for _number, entry in zip(range(LOOKED_AT_FIRST), wanted, strict=False)]
        more = next(wanted, None)
        if more is None:
            self._pieces = self._sized(first)
        else:
            self._pieces = self._unsized(chain(first, [more], wanted))

    def __iter__(self) -> Iterator[bytes]:
        kept_at = timezone.now()
        for piece in self._pieces:
            if (timezone.now() - kept_at).total_seconds() > _PLACE_LIVES_S / 4:
                self._place.keep()
                kept_at = timezone.now()
            yield piece
        self._note_downloads()

    def close(self) -> None:
        self._pieces.close()
        self._place.leave()

    def _sized(self, wanted: Sequence[Entry]) -> Iterator[bytes]:
        zipped = ZipStream(sized=True)
        for entry in self._looked_at(wanted):
            zipped.add(self._bytes(entry), entry.path, size=entry.size_bytes)
        self._add_note(zipped)
        self.size_bytes = len(zipped)
        return zipped.finalize()

    def _looked_at(self, wanted: Sequence[Entry]) -> Iterator[Entry]:
        with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
            for entry, size in zip(wanted, pool.map(self._size, wanted), strict=True):
                if size is None:
                    self._missing.append(entry.path)
                else:
                    yield replace(entry, size_bytes=size)

    def _size(self, entry: Entry) -> int | None:
        with in_a_hurry():  # a person waits for the answer to begin; threads know it each
            info = self._bucket.stat(entry.key)
        return info.size_bytes if info else None

    def _unsized(self, wanted: Iterable[Entry]) -> Iterator[bytes]:
        zipped = ZipStream()
        for entry in wanted:
            size = self._size(entry) if entry.size_bytes is None else entry.size_bytes
            pieces = self._bytes(replace(entry, size_bytes=size))
            try:
                # Opened before the entry is begun, which could not be taken back.
                head = next(pieces, b"") if size is not None else None
            except ObjectMissing:
                head = None
            if head is None:
                self._missing.append(entry.path)
                continue
            zipped.add(chain([head], pieces), entry.path, size=size)
            yield from zipped.all_files()
        self._add_note(zipped)
        yield from zipped.finalize()

    def _bytes(self, entry: Entry) -> Iterator[bytes]:
        """Return all bytes of the object, no more and no fewer."""
        left = entry.size_bytes
        with self._bucket.open(entry.key) as file:
            while left and (chunk := file.read(min(_CHUNK_BYTES, left))):
                left -= len(chunk)
                yield chunk
        if left:
            raise _cut_off(self._bucket, entry)
        self._sent[entry.model].append(entry.pk)

    def _add_note(self, zipped: ZipStream) -> None:
        if self._missing:
            title, sentence = self._words
            text = "\r\n".join([sentence, "", *self._missing, ""])
            zipped.add(text, f"{title} ({len(self._missing)}).txt")

    def _note_downloads(self) -> None:
        now = timezone.now()
        for model, pks in self._sent.items():
            for start in range(0, len(pks), 500):
                some = pks[start : start + 500]
                model.objects.filter(pk__in=some, downloaded_at=None).update(downloaded_at=now)


def _cut_off(stored_in: Bucket, entry: Entry) -> BucketError:
    return BucketError("ends before its size", bucket=stored_in.name, key=entry.key)
