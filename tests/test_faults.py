"""Processes are killed and stopped in the middle of the work; nothing is lost, nothing doubled."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.system import Person, System, wait_for
from tests.test_end_to_end import code_of, renditions

pytestmark = pytest.mark.faults


def assert_done_once(system: System, person: Person, location: str) -> None:
    """Three renditions, one message, four objects, all processes and no FFmpeg."""
    assert [row[1] for row in renditions(system, code_of(location))] == ["Complete"] * 3
    assert person.messages() == ["Your file Seven minutes is ready."]
    assert system.count("elastic_transcoder_job") == 1
    code = code_of(location)
    assert len([path for path in system.objects() if code in path]) == 4
    # Source and results are still listened to for their loudness, for some seconds.
    wait_for(lambda: system.ffmpeg_pids() == [], "FFmpeg to end", 180)
    wait_for(lambda: len(system.worker_pids) == 2, "two workers")
    # What it is about to start has its name for a moment.
    wait_for(lambda: len(system.pids(r"transcode_worker --kind steps")) == 1, "one for the steps")


def test_k1_a_worker_killed_at_half_of_a_job_loses_and_doubles_nothing(
    own_system: System, long_music: Path
):
    person = Person(own_system, "kim").sign_up()
    location = person.upload(long_music)
    wait_for(lambda: own_system.count("elastic_transcoder_job", "progress >= 50"), "half of it")
    [ffmpeg, *_] = own_system.ffmpeg_pids()
    for pid in own_system.worker_pids:
        own_system.kill(pid)

    wait_for(lambda: ffmpeg not in own_system.ffmpeg_pids(), "FFmpeg to end with its worker", 5)
    person.wait_until_ready(timeout_s=180)

    assert own_system.rows("SELECT attempts FROM elastic_transcoder_job") == [(2,)]
    assert_done_once(own_system, person, location)


def test_a_web_process_killed_right_after_an_upload_loses_nothing(
    own_system: System, long_music: Path
):
    person = Person(own_system, "kim").sign_up()
    location = person.upload(long_music)
    for pid in own_system.web_pids:
        own_system.kill(pid)

    person.wait_until_ready(timeout_s=180)

    assert_done_once(own_system, person, location)
    assert person.get(location).status_code == 200


def test_d3_a_lock_that_lasts_longer_than_a_worker_waits_loses_and_doubles_nothing(
    own_system: System, long_music: Path
):
    person = Person(own_system, "kim").sign_up()
    location = person.upload(long_music)
    wait_for(own_system.ffmpeg_pids, "FFmpeg at work")
    with own_system.locked():
        time.sleep(30)  # longer than WORKER_BUSY_TIMEOUT, and than leases are here

    person.wait_until_ready(timeout_s=180)
    time.sleep(3)  # room for a second message, were there one
    assert_done_once(own_system, person, location)


def test_n24_a_web_process_that_stood_still_while_the_job_ended_tells_once(
    own_system: System, long_music: Path
):
    """SIGSTOP to all web processes before the job ends, SIGCONT two minutes later."""
    person = Person(own_system, "kim").sign_up()
    location = person.upload(long_music)
    wait_for(own_system.ffmpeg_pids, "FFmpeg at work")
    stopped = own_system.stand_still(lambda: own_system.web_pids)
    since = time.monotonic()
    wait_for(
        lambda: own_system.rows("SELECT status FROM elastic_transcoder_job") == [("Complete",)],
        "the job's end",
        180,
    )
    time.sleep(max(0, 120 - (time.monotonic() - since)))  # the outage is what is tested
    assert person.messages() == []

    for pid in stopped:
        own_system.kill(pid, signal.SIGCONT)

    person.wait_until_ready(timeout_s=60)
    time.sleep(3)  # room for a second message, were there one
    assert_done_once(own_system, person, location)
