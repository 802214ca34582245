"""Uploads as nobody should send them: names, bodies, types and moments."""

from __future__ import annotations

import errno
import gzip
import io
import re
import uuid
import zipfile
from functools import partial
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, transaction
from django.test import Client

from audio_transcoder import uploads
from audio_transcoder.models import AudioFile, Deletion, TranscodeJob
from audio_transcoder.tests.factories import client_of, make_file, make_person
from audio_transcoder.tests.test_views import UPLOAD, nothing_is_left, upload
from buckets import BucketDenied
from sound.tests.test_probe import png
from tests import sounds
from tests.at_once import at_once

pytestmark = pytest.mark.django_db

SCRIPT = {"X-Requested-With": "XMLHttpRequest"}
SOURCE_KEY = re.compile(r"uploads/[0-9a-f-]{36}/source")


def part(name: str, content: bytes, *headers: bytes, disposition: bytes = b"") -> bytes:
    disposition = disposition or f'form-data; name="{name}"'.encode()
    lines = [b"--b", b"Content-Disposition: " + disposition, *headers, b"", content]
    return b"\r\n".join(lines) + b"\r\n"


def post_parts(client: Client, *parts: bytes, end: bytes = b"--b--\r\n", **headers: str):
    """Post a multipart body byte for byte as it stands here."""
    return client.generic(
        "POST",
        UPLOAD,
        b"".join(parts) + end,
        content_type="multipart/form-data; boundary=b",
        headers=headers,
    )


def post_named(client: Client, disposition: bytes, content: bytes):
    file = part("", content, b"Content-Type: audio/mpeg", disposition=disposition)
    return post_parts(client, part("formats", b"wav"), file)


# --- what is in the file ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "name"), [("text/html", "a.mp3"), ("image/png", "x.png"), ("nonsense", "a")]
)
def test_u7_an_mp3_is_taken_whatever_it_is_declared_as(signed_in, mp3, declared, name):
    file = part(
        "",
        mp3.read_bytes(),
        b"Content-Type: " + declared.encode(),
        disposition=f'form-data; name="mp3_file"; filename="{name}"'.encode(),
    )
    assert post_parts(signed_in, part("formats", b"wav"), file).status_code == 302
    assert AudioFile.objects.get().container == "mp3"


def test_u7_a_program_is_refused_although_it_says_audio(signed_in, settings):
    program = b"\x7fELF\2\1\1" + bytes(5000)
    response = upload(signed_in, program, "a.mp3", headers=SCRIPT)
    assert (response.status_code, response.json()["reason"]) == (422, "not_audio")
    assert nothing_is_left(settings)


def test_u8_a_wav_named_mp3_is_a_wav_and_a_picture_is_none(signed_in, settings, tmp_path):
    response = upload(signed_in, png(64, 64), "song.mp3", headers=SCRIPT)
    assert (response.status_code, response.json()["reason"]) == (422, "no_audio")
    assert nothing_is_left(settings)
    wav = sounds.make(tmp_path / "a.wav", 1)
    assert upload(signed_in, wav, "song.mp3").status_code == 302
    audio_file = AudioFile.objects.get()
    assert (audio_file.container, audio_file.original_download_name) == ("wav", "song.wav")


@pytest.mark.parametrize(
    ("name", "shown_as"),
    [
        ("a.mp3.php", "a.mp3.php.mp3"),
        ("a.mp3.html", "a.mp3.html.mp3"),
        ("a.svg", "a.svg.mp3"),
        ("a", "a.mp3"),
        ("A.MP3", "A.mp3"),
        ("a.exe", "a.exe.mp3"),
    ],
)
def test_u9_s11_a_download_has_the_extension_and_type_of_what_it_is(signed_in, mp3, name, shown_as):
    location = upload(signed_in, mp3, name)["Location"]
    for way in ("download", "listen"):
        answer = signed_in.get(f"{location}{way}/original/")
        assert answer["Content-Disposition"] == f'attachment; filename="{shown_as}"'
        assert answer["Content-Type"] == "audio/mpeg"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert b"".join(answer.streaming_content) == mp3.read_bytes()


def test_f6_what_is_glued_to_a_sound_leaves_as_an_attachment_only(signed_in, mp3):
    polyglot = mp3.read_bytes() + b"<html><script>alert(1)</script></html>"
    location = upload(signed_in, polyglot)["Location"]
    for way in ("download", "listen"):
        answer = signed_in.get(f"{location}{way}/original/")
        assert answer["Content-Disposition"].startswith("attachment")
        assert answer["Content-Type"] == "audio/mpeg"
        assert answer["X-Content-Type-Options"] == "nosniff"


