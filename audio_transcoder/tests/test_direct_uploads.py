"""Uploads that go straight into the bucket, as Uppy's plugin drives them."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import os
import uuid
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
import time_machine
from django.conf import settings as site
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import buckets
from audio_transcoder import reasons, removal, steps
from audio_transcoder.models import AudioFile, Deletion, TranscodeJob, Upload
from audio_transcoder.tests.factories import client_of, make_person
from audio_transcoder.uploads import direct_uploads, refusals
from buckets import BucketDenied, BucketUnavailable
from buckets.folder_parts import FolderParts
from buckets.tests.s3_server import ON_S3
from tests.at_once import at_once
from tests.faulty_proxy import refuse
from transcode_messages.models import Message

pytest_plugins = ["buckets.tests.s3_server"]
pytestmark = pytest.mark.django_db

MIB = 1 << 20
HERE = {"Origin": "http://testserver"}
START = "/audio/uploads/s3/multipart"


class Script:
    """What the script of a page does."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def begin(self, size=5, filename="take.wav", type="audio/wav", **metadata):
        body = {"filename": filename, "type": type, "metadata": {"size": size, **metadata}}
        return self.post(START, body)

    def post(self, url, body, **headers):
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.post(url, text, content_type="application/json", headers=headers or HERE)

    def at(self, upload, rest="", key=None):
        query = urlencode({"key": upload["key"] if key is None else key})
        return f"{START}/{upload['uploadId']}{rest}?{query}"

    def send(self, upload, number, data):
        """Send one part to wherever it belongs; return its ETag."""
        answer = self.client.get(self.at(upload, f"/{number}"))
        assert answer.status_code == 200, answer.content
        url = answer.json()["url"]
        if url.startswith("/"):  # nobody is signed in there
            sent = Client().put(url, data, content_type="application/octet-stream")
        else:
            sent = requests.put(url, data=data, timeout=20)
        assert sent.status_code == 200, sent.content
        return sent.headers["ETag"]

    def send_all(self, upload, content):
        size = upload["partSize"]
        return [
            {"PartNumber": n, "ETag": self.send(upload, n, content[(n - 1) * size : n * size])}
            for n in range(1, upload["partCount"] + 1)
        ]

    def complete(self, upload, parts):
        return self.post(self.at(upload, "/complete"), {"parts": parts})


@pytest.fixture
def script(signed_in):
    return Script(signed_in)


@pytest.fixture
def sound():
    return os.urandom(2 * 8 * MIB + 5)


def stored(audio_file):
    bucket = buckets.bucket(site.MEDIA_BUCKET)
    with bucket.open(f"media/{audio_file.mp3_file.name}") as file:
        return file.read()


def nothing_is_left():
    """Work off what is due, and see that the bucket is empty."""
    steps.finish_uploads()
    removal.remove_due()
    try:
        keys = list(buckets.bucket(site.MEDIA_BUCKET).keys(""))
    except buckets.BucketMissing:
        keys = []
    unfinished = site.BUCKETS_DIR / "local" / "%parts"
    return keys == [] and not (unfinished.exists() and list(unfinished.iterdir()))


def later(**after):
    return time_machine.travel(timezone.now() + datetime.timedelta(**after), tick=True)


def refusal(answer):
    body = answer.json()
    assert body["message"]
    return answer.status_code, body["reason"]


# --- The way of a file ------------------------------------------------------------------------


def test_a_file_in_parts_becomes_a_file_of_the_person(script, person, kind_with_parts, sound):
    upload = script.begin(len(sound), "Talk.wav", name="My talk", formats="flac,mp3").json()
    assert (upload["partSize"], upload["partCount"], upload["parts"]) == (8 * MIB, 3, [])
    parts = script.send_all(upload, sound)
    assert AudioFile.objects.count() == 0
    answer = script.complete(upload, parts)
    assert answer.status_code == 200, answer.content
    audio_file = AudioFile.objects.get()
    assert answer.json() == {
        "location": f"/audio/{audio_file.code}/",
        "key": upload["key"],
        "bucket": "",
    }
    assert (audio_file.owner, audio_file.name) == (person, "My talk")
    assert audio_file.file_name == "Talk.wav"
    assert {one.format_name for one in audio_file.renditions.all()} == {"flac", "mp3"}
    assert audio_file.examined_at is None
    assert audio_file.size_bytes == len(sound)
    assert stored(audio_file) == sound


def test_what_was_said_of_the_sound_is_ordered_as_it_was_said_last(script, sound):
    said = {"formats": ["flac", "mp3"], "loudness": "-16", "bitrate_mp4": 96, "fingerprint": "f"}
    script.begin(len(sound), bitrate_mp3="64", **said)
    upload = script.begin(len(sound), bitrate_mp3=128, **said).json()
    script.complete(upload, script.send_all(upload, sound))
    job = TranscodeJob.objects.get()
    assert job.target_lufs == -16
    rates = job.renditions.values_list("format_name", "wanted_bitrate_kbps", "variant")
    assert set(rates) == {("flac", None, "lufs-16"), ("mp3", 128, "lufs-16 kbps-128")}


def test_what_is_left_behind_of_a_format_that_is_not_wanted_counts_for_nothing(script, sound):
    left = {"bitrate_mp3": "other", "bitrate_mp3_other": "", "bitrate_mp4_other": "x"}
    said = {"formats": "flac", "loudness": "other", "loudness_other": -16.5, **left}
    upload = script.begin(len(sound), **said).json()
    script.complete(upload, script.send_all(upload, sound))
    assert TranscodeJob.objects.get().renditions.get().variant == "lufs-16.5"


