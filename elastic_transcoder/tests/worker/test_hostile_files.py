"""Strange, broken and hostile sources, through the whole worker: a proven result or a reason."""

import hashlib
import random
import struct
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from elastic_transcoder import presets, worker
from elastic_transcoder.models import Job
from elastic_transcoder.tests.conftest import FLAC, MP3, MP4, WAV, run_ffmpeg
from elastic_transcoder.tests.worker.test_worker import (
    FLAC_KEEP,
    WAV_24,
    details,
    fake_ffmpeg,
    keys,
)
from elastic_transcoder.worker import attempt, ffmpeg
from sound import probe
from sound.tests.test_hostile_files import COVERS, PICTURE, SVG, picture_block, with_blocks
from sound.tests.test_probe import png, wav

BENCH = Path(__file__).parent / "data" / "flac"


def decoded(path: Path, *arguments: str) -> bytes:
    """Every sample as FFmpeg by itself decodes it, 32 bits each."""
    command = [ffmpeg.binary(), "-v", "error", "-i", str(path), *arguments, "-f", "s32le", "-"]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def assert_ended_well_or_said_why(job: Job) -> None:
    """Complete with everything in its place, or every failure with a code and a reason."""
    assert job.status in ("Complete", "Error")
    stored = keys()
    for output in job.outputs.all():
        assert (output.final_key in stored) == (output.status == "Complete"), details(job)
        if output.status == "Error":
            assert output.status_detail.startswith(f"{output.error_code} ")
            assert output.status_detail.endswith("]")


# --- the FLAC test bench ----------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCH.glob("subset-*.flac")))
def test_f7_an_ordinary_flac_keeps_every_sample(submit, transcode, result, name):
    source = BENCH / f"{name}.flac"
    job = transcode(submit(source, FLAC_KEEP, WAV))
    kept, wav_file = job.outputs.all()
    assert job.status == "Complete", details(job)
    if probe.probe(source).channels <= 2:
        assert decoded(result(kept)) == decoded(source)
    # STREAMINFO: the total number of samples in 36 bits. Source: RFC 9639, section 8.2.
    total = int.from_bytes(source.read_bytes()[21:26]) & (1 << 36) - 1
    assert len(decoded(result(kept), "-ac", "1")) // 4 == total
    assert wav_file.duration_ms == kept.duration_ms


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in BENCH.glob("*.flac") if not path.stem.startswith("subset"))
)
def test_f7_an_uncommon_or_faulty_flac_ends_in_a_result_or_a_reason(submit, transcode, name):
    assert_ended_well_or_said_why(transcode(submit(BENCH / f"{name}.flac", FLAC, MP4)))


# --- rates, channels, samples -----------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 11025, 35467, 134560, 192000, 384000])
def test_f10_any_rate_becomes_one_that_the_preset_allows(submit, transcode, result, tmp_path, rate):
    noise = random.Random(rate).randbytes(4 * rate)
    job = transcode(submit(wav(channels=2, rate=rate, data=noise), WAV, MP3, MP4, FLAC_KEEP))
    assert job.status == "Complete", details(job)
    for output in job.outputs.all():
        sound = probe.probe(result(output))
        assert sound.duration_ms == pytest.approx(1000, abs=100)
        assert sound.sample_rate_hz <= 384_000


@pytest.mark.parametrize("channels", [1, 3, 5, 6, 7, 8])
def test_f11_any_number_of_channels_is_converted(submit, transcode, channels):
    source = wav(channels=channels, data=random.Random(channels).randbytes(channels * 88200))
    job = transcode(submit(source, WAV, MP3, MP4))
    assert job.status == "Complete", details(job)
    for output in job.outputs.all():
        assert ("audio channels" in output.status_detail) == (channels > 2)


@pytest.mark.parametrize("channels", [0, 65535])
def test_f11_an_impossible_number_of_channels_is_damage(submit, transcode, channels):
    job = transcode(submit(wav(channels=channels), WAV))
    assert details(job)[0][1] == 4007
    assert details(job)[0][2].endswith("[damaged]")


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_f32le", "pcm_mulaw", "adpcm_ms", "pcm_s32le"])
def test_f12_the_same_samples_get_the_same_answer_every_time(submit, tone, transcode, codec):
    source = tone("a.wav", "-c:a", codec)
    ends = set()
    for _ in range(2):
        job = transcode(submit(source, WAV, FLAC))
        assert job.status == "Complete", details(job)
        ends.add(tuple(output.sha256 for output in job.outputs.all()))
    assert len(ends) == 1


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_f13_a_wav_with_a_wrong_size_is_converted_as_long_as_it_is(submit, transcode, size):
    job = transcode(submit(wav(data=bytes(88200), size=size), WAV, MP3))
    assert job.status == "Complete", details(job)
    assert {abs(output.duration_ms - 1000) < 60 for output in job.outputs.all()} == {True}


