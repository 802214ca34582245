"""System checks: wrong and contradictory settings are refused with a hint."""

from __future__ import annotations

import socket

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.core.checks import run_checks

TOPIC = "arn:aws:sns:eu-west-1:000000000000:transcode-complete"


@pytest.fixture(autouse=True)
def _packages_are_there(settings):
    settings.HAS_UPPY = True


def ids() -> list[str]:
    found = [message for message in run_checks() if (message.id or "").startswith("audio.")]
    assert all(message.hint for message in found)
    return [message.id for message in found]


def test_d8_the_defaults_are_fine():
    assert ids() == []


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("TRANSCODER_ENDPOINT_URL", "https://elastictranscoder.eu-west-1.amazonaws.com", "E001"),
        ("TRANSCODER_ENDPOINT_URL", "https://ElasticTranscoder.us-east-1.Amazonaws.com./", "E001"),
        ("SITE_URL", "audio.example.org", "E002"),
        ("SITE_URL", "ftp://audio.example.org", "E002"),
        ("SITE_URL", "https://", "E002"),
        ("SITE_URL", "https://audio.example.org/app", "E002"),
        ("SITE_URL", "https://user@audio.example.org", "E002"),
        ("SITE_URL", "https://audio.example.org:port", "E002"),
        ("SITE_URL", "https://audio example.org", "E002"),
        ("LOCAL_URL", "127.0.0.1:8000", "E002"),
        ("TRANSCODER_ENGINE", "lambda", "E003"),
        ("STATIC_ON_S3", True, "E004"),
        ("AWS_S3_ADDRESSING_STYLE", "subdomain", "E005"),
        ("RECONCILE_S", 0.0, "E006"),
        ("UPLOAD_MAX_BYTES", -1, "E006"),
        ("TRANSCODER_TIMEOUT", float("nan"), "E006"),
        ("QUOTA_FILES", -1, "E007"),
        ("TRANSCODER_MAX_PIPELINES", -1, "E007"),
        ("TRANSCODER_MAX_PRESETS", -1, "E007"),
        ("TRANSCODER_MAX_QUEUED_JOBS", -1, "E007"),
        ("TRANSCODER_RENEW_S", 45.0, "E008"),
        ("SNS_TOPIC_ARN", ["arn:aws:sns:eu-west-1:12:x"], "E009"),
        ("SNS_TOPIC_ARN", [TOPIC, ""], "E009"),
        ("SNS_SIGNATURE_VERSIONS", ["3"], "E010"),
        ("SNS_SIGNATURE_VERSIONS", [], "E010"),
        ("TRANSCODER_TOPICS", ["x"], "E011"),
        ("TRANSCODER_TOPICS", {TOPIC: "http://127.0.0.1/"}, "E011"),
        ("TRANSCODER_TOPICS", {TOPIC: ["file:///etc/passwd"]}, "E011"),
        ("TRANSCODER_TOPICS", {"transcode-complete": []}, "E011"),
        ("STATICFILES_LOCATION", "media/static", "E012"),
        ("MEDIAFILES_LOCATION", "/media/", "E012"),
        ("MEDIAFILES_LOCATION", "../media", "E012"),
        ("PORT", 70000, "E013"),
        ("MEDIA_STORAGE_BACKEND", "storages.backends.azure_storage.AzureStorage", "E051"),
        ("CLOUDFRONT_DOMAIN", "d111111abcdef8.cloudfront.net", "E054"),
        ("AWS_QUERYSTRING_EXPIRE", 7 * 24 * 3600 + 1, "E055"),
        ("ACCEL_REDIRECT_PREFIX", "buckets", "E056"),
        ("ACCEL_REDIRECT_PREFIX", "/", "E056"),
        ("ACCEL_REDIRECT_PREFIX", "/../buckets/", "E056"),
        ("ACCOUNT_EMAIL_VERIFICATION", "mandatory", "W003"),
        ("HAS_UPPY", False, "W035"),
        ("EMAIL_CONFIG", {"OPTIONS": {"TLS": "True"}}, "W060"),
        ("EMAIL_TIMEOUT", 0, "E006"),
    ],
)
def test_d8_a_wrong_setting_is_refused_with_a_hint(settings, name, value, number):
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    setattr(settings, name, value)
    assert ids() == [f"audio.{number}"]


@pytest.fixture
def mediaconvert(settings):
    """Settings under which MediaConvert takes the jobs."""
    settings.TRANSCODER_ENGINE = "mediaconvert"
    settings.AWS_STORAGE_BUCKET_NAME = "files"
    settings.AWS_REGION = "eu-west-1"
    settings.MEDIACONVERT_ROLE_ARN = "arn:aws:iam::111122223333:role/service/app-mediaconvert"
    settings.MEDIACONVERT_QUEUE_ARN = "arn:aws:mediaconvert:eu-west-1:111122223333:queues/Default"
    settings.SNS_TOPIC_ARN = [TOPIC, "arn:aws:sns:eu-west-1:111122223333:events"]
    return settings