def test_a_sound_that_came_in_parts_is_looked_at_and_waits_for_its_place(script, mp3):
    content = mp3.read_bytes()
    upload = script.begin(len(content), "One.mp3", "audio/mpeg").json()
    script.complete(upload, script.send_all(upload, content))
    steps.examine()
    audio_file = AudioFile.objects.get()
    assert (audio_file.codec, audio_file.name) == ("mp3", "One")
    assert audio_file.jobs.waiting_to_be_placed(timezone.now()).count() == 1


def test_an_upload_goes_on_where_it_stopped(script, kind_with_parts, sound):
    first = script.begin(len(sound), fingerprint="print", formats="wav").json()
    etag = script.send(first, 2, sound[8 * MIB : 16 * MIB])
    again = script.begin(len(sound), fingerprint="print", formats="mp3").json()
    stored_parts = [{"PartNumber": 2, "ETag": etag, "Size": 8 * MIB}]
    assert again == {**first, "parts": stored_parts}
    assert script.client.get(script.at(again)).json() == stored_parts
    listed = script.client.get("/audio/uploads/open/").json()
    assert [(one["uploadId"], one["sent"], one["size"]) for one in listed] == [
        (first["uploadId"], 8 * MIB, len(sound))
    ]
    assert listed[0]["fingerprint"] == "print"
    script.complete(again, script.send_all(again, sound))
    assert stored(AudioFile.objects.get()) == sound
    assert AudioFile.objects.get().renditions.get().format_name == "mp3"
    assert script.client.get("/audio/uploads/open/").json() == []


@pytest.mark.parametrize("change", ["size", "filename", "fingerprint", "person"])
def test_another_file_or_person_begins_anew(script, client, change):
    values = {"size": 100, "filename": "a.wav", "fingerprint": "print"}
    first = script.begin(**values).json()
    if change == "person":
        client.force_login(make_person())
    else:
        values[change] = 101 if change == "size" else "other"
    assert script.begin(**values).json()["uploadId"] != first["uploadId"]


def test_two_files_without_a_fingerprint_are_two_uploads(script):
    assert script.begin().json()["key"] != script.begin().json()["key"]
    # nor is a form's token one file's when it comes with two
    token = str(uuid.uuid4())
    assert script.begin(token=token).json()["key"] != script.begin(token=token).json()["key"]
    assert Upload.objects.filter(token=token).count() == 1


def test_u17_the_same_file_from_two_pages_at_once_is_two_files(script, sound):
    one, other, third, fourth = (str(uuid.uuid4()) for _ in range(4))

    def begin(token):
        return script.begin(len(sound), fingerprint="print", name=token[:8], token=token).json()

    first, second = begin(one), begin(other)
    assert second["uploadId"] != first["uploadId"]
    assert begin(one)["uploadId"] == first["uploadId"]
    assert script.client.delete(script.at(first), headers=HERE).status_code == 204
    etag = script.send(second, 2, sound[8 * MIB : 16 * MIB])
    # Whoever comes back later goes on, and is the one page that sends it from then on.
    with later(minutes=3):
        again = begin(third)
        assert again["uploadId"] == second["uploadId"]
        assert [part["ETag"] for part in again["parts"]] == [etag]
        assert begin(third)["uploadId"] == second["uploadId"]
        assert begin(fourth)["uploadId"] != second["uploadId"]
        script.complete(again, script.send_all(again, sound))
    assert AudioFile.objects.get().name == third[:8]


def test_whoever_missed_the_end_learns_where_the_file_is(script, sound):
    upload = script.begin(len(sound)).json()
    first = script.complete(upload, script.send_all(upload, sound)).json()
    listed = script.client.get(script.at(upload)).json()
    assert [part["Size"] for part in listed] == [8 * MIB, 8 * MIB, 5]
    assert script.complete(upload, listed).json() == first


# --- U25: what was signed is what comes -------------------------------------------------------


def test_u25_a_second_finish_answers_as_the_first(script, kind_with_parts, sound):
    upload = script.begin(len(sound)).json()
    parts = script.send_all(upload, sound)
    first, second = script.complete(upload, parts), script.complete(upload, parts)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert AudioFile.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_u25_four_finishes_at_once_are_one_file(script, person, sound):
    upload = script.begin(len(sound)).json()
    parts = script.send_all(upload, sound)
    tabs = [Script(client_of(person)) for _ in range(4)]
    answers = at_once(*(partial(tab.complete, upload, parts) for tab in tabs))
    places = {answer.json().get("location") for answer in answers if answer.status_code == 200}
    assert places == {AudioFile.objects.get().get_absolute_url()}
    assert all(answer.status_code in (200, 503) for answer in answers)


def test_u25_a_finish_whose_rows_were_not_written_is_finished_by_the_next(
    script, kind_with_parts, sound, monkeypatch
):
    upload = script.begin(len(sound)).json()
    parts = script.send_all(upload, sound)
    take_in = direct_uploads._take_in

    def die(*_):
        raise BucketUnavailable("the process died here", bucket="local")

    monkeypatch.setattr(direct_uploads, "_take_in", die)
    assert script.complete(upload, parts).status_code == 503
    monkeypatch.setattr(direct_uploads, "_take_in", take_in)
    assert script.complete(upload, parts).status_code == 200
    assert stored(AudioFile.objects.get()) == sound


def test_u25_what_was_never_told_is_finished_by_the_step(script, kind_with_parts, sound):
    upload = script.begin(len(sound)).json()
    script.send_all(upload, sound)
    steps.finish_uploads()
    assert not AudioFile.objects.exists()
    with later(minutes=3):
        steps.finish_uploads()
    assert stored(AudioFile.objects.get()) == sound


