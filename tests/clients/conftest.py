"""A transcoder on a port of its own, the clients of then and now, and one ear for its topic."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from buckets.folder import FolderBucket
from elastic_transcoder.tests.conftest import FLAC, MP3, WAV
from sound import probe
from tests import sounds
from tests.clients.clients import BOTO3, AwsCli, Boto3, environment
from tests.clients.receiver import Receiver
from tests.system import System, wait_for

TOPIC = "arn:aws:sns:eu-west-1:000000000000:transcodes"
SITES_TOPIC = "arn:aws:sns:eu-west-1:000000000000:transcode-complete"
ROLE = "arn:aws:iam::000000000000:role/Elastic_Transcoder_Default_Role"
MP3_192K, WAV_CD, FLAC_CD = MP3, WAV, FLAC
MP3_128K, AAC_128K = "1351620000001-300040", "1351620000001-100130"
HLS_160K = "1351620000001-200060"
MAX_PIPELINES, MAX_PRESETS = 4, 50
FINAL = ("Complete", "Canceled", "Error")


@pytest.fixture(scope="package")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="package")
def transcoder(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """API and workers, with as many pipelines and presets as Amazon allowed."""
    running = System(
        tmp_path_factory.mktemp("transcoder"),
        NOTICE_RETRY_S=0.5,
        TRANSCODER_MAX_PIPELINES=MAX_PIPELINES,
        TRANSCODER_MAX_PRESETS=MAX_PRESETS,
    )
    topics = {SITES_TOPIC: [f"{running.url}/transcode-complete/"], TOPIC: [receiver.url]}
    running.environment["TRANSCODER_TOPICS"] = json.dumps(topics)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="package", params=BOTO3)
def api(request: pytest.FixtureRequest, transcoder: System) -> Iterator[Boto3]:
    """A boto3 client of each kind."""
    with Boto3(transcoder, request.param) as client:
        yield client


@pytest.fixture
def aws(transcoder: System) -> AwsCli:
    """The AWS command line with nothing but the one variable set."""
    variable = {"AWS_ENDPOINT_URL_ELASTIC_TRANSCODER": transcoder.url}
    return AwsCli(environment(transcoder, **variable))


class Desk:
    """One client at work: a pipeline of its own between two buckets, a prefix in both.

    Results are fetched into ``folder``.
    """

    def __init__(self, api: Boto3, system: System, folder: Path) -> None:
        self.api, self.folder = api, folder
        buckets = system.data_dir / "buckets"
        self.uploads = FolderBucket("uploads", buckets / "uploads")
        self.results = FolderBucket("renditions", buckets / "renditions")
        self.pipeline_id = api.create_pipeline(
            Name="desk",
            InputBucket="uploads",
            OutputBucket="renditions",
            Role=ROLE,
            Notifications={"Progressing": TOPIC, "Completed": TOPIC, "Warning": "", "Error": TOPIC},
        )["Pipeline"]["Id"]
        self.prefix = f"{self.pipeline_id}/"

    def pause(self) -> None:
        self.api.update_pipeline_status(Id=self.pipeline_id, Status="Paused")

    def upload(self, name: str, source: Path) -> str:
        """Put ``source`` where the pipeline reads, and return its key."""
        self.uploads.put(self.prefix + name, source, content_type="application/octet-stream")
        return self.prefix + name

    def order(self, *outputs: tuple[str, str] | dict[str, Any], **members: Any) -> dict[str, Any]:
        """Create a job. An output is a key and a preset, or a whole CreateJobOutput."""
        full = [
            one if isinstance(one, dict) else {"Key": one[0], "PresetId": one[1]} for one in outputs
        ]
        return self.api.create_job(
            PipelineId=self.pipeline_id, OutputKeyPrefix=self.prefix, Outputs=full, **members
        )["Job"]

    def ended(self, job_id: str) -> dict[str, Any]:
        """Return the job as ReadJob shows it when nothing is left to do."""

        def final() -> dict[str, Any] | None:
            job = self.api.read_job(Id=job_id)["Job"]
            return job if job["Status"] in FINAL else None

        return wait_for(final, f"the end of job {job_id}", 60)

    def made(self, *outputs: tuple[str, str] | dict[str, Any], **members: Any) -> dict[str, Any]:
        """Create a job, and return it when nothing is left to do."""
        return self.ended(self.order(*outputs, **members)["Id"])

    def results_there(self) -> list[str]:
        """Return the names below the prefix, sorted."""
        return sorted(key.removeprefix(self.prefix) for key in self.results.keys(self.prefix))

    def result(self, name: str) -> Path:
        path = self.folder / name
        path.unlink(missing_ok=True)
        self.results.fetch(self.prefix + name, path)
        return path

    def sound(self, name: str) -> probe.Sound:
        return probe.probe(self.result(name))

    def leave(self) -> None:
        """Delete the pipeline, after canceling what waits and waiting for what runs."""
        for page in self.api.pages("list_jobs_by_pipeline", PipelineId=self.pipeline_id):
            for job in page["Jobs"]:
                if job["Status"] == "Submitted":
                    self.api.cancel_job(Id=job["Id"])
                elif job["Status"] == "Progressing":
                    self.ended(job["Id"])
        self.api.delete_pipeline(Id=self.pipeline_id)


@pytest.fixture
def desk(api: Boto3, transcoder: System, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(api, transcoder, tmp_path)
    yield desk
    desk.leave()


@pytest.fixture(scope="package")
def wav(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a maker of WAVs: ``wav(seconds=2, channels=6)``; each is made once."""
    folder = tmp_path_factory.mktemp("wavs")

    def make(seconds: float = 2, channels: int = 2) -> Path:
        path = folder / f"{seconds}-{channels}.wav"
        layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
        if not path.exists():
            sounds.make(path, seconds, "-af", f"aformat=channel_layouts={layout}")
        return path

    return make
