"""Files that came past the web process: taken in, then looked at."""

from __future__ import annotations

import shutil
import uuid
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings as site
from django.utils import timezone

import buckets
from audio_transcoder import steps
from audio_transcoder.engines.base import JobReport, OutputReport
from audio_transcoder.keys import bucket_key
from audio_transcoder.models import AudioFile, TranscodeJob
from audio_transcoder.quotas import OverQuota
from audio_transcoder.tests.factories import make_person
from audio_transcoder.uploads import arrivals
from buckets import BucketUnavailable
from buckets.tests.s3_server import ON_S3
from sound.examination import ExaminerNotStarted
from tests import sounds
from transcode_messages.models import Message

pytest_plugins = ["buckets.tests.s3_server", "buckets.tests.azure_server"]
pytestmark = pytest.mark.django_db

MIB = 1 << 20


@pytest.fixture
def sound_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("arrived")


@pytest.fixture
def long_wav(sound_folder):
    return sounds.make(sound_folder / "long.wav", 15)  # 2.6 MB


def arrive(owner, path, *, code=None, token=None, formats=("wav",), name="", file_name="take.wav"):
    """Lay a copy of ``path`` into the bucket and take it in."""
    code = code or uuid.uuid4()
    bucket = buckets.bucket(site.MEDIA_BUCKET)
    key = bucket_key(f"uploads/{code}/source")
    copy = path.with_name(f"{code}.copy")
    shutil.copyfile(path, copy)
    bucket.put(key, copy, content_type="application/octet-stream")
    return arrivals.take_in(
        owner,
        code=code,
        name=name,
        file_name=file_name,
        info=bucket.stat(key),
        formats=formats,
        token=token or uuid.uuid4(),
    )


def written(folder, content):
    path = folder / f"{uuid.uuid4()}.bin"
    path.write_bytes(content)
    return path


def outcome(audio_file):
    """The reasons of a file's jobs, and how many messages there are."""
    audio_file.refresh_from_db()
    reasons = [job.reason for job in audio_file.jobs.all()]
    return reasons, Message.objects.count(), audio_file.examined_at is not None


def test_a_file_that_arrived_is_not_placed_before_somebody_looked(person, mp3):
    audio_file = arrive(person, mp3)
    waiting = TranscodeJob.objects.waiting_to_be_placed
    assert not waiting(timezone.now()).exists()
    steps.examine()
    assert waiting(timezone.now()).get().audio_file == audio_file


def test_a_small_file_is_looked_at_as_the_form_does(person, mp3):
    audio_file = arrive(person, mp3, file_name="../a/One.mp3")
    assert (audio_file.name, audio_file.file_name) == ("One", "One.mp3")
    steps.examine()
    audio_file.refresh_from_db()
    assert (audio_file.container, audio_file.codec, audio_file.channels) == ("mp3", "mp3", 2)
    assert audio_file.sample_rate_hz == 44100
    assert 900 < audio_file.duration_ms < 1100


def test_of_a_large_file_less_than_a_mebibyte_is_read_and_no_length_is_believed(
    person, long_wav, kind_of_bucket, request
):
    audio_file = arrive(person, long_wav)
    if kind_of_bucket in ON_S3:
        proxy = request.getfixturevalue(f"{kind_of_bucket}_behind_proxy").proxy
        proxy.requests.clear()
    steps.examine()
    audio_file.refresh_from_db()
    assert (audio_file.container, audio_file.codec) == ("wav", "pcm_s16le")
    assert audio_file.duration_ms is None
    if kind_of_bucket in ON_S3:
        gets = [asked.headers["range"] for asked in proxy.asked("GET")]
        assert gets == [f"bytes=0-{arrivals.HEAD_BYTES - 1}"]
        assert arrivals.HEAD_BYTES < MIB


def test_what_its_engine_does_not_read_is_refused_by_the_look(person, sound_folder, settings):
    settings.TRANSCODER_ENGINE = "mediaconvert"
    aiff = arrive(person, sounds.make(sound_folder / "long.aiff", 15))
    wav = arrive(person, sounds.make(sound_folder / "short.wav"))
    settings.TRANSCODER_ENGINE = "elastic"  # an order stays with the engine it was given to
    ours = arrive(person, sounds.make(sound_folder / "short.aiff"))
    steps.examine()
    assert outcome(aiff) == (["unsupported_here"], 1, True)
    assert aiff.jobs.get().detail == "MediaConvert does not read pcm_s16be in aiff."
    assert {outcome(one)[0][0] for one in (wav, ours)} == {""}


def test_the_length_of_a_large_file_is_learned_from_its_result(person, long_wav):
    audio_file = arrive(person, long_wav)
    job = audio_file.jobs.get()
    key = bucket_key(job.renditions.get().file.name)
    done = TranscodeJob.Status.COMPLETE
    output = OutputReport(key=key, status=done, size_bytes=9, duration_ms=15_000)
    job.report(JobReport(engine_id="1", status=done, at=timezone.now(), outputs=[output]))
    audio_file.refresh_from_db()
    assert audio_file.duration_ms == 15_000


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"just text, and a little more of it than a header of a WAV has", "not_audio"),
        (b"PK\x03\x04" + b"zip" * MIB, "not_audio"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2 * MIB), "no_audio"),
        (b"%PDF-1.7" + b"pdf " * MIB, "not_audio"),
        (b"wvpk" + bytes(2 * MIB), "unsupported"),
        (b"no sound at all " * MIB, "not_audio"),
    ],
)
def test_what_is_no_sound_is_refused_as_in_the_form_with_one_message(
    person, sound_folder, content, reason
):
    audio_file = arrive(person, written(sound_folder, content), formats=("wav", "flac"))
    steps.examine()
    steps.examine()
    assert outcome(audio_file) == ([reason], 1, True)
    assert audio_file.jobs.get().reason_sentence in Message.objects.get().text


