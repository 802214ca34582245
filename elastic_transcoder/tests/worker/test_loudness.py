"""Results as loud as they were asked to be, measured by another filter than ours."""

import re
import subprocess

import pytest

from elastic_transcoder.tests.conftest import FLAC, MP3, MP4, WAV, run_ffmpeg
from elastic_transcoder.worker import conversion, ffmpeg
from elastic_transcoder.worker.loudness import NOTHING_TO_MEASURE, change

FLAC_KEEP = {
    "Container": "flac",
    "Audio": {"Codec": "flac", "SampleRate": "auto", "Channels": "auto"},
}
SPEECHLIKE = "0.1*sin(2*PI*(300+40*sin(2*PI*3*t))*t)*(0.3+0.7*abs(sin(2*PI*0.7*t)))"


@pytest.fixture
def tone(tmp_path):
    """Return a maker of sounds of one channel or two."""

    def make(name, *arguments, source=SPEECHLIKE, channels=2, seconds=8):
        path = tmp_path / name
        both = "|".join([source] * channels)
        lavfi = f"aevalsrc='{both}':s=44100:d={seconds}"
        run_ffmpeg("-f", "lavfi", "-i", lavfi, *arguments, str(path))
        return path

    return make


def wanting(job, *targets):
    """Give the outputs of a job their targets; None: none."""
    for output, target in zip(job.outputs.all(), targets, strict=True):
        output.options = {} if target is None else {"LoudnessTarget": target}
        output.save()
    return job


def measured(path):
    """Return LUFS and dBTP as the filter loudnorm has them."""
    argv = [ffmpeg.binary(), "-hide_banner", "-nostats", "-i", str(path)]
    argv += ["-af", "loudnorm=print_format=summary", "-f", "null", "-"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stderr
    found = re.findall(r"^Input (?:Integrated|True Peak): +(\S+)", said, re.MULTILINE)
    return float(found[0]), float(found[1])


def samples(path):
    argv = [ffmpeg.binary(), "-v", "error", "-i", str(path), "-f", "s16le", "-"]
    return subprocess.run(argv, capture_output=True, check=True).stdout


def test_every_kind_of_result_is_within_half_a_unit_of_its_target(submit, tone, transcode, result):
    targets = ("-23", "-16", "-26.5", "-18")
    job = transcode(wanting(submit(tone("a.wav"), WAV, FLAC, MP3, MP4), *targets))
    assert job.status == "Complete"
    for output, target in zip(job.outputs.all(), targets, strict=True):
        lufs, dbtp = measured(result(output))
        assert lufs == pytest.approx(float(target), abs=0.5), output.key
        assert dbtp <= -0.5, output.key
        assert output.status_detail == ""


def test_one_channel_that_becomes_two_is_as_loud_as_the_two_are(submit, tone, transcode, result):
    job = transcode(wanting(submit(tone("a.flac", channels=1), WAV), "-20"))
    assert measured(result(job.outputs.get()))[0] == pytest.approx(-20, abs=0.5)


def test_a_part_is_as_loud_as_it_is_by_itself(submit, tone, transcode, result):
    source = tone("a.wav", source=f"if(lt(t,4),0.02,1)*{SPEECHLIKE}")
    job = submit(source, FLAC)
    job.inputs = [job.inputs[0] | {"TimeSpan": {"StartTime": "0", "Duration": "4"}}]
    job.save()
    job = transcode(wanting(job, "-20"))
    assert job.outputs.get().duration_ms == pytest.approx(4000, abs=1)
    assert measured(result(job.outputs.get()))[0] == pytest.approx(-20, abs=0.5)


def test_peaks_that_would_be_cut_off_keep_it_softer_and_that_is_said(
    submit, tone, transcode, result
):
    click = f"if(lt(mod(t,2),0.001),0.9,0.1)*{SPEECHLIKE}*10"
    job = transcode(wanting(submit(tone("a.wav", source=click), FLAC), "-5"))
    output = job.outputs.get()
    lufs, dbtp = measured(result(output))
    assert dbtp == pytest.approx(-1.0, abs=0.2)
    said = re.fullmatch(
        r"Its loudness is (-[\d.]+) LUFS, not -5: any louder, its peaks would be above -1 dBTP\.",
        output.status_detail,
    )
    assert float(said[1]) == pytest.approx(lufs, abs=0.5)


def test_it_is_a_change_of_level_and_of_nothing_else(submit, tone, transcode, result):
    source = tone("a.wav", "-c:a", "pcm_s16le")
    job = transcode(wanting(submit(source, FLAC_KEEP, FLAC_KEEP), "-20", None))
    changed, plain = job.outputs.all()
    assert (changed.sound["IsFaithful"], plain.sound["IsFaithful"]) == (False, True)
    assert "SampleHash" not in changed.sound
    assert len(samples(result(changed))) == len(samples(source))
    assert samples(result(plain)) == samples(source)


def test_silence_is_left_as_it_is_and_that_is_said(submit, tone, transcode):
    job = transcode(wanting(submit(tone("a.wav", source="0"), FLAC), "-16"))
    output = job.outputs.get()
    assert (output.status, output.status_detail) == ("Complete", NOTHING_TO_MEASURE)


def test_it_is_measured_once_for_all_results_of_two_channels(submit, tone, transcode, monkeypatch):
    runs = []
    convert = conversion.convert

    def spy(argv, **options):
        runs.append(argv)
        return convert(argv, **options)

    monkeypatch.setattr(conversion, "convert", spy)
    transcode(wanting(submit(tone("a.wav", seconds=2), WAV, FLAC, MP3), "-20", "-16", None))
    assert len(runs) == 2


@pytest.mark.parametrize(
    ("found", "gain_db"), [((-23.0, -9.0), 7.0), ((-10.0, 0.5), -6.0), ((-23.0, 0.0), -1.0)]
)
def test_the_gain_is_what_is_missing_below_the_ceiling(found, gain_db):
    made = change(-16.0, found)
    assert made.gain_db == pytest.approx(gain_db)
    assert bool(made.notes) == (found == (-23.0, 0.0))
