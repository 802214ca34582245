"""What every kind of bucket can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

# Amazon S3 User Guide, "Naming Amazon S3 objects": up to 1,024 bytes of UTF-8.
KEY_MAX_BYTES = 1024

# Bytes that a repeated or broken transfer left aside are kept this long, in seconds.
LEFTOVER_AGE_S = 24 * 3600


@dataclass(frozen=True)
class ObjectInfo:
    """What is known of an object without reading it."""

    size_bytes: int
    modified_at: datetime  # aware, UTC
    content_type: str | None
    # Without quotes. Another one says that the object is another one.
    etag: str = ""
    # What its writer noted with it, names in lower case. Folders keep no such thing.
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """How an object is to be kept, in S3's words; the empty text leaves it to the bucket.

    With ``grants`` the object's access list holds exactly these and nothing for its owner:
    pairs of a permission (``GrantRead``, ``GrantReadACP``, ``GrantWriteACP``,
    ``GrantFullControl``) and a grantee (``id="…"``, ``emailAddress="…"`` or
    ``uri="http://acs.amazonaws.com/groups/…"``). Source: API 2006-03-01, PutObject.
    """

    storage_class: str = ""  # "STANDARD", "REDUCED_REDUNDANCY"
    encryption: str = ""  # "AES256", "aws:kms"
    kms_key_id: str = ""  # with "aws:kms"; empty: the account's own key for S3
    grants: tuple[tuple[str, str], ...] = ()


PLAIN = Kept()


def ignore(count: int) -> None:
    """Take a report of moved bytes and do nothing."""


def is_key(key: str) -> bool:
    """Return whether a bucket can hold an object with this key."""
    try:
        return 0 < len(key.encode()) <= KEY_MAX_BYTES
    except UnicodeEncodeError:  # half a surrogate pair
        return False


class Bucket(Protocol):
    """Objects by key. Keys are opaque: ``..``, ``//`` and ``/x`` are keys like any other.

    Every method may raise BucketDenied and BucketUnavailable. Faults of the caller's own local
    file stay OSErrors.
    """

    name: str

    def stat(self, key: str) -> ObjectInfo | None:
        """Return size, time and media type of the object, or None when there is none."""
        ...

    def open(self, key: str) -> BinaryIO:
        """Return the object's bytes as a stream; the caller closes it.

        Raises ObjectMissing and BucketMissing.
        """
        ...

    def head(self, key: str, size_bytes: int) -> bytes:
        """Return the first ``size_bytes`` of the object, or all of a smaller one.

        No more than that is read. Raises ObjectMissing and BucketMissing.
        """
        ...

    def fetch(self, key: str, path: Path, moved: Callable[[int], None] = ignore) -> None:
        """Bring the object to ``path``, which must not exist yet, and must not be written to.

        ``moved`` is called in the caller's thread with the number of bytes since its last
        call. Nothing is left at ``path`` when an error is raised: ObjectMissing,
        BucketMissing, FileExistsError.
        """
        ...

    def put(
        self,
        key: str,
        path: Path,
        *,
        content_type: str,
        moved: Callable[[int], None] = ignore,
        kept: Kept = PLAIN,
    ) -> None:
        """Store the file at ``path`` under ``key`` if that key is free, whole or not at all.

        The file may become the object itself, so it is not written to any more; deleting it
        is fine. ``moved`` as in fetch; a repeated part is taken back as a negative number,
        0 says that work goes on. A bucket that could keep the object as ``kept`` says but will
        not is denied. Raises ObjectExists, KeyRefused and BucketMissing.
        """
        ...

    def copy(
        self,
        key: str,
        to_key: str,
        *,
        source: Bucket | None = None,
        etag: str = "",
        moved: Callable[[int], None] = ignore,
    ) -> None:
        """Store the object ``key`` once more, as ``to_key``, if that key is free.

        No byte passes this machine where the store can do without. ``source``: another bucket
        of the same kind that holds ``key``. ``etag``: only if the object is still that one,
        else it counts as missing. ``moved`` as in put. Raises ObjectMissing, ObjectExists,
        KeyRefused and BucketMissing.
        """
        ...

    def delete(self, key: str, *, etag: str = "", with_versions: bool = False) -> None:
        """Remove the object; one that is not there is fine.

        ``etag``: only if the object is still that one, as far as the store can tell; then,
        ``with_versions``, what the store keeps of it and of older ones under the key goes too.
        """
        ...

    def entries(self, prefix: str) -> Iterator[tuple[str, ObjectInfo]]:
        """Return keys as ``keys`` does, each with what a list tells: no type, no metadata."""
        ...

    def adopt(self, prefix: str) -> int:
        """Let files that people laid below ``prefix`` by hand be objects; return how many.

        Only folders have such a thing: names there that no key has.
        """
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Return the keys that begin with ``prefix``, in no order. Raises BucketMissing."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Remove every object whose key begins with ``prefix``; return how many there were.

        Raises BucketMissing, and ValueError for the empty prefix.
        """
        ...

    def link(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        inline: bool,
        lives_s: int | None = None,
    ) -> str | None:
        """Return a signed URL from which a browser gets the object, or None.

        The answer carries ``content_type`` and a Content-Disposition (RFC 6266) with
        ``filename``. The URL lives ``lives_s`` seconds, by default AWS_QUERYSTRING_EXPIRE.
        None: this kind of bucket has no address, a view has to serve it.
        """
        ...

    def local_path(self, key: str) -> str | None:
        """Return the path below BUCKETS_DIR that holds the object on this machine, or None.

        For a web server on the same disk; whether there is such an object is not asked.
        """
        ...

    def check(self) -> None:
        """Raise a BucketError when the bucket cannot be read or written now."""
        ...

    def sweep(self) -> int:
        """Remove what broken puts left aside more than a day ago; return how much that was."""
        ...


# For stores that list and delete no more than one thing at a time.


def entries_one_by_one(bucket: Bucket, prefix: str) -> Iterator[tuple[str, ObjectInfo]]:
    """See Bucket.entries. Asks for each object by itself."""
    for key in bucket.keys(prefix):
        info = bucket.stat(key)
        if info is not None:
            yield key, info


def delete_one_by_one(bucket: Bucket, prefix: str) -> int:
    """See Bucket.delete_prefix. Deletes each object by itself."""
    if not prefix:
        raise ValueError("An empty prefix would delete the whole bucket.")
    count = 0
    for key in bucket.keys(prefix):
        bucket.delete(key)
        count += 1
    return count
