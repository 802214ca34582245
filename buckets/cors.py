"""What a bucket must tell browsers, so that our pages may use it and no others."""

from __future__ import annotations

from typing import Any


def cors_rules(origin: str) -> dict[str, Any]:
    """Return the CORSConfiguration of a bucket whose pages come from ``origin``.

    ``origin`` is compared exactly: scheme, host and port, e.g. ``https://audio.example.org``.
    Source: S3 API 2006-03-01, PutBucketCors.
    """
    return {
        "CORSRules": [
            {
                "ID": "browser-upload",
                "AllowedOrigins": [origin],
                "AllowedMethods": ["POST", "PUT"],
                "AllowedHeaders": ["content-type", "content-md5", "if-none-match", "x-amz-*"],
                "ExposeHeaders": ["ETag", "x-amz-request-id"],
                "MaxAgeSeconds": 3000,
            },
            {
                "ID": "player",
                "AllowedOrigins": [origin],
                "AllowedMethods": ["GET", "HEAD"],
                "AllowedHeaders": ["range"],
                "ExposeHeaders": ["Accept-Ranges", "Content-Range", "Content-Length", "ETag"],
                "MaxAgeSeconds": 3000,
            },
        ]
    }
