"""A bucket on Amazon S3, or on another server that speaks its API (2006-03-01).

Nothing is ever written over: every PutObject, CopyObject and CompleteMultipartUpload of our
clients carries ``If-None-Match: *``. A repeated request whose first answer was lost would then
be refused because of our own object; so each put marks its object with a number of its own in
the metadata, and a refused put looks whether the object there is the one it has just written.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

import boto3.session
import urllib3.exceptions
from boto3.s3.transfer import ProgressCallbackInvoker, TransferConfig, create_transfer_manager
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    TokenRetrievalError,
)
from django.conf import settings
from django.utils.http import content_disposition_header
from s3transfer.manager import TransferManager

from buckets import cloudfront
from buckets.errors import (
    BucketDenied,
    BucketError,
    BucketMissing,
    BucketUnavailable,
    KeyRefused,
    ObjectExists,
    ObjectMissing,
)
from buckets.hurry import is_hurried
from buckets.interface import LEFTOVER_AGE_S, PLAIN, Bucket, Kept, ObjectInfo, ignore, is_key

logger = logging.getLogger(__name__)

# Seconds for the connection, and for the next byte. A page that meets a dead server answers
# after about five seconds: three attempts and the pauses between them.
CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 20.0
ATTEMPTS = 3
# In a hurry, and then a call that was waited for in vain is not repeated: a store that takes
# everything and says nothing costs a page no more than five seconds.
HURRIED_CONNECT_TIMEOUT_S = 2.0
HURRIED_READ_TIMEOUT_S = 3.0
# How often a broken download goes on where it stopped, and a put starts again that S3 answered
# with 409 because of a delete at the same moment.
_FETCH_ATTEMPTS = 5
_PUT_ATTEMPTS = 3
_CHUNK_BYTES = 1024**2
_DELETE_BATCH = 1000  # API 2006-03-01, DeleteObjects
_MARK = "put-id"
# One thread, so that `moved` is called in the caller's own.
TRANSFER = TransferConfig(
    multipart_threshold=32 * 1024**2, multipart_chunksize=16 * 1024**2, use_threads=False
)
# S3 copies some 100 MB in a second and is silent meanwhile, no longer than READ_TIMEOUT_S.
_COPYING = TransferConfig(
    multipart_threshold=512 * 1024**2, multipart_chunksize=256 * 1024**2, use_threads=False
)
# The largest object that is copied in one piece: 5 GiB (API 2006-03-01, CopyObject).
_COPYING_WHOLE = TransferConfig(multipart_threshold=5 * 1024**3 + 1, use_threads=False)
# What XML 1.0 cannot carry, and so neither can DeleteObjects.
_NOT_IN_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# What a header carries unchanged, and a grantee in one; quotes inside quotes have no spelling.
_IN_HEADER = re.compile("[ -~]+")
_GRANTEE = re.compile('(?:id|emailAddress|uri)="[ !#-~]+"')

_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
)
_DENIED_CODES = {
    "AuthorizationHeaderMalformed",  # the wrong region
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "PermanentRedirect",
    "IllegalLocationConstraintException",
    "AccessControlListNotSupported",  # grants, for a bucket whose ACLs are disabled
    "UnresolvableGrantByEmailAddress",
}
_UNAVAILABLE_CODES = {"RequestTimeout", "Throttling", "SlowDown", "BadDigest", "IncompleteBody"}


def client_config(*, hurried: bool = False) -> Config:
    """Return how we talk to S3: signature version 4, addressing style, timeouts, retries."""
    options: dict[str, Any] = {}
    if settings.AWS_S3_ENDPOINT_URL:
        # Servers other than Amazon's refuse, or store, the checksums that newer SDKs add.
        options["request_checksum_calculation"] = "when_required"
        options["response_checksum_validation"] = "when_required"
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": settings.AWS_S3_ADDRESSING_STYLE},
        connect_timeout=HURRIED_CONNECT_TIMEOUT_S if hurried else CONNECT_TIMEOUT_S,
        read_timeout=HURRIED_READ_TIMEOUT_S if hurried else READ_TIMEOUT_S,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        **options,
    )


def client(*, hurried: bool = False) -> BaseClient:
    """Return this process's S3 client, built at the first call; safe between threads.

    Credentials come from boto3's usual places: environment, profile, role.
    """
    # The process id: connections must not be shared with a forked child.
    return _client(
        os.getpid(),
        settings.AWS_S3_REGION_NAME,
        settings.AWS_S3_ENDPOINT_URL,
        settings.AWS_S3_ADDRESSING_STYLE,
        hurried,
    )


_building = threading.Lock()


def _client(
    process: int, region: str, endpoint_url: str | None, style: str, hurried: bool
) -> BaseClient:
    with _building:
        return _built_client(process, region, endpoint_url, style, hurried)


@functools.lru_cache(maxsize=8)
def _built_client(
    process: int, region: str, endpoint_url: str | None, style: str, hurried: bool
) -> BaseClient:
    config = client_config(hurried=hurried)
    built = boto3.session.Session().client(
        "s3", region_name=region, endpoint_url=endpoint_url, config=config
    )
    never_overwrite(built)
    if hurried:
        built.meta.events.register_first("needs-retry.s3", _wait_once)
    return built


def _wait_once(caught_exception: Exception | None = None, **_: Any) -> bool | None:
    # False: no repetition. None: as the other handlers of botocore's say.
    return False if isinstance(caught_exception, (ConnectTimeoutError, ReadTimeoutError)) else None


def never_overwrite(s3: BaseClient) -> None:
    """Make every put of this client fail where the key is taken.

    Source: API 2006-03-01, PutObject, CopyObject and CompleteMultipartUpload,
    ``If-None-Match``. The transfer manager does not pass the argument on, so it is added on the
    way out.
    """
    for operation in ("PutObject", "CopyObject", "CompleteMultipartUpload"):
        s3.meta.events.register(f"provide-client-params.s3.{operation}", _if_none_match)
    if settings.AWS_S3_ENDPOINT_URL:
        s3.meta.events.register(
            "provide-client-params.s3.CompleteMultipartUpload", functools.partial(_look_first, s3)
        )


def _if_none_match(params: dict[str, Any], **_: Any) -> None:
    params["IfNoneMatch"] = "*"


def _look_first(s3: BaseClient, params: dict[str, Any], **_: Any) -> None:
    """Refuse to complete an upload whose key is taken, as the server would with a condition.

    Ceph's radosgw 16 knows the condition for PutObject alone. Who writes the same key between
    this look and the completion is written over there.
    """
    try:
        s3.head_object(Bucket=params["Bucket"], Key=params["Key"])
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        return
    taken = {"Error": {"Code": "PreconditionFailed"}, "ResponseMetadata": {"HTTPStatusCode": 412}}
    raise ClientError(taken, "CompleteMultipartUpload")


@contextlib.contextmanager
def faults(bucket: str, key: str | None = None) -> Iterator[None]:
    """Turn what boto3 raises inside into a BucketError."""
    try:
        yield
    except ClientError as error:
        raise _as_bucket_error(error, bucket, key) from error
    except _NO_CREDENTIALS as error:
        raise BucketDenied("there are no credentials", bucket=bucket, key=key) from error
    except ParamValidationError as error:  # keys were looked at before
        raise BucketMissing("not the name of a bucket", bucket=bucket, key=key) from error
    except KeyError as error:  # who says less than S3 always does is another, or has broken off
        raise BucketUnavailable(f"an answer without {error}", bucket=bucket, key=key) from error
    except (BotoCoreError, urllib3.exceptions.HTTPError) as error:
        kind = type(error).__name__  # its text can hold the whole signed request
        raise BucketUnavailable(f"no answer ({kind})", bucket=bucket, key=key) from error


def _as_bucket_error(error: ClientError, bucket: str, key: str | None) -> BucketError:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket":
        kind: type[BucketError] = BucketMissing
    elif code in _UNAVAILABLE_CODES or status == 429 or (status >= 500 and status != 501):
        kind = BucketUnavailable
    elif code in _DENIED_CODES or status in (301, 307, 401, 403) or code.startswith("KMS."):
        kind = BucketDenied
    elif status == 404:
        kind = BucketMissing if key is None else ObjectMissing
    elif code == "KeyTooLongError":
        kind = KeyRefused
    else:
        kind = BucketError
    return kind(f"S3 answered {status} {code}", bucket=bucket, key=key)


class S3Bucket:
    """The bucket ``name`` on S3, through ``s3``: by default this process's own client."""

    def __init__(self, name: str, s3: BaseClient | None = None) -> None:
        self.name = name
        self._s3 = s3

    @property
    def s3(self) -> BaseClient:
        return self._s3 or client(hurried=is_hurried())

    def stat(self, key: str) -> ObjectInfo | None:
        """See Bucket. Source: HeadObject, which does not tell a missing bucket from a
        missing object, and answers 403 for either without ``s3:ListBucket``."""
        head = self._head(key) if is_key(key) else None
        if head is None:
            return None
        with faults(self.name, key):
            return ObjectInfo(
                size_bytes=head["ContentLength"],
                modified_at=head["LastModified"].astimezone(UTC),
                content_type=head.get("ContentType"),
                etag=head.get("ETag", "").strip('"'),
                metadata=head.get("Metadata", {}),
            )

    def open(self, key: str) -> BinaryIO:
        """See Bucket. The stream can be read once, from the beginning. Source: GetObject."""
        self._require_key(key, ObjectMissing)
        with faults(self.name, key):
            body = self.s3.get_object(Bucket=self.name, Key=key)["Body"]
        return BufferedReader(_Download(body, self.name, key), _CHUNK_BYTES)

    def head(self, key: str, size_bytes: int) -> bytes:
        """See Bucket. Source: GetObject, Range; an empty object has no range (416)."""
        self._require_key(key, ObjectMissing)
        try:
            with faults(self.name, key):
                span = f"bytes=0-{size_bytes - 1}"
                answer = self.s3.get_object(Bucket=self.name, Key=key, Range=span)
                return answer["Body"].read(size_bytes)
        except BucketError as error:
            if _status(error) == 416:
                return b""
            raise

    def fetch(self, key: str, path: Path, moved: Callable[[int], None] = ignore) -> None:
        """See Bucket. Each byte is asked for once: a download that breaks goes on where it
        stopped, if the object is still the same. Source: GetObject, Range and If-Match."""
        self._require_key(key, ObjectMissing)
        with path.open("xb") as copy:
            try:
                self._download(key, copy, moved)
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
        """See Bucket. Large files go in parts, which are taken back when one fails.

        When the connection is lost for good after the last byte, the object may be there
        although BucketUnavailable was raised; the next put of the key then finds it taken.
        """
        self._require_key(key, KeyRefused)
        asked = _as_asked(kept)
        if not all(_IN_HEADER.fullmatch(value) for value in asked.values()) or not all(
            _GRANTEE.fullmatch(grantee) for _, grantee in kept.grants
        ):
            raise BucketDenied("no request can ask for that", bucket=self.name, key=key)

        def upload(manager: TransferManager, mark: str) -> None:
            arguments = {"ContentType": content_type, "Metadata": {_MARK: mark}, **asked}
            subscribers = [ProgressCallbackInvoker(moved)]
            manager.upload(str(path), self.name, key, arguments, subscribers).result()

        try:
            self._write(key, upload, TRANSFER)
        except ObjectMissing as error:  # Ceph's radosgw of a grantee whom it does not know
            raise BucketDenied("does not find what it needs", bucket=self.name, key=key) from error

    def copy(
        self,
        key: str,
        to_key: str,
        *,
        source: Bucket | None = None,
        etag: str = "",
        moved: Callable[[int], None] = ignore,
    ) -> None:
        """See Bucket. The copy has no tags, metadata or type of the object. Source: CopyObject,
        UploadPartCopy for large objects; both with ``x-amz-copy-source-if-match``.

        Not every server heeds ``If-None-Match`` here, so the key is looked at before.
        """
        self._require_key(to_key, KeyRefused)
        self._require_key(key, ObjectMissing)
        origin = source or self
        if self._head(to_key) is not None:
            raise ObjectExists("is there already", bucket=self.name, key=to_key)

        def copy(manager: TransferManager, mark: str) -> None:
            arguments = {
                "ContentType": "application/octet-stream",
                "Metadata": {_MARK: mark},
                "MetadataDirective": "REPLACE",
                "TaggingDirective": "REPLACE",  # to copy tags would take a right to read them
                **({"CopySourceIfMatch": f'"{etag}"'} if etag else {}),
            }
            subscribers = [ProgressCallbackInvoker(moved)]
            place = {"Bucket": origin.name, "Key": key}
            manager.copy(place, self.name, to_key, arguments, subscribers).result()

        try:
            # Ceph 16.2.15 decodes the source of a part twice: "%41" becomes another object, and
            # "100%" ends the server. Whole objects it copies well.
            is_decoded_twice = "%" in key and settings.AWS_S3_ENDPOINT_URL
            self._write(to_key, copy, _COPYING_WHOLE if is_decoded_twice else _COPYING)
        except (ObjectMissing, BucketUnavailable) as error:
            # A refused condition may have been either key's; only another look can tell.
            found = origin.stat(key)
            if found is None or etag not in ("", found.etag):
                raise ObjectMissing("is gone or another", bucket=origin.name, key=key) from error
            raise

    def _write(
        self, key: str, write: Callable[[TransferManager, str], None], how: TransferConfig
    ) -> None:
        """Have an object written that carries the mark, whole or not at all."""
        for _ in range(_PUT_ATTEMPTS):
            mark = uuid.uuid4().hex
            try:
                patient = self._s3 or client()
                with faults(self.name, key), create_transfer_manager(patient, how) as manager:
                    write(manager, mark)
                return
            except BucketError as error:
                if not is_conflict(error):
                    raise
            head = self._head(key)
            if head is not None and head["Metadata"].get(_MARK) == mark:
                return  # the answer to our own put was lost, and botocore repeated it
            if head is not None:
                raise ObjectExists("is there already", bucket=self.name, key=key)
        raise BucketUnavailable("is written and deleted by others", bucket=self.name, key=key)

    def delete(self, key: str, *, etag: str = "", with_versions: bool = False) -> None:
        """See Bucket. Source: DeleteObject, ``If-Match``; not every server heeds that, so the
        object is looked at before."""
        if not is_key(key):
            return
        if etag:
            head = self._head(key)
            if head is None or head["ETag"].strip('"') != etag:
                return
            if with_versions and "VersionId" in head:
                with self._as_far_as_allowed("delete versions"):
                    self._delete_versions(key, head["VersionId"])
                    return
        condition = {"IfMatch": f'"{etag}"'} if etag else {}
        try:
            with faults(self.name, key):
                self.s3.delete_object(Bucket=self.name, Key=key, **condition)
        except BucketError as error:
            if not etag or _status(error) not in (404, 412):
                raise

    def _delete_versions(self, key: str, newest: str) -> None:
        """Remove a version and all older ones. Source: ListObjectVersions, newest first."""
        ids: list[str] = []
        for page in self._pages("list_object_versions", key):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            of_key = [version["VersionId"] for version in found if version["Key"] == key]
            ids += of_key
            if not of_key:  # a list is in the order of keys
                break
        for version_id in ids[ids.index(newest) :] if newest in ids else [newest]:
            with faults(self.name, key):
                self.s3.delete_object(Bucket=self.name, Key=key, VersionId=version_id)

    def entries(self, prefix: str) -> Iterator[tuple[str, ObjectInfo]]:
        """See Bucket. Source: ListObjectsV2."""
        for page in self._pages("list_objects_v2", prefix):
            for found in page.get("Contents", ()):
                yield (
                    found["Key"],
                    ObjectInfo(
                        size_bytes=found["Size"],
                        modified_at=found["LastModified"].astimezone(UTC),
                        content_type=None,
                        etag=found["ETag"].strip('"'),
                    ),
                )

    def adopt(self, prefix: str) -> int:
        """Return 0: every object has a key."""
        return 0

    def keys(self, prefix: str) -> Iterator[str]:
        """See Bucket."""
        for key, _info in self.entries(prefix):
            yield key

    def delete_prefix(self, prefix: str) -> int:
        """See Bucket. Older versions and parts of unfinished uploads below the prefix go too.

        Source: DeleteObjects, ListObjectVersions, ListMultipartUploads.
        """
        if not prefix:
            raise ValueError("An empty prefix would delete the whole bucket.")
        with self._as_far_as_allowed("list unfinished uploads"):
            self._drop_uploads(prefix, idle_since=None)
        count = 0
        batch: list[dict[str, str]] = []
        for found in self._stored(prefix):
            if _NOT_IN_XML.search(found["Key"]):
                with faults(self.name, found["Key"]):
                    self.s3.delete_object(Bucket=self.name, **found)
            else:
                batch.append(found)
            count += 1
            if len(batch) == _DELETE_BATCH:
                self._delete_batch(batch)
                batch = []
        if batch:
            self._delete_batch(batch)
        return count

    def link(
        self,
        key: str,
        *,
        filename: str,
        content_type: str,
        inline: bool,
        lives_s: int | None = None,
    ) -> str:
        """See Bucket. Source: GetObject, presigned (signature version 4), ``response-…``
        parameters. The media bucket's objects have a link of CloudFront's where that is set."""
        lives_s = lives_s or settings.AWS_QUERYSTRING_EXPIRE
        disposition = content_disposition_header(not inline, filename)
        if settings.CLOUDFRONT_DOMAIN and self.name == settings.MEDIA_BUCKET:
            return cloudfront.link(
                key, disposition=disposition, content_type=content_type, lives_s=lives_s
            )
        params = {
            "Bucket": self.name,
            "Key": key,
            "ResponseContentType": content_type,
            "ResponseCacheControl": "private, no-store",
        }
        if disposition:  # None for a nameless inline answer
            params["ResponseContentDisposition"] = disposition
        with faults(self.name, key):
            return self.s3.generate_presigned_url("get_object", Params=params, ExpiresIn=lives_s)

    def local_path(self, key: str) -> None:
        """Return None: the objects are elsewhere."""
        return

    def check(self) -> None:
        """See Bucket. Lists one key below the media location, and begins and drops a
        multipart upload, which needs the right to write and leaves nothing."""
        location = settings.MEDIAFILES_LOCATION
        with faults(self.name):
            self.s3.list_objects_v2(Bucket=self.name, Prefix=f"{location}/", MaxKeys=1)
            upload = {"Bucket": self.name, "Key": f"{location}/check/{uuid.uuid4()}"}
            begun = self.s3.create_multipart_upload(**upload)
            self.s3.abort_multipart_upload(**upload, UploadId=begun["UploadId"])

    def sweep(self) -> int:
        """See Bucket. These are parts of uploads whose process died, or whose person went away; S3
        keeps, and bills, them for ever. One that began long ago and is still written to stays.
        Source: ListMultipartUploads below the media location, ListParts."""
        too_old = datetime.now(UTC) - timedelta(seconds=LEFTOVER_AGE_S)
        return self._drop_uploads(f"{settings.MEDIAFILES_LOCATION}/", idle_since=too_old)

    def _is_written_to(self, upload: dict[str, Any], since: datetime) -> bool:
        listing = self.s3.get_paginator("list_parts").paginate(
            Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"]
        )
        with faults(self.name), contextlib.suppress(self.s3.exceptions.NoSuchUpload):
            return any(
                part["LastModified"] >= since for page in listing for part in page.get("Parts", ())
            )
        return False

    def _require_key(self, key: str, kind: type[BucketError]) -> None:
        if not is_key(key):
            raise kind("not the key of an object", bucket=self.name, key=key)

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            with faults(self.name, key):
                return self.s3.head_object(Bucket=self.name, Key=key)
        except ObjectMissing:
            return None

    def _pages(self, operation: str, prefix: str) -> Iterator[dict[str, Any]]:
        pages = iter(self.s3.get_paginator(operation).paginate(Bucket=self.name, Prefix=prefix))
        while True:
            with faults(self.name):
                page = next(pages, None)
            if page is None:
                return
            yield page

    def _stored(self, prefix: str) -> Iterator[dict[str, str]]:
        """Return what is stored below the prefix, each version of an object by itself.

        Without the right to see versions, and on servers that know none, only the objects.
        """
        with self._as_far_as_allowed("list versions"):
            for page in self._pages("list_object_versions", prefix):
                for kind in ("Versions", "DeleteMarkers"):
                    for found in page.get(kind, ()):
                        yield {"Key": found["Key"], "VersionId": found["VersionId"]}
            return
        for key in self.keys(prefix):
            yield {"Key": key}

    @contextlib.contextmanager
    def _as_far_as_allowed(self, what: str) -> Iterator[None]:
        """Go on after a refusal: an object must go even where its older versions may not."""
        try:
            yield
        except BucketError as error:
            if _status(error) not in (403, 405, 501):
                raise
            if _status(error) == 403:
                logger.warning("bucket %s: we may not %s, they stay", self.name, what)

    def _drop_uploads(self, prefix: str, *, idle_since: datetime | None) -> int:
        """Take back unfinished uploads below the prefix, all without a time; return how many."""
        count = 0
        for page in self._pages("list_multipart_uploads", prefix):
            for upload in page.get("Uploads", ()):
                if idle_since is not None and (
                    upload["Initiated"] >= idle_since or self._is_written_to(upload, idle_since)
                ):
                    continue
                with faults(self.name), contextlib.suppress(self.s3.exceptions.NoSuchUpload):
                    self.s3.abort_multipart_upload(
                        Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                    count += 1
        return count

    def _delete_batch(self, objects: list[dict[str, str]]) -> None:
        with faults(self.name):
            answer = self.s3.delete_objects(
                Bucket=self.name, Delete={"Objects": objects, "Quiet": True}
            )
        for failed in answer.get("Errors", ()):
            denied = failed.get("Code") == "AccessDenied"
            kind = BucketDenied if denied else BucketUnavailable
            message = f"S3 answered {failed.get('Code')} to a delete"
            raise kind(message, bucket=self.name, key=failed.get("Key"))

    def _download(self, key: str, copy: BinaryIO, moved: Callable[[int], None]) -> None:
        same: dict[str, str] = {}
        for attempt in range(1, _FETCH_ATTEMPTS + 1):
            rest = {"Range": f"bytes={copy.tell()}-", **same} if copy.tell() else {}
            try:
                with faults(self.name, key):
                    answer = self.s3.get_object(Bucket=self.name, Key=key, **rest)
                same = {"IfMatch": answer["ETag"]}
                chunks = answer["Body"].iter_chunks(_CHUNK_BYTES)
                while True:
                    with faults(self.name, key):
                        chunk = next(chunks, None)
                    if chunk is None:
                        return
                    copy.write(chunk)
                    moved(len(chunk))
            except BucketUnavailable:
                if attempt == _FETCH_ATTEMPTS:
                    raise
            except BucketError as error:
                if _status(error) == 412:
                    raise BucketUnavailable(
                        "changed while it was read", bucket=self.name, key=key
                    ) from error
                raise


class _Download(RawIOBase):
    """The body of an answer as a stream that raises BucketErrors."""

    def __init__(self, body: Any, bucket: str, key: str) -> None:
        self._body = body
        self._bucket = bucket
        self._key = key

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        with faults(self._bucket, self._key):
            data = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()


def _as_asked(kept: Kept) -> dict[str, str]:
    """Return the arguments of PutObject and CreateMultipartUpload that say so."""
    asked = {
        "StorageClass": kept.storage_class,
        "ServerSideEncryption": kept.encryption,
        "SSEKMSKeyId": kept.kms_key_id,
    }
    for permission in dict(kept.grants):
        grantees = [grantee for granted, grantee in kept.grants if granted == permission]
        asked[permission] = ", ".join(grantees)
    return {name: value for name, value in asked.items() if value}


def _answer(error: BucketError) -> dict[str, Any]:
    """Return what S3 answered; nothing when it did not answer (botocore then has None there)."""
    return getattr(error.__cause__, "response", None) or {}


def _status(error: BucketError) -> int:
    return _answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def error_code(error: BucketError) -> str:
    """Return S3's own code of what went wrong, or the empty text."""
    return _answer(error).get("Error", {}).get("Code", "")


def is_conflict(error: BucketError) -> bool:
    """Return whether a put was refused for what is, or was a moment ago, at its key."""
    # NoSuchUpload: a CompleteMultipartUpload that succeeded was sent again.
    return _status(error) in (409, 412) or error_code(error) == "NoSuchUpload"
