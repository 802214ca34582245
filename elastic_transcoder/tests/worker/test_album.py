"""Album art, through the whole worker: whose pictures a result carries, and in which order."""

import gc
from pathlib import Path

import av
import pytest

from buckets import bucket
from elastic_transcoder.models import Job
from elastic_transcoder.tests.conftest import FLAC, MP3, MP4, WAV, run_ffmpeg
from elastic_transcoder.tests.worker.test_worker import details
from elastic_transcoder.worker import artwork
from elastic_transcoder.worker.album import Album
from sound.tests.test_hostile_files import PICTURE, picture_block, with_blocks
from sound.tests.test_probe import png


def picture(path: Path, colour: str, size: str = "100x80") -> Path:
    run_ffmpeg("-f", "lavfi", "-i", f"color={colour}:size={size}", "-frames:v", "1", str(path))
    return path


@pytest.fixture
def art(submit, tmp_path, tone):
    """Return a function that orders results of an MP3 with the given embedded pictures."""

    def order(
        *presets: str, embedded: tuple[str, ...] = ("red",), album: dict | None = None
    ) -> Job:
        pictures = [picture(tmp_path / f"{colour}.png", colour) for colour in embedded]
        source = tmp_path / "source.mp3"
        inputs = [part for one in [tone("a.mp3", "-ac", "2"), *pictures] for part in ("-i", one)]
        maps = [part for n in range(len(pictures) + 1) for part in ("-map", str(n))]
        run_ffmpeg(*map(str, inputs), *maps, "-c", "copy", str(source))
        job = submit(source, *presets)
        for colour in ("blue", "green"):
            one = picture(tmp_path / f"given-{colour}.png", colour, "900x300")
            bucket("in").put(f"art/{colour}.png", one, content_type="image/png")
        if album is not None:
            job.outputs.update(options={"AlbumArt": album})
        return job

    return order


def given(*colours: str, policy: str = "Replace", **members: str) -> dict:
    artwork = [{"InputKey": f"art/{colour}.png"} | members for colour in colours]
    return {"MergePolicy": policy, "Artwork": artwork}


def colours(path: Path) -> list[str]:
    """The colour in the middle of each picture that a file carries, as PyAV decodes it."""
    found = []
    with av.open(str(path)) as container:
        streams = container.streams.video
        packets = {}
        for packet in container.demux(streams):
            if packet.size:
                packets.setdefault(packet.stream.index, packet)
        for stream in streams:
            (frame,) = stream.codec_context.decode(packets[stream.index])
            plane = frame.reformat(format="rgb24").planes[0]
            middle = frame.height // 2 * plane.line_size + frame.width // 2 * 3
            parts = list(bytes(plane)[middle : middle + 3])
            found.append(("red", "green", "blue")[parts.index(max(parts))])
    return found


def sizes(path: Path) -> list[tuple[int, int, str]]:
    with av.open(str(path)) as container:
        contexts = [stream.codec_context for stream in container.streams.video]
        return [(one.width, one.height, one.name) for one in contexts]


def test_pictures_of_the_input_are_passed_on_where_there_is_room_for_them(art, transcode, result):
    job = transcode(art(MP3, FLAC, MP4, WAV, embedded=("red", "green")))
    assert job.status == "Complete", details(job)
    *carrying, wav = job.outputs.all()
    for output in carrying:
        assert colours(result(output)) == ["red", "green"]
        assert output.status_detail == ""
    assert wav.status_detail == "Artwork of the input was left out."


def test_covers_that_are_not_decoded_leave_no_noise_in_the_log(art, transcode):
    assert transcode(art(MP3, WAV, embedded=("red", "green"))).log == ""


@pytest.mark.parametrize(
    ("album", "expected"),
    [
        (given("blue"), ["blue"]),
        (given("blue", "green", policy="Prepend"), ["blue", "green", "red"]),
        (given("blue", policy="Append"), ["red", "blue"]),
        (given("blue", policy="Fallback"), ["red"]),
        ({"MergePolicy": "Append", "Artwork": []}, ["red"]),
        ({"MergePolicy": "Replace", "Artwork": []}, []),
        ({"MergePolicy": "Append"}, []),
    ],
)
def test_the_merge_policy_says_whose_pictures_there_are(art, transcode, result, album, expected):
    job = transcode(art(MP3, MP4, album=album))
    assert job.status == "Complete", details(job)
    for output in job.outputs.all():
        assert colours(result(output)) == expected


def test_a_fallback_is_used_where_the_input_has_no_picture(art, transcode, result):
    job = transcode(art(FLAC, embedded=(), album=given("blue", policy="Fallback")))
    assert colours(result(job.outputs.get())) == ["blue"]


