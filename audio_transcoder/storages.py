"""Where Django keeps files: media in a bucket, static files by WhiteNoise or in the same bucket.

Media go through the rooms' one way into a bucket (``buckets``), which never writes over an
object; addresses, listing and reading on S3 are django-storages'.
"""

from __future__ import annotations

import contextlib
import mimetypes
import re
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.signers import CloudFrontSigner
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import Storage
from django.utils.deconstruct import deconstructible
from storages.backends.s3 import S3File, S3ManifestStaticStorage, S3Storage
from storages.utils import clean_name
from whitenoise.storage import CompressedManifestStaticFilesStorage

from buckets import (
    Bucket,
    BucketMissing,
    ObjectExists,
    ObjectInfo,
    ObjectMissing,
    bucket,
    cloudfront,
)
from buckets.s3 import TRANSFER, client_config, faults

# Bytes of an object on S3 that are kept in memory while it is open; more goes to a file.
_MEMORY_BYTES = 8 * 1024**2


class _S3File(S3File):
    """An object on S3, opened to read; a store that is down is a BucketError."""

    def _get_file(self) -> Any:
        with faults(self._storage.bucket_name, self.obj.key):
            return super()._get_file()

    file = property(_get_file, S3File._set_file)


class _S3Storage(S3Storage):
    """django-storages' S3, configured as buckets are: same client, same credentials."""

    def get_default_settings(self) -> dict[str, Any]:
        return super().get_default_settings() | {
            "bucket_name": settings.AWS_STORAGE_BUCKET_NAME,
            "region_name": settings.AWS_S3_REGION_NAME,
            "endpoint_url": settings.AWS_S3_ENDPOINT_URL,
            "client_config": client_config(),
            "transfer_config": TRANSFER,
            "default_acl": None,
            "max_memory_size": _MEMORY_BYTES,
            # None: from boto3's usual places.
            "access_key": None,
            "secret_key": None,
            "security_token": None,
            "session_profile": None,
        }

    def _open(self, name: str, mode: str = "rb") -> File:
        if mode != "rb":
            raise ValueError(f"Objects are saved whole, with save(); open mode {mode!r}.")
        key = self._normalize_name(clean_name(name))
        try:
            with faults(self.bucket_name, key):
                return _S3File(key, mode, self)
        except ObjectMissing as error:
            raise FileNotFoundError(f"There is no file {name}.") from error


class _MediaStorage(Storage):
    """Files below MEDIAFILES_LOCATION in the bucket MEDIA_BUCKET.

    A missing file is a FileNotFoundError; a bucket that is missing, refuses us or does not
    answer is the BucketError it is.
    """

    @property
    def objects(self) -> Bucket:
        return bucket(settings.MEDIA_BUCKET)

    def key(self, name: str) -> str:
        """Return the key of the object that the file ``name`` is."""
        return f"{settings.MEDIAFILES_LOCATION}/{clean_name(name)}"

    def _save(self, name: str, content: File) -> str:
        content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        with _on_disk(content) as path:
            while True:
                try:
                    self.objects.put(self.key(name), path, content_type=content_type)
                except ObjectExists:  # somebody was faster since the name was found free
                    name = self.get_available_name(name)
                else:
                    return name

    def delete(self, name: str) -> None:
        if not name:
            raise ValueError("The name must be given to delete().")
        self.objects.delete(self.key(name))

    def exists(self, name: str) -> bool:
        return self.objects.stat(self.key(name)) is not None

    def size(self, name: str) -> int:
        return self._info(name).size_bytes

    def get_modified_time(self, name: str) -> datetime:
        return self._info(name).modified_at

    def _info(self, name: str) -> ObjectInfo:
        info = self.objects.stat(self.key(name))
        if info is None:
            raise FileNotFoundError(f"There is no file {name}.")
        return info