@pytest.mark.parametrize(
    "endpoint",
    [None, "https://s3.eu-west-1.amazonaws.com", "https://s3.dualstack.eu-west-1.amazonaws.com"],
)
def test_d8_mediaconvert_with_all_it_needs_is_fine(mediaconvert, endpoint):
    mediaconvert.AWS_S3_ENDPOINT_URL = endpoint
    assert ids() == []


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("AWS_STORAGE_BUCKET_NAME", "", "E020"),
        ("MEDIACONVERT_ROLE_ARN", "", "E021"),
        ("MEDIACONVERT_ROLE_ARN", "app-mediaconvert", "E021"),
        ("MEDIACONVERT_QUEUE_ARN", "", "E022"),
        ("MEDIACONVERT_QUEUE_ARN", "Default", "E022"),
        ("AWS_REGION", "eu-central-1", "E022"),
        ("MEDIACONVERT_ROLE_ARN", "arn:aws:iam::444455556666:role/another-accounts", "E022"),
        ("AWS_S3_ENDPOINT_URL", "https://s3.example.org", "E023"),
        ("AWS_S3_ENDPOINT_URL", "http://127.0.0.1:9000", "E023"),
        ("AWS_S3_ENDPOINT_URL", "https://s3.amazonaws.com.example.org", "E023"),
        ("MEDIACONVERT_ENV", "", "E024"),
        ("MEDIACONVERT_ENV", "straße", "E024"),
        ("SNS_TOPIC_ARN", [TOPIC], "W020"),
    ],
)
def test_d8_mediaconvert_without_what_it_needs_is_refused_with_a_hint(
    mediaconvert, name, value, number
):
    setattr(mediaconvert, name, value)
    assert ids() == [f"audio.{number}"]


def test_d8_an_empty_list_of_topics_is_refused(settings):
    settings.SNS_TOPIC_ARN = []
    assert ids() == ["audio.E009"]


def test_d8_a_store_without_an_address_is_refused(settings):
    settings.AWS_STORAGE_BUCKET_NAME = "audio"
    settings.AWS_S3_ENDPOINT_URL = "s3.example.org"
    assert ids() == ["audio.E002"]


def test_d8_another_transcoder_and_another_s3_server_are_fine(settings):
    settings.TRANSCODER_ENDPOINT_URL = "https://transcoder.example.org"
    settings.AWS_STORAGE_BUCKET_NAME = "audio"
    settings.AWS_S3_ENDPOINT_URL = "http://127.0.0.1:9000"
    settings.AWS_S3_ADDRESSING_STYLE = "path"
    assert ids() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_S3_ENDPOINT_URL", "http://127.0.0.1:9000"),
        ("AWS_S3_CUSTOM_DOMAIN", "static.example.org"),
        ("CLOUDFRONT_KEY_ID", "K1"),
        ("CLOUDFRONT_KEY", "secret"),
        ("MEDIA_STORAGE_OPTIONS", {"bucket_name": "{bucket}"}),
    ],
)
def test_d8_a_setting_that_does_nothing_by_itself_is_warned_of(settings, name, value):
    setattr(settings, name, value)
    assert ids() == ["audio.W050"]


def test_d8_nginx_cannot_send_what_is_in_no_folder(settings):
    settings.ACCEL_REDIRECT_PREFIX = "/buckets/"
    assert ids() == []
    settings.AWS_STORAGE_BUCKET_NAME = "audio"
    assert ids() == ["audio.W050"]


@pytest.mark.parametrize("topics", [None, 5, [], "x"])
def test_d8_mediaconvert_with_topics_that_are_none_raises_nothing(mediaconvert, settings, topics):
    settings.TRANSCODER_TOPICS = topics
    assert "audio.E011" in ids()


def test_d8_static_files_on_s3_with_bucket_and_domain_are_fine(settings):
    settings.STATIC_ON_S3 = True
    settings.AWS_STORAGE_BUCKET_NAME = "files"
    settings.AWS_S3_CUSTOM_DOMAIN = "d111111abcdef8.cloudfront.net"
    assert ids() == []


