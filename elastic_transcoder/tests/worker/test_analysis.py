"""What a job tells of its source and its results, found on real sound."""

import base64
import hashlib
import math
import re
import subprocess
from datetime import timedelta

import av
import pytest
from django.utils import timezone

import steps
from buckets import BucketUnavailable, FolderBucket, bucket
from elastic_transcoder import worker
from elastic_transcoder.api import answers
from elastic_transcoder.models import Job
from elastic_transcoder.tests.conftest import FLAC, MP3, MP4, WAV, run_ffmpeg
from elastic_transcoder.worker import analysis, claims, conversion, ffmpeg, likeness, waveform
from elastic_transcoder.worker.hold import Stopped

KEEP = {"SampleRate": "auto", "Channels": "auto"}
FLAC_KEEP = {"Container": "flac", "Audio": {"Codec": "flac"} | KEEP}
TS = {"Container": "ts", "Audio": {"Codec": "AAC", "BitRate": "128"} | KEEP}
OF_16_BITS = ("-sample_fmt", "s16")


def points_of(job):
    return base64.b64decode(job.analysis["Waveform"])


def sounds_of(job):
    return [output.sound for output in job.outputs.all()]


@pytest.fixture
def music(tmp_path):
    """Return a maker of stereo that never repeats itself; louder on the right."""

    def make(name, *arguments, seconds=12, rate=44100):
        path = tmp_path / name
        left = "0.3*sin(2*PI*(220+15*t)*t)*(0.6+0.4*sin(2*PI*0.3*t))+0.05*(random(0)-0.5)"
        right = "0.5*sin(2*PI*(330+11*t)*t)+0.05*(random(1)-0.5)"
        source = f"aevalsrc={left}|{right}:s={rate}:d={seconds}"
        run_ffmpeg("-f", "lavfi", "-i", source, *arguments, str(path))
        return path

    return make


@pytest.fixture
def covered(music, tmp_path):
    """Return a maker of files with a picture of its own kind."""

    def make(name, *, picture="cover.png", size="64x48", arguments=()):
        cover = tmp_path / picture
        run_ffmpeg("-f", "lavfi", "-i", f"testsrc=size={size}", "-frames:v", "1", str(cover))
        path = tmp_path / f"covered-{name}"
        run_ffmpeg(
            "-i", str(music(name, seconds=2)), "-i", str(cover), "-map", "0", "-map", "1",
            "-c:a", "copy", "-c:v", "copy", "-disposition:v", "attached_pic", *arguments, str(path),
        )  # fmt: skip
        return path, cover

    return make


# --- What is asked for ------------------------------------------------------------------------


def test_without_the_member_nothing_is_found_and_nothing_more_is_run(
    submit, music, transcode, monkeypatch
):
    runs = []
    convert = conversion.convert

    def spy(argv, **options):
        runs.append(argv)
        return convert(argv, **options)

    monkeypatch.setattr(conversion, "convert", spy)
    job = transcode(submit(music("a.mp3"), WAV))
    assert (job.status, job.analysis) == ("Complete", None)
    assert len(runs) == 1
    assert not [part for part in runs[0] if "astats" in part or "ebur128" in part]
    assert answers.job(job)["Analysis"] is None


def test_facts_tags_waveform_and_loudness_are_those_of_the_source(submit, music, transcode):
    source = music("a.mp3", "-b:a", "192k", "-metadata", "title=Töne", "-metadata", "genre=Rock")
    job = submit(source, WAV, FLAC, MP4, analysis_asked={})
    assert answers.job(job)["Analysis"] == {}
    job = transcode(job)
    found = dict(job.analysis)
    assert job.status == "Complete"
    assert answers.job(job)["Analysis"] == found
    assert len(base64.b64decode(found.pop("Waveform"))) in range(1900, 2001)
    lufs, peak = found.pop("LoudnessLufs"), found.pop("TruePeakDbtp")
    told = loudness_by_hand(source)
    assert (lufs, peak) == pytest.approx(told, abs=0.11)
    assert found == {
        "Status": "Complete",
        "CoverKey": "",
        "Container": "mp3",
        "Codec": "mp3",
        "SampleRateHz": 44100,
        "Channels": 2,
        "BitRateKbps": 192,
        "DurationMillis": 12000,
        "Tags": {"title": "Töne", "genre": "Rock"},
    }
    assert (job.lease_owner, job.lease_until) == ("", None)
    assert job.log == ""


