"""The S3 server that the tests run on: what it refuses, and that it leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.radosgw import Keys, S3Server
from tests.system import ROOT, wait_for

pytestmark = pytest.mark.s3


def refusal(call, **arguments) -> str:
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    return raised.value.response["Error"]["Code"]


def test_it_keeps_objects_and_checks_who_asks(s3_server: S3Server):
    owner, stranger = s3_server.user(), s3_server.user()
    place = {"Bucket": s3_server.bucket(owner), "Key": "song.wav"}
    s3_server.client(owner).put_object(**place, Body=b"sound")

    assert s3_server.client(owner).get_object(**place)["Body"].read() == b"sound"
    assert refusal(s3_server.client(stranger).get_object, **place) == "AccessDenied"
    wrong = s3_server.client(Keys(owner.access_key_id, "wrong"))
    assert refusal(wrong.get_object, **place) == "SignatureDoesNotMatch"
    unknown = s3_server.client(Keys("AKIANOBODY", "wrong"))
    assert refusal(unknown.get_object, **place) == "InvalidAccessKeyId"
    assert requests.get(f"{s3_server.url}/{place['Bucket']}/song.wav", timeout=5).status_code == 403


def test_it_goes_away_and_comes_back_with_what_was_stored(tmp_path: Path):
    with S3Server.create(tmp_path) as server:
        keys = server.user()
        place = {"Bucket": server.bucket(keys), "Key": "song.wav"}
        client = server.client(keys, retries={"total_max_attempts": 1})
        client.put_object(**place, Body=b"sound")
        server.stop()
        with pytest.raises(EndpointConnectionError):
            client.get_object(**place)
        server.start()
        assert client.get_object(**place)["Body"].read() == b"sound"


def test_its_processes_end_with_the_tests_even_when_those_are_killed(tmp_path: Path):
    program = (
        "import pathlib, sys, time; from tests.radosgw import S3Server;"
        "server = S3Server.create(pathlib.Path(sys.argv[1]));"
        "print(*server.pids(), flush=True); time.sleep(600)"
    )
    tests = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    pids = [int(word) for word in tests.stdout.readline().split()]
    assert len(pids) == 3
    os.kill(tests.pid, signal.SIGKILL)
    tests.wait(60)
    wait_for(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()], "their end", 60)
