"""Clips and stitching, through the whole worker: to the sample, and each in its place."""

import subprocess
from array import array
from pathlib import Path

import pytest

from buckets import bucket
from elastic_transcoder import times
from elastic_transcoder.models import Job
from elastic_transcoder.tests.conftest import FLAC, MP3, MP4, WAV, run_ffmpeg
from elastic_transcoder.tests.worker.test_worker import details
from elastic_transcoder.worker import conversion, ffmpeg
from elastic_transcoder.worker.clips import Clip
from sound import probe

KEEP = {"Container": "wav", "Audio": {"Codec": "pcm", "SampleRate": "auto", "Channels": "auto"}}


@pytest.fixture
def counting(tmp_path) -> Path:
    """A WAV of three seconds in which every sample is another number than its neighbours."""
    samples = array("h", ((n * 7919) % 65536 - 32768 for n in range(3 * 44100)))
    raw = tmp_path / "raw"
    raw.write_bytes(samples.tobytes())
    path = tmp_path / "counting.wav"
    run_ffmpeg("-f", "s16le", "-ar", "44100", "-ac", "1", "-i", str(raw), str(path))
    return path


def samples(path: Path) -> array:
    command = [ffmpeg.binary(), "-v", "error", "-i", str(path), "-f", "s16le", "-"]
    decoded = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    return array("h", decoded)


def clipped(job: Job, start: str | None = None, duration: str | None = None) -> Job:
    span = {"StartTime": start, "Duration": duration}
    job.inputs[0]["TimeSpan"] = {name: value for name, value in span.items() if value is not None}
    job.save(update_fields=["inputs"])
    return job


def stitched(job: Job, *others: Path) -> Job:
    for number, path in enumerate(others, start=2):
        bucket("in").put(f"part-{number}", path, content_type="audio/x")
        job.inputs.append({"Key": f"part-{number}"})
    job.save(update_fields=["inputs"])
    return job


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        ("0", 0),
        ("90", 90_000),
        ("0.5", 500),
        ("1:30", 90_000),
        ("00:01:30.000", 90_000),
        ("23:59:59.999", 86_399_999),
        ("86399.999", 86_399_999),
        ("1.", 1_000),
    ],
)
def test_a_time_is_read_in_each_of_its_forms(written, milliseconds):
    assert times.milliseconds(written) == milliseconds


def test_a_clip_knows_its_length_in_a_sound():
    assert Clip(500, 1500).length_ms(3000) == 1000
    assert Clip(500, 1500).length_ms(1200) == 700
    assert Clip(500).length_ms(3000) == 2500
    assert Clip(3000, 4000).length_ms(3000) == 0


@pytest.mark.parametrize(
    ("start", "duration", "first", "last"),
    [
        ("1.000", "0.500", 44100, 66150),
        (None, "00:00:01.500", 0, 66150),
        ("2.25", None, 99225, 132300),
        ("0.001", "0.999", 44, 44100),
    ],
)
def test_a_clip_is_cut_to_the_sample(
    submit, transcode, result, counting, start, duration, first, last
):
    job = transcode(clipped(submit(counting, KEEP, FLAC), start, duration))
    assert job.status == "Complete", details(job)
    kept = job.outputs.get(number=1)
    assert samples(result(kept)) == samples(counting)[first:last]
    assert kept.duration_ms == round((last - first) / 44.1)
    # The clip's own sound is hashed where nothing else may have changed.
    assert details(job)[0][2] == ""


def test_a_clip_of_a_lossy_input_gives_results_of_its_length(submit, tone, transcode, result):
    source = tone("a.mp3", "-ac", "2", "-b:a", "128k", seconds=5)
    job = transcode(clipped(submit(source, WAV, FLAC, MP4, MP3), "1.5", "2"))
    assert job.status == "Complete", details(job)
    for output in job.outputs.all():
        assert abs(probe.probe(result(output)).duration_ms - 2000) <= 27
        assert abs(output.duration_ms - 2000) <= 27


def test_a_clip_past_the_end_goes_to_the_end_and_says_so(submit, counting, transcode, pipeline):
    pipeline.notifications["Warning"] = pipeline.notifications["Completed"]
    pipeline.save()
    job = transcode(clipped(submit(counting, WAV), "2", "5"))
    output = job.outputs.get()
    assert (job.status, output.duration_ms) == ("Complete", 1000)
    assert output.status_detail == "The clip runs past the end of the input."
    states = [notice.state for notice in job.notices.order_by("pk")]
    assert states == ["PROGRESSING", "WARNING", "COMPLETED"]


def test_a_clip_that_starts_after_the_end_is_4014(submit, counting, transcode):
    for start in ("3.000", "60"):
        job = transcode(clipped(submit(counting, WAV, MP3), start))
        assert [one[:2] for one in details(job)] == [("Error", 4014)] * 2


def test_outputs_may_have_clips_of_their_own(submit, counting, transcode, result):
    """The deprecated Composition cuts one output and leaves the others whole."""
    job = submit(counting, KEEP, KEEP, FLAC)
    spans = {1: {"StartTime": "1", "Duration": "1"}, 3: {"StartTime": "9"}}
    for number, span in spans.items():
        job.outputs.filter(number=number).update(options={"Composition": [{"TimeSpan": span}]})
    transcode(job)
    cut, whole, late = job.outputs.all()
    assert samples(result(cut)) == samples(counting)[44100:88200]
    assert samples(result(whole)) == samples(counting)
    assert (late.status, late.error_code) == ("Error", 4014)