# A real server refuses who comes from another day.
@pytest.mark.parametrize("kind_with_parts", ["folder", "moto"], indirect=True)
def test_u25_what_was_never_finished_is_gone_after_a_day(script, kind_with_parts, sound):
    upload = script.begin(len(sound)).json()
    script.send(upload, 1, sound[: 8 * MIB])
    with later(hours=23):
        steps.finish_uploads()
        assert len(script.client.get(script.at(upload)).json()) == 1
    with later(hours=25):
        steps.finish_uploads()
        assert refusal(script.client.get(script.at(upload))) == (404, "unknown")
        assert nothing_is_left()
    if kind_with_parts in ON_S3:
        store = buckets.bucket(site.MEDIA_BUCKET)
        assert "Uploads" not in store.s3.list_multipart_uploads(Bucket=store.name)
    with later(hours=60):
        steps.finish_uploads()
        assert not Upload.objects.exists()


def test_u25_an_upload_that_still_moves_is_older_than_a_day(script, sound):
    upload = script.begin(len(sound)).json()
    for hours in (20, 40, 60):
        with later(hours=hours):
            script.client.force_login(Upload.objects.get().owner)
            assert script.client.get(script.at(upload, "/1")).status_code == 200
            steps.finish_uploads()
    with later(hours=61):
        steps.finish_uploads()
        assert Upload.objects.get().is_open


def test_u25_a_part_has_its_length_and_no_other(script):
    upload = script.begin(100).json()
    url = script.client.get(script.at(upload, "/1")).json()["url"]
    put = Client().put
    kind = "application/octet-stream"
    assert refusal(put(url, bytes(101), content_type=kind)) == (413, "too_large")
    assert refusal(put(url, bytes(99), content_type=kind)) == (400, "broken")
    assert refusal(put(url, b"", content_type=kind))[0] in (400, 411)
    packed = put(url, bytes(100), content_type=kind, headers={"Content-Encoding": "gzip"})
    assert refusal(packed) == (415, "packed")
    chunked = put(url, bytes(100), content_type=kind, headers={"Transfer-Encoding": "chunked"})
    assert refusal(chunked) == (411, "no_length")
    assert script.client.get(script.at(upload)).json() == []
    assert put(url, bytes(100), content_type=kind).status_code == 200


def test_u25_an_address_is_for_one_part_and_a_quarter_of_an_hour(script, sound):
    upload = script.begin(len(sound)).json()
    url = script.client.get(script.at(upload, "/3")).json()["url"]
    put = Client().put
    assert refusal(put(url[:-3] + "x/", b"12345")) == (404, "unknown")
    assert refusal(put("/audio/uploads/parts/x/", b"12345")) == (404, "unknown")
    assert refusal(Client().get(url)) == (405, "method")
    with later(minutes=16):
        assert refusal(put(url, b"12345")) == (410, "expired")
    form = by_form(script, b"sound")
    assert refusal(Client().post(form["url"].replace("forms", "parts"))) == (405, "method")
    assert refusal(put(form["url"].replace("forms", "parts"), b"12345")) == (404, "unknown")


def test_u25_nothing_is_written_into_a_file_that_is_finished(script, sound):
    upload = script.begin(len(sound)).json()
    url = script.client.get(script.at(upload, "/3")).json()["url"]
    script.complete(upload, script.send_all(upload, sound))
    assert refusal(Client().put(url, b"other")) == (409, "finished")
    assert refusal(script.client.get(script.at(upload, "/3"))) == (409, "finished")
    assert refusal(script.client.delete(script.at(upload), headers=HERE)) == (409, "finished")
    assert stored(AudioFile.objects.get()) == sound


def test_u25_a_larger_object_than_was_declared_is_refused_and_removed(script, tmp_path):
    key = by_form(script, b"sound")["fields"]["key"]
    path = tmp_path / "larger"
    path.write_bytes(b"larger than five")
    buckets.bucket(site.MEDIA_BUCKET).put(key, path, content_type="audio/wav")
    answer = script.post(f"/audio/uploads/s3/arrived?key={key}", {})
    assert refusal(answer) == (422, "size_differs")
    assert not AudioFile.objects.exists()
    assert nothing_is_left()


def test_u25_an_object_of_another_key_is_not_taken_for_it(script, s3):
    first, second = script.begin(5).json(), script.begin(5).json()
    mixed = {"uploadId": first["uploadId"], "key": second["key"]}
    for answer in (
        script.client.get(script.at(mixed)),
        script.client.get(script.at(mixed, "/1")),
        script.complete(mixed, []),
        script.client.delete(script.at(mixed), headers=HERE),
    ):
        assert refusal(answer) == (404, "unknown")


# --- By form ----------------------------------------------------------------------------------


def by_form(script, content, filename="take.wav"):
    query = urlencode({"filename": filename, "type": "audio/wav", "metadata[size]": len(content)})
    answer = script.client.get(f"/audio/uploads/s3/params?{query}", headers=HERE)
    assert answer.status_code == 200, answer.content
    return answer.json()


def post_form(form, content):
    if form["url"].startswith("/"):
        file = SimpleUploadedFile("x", content)
        return Client().post(form["url"], {**form["fields"], "file": file})
    return requests.post(form["url"], data=form["fields"], files={"file": content}, timeout=20)


def test_a_small_file_goes_in_one_request_and_is_found_without_a_word(script, kind_with_parts, mp3):
    form = by_form(script, mp3.read_bytes(), "One.mp3")
    assert form["method"] == "POST"
    assert post_form(form, mp3.read_bytes()).status_code == 201
    with later(seconds=20):
        steps.finish_uploads()
    assert stored(AudioFile.objects.get()) == mp3.read_bytes()
    assert AudioFile.objects.get().file_name == "One.mp3"


