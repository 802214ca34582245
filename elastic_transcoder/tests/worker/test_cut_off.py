"""Workers that are killed in the middle: processes of their own, on the same database."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from buckets import BucketMissing, bucket
from elastic_transcoder import worker
from elastic_transcoder.models import Job
from elastic_transcoder.tests.conftest import MP4, WAV
from tests.system import wait_for

pytestmark = pytest.mark.faults

# A worker that does what is due; at the named place it stops itself in the given way.
WORKER = """
import os, signal, sys
from pathlib import Path
import django
django.setup()
from django.conf import settings
for name, value in zip(("BUCKETS_DIR", "WORK_DIR", "NUDGE_DIR"), sys.argv[1:4]):
    setattr(settings, name, Path(value))
import steps
from elastic_transcoder import worker
from elastic_transcoder.worker import attempt, claims, in_hand
place = sys.argv[4]
def reached(*args, **kwargs):
    print("reached", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
holders = {"finish": claims, "prove": attempt.proof, "complete": in_hand.JobInHand}
holder = holders.get(place, attempt.Attempt)
if place != "wait":
    setattr(holder, place, reached)
from steps import stop
class Stop(stop.Stop):
    def request(self):
        super().request()
        os.write(1, b"asked\\n")
stop.Stop = Stop
with stop.listening():
    print("ready", flush=True)
    worker.transcode()
"""


@pytest.fixture
def start_worker(settings):
    """Return a starter of worker processes that end themselves at a place."""
    started = []

    def start(place: str) -> subprocess.Popen:
        environment = {
            "PATH": os.environ["PATH"],
            "DATA_DIR": str(settings.DATA_DIR),
            "ENV_FILE": "",
            "DJANGO_SETTINGS_MODULE": "audio_transcoder.settings",
            "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        }
        folders = [str(settings.BUCKETS_DIR), str(settings.WORK_DIR), str(settings.NUDGE_DIR)]
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *folders, place],
            cwd=settings.BASE_DIR,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def processes_below(folder: Path) -> list[str]:
    """Return the command lines of living processes that name ``folder``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and "django.setup" not in line:
            found.append(line)
    return found


def keys() -> list[str]:
    try:
        return sorted(bucket("out").keys(""))
    except BucketMissing:
        return []


@pytest.mark.parametrize(
    ("place", "stored"),
    [("_fetch", 0), ("_progressed", 0), ("prove", 0), ("complete", 1), ("finish", 2)],
)
def test_k1_a_worker_killed_anywhere_loses_nothing_and_doubles_nothing(
    submit, tone, transcode, start_worker, settings, place, stored
):
    job = submit(tone("long.flac", "-ac", "2", seconds=20), WAV, MP4)
    process = start_worker(place)
    assert process.wait(60) == -signal.SIGKILL
    wait_for(lambda: not processes_below(settings.WORK_DIR), "the end of the worker's children", 10)
    assert len(keys()) == stored
    job.refresh_from_db()
    assert (job.status, job.attempts) == ("Progressing", 1)

    # Nobody takes it while its lease lasts.
    transcode(job)
    assert job.attempts == 1
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    # As at the start of the next process.
    worker._prepared_by = None
    transcode(job)
    assert (job.status, job.attempts) == ("Complete", 2)
    assert len(keys()) == 2
    assert [notice.state for notice in job.notices.all()] == ["PROGRESSING", "COMPLETED"]


def test_k2_a_terminated_worker_hands_its_job_back_and_leaves_no_process(
    submit, tone, transcode, start_worker, settings
):
    job = submit(tone("long.flac", "-ac", "2", seconds=600), MP4)
    process = start_worker("wait")
    assert process.stdout.readline() == "ready\n"
    wait_for(
        lambda: any("-progress" in line for line in processes_below(settings.WORK_DIR)),
        "FFmpeg at work",
        10,
    )
    started = time.monotonic()
    for _ in range(2):  # two signals that meet are heard as one
        process.terminate()
        assert process.stdout.readline() == "asked\n"
    assert process.wait(10) == 0
    assert time.monotonic() - started < 5
    assert processes_below(settings.WORK_DIR) == []
    assert not list(settings.WORK_DIR.glob("*"))
    job.refresh_from_db()
    assert (job.status, job.lease_owner, job.attempts) == ("Progressing", "", 1)
    assert keys() == []
