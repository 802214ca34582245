"""Looks at the credentials and at the bucket, on S3 or in a folder."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.exceptions import ImproperlyConfigured

from audio_transcoder.doctor import amazon, where
from audio_transcoder.doctor.amazon import ask
from audio_transcoder.doctor.looks import (
    Answer,
    fine,
    look,
    not_asked,
    skipped,
    warning,
    worst,
    wrong,
)
from audio_transcoder.keys import bucket_key
from buckets import BucketError, bucket, s3
from sns import wire

_TIMEOUT_S = 8.0
_PROBE = b"The doctor was here."
_PROBE_NAME = "check.txt"
# Beside the Origin, which is the site's.
PREFLIGHT = {"Access-Control-Request-Method": "PUT"}
_ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
_SIGNED_IN = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"


# --- Credentials ------------------------------------------------------------------------------


@look("credentials", applies=where.with_credentials, needs=("clock",))
def credentials_are_there() -> Answer:
    found = amazon.credentials()
    if found is None:
        return wrong(
            "There are no credentials.",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role.",
        )
    key = f"{found.access_key[:4]}…{found.access_key[-4:]}"
    if where.with_amazon():
        return fine(f"Key {key}, from {found.method}; whose it is, the store knows.")
    return fine(f"Key {key}, from {found.method}, is {amazon.caller()}.")


# --- A bucket on S3 ---------------------------------------------------------------------------


@look("region", applies=where.on_amazons_s3, needs=("credentials",))
def region_is_the_buckets() -> Answer:
    """Source: HeadBucket, whose answers, refusals too, name the region in a header."""
    headers: dict[str, str] = {}
    client = s3.client()
    client.meta.events.register_first("after-call.s3.HeadBucket", _remember(headers))
    with contextlib.suppress(amazon.NotAllowed, amazon.Missing, amazon.Refused):
        ask("s3:ListBucket", client.head_bucket, Bucket=settings.MEDIA_BUCKET)
    real = headers.get("x-amz-bucket-region")
    if real is None:
        return skipped("The store does not tell the bucket's region.")
    if real != settings.AWS_S3_REGION_NAME:
        return wrong(
            f"The bucket is in {real}, and we look for it in {settings.AWS_S3_REGION_NAME}.",
            f"Set AWS_S3_REGION_NAME={real} (and AWS_REGION, for everything else).",
        )
    return fine(f"The bucket is in {real}.")


def _remember(headers: dict[str, str]) -> Any:
    def remember(http_response: Any, **_: Any) -> None:
        headers.update({name.lower(): value for name, value in http_response.headers.items()})

    return remember


@look("bucket", applies=where.on_s3, needs=("credentials", "region"))
def bucket_is_there() -> Answer:
    name = settings.MEDIA_BUCKET
    prefix = f"{settings.MEDIAFILES_LOCATION}/"
    client = s3.client()
    try:
        ask("s3:ListBucket", client.list_objects_v2, Bucket=name, Prefix=prefix, MaxKeys=1)
    except amazon.Missing:
        return wrong(
            f"There is no bucket {name!r} at {client.meta.endpoint_url}.",
            "Create it (s3:CreateBucket), or correct AWS_STORAGE_BUCKET_NAME or the region.",
        )
    except amazon.NotAllowed:
        return wrong(
            f"The credentials may not list the bucket {name!r}, or it is somebody else's.",
            f"Allow s3:ListBucket on arn:aws:s3:::{name}, or correct AWS_STORAGE_BUCKET_NAME.",
        )
    return fine(f"The bucket {name!r} is there and can be listed.")


@look("bucket is writable", applies=where.on_s3, needs=("bucket",))
def bucket_is_writable() -> Answer:
    with _probe() as key, bucket(settings.MEDIA_BUCKET).open(key) as stored:
        if stored.read() != _PROBE:
            return wrong("What was stored comes back otherwise.", "Look at the store.")
    return fine("An object was stored, read and removed.")


@contextlib.contextmanager
def _probe() -> Iterator[str]:
    """Give the key of a small object that is gone afterwards. Raises AmazonError."""
    media, key = bucket(settings.MEDIA_BUCKET), bucket_key(f"check/{uuid.uuid4()}")
    with tempfile.NamedTemporaryFile() as file:
        file.write(_PROBE)
        file.flush()
        try:
            media.put(key, Path(file.name), content_type="text/plain")
            yield key
        except BucketError as error:
            raise _Unusable(f"the bucket cannot be used ({error.args[0]})") from error
        finally:
            with contextlib.suppress(BucketError):
                if (stored := media.stat(key)) is not None:
                    media.delete(key, etag=stored.etag, with_versions=True)


class _Unusable(amazon.AmazonError):
    hint = (
        "Allow s3:PutObject, s3:GetObject, s3:DeleteObject and s3:AbortMultipartUpload on the "
        "media location of the bucket, and s3:ListBucket on the bucket."
    )


@look("bucket is private", applies=where.on_s3, needs=("bucket",))
def bucket_is_private() -> Answer:
    """Source: GetBucketPolicyStatus, GetBucketAcl, GetPublicAccessBlock."""
    parts = (_policy_is_private, _access_list_is_private, _access_is_blocked)
    return worst(_or_not_asked(part) for part in parts)


def _or_not_asked(part: Callable[[], Answer]) -> Answer:
    try:
        return part()
    except amazon.NotAllowed as error:
        return not_asked(error.action)


def _policy_is_private() -> Answer:
    answer = optional(
        "s3:GetBucketPolicyStatus", s3.client().get_bucket_policy_status, {"NoSuchBucketPolicy"}
    )
    if answer.get("PolicyStatus", {}).get("IsPublic"):
        return wrong(
            "The bucket's policy lets everybody in.",
            "Take the statement with Principal * out of it (s3:PutBucketPolicy): people get signed "
            "links, and CloudFront gets in by its ARN.",
            stops=False,
        )
    return fine("No policy lets everybody in.")


def _access_list_is_private() -> Answer:
    answer = optional("s3:GetBucketAcl", s3.client().get_bucket_acl, set())
    everybody = {_ALL_USERS, _SIGNED_IN}
    if any(grant["Grantee"].get("URI") in everybody for grant in answer.get("Grants", [])):
        return wrong(
            "The bucket's access list lets everybody in.",
            "Make it private (s3:PutBucketAcl), or switch access lists off (BucketOwnerEnforced).",
            stops=False,
        )
    return fine("No access list either.")


def _access_is_blocked() -> Answer:
    answer = optional(
        "s3:GetBucketPublicAccessBlock",
        s3.client().get_public_access_block,
        {"NoSuchPublicAccessBlockConfiguration"},
    )
    blocks = answer.get("PublicAccessBlockConfiguration", {})
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    missing = [name for name in names if not blocks.get(name)]
    if missing:
        return warning(
            f"Nothing stops a later policy or access list from opening it: {', '.join(missing)} "
            "are off.",
            "Switch all four on (s3:PutBucketPublicAccessBlock).",
        )
    return fine("Public access is blocked.")


def optional(action: str, call: Any, absent: set[str]) -> dict[str, Any]:
    """Return a part of the bucket's configuration, {} where it has none or knows no such thing."""
    try:
        return ask(action, call, Bucket=settings.MEDIA_BUCKET)
    except amazon.Refused as error:
        if error.code in absent | {"NotImplemented", "MethodNotAllowed"}:
            return {}
        raise


