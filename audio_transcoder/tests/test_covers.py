"""Covers: found in uploads, brought by people, drawn in sizes, and gone with their file."""

from __future__ import annotations

import io
import re
import uuid
from datetime import timedelta
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
import time_machine
from django.conf import settings as site
from django.core.management import call_command
from django.core.signals import request_finished
from django.db import close_old_connections
from django.test import Client, RequestFactory
from django.utils import timezone
from PIL import Image

import buckets
import images
from audio_transcoder import covers, keys, litter, removal, steps, uploads
from audio_transcoder.covers import cover_changes
from audio_transcoder.models import AudioFile, Deletion
from audio_transcoder.tests.factories import client_of, make_file, make_person
from audio_transcoder.tests.test_arrivals import arrive
from audio_transcoder.tests.test_views import upload
from audio_transcoder.uploads import arrivals
from buckets import BucketDenied, BucketUnavailable
from images import Box, Picture, Size
from tests import pictures
from tests.at_once import at_once

pytest_plugins = ["buckets.tests.s3_server", "buckets.tests.azure_server"]
pytestmark = pytest.mark.django_db

FOR_EVER = "private, max-age=31536000, immutable"


@pytest.fixture(autouse=True)
def patience(monkeypatch) -> None:
    """A machine that runs many tests at once is slow to start a child."""
    monkeypatch.setattr(covers, "PAGE_WAITS_S", 60.0)
    monkeypatch.setattr(covers, "FORM_WAITS_S", 60.0)


@pytest.fixture
def with_cover(person) -> AudioFile:
    """A file of the person's with a cover: tomato on the left, navy on the right."""
    audio_file = make_file(person)
    give_cover(audio_file, pictures.picture())
    return audio_file


def give_cover(audio_file: AudioFile, data: bytes) -> None:
    assert cover_changes.replace(audio_file, covers.found(data))
    audio_file.refresh_from_db()


def names(prefix: str = "") -> list[str]:
    """Return the storage names of all objects below a prefix."""
    found = buckets.bucket(site.MEDIA_BUCKET).keys(keys.bucket_key(prefix))
    return sorted(keys.storage_name(key) for key in found)


def opened(response) -> Image.Image:
    return Image.open(io.BytesIO(response.content))


def bring(client: Client, audio_file: AudioFile, data: bytes | None, **values: object):
    if data is not None:
        values["picture"] = file = io.BytesIO(data)
        file.name = "cover.png"
    whole = {"left": 0, "top": 0, "width": 100, "height": 100}
    return client.post(f"/audio/{audio_file.code}/cover/", {**whole, **values})


# --- Sizes of it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [Size(96, 96, fills=True), Size(320, 200, format="jpeg")], ids=str)
def test_a_size_is_drawn_once_and_served_from_the_bucket_after(
    kind_of_bucket, signed_in, person, size, monkeypatch
):
    audio_file = make_file(person)
    give_cover(audio_file, pictures.picture())
    address = covers.url(audio_file, size)

    first = signed_in.get(address)
    assert first.status_code == 200
    assert first["Content-Type"] == size.media_type
    assert first["Cache-Control"] == FOR_EVER
    assert first["X-Content-Type-Options"] == "nosniff"
    assert opened(first).format == size.format.upper()
    assert names("variants/") == [covers.variant_name(audio_file, size)]

    monkeypatch.setattr(images, "draw", None)
    again = signed_in.get(address)
    assert (again.status_code, again.content) == (200, first.content)
    assert again["ETag"] == first["ETag"]
    assert signed_in.head(address).status_code == 200


def test_a_browser_that_has_it_is_told_so_without_the_store(signed_in, with_cover, monkeypatch):
    address = covers.url(with_cover, covers.square(96))
    etag = signed_in.get(address)["ETag"]
    monkeypatch.setattr(covers, "bucket", None)
    response = signed_in.get(address, headers={"If-None-Match": etag})
    assert response.status_code == 304
    assert response["Cache-Control"] == FOR_EVER


def test_a_forged_or_altered_signature_is_404(signed_in, person, with_cover):
    other = make_file(person)
    give_cover(other, pictures.picture())
    good = covers.token(with_cover, covers.square(96))
    foreign = covers.token(other, covers.square(96))
    for text in (good[:-1], good + "A", good.replace("96x96", "97x97"), foreign, "x", "~", "%00"):
        assert signed_in.get(f"/audio/{with_cover.code}/cover/{text}/").status_code == 404, text
    assert names("variants/") == []


