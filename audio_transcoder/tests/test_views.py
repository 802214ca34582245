"""The pages, through the test client."""

from __future__ import annotations

import io
import uuid
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from audio_transcoder.engines.mediaconvert import requests
from audio_transcoder.models import AudioFile, Deletion, Rendition, TranscodeJob
from audio_transcoder.tests.factories import make_file, make_job, make_person, store_results
from buckets import BucketUnavailable
from tests import sounds

pytestmark = pytest.mark.django_db

UPLOAD = "/audio/upload/"


def upload(client: Client, content: bytes | Path, name: str = "a.mp3", **values: object):
    data = content.read_bytes() if isinstance(content, Path) else content
    file = io.BytesIO(data)
    file.name = name
    values = {"mp3_file": file, "formats": ["wav", "flac"], "token": uuid.uuid4(), **values}
    headers = values.pop("headers", {})
    return client.post(UPLOAD, values, headers=headers)


def nothing_is_left(settings) -> bool:
    objects = [p for p in settings.BUCKETS_DIR.rglob("*") if p.is_file()]
    return (
        not AudioFile.objects.exists()
        and not objects
        and not list(settings.FILE_UPLOAD_TEMP_DIR.iterdir())
    )


def test_an_upload_becomes_a_file_a_job_and_renditions(signed_in, person, mp3):
    response = upload(signed_in, mp3, "Interview.mp3")
    audio_file = AudioFile.objects.get()
    assert response.status_code == 302
    assert response["Location"] == audio_file.get_absolute_url()
    assert audio_file.owner == person
    assert (audio_file.name, audio_file.file_name) == ("Interview", "Interview.mp3")
    assert (audio_file.codec, audio_file.channels, audio_file.sample_rate_hz) == ("mp3", 2, 44100)
    assert audio_file.duration_ms == pytest.approx(1000, abs=60)
    assert audio_file.size_bytes == mp3.stat().st_size
    assert len(audio_file.sha256) == 64
    with audio_file.mp3_file.open() as stored:
        assert stored.read() == mp3.read_bytes()
    job = TranscodeJob.objects.get()
    assert (job.engine, job.engine_id, job.status) == ("elastic", "", "Submitted")
    assert [r.format_name for r in job.renditions.all()] == ["wav", "flac"]
    assert not Deletion.objects.exists()


def test_the_upload_page_ticks_wav_flac_and_mp4(signed_in):
    form = signed_in.get(UPLOAD).context["form"]
    assert form["formats"].value() == ["wav", "flac", "mp4"]


@pytest.mark.parametrize(
    ("selection", "ticked", "made"),
    [
        ("lossless", [], ["flac-exact"]),
        ("small", ["wav", "flac"], ["mp4"]),
        ("old", [], ["mp3"]),
        ("own", ["flac"], ["flac"]),
        ("", ["flac"], ["flac"]),
    ],
)
def test_a_selection_stands_for_its_formats(signed_in, mp3, selection, ticked, made):
    assert upload(signed_in, mp3, selection=selection, formats=ticked).status_code == 302
    job = TranscodeJob.objects.get()
    assert [rendition.format_name for rendition in job.renditions.all()] == made


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"selection": "best"}, "Choose one of the ways that are shown."),
        ({"selection": "own", "formats": []}, "Choose at least one format."),
        ({"formats": []}, "Choose at least one format."),
        ({"selection": "small", "formats": ["../wav"]}, "Select a valid choice."),
    ],
)
def test_formats_that_there_are_not_are_refused_with_a_sentence(
    signed_in, settings, mp3, values, sentence
):
    response = upload(signed_in, mp3, **values)
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert nothing_is_left(settings)


def test_the_form_orders_a_loudness_and_bit_rates(signed_in, mp3):
    with mp3.open("rb") as sound:
        sent = {"mp3_file": sound, "selection": "old", "loudness": "-23", "bitrate_mp3": "64"}
        assert signed_in.post(UPLOAD, sent).status_code == 302
    rendition = Rendition.objects.get()
    assert (rendition.format_name, rendition.variant) == ("mp3", "lufs-23 kbps-64")


@pytest.mark.parametrize("sent", [{"loudness": "-15"}, {"bitrate_mp3": "1e9"}])
def test_a_loudness_or_bit_rate_that_is_none_is_told_beside_its_open_field(signed_in, mp3, sent):
    with mp3.open("rb") as sound:
        answer = signed_in.post(UPLOAD, {"mp3_file": sound, "formats": ["mp3"], **sent})
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == set(sent)
    assert '<details class="upload-options" open>' in answer.text
    assert not AudioFile.objects.exists()