def test_u24_packed_sounds_are_not_unpacked(signed_in, settings, mp3):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.mp3", mp3.read_bytes())
    for content in (packed.getvalue(), gzip.compress(mp3.read_bytes())):
        response = upload(signed_in, content, headers=SCRIPT)
        assert (response.status_code, response.json()["reason"]) == (422, "not_audio")
    assert nothing_is_left(settings)


def test_u24_a_packed_request_is_415(signed_in, settings, mp3):
    assert upload(signed_in, mp3, headers={"Content-Encoding": "gzip"}).status_code == 415
    assert nothing_is_left(settings)


def test_f25_the_page_names_the_kinds_that_the_transcoder_takes(signed_in):
    from audio_transcoder.formats import SOURCES
    from sound import kinds

    page = signed_in.get(UPLOAD).content.decode()
    assert set(SOURCES) == set(kinds.DEMUXERS)
    for label, _extension, _media_type in SOURCES.values():
        assert label in page


def test_f25_the_page_names_no_kind_that_the_engine_of_the_site_does_not_take(signed_in, settings):
    settings.TRANSCODER_ENGINE = "mediaconvert"
    kinds = "MP3, WAV, FLAC, M4A, AAC, Ogg, Opus, WMA, WebM, MKA, MPEG-TS"
    assert f">{kinds}<" in signed_in.get(UPLOAD).content.decode()
    refused = upload(signed_in, b"Dear Sir or Madam, " * 100, headers=SCRIPT).json()
    assert refused["message"] == f"This is not a sound file we know. We take {kinds}."


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/x.mp3", "x.mp3"),
        ("/abs.mp3", "abs.mp3"),
        ("a/b.mp3", "b.mp3"),
        ("..\\..\\x.mp3", "x.mp3"),
        ("%2e%2e%2fx.mp3", "%2e%2e%2fx.mp3"),
        ("http://h/x.mp3", "x.mp3"),
    ],
)
def test_u10_a_path_in_a_name_is_cut_to_its_last_part(signed_in, mp3, sent, kept):
    disposition = f'form-data; name="mp3_file"; filename="{sent}"'.encode()
    assert post_named(signed_in, disposition, mp3.read_bytes()).status_code == 302
    audio_file = AudioFile.objects.get()
    assert audio_file.file_name == kept
    assert SOURCE_KEY.fullmatch(audio_file.mp3_file.name)


@pytest.mark.parametrize(
    "filename", [b"a\r\nX-Evil: 1\r\n b.mp3", b"a\0b.mp3", b"a\x1b[31mb.mp3", b"a\tb.mp3"]
)
def test_u11_control_characters_in_a_name_split_nothing(signed_in, mp3, filename, caplog):
    disposition = b'form-data; name="mp3_file"; filename="' + filename + b'"'
    response = post_named(signed_in, disposition, mp3.read_bytes())
    if response.status_code == 422:  # the parser found no file in it
        assert not AudioFile.objects.exists()
        return
    assert response.status_code == 302
    audio_file = AudioFile.objects.get()
    assert audio_file.file_name.isprintable()
    answer = signed_in.get(f"{response['Location']}download/original/")
    assert "X-Evil" not in answer.headers
    assert not re.search(r"[\r\n\0\x1b]", answer["Content-Disposition"])
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_u11_a_name_that_ends_at_a_line_break_still_works(signed_in, mp3):
    disposition = b'form-data; name="mp3_file"; filename="x\r\n.mp3"'
    response = post_named(signed_in, disposition, mp3.read_bytes())
    assert response.status_code == 302
    audio_file = AudioFile.objects.get()
    assert '"' not in audio_file.name.strip('"') or audio_file.name.isprintable()
    assert signed_in.get(f"{response['Location']}download/original/").status_code == 200


def test_u12_names_that_look_the_same_are_two_files(signed_in, mp3):
    for name in ("Caf\u00e9\u202egnp.mp3", "Cafe\u0301gnp\u200b.mp3"):
        assert upload(signed_in, mp3, name).status_code == 302
    first, second = AudioFile.objects.all()
    assert first.file_name == second.file_name == "Caf\u00e9gnp.mp3"
    assert first.mp3_file.name != second.mp3_file.name


