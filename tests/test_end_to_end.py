"""A file's whole journey on a running installation: real HTTP, real FFmpeg, real processes."""

from __future__ import annotations

import io
import json
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from mutagen.flac import FLAC
from mutagen.id3 import ID3
from mutagen.mp4 import MP4
from PIL import Image

from elastic_transcoder.client import client
from sns.sign import Signer
from tests import pictures, sounds
from tests.s3_events import event_of
from tests.system import Person, System, on_both_kinds, wait_for

pytestmark = [pytest.mark.end_to_end, on_both_kinds]


def renditions(system: System, code: str) -> list[tuple]:
    return system.rows(
        "SELECT r.format_name, r.status, r.size_bytes FROM audio_transcoder_rendition r"
        " JOIN audio_transcoder_audiofile f ON f.id = r.audio_file_id WHERE f.code = ?"
        " ORDER BY r.id",
        code.replace("-", ""),
    )


def code_of(location: str) -> str:
    return re.search(r"/audio/([0-9a-f-]{36})/", location)[1]


def test_an_mp3_becomes_wav_flac_and_mp4_and_its_owner_is_told(
    system: System, person: Person, music: Path, tmp_path: Path
):
    location = person.upload(music)
    person.wait_until_ready()

    assert person.messages() == ["Your file Five seconds is ready."]
    assert "Your file Five seconds is ready." in person.get("/").text
    assert [row[:2] for row in renditions(system, code_of(location))] == [
        ("wav", "Complete"),
        ("flac", "Complete"),
        ("mp4", "Complete"),
    ]
    for format_name in ("wav", "flac", "mp4"):
        answer = person.get(f"{location}download/{format_name}/")
        assert answer.status_code == 200
        assert f'filename="Five seconds.{format_name}"' in answer.headers["Content-Disposition"]
        result = tmp_path / f"result.{format_name}"
        result.write_bytes(answer.content)
        assert sounds.decoded_seconds(result) == pytest.approx(5, abs=0.1)


def test_what_is_called_lossless_is_the_same_to_the_last_sample(
    system: System, person: Person, tmp_path: Path
):
    studio = sounds.make(tmp_path / "Studio.wav", 1, "-ac", "1", "-c:a", "pcm_s24le", rate=96_000)
    page = person.get("/audio/upload/").text
    formats = re.search(r'value="lossless"[^>]* data-formats="([^"]+)"', page)[1].split(",")
    code = code_of(person.upload(studio, tuple(formats)))
    facts = (
        "SELECT r.sample_rate_hz, r.bits, r.channels, r.is_faithful"
        " FROM audio_transcoder_rendition r JOIN audio_transcoder_audiofile f"
        " ON f.id = r.audio_file_id WHERE f.code = ? AND r.is_faithful IS NOT NULL"
    )
    found = wait_for(lambda: system.rows(facts, code.replace("-", "")), "a proof", 120)
    assert found == [(96_000, 24, 1, 1)] * len(formats)


def test_a_cover_of_the_owners_own_is_in_every_result_that_can_hold_one(
    person: Person, music: Path, tmp_path: Path
):
    location = person.upload(music, ("mp3",))
    person.wait_until_ready()
    part = {"left": "0", "top": "0", "width": "100", "height": "100"}
    cover = {"picture": ("front.png", pictures.picture(), "image/png")}
    assert person.post(f"{location}cover/", part, files=cover).ok

    assert person.post(f"{location}label/apply/", {}).ok
    assert person.post(f"{location}order/", {"formats": ["flac", "mp4", "wav"]}).ok
    person.wait_until_ready(3)

    read = {
        "mp3": lambda path: ID3(path).getall("APIC")[0].data,
        "flac": lambda path: FLAC(path).pictures[0].data,
        "mp4": lambda path: MP4(path)["covr"][0],
    }
    for name, picture_of in read.items():
        path = tmp_path / f"result.{name}"
        path.write_bytes(person.get(f"{location}download/{name}/").content)
        with Image.open(io.BytesIO(picture_of(path))) as image:
            assert image.size == (400, 200), name


