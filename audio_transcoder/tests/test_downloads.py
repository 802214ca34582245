"""What a browser gets, from a folder and from an S3 server."""

import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import Request, urlopen

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.http import Http404
from django.test import RequestFactory
from django.utils import timezone
from django.utils.http import http_date

import buckets
from audio_transcoder import downloads

pytest_plugins = ["buckets.tests.s3_server", "buckets.tests.azure_server"]

SOUND = bytes(range(256)) * 8
KEY = "media/renditions/1/2/result.mp3"

# The end of an answer asks Django to look after its connections to the database.
pytestmark = pytest.mark.django_db


@pytest.fixture
def store(settings, tmp_path):
    def store(data=SOUND):
        (tmp_path / "file").write_bytes(data)
        buckets.bucket(settings.MEDIA_BUCKET).put(KEY, tmp_path / "file", content_type="audio/mpeg")
        (tmp_path / "file").unlink()

    return store


@pytest.fixture
def get(settings):
    """Ask for the object; the body is read into ``content``."""

    def get(
        method="get",
        filename="song.mp3",
        inline=False,
        key=KEY,
        duration_ms=None,
        ends_at=None,
        **headers,
    ):
        request = getattr(RequestFactory(), method)(
            "/", headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = downloads.serve(
            request,
            bucket_name=settings.MEDIA_BUCKET,
            key=key,
            filename=filename,
            content_type="audio/mpeg",
            inline=inline,
            duration_ms=duration_ms,
            ends_at=ends_at,
        )
        if answer.streaming:
            body = b"".join(answer.streaming_content)
            answer.close()
        else:
            body = answer.content
        return answer, body

    return get


@pytest.fixture
def folder(settings, tmp_path, store):
    settings.BUCKETS_DIR = tmp_path / "buckets"
    store()


def test_the_whole_is_a_private_download(folder, get):
    answer, body = get()
    assert answer.status_code == 200
    assert body == SOUND
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert answer.headers["Content-Length"] == "2048"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="song.mp3"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_a_player_gets_it_inline(folder, get):
    answer, _ = get(inline=True)
    assert answer.headers["Content-Disposition"] == 'inline; filename="song.mp3"'


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-", 0, 2048),
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=2000-9999", 2000, 2048),
        ("bytes=2047-" + "9" * 5000, 2047, 2048),
        ("bytes=-1", 2047, 2048),
        ("bytes=-5000", 0, 2048),
        ("Bytes= 5-6", 5, 7),
        ("bytes=5-6,9999-", 5, 7),
    ],
)
def test_s10_one_range_is_one_part(folder, get, header, start, end):
    answer, body = get(Range=header)
    assert answer.status_code == 206
    assert body == SOUND[start:end]
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/2048"
    assert answer.headers["Content-Length"] == str(end - start)
    assert answer.headers["Content-Type"] == "audio/mpeg"


@pytest.mark.parametrize(
    "header",
    ["bytes=2048-", "bytes=5-2", "bytes=-0", "bytes=9999-99999,-0", "bytes=" + "9" * 5000 + "-"],
)
def test_s10_a_range_past_the_end_or_reversed_cannot_be_satisfied(folder, get, header):
    answer, body = get(Range=header)
    assert answer.status_code == 416
    assert body == b""
    assert answer.headers["Content-Range"] == "bytes */2048"
    assert answer.headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(
    "header",
    ["bytes=0-1,5-6", "bytes=" + ",".join(["0-"] * 500), "bytes=a-b", "bytes=-", "bytes=", "bytes",
     "lines=1-2", "bytes=1-2-3", "bytes=0-1,", "bytes=٣-٤"],
)  # fmt: skip
def test_s10_many_ranges_and_nonsense_get_the_whole(folder, get, header):
    answer, body = get(Range=header)
    assert answer.status_code == 200
    assert body == SOUND
    assert answer.headers["Content-Length"] == "2048"


def test_s10_head_says_how_long_it_is_and_ignores_ranges(folder, get):
    answer, body = get("head", Range="bytes=0-1")
    assert answer.status_code == 200
    assert body == b""
    assert answer.headers["Content-Length"] == "2048"
    assert answer.headers["Content-Type"] == "audio/mpeg"


def test_s10_an_empty_object_has_no_ranges(settings, tmp_path, store, get):
    settings.BUCKETS_DIR = tmp_path / "buckets"
    store(b"")
    assert get()[0].headers["Content-Length"] == "0"
    assert get(Range="bytes=0-")[0].status_code == 416


def test_a_range_of_an_older_object_gets_the_whole(folder, get):
    whole, _ = get()
    for same in (whole.headers["ETag"], whole.headers["Last-Modified"]):
        assert get(Range="bytes=0-1", If_Range=same)[0].status_code == 206
    for other in ('"other"', "W/" + whole.headers["ETag"], http_date(0)):
        assert get(Range="bytes=0-1", If_Range=other)[0].status_code == 200


