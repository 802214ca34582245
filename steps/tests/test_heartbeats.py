"""Heartbeats: alive processes have a fresh row, others none."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

import steps
from steps import heartbeats
from steps.models import Heartbeat
from steps.tests.conftest import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_heartbeat_stands_while_the_block_runs_and_is_gone_after():
    with heartbeats.beating("transcode"):
        wait_for(Heartbeat.objects.exists)
        assert heartbeats.alive() == {"transcode"}
    assert not Heartbeat.objects.exists()


def test_it_beats_while_a_step_runs_long(monkeypatch):
    monkeypatch.setattr(heartbeats, "INTERVAL_S", 0.05)
    with heartbeats.beating("transcode"):
        first = wait_for(lambda: Heartbeat.objects.first()).at
        wait_for(lambda: Heartbeat.objects.get().at > first)


def test_a_step_that_stands_still_beats_no_more_until_it_moves(monkeypatch, caplog):
    monkeypatch.setattr(heartbeats, "INTERVAL_S", 0.05)
    monkeypatch.setattr(heartbeats, "HANGS_AFTER_S", 0.2)
    with heartbeats.beating("steps"):
        wait_for(lambda: "stands still" in caplog.text)
        last = Heartbeat.objects.get().at
        time.sleep(0.2)
        assert Heartbeat.objects.get().at == last
        wait_for(lambda: steps.beat() or Heartbeat.objects.get().at > last)


def test_long_transcoding_is_no_standstill(monkeypatch):
    monkeypatch.setattr(heartbeats, "HANGS_AFTER_S", 0.0)
    time.sleep(0.01)
    assert not heartbeats.hangs("transcode")


def test_a_database_that_fails_ends_no_heart(monkeypatch, caplog):
    monkeypatch.setattr(heartbeats, "INTERVAL_S", 0.05)
    real, calls = heartbeats.write, []

    def write(kind: str) -> None:
        calls.append(kind)
        if len(calls) == 1:
            raise DatabaseError("gone")
        real(kind)

    monkeypatch.setattr(heartbeats, "write", write)
    with heartbeats.beating("steps"):
        wait_for(Heartbeat.objects.exists)
    assert "no heartbeat: gone" in caplog.text


def test_rows_of_processes_that_died_are_swept():
    long_ago = timezone.now() - timedelta(hours=1)
    Heartbeat.objects.create(kind="steps", process="elsewhere 1", at=long_ago)
    heartbeats.write("steps")
    assert [row.process for row in Heartbeat.objects.all()] == [heartbeats._process()]


@pytest.mark.parametrize(
    ("age", "alive"),
    [
        (timedelta(seconds=30), {"steps"}),
        (timedelta(seconds=90), set()),
        (-timedelta(minutes=15), set()),
    ],
)
def test_a_kind_is_alive_while_its_newest_row_is_fresh(age, alive):
    Heartbeat.objects.create(kind="steps", process="here 1", at=timezone.now() - age)
    assert heartbeats.alive() == alive
