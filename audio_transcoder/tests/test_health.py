"""`/health/`: 200 when all is fine, else 503 with what is not, always within 5 s."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from audio_transcoder import health
from audio_transcoder.tests.factories import make_job
from buckets import BucketUnavailable
from buckets.folder import FolderBucket
from steps.models import Heartbeat

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_looked_at_yet(monkeypatch):
    monkeypatch.setattr(
        health,
        "LOOKS",
        {name: health.Look(name, look._look) for name, look in health.LOOKS.items()},
    )


def beat(kind: str, *, age_s: float = 1) -> None:
    at = timezone.now() - timedelta(seconds=age_s)
    Heartbeat.objects.create(kind=kind, process=f"here {kind}", at=at)


@pytest.fixture
def everybody_alive() -> None:
    beat("steps")
    beat("transcode")


def not_ok(client: Client) -> list[str]:
    response = client.get("/health/")
    answers = response.json()
    found = [name for name, word in answers.items() if word != "ok"]
    assert response.status_code == (503 if found else 200)
    return found


def test_all_is_well(client, everybody_alive):
    response = client.get("/health/")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ok",
        "web": "ok",
        "database": "ok",
        "storage": "ok",
        "steps": "ok",
        "worker": "ok",
    }


def test_k7_no_worker_at_all(client):
    beat("steps")
    assert not_ok(client) == ["status", "worker"]


def test_k7_a_worker_that_died_a_while_ago(client):
    beat("steps")
    beat("transcode", age_s=120)
    assert not_ok(client) == ["status", "worker"]


def test_nobody_does_the_steps(client):
    beat("transcode")
    assert not_ok(client) == ["status", "steps"]


def test_another_transcoder_needs_no_worker_of_ours(client, settings):
    settings.TRANSCODER_ENDPOINT_URL = "https://transcoder.example.org"
    beat("steps")
    assert "worker" not in client.get("/health/").json()
    assert not_ok(client) == []


def test_with_mediaconvert_a_worker_is_missed_only_while_our_own_engine_has_jobs(client, settings):
    beat("steps")
    job = make_job()
    settings.TRANSCODER_ENGINE = "mediaconvert"
    make_job()
    assert not_ok(client) == ["status", "worker"]
    assert not health.has_its_workers()
    job.cancel()
    health.LOOKS["worker"] = health.Look("worker", health.has_its_workers)
    assert not_ok(client) == []
    assert health.has_its_workers()


def test_s1_a_store_that_does_not_answer(client, everybody_alive, monkeypatch):
    def check(_self: object) -> None:
        raise BucketUnavailable("https://key:secret@store", bucket="local")

    monkeypatch.setattr(FolderBucket, "check", check)
    response = client.get("/health/")
    assert response.status_code == 503
    assert response.json()["storage"] == "not ok"
    assert "secret" not in json.dumps(response.json())


def test_s1_a_store_that_hangs_costs_less_than_5_seconds_and_one_thread(
    client, everybody_alive, monkeypatch
):
    monkeypatch.setattr(health, "LIMIT_S", 0.5)
    calls, end = [], threading.Event()

    def check(_self: object) -> None:
        calls.append(1)
        end.wait(10)

    monkeypatch.setattr(FolderBucket, "check", check)
    began = time.monotonic()
    assert not_ok(client) == ["status", "storage"]
    assert not_ok(client) == ["status", "storage"]
    assert time.monotonic() - began < 2
    assert len(calls) == 1
    end.set()


def test_the_limit_is_within_what_is_promised():
    assert health.LIMIT_S < 5
    assert max(health.GOOD_FOR_S, health.BAD_FOR_S) <= 5


def test_many_questions_cost_one_look(client, everybody_alive, monkeypatch):
    calls = []
    monkeypatch.setattr(FolderBucket, "check", lambda _: calls.append(1))
    for _ in range(20):
        assert client.get("/health/").status_code == 200
    assert len(calls) == 1


def test_d1_a_database_that_fails(client, everybody_alive, monkeypatch):
    def look() -> bool:
        raise health.connection.Database.OperationalError("could not connect to 10.0.0.1")

    health.LOOKS["database"]._look = look
    response = client.get("/health/")
    assert response.status_code == 503
    assert response.json()["database"] == "not ok"
    assert "10.0.0.1" not in response.content.decode()


def test_only_reading_is_answered(client):
    assert client.post("/health/").status_code == 405
