"""Tags and cover survive MP3 to FLAC to MP4, read back by a library that wrote none of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from mutagen.flac import FLAC
from mutagen.id3 import APIC, COMM, ID3, TALB, TCON, TDRC, TIT2, TPE1, TPE2, TRCK
from mutagen.mp4 import MP4

from buckets.folder import FolderBucket
from elastic_transcoder.client import client
from tests import sounds
from tests.system import System, wait_for

pytestmark = pytest.mark.end_to_end

ROLE = "arn:aws:iam::000000000000:role/x"
FLAC_CD, MP4_256K = "1351620000001-300110", "1351620000001-100110"


@pytest.fixture(scope="module")
def transcoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(
        tmp_path_factory.mktemp("transcoder"), TRANSCODER_ALONE=1, TRANSCODER_WORKERS=1
    ).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def api(transcoder: System) -> BaseClient:
    secrets = transcoder.secrets()
    return client(
        endpoint_url=transcoder.url,
        region_name="eu-west-1",
        access_key_id=secrets["TRANSCODER_ACCESS_KEY_ID"],
        secret_access_key=secrets["TRANSCODER_SECRET_ACCESS_KEY"],
    )


@pytest.fixture(scope="module")
def files(transcoder: System) -> FolderBucket:
    """The one bucket that both jobs read and write."""
    return FolderBucket("music", transcoder.data_dir / "buckets" / "music")


@pytest.fixture(scope="module")
def pipeline_id(api: BaseClient, files: FolderBucket) -> str:
    made = api.create_pipeline(
        Name="tags", InputBucket=files.name, OutputBucket=files.name, Role=ROLE
    )
    return made["Pipeline"]["Id"]


def converted(api: BaseClient, pipeline_id: str, source: str, result: str, **members: Any) -> dict:
    """Return the job when it is over."""
    preset = FLAC_CD if result.endswith(".flac") else MP4_256K
    job_id = api.create_job(
        PipelineId=pipeline_id,
        Input={"Key": source},
        Outputs=[{"Key": result, "PresetId": preset}],
        **members,
    )["Job"]["Id"]

    def over() -> dict | None:
        job = api.read_job(Id=job_id)["Job"]
        return job if job["Status"] not in ("Submitted", "Progressing") else None

    job = wait_for(over, f"the end of {result}", 120)
    assert job["Status"] == "Complete", job["Output"]
    return job


def fetched(files: FolderBucket, key: str, folder: Path) -> Path:
    files.fetch(key, folder / key)
    return folder / key


def test_tags_and_cover_survive_from_mp3_to_flac_to_mp4(
    api: BaseClient, pipeline_id: str, files: FolderBucket, tmp_path: Path
):
    mp3, picture = sounds.make(tmp_path / "a.mp3", 3), tmp_path / "cover.png"
    draw = ["-f", "lavfi", "-i", "testsrc=size=320x200", "-frames:v", "1", str(picture)]
    subprocess.run([sounds.FFMPEG, "-v", "error", *draw], check=True, timeout=60)
    cover = picture.read_bytes()
    written = ID3()
    for frame in (
        TIT2(encoding=3, text="Old title"),
        TPE1(encoding=3, text="Zażółć Gęślą"),
        TALB(encoding=3, text="To be removed"),
        TPE2(encoding=3, text="Various"),
        TCON(encoding=3, text="Jazz"),
        TDRC(encoding=3, text="1999"),
        TRCK(encoding=3, text="1/9"),
        COMM(encoding=3, lang="eng", desc="", text="made by hand"),
        APIC(encoding=3, mime="image/png", type=3, desc="", data=cover),
    ):
        written.add(frame)
    written.save(mp3)
    files.put("a.mp3", mp3, content_type="audio/mpeg")

    edits = {"title": "Nowy tytuł = ; #", "track": "3/12", "date": "2024", "album": ""}
    first = converted(api, pipeline_id, "a.mp3", "b.flac", Tags=edits)
    second = converted(api, pipeline_id, "b.flac", "c.mp4")

    for job in (first, second):
        assert (job["Output"]["Sound"]["LostTags"], job["Output"]["Sound"]["HasCover"]) == (
            [],
            True,
        )
    flac = FLAC(fetched(files, "b.flac", tmp_path))
    assert {name: flac.get(name) for name in ("title", "artist", "album", "date", "genre")} == {
        "title": ["Nowy tytuł = ; #"],
        "artist": ["Zażółć Gęślą"],
        "album": None,
        "date": ["2024"],
        "genre": ["Jazz"],
    }
    mp4 = MP4(fetched(files, "c.mp4", tmp_path))
    assert mp4["\xa9nam"] == ["Nowy tytuł = ; #"]
    assert mp4["\xa9ART"] == ["Zażółć Gęślą"]
    assert mp4["aART"] == ["Various"]
    assert mp4["\xa9gen"] == ["Jazz"]
    assert mp4["\xa9day"] == ["2024"]
    assert mp4["trkn"] == [(3, 12)]
    assert mp4["\xa9cmt"] == ["made by hand"]
    assert "\xa9alb" not in mp4
    assert [pixels(bytes(one), tmp_path) for one in (flac.pictures[0].data, mp4["covr"][0])] == [
        pixels(cover, tmp_path)
    ] * 2
    assert (len(flac.pictures), len(mp4["covr"])) == (1, 1)


def pixels(picture: bytes, folder: Path) -> bytes:
    """Return the colours of a picture, row by row: it may be packed anew."""
    path = folder / "picture"
    path.write_bytes(picture)
    raw = ["-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    command = [sounds.FFMPEG, "-v", "error", *raw]
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


def test_the_same_files_are_analysed_by_the_real_worker(
    api: BaseClient, pipeline_id: str, files: FolderBucket, tmp_path: Path
):
    files.put("plain.mp3", sounds.make(tmp_path / "p.mp3", 3), content_type="audio/mpeg")
    job = converted(api, pipeline_id, "plain.mp3", "plain.flac", Analysis={"CoverKey": "cover"})

    def analysed() -> dict | None:
        found = api.read_job(Id=job["Id"])["Job"]
        return found if "Status" in found["Analysis"] else None

    job = wait_for(analysed, "the analysis", 60)
    assert job["Analysis"]["Status"] == "Complete"
    assert (job["Analysis"]["Codec"], job["Analysis"]["CoverKey"]) == ("mp3", "")
    assert job["Output"]["Sound"]["Correlation"] > 0.99
