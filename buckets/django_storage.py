"""A bucket on any storage of Django's, above all Azure's and Google's by way of django-storages.

Which storage is said by settings: MEDIA_STORAGE_BACKEND is its class, MEDIA_STORAGE_OPTIONS are
its arguments, where ``{bucket}`` stands for the bucket's name.

What is weaker here than on S3 and in folders: "if that key is free" is one request where the
backend refuses to write over (Azure), and else a look before the write, so that of two puts at
the same moment both may succeed. A put whose first answer was lost can find its own object and
call the key taken. Whole objects travel through a temporary file, and a prefix is listed into
memory. How an object is kept (``Kept``) is left to the store.

Keys that a storage would change on their way (``..``, ``//``, ``a\\b``) are stored with such
segments as ``%`` and their percent-encoding; every other key is the object's name as it is.
"""

from __future__ import annotations

import contextlib
import functools
import json
import mimetypes
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote, unquote

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import Storage
from django.utils.http import content_disposition_header
from django.utils.module_loading import import_string

from buckets.errors import (
    BucketDenied,
    BucketError,
    BucketMissing,
    BucketUnavailable,
    KeyRefused,
    ObjectExists,
    ObjectMissing,
)
from buckets.interface import (
    PLAIN,
    Bucket,
    Kept,
    ObjectInfo,
    delete_one_by_one,
    entries_one_by_one,
    ignore,
    is_key,
)

AZURE = "storages.backends.azure_storage.AzureStorage"
GOOGLE = "storages.backends.gcloud.GoogleCloudStorage"

# Azure Blob Storage, "Naming and referencing containers, blobs, and metadata": 1,024 characters
# and 254 segments; Google Cloud Storage, "Object naming": 1,024 bytes, which every key has.
_NAME_MAX = 1024
_SEGMENTS_MAX = 254
_CHUNK_BYTES = 1024**2
_Result = TypeVar("_Result")
# What a storage, a URL or the XML of a listing does not carry unchanged.
_SPECIAL = re.compile("[%\\\\\x00-\x1f\x7f\ufffe\uffff]")
# Seconds, so that a page that meets a dead server answers soon; the SDK's own would take minutes.
_AZURE_LIMITS = {
    "connection_timeout": 1,
    "read_timeout": 20,
    "retry_total": 2,
    "retry_connect": 2,
    "initial_backoff": 1,
    "increment_base": 1,
    "random_jitter_range": 1,
}


def bucket_options(name: str) -> dict[str, Any]:
    """Return MEDIA_STORAGE_OPTIONS with the bucket's name wherever ``{bucket}`` stands."""
    return {
        option: value.replace("{bucket}", name) if isinstance(value, str) else value
        for option, value in settings.MEDIA_STORAGE_OPTIONS.items()
    }


def storage(name: str) -> Storage:
    """Return this process's storage for the bucket ``name``, built at the first call.

    Raises what the backend raises: ImportError, ImproperlyConfigured, TypeError.
    """
    options = json.dumps(bucket_options(name), sort_keys=True)
    # The process id: connections must not be shared with a forked child.
    return _built(os.getpid(), settings.MEDIA_STORAGE_BACKEND, options)


@functools.lru_cache(maxsize=16)
def _built(process: int, backend: str, options: str) -> Storage:
    arguments = json.loads(options)
    if backend != AZURE:
        return import_string(backend)(**arguments)
    limits = {**_AZURE_LIMITS, **arguments.pop("client_options", {})}
    built = import_string(backend)(
        **{**arguments, "overwrite_files": False, "client_options": limits}
    )
    if built.connection_string:
        from azure.storage.blob import BlobServiceClient

        # django-storages 1.14.6 leaves client_options out where there is a connection string.
        built._service_client = BlobServiceClient.from_connection_string(
            built.connection_string, **limits
        )
    return built


def _azure_link(
    storage: Any, name: str, *, lives_s: int, disposition: str | None, content_type: str
) -> str:
    """Return a URL with a shared access signature; ``rscd``, ``rsct``, ``rscc`` set headers."""
    headers = {"content_type": content_type, "cache_control": "private, no-store"}
    if disposition:
        headers["content_disposition"] = disposition
    return storage.url(name, expire=lives_s, parameters=headers)


def _google_link(
    storage: Any, name: str, *, lives_s: int, disposition: str | None, content_type: str
) -> str:
    """Return a URL with a V4 signature; ``response-content-…`` set headers."""
    parameters: dict[str, Any] = {
        "expiration": timedelta(seconds=lives_s),
        "response_type": content_type,
        "query_parameters": {"response-cache-control": "private, no-store"},
    }
    if disposition:
        parameters["response_disposition"] = disposition
    try:
        return storage.url(name, parameters=parameters)
    except AttributeError as error:  # so google-cloud-storage says that it has no key to sign with
        raise PermissionError("these credentials cannot sign links") from error


# The backends whose links are known to be signed, to end, and to carry a person's file name. An
# object of any other is handed out by a view.
LINKS: dict[str, Callable[..., str]] = {AZURE: _azure_link, GOOGLE: _google_link}


