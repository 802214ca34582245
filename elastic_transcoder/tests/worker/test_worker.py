import errno
import json
import math
import os
import random
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from buckets import (
    BucketDenied,
    BucketMissing,
    BucketUnavailable,
    FolderBucket,
    ObjectExists,
    bucket,
)
from elastic_transcoder import worker
from elastic_transcoder.models import Job, JobOutput, Notice
from elastic_transcoder.tests.conftest import FLAC, MP3, MP4, WAV, run_ffmpeg
from elastic_transcoder.worker import (
    attempt,
    claims,
    conversion,
    encoding,
    failures,
    in_hand,
    intake,
    workspace,
)
from elastic_transcoder.worker.hold import Hold
from sound import probe
from sound.examination import Examiner

KEEP = {"SampleRate": "auto", "Channels": "auto"}
WAV_24 = {"Container": "wav", "Audio": {"Codec": "pcm", "CodecOptions": {"BitDepth": "24"}} | KEEP}
FLAC_KEEP = {"Container": "flac", "Audio": {"Codec": "flac"} | KEEP}


def details(job: Job) -> list[tuple]:
    return [(one.status, one.error_code, one.status_detail) for one in job.outputs.all()]


def keys() -> set[str]:
    try:
        return set(bucket("out").keys(""))
    except BucketMissing:
        return set()


def fake_ffmpeg(settings, folder: Path, text: str) -> None:
    """Put a program in FFmpeg's place that may do something first, then becomes FFmpeg."""
    path = folder / "fake-ffmpeg"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    settings.FFMPEG_BINARY = str(path)


# --- What is made -----------------------------------------------------------------------------


def test_one_input_becomes_every_ordered_result(submit, tone, transcode, result):
    source = tone("a.mp3", "-ac", "2", "-b:a", "128k", "-metadata", "title=Töne", seconds=2)
    job = transcode(submit(source, WAV, FLAC, MP4, MP3))
    assert job.status == "Complete", details(job)
    assert job.progress == 100
    for output in job.outputs.all():
        sound = probe.probe(result(output))
        assert output.status == "Complete"
        assert output.status_detail == ""
        assert abs(sound.duration_ms - 2000) <= 100
        assert abs(output.duration_ms - 2000) <= 100
        assert output.size_bytes == result(output).stat().st_size
        assert len(output.sha256) == 64
        assert sound.tags["title"] == "Töne"
        assert (sound.channels, sound.sample_rate_hz) == (2, 44100)
    assert [notice.state for notice in job.notices.all()] == ["PROGRESSING", "COMPLETED"]
    assert job.start_time_ms <= job.finish_time_ms
    assert (job.lease_owner, job.lease_until) == ("", None)


def test_the_input_is_described_once_it_was_looked_at(submit, tone, transcode):
    source = tone("a.mp3", "-ac", "2")
    job = transcode(submit(source, WAV))
    assert job.inputs[0]["DetectedProperties"] == {
        "FileSize": source.stat().st_size,
        "DurationMillis": 1000,
    }


def test_f28_lossless_to_lossless_is_held_sample_for_sample(
    submit, tone, transcode, result, monkeypatch
):
    sources = []
    prove = attempt.proof.prove

    def spy(recipe, source, examiner):
        sources.append((source, recipe.sound_hash is not None))
        return prove(recipe, source, examiner)

    monkeypatch.setattr(attempt.proof, "prove", spy)
    job = transcode(submit(tone("a.flac", "-ac", "2"), WAV, FLAC, MP4))
    assert job.status == "Complete", details(job)
    assert [is_copy for _, is_copy in sources] == [True, True, False]
    assert len(sources[0][0].sound_sha256) == 64


def test_f28_24_bits_stay_24_bits(submit, tone, transcode, result):
    source = tone("a24.wav", "-c:a", "pcm_s24le", "-ac", "2", rate=96000)
    job = transcode(submit(source, WAV_24, FLAC_KEEP))
    assert job.status == "Complete", details(job)
    assert {probe.probe(result(output)).bits for output in job.outputs.all()} == {24}


def test_f2_the_sound_of_a_video_is_taken(submit, tone, transcode, tmp_path):
    video = tmp_path / "v.mp4"
    run_ffmpeg(
        "-f", "lavfi", "-i", "testsrc=duration=1:size=64x64", "-i", str(tone("a.wav")),
        "-shortest", str(video),
    )  # fmt: skip
    assert transcode(submit(video, WAV)).status == "Complete"


