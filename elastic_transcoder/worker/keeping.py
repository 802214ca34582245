"""How a bucket is to keep the results: a pipeline's permissions and storage class, encryption.

Source: API 2012-09-25, shapes PipelineOutputConfig and Encryption.
"""

from __future__ import annotations

from typing import Any

from buckets import Kept

STORAGE_CLASSES = {"Standard": "STANDARD", "ReducedRedundancy": "REDUCED_REDUNDANCY"}
GRANTS = {
    "Read": "GrantRead",
    "ReadAcp": "GrantReadACP",
    "WriteAcp": "GrantWriteACP",
    "FullControl": "GrantFullControl",
}
GRANTEES = {
    "Canonical": 'id="{}"',
    "Email": 'emailAddress="{}"',
    "Group": 'uri="http://acs.amazonaws.com/groups/{}"',
}
GROUPS = {
    "AllUsers": "global/AllUsers",
    "AuthenticatedUsers": "global/AuthenticatedUsers",
    "LogDelivery": "s3/LogDelivery",
}
ENCRYPTIONS = {"s3": "AES256", "s3-aws-kms": "aws:kms"}


def kept(
    config: dict[str, Any] | None, encryption: dict[str, Any] | None, kms_key_arn: str
) -> Kept:
    """Return how an object is to be kept.

    ``config`` is the PipelineOutputConfig of the object's kind, or None for a pipeline with an
    OutputBucket alone; ``encryption`` the output's own; ``kms_key_arn`` the pipeline's, empty for
    the account's default key. With permissions the owner gets nothing that is not among them.
    Raises KeyError for what the API refuses: modes that are not S3's own, groups S3 lacks.
    """
    config, mode = config or {}, (encryption or {}).get("Mode")
    storage_class = config.get("StorageClass")
    return Kept(
        storage_class=STORAGE_CLASSES[storage_class] if storage_class else "",
        encryption=ENCRYPTIONS[mode] if mode else "",
        kms_key_id=kms_key_arn if mode == "s3-aws-kms" else "",
        grants=tuple(
            grant for permission in config.get("Permissions") or () for grant in _grants(permission)
        ),
    )


def _grants(permission: dict[str, Any]) -> list[tuple[str, str]]:
    kind, grantee = permission["GranteeType"], permission["Grantee"]
    named = GRANTEES[kind].format(GROUPS[grantee] if kind == "Group" else grantee)
    return [(GRANTS[access], named) for access in permission.get("Access") or ()]
