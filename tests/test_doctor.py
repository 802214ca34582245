"""`manage.py doctor` on the whole system, and one second of sound round its loop."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.system import ROOT, System, on_both_kinds, wait_for

pytestmark = pytest.mark.end_to_end

LEGS = ["uploaded", "placed", "started", "finished", "notified", "told", "fetched"]


def run(system: System, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "manage.py", "doctor", *arguments],
        cwd=ROOT,
        env=system.environment | environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


def wrong(answer: dict) -> dict[str, str]:
    return {
        look["name"]: f"{look['text']} {look['hint']}"
        for look in answer["looks"]
        if look["state"] == "wrong"
    }


def must_have_left_nothing(system: System) -> None:
    assert system.count("auth_user", "username LIKE 'the doctor%'") == 0
    for table in ("audiofile", "rendition", "transcodejob"):
        of_the_doctor = system.count(f"audio_transcoder_{table}")
        assert of_the_doctor == 0, table
    assert system.count("transcode_messages_message") == 0
    assert system.count("django_session") == 0
    wait_for(lambda: system.objects() == [], "an empty bucket", 5)


@on_both_kinds
def test_all_is_well_and_a_tone_goes_round(system: System):
    before = {table: system.count(table) for table in ("auth_user", "django_session")}
    objects, files = system.objects_at_rest(), system.count("audio_transcoder_audiofile")
    done = run(system, "--loop", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"] is True
    assert wrong(answer) == {}
    assert list(answer["loop"]["legs"]) == LEGS
    assert all(seconds >= 0 for seconds in answer["loop"]["legs"].values())
    assert sum(answer["loop"]["legs"].values()) <= answer["loop"]["seconds"]
    assert not [value for value in system.secrets().values() if value in done.stdout + done.stderr]
    # Nobody's file, account, session or object is left of it.
    assert {table: system.count(table) for table in before} == before
    assert system.count("audio_transcoder_audiofile") == files
    assert set(system.objects()) <= set(objects)  # another test's may still go


def test_people_read_one_line_for_each_leg(system: System):
    done = run(system, "--loop")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    for leg in LEGS:
        assert any(line.startswith(f"  {leg}: ") and line.endswith(" s") for line in lines), leg
    assert "fine  loop: The tone went round and came back as sound." in done.stdout
    assert lines[-1] == "All is well."


def test_a_key_that_the_transcoder_does_not_know_is_named(system: System):
    done = run(system, "--json", TRANSCODER_SECRET_ACCESS_KEY="f" * 40)
    assert done.returncode == 1
    named = wrong(json.loads(done.stdout))
    assert list(named) == ["transcoder"]
    assert "does not accept our access key" in named["transcoder"]
    assert "TRANSCODER_SECRET_ACCESS_KEY" in named["transcoder"]


def test_a_worker_that_hangs_is_where_the_loop_stops(own_system: System):
    own_system.stand_still(lambda: own_system.worker_pids)  # they look alive for a while yet
    done = run(own_system, "--loop", "--loop-limit", "15", "--json")
    assert done.returncode == 1
    loop = json.loads(done.stdout)["loop"]
    assert loop["ok"] is False
    assert loop["stopped_in"] == "started"
    assert list(loop["legs"]) == ["uploaded", "placed"]
    assert "it only waits" in loop["text"]
    assert "worker" in loop["hint"]
    must_have_left_nothing(own_system)


def test_a_stopped_system_is_named(own_system: System):
    own_system.stop()
    done = run(own_system, "--loop", "--json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert set(wrong(answer)) == {"steps", "worker", "transcoder", "own notices"}
    assert "Start make run" in wrong(answer)["worker"]
    assert answer["loop"]["text"].startswith("Not sent while")
