"""The loop: what is due runs, what fails is tried again, nothing else happens."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

import steps
from steps import loop, registry, stop
from steps.tests.conftest import wait_for


@pytest.fixture(autouse=True)
def no_heartbeat(monkeypatch):
    """The loop runs in threads here; heartbeats have tests of their own."""
    monkeypatch.setattr(loop.heartbeats, "write", lambda kind: None)
    monkeypatch.setattr(loop.heartbeats, "_remove", lambda: None)


@pytest.fixture
def running(settings):
    """Run the loop of a kind in a thread until the test ends."""
    settings.RECONCILE_S = 60
    threads = []

    def start(kind: str = "steps") -> threading.Thread:
        thread = threading.Thread(target=loop.run, args=(kind,), daemon=True)
        thread.start()
        threads.append(thread)
        return thread

    yield start
    stop.request()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def counting(name: str, runs_in: str = "steps", wants=lambda: None) -> list[float]:
    """Register a step; return the list of the moments it ran at."""
    moments: list[float] = []

    def function():
        moments.append(time.monotonic())
        return wants()

    registry.step(name, runs_in=runs_in)(function)
    return moments


def test_a_step_runs_at_once_and_then_only_when_something_is_due(running):
    runs = counting("place")
    running()
    wait_for(lambda: runs)
    time.sleep(0.3)
    assert len(runs) == 1


def test_a_nudged_step_runs_within_a_tenth_of_a_second(running):
    runs = counting("place")
    running()
    wait_for(lambda: runs)
    took = []
    for count in range(2, 7):
        time.sleep(0.05)
        began = time.monotonic()
        steps.nudge("place")
        wait_for(lambda: len(runs) == count)  # noqa: B023
        took.append(runs[-1] - began)
    # A loop that only looks each fifth of a second is late each time; a busy machine is not.
    assert min(took) < 0.1


def test_a_nudge_in_the_middle_of_the_step_runs_it_again(running):
    began, end = threading.Event(), threading.Event()
    runs = []

    @steps.step("place", runs_in="steps")
    def place():
        runs.append(1)
        began.set()
        end.wait(30)

    running()
    assert began.wait(30)
    steps.nudge("place")
    end.set()
    wait_for(lambda: len(runs) == 2)


def test_a_step_runs_when_it_said_so(running):
    runs = counting("place", wants=lambda: timezone.now() + timedelta(seconds=0.4))
    running()
    wait_for(lambda: len(runs) == 2)
    assert 0.35 < runs[1] - runs[0] < 0.8


def test_a_step_that_wants_to_run_in_the_past_leaves_the_processor_to_others(running):
    runs = counting("place", wants=lambda: timezone.now() - timedelta(days=1))
    running()
    wait_for(lambda: len(runs) >= 4)
    assert min(later - earlier for earlier, later in itertools.pairwise(runs[:4])) > 0.05


def test_a_lost_nudge_waits_for_the_reconciling_look_and_no_longer(running, settings):
    settings.RECONCILE_S = 0.3
    runs = counting("place", wants=lambda: timezone.now() + timedelta(days=1))
    loop_settings = settings.RECONCILE_S
    thread = threading.Thread(target=loop.run, args=("steps",), daemon=True)
    thread.start()
    wait_for(lambda: len(runs) >= 3)
    stop.request()
    thread.join(30)
    assert loop_settings - 0.05 < runs[2] - runs[1] < 3


def test_only_the_steps_of_the_kind_run(running):
    short, long = counting("place"), counting("transcode", runs_in="transcode")
    running("transcode")
    wait_for(lambda: long)
    time.sleep(0.1)
    assert short == []


def test_an_error_ends_neither_the_loop_nor_the_other_steps(running, monkeypatch, caplog):
    monkeypatch.setattr(loop, "FIRST_BACK_OFF_S", 0.1)
    failures = []

    @steps.step("place", runs_in="steps")
    def place():
        failures.append(time.monotonic())
        raise RuntimeError("engine on fire")

    others = counting("deliver")
    running()
    wait_for(lambda: len(failures) == 4)
    assert others
    assert "engine on fire" in caplog.text
    pauses = [later - earlier for earlier, later in itertools.pairwise(failures)]
    assert all(pause >= s for pause, s in zip(pauses, (0.1, 0.2, 0.4), strict=True))


@pytest.mark.django_db
def test_a_step_waits_twice_as_long_after_each_further_error(monkeypatch):
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    runs = []

    @steps.step("place", runs_in="steps")
    def place():
        runs.append(1)
        raise RuntimeError

    turn = loop.Turn(*registry.steps_of("steps"))
    pauses = []
    for _ in range(8):
        assert not turn.run()
        pauses.append(turn.due_at - 1000)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert len(runs) == 8


def test_nudges_do_not_hurry_a_step_that_fails(running):
    runs = []

    @steps.step("place", runs_in="steps")
    def place():
        runs.append(1)
        raise RuntimeError

    running()
    wait_for(lambda: runs)
    for _ in range(20):
        steps.nudge("place")
        time.sleep(0.01)
    assert len(runs) == 1


def test_a_step_that_recovered_is_nudged_at_once_again(running, monkeypatch):
    monkeypatch.setattr(loop, "FIRST_BACK_OFF_S", 0.05)
    runs = []

    @steps.step("place", runs_in="steps")
    def place():
        runs.append(1)
        if len(runs) == 1:
            raise OperationalError("database is locked")

    running()
    wait_for(lambda: len(runs) == 2)
    time.sleep(0.05)
    steps.nudge("place")
    wait_for(lambda: len(runs) == 3)


@pytest.mark.django_db(transaction=True)
def test_a_broken_database_connection_is_replaced_for_the_next_run():
    results = []

    @steps.step("place", runs_in="steps")
    def place():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            results.append(cursor.fetchone())
        connection.connection.close()  # as a server does that goes away
        connection.errors_occurred = True

    steps.run_once("steps")
    steps.run_once("steps")
    assert results == [(1,), (1,)]


@pytest.mark.django_db(transaction=True)
def test_a_good_database_connection_is_kept_for_the_next_run():
    seen = []

    @steps.step("place", runs_in="steps")
    def place():
        connection.ensure_connection()
        seen.append(connection.connection)

    steps.run_once("steps")
    steps.run_once("steps")
    assert seen[0] is seen[1]


def test_stopping_is_told_to_a_step_in_the_middle_of_its_work(running):
    seen, began = [], threading.Event()

    @steps.step("place", runs_in="steps")
    def place():
        began.set()
        wait_for(steps.stopping)
        seen.append((steps.stopping(), steps.hurrying()))
        wait_for(steps.hurrying)
        seen.append((steps.stopping(), steps.hurrying()))

    thread = running()
    assert began.wait(30)
    stop.request()
    wait_for(lambda: seen)
    stop.request()
    thread.join(30)
    assert seen == [(True, False), (True, True)]
    assert not steps.stopping()


def test_k2_sigterm_ends_a_waiting_process_at_once_and_leaves_no_pipe(program, tmp_path):
    process = program(
        "import steps\n"
        "from steps import loop\n"
        "loop.heartbeats.write = lambda kind: None\n"
        "loop.heartbeats._remove = lambda: None\n"
        "@steps.step('idle', runs_in='idle')\n"
        "def idle(): print('ran', flush=True)\n"
        "steps.run('idle')\n"
    )
    lines = iter(process.stdout.readline, "")
    assert any(line == "ran\n" for line in lines)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert time.monotonic() - began < 2
    assert list((tmp_path / "nudges" / "idle").iterdir()) == []


def test_k2_the_third_sigterm_kills(program):
    process = program(
        "import steps, time\n"
        "from steps import loop\n"
        "loop.heartbeats.write = lambda kind: None\n"
        "@steps.step('deaf', runs_in='deaf')\n"
        "def deaf():\n"
        "    print('ran', flush=True)\n"
        "    for asked in (steps.stopping, steps.hurrying):\n"
        "        while not asked(): time.sleep(0.01)\n"
        "        print('heard', flush=True)\n"
        "    while True: time.sleep(1)\n"
        "steps.run('deaf')\n"
    )
    assert any(line == "ran\n" for line in iter(process.stdout.readline, ""))
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "heard\n"  # two signals that meet are heard as one
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM


@pytest.mark.django_db(transaction=True)
def test_once_runs_until_nothing_moves():
    """place orders, transcode converts, deliver tells: each nudges the next."""
    done = []
    todo = {"place": "transcode", "transcode": "deliver", "deliver": None}

    def work(name: str, after: str | None):
        def function():
            if name == "place" and not done:
                done.append(name)
                steps.nudge(after)
            elif done and todo.get(done[-1]) == name:
                done.append(name)
                if after:
                    steps.nudge(after)

        return function

    for name, kind in (("deliver", "steps"), ("transcode", "transcode"), ("place", "steps")):
        registry.step(name, runs_in=kind)(work(name, todo[name]))

    steps.run_once()

    assert done == ["place", "transcode", "deliver"]


@pytest.mark.django_db
def test_once_waits_for_no_later_moment():
    runs = counting("place", wants=lambda: timezone.now() + timedelta(seconds=30))
    began = time.monotonic()
    steps.run_once("steps")
    assert len(runs) == 1
    assert time.monotonic() - began < 1


@pytest.mark.django_db
def test_once_runs_a_step_again_that_is_due_again_at_once():
    wants = iter([timezone.now(), timezone.now(), None])
    runs = counting("place", wants=lambda: next(wants))
    steps.run_once("steps")
    assert len(runs) == 3


@pytest.mark.django_db
def test_once_says_which_steps_failed_after_the_others_had_their_turn():
    @steps.step("place", runs_in="steps")
    def place():
        raise RuntimeError

    others = counting("deliver")
    with pytest.raises(steps.StepsFailed) as caught:
        steps.run_once()
    assert caught.value.names == ["place"]
    assert others


@pytest.mark.django_db(transaction=True)
def test_reconcile_runs_short_steps_and_wakes_the_others():
    place = counting("place", wants=lambda: timezone.now() + timedelta(days=1))
    transcode = counting("transcode", runs_in="transcode")
    with loop.Listener(["transcode"]) as listener:
        call_command("reconcile")
        assert listener.wait(0) == {"transcode"}
    assert len(place) == 1
    assert transcode == []


@pytest.mark.django_db
def test_reconcile_fails_when_a_step_does():
    @steps.step("place", runs_in="steps")
    def place():
        raise RuntimeError

    with pytest.raises(CommandError, match="place"):
        call_command("reconcile")


def test_a_kind_without_steps_is_refused():
    counting("place")
    with pytest.raises(ValueError, match=r"'transcoding'.*steps"):
        steps.run("transcoding")


def test_two_steps_with_one_name_are_refused():
    counting("place")
    with pytest.raises(ValueError, match="place"):

        @steps.step("place", runs_in="steps")
        def another():
            return None
