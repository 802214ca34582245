"""What the web app's tests share."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from django.contrib.auth.models import AbstractUser
from django.test import Client
from django.utils import timezone

from audio_transcoder import webhook
from audio_transcoder.models import TranscodeJob
from audio_transcoder.tests.factories import make_person
from sns import keys
from sns.sign import Signer
from tests import sounds


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, settings) -> None:
    """Every test has empty buckets and temporary folders of its own."""
    settings.BUCKETS_DIR = tmp_path / "buckets"
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "tmp"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()


@pytest.fixture
def person(db) -> AbstractUser:
    return make_person()


@pytest.fixture
def signed_in(client: Client, person: AbstractUser) -> Client:
    """A test client with ``person`` signed in."""
    client.force_login(person)
    return client


@pytest.fixture(scope="session")
def mp3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sounds.make(tmp_path_factory.mktemp("sounds") / "One second.mp3", 1)


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sns")
    keys.ensure(folder / "sns.key.pem", folder / "sns.cert.pem")
    return folder


@pytest.fixture(scope="session")
def signer(key_folder: Path) -> Signer:
    key, certificate = (key_folder / f"sns.{kind}.pem" for kind in ("key", "cert"))
    return Signer(key.read_bytes(), certificate.read_bytes())


@pytest.fixture
def deliver(db, client: Client, settings, signer: Signer, key_folder: Path) -> Iterator[Callable]:
    """Post a notice as our transcoder does: signed, from the topic of the settings."""
    settings.SNS_KEY_FILE = key_folder / "sns.key.pem"
    settings.SNS_CERTIFICATE_FILE = key_folder / "sns.cert.pem"
    webhook._verifier.cache_clear()

    def post(
        message: object,
        *,
        topic: str = settings.SNS_TOPIC_ARN[0],
        at: datetime | None = None,
        message_id: str = "",
        headers: dict | None = None,
        body: bytes | None = None,
    ):
        signed = signer.notification(
            topic_arn=topic,
            subject="Amazon Elastic Transcoder has finished transcoding job.",
            message=message if isinstance(message, str) else json.dumps(message),
            message_id=message_id or str(uuid.uuid4()),
            timestamp=at or timezone.now(),
            subscriber="http://testserver/transcode-complete/",
        )
        own = {name: value for name, value in signed.headers.items() if name.startswith("x-")}
        return client.generic(
            "POST",
            "/transcode-complete/",
            signed.body if body is None else body,
            content_type=signed.headers["Content-Type"],
            headers=own | (headers or {}),
        )

    yield post
    webhook._verifier.cache_clear()


def notice_for(job: TranscodeJob, state: str = "COMPLETED", **values: object) -> dict:
    """The JSON document of a job notification, as Elastic Transcoder writes it."""
    status = {"COMPLETED": "Complete", "ERROR": "Error"}.get(state, "Progressing")
    return {
        "state": state,
        "version": "2012-09-25",
        "jobId": job.engine_id,
        "pipelineId": "1600000000000-def456",
        "input": {"key": f"media/{job.audio_file.mp3_file.name}"},
        "inputCount": 1,
        "outputs": [
            {
                "id": str(number),
                "presetId": rendition.format.elastic_preset_id,
                "key": f"media/{rendition.file.name}",
                "status": status,
                **({"duration": 1} if status == "Complete" else {}),
            }
            for number, rendition in enumerate(job.renditions.all(), 1)
        ],
        "userMetadata": {"transcode_job": str(job.code)},
        **values,
    }