def test_the_upload_page_says_its_limits_before(signed_in, person, settings):
    settings.QUOTA_BYTES, settings.QUOTA_FILES, settings.QUOTA_FILES_PER_DAY = 3 << 20, 4, 3
    settings.MAX_DURATION_S = 3600
    make_file(person, size_bytes=1 << 20)
    page = signed_in.get(UPLOAD).content.decode().replace("\xa0", " ")
    for words in ("up to 2.0 GB a file", "up to 60 minutes of sound", "2.0 MB of your space left",
                  "room for 3 more files", "2 more files today"):  # fmt: skip
        assert words in page
    assert f'data-bytes-left="{2 << 20}"' in page


def test_w14_the_upload_page_costs_few_queries_however_many_files_there_are(
    signed_in, person, settings, django_assert_max_num_queries
):
    settings.QUOTA_BYTES, settings.QUOTA_FILES, settings.QUOTA_FILES_PER_DAY = 1 << 40, 900, 900
    for _ in range(30):
        make_file(person)
    with django_assert_max_num_queries(10):
        assert signed_in.get(UPLOAD).status_code == 200


def test_the_upload_page_alone_lets_a_browser_open_what_was_chosen(signed_in):
    def media_source(path: str) -> str:
        policy = signed_in.get(path)["Content-Security-Policy"]
        return next(part for part in policy.split("; ") if part.startswith("media-src"))

    assert "blob:" in media_source(UPLOAD)
    assert "blob:" not in media_source("/audio/")


def test_a_script_gets_the_address_as_json(signed_in, mp3):
    response = upload(signed_in, mp3, headers={"X-Requested-With": "XMLHttpRequest"})
    assert response.status_code == 201
    assert response.json() == {"location": AudioFile.objects.get().get_absolute_url()}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"ID3", "not_audio"),
        (b"Dear Sir or Madam, " * 100, "not_audio"),
        (b"<!doctype html><title>x</title>", "not_audio"),
    ],
)
def test_u1_u2_f1_what_is_no_sound_is_refused_and_leaves_nothing(
    signed_in, settings, content, reason
):
    response = upload(signed_in, content, headers={"X-Requested-With": "XMLHttpRequest"})
    assert response.status_code == 422
    assert response.json()["reason"] == reason
    assert nothing_is_left(settings)


def test_a_refusal_without_scripts_shows_the_form_with_the_sentence(signed_in):
    response = upload(signed_in, b"Dear Sir or Madam, " * 100)
    assert response.status_code == 422
    assert "not a sound file we know" in response.content.decode()


def test_what_the_engine_of_the_site_does_not_read_is_refused_at_the_form(
    signed_in, settings, tmp_path
):
    settings.TRANSCODER_ENGINE = "mediaconvert"
    aiff = sounds.make(tmp_path / "take.aiff")
    response = upload(signed_in, aiff, headers={"X-Requested-With": "XMLHttpRequest"})
    assert (response.status_code, response.json()["reason"]) == (422, "unsupported_here")
    assert list(response.json()["errors"]) == ["mp3_file"]
    assert nothing_is_left(settings)
    page = upload(signed_in, aiff, formats=["nonsense"]).content.decode()
    assert "upload it as WAV, FLAC or MP3 in stereo." in page
    settings.TRANSCODER_ENGINE = "elastic"
    assert upload(signed_in, aiff).status_code == 302


def test_a_result_that_the_engine_cannot_make_is_refused_at_the_form(
    signed_in, settings, mp3, monkeypatch
):
    settings.TRANSCODER_ENGINE = "mediaconvert"
    monkeypatch.setattr(requests, "RIFF_LIMIT", 100_000)  # bytes: half a second
    response = upload(signed_in, mp3, headers={"X-Requested-With": "XMLHttpRequest"})
    assert (response.status_code, response.json()["reason"]) == (422, "too_long")
    assert upload(signed_in, mp3, formats=["flac"]).status_code == 302


def test_u3_a_declared_length_over_the_limit_is_413_before_the_body_is_read(
    signed_in, settings, mp3
):
    settings.UPLOAD_MAX_BYTES = 1000
    assert upload(signed_in, mp3.read_bytes() * 20).status_code == 413
    assert nothing_is_left(settings)


def test_u4_more_bytes_than_the_limit_end_the_upload(signed_in, settings, mp3):
    settings.UPLOAD_MAX_BYTES = 1000  # within the overhead that a form may have
    assert upload(signed_in, mp3).status_code == 413
    assert nothing_is_left(settings)