def test_preconditions_are_looked_at(folder, get):
    etag = get()[0].headers["ETag"]
    unchanged, body = get(If_None_Match=etag)
    assert unchanged.status_code == 304
    assert body == b""
    assert unchanged.headers["ETag"] == etag
    assert get(If_Match='"other"')[0].status_code == 412
    tomorrow = http_date(datetime.now(UTC).timestamp() + 86400)
    assert get(If_Modified_Since=tomorrow)[0].status_code == 304


NAMES = [
    ('quo"te\\s.mp3', "attachment; filename=\"quo\\\"te\\\\s.mp3\""),
    ("a\r\nSet-Cookie: b=c.mp3", "attachment; filename*=utf-8''a%0D%0ASet-Cookie%3A%20b%3Dc.mp3"),
    ("Müller 😀.mp3", "attachment; filename*=utf-8''M%C3%BCller%20%F0%9F%98%80.mp3"),
    ("x" * 300 + ".mp3", f'attachment; filename="{"x" * 300}.mp3"'),
]  # fmt: skip


@pytest.mark.parametrize(("filename", "header"), NAMES, ids=["quotes", "CR LF", "unicode", "long"])
def test_s11_any_name_is_one_header(folder, get, filename, header):
    answer, _ = get(filename=filename)
    assert answer.headers["Content-Disposition"] == header


def test_s14_a_link_in_the_folder_is_not_served(settings, tmp_path, get):
    settings.BUCKETS_DIR = tmp_path / "buckets"
    place = tmp_path / "buckets/local" / KEY
    place.parent.mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    place.symlink_to(tmp_path / "secret")
    with pytest.raises(Http404):
        get()


def test_s9_a_missing_object_is_not_found(kind_of_bucket, store, get):
    store()
    with pytest.raises(Http404):
        get(key="media/no/such.mp3")


