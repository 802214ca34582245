"""What only a bucket at the other end of a wire has to stand."""

import contextlib
import json
import time
import urllib.error
import urllib.request
from dataclasses import astuple
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from boto3.s3.transfer import TransferConfig

import buckets.s3
from buckets import BucketDenied, BucketMissing, BucketUnavailable, Kept, ObjectExists
from buckets.tests.s3_server import REGION
from tests.faulty_proxy import (
    ALWAYS,
    cut_off,
    hang,
    internal_error,
    lose_answer,
    refuse,
    reset,
    say,
    slow_down,
    throttle,
)
from tests.system import wait_for

pytest_plugins = ["buckets.tests.s3_server"]


@pytest.fixture
def bucket(s3, settings):
    return buckets.bucket(settings.MEDIA_BUCKET)


@pytest.fixture
def client(s3):
    """A client of somebody else's, without our conditions."""
    return s3.client()


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A file that goes in three parts."""
    monkeypatch.setattr(
        buckets.s3,
        "TRANSFER",
        TransferConfig(
            multipart_threshold=5 * 1024**2, multipart_chunksize=5 * 1024**2, use_threads=False
        ),
    )
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * 45_000)
    return path


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small"
    path.write_bytes(b"sound")
    return path


def put(bucket, key, path, **more):
    bucket.put(key, path, content_type="audio/wav", **more)


on_radosgw = pytest.mark.parametrize(
    "s3", [pytest.param("radosgw", marks=pytest.mark.s3)], indirect=True
)
only_on_moto = pytest.mark.parametrize("s3", ["moto"], indirect=True)


def test_a_put_whose_answer_was_lost_is_not_taken_for_somebody_elses(bucket, s3, small):
    s3.proxy.meet(lose_answer, "PUT")
    put(bucket, "song.wav", small)
    assert len(s3.proxy.asked("PUT")) == 2
    assert bucket.open("song.wav").read() == b"sound"


def test_the_object_of_another_is_still_in_the_way_when_an_answer_was_lost(
    bucket, s3, small, client
):
    client.put_object(Bucket=bucket.name, Key="song.wav", Body=b"sound")
    s3.proxy.meet(internal_error, "PUT")
    with pytest.raises(ObjectExists):
        put(bucket, "song.wav", small)


def test_a_large_file_goes_in_parts_and_its_lost_last_answer_is_understood(bucket, s3, large):
    moved = []

    s3.proxy.meet(lose_answer, "POST", "uploadId=")  # complete
    put(bucket, "song.wav", large, moved=moved.append)

    assert len(s3.proxy.asked("PUT")) == 3
    assert sum(moved) == large.stat().st_size
    with bucket.open("song.wav") as stored:
        assert stored.read() == large.read_bytes()


def test_s7_a_large_file_is_not_written_over_another(bucket, client, large):
    client.put_object(Bucket=bucket.name, Key="song.wav", Body=b"first")
    with pytest.raises(ObjectExists):
        put(bucket, "song.wav", large)
    assert bucket.open("song.wav").read() == b"first"
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket.name)


def test_s2_the_parts_of_an_upload_that_failed_are_taken_back(bucket, s3, client, large):
    s3.proxy.meet(slow_down, "PUT", after=1, times=buckets.s3.ATTEMPTS)
    with pytest.raises(BucketUnavailable):
        put(bucket, "song.wav", large)
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket.name)
    assert bucket.stat("song.wav") is None


def test_s2_parts_that_a_dead_process_left_are_swept_after_a_day(bucket, client, monkeypatch):
    for key in ("media/a.wav", "media/b.wav"):
        client.create_multipart_upload(Bucket=bucket.name, Key=key)
    # moto dates every upload to 2010.
    for age_s, swept in ((100 * 365 * 24 * 3600, 0), (-60, 2)):
        monkeypatch.setattr(buckets.s3, "LEFTOVER_AGE_S", age_s)
        assert bucket.sweep() == swept
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket.name)


ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"


@pytest.fixture(params=["small", "large"])
def sound(request):
    """A file that goes in one piece, and one that goes in parts."""
    return request.getfixturevalue(request.param)


def test_an_object_gets_exactly_the_grants_asked_for(bucket, s3, client, sound):
    one, two = (other.user_id for other in s3.others)
    kept = Kept(
        grants=(
            ("GrantRead", f'uri="{ALL_USERS}"'),
            ("GrantReadACP", f'id="{one}"'),
            ("GrantWriteACP", f'id="{one}"'),
            ("GrantFullControl", f'id="{two}"'),
        )
    )
    put(bucket, "song.wav", sound, kept=kept)
    grants = client.get_object_acl(Bucket=bucket.name, Key="song.wav")["Grants"]
    assert {
        (grant["Grantee"].get("URI") or grant["Grantee"]["ID"], grant["Permission"])
        for grant in grants
    } == {
        (ALL_USERS, "READ"),
        (one, "READ_ACP"),
        (one, "WRITE_ACP"),
        (two, "FULL_CONTROL"),
    }


def test_several_may_have_the_same_permission(bucket, s3, sound):
    # moto shows only the first of them.
    address = f'emailAddress="{s3.others[0].user_id}@example.org"'
    grants = (("GrantRead", f'uri="{ALL_USERS}"'), ("GrantRead", address))
    put(bucket, "song.wav", sound, kept=Kept(grants=grants))
    sent = [request.headers.get("x-amz-grant-read") for request in s3.proxy.requests]
    assert [value for value in sent if value] == [f'uri="{ALL_USERS}", {address}']


@on_radosgw
def test_a_grant_to_nobody_is_denied(bucket, s3, sound):
    with pytest.raises(BucketDenied):
        put(bucket, "song.wav", sound, kept=Kept(grants=(("GrantRead", 'id="nobody"'),)))
    assert bucket.stat("song.wav") is None


def test_without_more_words_nothing_but_the_bytes_and_their_type_is_sent(bucket, s3, sound):
    put(bucket, "song.wav", sound)
    told = tuple(f"x-amz-{word}" for word in ("acl", "grant", "storage", "server-side"))
    sent = [name for request in s3.proxy.requests for name in request.headers]
    assert "if-none-match" in sent
    assert [name for name in sent if name.startswith(told)] == []


@pytest.mark.parametrize(
    ("kept", "member", "value"),
    [
        (Kept(storage_class="REDUCED_REDUNDANCY"), "StorageClass", "REDUCED_REDUNDANCY"),
        (Kept(storage_class="STANDARD"), "StorageClass", None),  # S3 does not say so
        (Kept(encryption="AES256"), "ServerSideEncryption", "AES256"),
        (Kept(encryption="aws:kms"), "ServerSideEncryption", "aws:kms"),
        (Kept(encryption="aws:kms", kms_key_id="arn:aws:kms:x"), "SSEKMSKeyId", "arn:aws:kms:x"),
    ],
)
@only_on_moto  # Ceph has one storage class and no keys of its own
def test_an_object_is_kept_as_asked(bucket, client, sound, kept, member, value):
    put(bucket, "song.wav", sound, kept=kept)
    assert client.head_object(Bucket=bucket.name, Key="song.wav").get(member) == value


def test_a_grant_in_a_bucket_without_access_lists_stores_nothing(bucket, s3, sound):
    refusal = refuse("400 Bad Request", "AccessControlListNotSupported")
    s3.proxy.meet(refusal, "POST" if sound.name == "large" else "PUT")
    with pytest.raises(BucketDenied):
        put(bucket, "song.wav", sound, kept=Kept(grants=(("GrantRead", f'uri="{ALL_USERS}"'),)))
    assert bucket.stat("song.wav") is None


@pytest.mark.parametrize(
    "kept",
    [
        Kept(grants=(("GrantRead", 'id="line\r\nbreak"'),)),
        Kept(grants=(("GrantRead", 'id="\u0394"'),)),
        Kept(grants=(("GrantRead", f'id="a", uri="{ALL_USERS}"'),)),
        Kept(encryption="aws:kms", kms_key_id="arn:\n"),
    ],
)
def test_what_no_header_can_hold_is_denied_before_anything_is_sent(bucket, s3, small, kept):
    with pytest.raises(BucketDenied):
        put(bucket, "song.wav", small, kept=kept)
    assert s3.proxy.requests == []


def test_a_put_in_the_way_of_a_delete_is_repeated(bucket, s3, small):
    s3.proxy.meet(refuse("409 Conflict", "ConditionalRequestConflict"), "PUT")
    put(bucket, "song.wav", small)
    assert bucket.open("song.wav").read() == b"sound"


def test_a_broken_download_goes_on_where_it_stopped(bucket, s3, large, tmp_path):
    put(bucket, "song.wav", large)
    s3.proxy.requests.clear()
    s3.proxy.meet(cut_off(5_000_000), "GET")
    moved = []
    bucket.fetch("song.wav", tmp_path / "fetched", moved=moved.append)
    assert (tmp_path / "fetched").read_bytes() == large.read_bytes()
    assert sum(moved) == large.stat().st_size
    first, second = s3.proxy.asked("GET")
    assert "range" not in first.headers
    assert int(second.headers["range"].removeprefix("bytes=").rstrip("-")) > 4 * 1024**2


def test_s15_a_download_is_not_continued_with_another_object(bucket, s3, large, client, tmp_path):
    put(bucket, "song.wav", large)

    def replace(exchange):
        cut_off(5_000_000)(exchange)
        client.put_object(Bucket=bucket.name, Key="song.wav", Body=b"other" * 2_000_000)

    s3.proxy.meet(replace, "GET")
    with pytest.raises(BucketUnavailable):
        bucket.fetch("song.wav", tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def test_a_stream_that_breaks_raises_our_error(bucket, s3, large):
    put(bucket, "song.wav", large)
    s3.proxy.meet(cut_off(5_000_000), "GET")
    with bucket.open("song.wav") as stream, pytest.raises(BucketUnavailable):
        stream.read()


@pytest.mark.parametrize("hiccup", [slow_down, internal_error, reset], ids=["503", "500", "reset"])
def test_s3_a_hiccup_is_not_noticed(bucket, s3, small, hiccup):
    s3.proxy.meet(hiccup, "PUT")
    put(bucket, "song.wav", small)
    assert bucket.stat("song.wav").size_bytes == 5


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("403 Forbidden", "AccessDenied", BucketDenied),
        ("403 Forbidden", "InvalidAccessKeyId", BucketDenied),
        ("403 Forbidden", "SignatureDoesNotMatch", BucketDenied),
        ("403 Forbidden", "RequestTimeTooSkewed", BucketDenied),
        ("400 Bad Request", "ExpiredToken", BucketDenied),
        ("400 Bad Request", "AuthorizationHeaderMalformed", BucketDenied),
        ("400 Bad Request", "AccessControlListNotSupported", BucketDenied),
        ("400 Bad Request", "UnresolvableGrantByEmailAddress", BucketDenied),
        ("400 Bad Request", "KMS.DisabledException", BucketDenied),
        ("404 Not Found", "NoSuchBucket", BucketMissing),
    ],
)
def test_s4_a_refusal_says_what_kind_it_is_and_no_secret(bucket, s3, small, status, code, kind):
    s3.proxy.meet(refuse(status, code), "PUT")
    with pytest.raises(kind) as raised:
        put(bucket, "song.wav", small)
    assert code in str(raised.value)
    assert s3.keys.access_key_id not in str(raised.value)
    assert s3.keys.secret_access_key not in str(raised.value)


def test_s4_without_credentials_the_bucket_is_denied(bucket, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    buckets.s3._built_client.cache_clear()
    try:
        for call in (
            lambda: bucket.stat("song.wav"),
            lambda: bucket.link("a", filename="a", content_type="a/b", inline=False),
            bucket.check,
        ):
            with pytest.raises(BucketDenied):
                call()
    finally:
        buckets.s3._built_client.cache_clear()


def test_s1_a_store_that_is_gone_is_said_to_be_gone_within_five_seconds(bucket, settings, small):
    settings.AWS_S3_ENDPOINT_URL = "http://127.0.0.1:9"
    began = time.monotonic()
    with pytest.raises(BucketUnavailable):
        put(bucket, "song.wav", small)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD"])
def test_s1_a_store_that_hangs_is_given_up(bucket, s3, monkeypatch, small, method, tmp_path):
    put(bucket, "song.wav", small)
    monkeypatch.setattr(buckets.s3, "READ_TIMEOUT_S", 0.2)
    monkeypatch.setattr(buckets.s3, "_FETCH_ATTEMPTS", 1)
    buckets.s3._built_client.cache_clear()
    s3.proxy.meet(hang, method, times=buckets.s3.ATTEMPTS)
    calls = {
        "PUT": lambda: put(bucket, "other.wav", small),
        "GET": lambda: bucket.fetch("song.wav", tmp_path / "fetched"),
        "HEAD": lambda: bucket.stat("song.wav"),
    }
    try:
        with pytest.raises(BucketUnavailable):
            calls[method]()
    finally:
        buckets.s3._built_client.cache_clear()
    assert not (tmp_path / "fetched").exists()


@pytest.mark.parametrize("fault", [hang, slow_down], ids=["hangs", "says so"])
def test_s1_in_a_hurry_a_store_is_not_waited_for_twice(bucket, s3, monkeypatch, small, fault):
    put(bucket, "song.wav", small)
    monkeypatch.setattr(buckets.s3, "HURRIED_READ_TIMEOUT_S", 0.3 if fault is hang else 30)
    buckets.s3._built_client.cache_clear()
    s3.proxy.requests.clear()
    s3.proxy.meet(fault, "HEAD", times=ALWAYS)
    try:
        with buckets.in_a_hurry(), pytest.raises(BucketUnavailable):
            bucket.stat("song.wav")
    finally:
        s3.proxy.heal()
        buckets.s3._built_client.cache_clear()
    wait_for(lambda: s3.proxy.asked("HEAD"), "the proxy to read what was asked")
    attempts = len(s3.proxy.asked("HEAD"))
    assert attempts == (1 if fault is hang else buckets.s3.ATTEMPTS)


def test_s1_a_store_that_leaves_out_what_s3_always_says_is_unavailable(bucket, s3):
    s3.proxy.meet(say("200 OK", b""), "HEAD")
    with pytest.raises(BucketUnavailable):
        bucket.stat("song.wav")
    s3.proxy.meet(say("200 OK", b"<Nothing/>"), "POST", "uploads")
    with pytest.raises(BucketUnavailable):
        buckets.parts(bucket.name).begin("a", content_type="", size_bytes=1, part_bytes=1)


def test_s1_an_object_is_sent_with_patience_even_in_a_hurry(bucket, s3, monkeypatch, small):
    monkeypatch.setattr(buckets.s3, "HURRIED_READ_TIMEOUT_S", 0.01)
    buckets.s3._built_client.cache_clear()
    s3.proxy.meet(throttle(20), "PUT")  # a quarter of a second for the five bytes
    try:
        with buckets.in_a_hurry():
            put(bucket, "song.wav", small)
    finally:
        buckets.s3._built_client.cache_clear()
    assert len(s3.proxy.asked("PUT", "song.wav")) == 1
    assert bucket.stat("song.wav").size_bytes == 5


@on_radosgw
def test_s4_wrong_keys_are_denied_and_stand_in_no_error(bucket, s3, monkeypatch, small):
    wrong = [(s3.keys.access_key_id, "wrong-secret"), ("AKIANOBODY", "wrong-secret")]
    for key_id, secret in [*wrong, astuple(s3.others[0])[:2]]:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        buckets.s3._built_client.cache_clear()
        try:
            for call in (lambda: put(bucket, "a", small), lambda: bucket.stat("a"), bucket.check):
                with pytest.raises(BucketDenied) as raised:
                    call()
                assert key_id not in str(raised.value)
                assert secret not in str(raised.value)
        finally:
            buckets.s3._built_client.cache_clear()


@on_radosgw
def test_s5_a_policy_against_writing_fails_the_check(bucket, s3, client, small):
    put(bucket, "song.wav", small)
    bucket.check()
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket.name}/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    client.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps(policy))
    with pytest.raises(BucketDenied):
        bucket.check()
    with pytest.raises(BucketDenied):
        put(bucket, "other.wav", small)
    assert bucket.open("song.wav").read() == b"sound"


def test_s5_a_missing_or_impossible_bucket_fails_its_check(s3):
    for name in ("no-such-bucket", "not a name!"):
        with pytest.raises(BucketMissing):
            buckets.bucket(name).check()


def test_s5_a_bucket_that_may_be_read_but_not_written_fails_its_check(bucket, s3):
    s3.proxy.meet(refuse("403 Forbidden", "AccessDenied"), "POST")
    with pytest.raises(BucketDenied):
        bucket.check()


def test_a_refused_delete_is_not_taken_for_done(bucket, s3, small):
    put(bucket, "m/song.wav", small)

    error = b"<Error><Key>m/song.wav</Key><Code>AccessDenied</Code></Error>"
    s3.proxy.meet(say("200 OK", b"<DeleteResult>%b</DeleteResult>" % error), "POST")
    with pytest.raises(BucketDenied):
        bucket.delete_prefix("m/")


def test_what_is_deleted_leaves_no_version_and_no_part(bucket, client, small):
    versioned = {"Status": "Enabled"}
    client.put_object(Bucket=bucket.name, Key="m/1/old.wav", Body=b"of before")
    client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=versioned)
    put(bucket, "m/1/song.wav", small)
    client.put_object(Bucket=bucket.name, Key="m/1/song.wav", Body=b"second")
    client.delete_object(Bucket=bucket.name, Key="m/1/song.wav")  # leaves a marker
    put(bucket, "m/10/song.wav", small)
    for key in ("m/1/part.wav", "m/10/part.wav"):
        client.create_multipart_upload(Bucket=bucket.name, Key=key)

    assert bucket.delete_prefix("m/1/") == 4

    left = client.list_object_versions(Bucket=bucket.name)
    assert [version["Key"] for version in left["Versions"]] == ["m/10/song.wav"]
    assert "DeleteMarkers" not in left
    uploads = client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    assert [upload["Key"] for upload in uploads] == ["m/10/part.wav"]


def test_one_object_goes_with_its_older_versions_and_no_newer_one(bucket, client, small):
    versioned = {"Status": "Enabled"}
    client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=versioned)
    for body in (b"first", b"second"):
        client.put_object(Bucket=bucket.name, Key="in/a", Body=body)
    client.delete_object(Bucket=bucket.name, Key="in/a")
    client.put_object(Bucket=bucket.name, Key="in/a", Body=b"third")
    client.put_object(Bucket=bucket.name, Key="in/a.wav", Body=b"another's")
    etag = bucket.stat("in/a").etag

    bucket.delete("in/a", etag="another", with_versions=True)
    assert bucket.stat("in/a").etag == etag
    bucket.delete("in/a", etag=etag, with_versions=True)

    left = client.list_object_versions(Bucket=bucket.name)
    assert [version["Key"] for version in left["Versions"]] == ["in/a.wav"]
    assert "DeleteMarkers" not in left


def test_who_may_not_delete_versions_still_deletes_the_object(bucket, client, s3, small, caplog):
    versioned = {"Status": "Enabled"}
    client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=versioned)
    put(bucket, "a.wav", small)
    s3.proxy.meet(refuse("403 Forbidden", "AccessDenied"), "DELETE", "versionId=")
    bucket.delete("a.wav", etag=bucket.stat("a.wav").etag, with_versions=True)
    assert bucket.stat("a.wav") is None
    assert "we may not delete versions" in caplog.text


def test_a_key_that_xml_cannot_carry_is_deleted_by_itself(bucket, s3, small):
    for key in ("m/a", "m/\x01"):
        put(bucket, key, small)
    # moto cannot list the versions of such a key either.
    s3.proxy.meet(refuse("501 Not Implemented", "NotImplemented"), "GET", "versions")

    assert bucket.delete_prefix("m/") == 2

    assert list(bucket.keys("")) == []


def test_who_may_not_see_versions_and_parts_still_deletes_objects(bucket, s3, small, caplog):
    put(bucket, "m/song.wav", small)
    refusal = refuse("403 Forbidden", "AccessDenied")
    s3.proxy.meet(refusal, "GET", "uploads")
    s3.proxy.meet(refusal, "GET", "versions")

    assert bucket.delete_prefix("m/") == 1

    assert bucket.stat("m/song.wav") is None
    assert "we may not list versions" in caplog.text


def test_a_link_brings_the_object_with_our_headers(bucket, small):
    put(bucket, "song.wav", small)
    link = bucket.link(
        "song.wav", filename='Mü"ll\r\ner.wav', content_type="audio/wav", inline=False
    )
    with urllib.request.urlopen(link) as answer:  # noqa: S310 - our own server
        assert answer.read() == b"sound"
        assert answer.headers["Content-Type"] == "audio/wav"
        assert answer.headers.get_all("Content-Disposition") == [
            "attachment; filename*=utf-8''M%C3%BC%22ll%0D%0Aer.wav"
        ]
        assert answer.headers["Cache-Control"] == "private, no-store"


def test_s17_without_a_signature_there_is_nothing_to_see(bucket, small):
    put(bucket, "song.wav", small)
    link = bucket.link("song.wav", filename="a.wav", content_type="audio/wav", inline=False)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(link.partition("?")[0])  # noqa: S310 - our own server
    with contextlib.closing(refused.value):
        assert refused.value.code == 403


@on_radosgw
def test_s9_a_link_that_ran_out_is_refused_and_a_fresh_one_works(bucket, s3, settings, small):
    put(bucket, "song.wav", small)
    settings.AWS_QUERYSTRING_EXPIRE = 1
    link = link_to(bucket)
    wait_for(lambda: status_of(link) == 403, "the end of the link", 10)
    settings.AWS_QUERYSTRING_EXPIRE = 60
    assert status_of(link_to(bucket)) == 200


@on_radosgw
def test_s17_a_link_that_was_changed_is_refused(bucket, s3, small):
    put(bucket, "song.wav", small)
    put(bucket, "other.wav", small)
    link = link_to(bucket)
    assert status_of(link) == 200
    for old, new in (
        ("song.wav", "other.wav"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=36000"),
        ("audio%2Fwav", "text%2Fhtml"),
        (f"%2F{REGION}%2F", "%2Fus-west-2%2F"),
    ):
        assert old in link
        assert status_of(link.replace(old, new)) == 403, new


def link_to(bucket):
    return bucket.link("song.wav", filename="a", content_type="audio/wav", inline=False)


def status_of(link):
    return requests.get(link, timeout=10).status_code


def test_links_to_amazon_are_signed_for_the_buckets_own_region(bucket, settings):
    settings.AWS_S3_ENDPOINT_URL = None
    settings.AWS_S3_ADDRESSING_STYLE = "virtual"
    settings.AWS_QUERYSTRING_EXPIRE = 60
    link = urlsplit(bucket.link("a b.wav", filename="x", content_type="audio/wav", inline=True))
    query = parse_qs(link.query)
    assert link.hostname == f"{bucket.name}.s3.eu-west-1.amazonaws.com"
    assert link.path == "/a%20b.wav"
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["60"]
    assert query["response-content-disposition"] == ['inline; filename="x"']


def test_only_servers_other_than_amazons_are_spared_the_checksums(bucket, settings):
    assert buckets.s3.client_config().request_checksum_calculation == "when_required"
    settings.AWS_S3_ENDPOINT_URL = None
    assert buckets.s3.client_config().request_checksum_calculation is None


def test_the_client_is_built_once(bucket):
    assert buckets.s3.client() is buckets.s3.client()


# --- Copies -----------------------------------------------------------------------------------


def test_a_copy_whose_answer_was_lost_is_not_taken_for_somebody_elses(bucket, s3, small):
    put(bucket, "a.wav", small)
    s3.proxy.meet(lose_answer, "PUT")
    bucket.copy("a.wav", "b.wav")
    assert bucket.open("b.wav").read() == b"sound"


def test_a_large_copy_goes_in_parts_and_no_byte_passes_us(bucket, s3, large, monkeypatch):
    put(bucket, "a.wav", large)
    monkeypatch.setattr(buckets.s3, "_COPYING", buckets.s3.TRANSFER)
    moved = []
    s3.proxy.requests.clear()

    bucket.copy("a.wav", "b.wav", etag=bucket.stat("a.wav").etag, moved=moved.append)

    sent = sum(int(request.headers.get("content-length") or 0) for request in s3.proxy.requests)
    assert sent < 10_000  # the list of parts
    assert not s3.proxy.asked("GET")
    assert sum(moved) == large.stat().st_size
    assert bucket.open("b.wav").read() == large.read_bytes()


def test_a_key_that_some_servers_decode_twice_in_parts_is_copied_whole(
    bucket, s3, large, monkeypatch
):
    put(bucket, "100%.wav", large)
    monkeypatch.setattr(buckets.s3, "_COPYING", buckets.s3.TRANSFER)
    s3.proxy.requests.clear()
    bucket.copy("100%.wav", "b.wav")
    assert len(s3.proxy.asked("PUT")) == 1
    assert bucket.stat("b.wav").size_bytes == large.stat().st_size


def test_a_copy_carries_nothing_of_what_somebody_noted_with_the_object(bucket, client):
    client.put_object(
        Bucket=bucket.name,
        Key="a.wav",
        Body=b"sound",
        ContentType="text/html",
        Metadata={"owner": "alice"},
        Tagging="secret=yes",
    )
    assert bucket.stat("a.wav").metadata == {"owner": "alice"}
    bucket.copy("a.wav", "b.wav")
    assert bucket.stat("b.wav").content_type == "application/octet-stream"
    assert "owner" not in bucket.stat("b.wav").metadata
    assert client.get_object_tagging(Bucket=bucket.name, Key="b.wav")["TagSet"] == []


def test_an_object_written_over_in_the_moment_of_its_delete_stays(bucket, s3, small):
    put(bucket, "a.wav", small)
    s3.proxy.meet(refuse("412 Precondition Failed", "PreconditionFailed"), "DELETE")
    etag = bucket.stat("a.wav").etag
    bucket.delete("a.wav", etag=etag)
    assert s3.proxy.asked("DELETE")[-1].headers["if-match"] == f'"{etag}"'


def test_s4_a_copy_that_is_denied_says_so(bucket, s3, small):
    put(bucket, "a.wav", small)
    s3.proxy.meet(refuse("403 Forbidden", "AccessDenied"), "PUT")
    with pytest.raises(BucketDenied):
        bucket.copy("a.wav", "b.wav")
