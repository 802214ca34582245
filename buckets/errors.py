"""What can go wrong with a bucket.

BucketError
    ObjectMissing      there is no object with this key
    ObjectExists       the key is taken; nothing was written
    KeyRefused         no bucket can hold an object with this key
    UploadMissing      there is no such upload in parts
    PartsDiffer        parts are missing, or are others than was said
    PartTaken          somebody else has begun to write this part since
    BucketMissing      there is no bucket with this name
    BucketDenied       the bucket refuses us: rights, credentials, clock or region are wrong
    BucketUnavailable  the bucket does not answer as it should now; the call may be repeated
"""

from __future__ import annotations

from collections.abc import Sequence


class BucketError(Exception):
    """The call did not do what was asked. ``bucket`` and ``key`` (or None) say where."""

    def __init__(self, message: str, *, bucket: str, key: str | None = None) -> None:
        super().__init__(message)
        self.bucket = bucket
        self.key = key

    def __str__(self) -> str:
        # repr: a key may hold line breaks, a line of the log may not.
        place = self.bucket if self.key is None else f"{self.bucket}: {self.key!r}"
        return f"{place}: {self.args[0]}"


class ObjectMissing(BucketError):
    """There is no object with this key."""


class ObjectExists(BucketError):
    """The key is taken; nothing was written."""


class KeyRefused(BucketError):
    """No bucket can hold an object with this key: it is empty, too long or not Unicode."""


class UploadMissing(BucketError):
    """There is no such upload in parts: it was completed, aborted, swept, or never begun."""


class PartsDiffer(BucketError):
    """Parts are missing, or are others than was said; ``numbers`` names them where known."""

    def __init__(
        self, message: str, numbers: Sequence[int], *, bucket: str, key: str | None = None
    ) -> None:
        super().__init__(message, bucket=bucket, key=key)
        self.numbers = list(numbers)


class PartTaken(BucketError):
    """Somebody else has begun to write this part since; nothing more of ours is written."""


class BucketMissing(BucketError):
    """There is no bucket with this name."""


class BucketDenied(BucketError):
    """The bucket refuses us; repeating will not help before somebody has changed something."""


class BucketUnavailable(BucketError):
    """The bucket does not answer as it should now; the call may be repeated."""
