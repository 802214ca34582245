"""Steps that need the store: some rows at a time, and not one after the other while it is down."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from audio_transcoder import removal, turns
from audio_transcoder.models import Deletion, IntakeObject
from audio_transcoder.tests.factories import make_file
from audio_transcoder.uploads import arrivals, intake
from buckets import BucketDenied, BucketError, BucketUnavailable, FolderBucket

pytestmark = pytest.mark.django_db


def arrive() -> None:
    make_file(examined_at=None)


def drop() -> None:
    key = f"media/intake/ada/{uuid.uuid4()}.wav"
    IntakeObject.objects.create(bucket="local", key=key, size_bytes=5)


def delete() -> None:
    Deletion.objects.create(prefixes=[f"uploads/{uuid.uuid4()}/"])


def break_the_store(monkeypatch: pytest.MonkeyPatch, kind: type[BucketError]) -> list[str]:
    """Let every look end in this error; return the list of what was asked for."""
    asked = []

    def fail(self: FolderBucket, key: str, *_args: object) -> None:
        asked.append(key)
        raise kind("no", bucket=self.name, key=key)

    for method in ("stat", "head", "delete_prefix"):
        monkeypatch.setattr(FolderBucket, method, fail)
    monkeypatch.setattr(intake, "look", lambda: None)
    return asked


EACH_STEP = pytest.mark.parametrize(
    ("prepare", "run"),
    [(arrive, arrivals.examine_due), (drop, intake.take_due), (delete, removal.remove_due)],
)


@EACH_STEP
def test_a_store_that_does_not_answer_is_asked_twice_and_then_left_alone(prepare, run, monkeypatch):
    for _ in range(4):
        prepare()
    asked = break_the_store(monkeypatch, BucketUnavailable)

    again = run()

    assert len(asked) == 2
    assert again > timezone.now() + timedelta(seconds=20)


@EACH_STEP
def test_one_row_that_is_refused_holds_up_no_other(prepare, run, monkeypatch):
    for _ in range(4):
        prepare()
    asked = break_the_store(monkeypatch, BucketDenied)

    run()

    assert len(asked) == 4


def test_the_other_steps_have_their_turn_between_many_rows(monkeypatch):
    monkeypatch.setattr(turns, "ROWS_AT_ONCE", 2)
    for _ in range(3):
        delete()

    again = removal.remove_due()

    assert Deletion.objects.filter(attempts=0).count() == 1
    assert again <= timezone.now()


def test_the_other_steps_have_their_turn_after_long_work(monkeypatch):
    monkeypatch.setattr(turns, "TURN_S", -1.0)
    delete()

    again = removal.remove_due()

    assert Deletion.objects.filter(attempts=0).count() == 1
    assert again <= timezone.now()