@look("anonymous reading", applies=where.on_s3, needs=("bucket is writable",))
def strangers_are_refused() -> Answer:
    with _probe() as key:
        status = _get(_bare(_link(key)))
    if status == 200:
        return wrong(
            "Anybody who knows a key gets the object, without any signature.",
            "Block public access (s3:PutBucketPublicAccessBlock) and look at the bucket's policy "
            "and access lists.",
            stops=False,
        )
    if status not in (401, 403):
        return wrong(
            f"A stranger is answered {status} instead of being refused.",
            "Look at what stands between us and the bucket: proxy, website endpoint, redirect.",
            stops=False,
        )
    return fine("A stranger is refused.")


@look("signed links", applies=where.on_s3, needs=("bucket is writable",))
def links_are_signed() -> Answer:
    with _probe() as key:
        link = _link(key)
        if "X-Amz-Algorithm=AWS4-HMAC-SHA256" not in link:
            return wrong(
                "Links are not signed with version 4, which newer buckets demand.",
                "Look whether an AWS configuration file sets s3 signature_version.",
            )
        host = urlsplit(link).hostname or ""
        if amazon.is_amazons(link) and settings.AWS_S3_REGION_NAME not in host:
            return wrong(
                f"Links name the host {host}, which is not the bucket's region's.",
                "Set AWS_S3_REGION_NAME to the bucket's region.",
            )
        status, altered = _get(link), _get(_altered(link))
    if status != 200:
        return wrong(
            f"A signed link is answered {status} by {host}.",
            "Allow s3:GetObject; look at the clock, AWS_S3_ADDRESSING_STYLE and the bucket's "
            "policy.",
        )
    if altered not in (400, 401, 403):
        return wrong(
            f"A link with a wrong signature is answered {altered} instead of being refused.",
            "The store does not check signatures, so everybody may read: use another one.",
            stops=False,
        )
    return fine(f"A link to {host} works, and with a wrong signature it does not.")