def test_inputs_are_joined_in_their_order(submit, counting, tone, transcode, result):
    job = stitched(clipped(submit(counting, KEEP, FLAC), "2"), tone("b.wav", seconds=1), counting)
    job.inputs[2]["TimeSpan"] = {"Duration": "0.5"}
    job.save()
    transcode(job)
    assert job.status == "Complete", details(job)
    whole, tone_b = samples(counting), samples(tone("b.wav", seconds=1))
    expected = whole[88200:] + tone_b + whole[:22050]
    kept = job.outputs.get(number=1)
    assert samples(result(kept)) == expected
    assert kept.duration_ms == 2500
    lengths = [one["DetectedProperties"]["DurationMillis"] for one in job.inputs]
    assert lengths == [3000, 1000, 3000]


def test_joined_inputs_of_every_kind_are_converted_to_the_preset(submit, tone, transcode, result):
    """Rates, channels and codecs differ; with `auto` the first input's are kept."""
    first = tone("a.mp3", "-ac", "1", seconds=2, rate=22050)
    others = [
        tone("b.flac", "-ac", "2", seconds=1, rate=48000),
        tone("c.wav", "-ac", "6", seconds=1, rate=96000),
        tone("d.ogg", seconds=1.5),
    ]
    job = transcode(stitched(submit(first, KEEP, MP3, MP4, FLAC), *others))
    assert job.status == "Complete", details(job)
    found = [probe.probe(result(output)) for output in job.outputs.all()]
    assert [(one.sample_rate_hz, one.channels) for one in found] == [
        (22050, 1), (44100, 2), (44100, 2), (44100, 2)
    ]  # fmt: skip
    for one in found:
        assert abs(one.duration_ms - 5500) < 60


def test_one_object_may_be_several_inputs(submit, counting, transcode, result):
    job = clipped(submit(counting, KEEP), "0", "1")
    job.inputs.append({"Key": job.inputs[0]["Key"], "TimeSpan": {"StartTime": "2"}})
    job.save()
    transcode(job)
    whole = samples(counting)
    assert samples(result(job.outputs.get())) == whole[:44100] + whole[88200:]


def test_sound_joined_with_a_silent_video_is_4026(submit, tone, transcode, tmp_path):
    video = tmp_path / "v.mp4"
    run_ffmpeg("-f", "lavfi", "-i", "testsrc=duration=1:size=64x64", str(video))
    job = transcode(stitched(submit(tone("a.wav"), WAV, MP3), video))
    assert [one[:2] for one in details(job)] == [("Error", 4026)] * 2


def test_sound_joined_with_a_video_is_4025(submit, tone, transcode, tmp_path):
    video = tmp_path / "v.mp4"
    run_ffmpeg(
        "-f", "lavfi", "-i", "testsrc=duration=1:size=64x64", "-i", str(tone("a.wav")),
        "-shortest", str(video),
    )  # fmt: skip
    job = transcode(stitched(submit(tone("a.wav"), WAV), video))
    assert details(job)[0][:2] == ("Error", 4025)


def test_a_missing_part_is_3001_and_names_its_key(submit, tone, transcode):
    job = submit(tone("a.wav"), WAV)
    job.inputs.append({"Key": "nowhere"})
    job.save()
    transcode(job)
    assert details(job)[0][:2] == ("Error", 3001)
    assert "key=nowhere." in details(job)[0][2]


def test_parts_that_are_too_long_together_are_4022(submit, tone, transcode, settings):
    settings.MAX_DURATION_S = 3
    source = tone("a.wav", seconds=2)
    job = transcode(stitched(submit(source, WAV), source))
    assert details(job)[0][:2] == ("Error", 4022)


@pytest.mark.parametrize(("inputs", "outputs"), [(200, 1), (200, 6), (2, 30)])
def test_the_most_that_the_api_takes_is_made_by_one_ffmpeg(
    submit, tone, transcode, inputs, outputs
):
    source = tone("a.wav", seconds=0.5)
    job = submit(source, *([KEEP, WAV, MP3, FLAC] * 10)[:outputs])
    span = {"StartTime": "00:00:00.100", "Duration": "00:00:00.200"}
    job.inputs = [{"Key": job.inputs[0]["Key"], "TimeSpan": span}] * inputs
    job.save()
    transcode(job)
    assert job.status == "Complete", details(job)
    assert {output.duration_ms for output in job.outputs.all()} == {inputs * 200}


def test_decoding_that_breaks_off_before_the_clip_is_not_4014(submit, tone, transcode, monkeypatch):
    cut_off = conversion.Outcome(ended="failed", returncode=244, decoded_samples={0: 44100})
    monkeypatch.setattr(conversion, "convert", lambda *_, **__: cut_off)
    job = submit(tone("a.wav", seconds=3), WAV)
    job.inputs[0]["TimeSpan"] = {"StartTime": "2"}
    job.save()

    assert details(transcode(job))[0][1] == 4007
