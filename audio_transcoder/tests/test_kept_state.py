"""The state that the library looks for is what the rows say, however they changed."""

from __future__ import annotations

import importlib

import pytest
from django.apps import apps
from django.utils import timezone

from audio_transcoder.engines.base import JobReport, OutputReport
from audio_transcoder.keys import bucket_key
from audio_transcoder.models import AudioFile, Rendition, TranscodeJob
from audio_transcoder.tests.factories import make_file, make_job

pytestmark = pytest.mark.django_db

Status = TranscodeJob.Status


def kept(audio_file: AudioFile) -> str:
    """Return the column, after a look whether it is what the rows say."""
    row = AudioFile.objects.with_work().get(pk=audio_file.pk)
    assert row.kept_state == row.state
    return row.kept_state


def tell(job: TranscodeJob, status: str, outputs: str = "") -> None:
    job.refresh_from_db()
    found = [
        OutputReport(key=bucket_key(one.file.name), status=outputs or status)
        for one in job.renditions.all()
    ]
    job.report(
        JobReport(engine_id=job.engine_id, status=status, at=timezone.now(), outputs=tuple(found))
    )


def test_an_order_makes_a_file_wait():
    assert kept(make_job(placed=False).audio_file) == "waiting"


@pytest.mark.parametrize(
    ("status", "state"),
    [("Progressing", "converting"), ("Complete", "ready"), ("Error", "failed")],
)
def test_a_report_moves_it(status, state):
    job = make_job()
    tell(job, status)
    assert kept(job.audio_file) == state


def test_a_job_with_a_result_that_failed_leaves_it_failed():
    job = make_job()
    first = job.renditions.first()
    key = bucket_key(first.file.name)
    report = JobReport(
        engine_id=job.engine_id,
        status=Status.COMPLETE,
        at=timezone.now(),
        outputs=(OutputReport(key=key, status=Status.ERROR),),
    )
    job.report(report)
    assert kept(job.audio_file) == "failed"


def test_a_cancel_and_what_is_ordered_after_it_move_it():
    job = make_job()
    tell(job, "Progressing")
    job.cancel()
    assert kept(job.audio_file) == "canceled"
    job.retry()
    assert kept(job.audio_file) == "waiting"


def test_a_job_that_takes_too_long_leaves_it_failed():
    job = make_job()
    job.time_out()
    assert kept(job.audio_file) == "failed"


def test_a_new_run_leaves_it_as_it_is():
    job = make_job()
    tell(job, "Progressing", outputs="Submitted")
    assert job.run_again()
    assert kept(job.audio_file) == "converting"


def test_of_two_jobs_the_open_one_counts():
    audio_file = make_file()
    first, second = make_job(audio_file, ("wav",)), make_job(audio_file, ("mp3",))
    tell(first, "Complete")
    assert kept(audio_file) == "waiting"
    tell(second, "Complete")
    assert kept(audio_file) == "ready"


def test_a_late_report_changes_nothing():
    job = make_job()
    tell(job, "Complete")
    tell(job, "Progressing")
    assert kept(job.audio_file) == "ready"


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        (["Submitted"], "waiting"),
        (["Progressing"], "converting"),
        (["Complete"], "ready"),
        (["Error"], "failed"),
        (["Canceled"], "canceled"),
        (["Error", "Complete"], "ready"),
        (["Complete", "Submitted"], "waiting"),
    ],
)
def test_the_files_of_an_older_version_get_theirs_from_the_migration(statuses, state):
    audio_file = make_file()
    for status in statuses:
        job = audio_file.order(["wav"])
        Rendition.objects.filter(job=job).update(status=status)
        TranscodeJob.objects.filter(pk=job.pk).update(status=status)
    AudioFile.objects.update(kept_state="waiting")
    migration = importlib.import_module("audio_transcoder.migrations.0012_fill_kept_state")
    migration.fill(apps, None)
    assert kept(audio_file) == state
