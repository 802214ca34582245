"""`manage.py run`, for real: sets everything up, keeps it running, ends it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.system import ROOT, Person, System, children_of, is_running, wait_for

pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory):
    system = System(tmp_path_factory.mktemp("installation"), TRANSCODER_WORKERS=2)
    yield system
    system.stop()


@pytest.fixture
def running(installation: System) -> System:
    """The installation, started again where the test before ended it."""
    if installation.process is None or installation.process.poll() is not None:
        installation.start()
    return installation


def run_to_its_end(system: System, *arguments: str, **variables: str):
    return subprocess.run(
        [sys.executable, "manage.py", "run", *arguments],
        cwd=ROOT,
        env={**system.environment, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


def web_server(system: System) -> int:
    """Return the parent of the web processes; process ids wrap, so it is not always the least."""
    [pid] = set(children_of(system.process.pid)) & set(system.web_pids)
    return pid


def test_one_command_sets_up_and_says_where_and_never_the_password(running: System):
    password = running.secrets()["ADMIN_PASSWORD"]
    assert f"http://localhost:{running.port}/" in running.log()
    assert f"ADMIN_PASSWORD in {running.data_dir / 'env'}" in running.log()
    assert password not in running.log()
    assert (running.data_dir / "env").stat().st_mode & 0o777 == 0o600
    assert (running.data_dir / "sns.key.pem").stat().st_mode & 0o777 == 0o600
    assert running.rows("SELECT username FROM auth_user WHERE is_superuser") == [("admin",)]
    assert running.rows("SELECT name FROM elastic_transcoder_pipeline") == [("Audio Files",)]

    admin = Person(running, "admin")
    admin.password = password
    admin.sign_in()
    assert admin.get("/admin/").status_code == 200
    page = admin.get("/accounts/email/")
    style = page.text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    assert admin.get(style).status_code == 200
    assert "debug" not in admin.get("/nowhere/").text.lower()


def test_k1_every_kind_of_process_is_started_again_when_it_is_killed(running: System):
    before = {
        "web": web_server(running),
        "steps": running.pids("--kind steps")[0],
        "transcode": running.worker_pids[0],
    }
    for pid in before.values():
        running.kill(pid)

    def are_back() -> bool:
        counts = [len(running.web_pids), len(running.pids("--kind steps"))]
        counts.append(len(running.worker_pids))
        return counts == [3, 1, 2] and not set(before.values()) & set(running.descendants())

    wait_for(are_back, "all of them", 30)
    assert requests.get(f"{running.url}/accounts/login/", timeout=30).status_code == 200


def test_visitors_wait_while_the_web_server_is_started_again(running: System):
    old = running.web_pids
    running.kill(web_server(running))
    wait_for(lambda: not any(map(is_running, old)), "the end of the old web server", 5)
    assert requests.get(f"{running.url}/accounts/login/", timeout=30).status_code == 200


def test_two_instances_run_at_once(running: System, tmp_path_factory):
    other = System(tmp_path_factory.mktemp("other"), TRANSCODER_WORKERS=1).start()
    try:
        wait_for(other._is_healthy, "the other one", 20)
        wait_for(running._is_healthy, "the first one", 20)
        assert other.secrets() != running.secrets()
    finally:
        other.stop()
    wait_for(running._is_healthy, "the first one, alone again", 20)


def test_k1_a_killed_parent_takes_everybody_along_and_a_new_one_goes_on(running: System):
    pids = list(running.descendants())
    assert len(pids) >= 6  # web server and its two processes, steps, two workers
    running.process.kill()
    running.process.wait(5)
    wait_for(lambda: not any(map(is_running, pids)), "the end of every child", 5)
    running.start()  # ends only once all is well


def test_k2_ctrl_c_ends_everybody(running: System):
    # What a worker is about to start has the worker's name for a moment.
    wait_for(lambda: len(running.worker_pids) == 2, "two workers")
    pids = [running.process.pid, *running.descendants()]
    began = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(15) == 0
    assert time.monotonic() - began < 10
    assert not any(map(is_running, pids))


def test_a_port_that_is_taken_is_one_line_within_seconds(tmp_path: Path):
    system = System(tmp_path)
    with socket.create_server(("127.0.0.1", system.port)):
        began = time.monotonic()
        done = run_to_its_end(system)
    assert done.returncode != 0
    assert time.monotonic() - began < 10
    lines = (done.stdout + done.stderr).strip().splitlines()
    assert len(lines) == 1, lines
    assert str(system.port) in lines[0]
    assert "PORT=" in lines[0]


def test_k6_without_ffmpeg_the_worker_refuses_to_start_and_says_why(tmp_path: Path):
    system = System(tmp_path, FFMPEG_BINARY=str(tmp_path / "no-ffmpeg"))
    done = subprocess.run(
        [sys.executable, "manage.py", "transcode_worker"],
        cwd=ROOT,
        env=system.environment,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode != 0
    assert "FFMPEG_BINARY" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_child_that_cannot_run_ends_the_command_with_an_error(tmp_path: Path):
    system = System(tmp_path, FFMPEG_BINARY=str(tmp_path / "no-ffmpeg"), TRANSCODER_WORKERS=1)
    done = run_to_its_end(system)
    assert done.returncode != 0
    assert "giving up" in done.stderr
    assert "FFMPEG_BINARY" in done.stderr


def test_setting_up_again_changes_nothing(tmp_path: Path):
    system = System(tmp_path)
    seen = []
    for _ in range(2):
        assert run_to_its_end(system, "--set-up-only").returncode == 0
        files = {
            name: (tmp_path / name).read_bytes() for name in ("env", "sns.key.pem", "sns.cert.pem")
        }
        seen.append((files, system.rows("SELECT username, password FROM auth_user")))
    assert seen[0] == seen[1]


def test_without_a_password_no_superuser_is_made(tmp_path: Path):
    system = System(tmp_path)
    done = run_to_its_end(system, "--set-up-only", ADMIN_PASSWORD="")
    assert done.returncode == 0, done.stderr
    assert system.rows("SELECT username FROM auth_user") == []


def test_d8_a_wrong_setting_stops_the_start_with_its_hint(tmp_path: Path):
    system = System(tmp_path, SNS_SIGNATURE_VERSIONS="3")
    done = run_to_its_end(system)
    assert done.returncode != 0
    assert "audio.E010" in done.stderr
    assert "HINT" in done.stderr


def test_plain_transcode_worker_is_workers_and_steps(tmp_path: Path):
    """Beside `runserver`, without make."""
    system = System(tmp_path, TRANSCODER_WORKERS=2)
    run_to_its_end(system, "--set-up-only")
    system.process = subprocess.Popen(
        [sys.executable, "manage.py", "transcode_worker"],
        cwd=ROOT,
        env=system.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        query = "SELECT kind FROM steps_heartbeat ORDER BY kind"
        kinds = [("steps",), ("transcode",), ("transcode",)]
        wait_for(lambda: system.rows(query) == kinds, "three heartbeats", 20)
        pids = list(system.descendants())
        system.process.terminate()
        assert system.process.wait(15) == 0
        assert not any(map(is_running, pids))
        assert system.rows(query) == []
    finally:
        system.stop()


def test_once_ends_by_itself_when_nothing_is_due(tmp_path: Path):
    system = System(tmp_path)
    run_to_its_end(system, "--set-up-only")
    done = system.manage("transcode_worker", "--once")
    assert done.returncode == 0


def test_d3_a_worker_waits_longer_for_the_lock_than_a_page(tmp_path: Path):
    system = System(tmp_path, WEB_BUSY_TIMEOUT=0.2, WORKER_BUSY_TIMEOUT=10, RECONCILE_S=0.5)
    run_to_its_end(system, "--set-up-only")
    lock = ExitStack()
    lock.enter_context(system.locked())
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "transcode_worker", "--kind", "transcode"],
        cwd=ROOT,
        env=system.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        os.set_blocking(worker.stdout.fileno(), True)
        assert "runs transcode" in worker.stdout.readline()
        time.sleep(1.5)  # seven times what a page would wait
        lock.close()
        wait_for(lambda: system.count("steps_heartbeat") == 1, "a heartbeat", 5)
    finally:
        lock.close()
        worker.terminate()
        said, _ = worker.communicate(timeout=15)
    assert "locked" not in said