@pytest.mark.parametrize("length", [255, 300, 1000])
@pytest.mark.parametrize("letter", ["x", "\N{GRINNING FACE}"])
def test_u13_s11_a_long_name_makes_the_whole_round(signed_in, mp3, length, letter):
    response = upload(signed_in, mp3, letter * length + ".mp3")
    assert response.status_code == 302
    audio_file = AudioFile.objects.get()
    assert audio_file.file_name.endswith(".mp3")
    assert set(audio_file.name) == {letter}
    assert len(audio_file.mp3_file.name) < 100
    assert signed_in.get(response["Location"]).status_code == 200
    answer = signed_in.get(f"{response['Location']}download/original/")
    assert answer["Content-Disposition"].startswith("attachment; filename")
    assert b"".join(answer.streaming_content) == mp3.read_bytes()


@pytest.mark.parametrize("name", [b".", b"..", b""])
def test_u14_a_name_that_is_none_is_no_file(signed_in, settings, mp3, name):
    disposition = b'form-data; name="mp3_file"; filename="' + name + b'"'
    response = post_named(signed_in, disposition, mp3.read_bytes())
    assert response.status_code == 422
    assert "Choose a file" in response.content.decode()
    assert nothing_is_left(settings)


def test_u14_a_name_of_one_space_is_untitled(signed_in, mp3):
    disposition = b'form-data; name="mp3_file"; filename=" "'
    response = post_named(signed_in, disposition, mp3.read_bytes())
    assert response.status_code == 302
    assert AudioFile.objects.get().name == "untitled"


TOOLS_NAMES = [
    "-y.mp3",
    "concat:a|b",
    "%03d.wav",
    "$(id).mp3",
    "|sh",
    "file:x",
    "CON.mp3",
    "`id`.mp3",
    "a;reboot.mp3",
    "*.mp3",
]


@pytest.mark.parametrize("name", TOOLS_NAMES)
def test_u15_a_name_that_means_something_to_a_tool_is_text(signed_in, mp3, name):
    response = upload(signed_in, mp3, name)
    assert response.status_code == 302
    audio_file = AudioFile.objects.get()
    assert audio_file.file_name == name
    assert SOURCE_KEY.fullmatch(audio_file.mp3_file.name)
    for rendition in audio_file.renditions.all():
        assert re.fullmatch(r"renditions/[0-9a-f/-]+/(wav|flac)\.(wav|flac)", rendition.file.name)


HOSTILE = ["<svg onload=1>", "{{7*7}}", "javascript:x", "=cmd()", '"><img src=x onerror=1>']


@pytest.mark.parametrize("name", HOSTILE)
def test_u16_w5_a_name_is_shown_as_text_on_every_page(client, mp3, name):
    """The person's pages, their messages, the answers to scripts, and the admin."""
    operator = get_user_model().objects.create_superuser("operator")
    client.force_login(operator)
    response = upload(client, mp3, name=name)
    audio_file = AudioFile.objects.get()
    assert audio_file.name == name.rpartition("/")[2]
    job = audio_file.jobs.get()
    job.time_out()
    pages = [
        "/audio/",
        response["Location"],
        f"{response['Location']}row/",
        f"{response['Location']}state/",
        f"{response['Location']}delete/",
        "/messages/",
        "/admin/audio_transcoder/audiofile/",
        f"/admin/audio_transcoder/audiofile/{audio_file.pk}/change/",
        f"/admin/audio_transcoder/transcodejob/{job.pk}/change/",
        "/admin/transcode_messages/message/",
    ]
    for page in pages:
        text = client.get(page).content.decode()
        assert "<svg onload" not in text, page
        assert "<img src=x" not in text, page
        assert ">49<" not in text, page
        assert 'href="javascript:' not in text, page


# --- the same again ---------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_u18_d4_the_same_form_from_four_tabs_at_once_is_one_file(person, mp3):
    token, clients = uuid.uuid4(), [client_of(person) for _ in range(4)]
    answers = at_once(*(partial(upload, client, mp3, token=token) for client in clients))
    assert {answer.status_code for answer in answers} == {302}
    assert len({answer["Location"] for answer in answers}) == 1
    assert AudioFile.objects.count() == TranscodeJob.objects.count() == 1
    # What the others had stored is noted to be removed, and nothing of the one that counts.
    kept = AudioFile.objects.get()
    assert all(str(kept.code) not in str(note.prefixes) for note in Deletion.objects.all())


@pytest.mark.django_db(transaction=True)
def test_u23_ten_uploads_at_once_win_the_last_free_place_once(person, mp3, settings):
    make_file(person)
    settings.QUOTA_FILES = 2
    clients = [client_of(person) for _ in range(10)]
    answers = at_once(*(partial(upload, client, mp3, headers=SCRIPT) for client in clients))
    assert sorted(answer.status_code for answer in answers) == [201] + [422] * 9
    assert AudioFile.objects.filter(owner=person).count() == 2