def test_both_wires_are_real_http(system: System, person: Person, music: Path):
    person.upload(music, ("flac",))
    person.wait_until_ready()
    # A line is written after its answer was sent.
    for request in (
        r"POST /2012-09-25/jobs .*\b201\b.*signed",
        r"POST /transcode-complete/ .*\b200\b",
    ):
        wait_for(lambda: re.search(request, system.access_log()), request)  # noqa: B023


def test_the_original_comes_back_byte_for_byte(person: Person, music: Path):
    location = person.upload(music, ("mp3",))
    answer = person.get(f"{location}download/original/")
    assert answer.content == music.read_bytes()
    assert 'filename="Five seconds.mp3"' in answer.headers["Content-Disposition"]


def test_w1_somebody_elses_file_and_message_are_not_there(
    system: System, person: Person, music: Path
):
    location = person.upload(music, ("flac",))
    person.wait_until_ready()
    stranger = Person(system, f"{person.name}-stranger").sign_up()

    for path in ("", "state/", "row/", "delete/", "download/flac/", "download/original/"):
        assert stranger.get(location + path).status_code == 404, path
    for path in ("retry/", "cancel/", "delete/", "order/"):
        answer = stranger.post(location + path, {"formats": "wav"}, allow_redirects=False)
        assert answer.status_code == 404, path
    assert stranger.messages() == []
    assert "is ready." not in stranger.get("/messages/").text
    assert person.get(f"{location}download/flac/").status_code == 200


def test_deleting_a_file_leaves_no_object_and_no_row(system: System, person: Person, music: Path):
    location = person.upload(music)
    person.wait_until_ready()
    code = code_of(location)
    assert [path for path in system.objects() if code in path]

    person.post(f"{location}delete/", {})

    wait_for(lambda: not [path for path in system.objects() if code in path], "empty folders")
    assert system.count("audio_transcoder_audiofile", f"code = '{code.replace('-', '')}'") == 0
    assert person.messages() == []
    assert person.get(location).status_code == 404


def test_deleting_a_file_in_the_middle_of_its_job_leaves_nothing(
    system: System, person: Person, long_music: Path
):
    location = person.upload(long_music)
    code = code_of(location)
    in_hex = code.replace("-", "")
    at_work = (
        "SELECT 1 FROM audio_transcoder_transcodejob job "
        "JOIN audio_transcoder_audiofile file ON file.id = job.audio_file_id "
        "WHERE file.code = ? AND job.status = 'Progressing'"
    )
    # Any FFmpeg would do otherwise: one may listen to the file of another test.
    wait_for(lambda: system.rows(at_work, in_hex) and system.ffmpeg_pids(), "FFmpeg at work")

    person.post(f"{location}delete/", {})

    note = f"about = '{in_hex}'"
    assert system.count("audio_transcoder_deletion", note) == 1
    wait_for(lambda: not system.ffmpeg_pids(), "the end of FFmpeg", 180)
    wait_for(lambda: not system.count("audio_transcoder_deletion", note), "the deletion's end", 120)
    assert [path for path in system.objects() if code in path] == []
    assert person.messages() == []


def test_u18_the_same_form_sent_twice_is_one_file(system: System, person: Person, music: Path):
    page = person.get("/audio/upload/")
    token = re.search(r'name="token" value="([0-9a-f-]+)"', page.text)[1]
    locations = []
    for _ in range(2):
        answer = person.post(
            "/audio/upload/",
            {"token": token, "formats": ["flac"]},
            files={"mp3_file": ("a.mp3", music.read_bytes(), "audio/mpeg")},
            allow_redirects=False,
        )
        assert answer.status_code == 302
        locations.append(answer.headers["Location"])
    assert locations[0] == locations[1]


