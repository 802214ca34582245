"""What `make bench` stands on; what it measures is nobody's to assert."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from bench import direct, finished_jobs, pages, stores
from bench.alone import MEASURES
from bench.bytes_read import Answered
from bench.lean_client import LeanClient
from bench.table import Line, milliseconds, printed, unmeasured
from tests.faulty_proxy import ALWAYS, FaultyProxy
from tests.radosgw import S3Server
from tests.system import ROOT, Growth, Person, System
from tests.test_browser_uploads import uppy

__all__ = ["uppy"]


def test_the_table_says_of_each_line_whether_it_holds():
    lines = [
        Line("quick", "≤ 2 ms", "1 ms", True),
        Line("slow", "≤ 2 ms", "30 ms", False),
        Line("other", "", "4 ms", None),
    ]
    assert printed(lines).splitlines()[2:] == [
        "| quick | ≤ 2 ms  | 1 ms     | yes   |",
        "| slow  | ≤ 2 ms  | 30 ms    | NO    |",
        "| other |         | 4 ms     | -     |",
    ]


def test_what_was_not_measured_holds_nowhere():
    line = unmeasured("fast", "≤ 2 ms", "no server")
    assert printed([line]).splitlines()[2:] == [
        "| fast | ≤ 2 ms  | not measured: no server | -     |"
    ]


def test_durations_are_told_from_the_least_to_the_rare():
    seconds = [number / 1000 for number in range(1, 101)]
    assert milliseconds(seconds) == "least 1.0, median 50.5, p95 96.0, p99 100.0 ms"


@pytest.mark.parametrize("name", MEASURES)
def test_readme_lists_every_measure(name):
    assert callable(importlib.import_module(f"bench.{MEASURES[name]}").measure)
    assert f"\n| `{name}` |" in (ROOT / "README.md").read_text()


def test_a_name_that_is_none_is_refused_with_those_that_are():
    command = [sys.executable, "-m", "bench", "claim", "nonsense"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "nonsense" in done.stderr
    assert all(name in done.stderr for name in MEASURES)


@pytest.mark.end_to_end
def test_the_lean_client_gets_pages_of_the_finished_jobs(tmp_path: Path):
    system = System(tmp_path)
    system.manage("run", "--set-up-only")
    first, _ = finished_jobs.fill(tmp_path / "db.sqlite3", pipelines=2, outputs=3, jobs=500)
    assert system.count("elastic_transcoder_notice", "status = 'Delivered'") == 1000
    system.start()
    try:
        key = system.secrets()
        client = LeanClient(
            system.url, key["TRANSCODER_ACCESS_KEY_ID"], key["TRANSCODER_SECRET_ACCESS_KEY"]
        )
        page = client.call("GET", "/jobsByStatus/Complete?Ascending=true")
        token = page["NextPageToken"]
        following = client.call("GET", f"/jobsByStatus/Complete?Ascending=true&PageToken={token}")
        of_first = client.call("GET", f"/jobsByPipeline/{first}?Ascending=false")
    finally:
        system.stop()
    ids = [job["Id"] for job in page["Jobs"] + following["Jobs"]]
    assert len(ids) == 100
    assert ids == sorted(set(ids))
    assert {job["PipelineId"] for job in of_first["Jobs"]} == {first}
    assert all(len(job["Outputs"]) == 3 for job in of_first["Jobs"])


@pytest.mark.s3
def test_answers_about_a_source_are_counted_apart_from_all_others(s3_server: S3Server):
    keys = s3_server.user()
    place = {"Bucket": s3_server.bucket(keys), "Key": "media/uploads/1/source"}
    answered = Answered()
    with FaultyProxy(s3_server.url) as proxy:
        proxy.meet(answered.count, times=ALWAYS)
        client = s3_server.client(keys, url=proxy.url)
        client.put_object(**place, Body=bytes(100_000))
        client.head_object(**place)
        assert answered.bytes["source"] == 0
        assert 200 < answered.bytes["else"] < 2000
        assert len(client.get_object(**place, Range="bytes=0-59999")["Body"].read()) == 60_000
        assert 60_000 < answered.bytes["source"] < 61_000


@pytest.mark.s3
@pytest.mark.browser
def test_page_and_boto3_are_timed_into_one_bucket_and_leave_nothing(
    uppy: None, browser: Browser, s3_server: S3Server, tmp_path: Path
):
    noise = direct.noise(tmp_path / "Noise.wav", 20 * 1024**2)
    with stores.on_s3(tmp_path, s3_server, **direct.SETTINGS) as system:
        page = direct.UploadPage(browser, system)
        grown = Growth(system.web_pids)
        assert 0 < page.upload_s(noise) < 60
        assert 0 < direct.boto3_s(system, noise) < 60
        assert "MiB (from" in direct.growth_line(grown).measured
        assert system.objects() == []
        assert system.rows("SELECT size_bytes FROM audio_transcoder_upload") == [(20 * 1024**2,)]


@pytest.mark.browser
def test_pages_of_many_files_are_asked_for_at_a_rate_and_looked_at(
    browser: Browser, system: System
):
    person = Person(system, "bench").sign_up()
    found = pages.fill(system, files=60, messages=10)
    assert list(found) == ["library", "detail", "upload", "messages", "profile"]
    took = pages.send(system, person, found["library"], rate=10, seconds=1)
    assert len(took) == 10
    assert all(0 < seconds < 60 for seconds in took)
    looks = pages.felt(browser, system, person, {"start": "/", **found}, looks=1)
    assert all(lcp > 0 and cls >= 0 for [(lcp, cls)] in looks.values())
    assert "of 3" in person.get(found["library"]).text  # 60 files are three pages
    with pytest.raises(RuntimeError, match="answered \\[404\\], 2 times"):
        pages.send(system, person, "/audio/nowhere/", rate=10, seconds=0.2)