@pytest.mark.parametrize(
    ("domain", "endpoint"),
    [
        ("files.s3.eu-west-1.amazonaws.com", None),
        ("Files.S3.amazonaws.com", None),
        ("s3.eu-west-1.amazonaws.com/files", None),
        ("127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("files.s3.example.org", "https://s3.example.org"),
    ],
)
def test_d8_static_files_from_the_private_bucket_itself_are_refused(settings, domain, endpoint):
    settings.STATIC_ON_S3 = True
    settings.AWS_STORAGE_BUCKET_NAME = "files"
    settings.AWS_S3_ENDPOINT_URL = endpoint
    settings.AWS_S3_CUSTOM_DOMAIN = domain
    assert ids() == ["audio.E004"]


AZURE = "storages.backends.azure_storage.AzureStorage"
AZURE_OPTIONS = {"account_name": "example", "account_key": "a2V5", "azure_container": "{bucket}"}
ORIGINS = ["https://example.blob.core.windows.net"]


@pytest.fixture
def azure(settings):
    settings.MEDIA_STORAGE_BACKEND = AZURE
    settings.MEDIA_STORAGE_OPTIONS = AZURE_OPTIONS
    settings.MEDIA_STORAGE_ORIGINS = ORIGINS


def test_d8_files_on_azure_are_fine(azure):
    assert ids() == []


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("AWS_STORAGE_BUCKET_NAME", "files", "E050"),
        ("MEDIA_STORAGE_OPTIONS", [], "E051"),
        ("MEDIA_STORAGE_OPTIONS", {"azure_container": "audio"}, "E051"),
        ("MEDIA_STORAGE_OPTIONS", {"no_such_option": "{bucket}"}, "E051"),
        ("MEDIA_STORAGE_BACKEND", "storages.backends.azure_storage.NoSuchStorage", "E051"),
        ("MEDIA_STORAGE_BACKEND", "no_such_package.Storage", "E051"),
        ("MEDIA_STORAGE_BACKEND", "no dotted path", "E051"),
        ("MEDIA_STORAGE_BACKEND", "builtins.dict", "E051"),
        ("MEDIA_STORAGE_ORIGINS", [], "E052"),
        ("MEDIA_STORAGE_ORIGINS", ["example.blob.core.windows.net"], "E052"),
        ("MEDIA_STORAGE_ORIGINS", ["https://a.example; script-src *"], "E052"),
        ("STATIC_ON_S3", True, "E004"),
        ("CLOUDFRONT_DOMAIN", "media.example.org", "E054"),
    ],
)
def test_d8_what_does_not_go_with_another_storage_is_refused(azure, settings, name, value, number):
    setattr(settings, name, value)
    assert ids() == [f"audio.{number}"]


def test_d8_mediaconvert_without_s3_is_refused(azure, settings):
    settings.TRANSCODER_ENGINE = "mediaconvert"
    assert "audio.E053" in ids()


def test_d8_no_error_tells_a_key(azure, settings):
    settings.MEDIA_STORAGE_OPTIONS = {**AZURE_OPTIONS, "no_such_option": "x"}
    assert "a2V5" not in str(run_checks())


@pytest.fixture
def distribution(settings):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    settings.AWS_STORAGE_BUCKET_NAME = "files"
    settings.CLOUDFRONT_DOMAIN = "media.example.org"
    settings.CLOUDFRONT_KEY_ID = "K2JCJMDEHXQW5F"
    settings.CLOUDFRONT_KEY = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def test_d8_files_behind_cloudfront_are_fine(distribution):
    assert ids() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_STORAGE_BUCKET_NAME", ""),
        ("CLOUDFRONT_KEY_ID", ""),
        ("CLOUDFRONT_KEY", ""),
        ("CLOUDFRONT_KEY", "-----BEGIN PRIVATE KEY-----\nno key\n-----END PRIVATE KEY-----"),
        ("CLOUDFRONT_DOMAIN", "https://media.example.org"),
        ("CLOUDFRONT_DOMAIN", "media.example.org; script-src *"),
    ],
)
def test_d8_cloudfront_without_what_it_needs_is_refused(distribution, settings, name, value):
    setattr(settings, name, value)
    assert ids() == ["audio.E054"]


def test_d8_debug_on_a_public_site_is_warned_of(settings):
    settings.DEBUG = True
    settings.SITE_URL = "https://audio.example.org"
    assert ids() == ["audio.W001"]


def test_a_proxy_that_hides_its_visitors_is_warned_of(settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert ids() == ["audio.W061"]
    settings.TRUSTED_PROXY_COUNT = 1
    assert ids() == []


def test_the_transcoder_alone_asks_for_nothing_of_the_web_app(settings):
    settings.TRANSCODER_ALONE = True
    settings.SNS_TOPIC_ARN = []
    settings.TRANSCODER_ENGINE = "none"
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    assert ids() == []
    settings.TRANSCODER_TOPICS = ["x"]
    assert ids() == ["audio.E011"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SNS_TOPIC_ARN", ["arn:aws:sns:eu-west-1:123456789012:other"]),
        ("SNS_SIGNATURE_VERSIONS", ["1"]),
    ],
)
def test_d8_notices_that_this_site_would_refuse_from_itself_are_warned_of(settings, name, value):
    setattr(settings, name, value)
    assert ids() == ["audio.W002"]


def test_d8_checks_call_nobody(settings, monkeypatch):
    def refuse(*_: object):
        raise AssertionError("a check opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    settings.AWS_STORAGE_BUCKET_NAME = "files"
    settings.AWS_S3_ENDPOINT_URL = "https://s3.example.org"
    assert ids() == []


def test_d8_pages_on_https_with_a_bucket_on_http_are_warned_of(settings):
    settings.AWS_STORAGE_BUCKET_NAME = "audio"
    settings.SITE_URL = "https://audio.example.org"
    settings.AWS_S3_ENDPOINT_URL = "http://s3.example.org"
    assert ids() == ["audio.W030"]
    settings.AWS_S3_ENDPOINT_URL = "https://s3.example.org"
    assert ids() == []