def test_u7_u8_the_content_decides_not_the_name(signed_in, mp3):
    assert upload(signed_in, mp3, "x.html").status_code == 302
    audio_file = AudioFile.objects.get()
    assert (audio_file.container, audio_file.original_download_name) == ("mp3", "x.html.mp3")


@pytest.mark.parametrize("name", ["../../etc/x.mp3", "$(id).mp3", "<svg onload=1>.mp3", "-y.mp3"])
def test_u10_u15_u16_a_name_is_text_and_never_part_of_a_key(signed_in, mp3, name):
    response = upload(signed_in, mp3, name)
    audio_file = AudioFile.objects.get()
    assert audio_file.mp3_file.name == f"uploads/{audio_file.code}/source"
    page = signed_in.get(response["Location"]).content.decode()
    assert "<svg onload" not in page


def test_u10_a_typed_name_keeps_its_slashes_and_no_file_is_called_so(signed_in, mp3):
    with mp3.open("rb") as file:
        values = {"mp3_file": file, "name": "AC/DC\u202e live\n 24/7", "formats": ["mp3"]}
        signed_in.post(UPLOAD, values)
    audio_file = AudioFile.objects.get()
    assert audio_file.name == "AC/DC live 24/7"
    assert audio_file.renditions.get().download_name == "AC_DC live 24_7.mp3"


def test_u17_the_same_name_and_bytes_twice_are_two_files(signed_in, mp3):
    upload(signed_in, mp3)
    upload(signed_in, mp3)
    keys = {audio_file.mp3_file.name for audio_file in AudioFile.objects.all()}
    assert len(keys) == 2


@pytest.mark.parametrize("token", ["", "abc", "\0", "1" * 5000])
def test_a_token_that_is_none_refuses_no_file(signed_in, mp3, token):
    assert upload(signed_in, mp3, token=token).status_code == 302


def test_u18_the_same_form_twice_is_one_file(signed_in, mp3):
    token = uuid.uuid4()
    answers = [upload(signed_in, mp3, token=token)["Location"] for _ in range(2)]
    assert answers[0] == answers[1]
    assert AudioFile.objects.count() == TranscodeJob.objects.count() == 1


def test_u19_two_files_in_the_field_are_refused(signed_in, settings, mp3):
    files = [io.BytesIO(mp3.read_bytes()) for _ in range(2)]
    for file in files:
        file.name = "a.mp3"
    response = signed_in.post(UPLOAD, {"mp3_file": files, "formats": ["wav"]})
    assert response.status_code == 422
    assert nothing_is_left(settings)


@pytest.mark.parametrize("extra", [{f"f{n}": "x" for n in range(1001)}])
def test_u19_too_many_fields_are_400(signed_in, mp3, extra):
    assert upload(signed_in, mp3, **extra).status_code == 400


def test_u20_a_missing_file_is_422_and_unknown_fields_are_ignored(signed_in, mp3):
    assert signed_in.post(UPLOAD, {"formats": ["wav"]}).status_code == 422
    other = make_person()
    upload(signed_in, mp3, owner=other.pk, user=other.pk, status="Complete", id="7")
    audio_file = AudioFile.objects.get()
    assert audio_file.owner != other
    assert TranscodeJob.objects.get().status == "Submitted"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        (f"multipart/form-data; boundary={'b' * 300}", b"x"),
        ("multipart/form-data; boundary=b; charset=nonsense", b"--b\r\n\r\n--b--"),
    ],
)
def test_u21_a_broken_multipart_body_is_400_or_422(signed_in, content_type, body):
    response = signed_in.generic("POST", UPLOAD, body, content_type=content_type)
    assert response.status_code in (400, 422)


def test_u22_a_visitor_is_sent_to_sign_in_and_a_script_told_so(client, db, mp3, settings):
    response = upload(client, mp3)
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")
    assert upload(client, mp3, headers={"X-Requested-With": "XMLHttpRequest"}).status_code == 401
    assert nothing_is_left(settings)


def test_u22_a_missing_csrf_token_is_403(person, mp3, settings):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(person)
    assert upload(strict, mp3).status_code == 403
    assert nothing_is_left(settings)


@pytest.mark.parametrize(
    "limit", [{"QUOTA_FILES": 1}, {"QUOTA_BYTES": 10}, {"QUOTA_FILES_PER_DAY": 1}]
)
def test_u23_a_used_up_quota_is_422(signed_in, person, settings, mp3, limit):
    make_file(person, size_bytes=9)
    for name, value in limit.items():
        setattr(settings, name, value)
    response = upload(signed_in, mp3, headers={"X-Requested-With": "XMLHttpRequest"})
    assert response.status_code == 422
    assert response.json()["reason"] == "quota"
    assert AudioFile.objects.count() == 1


