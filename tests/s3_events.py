"""Events as Amazon S3 writes them. Source: S3 User Guide, "Event message structure"."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus


def record_of(
    key: str,
    *,
    bucket: str = "app-uploads-example",
    size: object = 48_211_034,
    etag: str = "9b2cf535f27731c974343645a3985328",
    sequencer: str = "0065E2F1C4A1B2C3D4",
    **values: Any,
) -> dict[str, Any]:
    """One record of an object that was created; ``values`` take the place of outer members."""
    return {
        "eventVersion": "2.6",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": "2026-03-02T10:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AROAEXAMPLE:web"},
        "requestParameters": {"sourceIPAddress": "198.51.100.7"},
        "responseElements": {"x-amz-request-id": "EXAMPLE", "x-amz-id-2": "EXAMPLE"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "intake",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": "A1EXAMPLE"},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": {
                "key": quote_plus(key, safe="/"),
                "size": size,
                "eTag": etag,
                "sequencer": sequencer,
            },
        },
        **values,
    }


def event_of(*keys: str, **values: Any) -> dict[str, Any]:
    """The event, or the SNS message, that tells of these objects."""
    return {"Records": [record_of(key, **values) for key in keys]}


TEST_EVENT = {
    "Service": "Amazon S3",
    "Event": "s3:TestEvent",
    "Time": "2026-03-02T10:00:00.000Z",
    "Bucket": "app-uploads-example",
    "RequestId": "EXAMPLE",
    "HostId": "EXAMPLE",
}
