"""Media and static files, in folders and on an S3 server."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from django.conf import settings as django_settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.templatetags.static import static

import buckets
from audio_transcoder.storages import (
    BucketMediaStorage,
    LocalStaticStorage,
    MediaStorage,
    S3MediaStorage,
    StaticStorage,
)
from audio_transcoder.tests.test_downloads import PRIVATE_KEY
from buckets import BucketUnavailable
from tests.faulty_proxy import slow_down

pytest_plugins = ["buckets.tests.s3_server", "buckets.tests.azure_server"]


@pytest.fixture
def storage(kind_of_bucket):
    on_s3 = kind_of_bucket in ("moto", "radosgw")
    return S3MediaStorage() if on_s3 else BucketMediaStorage()


@pytest.fixture
def temporary_upload(settings, tmp_path):
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    uploads = []

    def make(data):
        upload = TemporaryUploadedFile("song.mp3", "audio/mpeg", len(data), None)
        upload.write(data)  # not flushed: nobody has to
        upload.seek(0)
        uploads.append(upload)
        return upload

    yield make
    for upload in uploads:
        upload.close()


def test_without_a_bucket_name_everything_is_local():
    assert MediaStorage is BucketMediaStorage
    assert StaticStorage is LocalStaticStorage
    assert isinstance(default_storage, MediaStorage)


def test_a_saved_file_comes_back_and_stands_below_the_location(storage, settings):
    name = storage.save("uploads/1/source", ContentFile(b"sound"))
    assert name == "uploads/1/source"
    assert buckets.bucket(settings.MEDIA_BUCKET).stat("media/uploads/1/source").size_bytes == 5
    assert storage.exists(name)
    assert storage.size(name) == 5
    assert storage.get_modified_time(name).tzinfo is not None
    with storage.open(name) as file:
        assert file.read() == b"sound"
        file.seek(1)
        assert file.read(2) == b"ou"


@pytest.mark.parametrize("size", [5, 3 * 1024**2])
def test_an_uploaded_file_is_saved_whole(storage, temporary_upload, size):
    upload = temporary_upload(b"x" * size)
    name = storage.save("uploads/1/source", upload)
    upload.close()
    with storage.open(name) as file:
        assert file.read() == b"x" * size


def test_an_uploaded_file_becomes_the_object_without_a_copy(settings, tmp_path, temporary_upload):
    settings.BUCKETS_DIR = tmp_path / "buckets"
    upload = temporary_upload(b"sound")
    inode = Path(upload.temporary_file_path()).stat().st_ino
    BucketMediaStorage().save("uploads/1/source", upload)
    stored = tmp_path / "buckets/local/media/uploads/1/source"
    assert stored.stat().st_ino == inode
    upload.close()
    assert list((tmp_path / "uploads").iterdir()) == []
    assert stored.read_bytes() == b"sound"


def test_u17_a_name_that_is_taken_gets_another(storage):
    first = storage.save("uploads/song.mp3", ContentFile(b"first"))
    second = storage.save("uploads/song.mp3", ContentFile(b"second"))
    assert first != second
    assert storage.open(first).read() == b"first"
    assert storage.open(second).read() == b"second"


def test_u17_a_name_that_is_taken_in_the_last_moment_gets_another(storage, monkeypatch):
    storage.save("uploads/song.mp3", ContentFile(b"first"))
    looked = []
    exists = type(storage).exists

    def not_yet(self, name):
        looked.append(name)
        return len(looked) > 1 and exists(self, name)

    monkeypatch.setattr(type(storage), "exists", not_yet)
    second = storage.save("uploads/song.mp3", ContentFile(b"second"))
    assert second != "uploads/song.mp3"
    assert storage.open("uploads/song.mp3").read() == b"first"


def test_u7_the_media_type_that_the_browser_claims_is_not_kept(storage, settings):
    upload = SimpleUploadedFile("a.mp3", b"<script>", "text/html")
    storage.save("uploads/1/source", upload)
    info = buckets.bucket(settings.MEDIA_BUCKET).stat("media/uploads/1/source")
    assert info.content_type in (None, "application/octet-stream")


def test_a_missing_file_is_said_to_be_missing(storage):
    storage.save("another", ContentFile(b"x"))
    assert not storage.exists("nothing")
    storage.delete("nothing")
    for call in (storage.open, storage.size, storage.get_modified_time):
        with pytest.raises(FileNotFoundError):
            call("nothing")


def test_a_deleted_file_is_gone(storage):
    name = storage.save("uploads/1/source", ContentFile(b"sound"))
    storage.delete(name)
    assert not storage.exists(name)
    with pytest.raises(ValueError, match="name"):
        storage.delete("")


def test_folders_are_listed(storage):
    assert storage.listdir("uploads") == ([], [])
    for name in ("uploads/1/source", "uploads/2/source", "uploads/song.mp3"):
        storage.save(name, ContentFile(b"x"))
    assert storage.listdir("uploads") == (["1", "2"], ["song.mp3"])
    assert storage.listdir("") == (["uploads"], [])


def test_objects_are_only_saved_whole(storage):
    with pytest.raises(ValueError, match="whole"):
        storage.open("uploads/1/source", "wb")


def test_a_folder_has_no_address_and_the_admin_can_still_show_the_field():
    assert BucketMediaStorage().url("uploads/1/source") == ""


def test_addresses_on_s3_are_signed_even_with_a_host_for_static_files(s3, settings):
    settings.AWS_S3_CUSTOM_DOMAIN = "static.example.org"
    storage = S3MediaStorage()
    storage.save("uploads/1/source", ContentFile(b"sound"))
    url = storage.url("uploads/1/source")
    assert urlsplit(url).path == f"/{settings.MEDIA_BUCKET}/media/uploads/1/source"
    assert "X-Amz-Signature" in url
    assert urlopen(url).read() == b"sound"  # noqa: S310 - our own server


def test_s1_a_store_that_is_gone_is_said_to_be_gone(s3, settings):
    settings.AWS_S3_ENDPOINT_URL = "http://127.0.0.1:9"
    storage = S3MediaStorage()
    for call in (
        lambda: storage.save("uploads/1/source", ContentFile(b"sound")),
        lambda: storage.open("uploads/1/source"),
        lambda: storage.listdir(""),
    ):
        with pytest.raises(BucketUnavailable):
            call()


def test_s1_a_store_that_goes_away_between_opening_and_reading_is_said_to_be_gone(s3):
    storage = S3MediaStorage()
    storage.save("uploads/1/source", ContentFile(b"sound"))
    with storage.open("uploads/1/source") as file:
        s3.proxy.meet(slow_down, "GET", times=3)
        with pytest.raises(BucketUnavailable):
            file.read()


def test_addresses_behind_cloudfront_are_signed_too(s3, settings):
    settings.CLOUDFRONT_DOMAIN, settings.CLOUDFRONT_KEY_ID = "media.example.org", "K2JCJMDEHXQW5F"
    settings.CLOUDFRONT_KEY = PRIVATE_KEY
    url = urlsplit(S3MediaStorage().url("uploads/1/source"))
    assert (url.netloc, url.path) == ("media.example.org", "/media/uploads/1/source")
    assert {"Expires", "Signature", "Key-Pair-Id"} == set(parse_qs(url.query))


@pytest.mark.azure
def test_addresses_on_azure_are_signed(azure):
    storage = BucketMediaStorage()
    storage.save("uploads/1/source", ContentFile(b"sound"))
    url = storage.url("uploads/1/source")
    assert urlopen(url).read() == b"sound"  # noqa: S310 - our own server
    with pytest.raises(HTTPError):
        urlopen(url.partition("?")[0])  # noqa: S310


def test_pages_render_before_static_files_are_collected(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path
    assert LocalStaticStorage().url("admin/css/base.css") == "/static/admin/css/base.css"
    assert LocalStaticStorage().url("no/such.css") == "/static/no/such.css"


def test_the_tests_own_pages_have_static_files(client):
    answer = client.get(static("admin/css/base.css"))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/css")


def manage(data_dir, code, **environment):
    """Run a command in a process of its own, as settings are read once."""
    return subprocess.run(
        [sys.executable, "manage.py", *code],
        cwd=django_settings.BASE_DIR,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "STATIC"))},
            "DATA_DIR": str(data_dir),
            "ENV_FILE": "",
            "DJANGO_SETTINGS_MODULE": "audio_transcoder.settings",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


URL_OF_BASE_CSS = """
from django.templatetags.static import static
from django.core.files.storage import default_storage
print("url", static("admin/css/base.css"), default_storage.__class__.__name__)
from django.conf import settings
from django.test import Client
page = Client().get("/accounts/login/", headers={"host": "localhost"}, secure=True)
print("policy", page.headers["Content-Security-Policy"])
print("page", page.text)
"""


@pytest.mark.parametrize("on_s3", [True, False], ids=["on S3", "by WhiteNoise"])
def test_static_files_are_collected(s3, settings, tmp_path, on_s3):
    environment = {
        "AWS_ACCESS_KEY_ID": s3.keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.keys.secret_access_key,
        "AWS_STORAGE_BUCKET_NAME": settings.MEDIA_BUCKET,
        "AWS_S3_ENDPOINT_URL": s3.url,
        "AWS_S3_ADDRESSING_STYLE": "path",
        "AWS_S3_CUSTOM_DOMAIN": "static.example.org",
        "STATIC_ON_S3": str(on_s3),
    }
    # Many scripts of the admin's, which prove nothing that the others do not.
    command = ["collectstatic", "--noinput", "--ignore", "*/js/*"]
    collected = manage(tmp_path, command, **environment)
    assert collected.returncode == 0, collected.stderr
    asked = manage(tmp_path, ["shell", "--no-imports", "-c", URL_OF_BASE_CSS], **environment)
    assert asked.returncode == 0, asked.stderr
    _, url, media = next(
        line for line in asked.stdout.splitlines() if line.startswith("url ")
    ).split()

    [policy] = [line for line in asked.stdout.splitlines() if line.startswith("policy ")]
    host = "https://static.example.org" if on_s3 else "'self'"
    assert f"{host}/static/css/" in asked.stdout if on_s3 else 'href="/static/css/' in asked.stdout
    assert ("https://static.example.org" in policy) is on_s3

    keys = set(buckets.bucket(settings.MEDIA_BUCKET).keys(""))
    assert media == "S3MediaStorage"
    assert url.endswith(".css")
    if on_s3:
        assert url.startswith("https://static.example.org/static/admin/css/base.")
        key = urlsplit(url).path.removeprefix("/")
        assert {key, "static/staticfiles.json", "static/admin/css/base.css"} <= keys
        head = s3.client().head_object(Bucket=settings.MEDIA_BUCKET, Key=key)
        assert head["CacheControl"] == "public, max-age=31536000, immutable"
        assert head["ContentType"] == "text/css"
        assert list((tmp_path / "static").iterdir()) == []
    else:
        assert keys == set()
        assert url.startswith("/static/admin/css/base.")
        assert (tmp_path / url.removeprefix("/")).is_file()
        assert (tmp_path / f"{url.removeprefix('/')}.gz").is_file()


@pytest.mark.s3
def test_s17_static_files_on_a_real_server_are_named_cached_and_as_private_as_all(
    s3_server, tmp_path
):
    """The host in front reads them; whoever asks the bucket itself without a signature does not."""
    owner = s3_server.user()
    name = s3_server.bucket(owner)
    environment = {
        "AWS_ACCESS_KEY_ID": owner.access_key_id,
        "AWS_SECRET_ACCESS_KEY": owner.secret_access_key,
        "AWS_STORAGE_BUCKET_NAME": name,
        "AWS_S3_ENDPOINT_URL": s3_server.url,
        "AWS_S3_REGION_NAME": "us-east-1",
        "AWS_S3_ADDRESSING_STYLE": "path",
        "AWS_S3_CUSTOM_DOMAIN": "static.example.org",
        "STATIC_ON_S3": "true",
    }
    collected = manage(tmp_path, ["collectstatic", "--noinput", "--ignore", "admin"], **environment)
    assert collected.returncode == 0, collected.stderr
    client = s3_server.client(owner)
    keys = [found["Key"] for found in client.list_objects_v2(Bucket=name)["Contents"]]
    [hashed] = [key for key in keys if re.fullmatch(r"static/js/site\.[0-9a-f]{12}\.js", key)]
    for key, lifetime in (
        (hashed, "max-age=31536000, immutable"),
        ("static/js/site.js", "max-age=60"),
    ):
        head = client.head_object(Bucket=name, Key=key)
        assert head["CacheControl"] == f"public, {lifetime}"
        assert head["ContentType"] == "text/javascript"
    grants = client.get_object_acl(Bucket=name, Key=hashed)["Grants"]
    assert all(grant["Grantee"]["Type"] == "CanonicalUser" for grant in grants)
    with pytest.raises(HTTPError, match="403"):
        urlopen(f"{s3_server.url}/{name}/{hashed}")  # noqa: S310 - our own server


def test_temporary_files_are_on_the_file_system_of_the_buckets():
    with tempfile.TemporaryFile(dir=django_settings.FILE_UPLOAD_TEMP_DIR) as file:
        buckets.bucket("local").check()
        assert os.fstat(file.fileno()).st_dev == django_settings.BUCKETS_DIR.stat().st_dev
