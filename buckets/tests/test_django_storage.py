"""What is Azure's, Google's or any other storage's own; what all buckets promise is elsewhere."""

import base64
import time
from datetime import UTC, datetime
from urllib.error import HTTPError
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import Request, urlopen

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.core.files.storage import FileSystemStorage
from google.auth.credentials import AnonymousCredentials
from google.auth.crypt import RSASigner
from google.oauth2.service_account import Credentials
from storages.backends.gcloud import GoogleCloudStorage

import buckets
from buckets import BucketDenied, BucketMissing, BucketUnavailable, KeyRefused, ObjectExists
from buckets.django_storage import StorageBucket
from buckets.tests.azure_server import BACKEND

pytest_plugins = ["buckets.tests.azure_server"]

FOLDER = "django.core.files.storage.FileSystemStorage"


@pytest.fixture
def sound(tmp_path):
    (tmp_path / "sound").write_bytes(bytes(range(256)))
    return tmp_path / "sound"


@pytest.fixture
def folder_storage(settings, tmp_path):
    """Any storage of Django's: here one that keeps files in a folder."""
    settings.AWS_STORAGE_BUCKET_NAME = ""
    settings.MEDIA_STORAGE_BACKEND = FOLDER
    settings.MEDIA_STORAGE_OPTIONS = {"location": str(tmp_path / "store" / "{bucket}")}
    settings.MEDIA_BUCKET = "audio"
    return buckets.bucket("audio")


@pytest.mark.azure
def test_s11_a_link_on_azure_is_signed_ends_and_carries_the_name(azure, settings, sound):
    bucket = buckets.bucket(settings.MEDIA_BUCKET)
    bucket.put("media/1/a.mp3", sound, content_type="audio/mpeg")
    link = bucket.link(
        "media/1/a.mp3", filename="Müller.mp3", content_type="audio/mp4", inline=False, lives_s=90
    )
    with urlopen(Request(link, headers={"Range": "bytes=1-3"})) as answer:  # noqa: S310
        assert answer.status == 206
        assert answer.read() == b"\1\2\3"
        assert answer.headers["Content-Type"] == "audio/mp4"
        disposition = answer.headers["Content-Disposition"]
        assert disposition == "attachment; filename*=utf-8''M%C3%BCller.mp3"
        assert answer.headers["Cache-Control"] == "private, no-store"
    ends = parse_qs(urlsplit(link).query)["se"][0]
    left = datetime.fromisoformat(ends) - datetime.now(UTC)
    assert 60 < left.total_seconds() <= 90


def test_a_copy_on_its_way_lies_where_the_sweep_finds_it(
    folder_storage, settings, tmp_path, sound, monkeypatch
):
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    folder_storage.put("a.wav", sound, content_type="audio/wav")
    put, on_the_way = folder_storage.put, []

    def seen(key, path, **more):
        on_the_way.extend(tmp_path.glob("*.upload*"))
        put(key, path, **more)

    monkeypatch.setattr(folder_storage, "put", seen)
    folder_storage.copy("a.wav", "b.wav")

    assert folder_storage.open("b.wav").read() == sound.read_bytes()
    assert len(on_the_way) == 1
    assert not on_the_way[0].exists()


@pytest.mark.azure
def test_s17_nothing_on_azure_is_public(azure, settings, sound):
    bucket = buckets.bucket(settings.MEDIA_BUCKET)
    bucket.put("media/1/a.mp3", sound, content_type="audio/mpeg")
    link = bucket.link("media/1/a.mp3", filename="a", content_type="audio/mpeg", inline=True)
    for other in (link.partition("?")[0], link.replace("a.mp3", "b.mp3"), link[:-6] + "AAAA%3D"):
        with pytest.raises(HTTPError) as refused:
            urlopen(other)  # noqa: S310
        assert refused.value.code in (403, 404)