@pytest.mark.parametrize("name", ["a.m4a", "a.ogg", "a.opus", "a.aiff", "a.wma", "a.mka", "a.aac"])
def test_every_kind_that_is_taken_is_converted(submit, tone, transcode, name):
    arguments = ["-c:a", "libopus"] if name == "a.opus" else []
    job = transcode(submit(tone(name, *arguments), WAV, MP4))
    assert job.status == "Complete", details(job)


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("v.ts", ("mpeg2video", "aac")),
        ("v.mpg", ("mpeg2video", "mp2")),
        ("v.vob", ("mpeg2video", "ac3")),
        ("v.flv", ("flv1", "libmp3lame")),
        ("v.mxf", ("mpeg2video", "pcm_s16le")),
        ("v.mkv", ("mpeg4", "flac")),
        ("v.mov", ("mpeg4", "pcm_s16be")),
        ("v.3gp", ("mpeg4", "aac")),
        ("v.wmv", ("wmv2", "wmav2")),
        ("v.webm", ("libvpx", "libvorbis")),
    ],
)
def test_the_sound_of_every_kind_of_video_that_is_taken_is_converted(
    submit, transcode, tmp_path, name, codecs
):
    video = tmp_path / name
    run_ffmpeg(
        "-f", "lavfi", "-i", "testsrc=duration=2:size=320x240:rate=25", "-f", "lavfi", "-i",
        "sine=duration=2:sample_rate=48000", "-c:v", codecs[0], "-c:a", codecs[1], "-ac", "2",
        str(video),
    )  # fmt: skip
    job = transcode(submit(video, WAV, MP4))
    assert job.status == "Complete", details(job)
    for output in job.outputs.all():
        assert abs(output.duration_ms - 2000) < 150
        assert output.status_detail == "The input is a video; its sound was used."


