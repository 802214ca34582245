"""A bucket that is a folder of this machine.

An object is a read-only file (mode 440) whose path ``names`` makes from the key. Nothing is
locked: an object appears by ``link(2)``, which fails where the name is taken, and a process
that is stopped in the middle holds up nobody. Only regular files are objects; symbolic links
below the bucket's own folder are never followed, devices and pipes never opened.
"""

from __future__ import annotations

import contextlib
import errno
import mimetypes
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from buckets import names
from buckets.errors import (
    BucketDenied,
    BucketMissing,
    BucketUnavailable,
    KeyRefused,
    ObjectExists,
    ObjectMissing,
)
from buckets.interface import (
    LEFTOVER_AGE_S,
    PLAIN,
    Bucket,
    Kept,
    ObjectInfo,
    delete_one_by_one,
    entries_one_by_one,
    ignore,
    is_key,
)

# No key has these paths.
_ASIDE = "%tmp"
UNFINISHED = "%parts"  # what buckets.folder_parts keeps
FOLDER_MODE = 0o770  # less the umask
OBJECT_MODE = 0o440
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CHUNK_BYTES = 1024**2
# How often a put starts again because a delete next to it has just removed the empty folder.
_PUT_ATTEMPTS = 100

_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


class FolderBucket:
    """The bucket ``name`` in the folder ``root``, which the first put makes.

    ``root`` itself may be a symbolic link, so that a bucket can live on another disk.
    """

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.root = root

    def stat(self, key: str) -> ObjectInfo | None:
        """See Bucket. The media type is the one that the key's extension stands for."""
        if not is_key(key):
            return None
        *folders, name = names.path(key)
        try:
            with self._faults(key), self._folder(folders) as folder:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except (ObjectMissing, BucketMissing):
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return ObjectInfo(
            size_bytes=found.st_size,
            modified_at=datetime.fromtimestamp(found.st_mtime, UTC),
            content_type=mimetypes.guess_type(names.quoted(key.rpartition("/")[2]))[0],
            etag=_etag(found),
        )

    def open(self, key: str) -> BinaryIO:
        """See Bucket. The stream is seekable and has a file descriptor."""
        if not is_key(key):
            raise self._missing(key)
        *folders, name = names.path(key)
        with self._faults(key), self._folder(folders) as folder:
            # Looked at first, because opening some devices does something.
            if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise self._missing(key)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._missing(key)
        return os.fdopen(descriptor, "rb")

    def head(self, key: str, size_bytes: int) -> bytes:
        """See Bucket."""
        with self.open(key) as source, self._faults(key):
            return source.read(size_bytes)

    def fetch(self, key: str, path: Path, moved: Callable[[int], None] = ignore) -> None:
        """See Bucket. On the same file system no byte is copied.

        Whoever reads ``path`` must not be able to change the object, so only a read-only
        object is linked; one that somebody laid into the folder by hand is copied. (The mode
        does not bind root.)
        """
        with self.open(key) as source:
            found = os.fstat(source.fileno())
            if not found.st_mode & 0o222 and self._linked(key, found, path):
                moved(found.st_size)
                return
            self._copy(source, path, moved, key)

    def put(
        self,
        key: str,
        path: Path,
        *,
        content_type: str,
        moved: Callable[[int], None] = ignore,
        kept: Kept = PLAIN,
    ) -> None:
        """See Bucket. On the same file system the file itself becomes the object.

        ``content_type`` is not stored. ``kept`` is ignored: folders know nothing of storage
        classes, encryption and access lists, and every object is private. What is stored is on
        the disk when this returns (``fsync`` of the file and of its folders).
        """
        self._require_key(key)
        self._make_root()
        with path.open("rb") as source:
            try:
                self._put(key, path, source, moved)
            except BaseException:
                self._prune(names.path(key)[:-1])
                raise

    def copy(
        self,
        key: str,
        to_key: str,
        *,
        source: Bucket | None = None,
        etag: str = "",
        moved: Callable[[int], None] = ignore,
    ) -> None:
        """See Bucket. As in put, a file of our own gets a second name and no byte is copied."""
        origin = source or self
        if not isinstance(origin, FolderBucket):
            raise TypeError("Only a folder can be copied from by a folder.")
        self._require_key(to_key)
        self._make_root()
        with origin.open(key) as file:
            if etag and _etag(os.fstat(file.fileno())) != etag:
                raise origin._missing(key)
            try:
                self._put(to_key, origin.root.joinpath(*names.path(key)), file, moved)
            except BaseException as error:
                self._prune(names.path(to_key)[:-1])
                if isinstance(error, FileNotFoundError):  # its name is gone since it was opened
                    raise origin._missing(key) from error
                raise

    def delete(self, key: str, *, etag: str = "", with_versions: bool = False) -> None:
        """See Bucket. Folders that become empty go too."""
        if not is_key(key):
            return
        *folders, name = names.path(key)
        with contextlib.suppress(ObjectMissing, BucketMissing), self._faults(key):
            with self._folder(folders) as folder:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if not stat.S_ISREG(found.st_mode) or (etag and _etag(found) != etag):
                    return
                os.unlink(name, dir_fd=folder)
            self._prune(folders)

    def entries(self, prefix: str) -> Iterator[tuple[str, ObjectInfo]]:
        """See Bucket."""
        return entries_one_by_one(self, prefix)

    def adopt(self, prefix: str) -> int:
        """See Bucket. Such a file is renamed: ``Lied ü.mp3`` becomes ``Lied %C3%BC.mp3``.

        Hidden files, names that are no Unicode, and a name whose key is taken stay as they are.
        """
        count = 0
        waiting = [(names.folders(prefix), prefix.rpartition("/")[0] + "/")]
        while waiting:
            folders, above = waiting.pop()
            for name, is_folder in self._entries(folders):
                if name.startswith("."):
                    continue
                if is_folder:
                    inner = names.key([name, "x.x"])
                    segment = inner.removesuffix("/x.x") if inner else name
                    waiting.append(([*folders, name], f"{above}{segment}/"))
                elif names.key([*folders, name]) is None:
                    segment = names.key([name]) or name
                    count += self._rename([*folders, name], f"{above}{segment}")
        return count

    def _rename(self, old: Sequence[str], key: str) -> bool:
        if not is_key(key) or self.stat(key) is not None:
            return False
        *folders, name = names.path(key)
        try:
            with self._faults(key):
                self._make(folders)
                with self._folder(old[:-1]) as before, self._folder(folders) as after:
                    os.rename(old[-1], name, src_dir_fd=before, dst_dir_fd=after)
        except (ObjectMissing, BucketMissing):  # somebody was faster
            return False
        self._prune(old[:-1])
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """See Bucket. Files whose path no key has are left out."""
        with self._faults(None), self._folder([]):
            pass
        waiting = [names.folders(prefix)]
        while waiting:
            folders = waiting.pop()
            for name, is_folder in self._entries(folders):
                if is_folder:
                    if folders or name not in (_ASIDE, UNFINISHED):
                        waiting.append([*folders, name])
                    continue
                key = names.key([*folders, name])
                if key is not None and key.startswith(prefix):
                    yield key

    def delete_prefix(self, prefix: str) -> int:
        """See Bucket."""
        return delete_one_by_one(self, prefix)

    def link(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        inline: bool,
        lives_s: int | None = None,
    ) -> None:
        """Return None: a folder has no address."""
        return

    def local_path(self, key: str) -> str | None:
        """See Bucket."""
        return "/".join([self.root.name, *names.path(key)]) if is_key(key) else None

    def check(self) -> None:
        """See Bucket. A folder that is not there yet is made, a byte written and read."""
        self._make_root()
        with self._faults(None):
            os.close(os.open(self.root, os.O_RDONLY | os.O_DIRECTORY))
            with self._aside() as (probe, _):
                probe.write(b"?")
                probe.flush()
                probe.seek(0)
                if probe.read() != b"?":
                    raise BucketUnavailable("bytes written do not come back", bucket=self.name)

    def sweep(self) -> int:
        """See Bucket. These are files that a put was copying when its process died, and uploads
        in parts that nobody has written to."""
        count = 0
        for aside in (self.root / _ASIDE, self.root / UNFINISHED):
            with contextlib.suppress(ObjectMissing), self._faults(None):
                for leftover in list(aside.iterdir()):
                    with contextlib.suppress(FileNotFoundError):
                        if time.time() - leftover.lstat().st_mtime > LEFTOVER_AGE_S:
                            leftover.unlink()
                            count += 1
        return count

    # --- Folders ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _folder(self, folders: Sequence[str]) -> Iterator[int]:
        """Open a folder step by step, so that no link on the way is followed."""
        descriptor = self._root()
        try:
            for name in folders:
                descriptor = self._step(descriptor, name)
            yield descriptor
        finally:
            os.close(descriptor)

    def _make(self, folders: Sequence[str]) -> int:
        """Make the folders that are not there yet; return how many were there."""
        existing = 0
        descriptor = self._root()
        try:
            for name in folders:
                try:
                    os.mkdir(name, FOLDER_MODE, dir_fd=descriptor)
                except FileExistsError:
                    existing += 1
                descriptor = self._step(descriptor, name)
        finally:
            os.close(descriptor)
        return existing

    def _make_root(self) -> None:
        try:
            with self._faults(None):
                self.root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        except BucketUnavailable as error:
            if isinstance(error.__cause__, FileExistsError):
                raise BucketMissing(
                    "something that is no folder is there", bucket=self.name
                ) from error
            raise

    def _root(self) -> int:
        try:
            return os.open(self.root, _OPEN_FOLDER)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise BucketMissing("there is no such folder", bucket=self.name) from error

    def _step(self, descriptor: int, name: str) -> int:
        inner = os.open(name, _OPEN_FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
        os.close(descriptor)
        return inner

    def _entries(self, folders: Sequence[str]) -> list[tuple[str, bool]]:
        """Return the names in a folder and whether each is a folder; files and folders only."""
        try:
            with self._faults(None), self._folder(folders) as folder, os.scandir(folder) as found:
                return [
                    (entry.name, entry.is_dir(follow_symlinks=False))
                    for entry in found
                    if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
                ]
        except ObjectMissing:  # deleted since its name was read
            return []

    def _prune(self, folders: Sequence[str]) -> None:
        for end in range(len(folders), 0, -1):
            try:
                with self._folder(folders[: end - 1]) as folder:
                    os.rmdir(folders[end - 1], dir_fd=folder)
            except (OSError, BucketMissing):  # not empty, or gone already
                return

    # --- Moving bytes -------------------------------------------------------------------------

    def _put(self, key: str, path: Path, source: BinaryIO, moved: Callable[[int], None]) -> None:
        found = os.fstat(source.fileno())
        # Whoever else owns the file could change it after it has become an object, and a
        # symbolic link to it would become an object itself.
        if found.st_uid == os.geteuid() and os.path.samestat(path.lstat(), found):
            self._sync(source.fileno(), moved, key)
            with contextlib.suppress(NotLinkable):
                self._place(key, path)
                os.fchmod(source.fileno(), OBJECT_MODE)
                moved(found.st_size)
                return
        self._put_copy(key, source, moved)

    def _place(self, key: str, path: Path) -> None:
        """Give the file at ``path`` the key's own name as a second one."""
        *folders, name = names.path(key)
        for _ in range(_PUT_ATTEMPTS):
            try:
                with self._faults(key):
                    existing = self._make(folders)
                    with self._folder(folders) as folder:
                        self._link(key, path, name, folder)
                        os.fsync(folder)
                    # A new folder lasts when the one around it is on the disk too.
                    for end in range(existing, len(folders)):
                        with self._folder(folders[:end]) as around:
                            os.fsync(around)
                return
            except ObjectMissing as error:
                path.lstat()  # the caller's own file is gone: FileNotFoundError
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise BucketDenied(
                        "something that is no folder is in the way", bucket=self.name, key=key
                    ) from error
        raise BucketUnavailable("its folder vanishes again and again", bucket=self.name, key=key)

    def _link(self, key: str, path: Path, name: str, folder: int) -> None:
        try:
            os.link(path, name, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError as error:
            raise ObjectExists("is there already", bucket=self.name, key=key) from error
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise NotLinkable from error
            raise

    def _put_copy(self, key: str, source: BinaryIO, moved: Callable[[int], None]) -> None:
        self.sweep()
        with self._aside() as (copy, path):
            while chunk := source.read(_CHUNK_BYTES):
                with self._faults(key):
                    copy.write(chunk)
                moved(len(chunk))
            with self._faults(key):
                copy.flush()
                os.fchmod(copy.fileno(), OBJECT_MODE)
            self._sync(copy.fileno(), moved, key)
            try:
                self._place(key, path)
            except NotLinkable as error:
                raise BucketDenied(
                    "the file system has no hard links", bucket=self.name, key=key
                ) from error

    @contextlib.contextmanager
    def _aside(self) -> Iterator[tuple[BinaryIO, Path]]:
        """Open a new file on the bucket's file system that is gone afterwards."""
        aside = self.root / _ASIDE
        with self._faults(None):
            aside.mkdir(mode=FOLDER_MODE, exist_ok=True)
            descriptor, path = tempfile.mkstemp(dir=aside)
        file = os.fdopen(descriptor, "w+b")
        try:
            yield file, Path(path)
        finally:
            # What was to be kept has been flushed; on a full disk the rest cannot be.
            with contextlib.suppress(OSError):
                file.close()
            Path(path).unlink(missing_ok=True)

    def _linked(self, key: str, found: os.stat_result, path: Path) -> bool:
        *folders, name = names.path(key)
        try:
            with self._folder(folders) as folder:
                os.link(name, path, src_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            raise
        except (OSError, BucketMissing):
            return False
        if os.path.samestat(path.lstat(), found):
            return True
        path.unlink()  # the name means something else since we opened it
        return False

    def _copy(self, source: BinaryIO, path: Path, moved: Callable[[int], None], key: str) -> None:
        with path.open("xb") as copy:
            try:
                while True:
                    with self._faults(key):
                        chunk = source.read(_CHUNK_BYTES)
                    if not chunk:
                        copy.flush()
                        return
                    copy.write(chunk)
                    moved(len(chunk))
            except BaseException:
                path.unlink()
                raise

    def _sync(self, descriptor: int, moved: Callable[[int], None], key: str) -> None:
        """Wait until the file is on the disk, saying once a second that work goes on."""
        with self._faults(key), ThreadPoolExecutor(1) as pool:
            done = pool.submit(os.fsync, descriptor)
            while not wait([done], timeout=1.0).done:
                moved(0)
            done.result()

    # --- Faults -------------------------------------------------------------------------------

    def _require_key(self, key: str) -> None:
        if not is_key(key):
            raise KeyRefused("not the key of an object", bucket=self.name, key=key)

    def _missing(self, key: str | None) -> ObjectMissing:
        return ObjectMissing("there is no such object", bucket=self.name, key=key)

    @contextlib.contextmanager
    def _faults(self, key: str | None) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _ABSENT:
                raise self._missing(key) from error
            kind = BucketDenied if error.errno in _DENIED else BucketUnavailable
            raise kind(os.strerror(error.errno or 0), bucket=self.name, key=key) from error


def _etag(found: os.stat_result) -> str:
    """Return what differs as soon as the file is another one, or was written to."""
    return f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"


class NotLinkable(Exception):
    """The file and the bucket are not on one file system, or it has no (more) links."""
