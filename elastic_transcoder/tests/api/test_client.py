import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from elastic_transcoder.client import client
from elastic_transcoder.models import Job
from elastic_transcoder.tests.api.conftest import MP3_192K, order

SOME_ID = "1600000000000-def456"


def make(url, **changed):
    return client(
        **{
            "endpoint_url": url,
            "region_name": "eu-west-1",
            "access_key_id": "AKIA",
            "secret_access_key": "secret",
            "timeout_s": 0.2,
            **changed,
        }
    )


@contextmanager
def answering(answer):
    """A server that counts its requests and gives each the same raw answer, or none."""
    requests = []

    def serve():
        while True:
            connection, _ = listener.accept()
            kept.append(connection)
            if not (request := connection.recv(65536)):
                return
            requests.append(request)
            if answer:
                connection.sendall(answer)
                connection.close()

    kept = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
        finally:
            # Behind those who gave up before anybody had time to count them.
            socket.create_connection(listener.getsockname()).close()
            thread.join()
    for connection in kept:
        connection.close()


def test_the_client_knows_all_seventeen_operations():
    made = make("http://127.0.0.1:1")
    assert sorted(made.meta.service_model.operation_names) == [
        "CancelJob",
        "CreateJob",
        "CreatePipeline",
        "CreatePreset",
        "DeletePipeline",
        "DeletePreset",
        "ListJobsByPipeline",
        "ListJobsByStatus",
        "ListPipelines",
        "ListPresets",
        "ReadJob",
        "ReadPipeline",
        "ReadPreset",
        "TestRole",
        "UpdatePipeline",
        "UpdatePipelineNotifications",
        "UpdatePipelineStatus",
    ]


def test_the_four_lists_have_paginators_and_jobs_a_waiter():
    made = make("http://127.0.0.1:1")
    lists = {"list_jobs_by_pipeline", "list_jobs_by_status", "list_pipelines", "list_presets"}
    assert all(made.can_paginate(name) for name in lists)
    assert made.waiter_names == ["job_complete"]


def test_a_job_has_the_extra_member_progress():
    job = make("http://127.0.0.1:1").meta.service_model.shape_for("Job")
    assert job.members["Progress"].type_name == "integer"


def test_without_an_endpoint_the_client_does_not_fall_back_to_amazons_dead_host():
    with pytest.raises(BotoCoreError, match="endpoint"):
        make(None).list_pipelines()


def test_the_client_is_importable_without_django():
    program = "import elastic_transcoder.client, sys; print('django' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20
    )
    assert run.stdout == "False\n"


def test_an_unanswered_create_job_is_not_repeated():
    with answering(None) as (url, requests), pytest.raises(ReadTimeoutError):
        make(url).create_job(**order(SOME_ID))
    assert len(requests) == 1


def test_a_gateways_error_does_not_repeat_create_job():
    answer = b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with answering(answer) as (url, requests), pytest.raises(ClientError):
        make(url, timeout_s=30).create_job(**order(SOME_ID))
    assert len(requests) == 1


def test_create_job_is_repeated_when_the_api_itself_says_it_did_nothing(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    answer = (
        b"HTTP/1.1 503 Unavailable\r\nx-amzn-ErrorType: ServiceUnavailable\r\n"
        b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"
    )
    with answering(answer) as (url, requests), pytest.raises(ClientError):
        make(url, timeout_s=30).create_job(**order(SOME_ID))
    assert len(requests) == 3


def test_reading_is_repeated_twice(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with answering(None) as (url, requests), pytest.raises(ReadTimeoutError):
        make(url).read_job(Id=SOME_ID)
    assert len(requests) == 3


def test_the_waiter_ends_with_a_complete_job(boto):
    created = boto.create_job(
        PipelineId=boto.list_pipelines()["Pipelines"][0]["Id"],
        Input={"Key": "a.wav"},
        Output={"Key": "a.mp3", "PresetId": MP3_192K},
    )
    Job.objects.update(status=Job.Status.COMPLETE)
    boto.get_waiter("job_complete").wait(Id=created["Job"]["Id"])