@look("people's links", applies=where.on_s3_with_web_app, needs=("signed links",))
def peoples_links_work() -> Answer:
    with _probe() as key:
        link = _peoples_link(key)
        host = urlsplit(link).hostname
        if host == urlsplit(_link(key)).hostname:
            return fine("They lead to the bucket itself.")
        reply, altered, bare = _ask(link), _get(_altered(link)), _get(_bare(link))
    if reply.status != 200:
        return wrong(
            f"A link of {host} is answered {reply.status}.",
            "See whether the distribution may read the bucket (its origin access control and the "
            "bucket's policy), and whether its key group has our public key.",
        )
    if 200 in (altered, bare):
        return wrong(
            f"{host} hands objects out without a right signature.",
            "Have the distribution ask for one: trusted key groups on its cache behavior.",
        )
    if _PROBE_NAME not in reply.headers.get("Content-Disposition", ""):
        return wrong(
            f"{host} drops the name of a file, and downloads are called by their keys.",
            "Have its cache policy pass response-content-disposition, response-content-type and "
            "response-cache-control on to the bucket.",
            stops=False,
        )
    return fine(f"A link to {host} works, and without its signature it does not.")


def _link(key: str) -> str:
    """Return a link to the bucket itself, whoever stands before it for people."""
    params = {"Bucket": settings.MEDIA_BUCKET, "Key": key}
    return s3.client().generate_presigned_url("get_object", Params=params, ExpiresIn=300)


def _peoples_link(key: str) -> str:
    link = bucket(settings.MEDIA_BUCKET).link(
        key, filename=_PROBE_NAME, content_type="text/plain", inline=False
    )
    assert link is not None  # noqa: S101 -- on S3 there is one
    return link


def _bare(link: str) -> str:
    return link.partition("?")[0]


def _altered(link: str) -> str:
    return re.sub(r"(Signature=)(.)", lambda found: found[1] + "01"[found[2] == "0"], link)


def _get(url: str) -> int:
    return _ask(url).status


def _ask(url: str, method: str = "GET", headers: dict[str, str] | None = None) -> wire.Reply:
    try:
        return wire.exchange(method, url, headers=headers, timeout_s=_TIMEOUT_S, answer_bytes=1024)
    except wire.NoAnswer as error:
        raise amazon.NoAnswer(f"{urlsplit(url).hostname} does not answer: {error}") from error


@look("cors", applies=where.on_s3_with_web_app, needs=("bucket",))
def browsers_may_upload() -> Answer:
    """Ask as a browser does before it sends a part: static/js/uploads/calls.js sets no header, so
    none is asked for. Source: Fetch Standard, CORS preflight."""
    hint = (
        f"Add a rule (s3:PutBucketCORS): AllowedOrigins {settings.SITE_URL}, AllowedMethods PUT, "
        "AllowedHeaders *, ExposeHeaders ETag."
    )
    url = _bare(_link(bucket_key("check/preflight")))
    reply = _ask(url, "OPTIONS", {"Origin": settings.SITE_URL, **PREFLIGHT})
    allowed = reply.headers.get("Access-Control-Allow-Origin", "")
    methods = reply.headers.get("Access-Control-Allow-Methods", "").upper()
    if reply.status >= 300 or allowed not in ("*", settings.SITE_URL) or "PUT" not in methods:
        return wrong(
            f"Browsers may not upload from {settings.SITE_URL}: the bucket answers "
            f"{reply.status}" + (f" and allows {allowed}." if allowed else " and allows nobody."),
            hint,
            stops=False,
        )
    if not _shows_etag():
        return wrong("Browsers may upload and not see the ETag of a part.", hint, stops=False)
    if allowed == "*":
        return warning("Pages of every site may send uploads here.", hint)
    return fine(f"Browsers may upload from {settings.SITE_URL}.")


def _shows_etag() -> bool:
    """Return whether the rules expose ETag; unknown counts as yes. Source: GetBucketCors."""
    try:
        answer = ask("s3:GetBucketCORS", s3.client().get_bucket_cors, Bucket=settings.MEDIA_BUCKET)
    except amazon.AmazonError:
        return True
    return any(
        header.lower() in ("etag", "*")
        for rule in answer.get("CORSRules", [])
        if "PUT" in rule.get("AllowedMethods", [])
        for header in rule.get("ExposeHeaders", [])
    )