def loudness_by_hand(source):
    """Return LUFS and dBTP as another filter of FFmpeg measures them."""
    argv = [ffmpeg.binary(), "-hide_banner", "-nostats", "-i", str(source)]
    argv += ["-af", "loudnorm=print_format=summary", "-f", "null", "-"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stderr
    found = re.findall(r"^Input (?:Integrated|True Peak): +(\S+)", said, re.MULTILINE)
    return float(found[0]), float(found[1])


def test_bits_are_told_of_lossless_sources_alone(submit, music, transcode):
    wide = music("a.wav", "-c:a", "pcm_s24le", rate=96000, seconds=2)
    job = transcode(submit(wide, FLAC_KEEP, analysis_asked={}))
    assert (job.analysis["BitDepth"], job.analysis["BitRateKbps"]) == (24, 4608)
    assert job.analysis["Codec"] == "pcm_s24le"


# --- Waveform ---------------------------------------------------------------------------------


def test_each_point_is_the_highest_sample_of_any_channel(submit, transcode, tmp_path):
    """Loud on the right in the second half: left and right together would be half as high."""
    source = tmp_path / "a.wav"
    tone = "aevalsrc=0|if(gte(t\\,5)\\,0.8*sin(2*PI*5000*t)\\,0):s=48000:d=10"
    run_ffmpeg("-f", "lavfi", "-i", tone, str(source))
    job = transcode(submit(source, WAV, analysis_asked={}))
    points = points_of(job)
    assert len(points) == 2000
    assert set(points[:1000]) == {0}
    assert {round(0.8 * 255)} == set(points[1001:])


def test_a_clip_ordered_of_a_source_leaves_its_waveform_whole(submit, music, transcode):
    clip = {"TimeSpan": {"StartTime": "1", "Duration": "2"}}
    job = submit(music("a.flac"), FLAC, analysis_asked={})
    job.outputs.update(options={"Composition": [clip]})
    job = transcode(job)
    assert job.outputs.get().duration_ms == 2000
    assert job.analysis["DurationMillis"] == 12000
    assert all(points_of(job)[100:])
    assert len(points_of(job)) in range(1900, 2001)


def test_a_sound_that_changes_its_rate_has_all_of_its_waveform(submit, music, transcode):
    first = music("a.mp3", seconds=4).read_bytes()
    second = music("b.mp3", seconds=4, rate=48000).read_bytes()
    job = transcode(submit(first + second, WAV, analysis_asked={}))
    points = points_of(job)
    assert len(points) in range(1900, 2001)
    assert sum(point > 20 for point in points) > 0.95 * len(points)


def test_the_shortest_sound_has_some_points(submit, tone, transcode):
    job = transcode(submit(tone("a.wav", seconds=0.05), WAV, analysis_asked={}))
    assert job.status == "Complete"
    assert 0 < len(points_of(job)) <= 2000


def test_silence_has_no_peak_and_no_height(submit, transcode, tmp_path):
    source = tmp_path / "a.wav"
    run_ffmpeg("-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo:d=5", str(source))
    job = transcode(submit(source, MP3, analysis_asked={}))
    assert job.analysis["Status"] == "Complete"
    assert "TruePeakDbtp" not in job.analysis
    assert set(points_of(job)) == {0}
    assert [sound["Correlation"] for sound in sounds_of(job)] == [1.0]


def test_several_inputs_are_described_by_the_first(submit, music, transcode):
    job = submit(music("a.wav", seconds=3), MP3, analysis_asked={})
    bucket("in").put("second", music("b.wav", seconds=5), content_type="audio/x")
    job.inputs = [*job.inputs, {"Key": "second"}]
    job.save()
    job = transcode(job)
    assert (job.status, job.analysis["Status"]) == ("Complete", "Complete")
    assert job.analysis["DurationMillis"] == 3000
    assert "Correlation" not in sounds_of(job)[0]


# --- Results ----------------------------------------------------------------------------------


def test_f28_only_the_same_samples_are_called_faithful(submit, music, transcode, result):
    job = transcode(submit(music("a.flac", *OF_16_BITS), WAV, FLAC, MP4, analysis_asked={}))
    wav, flac, mp4 = sounds_of(job)
    assert [one["IsFaithful"] for one in (wav, flac, mp4)] == [True, True, False]
    with av.open(str(result(job.outputs.get(number=1)))) as container:
        raw = b"".join(
            bytes(frame.planes[0])[: frame.samples * 4] for frame in container.decode(audio=0)
        )
    assert wav["SampleHash"] == flac["SampleHash"] == hashlib.sha256(raw).hexdigest()
    assert "SampleHash" not in mp4
    assert "Correlation" not in wav and "Correlation" not in flac
    assert mp4["Correlation"] > 0.99
    assert (wav["Codec"], wav["BitDepth"], wav["BitRateKbps"]) == ("pcm_s16le", 16, 1411)
    assert (mp4["Codec"], mp4["SampleRateHz"], mp4["Channels"]) == ("aac", 44100, 2)
    assert "BitDepth" not in mp4


def test_the_loudness_of_results_is_the_sources_or_measured_once_for_equal_samples(
    submit, music, transcode, monkeypatch
):
    heard = []
    run = analysis.Analysis._run

    def count(self, argv, limits):
        heard.append(next(part for part in argv if part.startswith("file:")).rpartition("/")[2])
        return run(self, argv, limits)

    monkeypatch.setattr(analysis.Analysis, "_run", count)
    mono = [{"Container": name, "Audio": {"Codec": codec, "SampleRate": "auto", "Channels": "1"}}
            for name, codec in (("wav", "pcm"), ("flac", "flac"))]  # fmt: skip
    job = submit(music("a.flac", *OF_16_BITS), WAV, MP4, *mono, FLAC, analysis_asked={})
    job.outputs.filter(number=5).update(options={"LoudnessTarget": "-30"})
    job = transcode(job)
    wav, mp4, *both, softer = [(one["LoudnessLufs"], one["TruePeakDbtp"]) for one in sounds_of(job)]
    assert wav == (job.analysis["LoudnessLufs"], job.analysis["TruePeakDbtp"])
    assert mp4[0] == pytest.approx(wav[0], abs=0.5)
    assert both[0] == both[1]
    assert both[0] != wav
    assert softer[0] == pytest.approx(-30, abs=0.1)
    assert heard[1:] == ["result-2", "result-3", "result-5"]  # the first is the source


def test_a_part_has_the_loudness_of_that_part(submit, music, transcode):
    job = submit(music("a.flac", "-af", "volume='if(lt(t,6),1,0.1)':eval=frame", *OF_16_BITS),
                 FLAC, analysis_asked={})  # fmt: skip
    clip = {"TimeSpan": {"StartTime": "6.5", "Duration": "5"}}
    job.outputs.update(options={"Composition": [clip]})
    job = transcode(job)
    part = sounds_of(job)[0]
    assert part["SampleHash"]
    assert part["LoudnessLufs"] < job.analysis["LoudnessLufs"] - 10


def test_a_worker_that_is_to_stop_keeps_what_it_found_before_it_heard_the_results(
    submit, music, transcode, monkeypatch
):
    listen = analysis.Analysis._listen

    def stop_then(self, *arguments):
        outcome = listen(self, *arguments)
        monkeypatch.setattr(conversion, "convert", stopped)
        return outcome

    def stopped(*arguments, **options):
        raise Stopped

    monkeypatch.setattr(analysis.Analysis, "_listen", stop_then)
    job = transcode(submit(music("a.mp3"), MP3, analysis_asked={}))
    assert job.analysis["Status"] == "Complete"
    assert "LoudnessLufs" in job.analysis
    assert "LoudnessLufs" not in sounds_of(job)[0]


def test_f28_a_clip_and_another_rate_are_not_faithful(submit, music, transcode):
    other_rate = {"Container": "wav", "Audio": {"Codec": "pcm", "SampleRate": "48000"}}
    other_rate["Audio"]["Channels"] = "auto"
    job = submit(music("a.flac", *OF_16_BITS), FLAC, other_rate, MP3, analysis_asked={})
    clip = {"TimeSpan": {"StartTime": "2.5", "Duration": "9"}}
    job.outputs.exclude(number=2).update(options={"Composition": [clip]})
    clipped, resampled, both = sounds_of(transcode(job))
    assert [one["IsFaithful"] for one in (clipped, resampled, both)] == [False] * 3
    assert len(clipped["SampleHash"]) == 64
    assert resampled["Correlation"] > 0.999
    assert both["Correlation"] > 0.98
    assert both["Codec"] == "mp3"


def test_every_codec_is_like_its_source(submit, music, transcode):
    others = [
        {"Container": "ogg", "Audio": {"Codec": "vorbis", "BitRate": "128"} | KEEP},
        {"Container": "webm", "Audio": {"Codec": "vorbis", "BitRate": "128"} | KEEP},
        {"Container": "flv", "Audio": {"Codec": "mp3", "BitRate": "128"} | KEEP},
        {"Container": "mp2", "Audio": {"Codec": "mp2", "BitRate": "192"} | KEEP},
        TS,
    ]
    job = transcode(submit(music("a.m4a", seconds=14), MP3, MP4, *others, analysis_asked={}))
    assert job.status == "Complete"
    *others, ts = [one["Correlation"] for one in sounds_of(job)]
    assert [one for one in others if one < 0.97] == []
    # Moved by the encoder's delay, which is no whole number of samples at this rate.
    assert ts > 0.9


def test_what_cannot_be_held_is_named(submit, covered, transcode):
    tags = ("-metadata", "title=A", "-metadata", "album_artist=B", "-metadata", "mood=calm")
    source, _ = covered("a.mp3", arguments=tags)
    job = transcode(submit(source, FLAC, MP4, WAV, TS))
    sounds = sounds_of(job)
    lost = [one["LostTags"] for one in sounds]
    assert lost == [[], ["mood"], ["album_artist", "mood"], ["album_artist", "mood", "title"]]
    assert [one["HasCover"] for one in sounds] == [True, True, False, False]
    assert answers.job(job)["Outputs"][1]["Sound"] == sounds[1]


def test_a_failed_output_says_nothing_of_its_sound(submit, music, transcode):
    bucket("out").put("job-1/result-1", music("a.mp3"), content_type="x")
    job = transcode(submit(music("a.mp3"), WAV, FLAC, analysis_asked={}))
    failed, good = sounds_of(job)
    assert job.status == "Error"
    assert failed is None
    assert good["Codec"] == "flac"
    assert job.analysis["Status"] == "Complete"


# --- Tags -------------------------------------------------------------------------------------


def test_tags_of_the_job_replace_add_and_remove(submit, music, transcode, result):
    source = music(
        "a.mp3", "-metadata", "title=Old", "-metadata", "album=Gone", "-metadata", "genre=x"
    )
    edits = {"title": "Neu; = # \\ 'é'", "album": "", "track": "3/12", "date": "1999"}
    job = transcode(submit(source, WAV, FLAC, MP4, MP3, tags=edits, analysis_asked={}))
    assert job.analysis["Tags"] == {"title": "Old", "album": "Gone", "genre": "x"}
    for output in job.outputs.all():
        with av.open(str(result(output))) as container:
            tags = {name.lower(): value for name, value in container.metadata.items()}
        assert tags["title"] == edits["title"], output.number
        assert tags["date"] == "1999"
        assert tags["genre"] == "x"
        assert "album" not in tags
        assert "track" in {*tags, *output.sound["LostTags"]}
        assert "album" not in output.sound["LostTags"]
    assert answers.job(job)["Tags"] == edits


# --- Cover ------------------------------------------------------------------------------------


@pytest.mark.parametrize("picture", ["c.png", "c.jpg"])
def test_the_picture_is_stored_byte_for_byte(submit, covered, transcode, picture):
    source, cover = covered("a.mp3", picture=picture)
    job = transcode(submit(source, WAV, analysis_asked={"CoverKey": "cover"}))
    assert job.analysis["CoverKey"] == f"{job.output_key_prefix}cover"
    assert job.analysis["Status"] == "Complete"
    with bucket("out").open(job.analysis["CoverKey"]) as stored:
        assert stored.read() == cover.read_bytes()


def test_of_several_pictures_the_front_cover_is_taken(submit, music, transcode, tmp_path):
    for name, colour in (("back", "red"), ("front", "blue")):
        source = f"color={colour}:size=32x32"
        run_ffmpeg("-f", "lavfi", "-i", source, "-frames:v", "1", str(tmp_path / f"{name}.png"))
    path = tmp_path / "two.mp3"
    run_ffmpeg(
        "-i", str(music("a.mp3", seconds=2)), "-i", str(tmp_path / "back.png"),
        "-i", str(tmp_path / "front.png"), "-map", "0", "-map", "1", "-map", "2", "-c", "copy",
        "-metadata:s:v:0", "comment=Cover (back)", "-metadata:s:v:1", "comment=Cover (front)",
        str(path),
    )  # fmt: skip
    job = transcode(submit(path, WAV, analysis_asked={"CoverKey": "cover"}))
    with bucket("out").open(job.analysis["CoverKey"]) as stored:
        assert stored.read() == (tmp_path / "front.png").read_bytes()


def test_a_source_without_a_picture_has_no_cover(submit, music, transcode):
    job = transcode(submit(music("a.mp3"), WAV, analysis_asked={"CoverKey": "cover"}))
    assert (job.analysis["Status"], job.analysis["CoverKey"]) == ("Complete", "")
    assert set(bucket("out").keys("")) == {f"{job.output_key_prefix}result-1"}


def test_a_picture_that_is_not_good_is_no_cover(submit, covered, transcode):
    source, _ = covered("a.mp3", picture="c.png", size="5000x16")
    job = transcode(submit(source, WAV, analysis_asked={"CoverKey": "cover"}))
    assert (job.status, job.analysis["Status"], job.analysis["CoverKey"]) == (
        "Complete", "Complete", "",
    )  # fmt: skip


def test_a_cover_never_replaces_anything_and_an_equal_one_is_ours(submit, covered, transcode):
    source, cover = covered("a.mp3")
    bucket("out").put("job-1/cover", cover, content_type="image/png")
    bucket("out").put("job-2/cover", source, content_type="x")
    adopted = transcode(submit(source, WAV, analysis_asked={"CoverKey": "cover"}))
    refused = transcode(submit(source, WAV, analysis_asked={"CoverKey": "cover"}))
    assert (adopted.analysis["Status"], adopted.analysis["CoverKey"]) == ("Complete", "job-1/cover")
    assert (refused.status, refused.analysis["Status"]) == ("Complete", "Error")
    assert refused.analysis["CoverKey"] == ""
    with bucket("out").open("job-2/cover") as stored:
        assert stored.read() == source.read_bytes()


def test_a_store_that_takes_no_cover_spoils_nothing(submit, covered, transcode, monkeypatch):
    put = FolderBucket.put

    def refuse(self, key, *arguments, **options):
        if key.endswith("cover"):
            raise BucketUnavailable("is away", bucket=self.name, key=key)
        return put(self, key, *arguments, **options)

    source, _ = covered("a.mp3")
    job = submit(source, WAV, analysis_asked={"CoverKey": "cover"})
    monkeypatch.setattr(FolderBucket, "put", refuse)
    job = transcode(job)
    assert (job.status, job.analysis["Status"]) == ("Complete", "Error")
    assert job.analysis["LoudnessLufs"]


# --- When it ends otherwise -------------------------------------------------------------------


def test_loudness_is_measured_when_the_job_is_final_and_told(submit, music, transcode, monkeypatch):
    seen = []
    listen = analysis.Analysis._listen

    def look(self, *arguments):
        job = Job.objects.get(pk=self._job.pk)
        seen.append((job.status, job.analysis, sorted(job.notices.values_list("state", flat=True))))
        return listen(self, *arguments)

    monkeypatch.setattr(analysis.Analysis, "_listen", look)
    job = transcode(submit(music("a.mp3"), WAV, analysis_asked={}))
    assert seen == [("Complete", None, ["COMPLETED", "PROGRESSING"])]
    assert job.analysis["Status"] == "Complete"


def test_an_analysis_that_fails_leaves_the_job_as_it_is(submit, music, transcode, monkeypatch):
    monkeypatch.setattr(likeness, "correlation", lambda pairs: 1 / 0)
    job = transcode(submit(music("a.mp3"), WAV, analysis_asked={}))
    assert (job.status, job.outputs.get().status) == ("Complete", "Complete")
    assert job.analysis == {"Status": "Error", "CoverKey": ""}
    assert (job.lease_owner, job.lease_until) == ("", None)


def test_an_ffmpeg_that_cannot_make_the_waveform_makes_the_results_all_the_same(
    submit, music, transcode, monkeypatch
):
    arguments = waveform.arguments

    def lacking(sound, name):
        return [part.replace("astats", "not_a_filter") for part in arguments(sound, name)]

    monkeypatch.setattr(waveform, "arguments", lacking)
    job = transcode(submit(music("a.mp3"), WAV, FLAC, analysis_asked={}))
    assert job.status == "Complete", [output.status_detail for output in job.outputs.all()]
    assert job.analysis["Status"] == "Complete"
    assert sum(point > 20 for point in points_of(job)) > 1800


def test_a_job_whose_source_is_no_sound_ends_both(submit, transcode):
    job = transcode(submit(b"no sound at all" * 10, WAV, analysis_asked={}))
    assert (job.status, job.analysis["Status"]) == ("Error", "Error")
    assert (job.lease_owner, job.lease_until) == ("", None)


def test_a_canceled_job_is_not_analysed(submit, music):
    job = submit(music("a.mp3", seconds=1), WAV, analysis_asked={"CoverKey": "c"})
    assert job.cancel()
    job.refresh_from_db()
    assert job.analysis == {"Status": "Error", "CoverKey": ""}


def test_an_analysis_whose_worker_is_gone_ends_and_the_job_stays(submit, music):
    job = submit(music("a.mp3", seconds=1), WAV, analysis_asked={})
    claim = claims.claim()
    claims.finish(claim.job, is_analysed_next=True)
    due = claims.next_due()
    assert due > timezone.now()
    worker.transcode()
    job.refresh_from_db()
    assert job.analysis is None
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    worker.transcode()
    job.refresh_from_db()
    assert job.is_final
    assert job.analysis == {"Status": "Error", "CoverKey": ""}
    assert job.lease_until is None
    with pytest.raises(claims.LeaseLost):
        claim.end_analysis({"Status": "Complete"})


def test_a_worker_that_is_to_stop_ends_the_analysis(submit, music, transcode, monkeypatch):
    job = submit(music("a.mp3"), WAV, analysis_asked={})
    listen = analysis.Analysis._listen

    def stop(self, *arguments):
        monkeypatch.setattr(steps, "stopping", lambda: True)
        monkeypatch.setattr(steps, "hurrying", lambda: True)
        return listen(self, *arguments)

    monkeypatch.setattr(analysis.Analysis, "_listen", stop)
    job = transcode(job)
    assert (job.status, job.analysis["Status"]) == ("Complete", "Error")


# --- Likeness ---------------------------------------------------------------------------------


def sine(frequency, count, start=0):
    return [round(9000 * math.sin((start + n) ** 1.3 * frequency)) for n in range(count)]


def test_a_small_lag_is_found_and_another_sound_is_not_like_it():
    reach = likeness._reach()
    source = sine(0.01, 4000 + 2 * reach)
    moved = source[reach + 37 : reach + 37 + 4000]
    assert likeness.correlation([(moved, source)]) == 1.0
    assert likeness.correlation([(sine(0.017, 4000), source)]) < 0.5
    assert likeness.correlation([([0] * 4000, source)]) == 0.0
    assert likeness.correlation([([-one for one in moved], [0] * len(source))]) == 0.0


@pytest.mark.parametrize("duration_ms", [1, 500, 9000, 9001, 420_000])
def test_windows_lie_within_the_sound(duration_ms):
    for window in likeness.windows(duration_ms):
        assert window.start_ms >= 0
        assert window.start_ms + window.length_ms <= duration_ms