def _stored_segment(segment: str) -> str:
    if segment and not (
        segment.startswith(".") or segment.endswith(".") or _SPECIAL.search(segment)
    ):
        return segment
    text = "%" + quote(segment, safe="")
    return f"{text[:-1]}%2E" if text.endswith(".") else text


def _segment(stored: str) -> str | None:
    found = unquote(stored[1:]) if stored.startswith("%") else stored
    return found if _stored_segment(found) == stored else None


def _name(key: str) -> str:
    return "/".join(map(_stored_segment, key.split("/")))


def _key(name: str) -> str | None:
    segments = [_segment(stored) for stored in name.split("/")]
    return None if None in segments else "/".join(segments)


class StorageBucket:
    """The bucket ``name``, whose objects the Django ``storage`` keeps."""

    def __init__(self, name: str, storage: Storage) -> None:
        self.name = name
        self.storage = storage

    def stat(self, key: str) -> ObjectInfo | None:
        """See Bucket. The media type is the one that the key's extension stands for."""
        if not is_key(key) or not _fits(key):
            return None
        try:
            with self._faults(key):
                size = self.storage.size(_name(key))
                modified = self.storage.get_modified_time(_name(key))
        except (ObjectMissing, BucketMissing):
            return None
        return ObjectInfo(
            size_bytes=size,
            modified_at=modified.astimezone(UTC),
            content_type=mimetypes.guess_type(_name(key).rpartition("/")[2])[0],
            etag=f"{modified.timestamp():.6f}-{size:x}",
        )

    def open(self, key: str) -> BinaryIO:
        """See Bucket. The whole object is fetched first; the stream is seekable."""
        self._require(key, ObjectMissing)
        with self._faults(key):
            return self.storage.open(_name(key), "rb").file

    def head(self, key: str, size_bytes: int) -> bytes:
        """See Bucket. The storage fetches all of the object for it."""
        with self.open(key) as source:
            return source.read(size_bytes)

    def fetch(self, key: str, path: Path, moved: Callable[[int], None] = ignore) -> None:
        """See Bucket. While the store is read, ``moved`` hears once a second that it goes on."""
        self._require(key, ObjectMissing)
        with path.open("xb") as copy:
            try:
                with _patiently(lambda: self.open(key), moved) as source:
                    while chunk := source.read(_CHUNK_BYTES):
                        copy.write(chunk)
                        moved(len(chunk))
                copy.flush()
            except BaseException:
                path.unlink()
                raise

    def put(
        self,
        key: str,
        path: Path,
        *,
        content_type: str,
        moved: Callable[[int], None] = ignore,
        kept: Kept = PLAIN,
    ) -> None:
        """See Bucket, and what is weaker above. ``kept`` is ignored: the store decides."""
        self._require(key, KeyRefused)
        name = _name(key)
        with path.open("rb") as source:
            file = File(source, name)
            file.content_type = content_type  # Azure's storage looks here
            if getattr(self.storage, "overwrite_files", True) and self._is_taken(key):
                raise ObjectExists("is there already", bucket=self.name, key=key)
            with self._faults(key):
                stored = _patiently(lambda: self.storage._save(name, file), moved)
            moved(os.fstat(source.fileno()).st_size)
        if stored != name:  # a backend that never writes over found another name
            with self._faults(key):
                self.storage.delete(stored)
            raise ObjectExists("is there already", bucket=self.name, key=key)

    def copy(
        self,
        key: str,
        to_key: str,
        *,
        source: Bucket | None = None,
        etag: str = "",
        moved: Callable[[int], None] = ignore,
    ) -> None:
        """See Bucket. Storages of Django's cannot copy: the bytes pass this machine."""
        self._require(to_key, KeyRefused)
        origin = source or self
        found = origin.stat(key)
        if found is None or etag not in ("", found.etag):
            raise ObjectMissing("is not there any more", bucket=origin.name, key=key)
        # Where and as temporary files of uploads are, which a killed process leaves to a sweep.
        with (
            tempfile.NamedTemporaryFile(
                dir=settings.FILE_UPLOAD_TEMP_DIR, suffix=".upload"
            ) as copy,
            _patiently(lambda: origin.open(key), moved) as stream,
        ):
            while chunk := stream.read(_CHUNK_BYTES):
                copy.write(chunk)
                moved(0)
            copy.flush()
            media_type = "application/octet-stream"
            self.put(to_key, Path(copy.name), content_type=media_type, moved=moved)

    def delete(self, key: str, *, etag: str = "", with_versions: bool = False) -> None:
        """See Bucket. Between the look at the ETag and the delete are moments."""
        if etag:
            found = self.stat(key)
            if found is None or found.etag != etag:
                return
        if is_key(key) and _fits(key):
            with contextlib.suppress(ObjectMissing, BucketMissing), self._faults(key):
                self.storage.delete(_name(key))

    def entries(self, prefix: str) -> Iterator[tuple[str, ObjectInfo]]:
        """See Bucket. Each object is asked for by itself."""
        return entries_one_by_one(self, prefix)

    def adopt(self, prefix: str) -> int:
        """Return 0: whatever lies there is an object."""
        return 0

    def keys(self, prefix: str) -> Iterator[str]:
        """See Bucket. Objects whose name no key has are left out."""
        waiting = ["/".join(map(_stored_segment, prefix.split("/")[:-1]))]
        while waiting:
            folder = waiting.pop()
            with self._faults():
                folders, files = self._listed(folder)
            below = f"{folder}/" if folder else ""
            waiting += [f"{below}{name}" for name in folders]
            for name in files:
                key = _key(f"{below}{name}")
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
    ) -> str | None:
        """See Bucket. None for backends whose links are not known to be private."""
        link = LINKS.get(f"{type(self.storage).__module__}.{type(self.storage).__qualname__}")
        if link is None:
            return None
        with self._faults(key):
            return link(
                self.storage,
                _name(key),
                lives_s=lives_s or settings.AWS_QUERYSTRING_EXPIRE,
                disposition=content_disposition_header(not inline, filename),
                content_type=content_type,
            )

    def local_path(self, key: str) -> None:
        """Return None: the objects are elsewhere."""
        return

    def check(self) -> None:
        """See Bucket. One byte is written below the media location, read and deleted."""
        name = f"{settings.MEDIAFILES_LOCATION}/check/{uuid.uuid4()}"
        with self._faults():
            stored = self.storage._save(name, File(BytesIO(b"?"), name))
            try:
                with self.storage.open(stored, "rb") as probe:
                    if probe.read() != b"?":
                        raise BucketUnavailable("bytes written do not come back", bucket=self.name)
            finally:
                self.storage.delete(stored)

    def sweep(self) -> int:
        """Return 0: Azure and Google drop by themselves, after a week, what was never finished."""
        return 0

    def _listed(self, folder: str) -> tuple[list[str], list[str]]:
        """Return the folders in ``folder``, and the files as names below it.

        Most storages name what is directly there. Azure's (1.14.6) returns no folders, and the
        files of all folders below with their full names, its location included.
        """
        try:
            folders, files = self.storage.listdir(folder)
        except FileNotFoundError:
            return [], []
        location = getattr(self.storage, "location", "") or ""
        whole = "/".join(part for part in (str(location).strip("/"), folder) if part)
        return list(folders), [name.removeprefix(f"{whole}/") for name in files]

    def _is_taken(self, key: str) -> bool:
        with self._faults(key):
            return self.storage.exists(_name(key))

    def _require(self, key: str, kind: type[BucketError]) -> None:
        if not is_key(key) or not _fits(key):
            raise kind("not the key of an object", bucket=self.name, key=key)

    @contextlib.contextmanager
    def _faults(self, key: str | None = None) -> Iterator[None]:
        """Turn what a backend raises inside into a BucketError; mistakes of ours stay as they are.

        Its text is left out, for it can hold the whole signed request.
        """
        try:
            yield
        except BucketError:
            raise
        except Exception as error:
            kind = _kind_of(error, key)
            if kind is None:
                raise
            said = f"{type(error).__name__} {_status(error) or ''}".strip()
            raise kind(f"the store answered {said}", bucket=self.name, key=key) from error