@look("lifecycle", applies=where.on_s3, needs=("bucket",))
def stale_parts_are_dropped() -> Answer:
    answer = optional(
        "s3:GetLifecycleConfiguration",
        s3.client().get_bucket_lifecycle_configuration,
        {"NoSuchLifecycleConfiguration"},
    )
    for rule in answer.get("Rules", []):
        if rule.get("Status") == "Enabled" and "AbortIncompleteMultipartUpload" in rule:
            days = rule["AbortIncompleteMultipartUpload"].get("DaysAfterInitiation")
            return fine(f"Parts of uploads that nobody finished go after {days} days.")
    return warning(
        "Parts of uploads that nobody finished are kept, and billed, until our own sweep.",
        "Add a rule with AbortIncompleteMultipartUpload (s3:PutLifecycleConfiguration).",
    )


@look("static files", applies=where.with_static_on_s3, needs=("bucket",))
def static_files_are_served() -> Answer:
    """Fetch one that pages load, by the address that stands in them."""
    try:
        collected = [name for name in staticfiles_storage.hashed_files if name.endswith(".css")]
    except BucketError as error:
        return wrong(
            f"The list of static files cannot be read ({error.args[0]}), and so no page shown.",
            f"Allow s3:GetObject on {settings.STATICFILES_LOCATION}/* of the bucket.",
            stops=False,
        )
    if not collected:
        return wrong(
            "No static files are in the bucket: pages have neither styles nor scripts.",
            "Say manage.py collectstatic.",
            stops=False,
        )
    url = staticfiles_storage.url(min(collected))
    status = _get(url)
    if status != 200:
        return wrong(
            f"{url} is answered {status}: pages have neither styles nor scripts.",
            f"See whether AWS_S3_CUSTOM_DOMAIN may read {settings.STATICFILES_LOCATION}/* and asks "
            "for no signature there, and whether manage.py collectstatic has run since the update.",
            stops=False,
        )
    return fine(f"{url} is there for everybody.")


# --- A bucket on another storage of Django's --------------------------------------------------


@look("storage", applies=where.on_another_storage)
def storage_is_writable() -> Answer:
    name = settings.MEDIA_STORAGE_BACKEND.rpartition(".")[2]
    try:
        bucket(settings.MEDIA_BUCKET).check()
    except BucketError as error:
        return wrong(
            f"{name} cannot be used: {error.args[0]}.",
            "Correct MEDIA_STORAGE_OPTIONS and MEDIA_STORAGE_BUCKET, or what the account may do "
            "there: write, read, list and delete.",
        )
    except (ImportError, ImproperlyConfigured, TypeError, ValueError) as error:
        # Its text may hold a key.
        return wrong(
            f"{name} cannot be made ({type(error).__name__}).",
            "See what is said above of the settings.",
        )
    return fine(
        f"{name}: an object was stored, read and removed. Uploads pass through this site, for only "
        "S3 and folders take them in parts."
    )


# --- A bucket in a folder ---------------------------------------------------------------------


@look("folder", applies=where.in_folders)
def folder_is_writable() -> Answer:
    folder = _folder()
    try:
        bucket(settings.MEDIA_BUCKET).check()
    except BucketError as error:
        return wrong(
            f"{folder} cannot be used: {error.args[0]}.",
            "Have it, and BUCKETS_DIR around it, belong to the account that runs the site "
            "(chown, chmod u+rwx), on a disk that is not full or read-only.",
        )
    if folder.is_symlink():
        return warning(
            f"{folder} is a link to {folder.resolve()}.",
            "Whoever may change the link decides where recordings go; BUCKETS_DIR can name the "
            "place itself.",
        )
    return fine(f"{folder} is there, written and read.")


@look("hard links", applies=where.in_folders, needs=("folder",))
def folder_has_hard_links() -> Answer:
    folder = _folder()
    with tempfile.NamedTemporaryFile(dir=folder, prefix="%tmp-") as file:
        link = Path(f"{file.name}-link")
        try:
            os.link(file.name, link)
        except OSError as error:
            return wrong(
                f"{folder} has no hard links ({error.strerror}), and an object becomes one.",
                "Move BUCKETS_DIR to a file system that has them, e.g. ext4 or XFS.",
            )
        link.unlink()
    if settings.FILE_UPLOAD_TEMP_DIR.stat().st_dev != folder.stat().st_dev:
        return warning(
            "Uploads arrive on another disk than the buckets', so each one is copied.",
            "Have DATA_DIR and BUCKETS_DIR on one file system.",
        )
    return fine("Uploads become objects without being copied.")


@look("folder is private", applies=where.in_folders, needs=("folder",))
def folder_is_private() -> Answer:
    folder = _folder().resolve()
    if all(stat.S_IMODE(each.stat().st_mode) & 0o001 for each in [folder, *folder.parents]):
        return wrong(
            f"Everybody on this machine may look into {folder}.",
            f"chmod o-rwx {folder}",
            stops=False,
        )
    return fine("Nobody else on this machine looks in.")


def _folder() -> Path:
    return bucket(settings.MEDIA_BUCKET).root
