"""An object that arrives in parts, or by one form, from somebody who may not see the bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from buckets.interface import ObjectInfo


@dataclass(frozen=True)
class Part:
    """A part that is stored: its number from 1, its size and the hexadecimal MD5 of its bytes."""

    number: int
    size_bytes: int
    etag: str


@dataclass(frozen=True)
class PostForm:
    """Where a browser posts a file in one request (multipart/form-data), and the fields before it.

    The file itself is the last field and called ``file``.
    """

    url: str
    fields: Mapping[str, str]


class Parts(Protocol):
    """Unfinished uploads of one bucket. Every method may raise BucketDenied and BucketUnavailable.

    All parts of an upload have one size but the last, which may be smaller. An upload that nobody
    writes to for a day is swept with the bucket.
    """

    def begin(self, key: str, *, content_type: str, size_bytes: int, part_bytes: int) -> str:
        """Return the store's id of a new upload to ``key``. Raises BucketMissing, KeyRefused."""
        ...

    def url(
        self, key: str, upload_id: str, number: int, size_bytes: int, *, expires_s: int
    ) -> str | None:
        """Return the address that takes exactly this part by PUT and answers with its ETag.

        None: this kind of bucket has no address, a view has to take it.
        """
        ...

    def listed(self, key: str, upload_id: str) -> list[Part]:
        """Return the parts that are stored, in order. Raises UploadMissing."""
        ...

    def complete(self, key: str, upload_id: str, parts: Sequence[Part]) -> ObjectInfo:
        """Make the object of these parts, which are all there are; nothing is copied or read.

        Called again after it worked it answers the same. Raises PartsDiffer when the store has
        other parts, UploadMissing when there is neither upload nor object, and ObjectExists when
        the key is somebody else's.
        """
        ...

    def abort(self, key: str, upload_id: str) -> None:
        """Remove the upload and its parts; one that is not there is fine."""
        ...

    def form(
        self, key: str, *, size_bytes: int, content_type: str, expires_s: int
    ) -> PostForm | None:
        """Return the form that takes exactly one such object; None as for ``url``."""
        ...