def test_a_page_may_say_that_its_file_arrived(script, kind_with_parts):
    form = by_form(script, b"sound")
    url = f"/audio/uploads/s3/arrived?{urlencode({'key': form['fields']['key']})}"
    early = script.post(url, {})
    assert refusal(early) == (409, "missing")
    post_form(form, b"sound")
    answer = script.post(url, {})
    assert answer.json()["location"] == AudioFile.objects.get().get_absolute_url()
    assert script.post(url, {}).json() == answer.json()
    whole = {"uploadId": form["uploadId"], "key": form["fields"]["key"]}
    assert script.complete(whole, []).json() == answer.json()


def test_u25_a_form_that_is_replayed_writes_nothing_over(script):
    form = by_form(script, b"sound")
    assert post_form(form, b"sound").status_code == 201
    assert refusal(post_form(form, b"other")) == (409, "finished")
    steps.finish_uploads()
    assert refusal(post_form(form, b"other")) == (409, "finished")
    assert stored(AudioFile.objects.get()) == b"sound"


def test_u25_a_form_of_s3_that_is_replayed_changes_no_file(script, s3):
    form = by_form(script, b"sound")
    url = f"/audio/uploads/s3/arrived?{urlencode({'key': form['fields']['key']})}"
    assert post_form(form, b"sound").status_code == 201
    assert script.post(url, {}).status_code == 200
    assert post_form(form, b"other").status_code == 201  # S3 writes over
    assert script.post(url, {}).status_code == 200
    assert stored(AudioFile.objects.get()) == b"sound"
    assert is_only_source_left(s3)
    assert post_form(form, b"again").status_code == 201
    long_ago = timezone.now() - Upload.KEPT_FOR  # a real server heeds no clock of a test's
    Upload.objects.update(finished_at=long_ago, next_step_at=long_ago)
    steps.finish_uploads()
    assert not Upload.objects.exists()
    assert is_only_source_left(s3)


def is_only_source_left(s3):
    removal.remove_due()
    keys = buckets.bucket(s3.bucket).keys("")
    return [key.rpartition("/")[2] for key in keys] == ["source"]


def test_u25_a_form_that_is_used_again_while_its_file_is_taken_is_not_mixed_up(script, s3):
    form = by_form(script, b"sound")
    url = f"/audio/uploads/s3/arrived?{urlencode({'key': form['fields']['key']})}"
    post_form(form, b"sound")

    def post_another(exchange):
        # The condition of the copy is not every server's: as Amazon answers.
        post_form(form, b"other")
        return refuse("412 Precondition Failed", "PreconditionFailed")(exchange)

    s3.proxy.meet(post_another, "PUT", "/source", times=3)
    assert refusal(script.post(url, {})) == (409, "missing")
    assert script.post(url, {}).status_code == 200
    assert stored(AudioFile.objects.get()) == b"other"


@pytest.mark.parametrize(
    ("content", "status"), [(b"four", 400), (b"sixsix", 400), (bytes(100_000), 413), (b"", 400)]
)
def test_u25_a_form_takes_the_declared_size_alone(script, content, status):
    form = by_form(script, b"sound")
    answer = post_form(form, content)
    assert answer.status_code in (status, 413)
    steps.finish_uploads()
    assert not AudioFile.objects.exists()
    assert list(Path(site.FILE_UPLOAD_TEMP_DIR).iterdir()) == []


def test_u21_a_form_that_is_broken_is_400(script):
    form = by_form(script, b"sound" * 100)
    for body, kind in (
        (b"nonsense", "multipart/form-data; boundary=x"),
        (b"nonsense", "multipart/form-data"),
        (b"{}", "application/json"),
        (b"--x\r\n\r\n", "multipart/form-data; boundary=x"),
    ):
        answer = Client().post(form["url"], body, content_type=kind)
        assert refusal(answer) == (400, "broken")


# --- U26: what does not fit together ----------------------------------------------------------


def test_u26_a_finish_says_which_parts_are_missing_or_others(script, kind_with_parts, sound):
    upload = script.begin(len(sound)).json()
    etag = script.send(upload, 2, sound[8 * MIB : 16 * MIB])
    answer = script.complete(upload, [{"PartNumber": 2, "ETag": etag}])
    assert refusal(answer) == (409, "missing")
    assert answer.json()["missing"] == [1, 3]
    parts = script.send_all(upload, sound)
    wrong = [{**part, "ETag": '"x"'} if part["PartNumber"] == 2 else part for part in parts]
    assert script.complete(upload, wrong).json()["missing"] == [2]
    assert script.complete(upload, parts[:2]).json()["missing"] == [3]
    extra = [*parts, {"PartNumber": 4, "ETag": "x"}]
    assert script.complete(upload, extra).json()["missing"] == [4]
    assert not AudioFile.objects.exists()
    assert script.complete(upload, parts).status_code == 200


def test_u26_a_part_with_a_bad_checksum_is_dropped(script):
    upload = script.begin(5).json()
    url = script.client.get(script.at(upload, "/1")).json()["url"]
    wrong = base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()
    right = base64.b64encode(hashlib.md5(b"sound", usedforsecurity=False).digest()).decode()
    for told in (wrong, "nonsense", ""):
        answer = Client().put(url, b"sound", headers={"Content-MD5": told})
        assert refusal(answer) == (400, "broken")
        assert script.client.get(script.at(upload)).json() == []
    assert Client().put(url, b"sound", headers={"Content-MD5": right}).status_code == 200