@deconstructible
class BucketMediaStorage(_MediaStorage):
    """Media in a folder of this machine, or on the storage that MEDIA_STORAGE_BACKEND names.

    Saving a file that Django holds on disk (TemporaryUploadedFile) into a folder copies nothing
    where FILE_UPLOAD_TEMP_DIR and BUCKETS_DIR are on one file system, whatever its size.
    """

    def _open(self, name: str, mode: str = "rb") -> File:
        if mode != "rb":
            raise ValueError(f"Objects are saved whole, with save(); open mode {mode!r}.")
        try:
            return File(self.objects.open(self.key(name)), name)
        except ObjectMissing as error:
            raise FileNotFoundError(f"There is no file {name}.") from error

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        prefix = f"{self.key(path).rstrip('/')}/"
        folders, files = set(), set()
        with contextlib.suppress(BucketMissing):
            for key in self.objects.keys(prefix):
                name, slash, _ = key.removeprefix(prefix).partition("/")
                (folders if slash else files).add(name)
        return sorted(folders), sorted(files)

    def url(self, name: str | None) -> str:
        """Return a signed address, or "" where the bucket has none, as a folder: a page links
        to the view that asks who reads.

        Not NotImplementedError, on which the admin's file fields break.
        """
        if not name:
            return ""
        found = mimetypes.guess_type(name)[0] or "application/octet-stream"
        file_name = name.rpartition("/")[2]
        link = self.objects.link(
            self.key(name), filename=file_name, content_type=found, inline=False
        )
        return link or ""


class S3MediaStorage(_MediaStorage, _S3Storage):
    """Media on S3: private, with signed addresses that live AWS_QUERYSTRING_EXPIRE seconds and
    lead to CLOUDFRONT_DOMAIN where that is set."""

    def get_default_settings(self) -> dict[str, Any]:
        return super().get_default_settings() | {
            "location": settings.MEDIAFILES_LOCATION,
            "querystring_auth": True,
            "querystring_expire": settings.AWS_QUERYSTRING_EXPIRE,
            "file_overwrite": False,
            # Never AWS_S3_CUSTOM_DOMAIN: that host serves static files, and unsigned.
            "custom_domain": settings.CLOUDFRONT_DOMAIN or None,
        }

    @property
    def cloudfront_signer(self) -> CloudFrontSigner | None:
        """Return what signs addresses at CLOUDFRONT_DOMAIN.

        django-storages 1.14.6 takes it from its class or its arguments, never from its default
        settings, and without it would give out addresses that are not signed.
        """
        return cloudfront.signer() if settings.CLOUDFRONT_DOMAIN else None

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        with faults(self.bucket_name):
            return super().listdir(name)

    def url(self, name: str, *args: Any, **kwargs: Any) -> str:
        with faults(self.bucket_name):
            return super().url(name, *args, **kwargs)


class _WorksUncollected:
    """Static files by the names in the manifest, and by their plain names where none is.

    So pages render before ``collectstatic`` has run, in tests and on a developer's machine,
    and a file that was forgotten is one 404 and no broken page.
    """

    def stored_name(self, name: str) -> str:
        name = self.clean_name(name)
        return self.hashed_files.get(self.hash_key(name), name)


class LocalStaticStorage(_WorksUncollected, CompressedManifestStaticFilesStorage):
    """Static files in STATIC_ROOT, which WhiteNoise serves."""


class S3StaticStorage(_WorksUncollected, _S3Storage, S3ManifestStaticStorage):
    """Static files in the bucket below STATICFILES_LOCATION, unsigned: the bucket is private,
    so AWS_S3_CUSTOM_DOMAIN names who serves them, e.g. a CloudFront distribution."""

    _HASHED = re.compile(r"\.[0-9a-f]{12}(\.[^./]+)?$")

    def get_default_settings(self) -> dict[str, Any]:
        return super().get_default_settings() | {
            "location": settings.STATICFILES_LOCATION,
            "custom_domain": settings.AWS_S3_CUSTOM_DOMAIN,
            "file_overwrite": True,
        }

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        hashed = self._HASHED.search(name)
        lifetime = "max-age=31536000, immutable" if hashed else "max-age=60"
        return {"CacheControl": f"public, {lifetime}"}


# Decided once, when Django starts: STORAGES names these two.
MediaStorage = S3MediaStorage if settings.AWS_STORAGE_BUCKET_NAME else BucketMediaStorage
StaticStorage = S3StaticStorage if settings.STATIC_ON_S3 else LocalStaticStorage


@contextlib.contextmanager
def _on_disk(content: File) -> Iterator[Path]:
    """Give the path of a local file with this content, a new one only where there is none."""
    if hasattr(content, "temporary_file_path"):
        if not content.closed:
            content.flush()
        yield Path(content.temporary_file_path())
        return
    with tempfile.NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR) as file:
        for chunk in content.chunks():
            file.write(chunk if isinstance(chunk, bytes) else chunk.encode())
        file.flush()
        yield Path(file.name)
