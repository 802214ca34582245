"""Uploads in parts, and by one form, straight to a bucket on S3 (API 2006-03-01).

Addresses are signed late, with the process's own client, so addressing style and signature
version 4 are those of every other call.
"""

from __future__ import annotations

from collections.abc import Sequence

from buckets.errors import (
    BucketError,
    KeyRefused,
    ObjectMissing,
    PartsDiffer,
    UploadMissing,
)
from buckets.interface import ObjectInfo
from buckets.parts import Part, PostForm
from buckets.s3 import S3Bucket, error_code, faults, is_conflict

# The store has other parts, or they are too small to be anything but the last.
_DIFFER = {"InvalidPart", "InvalidPartOrder", "EntityTooSmall"}


class S3Parts(S3Bucket):
    """See buckets.parts.Parts."""

    def begin(self, key: str, *, content_type: str, size_bytes: int, part_bytes: int) -> str:
        """See Parts. Source: CreateMultipartUpload."""
        self._require_key(key, KeyRefused)
        with faults(self.name, key):
            begun = self.s3.create_multipart_upload(
                Bucket=self.name, Key=key, ContentType=content_type
            )
            return begun["UploadId"]

    def url(self, key: str, upload_id: str, number: int, size_bytes: int, *, expires_s: int) -> str:
        """See Parts. The size is a signed header, which browsers set by themselves.

        Source: UploadPart, presigned (signature version 4).
        """
        with faults(self.name, key):
            return self.s3.generate_presigned_url(
                "upload_part",
                Params={
                    "Bucket": self.name,
                    "Key": key,
                    "UploadId": upload_id,
                    "PartNumber": number,
                    "ContentLength": size_bytes,
                },
                ExpiresIn=expires_s,
            )

    def listed(self, key: str, upload_id: str) -> list[Part]:
        """See Parts. Source: ListParts, 1,000 to a page."""
        pages = self.s3.get_paginator("list_parts").paginate(
            Bucket=self.name, Key=key, UploadId=upload_id
        )
        try:
            with faults(self.name, key):
                return [
                    Part(part["PartNumber"], part["Size"], part["ETag"].strip('"'))
                    for page in pages
                    for part in page.get("Parts", ())
                ]
        except ObjectMissing as error:
            raise self._no_upload(key) from error

    def complete(self, key: str, upload_id: str, parts: Sequence[Part]) -> ObjectInfo:
        """See Parts. A repeated call finds no upload any more, and the object there; nothing tells
        it from an object of somebody else's, so ObjectExists is never raised.

        Source: CompleteMultipartUpload, If-None-Match; HeadObject.
        """
        listing = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        try:
            with faults(self.name, key):
                self.s3.complete_multipart_upload(
                    Bucket=self.name,
                    Key=key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": listing},
                )
        except BucketError as error:
            if error_code(error) in _DIFFER:
                raise PartsDiffer(
                    "parts are missing or differ", [], bucket=self.name, key=key
                ) from error
            if not is_conflict(error):
                raise
        info = self.stat(key)
        if info is None:
            raise self._no_upload(key)
        return info

    def abort(self, key: str, upload_id: str) -> None:
        """See Parts. Source: AbortMultipartUpload."""
        try:
            with faults(self.name, key):
                self.s3.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id)
        except ObjectMissing:
            return

    def form(self, key: str, *, size_bytes: int, content_type: str, expires_s: int) -> PostForm:
        """See Parts. The policy fixes key, type and the exact size. Source: POST Object."""
        fields = {"Content-Type": content_type, "success_action_status": "201"}
        with faults(self.name, key):
            form = self.s3.generate_presigned_post(
                Bucket=self.name,
                Key=key,
                Fields=dict(fields),
                Conditions=[
                    *({name: value} for name, value in fields.items()),
                    ["content-length-range", size_bytes, size_bytes],
                ],
                ExpiresIn=expires_s,
            )
        return PostForm(url=form["url"], fields=form["fields"])

    def _no_upload(self, key: str) -> UploadMissing:
        return UploadMissing("there is no such upload", bucket=self.name, key=key)