def _fits(key: str) -> bool:
    name = _name(key)
    return len(name) <= _NAME_MAX and name.count("/") < _SEGMENTS_MAX


def _status(error: Exception) -> int:
    """Return the HTTP status of an answer: azure-core's ``status_code``, Google's ``code``."""
    for attribute in ("status_code", "code"):
        value = getattr(error, attribute, None)
        if isinstance(value, int):
            return int(value)
    return 0


def _kind_of(error: Exception, key: str | None) -> type[BucketError] | None:
    """Return which BucketError it is, or None for what no store has said."""
    code, status = getattr(error, "error_code", None), _status(error)
    module = type(error).__module__
    if isinstance(error, FileNotFoundError):
        return ObjectMissing
    if isinstance(error, PermissionError) or status in (401, 403):
        return BucketDenied
    if code in ("ContainerNotFound", "InvalidResourceName") or (
        status == 404 and (key is None or "bucket does not exist" in str(error))
    ):
        return BucketMissing
    if status == 404:
        return ObjectMissing
    if code == "BlobAlreadyExists" or status == 412:
        return ObjectExists
    if status in (408, 409, 429) or status >= 500:
        return BucketUnavailable
    if status:
        return BucketError
    if module.startswith("google.auth"):  # no credentials, or none that can sign
        return BucketDenied
    if isinstance(error, OSError) or module.startswith(("azure.", "google.", "requests.")):
        return BucketUnavailable
    return None


def _patiently(work: Callable[[], _Result], moved: Callable[[int], None]) -> _Result:
    """Do it in a thread of its own and say once a second that it goes on."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        while not wait([done], timeout=1.0).done:
            moved(0)
        return done.result()