def test_a_large_object_is_streamed_in_little_memory(settings, tmp_path, store):
    settings.BUCKETS_DIR = tmp_path / "buckets"
    store(bytes(20 * 1024**2))
    tracemalloc.start()
    try:
        answer = downloads.serve(
            RequestFactory().get("/"),
            bucket_name="local",
            key=KEY,
            filename="a",
            content_type="audio/mpeg",
            inline=False,
        )
        size = sum(len(chunk) for chunk in answer.streaming_content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    answer.close()
    assert size == 20 * 1024**2
    assert peak < 2 * 1024**2


def test_an_answer_that_nobody_reads_closes_its_file(folder, settings, monkeypatch):
    opened = []
    open_object = buckets.FolderBucket.open
    monkeypatch.setattr(
        buckets.FolderBucket,
        "open",
        lambda *args: opened.append(open_object(*args)) or opened[-1],
    )
    for method, headers in (("get", {}), ("head", {}), ("get", {"Range": "bytes=9999-"})):
        request = getattr(RequestFactory(), method)("/", headers=headers)
        downloads.serve(
            request,
            bucket_name="local",
            key=KEY,
            filename="a",
            content_type="audio/mpeg",
            inline=False,
        ).close()
    assert [file.closed for file in opened] == [True]  # the others open none


def test_on_s3_a_private_redirect_leads_to_the_object(s3, store, get):
    store()
    answer, _ = get(filename='Mü"ller.mp3', inline=True)
    assert answer.status_code == 302
    assert answer.headers["Cache-Control"] == "private, no-store"
    with urlopen(answer.headers["Location"]) as fetched:  # noqa: S310 - our own server
        assert fetched.read() == SOUND
        assert fetched.headers["Content-Type"] == "audio/mpeg"
        assert (
            fetched.headers["Content-Disposition"] == "inline; filename*=utf-8''M%C3%BC%22ller.mp3"
        )
        assert fetched.headers["Cache-Control"] == "private, no-store"


def test_s10_on_s3_head_is_answered_here(s3, store, get):
    store()
    answer, body = get("head")
    assert answer.status_code == 200
    assert answer.headers["Content-Length"] == "2048"
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert body == b""


def test_s17_the_redirects_address_is_worth_nothing_without_its_signature(s3, store, get):
    store()
    address = get()[0].headers["Location"].partition("?")[0]
    with pytest.raises(HTTPError, match="403"):
        urlopen(address)  # noqa: S310 - our own server


def life_s(answer):
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    return int(query["X-Amz-Expires"][0])


@pytest.mark.parametrize(
    ("duration_ms", "expected_s"),
    [(None, 600), (5_000, 3605), (10 * 3_600_000, 11 * 3600), (10**12, 7 * 24 * 3600)],
    ids=["unknown", "short", "ten hours", "a month"],
)
def test_s9_a_link_lives_for_the_whole_sound_and_an_hour(
    s3, settings, store, get, duration_ms, expected_s
):
    settings.AWS_QUERYSTRING_EXPIRE = 600
    store()
    assert life_s(get(duration_ms=duration_ms)[0]) == expected_s


@pytest.mark.parametrize(("left_s", "expected_s"), [(90, 90), (0.2, 1), (-5, 1), (10**6, 600)])
def test_a_link_ends_with_what_allows_it(s3, settings, store, get, left_s, expected_s):
    settings.AWS_QUERYSTRING_EXPIRE = 600
    store()
    ends_at = timezone.now() + timedelta(seconds=left_s)
    assert max(1, expected_s - 5) <= life_s(get(ends_at=ends_at)[0]) <= expected_s


@pytest.mark.azure
def test_on_azure_a_private_redirect_leads_to_the_object(azure, store, get):
    store()
    answer, _ = get(filename='Mü"ller.mp3', inline=True)
    assert answer.status_code == 302
    request = Request(answer.headers["Location"], headers={"Range": "bytes=256-257"})  # noqa: S310
    with urlopen(request) as fetched:  # noqa: S310 - our own server
        assert fetched.status == 206
        assert fetched.read() == SOUND[256:258]
        disposition = fetched.headers["Content-Disposition"]
        assert disposition == "inline; filename*=utf-8''M%C3%BC%22ller.mp3"


def test_s10_of_a_storage_without_private_links_the_bytes_come_from_here(
    settings, tmp_path, store, get
):
    settings.MEDIA_STORAGE_BACKEND = "django.core.files.storage.FileSystemStorage"
    settings.MEDIA_STORAGE_OPTIONS = {"location": str(tmp_path / "{bucket}")}
    store()
    answer, body = get(Range="bytes=100-199")
    assert answer.status_code == 206
    assert body == SOUND[100:200]
    assert answer.headers["Content-Disposition"] == 'attachment; filename="song.mp3"'


def test_behind_cloudfront_a_link_leads_there(s3, settings, store, get):
    settings.CLOUDFRONT_DOMAIN, settings.CLOUDFRONT_KEY_ID = "media.example.org", "K2JCJMDEHXQW5F"
    settings.CLOUDFRONT_KEY = PRIVATE_KEY
    store()
    begun = int(time.time())
    link = urlsplit(get(filename="Müller.mp3", duration_ms=90_000)[0].headers["Location"])
    query = parse_qs(link.query)
    assert (link.scheme, link.netloc, link.path) == ("https", "media.example.org", f"/{KEY}")
    assert query["response-content-disposition"] == ["attachment; filename*=utf-8''M%C3%BCller.mp3"]
    assert 0 <= int(query["Expires"][0]) - begun - 3690 < 60
    assert {"Signature", "Key-Pair-Id"} <= set(query)


PRIVATE_KEY = (
    rsa.generate_private_key(public_exponent=65537, key_size=2048)
    .private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    .decode()
)


def test_nginx_is_told_which_file_to_send(folder, settings, get):
    settings.ACCEL_REDIRECT_PREFIX = "/buckets/"
    answer, body = get(Range="bytes=0-1", filename="Müller.mp3")
    assert answer.status_code == 200
    assert body == b""
    assert answer.headers["X-Accel-Redirect"] == f"/buckets/local/{KEY}"
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert answer.headers["Content-Disposition"] == "attachment; filename*=utf-8''M%C3%BCller.mp3"
    assert answer.headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("key", ["media/../../secret", "/etc/passwd", "media/a?b#c.mp3", "x\r\ny"])
def test_u10_no_name_from_outside_leaves_the_folder_that_nginx_serves(settings, tmp_path, get, key):
    settings.BUCKETS_DIR = tmp_path / "buckets"
    settings.ACCEL_REDIRECT_PREFIX = "/buckets/"
    (tmp_path / "file").write_bytes(SOUND)
    buckets.bucket("local").put(key, tmp_path / "file", content_type="audio/mpeg")
    place = get(key=key)[0].headers["X-Accel-Redirect"]
    assert not {"?", "#", "\r", "\n"} & set(place)
    assert place.startswith("/buckets/local/")
    path = settings.BUCKETS_DIR / unquote(place.removeprefix("/buckets/"))
    assert ".." not in path.parts
    assert path.read_bytes() == SOUND


def test_s9_nginx_is_not_asked_for_a_missing_object(folder, settings, get):
    settings.ACCEL_REDIRECT_PREFIX = "/buckets/"
    with pytest.raises(Http404):
        get(key="media/no/such.mp3")