def test_an_address_ends_with_its_cover(signed_in, with_cover):
    address = covers.url(with_cover, covers.square(96))
    give_cover(with_cover, pictures.picture(colour="gold"))
    assert signed_in.get(address).status_code == 404
    cover_changes.remove(with_cover)
    with_cover.refresh_from_db()
    assert signed_in.get(address).status_code == 404


def test_w1_a_cover_of_somebody_else_is_never_there(client, with_cover):
    address = covers.url(with_cover, covers.square(96))
    assert client.get(address).status_code == 302  # to the sign-in page
    client.force_login(make_person())
    for method in ("get", "head", "post", "put", "delete"):
        assert getattr(client, method)(address).status_code in (404, 405)
    page = f"/audio/{with_cover.code}/cover/"
    for method in ("get", "head", "post", "put", "delete"):
        assert getattr(client, method)(page).status_code in (404, 405)
    assert bring(client, with_cover, pictures.picture()).status_code == 404
    assert AudioFile.objects.get().cover == with_cover.cover


def test_whoever_may_see_the_file_another_way_is_answered_too(with_cover):
    text = covers.token(with_cover, covers.square(96))
    answer = covers.answer(RequestFactory().get("/any/"), with_cover, text)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/webp")


@pytest.mark.django_db(transaction=True)
def test_two_who_ask_at_once_both_get_the_picture(with_cover):
    address = covers.url(with_cover, covers.square(96))
    clients = [client_of(with_cover.owner) for _ in range(2)]
    answers = at_once(*(partial(client.get, address) for client in clients))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert len(names("variants/")) == 1


def test_a_size_that_cannot_be_stored_is_answered_all_the_same(signed_in, with_cover, monkeypatch):
    def refuse(self, key, *arguments, **options):
        raise BucketDenied("no", bucket="b", key=key)

    address = covers.url(with_cover, covers.square(96))
    with monkeypatch.context() as patch:
        patch.setattr(buckets.FolderBucket, "put", refuse)
        assert opened(signed_in.get(address)).size == (96, 96)
    assert names("variants/") == []
    assert signed_in.get(address).status_code == 200
    assert len(names("variants/")) == 1


def test_a_store_that_is_down_is_503(signed_in, with_cover, monkeypatch):
    def fail(self, key, size_bytes):
        raise BucketUnavailable("down", bucket="b", key=key)

    address = covers.url(with_cover, covers.square(96))
    monkeypatch.setattr(buckets.FolderBucket, "head", fail)
    response = signed_in.get(address)
    assert response.status_code == 503
    assert response["Retry-After"]
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("trouble", ["gone", "broken", "busy"])
def test_the_placeholder_stands_in_for_what_cannot_be_drawn(
    signed_in, with_cover, trouble, monkeypatch
):
    original = keys.bucket_key(with_cover.cover)
    path = site.BUCKETS_DIR / buckets.bucket(site.MEDIA_BUCKET).local_path(original)
    if trouble == "gone":
        path.unlink()
    elif trouble == "broken":
        path.write_bytes(path.read_bytes()[:200])
    else:
        monkeypatch.setattr(covers, "PAGE_WAITS_S", 0.01)
    response = signed_in.get(covers.url(with_cover, covers.square(96)))
    assert (response.status_code, response["Content-Type"]) == (200, "image/svg+xml")
    assert response["Cache-Control"] == "private, no-store"
    assert response.content.startswith(b"<svg")
    assert names("variants/") == []


def test_without_a_cover_pages_show_the_placeholder(signed_in, person):
    audio_file = make_file(person)
    assert covers.url(audio_file, covers.square(96)).endswith("img/cover.svg")
    page = signed_in.get(f"/audio/{audio_file.code}/cover/").text
    assert "img/cover.svg" in page
    assert "There is no cover yet." in page


# --- Found in an upload ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mp3", "flac", "m4a"])
def test_an_upload_brings_its_cover(signed_in, tmp_path, kind):
    upload(signed_in, pictures.sound_with(tmp_path / f"a.{kind}", pictures.picture()))
    audio_file = AudioFile.objects.get()
    assert re.fullmatch(rf"uploads/{audio_file.code}/cover-[0-9a-f]{{16}}\.jpg", audio_file.cover)
    assert (audio_file.cover_width, audio_file.cover_height) == (400, 200)
    assert not Deletion.objects.exists()
    drawn = opened(signed_in.get(covers.url(audio_file, covers.square(96))))
    assert drawn.size == (96, 96)


