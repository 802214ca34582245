"""Tags: read from an upload, cleaned, and edited by the file's owner."""

from __future__ import annotations

import dataclasses
import re

import pytest

from audio_transcoder import tags
from audio_transcoder.models import AudioFile
from audio_transcoder.tests.factories import make_file, make_person
from audio_transcoder.tests.test_views import upload
from sound.probe import Sound
from tests import pictures

pytestmark = pytest.mark.django_db

WRITTEN = {
    "title": "Night & Day",
    "artist": "AC/DC",
    "album": "Café",
    "date": "2019-05-01",
    "track": "3/12",
}
SHOWN = {
    "title": "Night & Day",
    "artist": "AC/DC",
    "album": "Café",
    "year": "2019-05-01",
    "track": "3/12",
}


def values(audio_file: AudioFile) -> dict[str, str]:
    return AudioFile.objects.filter(pk=audio_file.pk).values(*tags.TAGS).get()


def said(**found: str) -> dict[str, str]:
    sound = Sound("mp3", "mp3", 44100, 2, None, 1000, False, found, 0, False, 1)
    return tags.of(sound)


@pytest.mark.parametrize("kind", ["mp3", "flac", "m4a"])
def test_an_upload_keeps_its_tags(signed_in, tmp_path, kind):
    upload(signed_in, pictures.sound_with(tmp_path / f"a.{kind}", pictures.picture(), **WRITTEN))
    assert values(AudioFile.objects.get()) == SHOWN


def test_of_dates_and_tracks_only_what_is_one_is_kept():
    assert said(date="2019-05-01T10:00:00Z")["year"] == "2019-05-01"
    assert said(date="2019-13")["year"] == "2019"
    assert said(date="last year", year="1987")["year"] == "1987"
    assert said(track="07")["track"] == "07"
    assert said(track="one", date="=1+1") == dict.fromkeys(tags.TAGS, "")


def test_f17_tags_are_text_in_one_line_without_what_cannot_be_seen():
    found = said(
        title="a\r\nb\x00\N{RIGHT-TO-LEFT OVERRIDE}c",
        artist="<script>alert(1)</script>",
        album="x" * 1000,
    )
    assert found["title"] == "abc"
    assert found["artist"] == "<script>alert(1)</script>"  # escaped where it is shown
    assert found["album"] == "x" * 255


def test_what_is_there_is_not_overwritten_by_a_look():
    audio_file = make_file(title="Mine")
    sound = Sound(
        "mp3", "mp3", 44100, 2, None, 1000, False, {"title": "Its", "artist": "A"}, 0, False, 1
    )
    tags.learn(audio_file, dataclasses.replace(sound))
    assert values(audio_file)["title"] == "Mine"
    assert values(audio_file)["artist"] == "A"


def edit(client, audio_file: AudioFile, **changed: str):
    return client.post(f"/audio/{audio_file.code}/tags/", {**SHOWN, **changed})


def test_the_owner_edits_tags(signed_in, person):
    audio_file = make_file(person, title="Old")
    page = signed_in.get(f"/audio/{audio_file.code}/tags/")
    assert page.status_code == 200
    assert 'value="Old"' in page.text

    response = edit(signed_in, audio_file, album="  New  name ")
    assert response.status_code == 302
    assert response["Location"] == audio_file.get_absolute_url()
    assert values(audio_file) == {**SHOWN, "album": "New name"}


def test_two_pages_open_at_once_keep_what_the_other_one_saved(signed_in, person):
    audio_file = make_file(person, artist="Ada")
    address = f"/audio/{audio_file.code}/tags/"
    shown = shown_by(signed_in, address)
    assert signed_in.post(address, shown | {"title": "New"}).status_code == 302
    # A mistake on the way changes nothing of what this page had shown at first.
    refused = signed_in.post(address, shown | {"album": "Blue", "year": "soon"})
    assert refused.status_code == 422
    again = fields_in(refused.text) | {"year": ""}
    assert signed_in.post(address, again).status_code == 302
    signed_in.post(address, shown | {"artist": ""})
    found = values(audio_file)
    assert (found["title"], found["album"], found["artist"]) == ("New", "Blue", "")
    audio_file.refresh_from_db()
    assert audio_file.edited_tags == "album,artist,title"


def shown_by(client, address: str) -> dict[str, str]:
    return fields_in(client.get(address).text)


def fields_in(page: str) -> dict[str, str]:
    """What a browser would send of the form of tags."""
    form = page[page.index('/tags/"') :]
    inputs = re.findall(r"<input [^>]+>", form[: form.index("</form>")])
    found = {}
    for one in inputs:
        parts = dict(re.findall(r'(\w+)="([^"]*)"', one))
        found[parts["name"]] = parts.get("value", "")
    return found


def test_every_tag_may_be_emptied(signed_in, person):
    audio_file = make_file(person, **SHOWN)
    edit(signed_in, audio_file, **dict.fromkeys(SHOWN, ""))
    assert set(values(audio_file).values()) == {""}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("year", "soon"),
        ("year", "20191"),
        ("year", "٢٠١٩"),
        ("track", "A1"),
        ("track", "12345"),
        ("title", "x" * 256),
        ("title", "a\0b"),
    ],
)
def test_a_tag_that_cannot_be_is_422_and_told_at_its_field(signed_in, person, field, value):
    audio_file = make_file(person)
    response = edit(signed_in, audio_file, **{field: value})
    assert response.status_code == 422
    assert f'aria-describedby="id_{field}_' in response.text
    assert 'aria-invalid="true"' in response.text
    assert set(values(audio_file).values()) == {""}


def test_f17_what_was_typed_is_shown_as_text(signed_in, person):
    audio_file = make_file(person)
    edit(signed_in, audio_file, title='"><img src=x onerror=alert(1)>')
    page = signed_in.get(f"/audio/{audio_file.code}/tags/").text
    assert "<img src=x" not in page
    assert "&#34;&gt;&lt;img src=x" in page


def test_w1_tags_of_somebody_else_are_never_there(signed_in):
    audio_file = make_file(make_person())
    address = f"/audio/{audio_file.code}/tags/"
    for method in ("get", "post", "put", "delete", "head"):
        assert getattr(signed_in, method)(address).status_code in (404, 405)
    assert edit(signed_in, audio_file).status_code == 404
    assert set(values(audio_file).values()) == {""}


def test_tags_of_a_file_that_is_gone_are_404(signed_in, person):
    audio_file = make_file(person)
    audio_file.delete()
    assert edit(signed_in, audio_file).status_code == 404