def test_f4_what_is_left_of_a_cut_file_is_converted(submit, tone, transcode):
    for name in ("a.mp3", "a.flac", "a.wav"):
        whole = tone(name, "-ac", "2", seconds=4).read_bytes()
        job = transcode(submit(whole[: len(whole) * 6 // 10], WAV, MP4))
        output = job.outputs.first()
        if job.status == "Complete":
            assert 1900 < output.duration_ms < 3000
        else:
            assert output.error_code in (4007, 9999), details(job)


def test_f5_a_flipped_file_ends_with_a_result_or_a_reason(submit, tone, transcode):
    chance = random.Random(7)
    content = bytearray(tone("a.mp3", "-ac", "2", seconds=4).read_bytes())
    for _ in range(len(content) * 8 // 1000):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    job = transcode(submit(bytes(content), WAV))
    output = job.outputs.get()
    assert job.status in ("Complete", "Error")
    assert (output.final_key in keys()) == (job.status == "Complete")


def test_an_mp3_that_changes_its_rate_is_converted(submit, tone, transcode):
    first = tone("a.mp3", "-ac", "2", "-b:a", "128k", seconds=2).read_bytes()
    second = tone("b.mp3", "-ac", "2", "-b:a", "128k", seconds=2, rate=48000).read_bytes()
    job = transcode(submit(first + second, WAV, MP4))
    for output in job.outputs.all():
        if output.status == "Complete":
            assert abs(output.duration_ms - 4000) < 150
        else:
            assert output.status_detail.endswith("[bad_result]"), details(job)
    assert job.outputs.get(number=1).status == "Complete", details(job)


def test_f11_downmixing_is_said_in_a_warning(submit, tone, transcode, pipeline, settings):
    topic = next(iter(settings.TRANSCODER_TOPICS))
    pipeline.notifications |= {"Warning": topic}
    pipeline.save()
    job = transcode(submit(tone("six.wav", "-ac", "6"), MP3))
    output = job.outputs.get()
    assert output.status == "Complete"
    assert output.status_detail == "The input has 6 audio channels, the output 2 channels."
    states = [notice.state for notice in job.notices.all()]
    assert states == ["PROGRESSING", "WARNING", "COMPLETED"]


def test_a_warning_tells_of_no_failure(submit, tone, transcode, pipeline, settings):
    topic = next(iter(settings.TRANSCODER_TOPICS))
    pipeline.notifications |= {"Warning": topic}
    pipeline.save()
    without_sound = {"Container": "mxf", "Audio": {"Codec": "pcm"} | KEEP}
    job = transcode(submit(tone("six.wav", "-ac", "6"), without_sound, MP3))
    failed, downmixed = job.outputs.all()
    assert (failed.error_code, downmixed.status) == (4008, "Complete")
    warning = json.loads(job.notices.get(state="WARNING").message)
    assert warning["messageDetails"] == downmixed.status_detail
    assert [one.get("statusDetail") for one in warning["outputs"]] == [
        None,
        downmixed.status_detail,
    ]


def id3_with_cover(declared: bytes, content: bytes) -> bytes:
    """Return an ID3v2.3 tag with one picture. Source: ID3v2.3.0, section 4.15."""
    picture = b"\0" + declared + b"\0\3\0" + content
    frame = b"APIC" + len(picture).to_bytes(4) + b"\0\0" + picture
    size = len(frame)
    length = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + length + frame


@pytest.mark.parametrize(
    ("declared", "content"),
    [
        (b"image/png", b"<html><script>alert(1)</script></html>" * 50),
        (b"image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        (b"image/jpeg", b"\xff\xd8\xff\xe0" + b"\0" * 5000),
        (b"image/png", b"\x89PNG\r\n\x1a\n" + b"\xff" * 20_000_000),
    ],
    ids=["html", "svg", "broken", "large"],
)
def test_f15_a_cover_that_is_no_picture_is_left_out(
    submit, tone, transcode, result, declared, content
):
    mp3 = tone("a.mp3", "-ac", "2").read_bytes()
    job = transcode(submit(id3_with_cover(declared, content) + mp3, FLAC, MP3))
    assert job.status == "Complete", details(job)
    for output in job.outputs.all():
        made = result(output)
        assert not probe.probe(made).has_picture
        assert content[:30] not in made.read_bytes()


def test_f6_what_is_appended_never_reaches_a_result(submit, tone, transcode, result):
    tail = b"<html><script>alert(1)</script></html>" * 10 + b"PK\3\4" + b"zipped" * 100
    job = transcode(submit(tone("a.mp3", "-ac", "2").read_bytes() + tail, WAV, MP4, MP3))
    assert job.status == "Complete", details(job)
    for output in job.outputs.all():
        assert b"alert(1)" not in result(output).read_bytes()


def test_long_results_are_proven_beside_each_other(submit, tone, transcode, monkeypatch):
    monkeypatch.setattr(attempt, "LONG_MS", 500)
    monkeypatch.setattr(attempt.os, "cpu_count", lambda: 3)
    job = transcode(submit(tone("a.flac", "-ac", "2"), WAV, FLAC, MP4, MP3))
    assert job.status == "Complete", details(job)
    assert len(keys()) == 4


# --- What is refused --------------------------------------------------------------------------


def wav_header_only() -> bytes:
    return b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x44\xac\0\0\x88\x58\1\0\2\0\x10\0data\0\0\0\0"


@pytest.mark.parametrize(
    ("content", "code", "ending"),
    [
        (b"", 4000, "[empty]"),
        (b"only text, and nothing else\n" * 100, 4000, "[not_audio]"),
        (random.Random(2).randbytes(100_000), 4000, "[not_audio]"),
        (b"RIFF" + b"\0" * 60, 4000, "[not_audio]"),
        (wav_header_only(), 4008, "[no_audio]"),
        (b"fLaC" + b"\xff" * 2000, 4007, "[damaged]"),
        (b"MThd" + bytes(2000), 4006, "[unsupported]"),
    ],
    ids=["empty", "text", "noise", "short", "header", "damaged", "midi"],
)
def test_f1_f3_every_refusal_has_its_code_and_reason(submit, transcode, content, code, ending):
    job = transcode(submit(content, WAV, MP4))
    assert job.status == "Error"
    for status, error_code, detail in details(job):
        assert (status, error_code) == ("Error", code)
        assert detail.startswith(f"{code} ")
        assert detail.endswith(ending)
    assert keys() == set()


def test_f8_too_long_a_sound_is_stopped_by_the_decoders_clock(
    submit, tone, transcode, settings, monkeypatch
):
    """The probe saw nothing wrong; the limit falls when the job runs."""
    settings.MAX_DURATION_S = 20
    probed = probe.probe

    def blind(path, *, examiner=None):
        settings.MAX_DURATION_S = 10**6
        found = probed(path, examiner=examiner)
        settings.MAX_DURATION_S = 20
        return found

    monkeypatch.setattr(intake.probe, "probe", blind)
    source = tone("long.flac", "-ac", "2", seconds=120)
    job = transcode(submit(source, MP3))
    assert details(job)[0][1] == 4002
    assert details(job)[0][2].endswith("[too_long]")
    assert keys() == set()


def test_f9_a_result_beyond_the_budget_is_refused_and_the_others_are_made(
    submit, tone, transcode, settings
):
    settings.OUTPUT_MAX_BYTES = 3_000_000
    job = transcode(submit(tone("a.flac", "-ac", "2", seconds=20), WAV, MP3))
    wav, mp3 = details(job)
    assert wav[:2] == ("Error", 4002)
    assert wav[2].endswith("[too_long]")
    assert mp3[0] == "Complete"
    assert job.status == "Error"


def test_f9_the_budget_also_holds_while_writing(submit, tone, transcode, settings, monkeypatch):
    settings.OUTPUT_MAX_BYTES = 1_000_000
    # The prediction is wrong, because the header lies.
    monkeypatch.setattr(attempt, "SLACK_BYTES", 0)
    monkeypatch.setattr(encoding.Encoding, "predicted_bytes_per_s", 0)
    job = transcode(submit(tone("a.flac", "-ac", "2", seconds=20), WAV, MP3))
    wav, mp3 = details(job)
    assert (wav[1], mp3[0]) == (4002, "Complete"), details(job)


def test_s6_a_missing_source_is_3001_at_once(submit, transcode):
    bucket("in").put("other", Path(__file__), content_type="text/plain")
    job = transcode(submit(None, WAV, MP4, key="gone"))
    assert job.status == "Error"
    assert {code for _, code, _ in details(job)} == {3001}
    assert details(job)[0][2].endswith("bucket=in, key=gone.")
    assert job.attempts == 1
    assert [notice.state for notice in job.notices.all()] == ["PROGRESSING", "ERROR"]


def test_a_missing_input_bucket_is_3005(submit, transcode):
    assert details(transcode(submit(None, WAV, key="gone")))[0][1] == 3005


class Broken:
    """A bucket whose every call fails, in the outside world's way."""

    name = "broken"

    def __init__(self, error: type[Exception]) -> None:
        self.error = error("it is so", bucket="broken")

    def __getattr__(self, name: str):
        def fail(*_args, **_kwargs):
            raise self.error

        return fail


@pytest.mark.parametrize(("error", "code"), [(BucketDenied, 3003), (BucketMissing, 3005)])
def test_a_source_that_may_not_be_read_is_an_error(
    submit, tone, transcode, monkeypatch, error, code
):
    job = submit(tone("a.wav"), WAV)
    real = intake.buckets.bucket
    monkeypatch.setattr(
        intake.buckets, "bucket", lambda name: Broken(error) if name == "in" else real(name)
    )
    assert details(transcode(job))[0][1] == code


@pytest.mark.parametrize(("error", "code"), [(BucketDenied, 3004), (BucketMissing, 3005)])
def test_a_target_that_may_not_be_written_is_an_error(
    submit, tone, transcode, monkeypatch, error, code
):
    job = submit(tone("a.wav"), WAV)
    real = intake.buckets.bucket
    monkeypatch.setattr(
        intake.buckets, "bucket", lambda name: Broken(error) if name == "out" else real(name)
    )
    assert details(transcode(job))[0][1] == code


@pytest.mark.parametrize("side", ["in", "out"])
def test_s3_a_store_that_is_away_makes_the_job_wait_and_costs_no_attempt(
    submit, tone, transcode, monkeypatch, side
):
    job = submit(tone("a.wav"), WAV)
    real = intake.buckets.bucket
    monkeypatch.setattr(
        intake.buckets,
        "bucket",
        lambda name: Broken(BucketUnavailable) if name == side else real(name),
    )
    transcode(job)
    assert (job.status, job.lease_owner, job.attempts) == ("Progressing", "", 1)
    assert job.lease_until > timezone.now() + timedelta(seconds=5)
    monkeypatch.setattr(intake.buckets, "bucket", real)
    make_due(job)
    transcode(job)
    assert (job.status, job.attempts) == ("Complete", 1)


def test_s3_a_store_that_is_away_for_a_day_ends_the_job(submit, tone, transcode, monkeypatch):
    job = submit(tone("a.wav"), WAV)
    monkeypatch.setattr(intake.buckets, "bucket", lambda name: Broken(BucketUnavailable))
    monkeypatch.setattr(in_hand, "PATIENCE_MS", -1)
    assert details(transcode(job))[0][1] == 3000


def test_s13_a_full_disk_makes_the_job_wait(submit, tone, transcode, monkeypatch):
    job = submit(tone("a.wav"), WAV)
    monkeypatch.setattr(conversion, "FREE_BYTES", 10**18)
    transcode(job)
    assert (job.status, job.lease_owner) == ("Progressing", "")
    assert keys() == set()


def test_s13_a_disk_that_is_full_in_the_middle_costs_no_attempt(
    submit, tone, transcode, monkeypatch
):
    job = submit(tone("a.wav"), WAV)

    def fetch(self, key, path, moved):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FolderBucket, "fetch", fetch)
    transcode(job)
    assert (job.status, job.lease_owner, job.attempts) == ("Progressing", "", 1)


def make_due(job: Job) -> None:
    past = timezone.now() - timedelta(seconds=1)
    Job.objects.filter(pk=job.pk).update(lease_until=past)


# --- Nothing is overwritten -------------------------------------------------------------------


def test_s7_an_object_that_came_and_went_at_the_final_key_strands_nothing(
    submit, tone, transcode, monkeypatch
):
    put = FolderBucket.put

    def find_it_taken(self, key, path, **members):
        if self.name == "out":
            monkeypatch.setattr(FolderBucket, "put", put)
            raise ObjectExists("is there already", bucket=self.name, key=key)
        put(self, key, path, **members)

    job = submit(tone("a.wav"), FLAC)
    monkeypatch.setattr(FolderBucket, "put", find_it_taken)
    assert transcode(job).status == "Error"
    assert details(job)[0][:2] == ("Error", 3002)


def test_s7_an_object_at_the_final_key_is_never_overwritten(submit, tone, transcode, result):
    job = submit(tone("a.wav", "-ac", "2"), WAV, FLAC)
    first = job.outputs.get(number=1)
    bucket("out").put(first.final_key, Path(__file__), content_type="text/plain")
    transcode(job)
    assert result(first).read_bytes() == Path(__file__).read_bytes()
    wav, flac = details(job)
    assert wav[:2] == ("Error", 3002)
    assert wav[2].endswith(f"bucket=out, key={first.final_key}.")
    assert flac[0] == "Complete"
    assert job.status == "Error"


def test_s7_a_key_taken_in_the_last_moment_is_not_overwritten(
    submit, tone, transcode, monkeypatch, result
):
    job = submit(tone("a.wav", "-ac", "2"), WAV)
    output = job.outputs.get()
    prove = attempt.proof.prove

    def slow(*args, **kwargs):
        bucket("out").put(output.final_key, Path(__file__), content_type="text/plain")
        return prove(*args, **kwargs)

    monkeypatch.setattr(attempt.proof, "prove", slow)
    assert details(transcode(job))[0][1] == 3002
    assert result(output).read_bytes() == Path(__file__).read_bytes()


def test_s8_a_proven_leftover_of_our_own_is_adopted(submit, tone, transcode, monkeypatch):
    """The worker died after the object was stored, before its row said so."""
    job = submit(tone("a.wav", "-ac", "2"), WAV, MP4)
    complete = in_hand.JobInHand.complete

    def die(self, output):
        raise SystemError("power cut")

    monkeypatch.setattr(in_hand.JobInHand, "complete", die)
    transcode(job)
    stored = keys()
    assert len(stored) == 1
    assert job.status == "Progressing"

    monkeypatch.setattr(in_hand.JobInHand, "complete", complete)
    make_due(job)
    transcode(job)
    assert (job.status, job.attempts) == ("Complete", 2), details(job)
    assert len(keys()) == 2
    assert all(output.size_bytes and output.duration_ms for output in job.outputs.all())
    assert [notice.state for notice in job.notices.all()] == ["PROGRESSING", "COMPLETED"]


# --- One bad output does not spoil the others -------------------------------------------------


def test_f27_a_result_that_differs_is_not_published(submit, tone, transcode, monkeypatch):
    """The second output is given another sound than was decoded, both times."""
    job = submit(tone("a.wav", "-ac", "2", seconds=3), WAV, MP4)
    arguments = attempt.command.arguments

    def shortened(sources, tags, recipes, further):
        argv = arguments(sources, tags, recipes, further)
        if recipes[-1].path.name == "result-2":
            at = argv.index(f"file:{recipes[-1].path}")
            argv[at:at] = ["-t", "1"]
        return argv

    monkeypatch.setattr(attempt.command, "arguments", shortened)
    transcode(job)
    wav, mp4 = details(job)
    assert wav[0] == "Complete"
    assert mp4[:2] == ("Error", 9999)
    assert mp4[2].endswith("[bad_result]")
    assert keys() == {job.outputs.get(number=1).final_key}


def test_an_output_that_ffmpeg_cannot_make_is_tried_alone_and_the_others_are_made(
    submit, tone, transcode, monkeypatch
):
    job = submit(tone("a.wav", "-ac", "2"), WAV, MP4, FLAC)
    runs = []
    convert = attempt.conversion.convert

    def broken(argv, **kwargs):
        argv = [part.replace("aac", "no_such_encoder") if part == "aac" else part for part in argv]
        runs.append(sum(part == "-map_metadata" for part in argv))
        return convert(argv, **kwargs)

    monkeypatch.setattr(attempt.conversion, "convert", broken)
    transcode(job)
    assert [status for status, _, _ in details(job)] == ["Complete", "Error", "Complete"]
    # All together (with the hash), then each by itself: nothing had been written.
    assert runs == [4, 2, 1, 2]


# --- FFmpeg misbehaves ------------------------------------------------------------------------


def test_f21_an_ffmpeg_that_crashes_is_tried_twice_and_no_more(
    submit, tone, transcode, settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(worker.ffmpeg, "check", lambda: None)
    job = submit(tone("a.wav"), WAV)
    fake_ffmpeg(settings, tmp_path, "kill -SEGV $$")
    runs = []
    convert = attempt.conversion.convert
    monkeypatch.setattr(
        attempt.conversion,
        "convert",
        lambda *args, **kwargs: runs.append(1) or convert(*args, **kwargs),
    )
    transcode(job)
    assert details(job)[0][:2] == ("Error", 4007)
    assert details(job)[0][2].endswith("[damaged]")
    assert len(runs) == 2


def test_f22_an_ffmpeg_that_stands_still_is_killed(
    submit, tone, transcode, settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(worker.ffmpeg, "check", lambda: None)
    settings.TRANSCODER_STALL_S = 0.2
    job = submit(tone("a.wav"), WAV)
    fake_ffmpeg(settings, tmp_path, "exec sleep 60")
    transcode(job)
    assert details(job)[0][:2] == ("Error", 9999)
    assert details(job)[0][2].endswith("[timed_out]")


def test_f22_an_ffmpeg_that_never_ends_is_killed_at_the_time_limit(
    submit, tone, transcode, settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(worker.ffmpeg, "check", lambda: None)
    monkeypatch.setattr(attempt, "TIME_LIMIT_S", 1.0)
    monkeypatch.setattr(attempt, "TIME_LIMIT_FACTOR", 0.0)
    job = submit(tone("a.wav"), WAV)
    fake_ffmpeg(settings, tmp_path, "i=0; while true; do i=$((i+1)); echo out_time_us=$i; done")
    transcode(job)
    assert details(job)[0][2].endswith("[timed_out]")


def test_f23_an_ffmpeg_that_wants_too_much_memory_fails_the_job_only(
    submit, tone, transcode, settings
):
    settings.FFMPEG_MEMORY_BYTES = 48 << 20
    job = transcode(submit(tone("a.wav"), WAV))
    assert details(job)[0][:2] == ("Error", 4007)
    settings.FFMPEG_MEMORY_BYTES = 2 << 30
    assert transcode(submit(tone("a.wav"), WAV)).status == "Complete"


def test_k2_no_process_is_left_behind(submit, tone, transcode):
    before = _children()
    transcode(submit(tone("a.wav"), WAV, MP4))
    assert _children() <= before


def _children() -> set[str]:
    tasks = Path("/proc/self/task").glob("*/children")
    return {pid for children in tasks for pid in children.read_text().split()}


# --- Workers die, stop and race ---------------------------------------------------------------


def test_k4_a_late_finisher_reports_nothing(submit, tone, transcode, monkeypatch):
    job = submit(tone("a.wav", "-ac", "2"), WAV)
    publish = attempt.Attempt._publish

    def lose_lease(self, *args):
        Job.objects.filter(pk=job.pk).update(lease_owner="another worker")
        publish(self, *args)

    monkeypatch.setattr(attempt.Attempt, "_publish", lose_lease)
    transcode(job)
    assert (job.status, job.lease_owner) == ("Progressing", "another worker")
    assert details(job) == [("Progressing", None, "")]
    assert keys() == set()
    assert [notice.state for notice in job.notices.all()] == ["PROGRESSING"]


def test_k4_what_a_late_finisher_stored_is_adopted_by_its_successor(
    submit, tone, transcode, monkeypatch
):
    job = submit(tone("a.wav", "-ac", "2"), WAV)
    real_put = in_hand.JobInHand.complete

    def taken_over(self, output):
        Job.objects.filter(pk=job.pk).update(
            lease_owner="dead", lease_until=timezone.now() - timedelta(seconds=1)
        )
        monkeypatch.setattr(in_hand.JobInHand, "complete", real_put)
        real_put(self, output)

    monkeypatch.setattr(in_hand.JobInHand, "complete", taken_over)
    transcode(job)
    assert (job.status, job.attempts) == ("Complete", 2), details(job)
    assert len(keys()) == 1


def test_k5_a_job_that_fails_every_attempt_ends_in_error_and_others_go_on(
    submit, tone, transcode, monkeypatch
):
    bad = submit(tone("a.wav"), WAV)
    fetch = attempt.Attempt._fetch

    def die(self, *arguments):
        if self._job.pk == bad.pk:
            raise SystemError("killed")
        fetch(self, *arguments)

    monkeypatch.setattr(attempt.Attempt, "_fetch", die)
    good = submit(tone("a.wav"), WAV)
    for _ in range(Job.MAX_ATTEMPTS + 1):
        transcode(bad)
        make_due(bad)
    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.status, good.status) == ("Error", "Complete")
    assert bad.attempts == Job.MAX_ATTEMPTS
    assert details(bad)[0][1] == 9999
    assert [notice.state for notice in bad.notices.all()] == ["PROGRESSING", "ERROR"]


@pytest.mark.parametrize("hurrying", [False, True])
def test_k2_a_worker_asked_to_stop_hands_the_job_back(
    submit, tone, transcode, monkeypatch, hurrying
):
    job = submit(tone("long.flac", "-ac", "2", seconds=60), MP4)
    asked = []
    monkeypatch.setattr("steps.stopping", lambda: bool(asked))
    monkeypatch.setattr("steps.hurrying", lambda: bool(asked) and hurrying)
    monkeypatch.setattr("elastic_transcoder.worker.hold.GRACE_S", 0.0)
    convert = attempt.conversion.convert
    monkeypatch.setattr(
        attempt.conversion,
        "convert",
        lambda *args, **kwargs: asked.append(1) or convert(*args, **kwargs),
    )
    transcode(job)
    assert (job.status, job.lease_owner, job.attempts) == ("Progressing", "", 1)
    assert keys() == set()
    asked.clear()
    monkeypatch.setattr(attempt.conversion, "convert", convert)
    transcode(job)
    assert (job.status, job.attempts) == ("Complete", 1)


def test_k2_a_short_job_in_hand_is_finished(submit, tone, transcode, monkeypatch):
    first, second = submit(tone("a.wav"), WAV), submit(tone("a.wav"), WAV)
    asked = []
    monkeypatch.setattr("steps.stopping", lambda: bool(asked))
    convert = attempt.conversion.convert
    monkeypatch.setattr(
        attempt.conversion,
        "convert",
        lambda *args, **kwargs: asked.append(1) or convert(*args, **kwargs),
    )
    assert transcode(first).status == "Complete"
    second.refresh_from_db()
    assert second.status == "Submitted"


def lease_after(job: Job, *, moving: bool) -> timedelta:
    """Hold the job for half a second, and return by how much its lease grew."""
    claim = claims.claim()
    job.refresh_from_db()
    before = job.lease_until
    with Hold(claim) as hold:
        for _ in range(10):
            time.sleep(0.05)
            if moving:
                hold.moved()
    job.refresh_from_db()
    return job.lease_until - before


def test_the_lease_is_renewed_while_something_moves(submit, settings):
    settings.TRANSCODER_STALL_S, settings.TRANSCODER_RENEW_S = 0.2, 0.1
    assert lease_after(submit(None), moving=True) > timedelta(seconds=0.2)


def test_the_lease_is_not_renewed_while_nothing_moves(submit, settings):
    settings.TRANSCODER_STALL_S, settings.TRANSCODER_RENEW_S = 0.05, 0.1
    assert lease_after(submit(None), moving=False) == timedelta(0)


def test_k4_a_holder_learns_that_its_lease_is_lost(submit, settings):
    settings.TRANSCODER_RENEW_S = 0.05
    job = submit(None)
    with Hold(claims.claim()) as hold:
        Job.objects.filter(pk=job.pk).update(lease_owner="another worker")
        with pytest.raises(claims.LeaseLost):
            for _ in range(100):
                time.sleep(0.02)
                hold.moved()


def test_k14_folders_of_dead_processes_are_removed_at_start(work_dirs, settings):
    with workspace.workspace(settings.WORK_DIR) as alive:
        dead = settings.WORK_DIR / "dead"
        (dead / "in").mkdir(parents=True)
        (dead / "in" / "source").write_bytes(b"x")
        assert workspace.remove_leftovers(settings.WORK_DIR) == 1
        assert not dead.exists()
        assert (alive / "out").is_dir()
    assert not alive.exists()


def test_k14_a_folder_that_another_has_just_removed_is_no_leftover(
    work_dirs, settings, monkeypatch
):
    done = settings.WORK_DIR / "done"
    done.mkdir(parents=True)

    def then_remove(self: Path) -> bool:
        if self == done:
            self.rmdir()
        return True

    monkeypatch.setattr(Path, "is_dir", then_remove)
    assert workspace.remove_leftovers(settings.WORK_DIR) == 0


def test_k6_a_worker_without_ffmpeg_touches_no_job(submit, tone, pipeline, settings, monkeypatch):
    job = submit(tone("a.wav"), WAV)
    monkeypatch.setattr(worker, "_prepared_by", None)
    settings.FFMPEG_BINARY = "/no/such/ffmpeg"
    with pytest.raises(worker.ffmpeg.FFmpegMissing):
        worker.transcode()
    job.refresh_from_db()
    assert (job.status, job.attempts) == ("Submitted", 0)


def test_a_job_whose_pipeline_is_gone_ends_in_error(submit, tone, transcode, pipeline):
    job = submit(tone("a.wav"), WAV)
    claim = claims.claim()
    pipeline.delete()
    worker.work(claim)
    job.refresh_from_db()
    assert (job.status, details(job)[0][1]) == ("Error", 9999)


def test_progress_moves_forward_and_ends_at_100(submit, tone, transcode, monkeypatch):
    seen = []
    update = claims.Claim.update
    monkeypatch.setattr(
        claims.Claim,
        "update",
        lambda self, **fields: (
            seen.append(fields["progress"]) if "progress" in fields else update(self, **fields)
        ),
    )
    job = transcode(submit(tone("long.flac", "-ac", "2", seconds=60), MP4))
    assert job.status == "Complete", details(job)
    assert len(seen) >= 1
    assert seen == sorted(set(seen))
    assert all(0 <= percent < 100 for percent in seen)
    assert len(seen) <= math.ceil((job.finish_time_ms - job.start_time_ms) / 1000)
    assert job.progress == 100


def test_a_detail_is_never_longer_than_the_api_allows():
    long = failures.output_exists("b" * 63, "ü" * 255).detail()
    assert len(long) <= 255
    assert long.endswith("ü.")
    assert long.startswith("3002 ")


def test_only_one_notice_of_each_kind_is_written(submit, tone, transcode):
    job = transcode(submit(tone("a.wav"), WAV))
    transcode(job)
    assert Notice.objects.filter(job=job).count() == 2
    assert JobOutput.objects.filter(job=job).count() == 1


def test_an_examiner_that_dies_over_one_result_spoils_no_other(
    submit, tone, transcode, monkeypatch
):
    asked = []
    ask = Examiner.ask

    def die_over_the_first(self, task, path, **question):
        asked.append(task)
        if asked.count("measure") == 1 and task == "measure":
            os.kill(self.process_id, signal.SIGKILL)
        return ask(self, task, path, **question)

    monkeypatch.setattr(Examiner, "ask", die_over_the_first)
    job = submit(tone("a.wav"), WAV, FLAC, MP4)
    transcode(job)
    assert [output.status for output in job.outputs.all()] == ["Complete"] * 3
