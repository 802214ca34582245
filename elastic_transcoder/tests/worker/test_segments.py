"""Segmented outputs and playlists, through the whole worker, played by FFmpeg."""

import base64
import functools
import hashlib
import json
import subprocess
import threading
import xml.etree.ElementTree as ElementTree
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from buckets import bucket
from elastic_transcoder.models import Job
from elastic_transcoder.tests.conftest import MP3, WAV
from elastic_transcoder.tests.worker.test_worker import details, keys, make_due
from elastic_transcoder.worker import ffmpeg, publishing

HLS_160K, HLS_64K = "1351620000001-200060", "1351620000001-200071"
DASH_128K = "1351620000001-500060"
KEY = bytes(range(16))
PROTECTION = {
    "Method": "aes-128",
    "Key": base64.b64encode(KEY).decode(),
    "KeyMd5": base64.b64encode(hashlib.md5(KEY, usedforsecurity=False).digest()).decode(),
    "InitializationVector": base64.b64encode(bytes(16)).decode(),
}


def playlist(kind: str, *output_keys: str, name: str = "index", **members: object) -> dict:
    return {
        "Name": name,
        "Format": kind,
        "OutputKeys": list(output_keys),
        "Status": "Submitted",
        **members,
    }


@pytest.fixture
def segmented(submit, tone):
    """Return a function that orders segmented results of 25 seconds, and playlists of them."""

    def order(*presets: str, playlists: tuple = (), seconds: str = "10", prefix: str = "p/") -> Job:
        source = tone("long.mp3", "-ac", "2", "-b:a", "128k", seconds=25)
        job = submit(source, *presets, output_key_prefix=prefix, playlists=list(playlists))
        job.outputs.update(options={"SegmentDuration": seconds})
        return job

    return order


