"""What the short steps do with rows that are due."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import timedelta
from types import SimpleNamespace

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone

from audio_transcoder import removal, steps, turns
from audio_transcoder.engines.base import (
    JobReport,
    OutputReport,
    TranscoderRejected,
    TranscoderUnavailable,
)
from audio_transcoder.keys import bucket_key
from audio_transcoder.models import AudioFile, DeletedJob, Deletion, Rendition, TranscodeJob
from audio_transcoder.tests.factories import make_file, make_job, make_person, store_results
from audio_transcoder.transcoder import AudioTranscoder
from buckets import bucket
from transcode_messages.models import Message

pytestmark = pytest.mark.django_db


@dataclasses.dataclass
class FakeEngine:
    """An engine of this test's own: it remembers orders, and answers as it is told."""

    orders: list = dataclasses.field(default_factory=list)
    found: dict = dataclasses.field(default_factory=dict)
    reports: dict = dataclasses.field(default_factory=dict)
    error: Exception | None = None

    def create_job(self, order):
        if self.error:
            raise self.error
        self.orders.append(order.our_id)
        return f"engine-{len(self.orders)}"

    def find_job(self, our_id):
        return self.found.get(our_id)

    def read_job(self, engine_id):
        if self.error:
            raise self.error
        return self.reports.get(engine_id)

    def cancel_job(self, engine_id):
        self.orders.append(f"cancel {engine_id}")


@pytest.fixture
def engine(monkeypatch) -> FakeEngine:
    transcoder, fake = AudioTranscoder(), FakeEngine()
    transcoder._engines["elastic"] = fake
    for module in (steps, removal):
        monkeypatch.setattr(module, "default_transcoder", lambda: transcoder)
    return fake


def later(seconds: float):
    return time_machine.travel(timezone.now() + timedelta(seconds=seconds), tick=True)


def test_a_file_deleted_while_the_store_is_asked_is_no_order_of_nothing(engine, monkeypatch):
    first, second = make_job(placed=False), make_job(placed=False)
    store = type(bucket(settings.MEDIA_BUCKET))
    stat, orders = store.stat, []

    def stat_and_delete(asked, key):
        found = stat(asked, key)
        AudioFile.objects.filter(pk=first.audio_file_id).remove()
        return found

    def create_job(order):
        orders.append((order.our_id, len(order.outputs)))
        return f"engine-{len(orders)}"

    monkeypatch.setattr(store, "stat", stat_and_delete)
    monkeypatch.setattr(engine, "create_job", create_job)
    steps.place()
    assert orders == [(str(first.code), 2), (str(second.code), 2)]
    engine.found = {str(first.code): "engine-1"}
    engine.reports = {"engine-1": JobReport("engine-1", "Submitted", timezone.now())}
    removal.remove_due()
    assert engine.orders == ["cancel engine-1"]


@pytest.mark.parametrize("attempts", [0, 1])
def test_a_file_deleted_when_its_job_is_claimed_holds_up_no_other(engine, monkeypatch, attempts):
    first, second = make_job(placed=False), make_job(placed=False)
    TranscodeJob.objects.filter(pk=first.pk).update(place_attempts=attempts)
    rows = type(TranscodeJob.objects.all())
    update = rows.update

    def update_and_delete(some, **values):
        count = update(some, **values)
        if "place_attempts" in values:
            AudioFile.objects.filter(pk=first.audio_file_id).remove()
        return count

    monkeypatch.setattr(rows, "update", update_and_delete)
    steps.place()
    second.refresh_from_db()
    assert second.engine_id
    # Nobody waits for the answer to an order that was never sent.
    removal.remove_due()
    assert DeletedJob.objects.get().is_done == (attempts == 0)


def test_tags_changed_while_an_order_reads_them_are_newer_than_its_results(engine):
    job = make_job(placed=False)
    begun = timezone.now()
    steps.place()
    # The transaction that changes them began before the order, and commits after it.
    AudioFile.objects.update(title="New", label_changed_at=begun)
    again = job.audio_file.order(["mp3"])
    steps.place()
    older = {one.job_id: one.has_older_label for one in Rendition.objects.select_related("job")}
    assert older == {job.pk: True, again.pk: False}


