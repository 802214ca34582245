"""Members that Amazon never had are harmless: old clients do not even see them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient

from elastic_transcoder.client import client
from tests.clients.clients import AwsCli, Boto3
from tests.clients.conftest import MP3_192K, WAV_CD, Desk
from tests.system import System, wait_for

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def desk(api: Boto3, transcoder: System, tmp_path_factory) -> Iterator[Desk]:
    """One desk for all tests here: they only look."""
    desk = Desk(api, transcoder, tmp_path_factory.mktemp("results"))
    yield desk
    desk.leave()


@pytest.fixture(scope="module")
def job_id(desk: Desk, transcoder: System, wav: Callable[..., Path]) -> str:
    """A job that is Complete and has every member of ours, with one that waits beside it."""
    key = desk.upload("in.wav", wav())
    done = ours(transcoder).create_job(
        PipelineId=desk.pipeline_id,
        OutputKeyPrefix=desk.prefix,
        Input={"Key": key},
        Outputs=[
            {"Key": "a.mp3", "PresetId": MP3_192K},
            {"Key": "a.wav", "PresetId": WAV_CD},
        ],
        Tags={"title": "Song"},
        Analysis={"CoverKey": "cover"},
    )["Job"]["Id"]

    def analysed() -> str | None:
        job = json.loads(desk.api.raw("read_job", Id=done))["Job"]
        return job["Analysis"].get("Status")

    assert wait_for(analysed, "the analysis", 60) == "Complete"
    desk.pause()
    desk.order(("b.mp3", MP3_192K), Input={"Key": key})
    return done


def ours(transcoder: System) -> BaseClient:
    """Return a client that knows our service model, whichever the test is about."""
    secrets = transcoder.secrets()
    return client(
        endpoint_url=transcoder.url,
        region_name="eu-west-1",
        access_key_id=secrets["TRANSCODER_ACCESS_KEY_ID"],
        secret_access_key=secrets["TRANSCODER_SECRET_ACCESS_KEY"],
    )


def without_ours(job: dict[str, Any]) -> dict[str, Any]:
    """Return a job without what Amazon never had."""
    outputs = [
        {name: output[name] for name in output if name != "Sound"} for output in job["Outputs"]
    ]
    known = {name: job[name] for name in job if name not in ("Progress", "Tags", "Analysis")}
    return known | {"Outputs": outputs, "Output": outputs[0]}


def answers_with_jobs(desk: Desk, job_id: str) -> list[tuple[str, dict[str, str]]]:
    return [
        ("read_job", {"Id": job_id}),
        ("list_jobs_by_pipeline", {"PipelineId": desk.pipeline_id}),
        ("list_jobs_by_status", {"Status": "Complete"}),
    ]


def jobs_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return answer["Jobs"] if "Jobs" in answer else [answer["Job"]]


def without_nulls(value: Any) -> Any:
    """Return what botocore makes of JSON whose members it all knows."""
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def knows_progress(api: Boto3) -> bool:
    return "1.41.5" not in api.kind


def test_they_are_in_every_answer_that_shows_a_job(desk: Desk, job_id: str):
    for operation, params in answers_with_jobs(desk, job_id):
        jobs = jobs_of(json.loads(desk.api.raw(operation, **params)))
        [ours] = [job for job in jobs if job["Id"] == job_id]
        assert (ours["Progress"], type(ours["Progress"])) == (100, int), operation
        assert all(0 <= job["Progress"] <= 100 for job in jobs)
        assert ours["Tags"] == {"title": "Song"}
        assert ours["Analysis"]["Codec"] == "pcm_s16le"
        assert ours["Analysis"]["CoverKey"] == ""
        assert ours["Output"]["Sound"]["Correlation"] > 0.9
        assert ours["Output"]["Sound"]["LoudnessLufs"] < 0


def test_a_typed_answer_is_the_raw_one_and_of_ours_what_the_client_knows(desk: Desk, job_id: str):
    for operation, params in answers_with_jobs(desk, job_id):
        raw = jobs_of(json.loads(desk.api.raw(operation, **params)))
        typed = jobs_of(desk.api.call(operation, **params))
        if not knows_progress(desk.api):
            raw = [without_ours(job) for job in raw]
        assert typed == without_nulls(raw), operation


def test_paginators_and_the_waiter_go_on_as_ever(desk: Desk, job_id: str):
    pages = list(desk.api.pages("list_jobs_by_pipeline", PipelineId=desk.pipeline_id))
    jobs = [job for page in pages for job in page["Jobs"]]
    assert [job["Status"] for job in jobs] == ["Submitted", "Complete"]
    assert [("Progress" in job) for job in jobs] == [knows_progress(desk.api)] * 2
    desk.api.wait("job_complete", Id=job_id)


@pytest.mark.parametrize("api", ["boto3 1.41.5"], indirect=True)
def test_the_command_line_reads_queries_and_waits_as_ever(desk: Desk, job_id: str, aws: AwsCli):
    by_pipeline = ("list-jobs-by-pipeline", "--pipeline-id", desk.pipeline_id)
    asked = ("--query", "[Job.Status, Job.Progress]")
    assert aws("read-job", "--id", job_id, *asked) == ["Complete", None]
    assert aws(*by_pipeline, "--query", "Jobs[].Status") == ["Submitted", "Complete"]
    assert "Progress" not in aws("read-job", "--id", job_id)["Job"]
    assert aws("wait", "job-complete", "--id", job_id) is None