@pytest.mark.azure
def test_a_prefix_far_down_is_listed_on_azure(azure, settings, sound):
    settings.MEDIA_STORAGE_OPTIONS = {**azure.options, "location": "audio/app"}
    bucket = buckets.bucket(settings.MEDIA_BUCKET)
    for key in ("m/1/a", "m/1/b/c", "m/2"):
        bucket.put(key, sound, content_type="audio/mpeg")
    assert sorted(bucket.keys("m/1/")) == ["m/1/a", "m/1/b/c"]
    assert sorted(bucket.keys("")) == ["m/1/a", "m/1/b/c", "m/2"]


@pytest.mark.azure
def test_s4_a_wrong_key_is_said_to_be_refused(azure, settings, sound):
    wrong = base64.b64encode(b"wrong" * 8).decode()
    settings.MEDIA_STORAGE_OPTIONS = {
        "connection_string": azure.connection_string.replace(
            azure.connection_string.split("AccountKey=")[1].split(";")[0], wrong
        ),
        "azure_container": "{bucket}",
    }
    bucket = buckets.bucket(settings.MEDIA_BUCKET)
    for call in (
        bucket.check,
        lambda: bucket.stat("a"),
        lambda: bucket.open("a"),
        lambda: bucket.put("a", sound, content_type="audio/mpeg"),
        lambda: list(bucket.keys("")),
        lambda: bucket.delete("a"),
    ):
        with pytest.raises(BucketDenied):
            call()


@pytest.mark.azure
def test_a_container_that_is_missing_fails_the_check(azure):
    with pytest.raises(BucketMissing):
        buckets.bucket("no-such-container").check()
    with pytest.raises(BucketMissing):
        buckets.bucket("No such Container!").check()


def test_s1_a_store_that_is_gone_is_said_to_be_gone_soon(settings, sound):
    settings.AWS_STORAGE_BUCKET_NAME = ""
    settings.MEDIA_STORAGE_BACKEND = BACKEND
    settings.MEDIA_STORAGE_OPTIONS = {
        "connection_string": "AccountName=a;AccountKey=aaaa;BlobEndpoint=http://127.0.0.1:9/a;",
        "azure_container": "{bucket}",
    }
    begun = time.monotonic()
    with pytest.raises(BucketUnavailable) as error:
        buckets.bucket("audio").stat("song.mp3")
    assert time.monotonic() - begun < 10
    assert "127.0.0.1" not in str(error.value)