@pytest.mark.parametrize(
    "number", ["0", "4", "-1", "1e0", "\u0663", "99999999999", "x", "1%2F2", "%00"]
)
def test_u26_a_part_that_there_is_not_is_404(script, number):
    upload = script.begin(2 * 8 * MIB + 5).json()
    answer = script.client.get(script.at(upload, f"/{number}"))
    assert answer.status_code == 404


@pytest.mark.parametrize("code", [str(uuid.UUID(int=1)), "x", "0", "%00", "é", "a" * 4000, "{}"])
def test_u26_an_unknown_upload_is_404(script, code):
    unknown = {"uploadId": code, "key": "media/uploads/x/source"}
    for answer in (
        script.client.get(script.at(unknown)),
        script.client.get(script.at(unknown, "/1")),
        script.complete(unknown, []),
        script.client.delete(script.at(unknown), headers=HERE),
    ):
        assert refusal(answer) == (404, "unknown")


def test_u26_an_upload_that_is_gone_from_the_store_is_404(script, sound):
    upload = script.begin(len(sound), fingerprint="print").json()
    script.send(upload, 1, sound[: 8 * MIB])
    for path in (site.BUCKETS_DIR / "local" / "%parts").iterdir():
        path.unlink()
    assert refusal(script.client.get(script.at(upload))) == (404, "unknown")
    assert script.client.get("/audio/uploads/open/").json() == []
    assert refusal(script.complete(upload, [])) == (404, "unknown")
    assert script.begin(len(sound), fingerprint="print").json()["key"] != upload["key"]


def test_a_page_aborts_as_often_as_it_likes(script, kind_with_parts, sound):
    upload = script.begin(len(sound)).json()
    url = script.client.get(script.at(upload, "/1")).json()["url"]
    script.send(upload, 1, sound[: 8 * MIB])
    for _ in range(2):
        assert script.client.delete(script.at(upload), headers=HERE).status_code == 204
        assert nothing_is_left()
    assert refusal(script.complete(upload, [])) == (404, "unknown")
    assert refusal(script.client.get(script.at(upload, "/1"))) == (404, "unknown")
    if kind_with_parts == "folder":
        assert refusal(Client().put(url, sound[: 8 * MIB])) == (404, "unknown")
    assert nothing_is_left()


# --- Who, and how much ------------------------------------------------------------------------


def test_w15_an_abort_that_comes_after_the_end_says_so(script, monkeypatch):
    upload = script.begin().json()
    parts = script.send_all(upload, b"sound")
    abort = direct_uploads.abort

    def abort_too_late(row):
        assert script.complete(upload, parts).status_code == 200
        return abort(row)

    monkeypatch.setattr(direct_uploads, "abort", abort_too_late)
    answer = script.client.delete(script.at(upload), headers=HERE)
    assert refusal(answer) == (409, "finished")
    assert stored(AudioFile.objects.get()) == b"sound"


def test_uploads_of_others_are_not_there(script, sound):
    upload = script.begin(len(sound)).json()
    form = by_form(script, b"sound")
    stranger = client_of(make_person())
    other = Script(stranger)
    for answer in (
        stranger.get(other.at(upload)),
        stranger.get(other.at(upload, "/1")),
        other.complete(upload, []),
        stranger.delete(other.at(upload), headers=HERE),
        other.post(f"/audio/uploads/s3/arrived?key={form['fields']['key']}", {}),
    ):
        assert refusal(answer) == (404, "unknown")
    assert stranger.get("/audio/uploads/open/").json() == []
    assert script.client.get(script.at(upload)).json() == []


def test_u22_visitors_are_told_to_sign_in_and_other_sites_refused(script):
    upload = script.begin().json()
    calls = [
        ("POST", START),
        ("POST", script.at(upload, "/complete")),
        ("DELETE", script.at(upload)),
        ("POST", "/audio/uploads/s3/arrived?key=x"),
        ("GET", "/audio/uploads/s3/params?filename=a.wav&metadata[size]=5"),
    ]
    for method, url in calls:
        ask = {"data": "{}", "content_type": "application/json"} if method == "POST" else {}
        answer = getattr(Client(), method.lower())(url, **ask, headers=HERE)
        assert refusal(answer) == (401, "signed_out")
        for headers in (
            {"Origin": "https://evil.example.org"},
            {"Origin": "null"},
            {"Origin": "http://testserver.evil.example.org"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Referer": "https://evil.example.org/http://testserver/"},
            {"Referer": "http://[x"},
            {"X-Nothing": "known"},
        ):
            strict = Client(enforce_csrf_checks=True)
            strict.force_login(Upload.objects.get(code=upload["uploadId"]).owner)
            answer = getattr(strict, method.lower())(url, **ask, headers=headers)
            assert refusal(answer) == (403, "foreign"), (method, url, headers)
    assert Upload.objects.count() == 1
    for url in ("/audio/uploads/open/", script.at(upload), script.at(upload, "/1")):
        assert refusal(Client().get(url)) == (401, "signed_out")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://testserver"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Referer": "http://testserver/audio/upload/"},
    ],
)
def test_a_page_of_this_site_needs_no_token(person, headers):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(person)
    body = {"filename": "a.wav", "metadata": {"size": 5}}
    answer = strict.post(START, body, content_type="application/json", headers=headers)
    assert answer.status_code == 200


def test_a_csrf_token_will_do_as_well(person):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(person)
    strict.get("/audio/upload/")
    body = {"filename": "a.wav", "metadata": {"size": 5}}
    for token, status in ((strict.cookies["csrftoken"].value, 200), ("x" * 32, 403)):
        answer = strict.post(
            START, body, content_type="application/json", headers={"X-CSRFToken": token}
        )
        assert answer.status_code == status


