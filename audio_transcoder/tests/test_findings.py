"""What an engine finds out when a job is over comes into the rows, and asking ends."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

import images
from audio_transcoder import findings, keys, removal
from audio_transcoder.covers import cover_changes
from audio_transcoder.engines.base import (
    JobReport,
    OutputReport,
    OutputSound,
    SoundReport,
    TranscoderUnavailable,
)
from audio_transcoder.models import AudioFile, Deletion, Rendition, TranscodeJob, Waveform
from audio_transcoder.tests.factories import make_file, make_job
from audio_transcoder.transcoder import AudioTranscoder
from images import Picture
from tests import pictures

pytestmark = pytest.mark.django_db
SOUND = SoundReport(
    codec="mp3",
    bitrate_kbps=192,
    loudness_lufs=-14.2,
    true_peak_dbtp=-0.3,
    waveform=b"\x01\xff",
    tags={"title": "Found", "artist": "Nobody", "date": "2019-05-01T10:00"},
)


class Asked:
    """An engine that answers one report, or no more than an error."""

    def __init__(self) -> None:
        self.calls = 0
        self.report: JobReport | None = None
        self.error: Exception | None = None

    def read_job(self, engine_id: str) -> JobReport | None:
        self.calls += 1
        if self.error:
            raise self.error
        return self.report


@pytest.fixture
def engine(monkeypatch) -> Asked:
    transcoder, asked = AudioTranscoder(), Asked()
    transcoder._engines["elastic"] = asked
    monkeypatch.setattr(findings, "default_transcoder", lambda: transcoder)
    return asked


def finished(audio_file: AudioFile | None = None) -> TranscodeJob:
    """A job that is over and whose facts are due."""
    job = make_job(audio_file, ("flac",))
    now = timezone.now()
    TranscodeJob.objects.filter(pk=job.pk).update(
        status="Complete", finished_at=now, facts_due_at=now
    )
    job.renditions.update(status="Complete")
    job.refresh_from_db()
    return job


def told(job: TranscodeJob, sound: SoundReport | None = SOUND, **values) -> JobReport:
    result = OutputReport(
        keys.bucket_key(job.renditions.get().file.name),
        "Complete",
        sound=OutputSound(codec="flac", correlation=0.99, lost_tags=("mood",), has_cover=True),
    )
    return JobReport(
        job.engine_id, "Complete", timezone.now(), outputs=(result,), sound=sound, **values
    )


def test_facts_tags_and_waveform_come_when_the_job_is_over(engine):
    job = finished()
    engine.report = told(job)
    assert findings.work_off_due() is None
    audio_file = AudioFile.objects.get()
    assert (audio_file.loudness_lufs, audio_file.bitrate_kbps) == (-14.2, 192)
    assert (audio_file.title, audio_file.artist, audio_file.year) == (
        "Found",
        "Nobody",
        "2019-05-01",
    )
    assert bytes(Waveform.objects.get().peaks) == b"\x01\xff"
    rendition = Rendition.objects.get()
    assert (rendition.codec, rendition.correlation, rendition.lost_tags) == ("flac", 0.99, "mood")
    findings.work_off_due()
    assert engine.calls == 1


def test_the_exact_length_and_the_loudness_of_a_result_come_with_its_facts(engine):
    job = finished()
    job.renditions.update(duration_ms=11_000)  # by a notice, in whole seconds
    sound = OutputSound(codec="flac", loudness_lufs=-18.5, true_peak_dbtp=-3.1)
    key = keys.bucket_key(job.renditions.get().file.name)
    exact = OutputReport(key, "Complete", duration_ms=10_500, sound=sound)
    engine.report = JobReport(job.engine_id, "Complete", timezone.now(), outputs=(exact,))
    findings.work_off_due()
    result = Rendition.objects.get()
    found = result.duration_ms, result.loudness_lufs, result.true_peak_dbtp
    assert found == (10_500, -18.5, -3.1)


def test_tags_that_the_owner_changed_stay(engine):
    audio_file = make_file(title="Mine", edited_tags="artist,title")
    engine.report = told(finished(audio_file))
    findings.work_off_due()
    audio_file.refresh_from_db()
    assert (audio_file.title, audio_file.artist, audio_file.year) == ("Mine", "", "2019-05-01")


def test_an_engine_that_finds_things_out_is_asked_again_and_not_for_ever(engine):
    job = finished()
    engine.report = told(job, None, awaits_facts=True)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(40):
            findings.work_off_due()
            clock.shift(timedelta(minutes=6))
    assert engine.calls == findings.ATTEMPTS
    job.refresh_from_db()
    assert job.facts_due_at is None


def test_an_engine_that_is_down_is_asked_later(engine):
    job = finished()
    engine.error = TranscoderUnavailable("no answer")
    assert findings.work_off_due() > timezone.now()
    engine.error, engine.report = None, told(job)
    with time_machine.travel(timezone.now() + timedelta(seconds=3)):
        findings.work_off_due()
    assert AudioFile.objects.get().loudness_lufs == -14.2


def test_a_job_that_the_engine_forgot_is_not_asked_about_again(engine):
    finished()
    findings.work_off_due()
    findings.work_off_due()
    assert engine.calls == 1


def with_picture(job: TranscodeJob) -> JobReport:
    """A report on ``job`` whose engine has put a picture."""
    name = keys.found_cover_name(job.audio_file.code, job.order_id)
    default_storage.save(name, ContentFile(pictures.picture()))
    return told(job, SoundReport(cover_key=keys.bucket_key(name)))


def test_a_picture_that_a_canceled_job_has_put_goes_with_it(engine):
    job = make_job()
    name = keys.found_cover_name(job.audio_file.code, job.order_id)
    default_storage.save(name, ContentFile(pictures.picture()))
    job.cancel()
    removal.remove_due()
    assert not default_storage.exists(name)
    assert default_storage.exists(job.audio_file.mp3_file.name)


def test_a_picture_that_a_run_has_put_goes_with_it_and_the_next_runs_stays(engine):
    job = make_job()
    old = keys.found_cover_name(job.audio_file.code, job.order_id)
    default_storage.save(old, ContentFile(pictures.picture()))
    assert job.run_again()
    new = keys.found_cover_name(job.audio_file.code, job.order_id)
    default_storage.save(new, ContentFile(pictures.picture()))
    removal.remove_due()
    assert not default_storage.exists(old)
    assert default_storage.exists(new)


def test_a_picture_that_the_engine_found_becomes_the_cover(engine):
    job = finished()
    engine.report = with_picture(job)
    findings.work_off_due()
    audio_file = AudioFile.objects.get()
    assert audio_file.cover.startswith(f"uploads/{audio_file.code}/cover-")
    assert audio_file.cover_width
    assert not audio_file.is_cover_chosen
    assert Deletion.objects.get().prefixes == [keys.found_cover_name(audio_file.code, job.order_id)]


def test_a_picture_that_cannot_be_drawn_just_now_is_taken_later(engine, monkeypatch):
    job = finished()
    engine.report = with_picture(job)
    with monkeypatch.context() as busy:
        busy.setattr(images, "draw", _is_busy)
        findings.work_off_due()
    assert not Deletion.objects.exists()
    TranscodeJob.objects.update(facts_due_at=timezone.now())
    findings.work_off_due()
    assert AudioFile.objects.get().cover


def _is_busy(*_: object, **__: object) -> Picture:
    raise images.Cannot("too much to do")


def test_who_took_the_cover_away_gets_none_back(engine):
    job = finished(make_file(is_cover_chosen=True))
    engine.report = with_picture(job)
    findings.work_off_due()
    assert AudioFile.objects.get().cover == ""


def test_a_picture_elsewhere_is_not_fetched(engine):
    job = finished()
    other = make_file()
    sound = SoundReport(cover_key=keys.bucket_key(other.mp3_file.name))
    engine.report = told(job, sound)
    findings.work_off_due()
    assert not Deletion.objects.exists()


def test_an_order_says_what_the_owner_changed_and_nothing_else(db):
    audio_file = make_file(title="Mine", artist="Of the file", year="", edited_tags="title,year")
    order = make_job(audio_file, placed=False).order
    assert order.tags == {"title": "Mine", "date": ""}
    assert order.cover_key is None
    assert order.is_analysed
    name = f"uploads/{audio_file.code}/found-{order.our_id}-cover"
    assert order.found_cover_key == keys.bucket_key(name)


def test_an_order_names_the_cover_that_the_owner_chose_or_none(db):
    audio_file = make_file()
    cover_changes.replace(audio_file, Picture(pictures.picture(), 1, 1, "image/png"))
    audio_file.refresh_from_db()
    order = make_job(audio_file, placed=False).order
    assert order.cover_key == keys.bucket_key(audio_file.cover)
    assert order.found_cover_key == ""
    cover_changes.remove(audio_file)
    audio_file.refresh_from_db()
    assert make_job(audio_file, placed=False).order.cover_key == ""