def test_what_is_no_sound_is_refused_with_a_sentence_and_leaves_nothing(
    system: System, person: Person
):
    before = system.objects_at_rest()
    page = person.get("/audio/upload/")
    token = re.search(r'name="token" value="([0-9a-f-]+)"', page.text)[1]
    answer = person.post(
        "/audio/upload/",
        {"token": token, "formats": ["flac"]},
        files={"mp3_file": ("letter.mp3", b"Dear Sir or Madam, " * 500, "audio/mpeg")},
    )
    assert answer.status_code == 422
    assert "not a sound file we know" in answer.text
    assert set(system.objects()) <= set(before)


def test_an_old_client_needs_nothing_but_the_endpoint(system: System, music: Path, tmp_path: Path):
    """The API as a service of its own: a bucket, a key pair and boto3."""
    secrets = system.secrets()
    api = client(
        endpoint_url=system.url,
        region_name="eu-west-1",
        access_key_id=secrets["TRANSCODER_ACCESS_KEY_ID"],
        secret_access_key=secrets["TRANSCODER_SECRET_ACCESS_KEY"],
    )
    system.write_object("by-hand/in.mp3", music.read_bytes())
    pipelines = api.list_pipelines()["Pipelines"]
    [pipeline] = [one for one in pipelines if one["Name"] == "Audio Files"]

    job = api.create_job(
        PipelineId=pipeline["Id"],
        Input={"Key": "by-hand/in.mp3"},
        Outputs=[{"Key": "by-hand/out.flac", "PresetId": "1351620000001-300110"}],
    )["Job"]
    api.get_waiter("job_complete").wait(Id=job["Id"], WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    read = api.read_job(Id=job["Id"])["Job"]
    assert read["Status"] == "Complete"
    assert read["Progress"] == 100
    assert read["Output"]["DurationMillis"] == pytest.approx(5000, abs=100)
    result = tmp_path / "out.flac"
    result.write_bytes(system.read_object("by-hand/out.flac"))
    assert sounds.decoded_seconds(result) == pytest.approx(5, abs=0.1)


# --- Without a browser --------------------------------------------------------------------------


def test_a_file_dropped_into_the_bucket_is_in_its_owners_library_and_converted(
    system: System, person: Person, music: Path
):
    """The notice that tells of it is signed and posted as SNS does."""
    key = f"media/intake/{person.name}/Dropped song.mp3"
    system.write_object(key, music.read_bytes())
    event = event_of(key, bucket=system.bucket, size=music.stat().st_size, etag="")
    signer = Signer(
        *((system.data_dir / f"sns.{kind}.pem").read_bytes() for kind in ("key", "cert"))
    )
    signed = signer.notification(
        topic_arn="arn:aws:sns:eu-west-1:000000000000:transcode-complete",
        subject="Amazon S3 Notification",
        message=json.dumps(event),
        message_id=uuid.uuid4(),
        timestamp=datetime.now(UTC),
        subscriber=f"{system.url}/transcode-complete/",
    )
    address = f"{system.url}/transcode-complete/"
    assert requests.post(address, signed.body, headers=signed.headers, timeout=10).ok

    person.wait_until_ready()
    assert person.messages() == ["Your file Dropped song is ready."]
    assert key not in system.objects()
    [(code,)] = system.rows(
        "SELECT f.code FROM audio_transcoder_audiofile f JOIN auth_user u ON u.id = f.owner_id"
        " WHERE u.username = ?",
        person.name,
    )
    location = f"/audio/{uuid.UUID(code)}/"
    assert person.get(f"{location}download/original/").content == music.read_bytes()
    assert {row[:2] for row in renditions(system, code)} == {
        ("wav", "Complete"),
        ("flac", "Complete"),
        ("mp4", "Complete"),
    }


def test_imported_files_are_converted_and_stay_where_they_were(
    system: System, person: Person, music: Path
):
    output = system.manage("import_audio", str(music), "--owner", person.name, "--formats", "flac")
    assert "1 taken." in output.stdout
    person.wait_until_ready()
    assert person.messages() == ["Your file Five seconds is ready."]
    assert music.exists()
