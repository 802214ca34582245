"""Hand objects that were dropped into the bucket to the application, which does the rest.

A function for AWS Lambda (runtime python3.13, handler ``transcode.lambda_handler``), invoked by
the bucket's ``s3:ObjectCreated:*`` events. It publishes what S3 itself would publish to an SNS
topic whose subscriber is the application's ``/transcode-complete/``, so that the application
knows one way in, with this function or without it.

Environment: ``BUCKET``, the bucket's name, several with commas between; ``TOPIC_ARN``;
``INTAKE_PREFIX``, default ``media/intake/``. Nothing is written to any bucket, so no event can
cause another one.
"""

from __future__ import annotations

import functools
import json
import logging
import os
from typing import Any
from urllib.parse import unquote_plus

import boto3

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)

# What S3 calls its own messages.
SUBJECT = "Amazon S3 Notification"
# A record has at most 5 KB: its key may be 1,024 bytes, encoded. SNS takes 256 KiB.
RECORDS_A_MESSAGE = 50


def lambda_handler(event: Any, context: Any) -> dict[str, int]:
    """Publish the records of an S3 event that are the application's; return how many.

    What is not ours is logged and counts as done: an error only makes Lambda invoke us again,
    which is right for a topic that does not answer and for nothing else. The same event twice
    is two messages; the application takes an object once.
    """
    if isinstance(event, dict) and event.get("Event") == "s3:TestEvent":
        logger.info("test event of bucket %s", event.get("Bucket"))
        return {"published": 0}
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list):
        logger.warning("not an event of S3, ignored")
        return {"published": 0}
    ours = [record for record in records if is_ours(record)]
    for start in range(0, len(ours), RECORDS_A_MESSAGE):
        publish(ours[start : start + RECORDS_A_MESSAGE])
    return {"published": len(ours)}


def is_ours(record: Any) -> bool:
    """Return whether the record tells of a new object in our bucket below the prefix."""
    try:
        major = str(record["eventVersion"]).partition(".")[0]
        source, name = record["eventSource"], str(record["eventName"])
        bucket, found = record["s3"]["bucket"]["name"], record["s3"]["object"]
        # Keys are form-encoded in events, once.
        key = unquote_plus(found["key"], errors="strict")
        size = found.get("size", 0)
    except (AttributeError, KeyError, TypeError, UnicodeDecodeError):
        logger.warning("a record without what we need, ignored")
        return False
    if major != "2" or source != "aws:s3" or not name.startswith("ObjectCreated:"):
        logger.warning("%r: an event of no kind for us (%s, %s), ignored", key, source, name)
        return False
    if bucket not in os.environ["BUCKET"].split(","):
        logger.warning("%r: in another bucket, %s, ignored", key, bucket)
        return False
    prefix = os.environ.get("INTAKE_PREFIX", "media/intake/")
    if not key.startswith(prefix) or key.endswith("/"):
        logger.info("%r: not below %s, ignored", key, prefix)
        return False
    if not isinstance(size, int) or size < 1:
        logger.warning("%r: of no bytes, ignored", key)
        return False
    return True


def publish(records: list[dict[str, Any]]) -> None:
    """Publish as S3 does. Raises what boto3 raises. Source: API 2010-03-31, Publish."""
    answer = sns().publish(
        TopicArn=os.environ["TOPIC_ARN"],
        Subject=SUBJECT,
        Message=json.dumps({"Records": records}, separators=(",", ":")),
    )
    keys = [record["s3"]["object"]["key"] for record in records]
    logger.info("published %s: %s", answer["MessageId"], keys)


@functools.cache
def sns() -> Any:
    """Return the client for the topic's own region, built once for all invocations."""
    return boto3.client("sns", region_name=os.environ["TOPIC_ARN"].split(":")[3])
