"""What jobs and files do with reports, cancelling and deleting."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audio_transcoder import keys
from audio_transcoder.engines.base import JobReport, OutputReport, OutputSound, SoundReport
from audio_transcoder.models import AudioFile, Deletion, Rendition, TranscodeJob
from audio_transcoder.tests.factories import make_file, make_job, make_person
from transcode_messages.models import Message

pytestmark = pytest.mark.django_db

Status = TranscodeJob.Status


def report_for(job: TranscodeJob, status: str, **values: object) -> JobReport:
    outputs = values.pop("outputs", None)
    if outputs is None:
        outputs = [
            OutputReport(key=keys.bucket_key(r.file.name), status=status)
            for r in job.renditions.all()
        ]
    return JobReport(
        engine_id=job.engine_id, status=status, at=timezone.now(), outputs=outputs, **values
    )


def test_a_completion_reported_twice_changes_the_job_once():
    job = make_job()
    assert job.report(report_for(job, Status.COMPLETE))
    assert not job.report(report_for(job, Status.COMPLETE))
    assert [m.text for m in Message.objects.all()] == ["Your file Interview is ready."]
    assert {r.status for r in job.renditions.all()} == {Status.COMPLETE}


@pytest.mark.parametrize("late", [Status.SUBMITTED, Status.PROGRESSING, Status.ERROR])
def test_n18_a_final_status_is_never_left(late):
    job = make_job()
    job.report(report_for(job, Status.COMPLETE))
    job.report(report_for(job, late, reason="damaged"))
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.COMPLETE, "")
    assert {r.status for r in job.renditions.all()} == {Status.COMPLETE}


def test_a_rendition_is_ready_before_its_job_is():
    job = make_job()
    [wav, flac] = job.renditions.all()
    outputs = [
        OutputReport(key=keys.bucket_key(wav.file.name), status=Status.COMPLETE, size_bytes=9),
        OutputReport(key=keys.bucket_key(flac.file.name), status=Status.PROGRESSING),
    ]
    job.report(report_for(job, Status.PROGRESSING, progress=60, outputs=outputs))
    wav.refresh_from_db()
    job.refresh_from_db()
    assert (wav.status, wav.size_bytes) == (Status.COMPLETE, 9)
    assert (job.status, job.progress) == (Status.PROGRESSING, 60)
    assert not Message.objects.exists()


def test_n27_one_failed_output_fails_the_job_and_names_itself():
    job = make_job()
    [wav, flac] = job.renditions.all()
    outputs = [
        OutputReport(key=keys.bucket_key(wav.file.name), status=Status.COMPLETE),
        OutputReport(key=keys.bucket_key(flac.file.name), status=Status.ERROR, reason="damaged"),
    ]
    job.report(report_for(job, Status.ERROR, reason="damaged", outputs=outputs))
    [message] = Message.objects.all()
    assert message.level == Message.Level.ERROR
    assert "could not be converted to FLAC" in message.text
    assert "The file is damaged" in message.text


def test_a_retry_orders_only_what_is_missing():
    job = make_job()
    [wav, flac] = job.renditions.all()
    outputs = [
        OutputReport(key=keys.bucket_key(wav.file.name), status=Status.COMPLETE),
        OutputReport(key=keys.bucket_key(flac.file.name), status=Status.ERROR, reason="damaged"),
    ]
    job.report(report_for(job, Status.ERROR, reason="damaged", outputs=outputs))
    again = job.retry()
    assert [r.format_name for r in again.renditions.all()] == ["flac"]
    assert again.code != job.code


def test_a_second_retry_orders_nothing():
    job = make_job(formats=("flac",))
    job.report(report_for(job, Status.ERROR, reason="damaged"))
    assert job.retry()
    assert job.retry() is None


def test_a_format_that_failed_after_it_once_was_there_can_be_ordered_again():
    job = make_job(formats=("flac",))
    job.report(report_for(job, Status.COMPLETE))
    again = job.audio_file.order(["flac"])
    again.report(report_for(again, Status.ERROR, reason="damaged"))
    assert job.audio_file.order_missing(["flac"])


def test_a_late_report_moves_nothing_back():
    job = make_job(formats=("flac",))
    job.report(report_for(job, Status.PROGRESSING, progress=50))
    job.report(report_for(job, Status.SUBMITTED, progress=10))
    job.refresh_from_db()
    assert (job.status, job.progress) == (Status.PROGRESSING, 50)
    assert job.renditions.get().status == Status.PROGRESSING


def test_canceling_keeps_what_is_done_and_removes_the_rest():
    job = make_job()
    wav, flac = job.renditions.all()
    Rendition.objects.filter(pk=wav.pk).update(status=Status.COMPLETE)
    assert job.cancel()
    assert not job.cancel()
    [deletion] = Deletion.objects.all()
    pictures = keys.found_covers_prefix(job.audio_file.code, job.code)
    assert deletion.prefixes == [flac.file.name, pictures]
    assert [j.engine_id for j in deletion.jobs.all()] == [job.engine_id]
    assert {r.status for r in job.renditions.all()} == {Status.COMPLETE, Status.CANCELED}
    assert not Message.objects.exists()


def test_s16_a_deleted_file_leaves_a_note_of_what_must_go_and_nothing_else():
    job = make_job()
    audio_file = job.audio_file
    Message.objects.tell(
        audio_file.owner, event="x", about=audio_file.code, level="success", text="t", link="/"
    )
    audio_file.delete()
    for model in (AudioFile, TranscodeJob, Rendition, Message):
        assert not model.objects.exists()
    [deletion] = Deletion.objects.all()
    assert deletion.prefixes == audio_file.prefixes()
    assert deletion.jobs.get().code == job.code


def test_w8_deleting_many_files_costs_a_fixed_number_of_queries():
    person = make_person()
    for _ in range(3):
        make_job(make_file(person))
    with CaptureQueriesContext(connection) as few:
        AudioFile.objects.filter(owner=person).remove()
    for _ in range(12):
        make_job(make_file(person))
    with CaptureQueriesContext(connection) as many:
        AudioFile.objects.filter(owner=person).remove()
    assert len(many) == len(few)


def test_wav_file_is_the_newest_complete_rendition_or_none():
    job = make_job(formats=("wav",))
    audio_file = job.audio_file
    assert audio_file.wav_file is None
    job.report(report_for(job, Status.COMPLETE))
    assert audio_file.wav_file.name == job.renditions.get().file.name
    assert audio_file.mp4_file is None


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        (["Submitted"], "waiting"),
        (["Progressing"], "converting"),
        (["Complete"], "ready"),
        (["Error"], "failed"),
        (["Canceled"], "canceled"),
        (["Error", "Complete"], "ready"),  # the retry counts
        (["Complete", "Submitted"], "waiting"),
    ],
)
def test_the_state_of_a_file_in_words(statuses, state):
    audio_file = make_file()
    for status in statuses:
        job = audio_file.order(["wav"])
        job.renditions.update(status=status)
        TranscodeJob.objects.filter(pk=job.pk).update(status=status)
    assert AudioFile.objects.with_work().get().state == state


def test_what_an_engine_found_in_the_sounds_is_kept_and_overwrites_nothing():
    job = make_job(make_file(bits=16), formats=("flac",))
    key = keys.bucket_key(job.renditions.get().file.name)
    found = OutputSound(
        codec="flac", bits=24, is_faithful=True, sample_hash="ab", lost_tags=("date", "track")
    )
    for _ in range(2):
        job.report(
            JobReport(
                engine_id=job.engine_id,
                status="Complete",
                at=timezone.now(),
                outputs=[OutputReport(key=key, status="Complete", sound=found)],
                sound=SoundReport(bits=24, loudness_lufs=-16.5, waveform=b"\x00\xff"),
            )
        )

    rendition, audio_file = job.renditions.get(), AudioFile.objects.get()
    assert (rendition.codec, rendition.is_faithful, rendition.lost_tags) == (
        "flac",
        True,
        "date,track",
    )
    assert rendition.ready_at is not None
    assert (audio_file.bits, audio_file.loudness_lufs) == (16, -16.5)
    assert bytes(audio_file.waveform.peaks) == b"\x00\xff"


def test_a_clip_stands_beside_the_whole_and_orders_of_the_whole_ignore_it():
    audio_file = make_file()
    whole, clip = (make_job(audio_file, formats=("mp3",)) for _ in range(2))
    clip.renditions.update(variant="clip-0-500", status="Complete")
    whole.renditions.update(status="Error")

    renditions = AudioFile.objects.with_work().get().latest_renditions
    assert [one.variant for one in renditions] == ["", "clip-0-500"]
    assert audio_file.order_missing(["mp3"]) is not None


def test_the_begin_of_the_work_is_the_first_that_was_told():
    job = make_job()
    for _ in range(2):
        job.report(JobReport(engine_id=job.engine_id, status="Progressing", at=timezone.now()))
        began = TranscodeJob.objects.get(pk=job.pk).started_at
    job.report(JobReport(engine_id=job.engine_id, status="Complete", at=timezone.now()))
    assert TranscodeJob.objects.get(pk=job.pk).started_at == began
    assert began is not None