@pytest.mark.parametrize(
    "data",
    [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<!doctype html>" * 50, bytes(4000)],
    ids=["svg", "page", "zeros"],
)
def test_f15_an_upload_whose_cover_is_none_is_taken_without_it(signed_in, tmp_path, data):
    assert upload(signed_in, pictures.sound_with(tmp_path / "a.mp3", data)).status_code == 302
    audio_file = AudioFile.objects.get()
    assert audio_file.cover == ""
    assert names("uploads/") == [f"uploads/{audio_file.code}/source"]


def test_what_arrives_past_the_web_process_brings_its_cover_and_tags(
    kind_of_bucket, person, tmp_path
):
    path = pictures.sound_with(tmp_path / "a.mp3", pictures.picture(), title="Song", track="3/12")
    audio_file = arrive(person, path)
    steps.examine()
    audio_file.refresh_from_db()
    assert (audio_file.cover_width, audio_file.title, audio_file.track) == (400, "Song", "3/12")
    assert audio_file.cover in names("uploads/")
    assert not Deletion.objects.exists()


def test_the_head_of_a_large_file_is_enough_for_its_cover(person, tmp_path):
    path = pictures.sound_with(tmp_path / "a.flac", pictures.picture())
    with path.open("ab") as file:
        file.write(bytes(2 * arrivals.HEAD_BYTES))
    audio_file = arrive(person, path)
    steps.examine()
    audio_file.refresh_from_db()
    assert audio_file.cover_width == 400


def test_what_the_owner_did_before_the_look_stays(person, tmp_path):
    path = pictures.sound_with(tmp_path / "a.mp3", pictures.picture(), title="Its", artist="A")
    audio_file = arrive(person, path)
    AudioFile.objects.update(title="Mine")
    give_cover(audio_file, pictures.picture((50, 50)))
    steps.examine()
    found = AudioFile.objects.get()
    assert (found.title, found.artist, found.cover) == ("Mine", "A", audio_file.cover)


def test_a_store_that_is_down_for_the_cover_lets_the_look_wait(person, tmp_path, monkeypatch):
    audio_file = arrive(person, pictures.sound_with(tmp_path / "a.mp3", pictures.picture()))

    def fail(self, key, *arguments, **options):
        raise BucketUnavailable("down", bucket="b", key=key)

    with monkeypatch.context() as patch:
        patch.setattr(buckets.FolderBucket, "put", fail)
        steps.examine()
    audio_file.refresh_from_db()
    assert (audio_file.examined_at, audio_file.cover) == (None, "")
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        steps.examine()
    audio_file.refresh_from_db()
    assert audio_file.examined_at
    assert audio_file.cover


# --- Brought by the owner -------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_the_owner_brings_a_cover(signed_in, person, format_):
    audio_file = make_file(person)
    response = bring(signed_in, audio_file, pictures.picture(format_=format_))
    assert (response.status_code, response["Location"]) == (302, f"/audio/{audio_file.code}/cover/")
    audio_file.refresh_from_db()
    assert (audio_file.cover_width, audio_file.cover_height) == (400, 200)
    with covers.original(audio_file) as path, Image.open(path) as kept:
        assert kept.format == "JPEG"
    assert "The cover is saved." in signed_in.get(response["Location"]).text


def test_nothing_is_kept_as_it_came(signed_in, person):
    data = pictures.picture() + b"<script>alert(1)</script>"
    audio_file = make_file(person)
    bring(signed_in, audio_file, data)
    audio_file.refresh_from_db()
    with covers.original(audio_file) as path:
        assert b"script" not in path.read_bytes()


def test_a_part_of_a_new_picture_and_of_the_old_one(signed_in, person):
    audio_file = make_file(person)
    bring(signed_in, audio_file, pictures.picture(), left=50, width=50)
    audio_file.refresh_from_db()
    assert (audio_file.cover_width, audio_file.cover_height) == (200, 200)
    whole = audio_file.cover

    bring(signed_in, audio_file, None, top=50, height=25)
    audio_file.refresh_from_db()
    assert (audio_file.cover_width, audio_file.cover_height) == (200, 50)
    with covers.original(audio_file) as path, Image.open(path) as kept:
        red, _green, blue = kept.getpixel((5, 5))
    assert blue > 100 > red  # navy: the right half
    assert whole in Deletion.objects.get().prefixes


def test_saving_what_is_there_already_changes_nothing(signed_in, with_cover):
    assert bring(signed_in, with_cover, None).status_code == 302
    assert AudioFile.objects.get().cover == with_cover.cover
    assert not Deletion.objects.exists()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (None, "Choose a picture."),
        (b"", "This is not a picture we know."),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "This is not a picture we know."),
        (b"<!doctype html><script>alert(1)</script>" * 9, "This is not a picture we know."),
        (pictures.picture()[:300], "The picture is damaged."),
    ],
    ids=["nothing", "empty", "svg", "page", "half"],
)
def test_f15_what_is_no_picture_is_422_and_one_sentence(signed_in, person, data, sentence):
    audio_file = make_file(person)
    response = bring(signed_in, audio_file, data)
    assert response.status_code == 422
    assert sentence in response.text
    assert 'aria-invalid="true"' in response.text
    audio_file.refresh_from_db()
    assert audio_file.cover == ""
    assert names("uploads/") == [f"uploads/{audio_file.code}/source"]