@pytest.mark.django_db(transaction=True)
def test_w15_two_tabs_that_order_the_same_make_it_once(person):
    audio_file = make_file(person)
    clients = [client_of(person) for _ in range(4)]
    url = f"{audio_file.get_absolute_url()}order/"
    answers = at_once(*(partial(client.post, url, {"formats": ["wav"]}) for client in clients))
    assert {answer.status_code for answer in answers} == {302}
    assert TranscodeJob.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_w15_two_tabs_that_delete_the_same_are_both_answered_calmly(person):
    audio_file = make_file(person)
    clients = [client_of(person) for _ in range(4)]
    url = f"{audio_file.get_absolute_url()}delete/"
    answers = at_once(*(partial(client.post, url) for client in clients))
    assert {answer.status_code for answer in answers} == {302}
    assert not AudioFile.objects.exists()
    assert Deletion.objects.count() == 1


# --- bodies -----------------------------------------------------------------------------------


def test_u19_a_hundred_and_one_files_are_400(signed_in, settings, mp3):
    files = [
        part("", b"x", disposition=b'form-data; name="f"; filename="a.mp3"') for _ in range(101)
    ]
    assert post_parts(signed_in, part("formats", b"wav"), *files).status_code == 400
    assert nothing_is_left(settings)


@pytest.mark.parametrize(
    ("body", "end"),
    [
        (part("mp3_file", b"x", b"X-Long: " + b"x" * 1024**2), b"--b--\r\n"),
        (
            part(
                "",
                b"!!! no base64 !!!",
                b"Content-Transfer-Encoding: base64",
                disposition=b'form-data; name="mp3_file"; filename="a.mp3"',
            ),
            b"--b--\r\n",
        ),
        (
            part("", b"x", disposition=b'form-data; name="mp3_file"; filename*=utf-8\'%ZZ'),
            b"--b--\r\n",
        ),
        (
            part("", b"x", disposition=b"form-data; name=\"mp3_file\"; filename*=nonsense''%FF"),
            b"--b--\r\n",
        ),
        (b"--b\r\n" * 10_000, b""),
        (b"", b"--b--\r\n"),
        (b"\0" * 5000, b""),
    ],
    ids=["long header", "base64", "bad filename*", "bad charset", "boundaries", "empty", "zeros"],
)
def test_u21_a_broken_body_is_refused_and_leaves_nothing(signed_in, settings, body, end):
    assert post_parts(signed_in, body, end=end).status_code in (400, 422)
    assert nothing_is_left(settings)


def test_u21_a_file_in_base64_is_decoded_or_refused_but_never_taken_as_it_came(
    signed_in, settings, mp3
):
    import base64

    file = part(
        "",
        base64.encodebytes(mp3.read_bytes()),
        b"Content-Transfer-Encoding: base64",
        disposition=b'form-data; name="mp3_file"; filename="a.mp3"',
    )
    response = post_parts(signed_in, part("formats", b"wav"), file)
    if response.status_code == 302:
        with AudioFile.objects.get().mp3_file.open() as stored:
            assert stored.read() == mp3.read_bytes()
    else:
        assert response.status_code in (400, 422)
        assert nothing_is_left(settings)


def test_u5_a_missing_closing_boundary_is_no_upload(signed_in, settings, mp3):
    file = part("", mp3.read_bytes(), disposition=b'form-data; name="mp3_file"; filename="a.mp3"')
    response = post_parts(signed_in, part("formats", b"wav"), file[:-2000], end=b"")
    assert response.status_code in (400, 422)
    if response.status_code == 422:
        assert "the upload broke off" in response.content.decode()
    assert nothing_is_left(settings)


def test_u4_a_body_of_no_declared_length_is_413(signed_in, settings):
    response = signed_in.generic(
        "POST",
        UPLOAD,
        b"x" * 1000,
        content_type="multipart/form-data; boundary=b",
        HTTP_TRANSFER_ENCODING="chunked",
    )
    assert response.status_code == 413
    assert nothing_is_left(settings)


# --- moments ----------------------------------------------------------------------------------


def test_u22_an_account_disabled_while_its_upload_arrives_gets_403(
    signed_in, person, settings, mp3, monkeypatch
):
    receive = uploads.HashingUploadHandler.receive_data_chunk

    def disable(self, *arguments: object) -> None:
        get_user_model().objects.filter(pk=person.pk).update(is_active=False)
        receive(self, *arguments)

    monkeypatch.setattr(uploads.HashingUploadHandler, "receive_data_chunk", disable)
    assert upload(signed_in, mp3).status_code == 403
    assert nothing_is_left(settings)