# --- what else is in the file -----------------------------------------------------------------


def test_f5_a_megabyte_of_junk_in_the_middle_ends_in_a_result_or_a_reason(submit, tone, transcode):
    for name in ("a.mp3", "a.flac", "a.ogg", "a.m4a"):
        whole = tone(name, "-ac", "2", seconds=4).read_bytes()
        junk = random.Random(5).randbytes(1_000_000)
        middle = len(whole) // 2
        job = transcode(submit(whole[:middle] + junk + whole[middle:], WAV))
        assert_ended_well_or_said_why(job)


GLUED = b"TAG" + bytes(125) + b"<html><script>alert('glued')</script></html>" + b"PK\3\4glued" * 50


def test_f6_what_is_glued_to_a_sound_reaches_no_result(submit, tone, transcode, result):
    for name in ("a.mp3", "a.flac", "a.wav"):
        whole = tone(name, "-ac", "2", seconds=2).read_bytes()
        job = transcode(submit(whole + GLUED, WAV, FLAC, MP4, MP3))
        assert job.status == "Complete", details(job)
        for output in job.outputs.all():
            content = result(output).read_bytes()
            assert b"glued" not in content
            assert b"<script" not in content


@pytest.mark.parametrize("kind", COVERS)
def test_f15_a_cover_never_reaches_a_result(submit, tone, transcode, result, kind):
    source = with_blocks(tone("a.flac").read_bytes(), (PICTURE, picture_block(*COVERS[kind])))
    job = transcode(submit(source, FLAC, MP4, MP3))
    assert job.status == "Complete", details(job)
    for output in job.outputs.all():
        content = result(output).read_bytes()
        assert SVG not in content
        assert b"<html" not in content
        assert not probe.probe(result(output)).has_picture


def test_f14_a_huge_cover_is_left_out_and_that_is_said(submit, tone, transcode, tmp_path, result):
    cover = png(16_000, 16_000)
    source = with_blocks(tone("a.flac").read_bytes(), (PICTURE, picture_block(b"image/png", cover)))
    job = transcode(submit(source, FLAC))
    output = job.outputs.get()
    assert job.status == "Complete", details(job)
    assert "Artwork of the input was left out." in output.status_detail
    assert result(output).stat().st_size < len(cover)


def test_f16_tags_beyond_all_measure_are_cut_in_the_result(submit, tone, transcode, result):
    comments = [b"TAG%d=%s" % (number, b"x" * 5000) for number in range(500)]
    items = b"".join(struct.pack("<I", len(one)) + one for one in comments)
    block = struct.pack("<I", 1) + b"x" + struct.pack("<I", len(comments)) + items
    plain = tone("a.flac", "-ac", "2")
    job = transcode(submit(with_blocks(plain.read_bytes(), (4, block)), FLAC, MP3))
    assert job.status == "Complete", details(job)
    assert result(job.outputs.first()).stat().st_size < plain.stat().st_size + 200_000


def test_f17_a_tag_cannot_add_another(submit, tone, transcode, result):
    title = "a\ncomment=injected\n[STREAM]\n;x\\=y=z#\u202e"
    source = tone("a.flac", "-metadata", f"title={title}")
    job = transcode(submit(source, FLAC, MP4, MP3))
    for output in job.outputs.all():
        tags = probe.probe(result(output)).tags
        assert "comment" not in tags
        assert tags["title"] == "a comment=injected [STREAM] ;x\\=y=z#"


@pytest.mark.parametrize(
    "title",
    [
        "No space left on device",
        "File too large",
        "[in#0/mp3 @ 0x5e] [error] No space left on device",
        "Input stream #0:0 (audio): (0 samples)",
        "Reconfiguring filter graph",
    ],
)
def test_a_title_that_speaks_like_ffmpeg_is_not_believed(submit, tone, transcode, title):
    source = tone("a.mp3", "-metadata", f"title={title}", "-metadata", f"artist=x\n{title}")
    job = submit(source, WAV)
    job.inputs[0]["TimeSpan"] = {"StartTime": "0.5"}
    job.save(update_fields=["inputs"])
    assert transcode(job).status == "Complete", details(job)


def test_f2_f26_a_choice_among_tracks_is_said(submit, tone, transcode, tmp_path):
    one, two = str(tone("a.mp3", "-ac", "2")), str(tone("b.flac", "-ac", "2", seconds=3))
    tracks, video = tmp_path / "two.mka", tmp_path / "v.mp4"
    run_ffmpeg("-i", one, "-i", two, "-map", "0:a", "-map", "1:a", "-c", "copy", str(tracks))
    moving = ["-f", "lavfi", "-i", "testsrc=duration=1:size=64x64"]
    run_ffmpeg(*moving, "-i", one, "-shortest", str(video))
    job = transcode(submit(tracks, WAV))
    assert job.status == "Complete", details(job)
    assert job.outputs.get().duration_ms == pytest.approx(1000, abs=100)
    said = "The input has 2 sound tracks; the first one was used."
    assert job.outputs.get().status_detail == said
    job = transcode(submit(video, WAV))
    assert job.outputs.get().status_detail == "The input is a video; its sound was used."


