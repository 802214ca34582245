"""The parent of processes: restarts what dies, ends them all, and takes them along."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from steps.tests.conftest import wait_for
from tests.system import children_of, is_running

PARENT = """
import sys
from steps import parent
from steps.parent import Child
def child(name, code):
    return Child(name, [sys.executable, '-c', code])
GOOD = "import time; time.sleep(60)"
BAD = '''
import os, time
while not os.path.exists("fail"): time.sleep(0.01)
raise SystemExit(3)
'''
DEAF = '''
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
'''
# The signal may come while "ready" is printed, where print() may not be called again.
STUBBORN = '''
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"asked" + os.linesep.encode()))
print("ready", flush=True)
while True: time.sleep(0.1)
'''
"""


def wait_for_line(process: subprocess.Popen, line: str) -> None:
    assert any(said == f"{line}\n" for said in iter(process.stdout.readline, "")), line


@pytest.fixture
def started(program):
    """Start a parent of the children that an expression names; wait until they run."""

    def start(children: str, count: int, setup: str = "") -> tuple[subprocess.Popen, list[int]]:
        source = f"{PARENT}\n{setup}\nsys.exit(0 if parent.run({children}) else 7)\n"
        process = program(source)
        wait_for(lambda: len(children_of(process.pid)) == count)
        return process, children_of(process.pid)

    return start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_k2_one_signal_ends_the_parent_and_every_child(started, number):
    process, pids = started("[child('a', GOOD), child('b', GOOD)]", 2)
    began = time.monotonic()
    process.send_signal(number)
    assert process.wait(5) == 0
    assert time.monotonic() - began < 3
    assert not any(map(is_running, pids))


def test_k1_a_killed_child_is_started_again(started):
    process, [first, other] = started("[child('a', GOOD), child('b', GOOD)]", 2)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: len(set(children_of(process.pid)) - {first}) == 2)
    assert other in children_of(process.pid)
    process.terminate()
    assert process.wait(5) == 0


def test_a_child_that_keeps_dying_ends_the_parent_with_an_error(started, tmp_path):
    process, pids = started(
        "[child('bad', BAD), child('good', GOOD)]",
        2,
        f"import os\nos.chdir({str(tmp_path)!r})\nparent.BACK_OFF_S = (0.05,)",
    )
    (tmp_path / "fail").touch()
    assert process.wait(30) == 7
    assert not any(map(is_running, pids))
    said = process.stdout.read()
    assert "bad ended (status 3), once too often: giving up" in said
    assert said.count("again in") == 4


def test_children_die_with_a_killed_parent(started):
    process, pids = started("[child('a', GOOD), child('b', DEAF)]", 2)
    wait_for_line(process, "ready")
    process.kill()
    process.wait(5)
    wait_for(lambda: not any(map(is_running, pids)), 3)


def test_k2_a_child_that_will_not_end_is_hurried_and_then_killed(started):
    process, [pid] = started(
        "[child('slow', STUBBORN)]", 1, "parent.HURRY_AFTER_S, parent.KILL_AFTER_S = 0.3, 0.8"
    )
    wait_for_line(process, "ready")
    began = time.monotonic()
    process.terminate()
    assert process.wait(5) == 0
    assert 0.7 < time.monotonic() - began < 2.5
    assert process.stdout.read().count("asked") == 2
    assert not is_running(pid)


def test_k2_a_second_ctrl_c_waits_for_nobody(started):
    process, [pid] = started("[child('slow', STUBBORN)]", 1)
    wait_for_line(process, "ready")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    wait_for_line(process, "asked")  # two signals that meet are heard as one
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.wait(5)
    assert time.monotonic() - began < 3
    wait_for(lambda: not is_running(pid))


def test_what_a_dead_child_left_in_its_group_is_gone_before_it_starts_again(started, tmp_path):
    grandchild = (
        "child('a', 'import subprocess, sys, time, pathlib\\n"
        'p = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])\\n'
        f'pathlib.Path("{tmp_path}/pid").write_text(str(p.pid))\\n'
        "time.sleep(60)')"
    )
    process, [pid] = started(f"[{grandchild}]", 1)
    left = int(wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_running(left))
    process.terminate()
    assert process.wait(5) == 0