def test_s1_a_store_that_is_down_is_503_and_leaves_no_row(signed_in, mp3, monkeypatch):
    def down(*args: object, **kwargs: object) -> None:
        raise BucketUnavailable("down", bucket="local")

    monkeypatch.setattr("audio_transcoder.storages.MediaStorage._save", down)
    response = upload(signed_in, mp3)
    assert response.status_code == 503
    assert response["Retry-After"]
    assert "The store does not answer; nothing was saved." in response.content.decode()
    assert not AudioFile.objects.exists()


def test_a_file_sent_to_another_form_is_not_taken(client, db, settings):
    """Whoever is signed out can write nothing to the disk, on no page."""
    file = io.BytesIO(b"x" * 10_000)
    file.name = "a.mp3"
    for path in ("/", "/accounts/login/", "/messages/read/", "/admin/login/"):
        assert client.post(path, {"mp3_file": file}).status_code < 500
        file.seek(0)
    assert not list(settings.FILE_UPLOAD_TEMP_DIR.iterdir())


@pytest.mark.parametrize("are_deleted", [False, True])
def test_w11_a_flood_of_uploads_is_429_with_retry_after(signed_in, settings, mp3, are_deleted):
    settings.UPLOADS_PER_MINUTE = 2
    for _ in range(2):
        page = upload(signed_in, mp3).url
        if are_deleted:
            assert signed_in.post(f"{page}delete/").status_code == 302
    response = upload(signed_in, mp3)
    assert response.status_code == 429
    assert response["Retry-After"]
    assert AudioFile.objects.count() == (0 if are_deleted else 2)


# --- one file ---------------------------------------------------------------------------------

PAGES = ["detail", "state", "row", "delete"]
ACTIONS = ["order", "retry", "cancel"]


@pytest.mark.parametrize("page", [*PAGES, *ACTIONS])
@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "head"])
def test_w1_somebody_elses_file_is_never_there(signed_in, page, method):
    audio_file = make_job().audio_file
    response = getattr(signed_in, method)(reverse(f"audio:{page}", args=[audio_file.code]))
    assert response.status_code in (404, 405)
    assert AudioFile.objects.filter(pk=audio_file.pk).exists()


def test_a_ready_file_offers_its_renditions_and_the_original(signed_in, person):
    job = make_job(make_file(person, name="Interview"))
    store_results(job)
    job.renditions.update(status="Complete")
    TranscodeJob.objects.filter(pk=job.pk).update(status="Complete")
    page = signed_in.get(job.audio_file.get_absolute_url()).content.decode()
    for rendition in job.renditions.all():
        assert rendition.download_url in page
        response = signed_in.get(rendition.download_url)
        assert b"".join(response.streaming_content) == b"result"
        expected = f'attachment; filename="Interview.{rendition.format.extension}"'
        assert response["Content-Disposition"] == expected
        assert response["Content-Type"] == rendition.format.media_type
        assert response["X-Content-Type-Options"] == "nosniff"
    by_name = reverse("audio:download", args=[job.audio_file.code, "flac"])
    assert signed_in.get(by_name).status_code == 200


def test_the_first_download_of_a_result_is_noted_once(signed_in, person):
    job = make_job(make_file(person), ("wav",))
    store_results(job)
    job.renditions.update(status="Complete")
    rendition = job.renditions.get()

    def noted_after(method: str, url: str, **headers: str) -> object:
        getattr(signed_in, method)(url, headers=headers)
        return job.renditions.get().downloaded_at

    assert noted_after("get", rendition.listen_url) is None
    assert noted_after("head", rendition.download_url) is None
    assert noted_after("get", rendition.download_url, if_none_match="*") is None
    first = noted_after("get", rendition.download_url)
    assert first
    assert noted_after("get", rendition.download_url) == first


def test_the_first_download_of_the_original_is_noted_once(signed_in, person):
    audio_file = make_file(person)

    def noted_after(what: str) -> object:
        signed_in.get(reverse(f"audio:{what}", args=[audio_file.code, "original"]))
        return AudioFile.objects.get().downloaded_at

    assert noted_after("listen") is None
    first = noted_after("download")
    assert first
    assert noted_after("download") == first


@pytest.mark.parametrize("which", ["wav", "nonsense", "..", str(uuid.UUID(int=1)), "x" * 300])
def test_a_result_that_is_not_there_is_404(signed_in, person, which):
    job = make_job(make_file(person))
    url = reverse("audio:download", args=[job.audio_file.code, which])
    assert signed_in.get(url).status_code == 404