def test_u22_a_form_of_another_site_is_403(person, mp3, settings):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(person)
    token = re.search(
        r'name="csrfmiddlewaretoken" value="(\w+)"', strict.get(UPLOAD).content.decode()
    )[1]
    foreign = {"Origin": "https://evil.test"}
    answer = upload(strict, mp3, csrfmiddlewaretoken=token, headers=foreign)
    assert answer.status_code == 403
    assert nothing_is_left(settings)
    own = {"Origin": "http://testserver"}
    assert upload(strict, mp3, csrfmiddlewaretoken=token, headers=own).status_code == 302


def test_s13_a_disk_that_fills_up_while_an_upload_arrives_is_503(
    signed_in, settings, mp3, monkeypatch
):
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(uploads.HashingUploadHandler, "receive_data_chunk", full)
    response = upload(signed_in, mp3)
    assert response.status_code == 503
    assert response["Retry-After"]
    assert nothing_is_left(settings)


def test_s4_a_store_that_refuses_us_is_503_one_alarm_and_no_detail(
    signed_in, settings, mp3, monkeypatch, caplog
):
    def refuse(*_arguments: object, **_options: object) -> None:
        raise BucketDenied("RequestTimeTooSkewed AKIAEXAMPLE", bucket="local")

    monkeypatch.setattr("audio_transcoder.storages.MediaStorage._save", refuse)
    response = upload(signed_in, mp3)
    assert response.status_code == 503
    assert b"AKIA" not in response.content
    assert [record.levelname for record in caplog.records if record.levelno > 30] == ["ERROR"]
    assert nothing_is_left(settings)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("moment", ["at the row", "at the commit"])
def test_d1_d2_a_database_that_goes_away_at_the_end_leaves_nothing_behind(
    signed_in, mp3, monkeypatch, moment
):
    def gone(*_arguments: object, **_options: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patch:
        if moment == "at the row":
            patch.setattr(AudioFile, "save", gone)
        else:
            commit = transaction.Atomic.__exit__

            def fail_after_the_order(self, kind, *rest: object) -> None:
                ours = kind is None and TranscodeJob.objects.exists()
                if ours:
                    commit(self, OperationalError, OperationalError("gone"), None)
                    gone()
                return commit(self, kind, *rest)

            patch.setattr(transaction.Atomic, "__exit__", fail_after_the_order)
        response = upload(signed_in, mp3)
    assert response.status_code == 503
    assert response["Retry-After"]
    assert not AudioFile.objects.exists()
    assert not TranscodeJob.objects.exists()  # so nothing is ordered from an engine
    assert Deletion.objects.get().prefixes  # and the object is noted to go

    from audio_transcoder import steps

    steps.delete()
    assert not [path for path in _objects() if path.is_file()]


def _objects() -> list[Path]:
    from django.conf import settings

    return list(Path(settings.BUCKETS_DIR).rglob("*"))


def test_w7_an_unknown_order_of_the_library_is_ignored(signed_in, person):
    make_file(person)
    assert signed_in.get("/audio/", {"sort": "nonsense", "order": "-1"}).status_code == 200


@pytest.mark.parametrize("page", ["", "state/", "row/", "delete/"])
def test_w16_private_pages_are_kept_by_no_cache(signed_in, person, page):
    location = make_file(person).get_absolute_url()
    for address in (location + page, "/audio/", UPLOAD, "/messages/"):
        policy = signed_in.get(address)["Cache-Control"]
        assert "private" in policy
        assert "no-store" in policy


@pytest.mark.parametrize("way", ["download", "listen"])
@pytest.mark.parametrize("method", ["get", "head", "post", "put", "delete"])
def test_w1_the_sound_of_somebody_else_is_never_there(signed_in, way, method):
    audio_file = make_file(make_person())
    answer = getattr(signed_in, method)(f"{audio_file.get_absolute_url()}{way}/original/")
    assert answer.status_code in (404, 405)


@pytest.mark.parametrize("field", ["name", "formats"])
def test_d12_what_is_longer_than_its_column_is_refused_by_the_form(signed_in, settings, mp3, field):
    disposition = b'form-data; name="mp3_file"; filename="a.mp3"'
    parts = {"formats": b"wav", field: b"x" * 1000}
    fields = [part(name, value) for name, value in parts.items()]
    file = part("", mp3.read_bytes(), disposition=disposition)
    assert post_parts(signed_in, *fields, file).status_code == 422
    assert nothing_is_left(settings)
