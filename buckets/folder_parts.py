"""Uploads in parts to a bucket that is a folder.

Two files beside the objects, in ``%parts``: ``<id>.bytes``, sparse and as long as the object will
be, into which each part is written at its place; and ``<id>.parts``, a table that says which parts
are whole. Every write happens under the table's lock, for one chunk, after a look whether it may:
so a part belongs to whoever began to write it last, and nobody writes into what is complete. The
complete file becomes the object by a second name; nothing is copied or read again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import struct
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from buckets.errors import (
    BucketDenied,
    BucketUnavailable,
    ObjectExists,
    ObjectMissing,
    PartsDiffer,
    PartTaken,
    UploadMissing,
)
from buckets.folder import (
    FOLDER_MODE,
    OBJECT_MODE,
    UNFINISHED,
    FolderBucket,
    NotLinkable,
)
from buckets.interface import ObjectInfo
from buckets.parts import Part

_ID = re.compile("[0-9a-f]{32}")
# The table begins with: is it closed, size of the object, size of a part, hash of the key.
_HEAD = struct.Struct(">?7xQQ32s")
# Then for each part: who wrote it last, MD5, size, is it whole.
_ROW = struct.Struct(">16s16sQ?7x")
_CLOSED = b"\1"  # in the first byte of the table
_NEW = os.O_CREAT | os.O_EXCL | os.O_RDWR


@dataclass(frozen=True)
class _Plan:
    """What was declared when the upload began."""

    is_closed: bool
    size_bytes: int
    part_bytes: int

    @property
    def count(self) -> int:
        return -(-self.size_bytes // self.part_bytes)

    def size_of(self, number: int) -> int:
        """Return the bytes of that part; 0 for a number that is none."""
        if not 0 < number <= self.count:
            return 0
        return min(self.part_bytes, self.size_bytes - (number - 1) * self.part_bytes)


class FolderParts(FolderBucket):
    """See buckets.parts.Parts; ``write`` takes the place of an address."""

    def begin(self, key: str, *, content_type: str, size_bytes: int, part_bytes: int) -> str:
        """See Parts. ``content_type`` is not stored."""
        self._require_key(key)
        self._make_root()
        upload_id = uuid.uuid4().hex
        head = _HEAD.pack(False, size_bytes, part_bytes, _hash(key))
        with self._faults(None):
            (self.root / UNFINISHED).mkdir(mode=FOLDER_MODE, exist_ok=True)
            try:
                with _opened(self._path(upload_id, "bytes"), _NEW) as data:
                    os.ftruncate(data, size_bytes)
                with _opened(self._path(upload_id, "parts"), _NEW) as table:
                    _write(table, head, 0)
                    os.fsync(table)
            except OSError:
                self._remove(upload_id)
                raise
        return upload_id

    def url(
        self, key: str, upload_id: str, number: int, size_bytes: int, *, expires_s: int
    ) -> None:
        """Return None: a folder has no address."""
        return

    def form(self, key: str, *, size_bytes: int, content_type: str, expires_s: int) -> None:
        """Return None: a folder has no address."""
        return

    def write(self, key: str, upload_id: str, number: int, chunks: Iterable[bytes]) -> str:
        """Store one part and return the hexadecimal MD5 of its bytes, which are on the disk then.

        What ``chunks`` raises travels on. Until the first of them nothing is changed; whatever
        comes after that and fails leaves the part missing. Raises PartTaken when a newer writer
        has begun with the same part, UploadMissing when the upload is complete, aborted or swept,
        and PartsDiffer when there is no such part or not so many bytes came.
        """
        writer, digest, done = uuid.uuid4().bytes, hashlib.md5(usedforsecurity=False), 0
        with self._open(key, upload_id, os.O_RDWR) as (table, data):
            plan = self._plan(key, table)
            size = plan.size_of(number)
            begins_at = (number - 1) * plan.part_bytes
            for chunk in chunks:
                if done + len(chunk) > size:
                    raise self._differ(key, [number])
                with self._faults(key), _locked(table):
                    if done:
                        self._require_writer(key, table, number, writer)
                    else:
                        self._require_open(key, table)
                        _write(table, _ROW.pack(writer, bytes(16), 0, False), _place(number))
                    _write(data, chunk, begins_at + done)
                digest.update(chunk)
                done += len(chunk)
            if done != size or not size:
                raise self._differ(key, [number])
            with self._faults(key):
                os.fdatasync(data)
                with _locked(table):
                    self._require_writer(key, table, number, writer)
                    _write(table, _ROW.pack(writer, digest.digest(), done, True), _place(number))
                os.fdatasync(table)
        return digest.hexdigest()

    def listed(self, key: str, upload_id: str) -> list[Part]:
        """See Parts."""
        with self._open(key, upload_id, os.O_RDONLY) as (table, _data):
            return self._parts(table, self._plan(key, table))

    def complete(self, key: str, upload_id: str, parts: Sequence[Part]) -> ObjectInfo:
        """See Parts."""
        with contextlib.suppress(UploadMissing):  # complete already, if the object is there
            self._complete(key, upload_id, parts)
        info = self.stat(key)
        if info is None:
            raise self._no_upload(key)
        return info

    def abort(self, key: str, upload_id: str) -> None:
        """See Parts."""
        try:
            with (
                self._open(key, upload_id, os.O_RDONLY, table_flags=os.O_RDWR) as (table, _data),
                self._faults(key),
                _locked(table),
            ):
                self._plan(key, table)
                _write(table, _CLOSED, 0)  # whoever still writes stops at the next chunk
                self._remove(upload_id)
        except UploadMissing:
            return

    def _complete(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        # Closed by a process that died before the object was there, the bytes are read-only.
        with (
            self._open(key, upload_id, os.O_RDONLY, table_flags=os.O_RDWR) as (table, data),
            self._faults(key),
            _locked(table),
        ):
            self._require_same(key, table, parts)
            _write(table, _CLOSED, 0)
            os.fchmod(data, OBJECT_MODE)
            os.fsync(data)
            try:
                self._place(key, self._path(upload_id, "bytes"))
            except ObjectExists:
                with self.open(key) as there:
                    if not os.path.samestat(os.fstat(there.fileno()), os.fstat(data)):
                        raise
            except NotLinkable as error:
                raise BucketDenied(
                    "the file system has no hard links", bucket=self.name, key=key
                ) from error
            self._remove(upload_id)

    def _require_same(self, key: str, table: int, parts: Sequence[Part]) -> None:
        plan = self._plan(key, table)
        there = {part.number: part for part in self._parts(table, plan)}
        told = {part.number: part for part in parts}
        numbers = range(1, plan.count + 1)
        wrong = [n for n in numbers if n not in there or there[n] != told.get(n)]
        if wrong or len(told) != plan.count:
            raise self._differ(key, wrong or sorted(set(told) - set(numbers)))

    # --- The two files ------------------------------------------------------------------------

    def _path(self, upload_id: str, kind: str) -> Path:
        return self.root / UNFINISHED / f"{upload_id}.{kind}"

    @contextlib.contextmanager
    def _open(
        self, key: str, upload_id: str, flags: int, *, table_flags: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """Open the table and the bytes of an upload. Raises UploadMissing."""
        if not _ID.fullmatch(upload_id):
            raise self._no_upload(key)
        with contextlib.ExitStack() as files:
            try:
                with self._faults(key):
                    table_flags = flags if table_flags is None else table_flags
                    table = files.enter_context(
                        _opened(self._path(upload_id, "parts"), table_flags)
                    )
                    data = files.enter_context(_opened(self._path(upload_id, "bytes"), flags))
            except ObjectMissing as error:
                raise self._no_upload(key) from error
            yield table, data

    def _plan(self, key: str, table: int) -> _Plan:
        with self._faults(key):
            if os.fstat(table).st_nlink == 0:  # completed or aborted since it was opened
                raise self._no_upload(key)
            head = os.pread(table, _HEAD.size, 0)
        if len(head) < _HEAD.size:
            raise BucketUnavailable("the table of its parts is broken", bucket=self.name, key=key)
        is_closed, size_bytes, part_bytes, hashed = _HEAD.unpack(head)
        if hashed != _hash(key):
            raise self._no_upload(key)
        return _Plan(is_closed, size_bytes, part_bytes)

    def _require_open(self, key: str, table: int) -> None:
        if self._plan(key, table).is_closed:
            raise self._no_upload(key)

    def _require_writer(self, key: str, table: int, number: int, writer: bytes) -> None:
        self._require_open(key, table)
        if os.pread(table, len(writer), _place(number)) != writer:
            raise PartTaken("has a newer writer", bucket=self.name, key=key)

    def _parts(self, table: int, plan: _Plan) -> list[Part]:
        rows = os.pread(table, plan.count * _ROW.size, _HEAD.size)
        rows = rows.ljust(plan.count * _ROW.size, b"\0")
        return [
            Part(number, size, md5.hex())
            for number, (_writer, md5, size, is_whole) in enumerate(_ROW.iter_unpack(rows), 1)
            if is_whole
        ]

    def _remove(self, upload_id: str) -> None:
        for kind in ("bytes", "parts"):
            with contextlib.suppress(FileNotFoundError):
                self._path(upload_id, kind).unlink()

    def _no_upload(self, key: str) -> UploadMissing:
        return UploadMissing("there is no such upload", bucket=self.name, key=key)

    def _differ(self, key: str, numbers: Sequence[int]) -> PartsDiffer:
        return PartsDiffer("parts are missing or differ", numbers, bucket=self.name, key=key)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _place(number: int) -> int:
    return _HEAD.size + (number - 1) * _ROW.size


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _write(descriptor: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(descriptor, view, at)
        view, at = view[count:], at + count


@contextlib.contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    """Hold the file's lock, which ends with the process that holds it."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