def test_an_account_that_is_disabled_meanwhile_gets_nothing(script, person, sound):
    upload = script.begin(len(sound)).json()
    script.send_all(upload, sound)
    person.is_active = False
    person.save()
    assert refusal(script.complete(upload, [])) == (401, "signed_out")
    with later(minutes=3):
        steps.finish_uploads()
        assert not AudioFile.objects.exists()
        assert nothing_is_left()


def test_d9_deleting_a_person_leaves_nothing_of_their_uploads(script, person, admin_client, sound):
    half, whole = script.begin(len(sound)).json(), script.begin(len(sound)).json()
    script.send(half, 1, sound[: 8 * MIB])
    script.complete(whole, script.send_all(whole, sound))
    by_form(script, b"sound")
    url = f"/admin/auth/user/{person.pk}/delete/"
    assert admin_client.post(url, {"post": "yes"}).status_code == 302
    with later(hours=1):
        steps.finish_uploads()
        assert nothing_is_left()
    with later(hours=50):
        steps.finish_uploads()
    assert not Upload.objects.exists()


def test_a_file_that_is_deleted_stays_deleted_although_its_form_is_replayed(script):
    form = by_form(script, b"sound")
    post_form(form, b"sound")
    steps.finish_uploads()
    AudioFile.objects.get().delete()
    steps.delete()
    assert nothing_is_left()
    assert refusal(post_form(form, b"other")) == (409, "finished")
    assert nothing_is_left()
    with later(hours=25):
        steps.finish_uploads()
        assert Deletion.objects.exists()  # once more, for stores whose addresses live on
        assert not Upload.objects.exists()


def test_u23_a_used_up_quota_is_422_and_unfinished_uploads_count(script, settings):
    settings.QUOTA_BYTES = 10
    assert refusal(script.begin(11)) == (422, "quota")
    first = script.begin(6).json()
    assert refusal(script.begin(6)) == (422, "quota")
    script.client.delete(script.at(first), headers=HERE)
    assert script.begin(6).status_code == 200


def test_u23_of_two_that_begin_at_once_one_gets_the_last_place(script, settings, monkeypatch):
    settings.QUOTA_FILES = 1
    begin = FolderParts.begin

    def begin_after_another(*arguments, **named):
        monkeypatch.setattr(FolderParts, "begin", begin)
        assert script.begin().status_code == 200
        return begin(*arguments, **named)

    monkeypatch.setattr(FolderParts, "begin", begin_after_another)
    assert refusal(script.begin()) == (422, "quota")
    left = site.BUCKETS_DIR / "local" / "%parts"
    assert {path.stem for path in left.iterdir()} == {Upload.objects.get().store_id}


def test_u23_a_quota_that_is_used_up_meanwhile_ends_the_upload(script, settings):
    upload = script.begin(5).json()
    parts = script.send_all(upload, b"sound")
    settings.QUOTA_BYTES = 4
    assert refusal(script.complete(upload, parts)) == (422, "quota")
    assert not AudioFile.objects.exists()
    assert nothing_is_left()
    assert not Message.objects.exists()


def test_u23_whoever_went_away_is_told_that_there_was_no_room(script, settings):
    upload = script.begin(5, "Song.wav").json()
    script.send_all(upload, b"sound")
    settings.QUOTA_BYTES = 4
    with later(minutes=3):
        steps.finish_uploads()
        assert nothing_is_left()
    message = Message.objects.get()
    assert "Song.wav" in message.text
    assert "space" in message.text


def test_too_many_uploads_within_a_minute_are_429(script, settings):
    settings.UPLOADS_PER_MINUTE = 2
    script.begin()
    script.begin()
    answer = script.begin()
    assert refusal(answer) == (429, "flood")
    assert answer["Retry-After"]


def test_a_file_that_came_and_was_deleted_is_one_upload_of_the_minute(script, settings, sound):
    settings.UPLOADS_PER_MINUTE = 2
    upload = script.begin(len(sound)).json()
    assert script.complete(upload, script.send_all(upload, sound)).status_code == 200
    page = AudioFile.objects.get().get_absolute_url()
    assert script.client.post(f"{page}delete/").status_code == 302
    assert script.begin().status_code == 200
    assert refusal(script.begin()) == (429, "flood")


def test_s1_a_store_that_is_down_is_503_in_json_and_leaves_no_row(script, monkeypatch):
    def down(*_args, **_options):
        raise BucketUnavailable("no answer", bucket="local")

    monkeypatch.setattr(buckets.FolderParts, "begin", down)
    answer = script.begin()
    assert refusal(answer) == (503, "storage_down")
    assert answer["Retry-After"]
    assert not Upload.objects.exists()


def test_d11_a_store_that_is_down_writes_no_address_of_a_part_into_the_log(
    script, monkeypatch, caplog
):
    upload = script.begin().json()
    url = script.client.get(script.at(upload, "/1")).json()["url"]

    def full(*_arguments):
        raise BucketUnavailable("no space", bucket="local")

    monkeypatch.setattr(FolderParts, "write", full)
    assert Client().put(url, b"sound", content_type="audio/wav").status_code == 503
    assert "503 PUT /audio/uploads/parts/.../" in caplog.text
    assert url not in caplog.text