def test_objects_of_any_storage_come_back(folder_storage, sound, tmp_path):
    folder_storage.put("media/1/a.mp3", sound, content_type="audio/mpeg")
    folder_storage.fetch("media/1/a.mp3", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == sound.read_bytes()
    assert (tmp_path / "store/audio/media/1/a.mp3").is_file()
    assert list(folder_storage.keys("media/")) == ["media/1/a.mp3"]
    assert folder_storage.delete_prefix("media/1/") == 1
    folder_storage.check()
    assert list(folder_storage.keys("")) == []


def test_a_storage_whose_links_nobody_knows_gives_none(folder_storage):
    """Its address could be open to everybody, and for ever."""
    assert (
        folder_storage.link("media/1/a.mp3", filename="a", content_type="audio/mpeg", inline=True)
        is None
    )


def test_s7_a_storage_that_evades_a_taken_name_has_stored_nothing(sound, tmp_path, monkeypatch):
    bucket = StorageBucket("audio", FileSystemStorage(tmp_path / "store"))
    bucket.put("a.mp3", sound, content_type="audio/mpeg")
    looked = []
    exists = FileSystemStorage.exists

    def not_yet(self, name):  # looked at a moment too early
        looked.append(name)
        return len(looked) > 1 and exists(self, name)

    monkeypatch.setattr(FileSystemStorage, "exists", not_yet)
    with pytest.raises(ObjectExists):
        bucket.put("a.mp3", sound, content_type="audio/mpeg")
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["a.mp3"]


def test_u10_no_key_leaves_the_storage(folder_storage, sound, tmp_path):
    keys = ["../../etc/x", "/abs", "a//b", "a\\..\\b", ".", "...", "a.", "%2E", "line\nbreak", "z/"]
    for key in keys:
        folder_storage.put(key, sound, content_type="audio/mpeg")
    assert sorted(folder_storage.keys("")) == sorted(keys)
    stored = [path for path in tmp_path.rglob("*") if path.is_file() and path != sound]
    assert len(stored) == len(keys)
    assert all(path.is_relative_to(tmp_path / "store/audio") for path in stored)


def test_d12_a_key_that_is_too_long_once_it_is_quoted_is_refused(folder_storage, sound):
    for key in ("%" * 1000, "/" * 300):
        with pytest.raises(KeyRefused):
            folder_storage.put(key, sound, content_type="audio/mpeg")
        assert folder_storage.stat(key) is None
        folder_storage.delete(key)


def test_a_link_on_google_is_signed_ends_and_carries_the_name():
    """Signed here, with a key of our own: Google itself is not called."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    credentials = Credentials(
        RSASigner(key, "key-1"), "audio@example.iam.gserviceaccount.com", "https://127.0.0.1:9/"
    )
    storage = GoogleCloudStorage(
        credentials=credentials, project_id="example", bucket_name="audio-files"
    )
    link = StorageBucket("audio-files", storage).link(
        "media/1/a.mp3", filename="Müller.mp3", content_type="audio/mpeg", inline=True, lives_s=90
    )
    parts = urlsplit(link)
    query = parse_qs(parts.query)
    assert (parts.scheme, parts.netloc) == ("https", "storage.googleapis.com")
    assert unquote(parts.path) == "/audio-files/media/1/a.mp3"
    assert query["X-Goog-Expires"] == ["90"]
    assert query["response-content-type"] == ["audio/mpeg"]
    assert query["response-content-disposition"] == ["inline; filename*=utf-8''M%C3%BCller.mp3"]
    assert query["response-cache-control"] == ["private, no-store"]
    verify_google(key, link)


def verify_google(key, link):
    """Source: Google Cloud Storage, "V4 signing process": the canonical request, hashed."""
    parts = urlsplit(link)
    query, _, signature = parts.query.rpartition("&X-Goog-Signature=")
    pairs = sorted(query.split("&"))
    canonical = "\n".join(
        ["GET", parts.path, "&".join(pairs), f"host:{parts.netloc}", "", "host", "UNSIGNED-PAYLOAD"]
    )
    digest = hashes.Hash(hashes.SHA256())
    digest.update(canonical.encode())
    asked = parse_qs(parts.query)
    moment, scope = asked["X-Goog-Date"][0], asked["X-Goog-Credential"][0].partition("/")[2]
    text = "\n".join(["GOOG4-RSA-SHA256", moment, scope, digest.finalize().hex()])
    key.public_key().verify(
        bytes.fromhex(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256()
    )


def test_google_without_a_key_signs_no_link():
    storage = GoogleCloudStorage(
        credentials=AnonymousCredentials(), project_id="example", bucket_name="audio-files"
    )
    with pytest.raises(BucketDenied):
        StorageBucket("audio-files", storage).link(
            "a.mp3", filename="a", content_type="audio/mpeg", inline=True
        )


def test_google_is_a_bucket_by_settings(settings):
    settings.AWS_STORAGE_BUCKET_NAME = ""
    settings.MEDIA_STORAGE_BACKEND = "storages.backends.gcloud.GoogleCloudStorage"
    settings.MEDIA_STORAGE_OPTIONS = {"bucket_name": "{bucket}", "project_id": "example"}
    bucket = buckets.bucket("audio-files")
    assert isinstance(bucket.storage, GoogleCloudStorage)
    assert bucket.storage.bucket_name == "audio-files"
    assert bucket.local_path("a") is None
    assert bucket.sweep() == 0
