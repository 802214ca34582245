"""Nudges: they wake at once, after the commit, and never do harm."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from django.db import transaction

import steps
from steps import pipes
from steps.tests.conftest import wait_for


def test_a_nudge_wakes_whoever_waits_at_once():
    with pipes.Listener(["place"]) as listener:
        sender = threading.Timer(0.2, pipes.send, ["place"])
        sender.start()
        began = time.monotonic()
        assert listener.wait(10) == {"place"}
        assert time.monotonic() - began < 1
        sender.join()


def test_a_nudge_wakes_only_those_who_wait_for_that_step():
    with pipes.Listener(["place", "deliver"]) as one, pipes.Listener(["transcode"]) as other:
        pipes.send("deliver")
        assert one.wait(0) == {"deliver"}
        assert other.wait(0) == set()


def test_a_nudge_reaches_every_process_that_waits():
    with pipes.Listener(["transcode"]) as one, pipes.Listener(["transcode"]) as other:
        pipes.send("transcode")
        assert one.wait(0) == other.wait(0) == {"transcode"}


def test_a_nudge_that_comes_before_the_wait_is_not_lost():
    with pipes.Listener(["place"]) as listener:
        pipes.send("place")
        time.sleep(0.05)
        assert listener.wait(0) == {"place"}
        assert listener.wait(0) == set()


def test_more_nudges_than_a_pipe_holds_are_one_and_block_nobody(nudge_folder):
    with pipes.Listener(["place"]) as listener:
        [path] = (nudge_folder / "place").iterdir()
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(pipe, bytes(4096))
        os.close(pipe)
        pipes.send("place")
        assert listener.wait(0) == {"place"}
        assert listener.wait(0) == set()


def test_a_nudge_for_a_step_that_nobody_has_ever_waited_for_is_nothing(nudge_folder):
    steps.nudge("never-heard-of")
    assert not nudge_folder.exists()


def test_the_pipe_of_a_dead_process_is_removed_by_the_next_nudge(program, nudge_folder, tmp_path):
    process = program(
        "import time\nfrom steps import pipes\npipes.Listener(['place'])\ntime.sleep(60)"
    )
    folder = tmp_path / "nudges" / "place"
    wait_for(lambda: list(folder.glob("[0-9]*")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(list(folder.iterdir())) == 1

    steps.nudge("place")

    assert list(folder.iterdir()) == []


def test_a_listener_takes_its_pipes_away(nudge_folder):
    with pipes.Listener(["place"]):
        assert len(list((nudge_folder / "place").iterdir())) == 1
    assert list((nudge_folder / "place").iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_a_nudge_inside_a_transaction_comes_after_the_commit():
    with pipes.Listener(["place"]) as listener:
        with transaction.atomic():
            steps.nudge("place")
            assert listener.wait(0.1) == set()
        assert listener.wait(0) == {"place"}


@pytest.mark.django_db(transaction=True)
def test_a_nudge_inside_a_transaction_that_fails_never_comes():
    with pipes.Listener(["place"]) as listener:
        with pytest.raises(RuntimeError), transaction.atomic():
            steps.nudge("place")
            raise RuntimeError
        assert listener.wait(0.1) == set()


def test_a_nudge_outside_a_transaction_needs_no_database():
    """The test has no access to one."""
    with pipes.Listener(["place"]) as listener:
        steps.nudge("place")
        assert listener.wait(0) == {"place"}


def test_a_nudge_never_raises(nudge_folder, caplog):
    nudge_folder.write_text("a file where the folder should be")
    steps.nudge("place")
    assert "nudge not sent" in caplog.text