def test_s3_the_step_comes_again_when_the_store_is_down(script, monkeypatch, sound):
    upload = script.begin(len(sound)).json()
    script.send_all(upload, sound)

    def down(*_args, **_options):
        raise BucketUnavailable("no answer", bucket="local")

    with monkeypatch.context() as patch, later(minutes=3):
        patch.setattr(buckets.FolderParts, "listed", down)
        again = steps.finish_uploads()
        assert again > timezone.now()
    with time_machine.travel(again + datetime.timedelta(seconds=1)):
        steps.finish_uploads()
    assert stored(AudioFile.objects.get()) == sound


def test_s3_a_store_that_is_down_is_asked_twice_and_then_left_alone(script, monkeypatch):
    asked = []

    def down(_self, key, _upload_id):
        asked.append(key)
        raise BucketUnavailable("no answer", bucket="local")

    for _ in range(4):
        script.begin()
    monkeypatch.setattr(buckets.FolderParts, "listed", down)
    with later(minutes=3):
        again = steps.finish_uploads()
        assert len(asked) == 2
        assert again > timezone.now() + datetime.timedelta(seconds=20)


@pytest.mark.parametrize("other", ["storage", "forbidden"])
def test_uploads_to_a_bucket_of_former_settings_end_with_a_reason(
    script, settings, tmp_path, monkeypatch, other
):
    upload = script.begin(5, "Song.wav").json()
    script.send_all(upload, b"sound")

    if other == "storage":
        settings.MEDIA_STORAGE_BACKEND = "django.core.files.storage.FileSystemStorage"
        settings.MEDIA_STORAGE_OPTIONS = {"location": str(tmp_path / "{bucket}")}
    else:
        for method in ("listed", "abort"):
            monkeypatch.setattr(buckets.FolderParts, method, _forbidden)

    for hours in (1, 23):  # a setting that is wrong for some hours costs nothing
        with later(hours=hours):
            assert steps.finish_uploads() > timezone.now()
        assert Upload.objects.get().is_open
    with later(hours=25):
        steps.finish_uploads()
    [message] = Message.objects.all()
    assert "Song.wav" in message.text
    assert "upload it again" in message.text
    with later(hours=50):
        steps.finish_uploads()
    assert not Upload.objects.exists()


def _forbidden(*_arguments: object) -> None:
    raise BucketDenied("no", bucket="local")


def test_whoever_went_away_is_told_that_the_parts_are_in_the_store_no_more(script, sound):
    upload = script.begin(len(sound), "Song.wav").json()
    script.send_all(upload, sound)
    # Another bucket than the one that has them, or a rule there that is too quick.
    row = Upload.objects.get()
    Upload.objects.update(store_id="an.id_of-S3~/../" + row.store_id)
    with later(minutes=3):
        steps.finish_uploads()
        steps.finish_uploads()
    assert "upload it again" in Message.objects.get().text
    assert not Upload.objects.get().is_open


# --- Bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"size": 0}, (422, "empty")),
        ({"size": "0"}, (422, "empty")),
        ({"size": 2 * 1024**3 + 1}, (413, "too_large")),
        ({"size": 10**30}, (413, "too_large")),
        ({"size": -1}, (422, "invalid")),
        ({"size": 1.5}, (422, "invalid")),
        ({"size": True}, (422, "invalid")),
        ({"size": None}, (422, "invalid")),
        ({"size": "5 "}, (422, "invalid")),
        ({"size": "\u0665"}, (422, "invalid")),
        ({"size": []}, (422, "invalid")),
        ({"type": "text/html"}, (422, "not_audio")),
        ({"type": "image/png"}, (422, "not_audio")),
        ({"type": "audio/x\r\nX-Evil: 1"}, (422, "not_audio")),
        ({"type": "audio/"}, (422, "not_audio")),
        ({"type": 5}, (422, "invalid")),
        ({"filename": 5}, (422, "invalid")),
        ({"filename": {"a": 1}}, (422, "invalid")),
        ({"formats": "wav,exe"}, (422, "invalid")),
        ({"formats": ["wav", 5]}, (422, "invalid")),
        ({"formats": []}, (422, "invalid")),
        ({"formats": {"wav": 1}}, (422, "invalid")),
        ({"name": 5}, (422, "invalid")),
        ({"fingerprint": [1]}, (422, "invalid")),
        ({"token": {}}, (422, "invalid")),
        ({"loudness": "-15"}, (422, "invalid")),
        ({"loudness": True}, (422, "invalid")),
        ({"formats": "mp3", "bitrate_mp3": 129}, (422, "invalid")),
        ({"formats": "mp3", "bitrate_mp3": [128]}, (422, "invalid")),
        ({"formats": "mp3", "bitrate_mp3": "other"}, (422, "invalid")),
        ({"loudness": "other", "loudness_other": 10**400}, (422, "invalid")),
        ({"loudness": "other", "loudness_other": float("nan")}, (422, "invalid")),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(script, values, expected):
    assert refusal(script.begin(**values)) == expected
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    "kind", ["", "audio/mpeg", "video/mp4", "application/ogg", "AUDIO/WAV; codecs=1", None]
)
def test_kinds_that_may_hold_sound_are_taken(script, kind):
    assert script.begin(type=kind).status_code == 200


@pytest.mark.parametrize(
    "body", ["", "[]", "null", "5", "{", b"\xff\xfe\xfd", '{"metadata": []}', "[" * 200_000]
)
def test_a_body_that_is_no_declaration_is_400_or_422(script, body):
    answer = script.post(START, body)
    assert answer.status_code in (400, 422)
    assert answer.json()["reason"] in ("broken", "invalid")


def test_a_body_that_is_too_long_is_413(script):
    assert refusal(script.post(START, b" " * (2 * MIB))) == (413, "too_large")