def test_f14_a_picture_of_too_many_pixels_is_422(signed_in, person):
    from images.tests.test_drawing import png_that_says

    response = bring(signed_in, make_file(person), png_that_says(16_000, 16_000))
    assert response.status_code == 422
    assert "too many pixels" in response.text


@pytest.mark.parametrize(
    "values",
    [
        {"left": "x"},
        {"left": -1},
        {"top": 100},
        {"width": 0},
        {"height": 101},
        {"left": 60, "width": 41},
        {"left": ""},
    ],
    ids=str,
)
def test_a_part_that_is_none_is_422(signed_in, with_cover, values):
    response = bring(signed_in, with_cover, None, **values)
    assert response.status_code == 422
    assert 'aria-invalid="true"' in response.text
    assert AudioFile.objects.get().cover == with_cover.cover


@pytest.mark.parametrize("extra", [0, uploads.FORM_OVERHEAD_BYTES * 2])
def test_u3_a_picture_over_the_limit_is_413(signed_in, person, extra):
    """Told by its declared length, or met while it is read."""
    data = bytes(covers.MAX_BYTES + 1 + extra)
    response = bring(signed_in, make_file(person), data)
    assert response.status_code == 413
    assert "larger than 10" in response.text
    assert not list(site.FILE_UPLOAD_TEMP_DIR.iterdir())


def test_two_pictures_in_the_field_are_422(signed_in, person):
    audio_file = make_file(person)
    files = [io.BytesIO(pictures.picture()) for _ in range(2)]
    for file in files:
        file.name = "cover.png"
    values = {"picture": files, "left": 0, "top": 0, "width": 100, "height": 100}
    response = signed_in.post(f"/audio/{audio_file.code}/cover/", values)
    assert response.status_code == 422
    assert "Choose one file at a time." in response.text


def test_a_cover_is_not_taken_without_the_forms_token(person):
    audio_file, client = make_file(person), Client(enforce_csrf_checks=True)
    client.force_login(person)
    assert bring(client, audio_file, pictures.picture()).status_code == 403
    audio_file.refresh_from_db()
    assert audio_file.cover == ""


def test_a_machine_that_cannot_draw_says_503(signed_in, person, monkeypatch):
    audio_file = make_file(person)
    monkeypatch.setattr(covers, "FORM_WAITS_S", 0.01)
    response = bring(signed_in, audio_file, pictures.picture())
    assert response.status_code == 503
    assert response["Retry-After"]


def test_a_file_that_is_deleted_meanwhile_gets_no_cover_and_nothing_is_left(person):
    audio_file = make_file(person)
    picture = covers.found(pictures.picture())
    audio_file.delete()
    assert not cover_changes.replace(audio_file, picture)
    removal.remove_due()
    assert names("uploads/") == []


def test_a_cover_whose_row_was_never_written_goes(person, monkeypatch):
    audio_file = make_file(person)
    picture = covers.found(pictures.picture())

    def die(note) -> None:
        raise SystemExit

    monkeypatch.setattr(uploads, "take_back", die)
    with pytest.raises(SystemExit):
        cover_changes.replace(audio_file, picture)
    assert len(names("uploads/")) == 2
    removal.remove_due()
    assert names("uploads/") == [f"uploads/{audio_file.code}/source"]