PADDED = {"MaxWidth": "300", "MaxHeight": "300", "PaddingPolicy": "Pad", "AlbumArtFormat": "png"}


@pytest.mark.parametrize(
    ("members", "size"),
    [
        ({}, (600, 200, "mjpeg")),
        ({"MaxWidth": "100", "MaxHeight": "64", "SizingPolicy": "Fill"}, (100, 64, "mjpeg")),
        (PADDED, (300, 300, "png")),
    ],
)
def test_a_given_picture_is_drawn_to_size(art, transcode, result, members, size):
    """900 by 300 pixels: into a box of 600 by 600, into one of 100 by 64, and padded."""
    job = transcode(art(MP3, album=given("blue", **members)))
    assert sizes(result(job.outputs.get())) == [size]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<html>no picture</html>", 4010),
        (png(5000, 10), 4012),
        (b"\x89PNG" + bytes(60_000_000), 4005),
        (None, 4010),
    ],
    ids=["page", "large", "heavy", "missing"],
)
def test_f15_a_given_picture_that_cannot_be_used_fails_its_output_only(
    art, transcode, tmp_path, content, code
):
    job = art(MP3, WAV, album=None)
    job.outputs.filter(number=1).update(options={"AlbumArt": given("other")})
    if content is not None:
        (tmp_path / "other").write_bytes(content)
        bucket("in").put("art/other.png", tmp_path / "other", content_type="image/png")
    transcode(job)
    first, second = details(job)
    assert first[:2] == ("Error", code)
    assert "key=art/other.png" in first[2]
    assert second[0] == "Complete"


def test_f16_of_hundreds_of_pictures_the_first_twenty_are_passed_on(
    submit, transcode, result, tone
):
    covers = [(PICTURE, picture_block(b"image/png", png(16, 16)))] * 300
    source = with_blocks(tone("a.flac").read_bytes(), *covers)
    job = transcode(submit(source, MP3, FLAC))
    assert job.status == "Complete", details(job)
    for output in job.outputs.all():
        assert len(sizes(result(output))) == 20
        assert output.status_detail == "Some artwork of the input was left out."


def test_a_picture_that_is_too_heavy_once_it_is_drawn_is_4005(art, transcode, tmp_path):
    """Noise as PNG: no container takes so much. Passed on from the input it would be left out."""
    noise = tmp_path / "noise.jpg"
    source = "nullsrc=size=2600x2600,format=rgb24,geq=random(1)*255:random(2)*255:random(3)*255"
    run_ffmpeg("-f", "lavfi", "-i", source, "-frames:v", "1", "-q:v", "20", str(noise))
    job = art(FLAC, WAV)
    sizing = {"MaxWidth": "2600", "MaxHeight": "2600", "AlbumArtFormat": "png"}
    album = {"MergePolicy": "Replace", "Artwork": [{"InputKey": "art/noise.jpg"} | sizing]}
    job.outputs.filter(number=1).update(options={"AlbumArt": album})
    bucket("in").put("art/noise.jpg", noise, content_type="image/jpeg")
    transcode(job)
    first, second = details(job)
    assert (first[:2], second[0]) == (("Error", 4005), "Complete")
    assert "key=art/noise.jpg" in first[2]


def test_more_than_twenty_pictures_are_4009(art, transcode):
    album = given(*["blue", "green"] * 10, policy="Append")
    assert details(transcode(art(MP3, album=album)))[0][:2] == ("Error", 4009)


def test_outputs_may_differ_in_their_pictures(art, transcode, result):
    job = art(MP3, MP3, MP3)
    for number, album in ((1, given("blue")), (2, given("green", policy="Prepend"))):
        job.outputs.filter(number=number).update(options={"AlbumArt": album})
    transcode(job)
    made = [colours(result(output)) for output in job.outputs.all()]
    assert made == [["blue"], ["green", "red"], ["red"]]


def test_hundreds_of_pictures_are_counted_before_one_is_drawn(submit, transcode, tone, monkeypatch):
    drawn = []
    monkeypatch.setattr(artwork, "draw", lambda *args, **kwargs: drawn.append(args))
    covers = [(PICTURE, picture_block(b"image/png", png(16, 16)))] * 300
    job = submit(with_blocks(tone("a.flac").read_bytes(), *covers), MP3)
    job.outputs.update(options={"AlbumArt": given(policy="Append")})
    assert details(transcode(job))[0][:2] == ("Error", 4009)
    assert drawn == []


def test_nothing_of_an_album_stays_in_memory(art, transcode):
    assert transcode(art(MP3, album=given("blue"))).status == "Complete"
    gc.collect()
    assert [one for one in gc.get_objects() if type(one) is Album] == []