@pytest.mark.parametrize(
    "parts",
    [
        None,
        5,
        "x",
        {},
        [5],
        [None],
        [{}],
        [{"PartNumber": "1", "ETag": "x"}],
        [{"PartNumber": True, "ETag": "x"}],
        [{"PartNumber": 1, "ETag": 5}],
    ],
)
def test_a_finish_that_names_no_parts_properly_is_400(script, parts):
    upload = script.begin().json()
    assert refusal(script.complete(upload, parts)) == (400, "broken")


@pytest.mark.parametrize("parts", [[], [{"PartNumber": 10**40, "ETag": "\ud800"}]])
def test_a_finish_that_names_other_parts_is_409(script, parts):
    upload = script.begin().json()
    assert refusal(script.complete(upload, parts)) == (409, "missing")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
FIELDS = ("size", "name", "formats", "fingerprint", "token")
IN_QUERY = ("filename", "type", "key", *(f"metadata[{name}]" for name in FIELDS))


@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filename=JSON, kind=JSON, metadata=JSON | st.fixed_dictionaries(dict.fromkeys(FIELDS, JSON)))
def test_no_declaration_whatever_is_a_500(script, filename, kind, metadata):
    body = {"filename": filename, "type": kind, "metadata": metadata}
    answer = script.post(START, body)
    assert answer.status_code in (200, 400, 413, 422, 429)
    if answer.status_code != 200:
        assert answer.json()["reason"]


@hypothesis_settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.dictionaries(st.sampled_from(IN_QUERY), st.text(max_size=30)))
def test_no_query_whatever_is_a_500(script, query):
    text = urlencode(query, errors="surrogatepass")
    for path in ("params", "arrived"):
        url = f"/audio/uploads/s3/{path}?{text}"
        ask = script.client.get if path == "params" else script.client.post
        assert ask(url, headers=HERE).status_code in (200, 400, 404, 413, 422, 429)


@pytest.mark.parametrize("method", ["put", "patch", "head", "options", "trace"])
def test_a_method_that_is_not_known_is_405(script, method):
    upload = script.begin().json()
    for url in (START, script.at(upload), script.at(upload, "/complete"), "/audio/uploads/open/"):
        answer = getattr(script.client, method)(url, headers=HERE)
        assert answer.status_code == 405
        assert answer["Allow"]


# --- Names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("../../etc/x.mp3", "x.mp3"),
        ("..\\..\\x.mp3", "x.mp3"),
        ("/abs.mp3", "abs.mp3"),
        ("%2e%2e%2fx.mp3", "%2e%2e%2fx.mp3"),
        ("http://h/x.mp3", "x.mp3"),
        ('a\0b\r\nX-Evil: 1".mp3', 'abX-Evil: 1".mp3'),
        ("e\u0301\u202egnp.\u200bmp3", "\xe9gnp.mp3"),
        ("\ud800.mp3", ".mp3"),
        ("-y.mp3", "-y.mp3"),
        ("$(id).mp3", "$(id).mp3"),
        ("<svg onload=1>.mp3", "<svg onload=1>.mp3"),
        (" ", "untitled"),
        ("\u200b", "untitled"),
        ("\N{MUSICAL KEYBOARD}" * 1000 + ".mp3", "\N{MUSICAL KEYBOARD}" * 196 + ".mp3"),
    ],
)
def test_u10_u11_u12_u13_u14_u15_u16_a_name_is_text_and_never_part_of_a_key(script, raw, shown):
    upload = script.begin(5, raw, name=raw).json()
    script.complete(upload, script.send_all(upload, b"sound"))
    audio_file = AudioFile.objects.get()
    assert audio_file.file_name == shown
    assert upload["key"] == f"media/uploads/{audio_file.code}/source"
    answer = script.client.get(f"/audio/{audio_file.code}/download/original/")
    assert answer.status_code == 200
    assert "\n" not in answer["Content-Disposition"]
    page_text = script.client.get(audio_file.get_absolute_url()).content.decode()
    assert "<svg onload" not in page_text


@pytest.mark.parametrize(
    ("name", "shown"),
    [("AC/DC live 24/7", "AC/DC live 24/7"), ("..\\\u200ba\n/b", "..\\a/b"), ("../a.wav", "a")],
)
def test_u10_a_typed_name_keeps_its_slashes(script, name, shown):
    upload = script.begin(5, "../a.wav", name=name).json()
    script.complete(upload, script.send_all(upload, b"sound"))
    assert AudioFile.objects.get().name == shown


@pytest.mark.parametrize("raw", ["", ".", "..", None])
def test_u14_a_name_that_is_none_is_no_file(script, raw):
    assert refusal(script.begin(5, raw)) == (422, "invalid")


# --- Numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "part", "count"),
    [
        (1, 8 * MIB, 1),
        (10 * MIB, 8 * MIB, 2),
        (513 * MIB, 9 * MIB, 57),
        (2 * 1024**3 - 1, 32 * MIB, 64),
        (2 * 1024**3, 32 * MIB, 64),
    ],
)
def test_large_files_have_large_parts_and_few(size, part, count):
    upload = Upload(size_bytes=size, part_bytes=direct_uploads.part_bytes(size))
    assert (upload.part_bytes, upload.part_count) == (part, count)
    numbers = range(1, count + 1)
    assert sum(upload.size_of_part(number) for number in numbers) == size


def test_every_refusal_has_a_sentence_and_a_status():
    assert set(refusals.STATUSES) <= {*refusals.SENTENCES, *reasons.SENTENCES}


def test_the_bucket_may_be_connected_to_and_nothing_else():
    policy = site.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    assert policy["connect-src"] == policy["media-src"]