def test_a_film_without_sound_is_refused_by_its_head(person, sound_folder):
    film = sound_folder / "film.mp4"
    noise = "nullsrc=s=640x480:d=4,geq=random(1)*255:128:128"
    command = [sounds.FFMPEG, "-v", "error", "-f", "lavfi", "-i", noise]
    command += ["-c:v", "mpeg4", "-q:v", "2", "-movflags", "+faststart", str(film)]
    sounds.subprocess.run(command, check=True, timeout=120)
    assert film.stat().st_size > MIB
    audio_file = arrive(person, film)
    steps.examine()
    assert outcome(audio_file) == (["no_audio"], 1, True)


def test_an_mp4_with_its_index_at_the_end_is_left_to_the_engine(person, sound_folder):
    song = sounds.make(sound_folder / "song.m4a", 90, "-b:a", "256k")
    assert song.stat().st_size > MIB
    audio_file = arrive(person, song)
    steps.examine()
    assert outcome(audio_file) == ([""], 0, True)
    # Its first bytes name it, so that the original is handed back as what it is.
    audio_file.refresh_from_db()
    assert (audio_file.container, audio_file.codec) == ("mov", "")
    assert audio_file.original_download_name.endswith(".m4a")


def test_a_song_behind_a_cover_of_two_mebibytes_is_left_to_the_engine(person, sound_folder, mp3):
    size = 2 * MIB
    length = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    tagged = b"ID3\x04\x00\x00" + length + bytes(size) + mp3.read_bytes()
    audio_file = arrive(person, written(sound_folder, tagged))
    steps.examine()
    assert outcome(audio_file) == ([""], 0, True)


def test_a_file_that_is_gone_from_the_store_is_lost(person, mp3):
    audio_file = arrive(person, mp3)
    buckets.bucket(site.MEDIA_BUCKET).delete_prefix("media/")
    steps.examine()
    assert outcome(audio_file) == (["lost"], 1, True)


@pytest.mark.parametrize("kind", ["store", "examiner"])
def test_s3_a_look_that_cannot_be_now_is_repeated_later_and_holds_up_nobody(
    person, mp3, monkeypatch, kind
):
    first = arrive(person, mp3)
    look = arrivals._head

    def look_that_fails(audio_file):
        if audio_file == first:
            if kind == "store":
                raise BucketUnavailable("no answer", bucket="local")
            raise ExaminerNotStarted("no memory")
        return look(audio_file)

    monkeypatch.setattr(arrivals, "_head", look_that_fails)
    second = arrive(person, mp3)
    again = steps.examine()
    assert outcome(first) == ([""], 0, False)
    assert outcome(second) == ([""], 0, True)
    assert timezone.now() < again < timezone.now() + timedelta(seconds=10)
    monkeypatch.setattr(arrivals, "_head", look)
    with time_machine.travel(again + timedelta(seconds=1)):
        steps.examine()
    assert outcome(first)[2]


def test_u18_what_is_taken_in_twice_is_one_file(person, mp3):
    token = uuid.uuid4()
    first = arrive(person, mp3, token=token)
    assert arrive(person, mp3, token=token) == first
    info = buckets.bucket(site.MEDIA_BUCKET).stat(bucket_key(first.mp3_file.name))
    again = arrivals.take_in(
        person,
        code=first.code,
        name="",
        file_name="x.mp3",
        info=info,
        formats=["wav"],
        token=uuid.uuid4(),
    )
    assert again == first
    assert TranscodeJob.objects.count() == 1


def test_u23_a_used_up_quota_keeps_a_file_out(person, mp3, settings):
    settings.QUOTA_FILES = 1
    arrive(person, mp3)
    with pytest.raises(OverQuota):
        arrive(person, mp3)
    arrive(make_person(), mp3)
    assert AudioFile.objects.count() == 2


def test_pages_show_a_file_of_which_nothing_is_known_yet(signed_in, person, mp3):
    audio_file = arrive(person, mp3, file_name="Talk.wav")
    for url in ("/audio/", audio_file.get_absolute_url(), f"/audio/{audio_file.code}/row/"):
        page = signed_in.get(url)
        assert page.status_code == 200
        assert "None" not in page.content.decode()
    original = signed_in.get(f"/audio/{audio_file.code}/download/original/")
    assert original.status_code == 200
    assert b"".join(original.streaming_content) == mp3.read_bytes()


def test_a_file_that_is_deleted_while_it_is_looked_at_leaves_nothing(person, mp3, monkeypatch):
    audio_file = arrive(person, mp3)
    look = arrivals._head

    def delete_and_look(file):
        found = look(file)
        AudioFile.objects.filter(pk=file.pk).remove()
        return found

    monkeypatch.setattr(arrivals, "_head", delete_and_look)
    steps.examine()
    assert not AudioFile.objects.filter(pk=audio_file.pk).exists()
