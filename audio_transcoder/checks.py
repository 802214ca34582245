"""System checks: settings that are wrong or contradict each other stop the start with a hint.

Nothing here calls out.

E001 TRANSCODER_ENDPOINT_URL is Amazon's     E008 the lease of a job
E002 an address is no http(s) address        E009 SNS_TOPIC_ARN
E003 TRANSCODER_ENGINE                       E010 SNS_SIGNATURE_VERSIONS
E004 STATIC_ON_S3 without what it needs      E011 TRANSCODER_TOPICS
E005 AWS_S3_ADDRESSING_STYLE                 E012 storage locations
E006 a number that must be positive          E013 PORT
E007 a number that must not be negative

With TRANSCODER_ENGINE=mediaconvert:
E020 no bucket on S3                         E023 a store that is not Amazon's
E021 MEDIACONVERT_ROLE_ARN                   E024 MEDIACONVERT_ENV
E022 MEDIACONVERT_QUEUE_ARN

E050 two homes for people's files            E053 what needs S3 is on without it
E051 MEDIA_STORAGE_BACKEND and its options   E054 CLOUDFRONT_…
E052 where its links lead                    E055 AWS_QUERYSTRING_EXPIRE beyond a week
                                             E056 ACCEL_REDIRECT_PREFIX

W001 DEBUG on a public site                  W003 mail is required and goes nowhere
W002 our own notices would be refused        W020 no topic for MediaConvert's events
W030 pages on https, their bucket on http
W035 the packages of npm are missing
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.files.storage import Storage
from django.utils.module_loading import import_string

from buckets.django_storage import AZURE, LINKS, bucket_options
from sns import arn

POSITIVE = (
    "AWS_QUERYSTRING_EXPIRE",
    "CLIENT_BODY_S",
    "CLIENT_IDLE_S",
    "FFMPEG_MEMORY_BYTES",
    "MAX_DURATION_S",
    "NOTICE_RETRY_S",
    "OUTPUT_MAX_BYTES",
    "RECONCILE_S",
    "TRANSCODER_LEASE_S",
    "TRANSCODER_MAX_PLACED",
    "TRANSCODER_RENEW_S",
    "TRANSCODER_STALL_S",
    "TRANSCODER_TIMEOUT",
    "TRANSCODER_WORKERS",
    "UPLOAD_MAX_BYTES",
    "WEB_BUSY_TIMEOUT",
    "WEB_PROCESSES",
    "WEB_THREADS",
    "WORKER_BUSY_TIMEOUT",
)
NOT_NEGATIVE = (
    "QUOTA_BYTES",
    "QUOTA_FILES",
    "QUOTA_FILES_PER_DAY",
    "SECURE_HSTS_SECONDS",
    "STORAGE_PRICE_PER_GIB",
    "TRANSCODER_MAX_PIPELINES",
    "TRANSCODER_MAX_PRESETS",
    "TRANSCODER_MAX_QUEUED_JOBS",
    "UPLOADS_PER_MINUTE",
)

_AMAZONS_OWN = re.compile(r"elastictranscoder\..*\.?(amazonaws\.com(\.cn)?|api\.aws)")
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_ACCEL_PREFIX = re.compile(r"/([A-Za-z0-9_-]+/)+")
# Seconds. Amazon S3, "Signature calculations", X-Amz-Expires; Google's V4 signature likewise.
LONGEST_LINK_S = 7 * 24 * 3600
_LOCATION = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")


@register
def addresses(**_: Any) -> Iterator[CheckMessage]:
    host = (_host_of(settings.TRANSCODER_ENDPOINT_URL) or "").rstrip(".").lower()
    if _AMAZONS_OWN.fullmatch(host):
        yield Error(
            f"TRANSCODER_ENDPOINT_URL is Amazon's: {host}.",
            hint="Amazon switched Elastic Transcoder off on 2025-11-13. Leave the variable out to "
            "use the transcoder of this site, or name another one.",
            id="audio.E001",
        )
    for name in ("SITE_URL", "LOCAL_URL", "TRANSCODER_ENDPOINT_URL", "AWS_S3_ENDPOINT_URL"):
        value = getattr(settings, name)
        if value and not _is_address(value):
            yield Error(
                f"{name} is no address of a site: {value!r}.",
                hint="Expected is http:// or https://, a host and maybe a port, and no more, e.g. "
                "https://audio.example.org",
                id="audio.E002",
            )
    if not 0 < settings.PORT < 65536:
        yield Error(
            f"PORT is {settings.PORT}.", hint="Choose one from 1 to 65535.", id="audio.E013"
        )
    if settings.DEBUG and settings.SITE_URL.startswith("https://"):
        yield Warning(
            f"DEBUG is on and people reach the site at {settings.SITE_URL}.",
            hint="Its error pages show settings and code to everybody: leave DEBUG out.",
            id="audio.W001",
        )


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port != 0  # a port that is no number raises
    except ValueError:
        return False
    return (
        port_is_fine
        and parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and not re.search(r"[\s\x00-\x1f]", url)
        and parts.path in ("", "/")
        and not (parts.query or parts.fragment)
    )


@register
def engine(**_: Any) -> Iterator[CheckMessage]:
    if settings.TRANSCODER_ALONE:  # whoever orders is no part of this installation
        return
    from audio_transcoder.engines import ENGINES

    known = sorted(ENGINES)
    if settings.TRANSCODER_ENGINE not in known:
        yield Error(
            f"TRANSCODER_ENGINE is {settings.TRANSCODER_ENGINE!r}.",
            hint=f"There is: {', '.join(sorted(ENGINES))}.",
            id="audio.E003",
        )


_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/[\w+=,.@/-]{1,576}", re.ASCII)
_QUEUE = re.compile(
    r"arn:aws[a-z-]*:mediaconvert:([a-z0-9-]+):([0-9]{12}):queues/[A-Za-z0-9_-]{1,128}"
)
_AMAZONS_S3 = re.compile(r"(.+\.)?s3[.-]([a-z0-9-]+\.)*(amazonaws\.com(\.cn)?|api\.aws)")
# What MediaConvert takes as a value of UserMetadata.
_METADATA = re.compile(r"[A-Za-z0-9 _.:/=+@-]{1,256}")


@register
def mediaconvert(**_: Any) -> Iterator[CheckMessage]:
    if settings.TRANSCODER_ALONE or settings.TRANSCODER_ENGINE != "mediaconvert":
        return
    if not settings.AWS_STORAGE_BUCKET_NAME:
        yield Error(
            "TRANSCODER_ENGINE is mediaconvert, and the files are in folders.",
            hint="MediaConvert reads and writes a bucket on Amazon's S3: set "
            "AWS_STORAGE_BUCKET_NAME, or leave TRANSCODER_ENGINE out to convert here.",
            id="audio.E020",
        )
    yield from _mediaconvert_arns()
    host = _host_of(settings.AWS_S3_ENDPOINT_URL or "") or ""
    if settings.AWS_S3_ENDPOINT_URL and not _AMAZONS_S3.fullmatch(host.lower()):
        yield Error(
            f"MediaConvert cannot reach the store at {host or settings.AWS_S3_ENDPOINT_URL!r}.",
            hint="It reads and writes Amazon's S3 alone: leave AWS_S3_ENDPOINT_URL out, or "
            "TRANSCODER_ENGINE.",
            id="audio.E023",
        )
    if not _METADATA.fullmatch(settings.MEDIACONVERT_ENV):
        yield Error(
            f"MEDIACONVERT_ENV is {settings.MEDIACONVERT_ENV!r}.",
            hint="Expected are at most 256 letters, digits, spaces and _ . : / = + - @",
            id="audio.E024",
        )
    if not set(settings.SNS_TOPIC_ARN) - set(settings.TRANSCODER_TOPICS):
        yield Warning(
            "No topic in SNS_TOPIC_ARN can bring MediaConvert's events.",
            hint="Add the topic that the EventBridge rule publishes to. Until then finished jobs "
            "show up minutes late, by asking.",
            id="audio.W020",
        )


def _mediaconvert_arns() -> Iterator[CheckMessage]:
    role = _ROLE.fullmatch(settings.MEDIACONVERT_ROLE_ARN)
    if role is None:
        yield Error(
            f"MEDIACONVERT_ROLE_ARN is {settings.MEDIACONVERT_ROLE_ARN!r}.",
            hint="Expected is the ARN of the role that MediaConvert may assume to read and write "
            "the bucket, e.g. arn:aws:iam::123456789012:role/app-mediaconvert",
            id="audio.E021",
        )
    queue = _QUEUE.fullmatch(settings.MEDIACONVERT_QUEUE_ARN)
    is_here = queue is not None and queue[1] == settings.AWS_REGION
    if not is_here or (role and role[1] != queue[2]):
        yield Error(
            f"MEDIACONVERT_QUEUE_ARN is {settings.MEDIACONVERT_QUEUE_ARN!r}.",
            hint="Expected is the ARN of a queue in AWS_REGION and in the account of the role, "
            f"e.g. arn:aws:mediaconvert:{settings.AWS_REGION}:123456789012:queues/audio-uploads",
            id="audio.E022",
        )


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
    store = _host_of(settings.AWS_S3_ENDPOINT_URL or "") or "amazonaws.com"
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
    if not all(map(_is_address, origins)) or (is_linked and not origins):
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


@register
def packages(**_: Any) -> Iterator[CheckMessage]:
    if not settings.TRANSCODER_ALONE and not settings.HAS_UPPY:
        yield Warning(
            "There is no node_modules: people upload one file at a time with the plain form, and "
            "an upload that breaks off begins anew.",
            hint="npm ci, with any Node or the one that requirements.txt brings, then restart; "
            "make run does it by itself.",
            id="audio.W035",
        )


@register
def numbers(**_: Any) -> Iterator[CheckMessage]:
    for name in POSITIVE:
        if not getattr(settings, name) > 0:
            yield Error(
                f"{name} is {getattr(settings, name)}.",
                hint="It must be more than 0; leave it out for the default.",
                id="audio.E006",
            )
    for name in NOT_NEGATIVE:
        if getattr(settings, name) < 0:
            yield Error(
                f"{name} is {getattr(settings, name)}.",
                hint="It must not be negative; 0 switches it off.",
                id="audio.E007",
            )
    if settings.TRANSCODER_RENEW_S * 2 > settings.TRANSCODER_LEASE_S:
        yield Error(
            f"A job's lease of {settings.TRANSCODER_LEASE_S:g} s is renewed only every "
            f"{settings.TRANSCODER_RENEW_S:g} s.",
            hint="A single late renewal would give a running job away: make TRANSCODER_LEASE_S at "
            "least twice TRANSCODER_RENEW_S.",
            id="audio.E008",
        )


@register
def notices(**_: Any) -> list[CheckMessage]:
    return [*_notice_errors()] or [*_refused_by_ourselves()]


def _notice_errors() -> Iterator[CheckMessage]:
    if not settings.TRANSCODER_ALONE:
        yield from _webhook_errors()
    if not _are_topics(settings.TRANSCODER_TOPICS):
        yield Error(
            "TRANSCODER_TOPICS is no JSON object of topic ARNs with lists of http(s) URLs.",
            hint='E.g. {"arn:aws:sns:eu-west-1:000000000000:transcode-complete": '
            '["http://127.0.0.1:8000/transcode-complete/"]}',
            id="audio.E011",
        )


def _webhook_errors() -> Iterator[CheckMessage]:
    wrong = [topic for topic in settings.SNS_TOPIC_ARN if arn.parse(topic) is None]
    if wrong or not settings.SNS_TOPIC_ARN:
        yield Error(
            f"SNS_TOPIC_ARN is no list of topics: {', '.join(map(repr, wrong)) or 'empty'}.",
            hint="Expected are whole ARNs of standard topics, separated by commas, e.g. "
            "arn:aws:sns:eu-west-1:123456789012:transcode-complete",
            id="audio.E009",
        )
    versions = settings.SNS_SIGNATURE_VERSIONS
    if not versions or not set(versions) <= {"1", "2"}:
        yield Error(
            f"SNS_SIGNATURE_VERSIONS is {','.join(versions) or 'empty'}.",
            hint="Expected is 1, 2 or 1,2: the versions that Amazon SNS signs with.",
            id="audio.E010",
        )


def _refused_by_ourselves() -> Iterator[CheckMessage]:
    if settings.TRANSCODER_ALONE:
        return
    webhooks = {f"{url}/transcode-complete/" for url in (settings.SITE_URL, settings.LOCAL_URL)}
    for topic, urls in settings.TRANSCODER_TOPICS.items():
        if not webhooks & set(urls):
            continue
        if topic not in settings.SNS_TOPIC_ARN or "2" not in settings.SNS_SIGNATURE_VERSIONS:
            yield Warning(
                f"This site would refuse the notices of its own topic {topic}.",
                hint="List the topic in SNS_TOPIC_ARN and 2 in SNS_SIGNATURE_VERSIONS, or take "
                "the topic out of TRANSCODER_TOPICS. Until then finished jobs show up minutes "
                "late.",
                id="audio.W002",
            )


def _are_topics(value: Any) -> bool:
    return isinstance(value, dict) and all(
        arn.parse(topic) is not None
        and isinstance(urls, list)
        and all(isinstance(url, str) and _is_http(url) for url in urls)
        for topic, urls in value.items()
    )


def _is_http(url: str) -> bool:
    return url.startswith(("http://", "https://")) and bool(_host_of(url))


@register
def accounts(**_: Any) -> Iterator[CheckMessage]:
    if settings.TRANSCODER_ALONE:  # nobody signs up here
        return
    nowhere = ("console", "dummy", "locmem")
    is_sent = settings.EMAIL_BACKEND.split(".")[-2] not in nowhere
    if settings.ACCOUNT_EMAIL_VERIFICATION == "mandatory" and not is_sent:
        yield Warning(
            "People must confirm their e-mail address, and no mail leaves this machine.",
            hint="Set EMAIL_URL, e.g. smtp://user:password@mail.example.org:587/?tls=True",
            id="audio.W003",
        )