@pytest.mark.parametrize("kind", ["hls", "concat"])
def test_f19_a_playlist_that_reaches_the_worker_is_no_sound(submit, tone, transcode, kind):
    from sound.tests.test_probe import PLAYLISTS

    text = PLAYLISTS[kind].format(url="http://127.0.0.1:9/x", file=tone("a.wav"), port=9)
    job = transcode(submit(text.encode(), WAV))
    assert details(job)[0][1] == 4000
    assert details(job)[0][2].endswith("[not_audio]")


def test_f9_a_bomb_is_refused_before_a_byte_is_written(submit, transcode, settings, tmp_path):
    """A minute of silence in eight channels at 192 kHz: half a megabyte, and 184 as WAV."""
    settings.OUTPUT_MAX_BYTES = 100_000_000
    bomb = tmp_path / "bomb.flac"
    run_ffmpeg("-f", "lavfi", "-i", "anullsrc=r=192000:cl=7.1", "-t", "60", str(bomb))
    wav_keep = {**WAV_24, "Audio": {**WAV_24["Audio"], "Channels": "auto", "SampleRate": "auto"}}
    job = transcode(submit(bomb, wav_keep, MP3))
    large, small = details(job)
    if large[0] == "Error":
        assert large[1] == 4002
        assert large[2].endswith("[too_long]")
    else:  # the preset has a lower rate or fewer channels, and so a smaller result
        assert job.outputs.first().size_bytes < settings.OUTPUT_MAX_BYTES
    assert small[0] == "Complete"


# --- FFmpeg and worker ------------------------------------------------------------------------


def test_f21_f23_a_worker_goes_on_after_a_file_that_crashes_ffmpeg(
    submit, tone, transcode, settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(worker.ffmpeg, "check", lambda: None)
    real = settings.FFMPEG_BINARY
    fake_ffmpeg(settings, tmp_path, "kill -ABRT $$")
    assert details(transcode(submit(tone("a.wav"), WAV)))[0][:2] == ("Error", 4007)
    settings.FFMPEG_BINARY = real
    assert transcode(submit(tone("a.wav"), WAV)).status == "Complete"


def test_f24_a_job_log_has_no_path_and_no_control_character(submit, tone, transcode, settings):
    content = bytearray(tone("a.mp3", "-ac", "2", seconds=4).read_bytes())
    chance = random.Random(1)
    for _ in range(len(content) // 50):
        content[chance.randrange(1000, len(content))] ^= 0xFF
    job = transcode(submit(bytes(content), WAV))
    assert len(job.log.encode()) <= 2048
    assert str(settings.WORK_DIR) not in job.log
    assert all(line.isprintable() for line in job.log.splitlines())


@pytest.mark.django_db(transaction=True)
def test_k17_columns_and_settings_of_a_newer_version_are_ignored(submit, tone, transcode):
    newer = presets.system_preset(FLAC).settings | {"Loudness": {"Target": "-23"}}
    job = submit(tone("a.wav", "-ac", "2"), newer, user_metadata={"of": "a newer one"})
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE elastic_transcoder_job ADD COLUMN priority integer DEFAULT 7")
        cursor.execute("ALTER TABLE elastic_transcoder_joboutput ADD COLUMN loudness text")
    try:
        transcode(job)
        assert job.status == "Complete", details(job)
        with connection.cursor() as cursor:
            cursor.execute("SELECT priority FROM elastic_transcoder_job")
            assert cursor.fetchall() == [(7,)]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elastic_transcoder_job DROP COLUMN priority")
            cursor.execute("ALTER TABLE elastic_transcoder_joboutput DROP COLUMN loudness")


def test_s15_the_recorded_hash_is_that_of_the_stored_result(submit, tone, transcode, result):
    job = transcode(submit(tone("a.wav", "-ac", "2"), WAV, MP4))
    for output in job.outputs.all():
        assert hashlib.sha256(result(output).read_bytes()).hexdigest() == output.sha256


@pytest.mark.parametrize("hours", [-24, 24])
def test_d6_a_clock_that_is_set_while_a_job_runs_does_not_move_its_limits(
    submit, tone, transcode, monkeypatch, hours
):
    """A limit counted by the wall clock would be over at once, or never."""
    convert = attempt.conversion.convert

    def with_another_clock(*arguments, **options):
        with time_machine.travel(timezone.now() + timedelta(hours=hours), tick=True):
            return convert(*arguments, **options)

    monkeypatch.setattr(attempt.conversion, "convert", with_another_clock)
    job = transcode(submit(tone("long.flac", "-ac", "2", seconds=60), MP3))
    assert job.status == "Complete", details(job)