@pytest.fixture
def downloaded(tmp_path):
    """Return a function that brings every object of the output bucket into a folder."""

    def fetch() -> Path:
        folder = tmp_path / "downloaded"
        for key in keys():
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            bucket("out").fetch(key, path)
        return folder

    return fetch


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def played_s(path: Path) -> float:
    """How many seconds FFmpeg plays of a playlist, reached over HTTP as a player would.

    HLSv4's byte ranges are read from the disk: this little server knows no ranges.
    """
    if "BYTERANGE" in "".join(one.read_text() for one in path.parent.glob("*_v4.m3u8")):
        return decoded_s("-allowed_extensions", "ALL", "-i", str(path))
    handler = functools.partial(Quiet, directory=path.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            return decoded_s("-i", f"http://127.0.0.1:{server.server_port}/{quote(path.name)}")
        finally:
            server.shutdown()


def decoded_s(*source: str) -> float:
    command = [ffmpeg.binary(), "-v", "error", *source, "-ac", "1", "-ar", "8000"]
    done = subprocess.run([*command, "-f", "s16le", "-"], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return len(done.stdout) / 16000


def test_an_hlsv3_playlist_has_segments_a_list_and_a_master(segmented, transcode, downloaded):
    master = playlist("HLSv3", "result-1", "result-2")
    job = transcode(segmented(HLS_160K, HLS_64K, playlists=[master]))
    assert job.status == "Complete", details(job)
    assert job.playlists[0]["Status"] == "Complete"
    names = [f"p/result-{n}{end}" for n in (1, 2) for end in ("00000.ts", "00001.ts", "00002.ts")]
    assert keys() == {*names, "p/result-1.m3u8", "p/result-2.m3u8", "p/index.m3u8"}
    folder = downloaded()
    for name in ("index", "result-1", "result-2"):
        assert abs(played_s(folder / "p" / f"{name}.m3u8") - 25) < 0.2
    text = (folder / "p" / "index.m3u8").read_text()
    assert text.count("#EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH=") == 2
    output = job.outputs.get(number=1)
    sizes = [bucket("out").stat(name).size_bytes for name in names[:3]]
    assert output.size_bytes == sum(sizes)
    assert abs(output.duration_ms - 25_000) < 100
    # Each segment can be played by itself.
    assert abs(played_s(folder / "p" / "result-100001.ts") - 10) < 0.2


def test_an_hlsv4_playlist_names_byte_ranges_of_one_file(segmented, transcode, downloaded):
    job = transcode(segmented(HLS_160K, playlists=[playlist("HLSv4", "result-1")]))
    assert job.status == "Complete", details(job)
    assert keys() == {"p/result-1.ts", "p/result-1_v4.m3u8", "p/index.m3u8"}
    folder = downloaded() / "p"
    assert (folder / "result-1_v4.m3u8").read_text().count("#EXT-X-BYTERANGE:") == 3
    assert abs(played_s(folder / "index.m3u8") - 25) < 0.2


def test_segments_without_a_playlist_have_their_own_list(segmented, transcode, downloaded):
    job = transcode(segmented(HLS_64K, seconds="7.5", prefix=""))
    assert job.status == "Complete", details(job)
    segments = {f"result-10000{number}.ts" for number in range(4)}
    assert keys() == {*segments, "result-1.m3u8"}
    assert abs(played_s(downloaded() / "result-1.m3u8") - 25) < 0.2


def test_keys_of_any_kind_are_named_in_playlists(segmented, transcode, downloaded):
    job = segmented(HLS_160K, playlists=[playlist("HLSv3", "a #1/ü 50%", name="a #1/x y")])
    job.outputs.update(key="a #1/ü 50%")
    assert transcode(job).status == "Complete", details(job)
    assert abs(played_s(downloaded() / "p" / "a #1" / "x y.m3u8") - 25) < 0.2


def test_a_dash_manifest_names_ranges_of_one_file(segmented, transcode, downloaded):
    job = transcode(segmented(DASH_128K, playlists=[playlist("MPEG-DASH", "result-1")]))
    assert job.status == "Complete", details(job)
    assert keys() == {"p/result-1", "p/index.mpd"}
    folder = downloaded() / "p"
    root = ElementTree.parse(folder / "index.mpd").getroot()  # noqa: S314 -- our own
    space = {"d": "urn:mpeg:dash:schema:mpd:2011"}
    base = root.find(".//d:SegmentBase", space)
    first, last = map(int, base.get("indexRange").split("-"))
    content = (folder / "result-1").read_bytes()
    assert content[first + 4 : first + 8] == b"sidx"
    assert int.from_bytes(content[first : first + 4]) == last - first + 1
    assert root.find(".//d:BaseURL", space).text == "result-1"
    assert abs(job.outputs.get().duration_ms - 25_000) < 100


@pytest.mark.parametrize("kind", ["HLSv3", "HLSv4"])
def test_protected_segments_are_played_with_the_key_only(segmented, transcode, downloaded, kind):
    protection = PROTECTION | {"KeyStoragePolicy": "WithVariantPlaylists"}
    master = playlist(kind, "result-1", HlsContentProtection=protection)
    job = transcode(segmented(HLS_160K, playlists=[master]))
    assert job.status == "Complete", details(job)
    folder = downloaded() / "p"
    assert (folder / "index.key").read_bytes() == KEY
    assert abs(played_s(folder / "index.m3u8") - 25) < 0.2
    media = next(folder.glob("result-1*.m3u8")).read_text()
    assert 'METHOD=AES-128,URI="index.key",IV=0x' in media
    for segment in folder.glob("*.ts"):
        assert segment.read_bytes()[:1] != b"\x47"
    total = sum(path.stat().st_size for path in folder.glob("*.ts"))
    assert job.outputs.get().size_bytes == total


def test_a_drawn_key_is_told_and_stored_nowhere_else(segmented, transcode, downloaded):
    protection = {
        "Method": "aes-128",
        "KeyStoragePolicy": "NoStore",
        "LicenseAcquisitionUrl": "https://keys.example.org/a?b=c",
    }
    master = playlist("HLSv3", "result-1", HlsContentProtection=protection)
    job = transcode(segmented(HLS_160K, playlists=[master]))
    assert job.status == "Complete", details(job)
    told = job.playlists[0]["HlsContentProtection"]
    assert len(base64.b64decode(told["Key"])) == 16
    folder = downloaded() / "p"
    assert not list(folder.glob("*.key"))
    text = (folder / "result-1.m3u8").read_text()
    assert 'URI="https://keys.example.org/a?b=c"' in text
    (folder / "k").write_bytes(base64.b64decode(told["Key"]))
    (folder / "local.m3u8").write_text(text.replace("https://keys.example.org/a?b=c", "k"))
    assert abs(played_s(folder / "local.m3u8") - 25) < 0.2


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"Key": base64.b64encode(b"x" * 24).decode()}, 4020),
        ({"KeyMd5": base64.b64encode(b"x" * 16).decode()}, 1000),
    ],
)
def test_a_key_that_cannot_be_used_fails_the_playlist_and_publishes_nothing(
    segmented, transcode, changed, code
):
    master = playlist("HLSv3", "result-1", HlsContentProtection=PROTECTION | changed)
    job = transcode(segmented(HLS_160K, playlists=[master]))
    assert (job.status, keys()) == ("Error", set())
    assert details(job)[0][:2] == ("Error", code)
    assert job.playlists[0]["StatusDetail"].startswith(f"{code} ")