def test_polling_goes_on_while_work_is_open_and_ends_with_286(signed_in, person):
    job = make_job(make_file(person))
    url = reverse("audio:state", args=[job.audio_file.code])
    assert signed_in.get(url).status_code == 200
    job.refresh_from_db()
    assert job.watched_at
    TranscodeJob.objects.filter(pk=job.pk).update(status="Complete")
    response = signed_in.get(url)
    assert response.status_code == 286
    assert response["HX-Trigger"] == "messages-changed"


def test_w12_a_poll_without_a_session_is_401(client, person):
    job = make_job(make_file(person))
    url = reverse("audio:state", args=[job.audio_file.code])
    assert client.get(url, headers={"HX-Request": "true"}).status_code == 401


def test_retry_orders_what_failed_and_only_that(signed_in, person):
    job = make_job(make_file(person))
    TranscodeJob.objects.filter(pk=job.pk).update(status="Error")
    job.renditions.filter(format_name="wav").update(status="Complete")
    job.renditions.filter(format_name="flac").update(status="Error")
    signed_in.post(reverse("audio:retry", args=[job.audio_file.code]))
    again = TranscodeJob.objects.exclude(pk=job.pk).get()
    assert [r.format_name for r in again.renditions.all()] == ["flac"]
    signed_in.post(reverse("audio:retry", args=[job.audio_file.code]))
    assert TranscodeJob.objects.count() == 2


def test_w15_ordering_what_is_under_way_orders_nothing(signed_in, person):
    job = make_job(make_file(person), formats=("wav",))
    url = reverse("audio:order", args=[job.audio_file.code])
    for _ in range(2):
        assert signed_in.post(url, {"formats": ["wav", "mp3"]}).status_code == 302
    assert sorted(Rendition.objects.values_list("format_name", flat=True)) == ["mp3", "wav"]
    assert signed_in.post(url, {"formats": ["exe"]}).status_code == 422


def test_cancel_ends_open_jobs(signed_in, person):
    job = make_job(make_file(person))
    url = reverse("audio:cancel", args=[job.audio_file.code])
    for _ in range(2):
        assert signed_in.post(url).status_code == 302
    job.refresh_from_db()
    assert job.status == "Canceled"


def test_deleting_asks_first_and_twice_is_fine(signed_in, person):
    audio_file = make_file(person)
    url = reverse("audio:delete", args=[audio_file.code])
    assert audio_file.name in signed_in.get(url).content.decode()
    assert AudioFile.objects.exists()
    for _ in range(2):
        assert signed_in.post(url).status_code == 302
    assert not AudioFile.objects.exists()


# --- the library ------------------------------------------------------------------------------


def test_the_library_shows_ones_own_files_newest_first(signed_in, person):
    make_file(name="Somebody else's")
    for name in ("First", "Second"):
        make_job(make_file(person, name=name))
    response = signed_in.get("/audio/")
    assert [row["name"] for row in response.context["page_obj"].rows] == ["Second", "First"]
    assert "Somebody" not in response.content.decode()


def test_the_library_searches_by_name(signed_in, person):
    for name in ("Interview", "Concert 100%", "concert_b"):
        make_file(person, name=name)
    names = [row["name"] for row in signed_in.get("/audio/?q=concert").context["page_obj"].rows]
    assert names == ["concert_b", "Concert 100%"]
    assert [row["name"] for row in signed_in.get("/audio/?q=100%25").context["page_obj"].rows] == [
        "Concert 100%"
    ]
    assert signed_in.get("/audio/", {"q": "%_'\\\0"}).status_code == 200


@pytest.mark.parametrize("page", ["abc", "-1", "1000000000", ""])
def test_w7_a_nonsensical_page_number_shows_a_page(signed_in, person, page):
    make_file(person)
    assert signed_in.get("/audio/", {"page": page}).status_code == 200


def test_w14_a_full_library_costs_as_many_queries_as_a_small_one(
    signed_in, person, django_assert_max_num_queries
):
    for _ in range(30):
        make_job(make_file(person))
    with django_assert_max_num_queries(10):
        signed_in.get("/audio/")


def test_w6_a_foreign_host_is_400(client):
    assert client.get("/", headers={"Host": "evil.test"}).status_code == 400


def test_pages_are_private_and_guarded(signed_in, person):
    response = signed_in.get(make_file(person).get_absolute_url())
    assert "no-store" in response["Cache-Control"]
    policy = response["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
