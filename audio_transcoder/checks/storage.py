"""Where files are, and who hands them out: E004, E005, E012, E050 to E056, W030, W050."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.files.storage import Storage
from django.utils.module_loading import import_string

from audio_transcoder.checks.addresses import host_of, is_address
from buckets.django_storage import AZURE, LINKS, bucket_options

_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_ACCEL_PREFIX = re.compile(r"/([A-Za-z0-9_-]+/)+")
# Seconds. Amazon S3, "Signature calculations", X-Amz-Expires; Google's V4 signature likewise.
LONGEST_LINK_S = 7 * 24 * 3600
_LOCATION = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")


@register
def storage(**_: Any) -> Iterator[CheckMessage]:
    needed = ("AWS_STORAGE_BUCKET_NAME", "AWS_S3_CUSTOM_DOMAIN")
    missing = [name for name in needed if not getattr(settings, name)]
    if settings.STATIC_ON_S3 and missing:
        yield Error(
            f"STATIC_ON_S3 is on without {' and '.join(missing)}.",
            hint="Static files on S3 need a bucket and the host name that serves it to everybody, "
            "e.g. a CloudFront distribution; without STATIC_ON_S3 this site serves them itself.",
            id="audio.E004",
        )
    elif settings.STATIC_ON_S3 and _is_the_bucket(settings.AWS_S3_CUSTOM_DOMAIN):
        yield Error(
            f"AWS_S3_CUSTOM_DOMAIN is the bucket itself: {settings.AWS_S3_CUSTOM_DOMAIN}.",
            hint="The bucket is private and shows nobody its static files without a signature. "
            "Name a host that may read them, e.g. a CloudFront distribution.",
            id="audio.E004",
        )
    if settings.AWS_S3_ADDRESSING_STYLE not in ("virtual", "path", "auto"):
        yield Error(
            f"AWS_S3_ADDRESSING_STYLE is {settings.AWS_S3_ADDRESSING_STYLE!r}.",
            hint="Expected is virtual (Amazon's), path (many other servers) or auto.",
            id="audio.E005",
        )
    endpoint_url = settings.AWS_S3_ENDPOINT_URL or ""
    if settings.SITE_URL.startswith("https://") and endpoint_url.startswith("http://"):
        yield Warning(
            f"Pages at {settings.SITE_URL} use a bucket at {endpoint_url}.",
            hint="Browsers do not go from https to http: uploads straight into the bucket and "
            "players would fail. Give AWS_S3_ENDPOINT_URL an https:// address that people reach.",
            id="audio.W030",
        )
    locations = (settings.STATICFILES_LOCATION, settings.MEDIAFILES_LOCATION)
    first, second = (f"{location}/" for location in locations)
    if not all(map(_LOCATION.fullmatch, locations)) or (
        first.startswith(second) or second.startswith(first)
    ):
        yield Error(
            f"STATICFILES_LOCATION, MEDIAFILES_LOCATION are {', '.join(map(repr, locations))}.",
            hint="Expected are two names, neither inside the other, without slashes at their ends.",
            id="audio.E012",
        )


def _is_the_bucket(domain: str) -> bool:
    """Return whether this host is the store's own, which answers unsigned requests with 403."""
    host = domain.lower().partition("/")[0].partition(":")[0]
    store = host_of(settings.AWS_S3_ENDPOINT_URL or "") or "amazonaws.com"
    return host == store or (
        host.endswith(f".{store}") and settings.AWS_STORAGE_BUCKET_NAME.lower() in domain.lower()
    )


@register
def another_storage(**_: Any) -> Iterator[CheckMessage]:
    if not settings.MEDIA_STORAGE_BACKEND:
        return
    if settings.AWS_STORAGE_BUCKET_NAME:
        yield Error(
            "MEDIA_STORAGE_BACKEND and AWS_STORAGE_BUCKET_NAME are both set.",
            hint="People's files have one home: leave one of the two out.",
            id="audio.E050",
        )
        return
    problem = _problem_of_backend()
    if problem:
        yield problem
        return
    origins, is_linked = settings.MEDIA_STORAGE_ORIGINS, settings.MEDIA_STORAGE_BACKEND in LINKS
    if not all(map(is_address, origins)) or (is_linked and not origins):
        yield Error(
            f"MEDIA_STORAGE_ORIGINS is {', '.join(map(repr, origins)) or 'empty'}: browsers would "
            "refuse to play what links lead to.",
            hint="Say from where the store answers, e.g. https://example.blob.core.windows.net or "
            "https://storage.googleapis.com",
            id="audio.E052",
        )
    if settings.TRANSCODER_ENGINE == "mediaconvert" and not settings.TRANSCODER_ALONE:
        yield Error(
            "TRANSCODER_ENGINE is mediaconvert, which reads and writes S3 alone.",
            hint="Set AWS_STORAGE_BUCKET_NAME instead of MEDIA_STORAGE_BACKEND, or leave "
            "TRANSCODER_ENGINE out: our own transcoder works with any storage.",
            id="audio.E053",
        )


