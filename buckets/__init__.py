"""A bucket by name: on S3, on a storage of Django's, or a folder, with the same keys."""

from __future__ import annotations

from django.conf import settings

from buckets import names
from buckets.errors import (
    BucketDenied,
    BucketError,
    BucketMissing,
    BucketUnavailable,
    KeyRefused,
    ObjectExists,
    ObjectMissing,
    PartsDiffer,
    PartTaken,
    UploadMissing,
)
from buckets.folder import FolderBucket
from buckets.folder_parts import FolderParts
from buckets.hurry import in_a_hurry
from buckets.interface import PLAIN, Bucket, Kept, ObjectInfo, is_key
from buckets.parts import Part, Parts, PostForm

__all__ = [
    "PLAIN",
    "Bucket",
    "BucketDenied",
    "BucketError",
    "BucketMissing",
    "BucketUnavailable",
    "Kept",
    "KeyRefused",
    "ObjectExists",
    "ObjectInfo",
    "ObjectMissing",
    "Part",
    "PartTaken",
    "Parts",
    "PartsDiffer",
    "PostForm",
    "UploadMissing",
    "bucket",
    "in_a_hurry",
    "is_key",
    "parts",
    "takes_parts",
]


def bucket(name: str) -> Bucket:
    """Return the bucket ``name``; nothing is called or created before it is used.

    It is on S3 when ``AWS_STORAGE_BUCKET_NAME`` is set, whichever bucket is asked for, on
    the storage that ``MEDIA_STORAGE_BACKEND`` names when that is set, and else a folder of
    ``BUCKETS_DIR``.
    """
    if settings.AWS_STORAGE_BUCKET_NAME:
        # boto3 takes a quarter of a second to import; folders do without.
        from buckets.s3 import S3Bucket

        return S3Bucket(name)
    if settings.MEDIA_STORAGE_BACKEND:
        from buckets.django_storage import StorageBucket, storage

        return StorageBucket(name, storage(name))
    return FolderBucket(name, settings.BUCKETS_DIR / names.quoted(name))


def takes_parts() -> bool:
    """Return whether buckets take objects in parts: storages of Django's do not."""
    return bool(settings.AWS_STORAGE_BUCKET_NAME or not settings.MEDIA_STORAGE_BACKEND)


def parts(name: str) -> Parts:
    """Return the unfinished uploads of the bucket ``name``; nothing is called yet.

    Raises BucketDenied where buckets take none.
    """
    if not takes_parts():
        raise BucketDenied("takes no objects in parts", bucket=name)
    if settings.AWS_STORAGE_BUCKET_NAME:
        from buckets.s3_parts import S3Parts

        return S3Parts(name)
    return FolderParts(name, settings.BUCKETS_DIR / names.quoted(name))