def test_s7_a_taken_segment_is_3002_and_the_playlist_1001(segmented, transcode):
    """The first segment is the one that is told; nothing is put over anything."""
    bucket("out").put("p/result-100000.ts", Path(__file__), content_type="text/plain")
    master = playlist("HLSv3", "result-1", "result-2")
    job = transcode(segmented(HLS_160K, HLS_64K, playlists=[master]))
    first, second = details(job)
    assert first[:2] == ("Error", 3002)
    assert "key=p/result-100000.ts." in first[2]
    assert second[0] == "Complete"
    assert job.playlists[0]["Status"] == "Error"
    assert job.playlists[0]["StatusDetail"].startswith("1001 ")
    assert "p/index.m3u8" not in keys()
    assert bucket("out").open("p/result-100000.ts").read() == Path(__file__).read_bytes()


def test_s7_a_taken_later_segment_or_master_is_found_too(segmented, transcode):
    bucket("out").put("p/result-100002.ts", Path(__file__), content_type="text/plain")
    bucket("out").put("p/index.m3u8", Path(__file__), content_type="text/plain")
    master = playlist("HLSv3", "result-2")
    job = transcode(segmented(HLS_160K, HLS_64K, playlists=[master]))
    assert [one[:2] for one in details(job)] == [("Error", 3002), ("Complete", None)]
    assert "p/result-100000.ts" not in keys()
    assert job.playlists[0]["StatusDetail"].startswith("3002 ")


def test_s8_what_an_earlier_attempt_had_put_is_adopted(segmented, transcode, monkeypatch):
    """The worker dies between the second and the third segment, and then before the master."""
    protection = {"Method": "aes-128", "KeyStoragePolicy": "WithVariantPlaylists"}
    master = playlist("HLSv3", "result-1", HlsContentProtection=protection)
    job = segmented(HLS_160K, playlists=[master])
    put = publishing.Publisher._put
    deadly = ["p/result-100002.ts", "p/index.m3u8"]

    def die(self, piece, kept):
        if piece.key in deadly:
            deadly.remove(piece.key)
            raise SystemError("power cut")
        put(self, piece, kept)

    monkeypatch.setattr(publishing.Publisher, "_put", die)
    for _ in range(2):
        transcode(job)
        assert job.status == "Progressing"
        make_due(job)
    transcode(job)
    assert (job.status, job.attempts) == ("Complete", 3), details(job)
    assert len(keys()) == 6


def test_a_playlist_outlives_what_fails_the_outputs_that_are_left(
    segmented, transcode, monkeypatch
):
    """The worker dies over the second output, and then the source is gone."""
    protection = {"Method": "aes-128", "KeyStoragePolicy": "WithVariantPlaylists"}
    members = [
        playlist("HLSv3", f"result-{n}", name=f"of-{n}", HlsContentProtection=protection)
        for n in (1, 2)
    ]
    job = segmented(HLS_160K, HLS_64K, playlists=members)
    put = publishing.Publisher._put

    def die(self, piece, kept):
        if "result-2" in piece.key:
            raise SystemError("power cut")
        put(self, piece, kept)

    monkeypatch.setattr(publishing.Publisher, "_put", die)
    transcode(job)
    make_due(job)
    bucket("in").delete(job.inputs[0]["Key"])
    transcode(job)
    assert [one[:2] for one in details(job)] == [("Complete", None), ("Error", 3001)]
    assert [one["Status"] for one in job.playlists] == ["Complete", "Error"]
    assert {"p/of-1.m3u8", "p/of-1.key"} <= keys()
    assert not {"p/of-2.m3u8", "p/of-2.key"} & keys()


def test_notices_tell_of_playlists(segmented, transcode):

    master = playlist("HLSv3", "result-1")
    job = transcode(segmented(HLS_160K, playlists=[master]))
    first, last = (json.loads(notice.message) for notice in job.notices.order_by("pk"))
    told = {"name": "index", "format": "HLSv3", "outputKeys": ["result-1"]}
    assert first["playlists"] == [told | {"status": "Progressing"}]
    assert last["playlists"] == [told | {"status": "Complete"}]
    assert last["outputs"][0]["segmentDuration"] == 10.0


def test_a_clip_may_be_segmented_beside_whole_results(segmented, transcode, downloaded):
    job = segmented(HLS_160K, WAV, MP3, playlists=[playlist("HLSv3", "result-1")])
    job.outputs.exclude(number=1).update(options={})
    job.inputs[0]["TimeSpan"] = {"StartTime": "5", "Duration": "12"}
    job.save()
    assert transcode(job).status == "Complete", details(job)
    folder = downloaded() / "p"
    for name in ("index.m3u8", "result-2", "result-3"):
        assert abs(played_s(folder / name) - 12) < 0.2


def test_a_canceled_job_cancels_its_playlists(segmented):
    job = segmented(HLS_160K, playlists=[playlist("HLSv3", "result-1")])
    assert job.cancel()
    job.refresh_from_db()
    assert job.playlists[0]["Status"] == "Canceled"