# --- Gone -----------------------------------------------------------------------------------------


def all_sizes(client: Client, audio_file: AudioFile) -> None:
    for size in (covers.square(96), Size(200, 200), Size(9, 9, box=Box(0, 0, 10, 10))):
        assert client.get(covers.url(audio_file, size)).status_code == 200


def test_removing_a_cover_removes_all_its_sizes(kind_of_bucket, signed_in, person):
    audio_file = make_file(person)
    give_cover(audio_file, pictures.picture())
    all_sizes(signed_in, audio_file)
    assert len(names("variants/")) == 3
    response = signed_in.post(f"/audio/{audio_file.code}/cover/", {"remove": "1"})
    assert response.status_code == 302
    removal.remove_due()
    audio_file.refresh_from_db()
    assert (audio_file.cover, audio_file.cover_width) == ("", None)
    assert names("uploads/") == [f"uploads/{audio_file.code}/source"]
    assert names("variants/") == []


def test_removing_what_is_not_there_is_fine(signed_in, person):
    audio_file = make_file(person)
    for _ in range(2):
        response = signed_in.post(f"/audio/{audio_file.code}/cover/", {"remove": "1"})
        assert response.status_code == 302
    assert not Deletion.objects.exists()


def test_another_cover_takes_the_sizes_of_the_old_one_along(signed_in, with_cover):
    all_sizes(signed_in, with_cover)
    give_cover(with_cover, pictures.picture(colour="gold"))
    signed_in.get(covers.url(with_cover, covers.square(96)))
    removal.remove_due()
    assert names("variants/") == [covers.variant_name(with_cover, covers.square(96))]
    assert with_cover.cover in names("uploads/")


def test_deleting_a_file_deletes_its_cover_and_all_sizes(signed_in, with_cover):
    all_sizes(signed_in, with_cover)
    with_cover.delete()
    removal.remove_due()
    assert names() == []


@pytest.mark.parametrize("whose", ["file", "cover"])
def test_a_size_that_a_slow_browser_reads_to_its_end_after_the_deletion_goes_too(with_cover, whose):
    text = covers.token(with_cover, covers.square(96))
    answer = covers.answer(RequestFactory().get("/any/"), with_cover, text)
    if whose == "file":
        AudioFile.objects.get().delete()
    else:
        cover_changes.remove(with_cover)
    removal.remove_due()
    Deletion.objects.all().delete()  # done

    request_finished.disconnect(close_old_connections)  # the test goes on with this one
    try:
        answer.close()
    finally:
        request_finished.connect(close_old_connections)

    removal.remove_due()
    assert names("variants/") == []


def test_a_cover_is_no_litter_and_a_forgotten_one_is(with_cover):
    put = Picture(b"x", 1, 1, "image/jpeg")
    forgotten = covers.new_name(with_cover.code)
    covers.put(forgotten, put)
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        found = litter.find()
    assert [orphan.name for orphan in found.orphans] == [forgotten]
    assert found.foreign == 0


def clear(*arguments: str) -> str:
    output = StringIO()
    call_command("clear_variants", *arguments, stdout=output)
    return output.getvalue()


def test_clear_variants_removes_sizes_which_are_made_again(kind_of_bucket, signed_in, person):
    files = [make_file(person) for _ in range(2)]
    for audio_file in files:
        give_cover(audio_file, pictures.picture())
        all_sizes(signed_in, audio_file)

    assert "3 sizes of covers were removed." in clear("--file", str(files[0].code))
    assert len(names("variants/")) == 3
    assert "3 sizes of covers were removed." in clear()
    assert names("variants/") == []
    assert len(names("uploads/")) == 4
    all_sizes(signed_in, files[0])
    assert len(names("variants/")) == 3


def test_clear_variants_of_an_empty_store_removes_nothing():
    assert "0 sizes" in clear()
    assert "0 sizes" in clear("--file", str(uuid.uuid4()))


def test_no_cover_leaves_a_temporary_file_behind(signed_in, with_cover):
    all_sizes(signed_in, with_cover)
    bring(signed_in, with_cover, pictures.picture())
    assert not list(Path(site.FILE_UPLOAD_TEMP_DIR).iterdir())