def _problem_of_backend() -> CheckMessage | None:
    backend, options = settings.MEDIA_STORAGE_BACKEND, settings.MEDIA_STORAGE_OPTIONS
    if not isinstance(options, dict) or not any("{bucket}" in str(v) for v in options.values()):
        return Error(
            'MEDIA_STORAGE_OPTIONS is no JSON object in which "{bucket}" stands.',
            hint='E.g. {"account_name": "example", "account_key": "…", "azure_container": '
            '"{bucket}"} or {"bucket_name": "{bucket}"}: the transcoder opens other buckets too.',
            id="audio.E051",
        )
    try:
        made = import_string(backend)(**bucket_options(settings.MEDIA_STORAGE_BUCKET))
    except Exception as error:
        # Whatever a class of somebody else's raises, it cannot be used; its text may hold a key.
        return Error(
            f"MEDIA_STORAGE_BACKEND {backend} cannot be made ({type(error).__name__}).",
            hint="Its package may be missing (pip install 'django-storages[azure]' or "
            "'django-storages[google]'), or it does not know one of MEDIA_STORAGE_OPTIONS.",
            id="audio.E051",
        )
    if not isinstance(made, Storage):
        return Error(
            f"MEDIA_STORAGE_BACKEND {backend} is no storage.",
            hint=f"Name the class of a storage of Django's, e.g. {AZURE}",
            id="audio.E051",
        )
    return None


@register
def private_links(**_: Any) -> Iterator[CheckMessage]:
    if settings.CLOUDFRONT_DOMAIN:
        yield from _cloudfront_errors()
    if settings.AWS_QUERYSTRING_EXPIRE > LONGEST_LINK_S:
        yield Error(
            f"AWS_QUERYSTRING_EXPIRE is {settings.AWS_QUERYSTRING_EXPIRE}.",
            hint=f"No signed link lives longer than a week: {LONGEST_LINK_S} seconds.",
            id="audio.E055",
        )
    prefix = settings.ACCEL_REDIRECT_PREFIX
    if prefix and not _ACCEL_PREFIX.fullmatch(prefix):
        yield Error(
            f"ACCEL_REDIRECT_PREFIX is {prefix!r}.",
            hint="Expected is the path of an internal location of nginx, with a slash at both "
            "ends, e.g. /buckets/",
            id="audio.E056",
        )


# Setting -> what it does nothing without.
_NEEDS = {
    "AWS_S3_ENDPOINT_URL": "AWS_STORAGE_BUCKET_NAME",
    "AWS_S3_CUSTOM_DOMAIN": "STATIC_ON_S3",
    "CLOUDFRONT_KEY_ID": "CLOUDFRONT_DOMAIN",
    "CLOUDFRONT_KEY": "CLOUDFRONT_DOMAIN",
    "MEDIA_STORAGE_OPTIONS": "MEDIA_STORAGE_BACKEND",
}


@register
def without_effect(**_: Any) -> Iterator[CheckMessage]:
    for name, needed in _NEEDS.items():
        if getattr(settings, name) and not getattr(settings, needed):
            yield Warning(
                f"{name} is set and does nothing without {needed}.",
                hint=f"Set {needed} too, or leave {name} out.",
                id="audio.W050",
            )
    elsewhere = settings.AWS_STORAGE_BUCKET_NAME or settings.MEDIA_STORAGE_BACKEND
    if settings.ACCEL_REDIRECT_PREFIX and elsewhere:
        yield Warning(
            "ACCEL_REDIRECT_PREFIX is set, and the files are in no folder that nginx could read.",
            hint="Leave it out; links lead to the store.",
            id="audio.W050",
        )


def _cloudfront_errors() -> Iterator[CheckMessage]:
    names = ("AWS_STORAGE_BUCKET_NAME", "CLOUDFRONT_KEY_ID", "CLOUDFRONT_KEY")
    missing = [name for name in names if not getattr(settings, name)]
    if missing:
        yield Error(
            f"CLOUDFRONT_DOMAIN is set without {' and '.join(missing)}.",
            hint="People's files leave the distribution by signed links alone: that needs the "
            "bucket, the public key's id and the private key (or the file CLOUDFRONT_KEY_FILE).",
            id="audio.E054",
        )
        return
    if not _HOST.fullmatch(settings.CLOUDFRONT_DOMAIN):
        yield Error(
            f"CLOUDFRONT_DOMAIN is {settings.CLOUDFRONT_DOMAIN!r}.",
            hint="Expected is a host name alone, e.g. d111111abcdef8.cloudfront.net",
            id="audio.E054",
        )
    # Reading a key takes a package that folders do without.
    from buckets import cloudfront

    try:
        cloudfront.signer()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        yield Error(
            "CLOUDFRONT_KEY is no RSA private key in PEM without a password.",
            hint="openssl genrsa -out cloudfront.pem 2048 makes one; its public half goes to "
            "CloudFront. In one line, \\n stands for a line break.",
            id="audio.E054",
        )
