"""Uploads in parts, on each kind of bucket."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
import urllib.parse
import uuid
from datetime import timedelta
from functools import partial

import pytest
import requests
import time_machine
from botocore.session import Session
from botocore.validate import ParamValidator
from django.utils import timezone

import buckets
from buckets import (
    BucketUnavailable,
    ObjectExists,
    Part,
    PartsDiffer,
    PartTaken,
    UploadMissing,
)
from buckets.cors import cors_rules
from tests.at_once import at_once
from tests.faulty_proxy import lose_answer, slow_down

pytest_plugins = ["buckets.tests.s3_server"]

MIB = 1 << 20
KEY = "media/uploads/1/source"
PART = 5 * MIB  # as small as S3 takes
SIZE = 2 * PART + 3
SOUND = os.urandom(SIZE)


@pytest.fixture
def parts(kind_with_parts, settings):
    return buckets.parts(settings.MEDIA_BUCKET)


@pytest.fixture
def folder(settings, tmp_path):
    settings.BUCKETS_DIR = tmp_path / "buckets"
    return buckets.parts(settings.MEDIA_BUCKET)


def begin(parts, size=SIZE, part=PART, key=KEY):
    return parts.begin(
        key, content_type="application/octet-stream", size_bytes=size, part_bytes=part
    )


def send(parts, upload_id, number, data=None, key=KEY):
    """Store a part as whoever uploads does; return its ETag."""
    data = SOUND[(number - 1) * PART : number * PART] if data is None else data
    url = parts.url(key, upload_id, number, len(data), expires_s=60)
    if url is None:
        return parts.write(key, upload_id, number, [data[:1000], data[1000:]])
    answer = requests.put(url, data=data, timeout=20)
    answer.raise_for_status()
    return answer.headers["ETag"].strip('"')


def send_all(parts, upload_id):
    for number in (3, 1, 2):
        send(parts, upload_id, number)


def read(parts, key=KEY):
    with parts.open(key) as file:
        return file.read()


def leftovers(parts):
    folder = parts.root / "%parts"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_parts_in_any_order_become_the_object_and_nothing_else_stays(parts, kind_with_parts):
    upload_id = begin(parts)
    assert parts.listed(KEY, upload_id) == []
    etag = send(parts, upload_id, 3)
    assert parts.listed(KEY, upload_id) == [Part(3, 3, etag)]
    assert etag == hashlib.md5(SOUND[-3:], usedforsecurity=False).hexdigest()
    send(parts, upload_id, 1)
    send(parts, upload_id, 2)
    listed = parts.listed(KEY, upload_id)
    assert parts.stat(KEY) is None
    info = parts.complete(KEY, upload_id, listed)
    assert info.size_bytes == SIZE
    assert read(parts) == SOUND
    assert list(parts.keys("")) == [KEY]
    if kind_with_parts == "folder":
        assert leftovers(parts) == []


def test_u25_a_second_complete_answers_as_the_first(parts):
    upload_id = begin(parts)
    send_all(parts, upload_id)
    listed = parts.listed(KEY, upload_id)
    first = parts.complete(KEY, upload_id, listed)
    assert parts.complete(KEY, upload_id, listed) == first
    with pytest.raises(UploadMissing):
        parts.listed(KEY, upload_id)


def test_u26_a_complete_without_all_parts_or_with_others_is_refused_and_changes_nothing(parts):
    upload_id = begin(parts)
    send(parts, upload_id, 1)
    send(parts, upload_id, 3)
    first, third = parts.listed(KEY, upload_id)
    unsent = Part(2, PART, "0" * 32)
    for told in ([first, unsent, third], [Part(1, PART, "0" * 32), third]):
        with pytest.raises(PartsDiffer):
            parts.complete(KEY, upload_id, told)
    assert parts.stat(KEY) is None
    send(parts, upload_id, 2)
    parts.complete(KEY, upload_id, parts.listed(KEY, upload_id))
    assert read(parts) == SOUND


def test_u26_an_unknown_upload_is_missing(parts, kind_with_parts):
    upload_id = begin(parts)
    parts.abort(KEY, upload_id)
    parts.abort(KEY, upload_id)
    for unknown in (upload_id, uuid.uuid4().hex):
        with pytest.raises(UploadMissing):
            parts.listed(KEY, unknown)
        # moto answers 500 to a complete of an upload that it does not know.
        if kind_with_parts == "folder":
            with pytest.raises(UploadMissing):
                parts.complete(KEY, unknown, [Part(1, SIZE, "0" * 32)])


def test_an_upload_belongs_to_its_key(folder):
    upload_id = begin(folder)
    with pytest.raises(UploadMissing):
        folder.listed("media/uploads/2/source", upload_id)
    folder.abort("media/uploads/2/source", upload_id)
    assert folder.listed(KEY, upload_id) == []


def test_a_part_that_is_sent_again_takes_the_place_of_the_first(parts):
    upload_id = begin(parts)
    send(parts, upload_id, 2, bytes(PART))
    send_all(parts, upload_id)
    parts.complete(KEY, upload_id, parts.listed(KEY, upload_id))
    assert read(parts) == SOUND


# A real server refuses who comes from another day.
@pytest.mark.parametrize("kind_with_parts", ["folder", "moto"], indirect=True)
def test_s2_an_upload_that_is_still_written_to_outlives_the_sweep(parts):
    upload_id = begin(parts)
    now = timezone.now()
    with time_machine.travel(now + timedelta(hours=20)):
        send(parts, upload_id, 1)
        for path in leftovers(parts) if hasattr(parts, "root") else ():
            # The file system's clock does not travel.
            at = (now + timedelta(hours=20)).timestamp()
            os.utime(parts.root / "%parts" / path, (at, at))
    with time_machine.travel(now + timedelta(hours=30)):
        assert parts.sweep() == 0
        assert len(parts.listed(KEY, upload_id)) == 1
    with time_machine.travel(now + timedelta(hours=45)):
        assert parts.sweep() > 0
        with pytest.raises(UploadMissing):
            parts.listed(KEY, upload_id)


def test_a_key_that_somebody_else_took_is_not_written_over(folder, tmp_path):
    upload_id = begin(folder)
    send_all(folder, upload_id)
    other = tmp_path / "other"
    other.write_bytes(b"other")
    folder.put(KEY, other, content_type="audio/wav")
    with pytest.raises(ObjectExists):
        folder.complete(KEY, upload_id, folder.listed(KEY, upload_id))
    assert read(folder) == b"other"


def test_a_complete_whose_process_died_before_it_tidied_up_is_repeated(folder, monkeypatch):
    upload_id = begin(folder)
    send_all(folder, upload_id)
    listed = folder.listed(KEY, upload_id)
    monkeypatch.setattr(type(folder), "_remove", lambda *_: None)
    folder.complete(KEY, upload_id, listed)
    monkeypatch.undo()
    with pytest.raises(UploadMissing):
        folder.write(KEY, upload_id, 1, [bytes(PART)])
    assert folder.complete(KEY, upload_id, listed).size_bytes == SIZE
    assert leftovers(folder) == []
    assert read(folder) == SOUND


def test_u26_a_newer_writer_of_a_part_takes_it_over(folder):
    upload_id = begin(folder)

    def dawdle():
        yield b"x" * 1000
        folder.write(KEY, upload_id, 1, [SOUND[:PART]])  # meanwhile, from elsewhere
        yield b"x" * (PART - 1000)

    with pytest.raises(PartTaken):
        folder.write(KEY, upload_id, 1, dawdle())
    send(folder, upload_id, 2)
    send(folder, upload_id, 3)
    folder.complete(KEY, upload_id, folder.listed(KEY, upload_id))
    assert read(folder) == SOUND


def test_u26_two_writers_of_one_part_at_once_leave_the_bytes_of_one(folder):
    upload_id = begin(folder, size=MIB, part=PART)
    together = threading.Barrier(2)

    def write(byte):
        def chunks():
            together.wait(10)
            for _ in range(64):
                yield byte * (MIB // 64)

        try:
            return folder.write(KEY, upload_id, 1, chunks())
        except PartTaken:
            return None

    outcomes = at_once(partial(write, b"a"), partial(write, b"b"))
    listed = folder.listed(KEY, upload_id)
    if listed:
        folder.complete(KEY, upload_id, listed)
        content = read(folder)
        assert content in (b"a" * MIB, b"b" * MIB)
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == listed[0].etag
    assert len(listed) == sum(outcome is not None for outcome in outcomes)


@pytest.mark.parametrize("sent", [0, 1, PART - 1, PART + 1])
def test_u26_a_part_of_another_length_is_not_recorded(folder, sent):
    upload_id = begin(folder)
    chunks = [bytes(min(MIB, sent - at)) for at in range(0, sent, MIB)]
    with pytest.raises(PartsDiffer):
        folder.write(KEY, upload_id, 1, chunks)
    assert folder.listed(KEY, upload_id) == []


@pytest.mark.parametrize("number", [0, -1, 4, 10**12])
def test_u26_a_part_that_there_is_not_is_refused(folder, number):
    upload_id = begin(folder)
    with pytest.raises(PartsDiffer):
        folder.write(KEY, upload_id, number, [b"x"])
    assert (folder.root / "%parts" / f"{upload_id}.bytes").stat().st_size == SIZE


def test_u26_a_body_that_breaks_off_leaves_the_part_missing_and_the_others_whole(folder):
    upload_id = begin(folder)
    send(folder, upload_id, 2)

    def break_off():
        yield b"x" * 1000
        raise ConnectionResetError

    for number in (1, 2):
        with pytest.raises(ConnectionResetError):
            folder.write(KEY, upload_id, number, break_off())
    assert folder.listed(KEY, upload_id) == []
    send_all(folder, upload_id)
    folder.complete(KEY, upload_id, folder.listed(KEY, upload_id))
    assert read(folder) == SOUND


def test_a_writer_that_is_late_does_not_change_the_object(folder):
    upload_id = begin(folder)
    send_all(folder, upload_id)

    def be_late():
        folder.complete(KEY, upload_id, folder.listed(KEY, upload_id))
        yield bytes(1000)

    with pytest.raises(UploadMissing):
        folder.write(KEY, upload_id, 1, be_late())
    assert read(folder) == SOUND


def test_s13_a_disk_that_fills_up_is_an_unavailable_bucket(folder, monkeypatch):
    upload_id = begin(folder)

    def fill_up(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", fill_up)
    with pytest.raises(BucketUnavailable):
        folder.write(KEY, upload_id, 1, [b"x" * 1000])
    monkeypatch.undo()
    assert folder.listed(KEY, upload_id) == []


@pytest.mark.parametrize("upload_id", ["", "..", "../../x", "\0", "é" * 32, "a" * 33])
def test_u10_an_upload_id_is_never_a_path(folder, upload_id):
    with pytest.raises(UploadMissing):
        folder.listed(KEY, upload_id)
    folder.abort(KEY, upload_id)


@pytest.fixture
def on_s3(s3, settings):
    return buckets.parts(settings.MEDIA_BUCKET)


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_u25_the_address_of_a_part_signs_its_length(on_s3, settings, style):
    settings.AWS_S3_ADDRESSING_STYLE = style
    settings.AWS_S3_ENDPOINT_URL = "https://s3.example.org"
    url = urllib.parse.urlsplit(on_s3.url(KEY, "id", 7, 1234, expires_s=90))
    query = dict(urllib.parse.parse_qsl(url.query))
    host = on_s3.name + ".s3.example.org" if style == "virtual" else "s3.example.org"
    assert url.netloc == host
    assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert query["X-Amz-SignedHeaders"] == "content-length;host"
    assert (query["X-Amz-Expires"], query["partNumber"], query["uploadId"]) == ("90", "7", "id")


def test_s3_a_complete_whose_answer_was_lost_is_understood(on_s3, s3):
    upload_id = begin(on_s3)
    send_all(on_s3, upload_id)
    s3.proxy.meet(lose_answer, "POST")
    assert on_s3.complete(KEY, upload_id, on_s3.listed(KEY, upload_id)).size_bytes == SIZE


def test_s3_a_store_that_has_no_time_is_unavailable(on_s3, s3):
    upload_id = begin(on_s3)
    s3.proxy.meet(slow_down, "GET", times=buckets.s3.ATTEMPTS)
    with pytest.raises(BucketUnavailable):
        on_s3.listed(KEY, upload_id)


def test_u25_the_form_fixes_key_type_and_size(on_s3, s3):
    form = on_s3.form(KEY, size_bytes=5, content_type="audio/wav", expires_s=60)
    assert form.fields["key"] == KEY
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    assert ["content-length-range", 5, 5] in policy["conditions"]
    for condition in ({"key": KEY}, {"Content-Type": "audio/wav"}, {"bucket": on_s3.name}):
        assert condition in policy["conditions"]
    answer = requests.post(form.url, data=form.fields, files={"file": b"sound"}, timeout=10)
    assert answer.status_code == 201
    assert read(on_s3) == b"sound"


def test_the_cors_document_is_one_that_s3_takes():
    rules = cors_rules("https://audio.example.org")
    shape = Session().get_service_model("s3").operation_model("PutBucketCors").input_shape
    report = ParamValidator().validate({"Bucket": "b", "CORSConfiguration": rules}, shape)
    assert not report.has_errors(), report.generate_report()
    for rule in rules["CORSRules"]:
        assert rule["AllowedOrigins"] == ["https://audio.example.org"]