def test_a_waiting_job_is_placed_once(engine):
    job = make_job(placed=False)
    steps.place()
    steps.place()
    job.refresh_from_db()
    assert (job.engine_id, engine.orders) == ("engine-1", [str(job.code)])
    assert job.placed_at


def test_k8_an_engine_that_does_not_answer_is_tried_again_later(engine):
    job = make_job(placed=False)
    engine.error = TranscoderUnavailable("no answer")
    again = steps.place()
    assert timezone.now() < again <= timezone.now() + timedelta(seconds=6)
    engine.error = None
    steps.place()
    assert engine.orders == []
    with later(6):
        steps.place()
    job.refresh_from_db()
    assert job.engine_id == "engine-1"


def test_one_job_without_an_answer_does_not_hold_up_the_others(engine, monkeypatch):
    bad = make_job(placed=False)
    good = [make_job(placed=False) for _ in range(3)]
    create_job = engine.create_job

    def answer_all_but_one(order):
        if order.our_id == str(bad.code):
            raise TranscoderUnavailable("no answer")
        return create_job(order)

    monkeypatch.setattr(engine, "create_job", answer_all_but_one)
    steps.place()
    assert engine.orders == [str(job.code) for job in good]


def test_many_deletions_leave_the_other_steps_their_turns(engine, monkeypatch):
    for _ in range(5):
        Deletion.objects.create(prefixes=["uploads/1/"])
    clock = itertools.count(step=turns.TURN_S / 3)
    monkeypatch.setattr(turns, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    for left in (2, 0):
        assert removal.remove_due() <= timezone.now() + timedelta(minutes=1)
        assert Deletion.objects.filter(attempts=0).count() == left


def test_a_silent_engine_is_not_asked_for_every_job(engine):
    for _ in range(5):
        make_job(placed=False)
    engine.error = TranscoderUnavailable("no answer")
    steps.place()
    assert TranscodeJob.objects.filter(place_attempts=1).count() == 2


def test_a_day_in_the_queue_is_not_a_day_of_silence(engine):
    job = make_job(placed=False)
    with later(25 * 3600):
        steps.place()
    job.refresh_from_db()
    assert job.engine_id == "engine-1"


def test_k10_an_order_whose_answer_was_lost_is_not_placed_twice(engine):
    job = make_job(placed=False)
    engine.error = TranscoderUnavailable("answer lost")
    steps.place()
    engine.error, engine.found = None, {str(job.code): "engine-found"}
    with later(6):
        steps.place()
    job.refresh_from_db()
    assert (job.engine_id, engine.orders) == ("engine-found", [])


def test_k8_an_engine_silent_for_a_day_is_given_up(engine):
    job = make_job(placed=False)
    engine.error = TranscoderUnavailable("no answer")
    steps.place()
    with later(24 * 3600 + 1):
        steps.place()
    job.refresh_from_db()
    assert (job.status, job.reason) == ("Error", "engine_down")
    assert Message.objects.count() == 1


def test_k9_a_refusal_ends_the_job_at_once(engine):
    job = make_job(placed=False)
    engine.error = TranscoderRejected("internal", "ValidationException: no")
    steps.place()
    job.refresh_from_db()
    assert (job.status, job.reason) == ("Error", "internal")
    assert job.detail == "ValidationException: no"
    assert Message.objects.count() == 1


def test_k15_persons_take_turns(engine, settings):
    settings.TRANSCODER_MAX_PLACED = 4
    busy, late = make_person(), make_person()
    many = [make_job(make_file(busy), placed=False) for _ in range(6)]
    one = make_job(make_file(late), placed=False)
    steps.place()
    assert str(one.code) in engine.orders
    assert engine.orders == [str(j.code) for j in (many[0], one, many[1], many[2])]
    steps.place()
    assert len(engine.orders) == 4


def test_n24_a_job_without_news_is_read_from_the_engine(engine):
    job = make_job()
    store_results(job)
    outputs = [
        OutputReport(key=bucket_key(r.file.name), status="Complete") for r in job.renditions.all()
    ]
    engine.reports[job.engine_id] = JobReport(
        engine_id=job.engine_id, status="Complete", at=timezone.now(), outputs=outputs
    )
    steps.refresh()
    job.refresh_from_db()
    assert job.status == "Submitted"  # it is not due yet
    with later(121):
        steps.refresh()
    job.refresh_from_db()
    assert job.status == "Complete"
    assert Message.objects.count() == 1


def test_k8_an_engine_that_gives_no_news_for_a_day_is_given_up(engine):
    job = make_job()
    engine.error = TranscoderUnavailable("no answer")
    with later(200):
        steps.refresh()
    with later(200 + 24 * 3600 + 1):
        steps.place()
    job.refresh_from_db()
    assert (job.status, job.reason) == ("Error", "engine_down")


def test_k16_open_jobs_are_found_through_the_index(db):
    now = timezone.now()
    for queryset in (
        TranscodeJob.objects.waiting_to_be_placed(now),
        TranscodeJob.objects.to_be_read(now, ["elastic"]),
        TranscodeJob.objects.placed(),
    ):
        plan = queryset.explain()
        assert "SCAN audio_transcoder_transcodejob" not in plan, plan


def test_a_watched_job_is_read_every_second(engine):
    job = make_job()
    engine.reports[job.engine_id] = JobReport(
        engine_id=job.engine_id, status="Progressing", at=timezone.now(), progress=42
    )
    TranscodeJob.objects.filter(pk=job.pk).update(
        watched_at=timezone.now(), read_at=timezone.now() - timedelta(seconds=1)
    )
    again = steps.refresh()
    job.refresh_from_db()
    assert job.progress == 42
    assert again < timezone.now() + timedelta(seconds=1)


def test_k11_a_job_the_engine_forgot_is_ordered_once_more_and_then_fails(engine):
    job = make_job()
    with later(121):
        steps.refresh()
        steps.place()
        job.refresh_from_db()
        assert job.engine_id == "engine-1"
    with later(300):
        steps.refresh()
    job.refresh_from_db()
    assert (job.status, job.reason) == ("Error", "internal")


def test_a_deletion_removes_objects_and_goes_when_all_is_clear(engine, settings):
    job = make_job()
    store_results(job)
    engine_id = job.engine_id
    engine.reports[engine_id] = JobReport(
        engine_id=engine_id, status="Submitted", at=timezone.now()
    )
    job.audio_file.delete()
    steps.delete()
    assert not [p for p in settings.BUCKETS_DIR.rglob("*") if p.is_file()]
    assert engine.orders == [f"cancel {engine_id}"]
    with later(61):
        steps.delete()
    assert Deletion.objects.exists()  # the engine is still at it
    engine.reports[engine_id] = dataclasses.replace(engine.reports[engine_id], status="Complete")
    for seconds in (200, 240):
        with later(seconds):
            steps.delete()
    assert not Deletion.objects.exists()


def test_the_engine_is_asked_to_stop_a_running_job_of_a_deleted_file(engine):
    job = make_job()
    engine.reports[job.engine_id] = JobReport(
        engine_id=job.engine_id, status="Progressing", at=timezone.now()
    )
    job.audio_file.delete()
    steps.delete()
    assert engine.orders == [f"cancel {job.engine_id}"]


def test_s8_an_upload_that_was_stored_but_never_committed_is_removed(engine):
    note = Deletion.objects.create(
        prefixes=["uploads/x/"], next_step_at=timezone.now() + timedelta(hours=1)
    )
    steps.delete()
    assert Deletion.objects.filter(pk=note.pk, attempts=0).exists()
    with later(3601):
        steps.delete()
    assert Deletion.objects.filter(pk=note.pk, attempts=1).exists()
