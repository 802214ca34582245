"""A pipeline between two folder buckets, and sounds to put into them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from buckets import bucket
from elastic_transcoder import presets, worker
from elastic_transcoder.models import Job, JobOutput, Pipeline
from elastic_transcoder.worker import ffmpeg
from elastic_transcoder.worker.claims import now_ms

TOPIC = "arn:aws:sns:eu-west-1:000000000000:transcodes"
WAV, FLAC = "1351620000001-300300", "1351620000001-300110"
MP4, MP3 = "1351620000001-100110", "1351620000001-300020"


def run_ffmpeg(*arguments: str) -> None:
    """Make test material; everything but the source of sound is in ``arguments``."""
    command = [ffmpeg.binary(), "-v", "error", "-y", *arguments]
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def tone(tmp_path_factory) -> Callable[..., Path]:
    """Return a maker of sine tones: ``tone("a.flac", "-ac", "2", seconds=1, rate=44100)``."""
    folder = tmp_path_factory.mktemp("tones")
    made: dict[tuple, Path] = {}

    def make(name: str, *arguments: str, seconds: float = 1, rate: int = 44100) -> Path:
        key = (name, arguments, seconds, rate)
        if key not in made:
            path = folder / f"{len(made)}-{name}"
            source = f"sine=frequency=440:duration={seconds}:sample_rate={rate}"
            run_ffmpeg("-f", "lavfi", "-i", source, *arguments, str(path))
            made[key] = path
        return made[key]

    return make


@pytest.fixture
def work_dirs(settings, tmp_path) -> None:
    settings.BUCKETS_DIR = tmp_path / "buckets"
    settings.WORK_DIR = tmp_path / "work"
    settings.NUDGE_DIR = tmp_path / "nudges"
    settings.SNS_KEY_FILE = tmp_path / "sns.key.pem"
    settings.SNS_CERTIFICATE_FILE = tmp_path / "sns.cert.pem"
    settings.TRANSCODER_TOPICS = {TOPIC: ["http://127.0.0.1:9/transcode-complete/"]}


@pytest.fixture
def pipeline(transactional_db, work_dirs) -> Pipeline:
    return Pipeline.objects.create(
        name="Tests",
        input_bucket="in",
        output_bucket="out",
        role="arn:aws:iam::000000000000:role/x",
        notifications={"Progressing": TOPIC, "Completed": TOPIC, "Warning": "", "Error": TOPIC},
    )


@pytest.fixture
def submit(pipeline, tmp_path) -> Callable[..., Job]:
    """Return a function that stores a source and orders results of it."""
    count = 0

    def order(
        source: Path | bytes | None, *preset_ids: str | dict, key: str = "", **fields: object
    ) -> Job:
        nonlocal count
        count += 1
        key = key or f"source-{count}"
        if isinstance(source, bytes):
            (tmp_path / f"bytes-{count}").write_bytes(source)
            source = tmp_path / f"bytes-{count}"
        if source is not None:
            bucket("in").put(key, source, content_type="audio/x")
        fields = {"pipeline_id": pipeline.pk, "output_key_prefix": f"job-{count}/"} | fields
        job = Job.objects.create(inputs=[{"Key": key}], submit_time_ms=now_ms(), **fields)
        for number, preset in enumerate(preset_ids or [WAV], start=1):
            named = isinstance(preset, str)
            JobOutput.objects.create(
                job=job,
                number=number,
                key=f"result-{number}",
                preset_id=preset if named else f"1111111111111-{number:06d}",
                preset=presets.system_preset(preset).settings if named else preset,
            )
        return job

    return order


@pytest.fixture
def transcode(pipeline) -> Iterator[Callable[[Job], Job]]:
    """Return a function that does what is due and gives the job as it then is."""

    def run(job: Job) -> Job:
        worker.transcode()
        job.refresh_from_db()
        return job

    yield run
    assert not list(worker.settings.WORK_DIR.glob("*")), "temporary folders were left behind"


@pytest.fixture
def result(tmp_path) -> Callable[..., Path]:
    """Return a function that fetches the result of an output into a file."""

    def fetch(output: JobOutput) -> Path:
        path = tmp_path / f"fetched-{output.job_id}-{output.number}"
        path.unlink(missing_ok=True)
        bucket("out").fetch(output.final_key, path)
        return path

    return fetch
