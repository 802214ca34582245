"""An application of 2016, unchanged, with nothing but the endpoint and keys in its environment."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from buckets.folder import FolderBucket
from sound import probe
from tests.clients.clients import HERE, OLD_BOTO3, Boto3, environment, installed
from tests.clients.conftest import ROLE, TOPIC
from tests.clients.receiver import Delivery, Receiver
from tests.ports import own_port
from tests.system import System, wait_for

pytestmark = pytest.mark.end_to_end


class App:
    """The application at work. It learns what the receiver hands on to it, and nothing else."""

    def __init__(self, system: System, folder: Path, *keys: str) -> None:
        self.url = f"http://127.0.0.1:{own_port()}"
        script = shutil.copy(HERE / "app_of_2016.py", folder)  # far from our code
        port = self.url.rpartition(":")[2]
        variables = environment(system, AWS_ENDPOINT_URL_ELASTIC_TRANSCODER=system.url)
        del variables["AWS_DEFAULT_REGION"]  # it says its region itself
        self.process = subprocess.Popen(
            [str(installed(OLD_BOTO3)), script, port, *keys], cwd=folder, env=variables
        )
        wait_for(self.answers, "the application to start")

    def answers(self) -> bool:
        assert self.process.poll() is None, "the application died; its last words are on stderr"
        try:
            return bool(self.jobs())
        except requests.RequestException:  # before it has ordered, it listens and says nothing
            return False

    def jobs(self) -> dict[str, dict]:
        return requests.get(self.url, timeout=10).json()

    def take(self, delivery: Delivery) -> int:
        """Hand a delivery on just as it came; return the application's answer."""
        headers = {name: text for name, text in delivery.headers.items() if name != "host"}
        return requests.post(self.url, delivery.body, headers=headers, timeout=10).status_code

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start(
    transcoder: System, receiver: Receiver, tmp_path: Path, wav: Callable[..., Path]
) -> Iterator[Callable[[], tuple[App, str]]]:
    """Return a function that starts the application on one upload; gives it and its job's id."""
    buckets = transcoder.data_dir / "buckets"
    apps: list[App] = []
    with Boto3(transcoder, "newest boto3, elastic_transcoder.client") as operator:
        pipeline_id = operator.create_pipeline(
            Name="Podcasts",
            InputBucket="podcasts",
            OutputBucket="published",
            Role=ROLE,
            Notifications={
                "Progressing": TOPIC,
                "Completed": TOPIC,
                "Warning": TOPIC,
                "Error": TOPIC,
            },
        )["Pipeline"]["Id"]

        def run() -> tuple[App, str]:
            key = f"raw/{pipeline_id}.wav"
            FolderBucket("podcasts", buckets / "podcasts").put(key, wav(), content_type="audio/wav")
            app = App(transcoder, tmp_path, key)
            apps.append(app)
            [job_id] = app.jobs()
            return app, job_id

        yield run
        receiver.answer = lambda delivery: 200
        for app in apps:
            app.stop()
        operator.delete_pipeline(Id=pipeline_id)


def test_it_orders_three_results_and_is_told_when_they_are_there(
    start, receiver: Receiver, transcoder: System, tmp_path: Path
):
    waiting: list[Delivery] = []
    receiver.answer = lambda delivery: waiting.append(delivery) or 200
    app, job_id = start()
    wait_for(lambda: "COMPLETED" in receiver.accepted(job_id), "the notice")
    assert app.jobs()[job_id]["state"] == "SUBMITTED"

    for delivery in waiting:
        if delivery.notice["jobId"] == job_id:
            assert app.take(delivery) == 200

    job = app.jobs()[job_id]
    assert (job["state"], job["error"]) == ("COMPLETED", None)
    published = FolderBucket("published", transcoder.data_dir / "buckets" / "published")
    codecs = []
    for number, key in enumerate(job["files"]):
        published.fetch(key, tmp_path / str(number))
        sound = probe.probe(tmp_path / str(number))
        codecs.append((key.rpartition(".")[2], sound.codec, sound.duration_ms))
    assert codecs == [("mp3", "mp3", 2000), ("flac", "flac", 2000), ("wav", "pcm_s16le", 2000)]


def test_13_it_survives_repeats_and_a_late_progressing(start, receiver: Receiver):
    """The consumer's half of line 13: the server repeats what was not accepted, the same each time.

    PROGRESSING is refused until COMPLETED is through, and so comes late; COMPLETED is taken, but
    the answer to the first two deliveries gets lost.
    """
    app: App | None = None
    refused: Counter[str] = Counter()
    is_through: list[bool] = []

    def answer(delivery: Delivery) -> int:
        state = delivery.notice["state"]
        if not delivery.notice["input"]["key"].startswith("raw/"):
            return 200  # a job of another test
        if app is None or (state == "PROGRESSING" and not is_through):
            return 503
        status = app.take(delivery)
        if state == "COMPLETED" and refused[state] < 2:
            refused[state] += 1
            return 503
        is_through.append(state == "COMPLETED")
        return status

    receiver.answer = answer
    app, job_id = start()
    wait_for(lambda: len(receiver.accepted(job_id)) == 2, "both notices", 90)

    assert receiver.accepted(job_id) == ["COMPLETED", "PROGRESSING"]
    job = app.jobs()[job_id]
    assert job["state"] == "COMPLETED"
    assert [key.rpartition(".")[2] for key in job["files"]] == ["mp3", "flac", "wav"]
    completed = [one for one in receiver.of_job(job_id) if one.notice["state"] == "COMPLETED"]
    assert len(completed) >= 3
    assert len({one.envelope["MessageId"] for one in completed}) == 1
    assert len({one.body for one in completed}) == 1
