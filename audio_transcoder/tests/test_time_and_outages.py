"""Clocks, calendars, mail, logs, locked tables, silent workers: what a site meets in its life."""

from __future__ import annotations

import io
import logging
import sqlite3
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.db import connection
from django.utils import timezone

from audio_transcoder import steps
from audio_transcoder.engines.base import JobReport, TranscoderRejected
from audio_transcoder.models import AudioFile, Deletion, ReceivedNotice, TranscodeJob
from audio_transcoder.tests.conftest import notice_for
from audio_transcoder.tests.factories import make_file, make_job, make_person, store_results
from audio_transcoder.tests.test_steps import engine, later  # noqa: F401 - a fixture
from audio_transcoder.tests.test_views import upload
from buckets import bucket
from steps.models import Heartbeat
from transcode_messages.models import Message

pytestmark = pytest.mark.django_db

PASSWORD = "a long Pass-phrase 7"


def progressing(job: TranscodeJob, **values: object) -> JobReport:
    return JobReport(
        engine_id=job.engine_id, status="Progressing", at=timezone.now(), progress=50, **values
    )


# --- engines and workers ----------------------------------------------------------------------


def test_k12_work_beyond_any_sensible_time_is_timed_out_and_cleared_away(engine, caplog):  # noqa: F811
    job = make_job()
    engine.reports[job.engine_id] = progressing(job)
    steps.refresh()
    with later(TranscodeJob.WORK_LIMIT.total_seconds() + 600):
        steps.refresh()
    job.refresh_from_db()
    assert (job.status, job.reason) == ("Error", "timed_out")
    assert {rendition.status for rendition in job.renditions.all()} == {"Error"}
    assert "took too long and was stopped" in Message.objects.get().text
    # The engine is told by the step that removes what it may still store.
    [deletion] = Deletion.objects.all()
    assert deletion.jobs.get().engine_id == job.engine_id
    assert len(deletion.prefixes) == 2
    assert [record.levelname for record in caplog.records if record.levelno >= 40] == ["ERROR"]


def test_k12_the_limit_counts_from_when_the_work_began_and_grows_with_the_sound(engine):  # noqa: F811
    late = make_job()
    engine.reports[late.engine_id] = progressing(
        late, started_at=timezone.now() + timedelta(hours=20)
    )
    long = make_job(make_file(duration_ms=24 * 3600 * 1000))
    engine.reports[long.engine_id] = progressing(long)
    with later(TranscodeJob.WORK_LIMIT.total_seconds() + 600):
        steps.refresh()
    assert set(TranscodeJob.objects.values_list("status", flat=True)) == {"Progressing"}


def test_k12_a_job_that_waits_for_its_turn_is_not_timed_out(engine):  # noqa: F811
    job = make_job()
    engine.reports[job.engine_id] = JobReport(
        engine_id=job.engine_id, status="Submitted", at=timezone.now()
    )
    with later(30 * 24 * 3600):
        steps.refresh()
    job.refresh_from_db()
    assert job.status == "Submitted"


def test_k7_jobs_wait_for_a_worker_the_page_says_since_when_and_the_log_after_ten_minutes(
    signed_in, person, caplog, monkeypatch
):
    monkeypatch.setattr(steps, "_next_alarm", datetime.min.replace(tzinfo=UTC))
    with time_machine.travel(datetime(2026, 5, 4, 9, 30, tzinfo=UTC), tick=False) as clock:
        job = make_job(make_file(person))
        steps.watch()
        assert "no worker is alive" not in caplog.text
        clock.shift(timedelta(minutes=11))
        for _ in range(3):
            steps.watch()
        assert caplog.text.count("no worker is alive") == 1
        assert "9:30 a.m." in signed_in.get(job.audio_file.get_absolute_url()).content.decode()
        clock.shift(timedelta(minutes=11))
        Heartbeat.objects.create(kind="transcode", process="here 1", at=timezone.now())
        steps.watch()
        assert caplog.text.count("no worker is alive") == 1
    job.refresh_from_db()
    assert job.status == "Submitted"


def test_k9_a_refusal_is_an_alarm_for_operators(engine, caplog):  # noqa: F811
    job = make_job(placed=False)
    engine.error = TranscoderRejected("internal", "AccessDeniedException: no")
    steps.place()
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert str(job.code) in record.getMessage()


@pytest.mark.parametrize("first", ["cancel", "completion"])
def test_k13_cancel_and_completion_at_once_end_in_one_status(deliver, settings, first):
    job = make_job()
    store_results(job)
    acts = [job.cancel, lambda: deliver(notice_for(job))]
    for act in acts if first == "cancel" else reversed(acts):
        act()
    job.refresh_from_db()
    statuses = {rendition.status for rendition in job.renditions.all()}
    prefixes = [prefix for note in Deletion.objects.all() for prefix in note.prefixes]
    if first == "cancel":
        assert (job.status, statuses) == ("Canceled", {"Canceled"})
        assert {one.file.name for one in job.renditions.all()} < set(prefixes)
        assert not Message.objects.exists()
    else:
        assert (job.status, statuses) == ("Complete", {"Complete"})
        assert prefixes == []
        assert Message.objects.count() == 1


def test_s16_results_of_a_deleted_file_are_removed_when_they_arrive(engine, settings):  # noqa: F811
    job = make_job()
    engine.reports[job.engine_id] = progressing(job)
    names = [rendition.file.name for rendition in job.renditions.all()]
    job.audio_file.delete()
    steps.delete()
    from django.core.files.base import ContentFile
    from django.core.files.storage import default_storage

    for name in names:
        default_storage.save(name, ContentFile(b"late"))
    engine.reports[job.engine_id] = JobReport(
        engine_id=job.engine_id, status="Complete", at=timezone.now()
    )
    for seconds in (100, 200, 300):
        with later(seconds):
            steps.delete()
    assert not Deletion.objects.exists()
    assert list(bucket(settings.MEDIA_BUCKET).keys("")) == []
    assert not Message.objects.exists()


# --- the source in the store ------------------------------------------------------------------


def test_s6_a_source_that_the_engine_does_not_find_is_lost_and_told_once(deliver):
    job = make_job()
    document = notice_for(job, "ERROR")
    for output in document["outputs"]:
        detail = "3001 00000000-0000-4000-8000-000000000000: The input object does not exist."
        output |= {"statusDetail": detail, "errorCode": 3001}
    for _ in range(2):
        assert deliver(document).status_code == 200
    job.refresh_from_db()
    assert (job.status, job.reason) == ("Error", "lost")
    assert "no longer in the store" in Message.objects.get().text


def test_s6_a_source_that_is_gone_before_the_order_is_lost_and_nothing_is_ordered(engine):  # noqa: F811
    job = make_job(placed=False)
    job.audio_file.mp3_file.storage.delete(job.audio_file.mp3_file.name)
    steps.place()
    job.refresh_from_db()
    assert (job.status, job.reason, engine.orders) == ("Error", "lost", [])
    assert Message.objects.count() == 1


def test_s15_a_source_of_another_size_is_lost_told_to_operators_and_never_ordered(engine, caplog):  # noqa: F811
    job = make_job(make_file(size_bytes=6), placed=False)  # five bytes are stored
    steps.place()
    job.refresh_from_db()
    assert (job.status, job.reason, engine.orders) == ("Error", "lost", [])
    assert [record.levelname for record in caplog.records if record.levelno >= 40] == ["ERROR"]
    assert Message.objects.count() == 1


def written_over(audio_file: AudioFile) -> AudioFile:
    """The file as it was accepted, with other bytes of its size in the store since."""
    storage, name = audio_file.mp3_file.storage, audio_file.mp3_file.name
    etag = storage.objects.stat(storage.key(name)).etag
    AudioFile.objects.filter(pk=audio_file.pk).update(etag=etag)
    storage.delete(name)
    storage.save(name, ContentFile(b"SOUND"))
    return audio_file


def test_s15_other_bytes_of_the_same_size_are_lost_and_never_ordered(engine, caplog):  # noqa: F811
    job = make_job(written_over(make_file()), placed=False)
    steps.place()
    job.refresh_from_db()
    assert (job.status, job.reason, engine.orders) == ("Error", "lost", [])
    assert [record.levelname for record in caplog.records if record.levelno >= 40] == ["ERROR"]


def test_a_store_that_was_moved_loses_nothing_of_what_was_converted_before(engine):  # noqa: F811
    audio_file = make_file()
    make_job(audio_file).cancel()
    job = make_job(written_over(audio_file), placed=False)
    steps.place()
    assert engine.orders == [str(job.code)]


def test_s3_a_store_that_is_away_makes_the_order_wait(engine, monkeypatch):  # noqa: F811
    from buckets import BucketUnavailable
    from buckets.folder import FolderBucket

    def down(*_arguments: object) -> None:
        raise BucketUnavailable("down", bucket="local")

    job = make_job(placed=False)
    with monkeypatch.context() as patch:
        patch.setattr(FolderBucket, "stat", down)
        steps.place()
    job.refresh_from_db()
    assert (job.status, engine.orders) == ("Submitted", [])
    with later(10):
        steps.place()
    assert engine.orders == [str(job.code)]


# --- people -----------------------------------------------------------------------------------


@pytest.fixture
def no_counts():
    """Limits on guessing count in the cache, which outlives a test."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def cache_table(db):
    from django.core.management import call_command

    call_command("createcachetable", verbosity=0)


def test_w11_guessing_a_password_is_429_with_retry_after(client, cache_table, no_counts):
    get_user_model().objects.create_user("ada", password=PASSWORD)
    guess = {"login": "ada", "password": "wrong"}
    statuses = [client.post("/accounts/login/", guess).status_code for _ in range(8)]
    assert statuses[:5] == [200] * 5
    assert statuses[-1] == 429
    refused = client.post("/accounts/login/", {"login": "ada", "password": PASSWORD})
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
    assert "Too many tries" in refused.content.decode()


def test_w11_signing_up_without_end_is_429_with_retry_after(client, cache_table, no_counts):
    answers = [client.post("/accounts/signup/", {"username": f"x{n}"}) for n in range(25)]
    assert answers[-1].status_code == 429
    assert int(answers[-1]["Retry-After"]) > 0


def test_w6_a_foreign_next_is_ignored_after_signing_in(client, cache_table, no_counts):
    get_user_model().objects.create_user("ada", password=PASSWORD)
    for address in ("//evil.test", "https://evil.test/x", "/\\evil.test"):
        answer = client.post(
            f"/accounts/login/?next={address}",
            {"login": "ada", "password": PASSWORD, "next": address},
        )
        assert (answer.status_code, answer["Location"]) == (302, "/audio/")
        client.post("/accounts/logout/")


def test_d10_a_mail_server_that_is_down_stops_nobody(
    client, cache_table, no_counts, settings, caplog
):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", 9, 1
    answer = client.post(
        "/accounts/signup/",
        {
            "username": "ada",
            "email": "ada@example.org",
            "password1": PASSWORD,
            "password2": PASSWORD,
        },
    )
    assert answer.status_code == 302
    assert get_user_model().objects.filter(username="ada").exists()
    assert "was not sent" in caplog.text
    assert client.post("/accounts/password/reset/", {"email": "ada@example.org"}).status_code == 302


def test_d10_a_log_that_takes_nothing_stops_nobody(signed_in, mp3):
    class Full(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

    handler = logging.StreamHandler(Full())
    logging.getLogger().addHandler(handler)
    try:
        assert upload(signed_in, mp3).status_code == 302
    finally:
        logging.getLogger().removeHandler(handler)
    assert TranscodeJob.objects.count() == 1


# --- the database -----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_d3_d5_a_table_that_somebody_holds_is_503_and_pages_are_still_read(
    signed_in, person, mp3, settings
):
    """A migration holds SQLite's one write lock; the web's patience is short here."""
    make_file(person)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 100")
    other = sqlite3.connect(settings.DATABASES["default"]["NAME"], isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        response = upload(signed_in, mp3)
        assert response.status_code == 503
        assert response["Retry-After"]
        assert signed_in.get("/audio/").status_code == 200
        other.execute("ROLLBACK")
    finally:
        other.close()
    assert AudioFile.objects.count() == 1
    assert upload(signed_in, mp3).status_code == 302


def test_d12_what_an_engine_says_is_cut_to_what_fits(deliver):
    job = make_job()
    document = notice_for(job, "ERROR", messageDetails="x" * 100_000)
    for output in document["outputs"]:
        output |= {"statusDetail": "4000 " + "\N{GRINNING FACE}" * 20_000, "errorCode": 4000}
    assert deliver(document).status_code == 200
    job.refresh_from_db()
    assert len(job.detail) <= TranscodeJob._meta.get_field("detail").max_length
    for rendition in job.renditions.all():
        assert len(rendition.detail) <= 500


def test_d12_the_longest_names_fit_message_and_download(deliver):
    job = make_job(make_file(name="\N{GRINNING FACE}" * 200, file_name="x" * 200))
    store_results(job)
    assert deliver(notice_for(job)).status_code == 200
    message = Message.objects.get()
    assert len(message.text) <= 1000
    assert "is ready" in message.text


# --- time -------------------------------------------------------------------------------------

MOMENTS = {
    "the hour that summer time leaves out": datetime(2027, 3, 28, 1, 30, tzinfo=UTC),
    "the hour that winter time has twice": datetime(2027, 10, 31, 0, 59, 59, tzinfo=UTC),
    "the last second of a year": datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
    "a leap day": datetime(2028, 2, 29, 12, 0, tzinfo=UTC),
    "the end of 32 bit time": datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC),
    "after 2038": datetime(2040, 6, 1, tzinfo=UTC),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_d7_a_file_goes_its_way_at_any_time_of_the_calendar(deliver, settings, engine, moment):  # noqa: F811
    settings.TIME_ZONE = "Europe/Berlin"
    with time_machine.travel(moment, tick=False) as clock:
        job = make_job(placed=False)
        steps.place()
        job.refresh_from_db()
        assert job.placed_at == moment
        clock.shift(timedelta(hours=1, seconds=2))
        store_results(job)
        assert deliver(notice_for(job)).status_code == 200
        job.refresh_from_db()
        assert (job.status, job.finished_at - job.created_at) == (
            "Complete",
            timedelta(hours=1, seconds=2),
        )
        assert ReceivedNotice.objects.get().received_at == timezone.now()


@pytest.mark.parametrize("minutes", [-14, 14])
def test_d6_a_clock_a_quarter_of_an_hour_off_changes_nothing(deliver, minutes):
    job = make_job()
    store_results(job)
    at = timezone.now() + timedelta(minutes=minutes)
    assert deliver(notice_for(job), at=at).status_code == 200
    job.refresh_from_db()
    assert job.status == "Complete"


# --- the webhook under load -------------------------------------------------------------------


def test_n26_a_thousand_forged_notices_write_nothing_and_log_one_line(
    client, deliver, signer, settings, caplog, monkeypatch, django_assert_num_queries
):
    from audio_transcoder import webhook

    monkeypatch.setattr(webhook, "_log_refusal", webhook._OncePerMinute())
    job = make_job()
    store_results(job)
    signed = signer.notification(
        topic_arn=settings.SNS_TOPIC_ARN[0],
        subject="s",
        message="{}",
        message_id=str(uuid.uuid4()),
        timestamp=timezone.now(),
        subscriber="http://testserver/transcode-complete/",
    )
    forged = [signed.body.replace(b'"{}"', b'"{!}"'), b"nonsense", b"", b'{"Type": "x"}']
    webhook._verifier()
    caplog.clear()
    with django_assert_num_queries(0):
        for number in range(1000):
            answer = client.post(
                "/transcode-complete/", forged[number % 4], content_type="text/plain"
            )
            assert answer.status_code in (400, 403)
    lines = [record for record in caplog.records if record.name.startswith("audio_transcoder")]
    assert len(lines) == 1
    assert deliver(notice_for(job)).status_code == 200
    job.refresh_from_db()
    assert job.status == "Complete"


def test_n27_the_result_that_came_out_well_is_offered_and_the_other_says_why(
    deliver, signed_in, person
):
    job = make_job(make_file(person))
    store_results(job)
    document = notice_for(job, "ERROR")
    good, bad = document["outputs"]
    good |= {"status": "Complete", "duration": 1}
    bad |= {"statusDetail": "4002 x: Too long. [too_long]", "errorCode": 4002}
    assert deliver(notice_for(job, "WARNING")).status_code == 200
    job.refresh_from_db()
    assert job.status == "Progressing"
    assert deliver(document).status_code == 200
    job.refresh_from_db()
    wav, flac = job.renditions.all()
    assert (job.status, wav.status, flac.status) == ("Error", "Complete", "Error")
    page = signed_in.get(job.audio_file.get_absolute_url()).content.decode()
    assert wav.download_url in page
    assert flac.download_url not in page
    assert "The sound is too long" in page


def test_f11_f14_f26_what_is_otherwise_than_ordered_is_said_on_the_page(deliver, signed_in, person):
    job = make_job(make_file(person))
    store_results(job)
    document = notice_for(job)
    said = "The input has 2 sound tracks; the first one was used."
    document["outputs"][0]["statusDetail"] = said
    assert deliver(document).status_code == 200
    page = signed_in.get(job.audio_file.get_absolute_url()).content.decode()
    assert page.count("Of the 2 sound tracks of the file the first one was used.") == 1


def test_w4_one_person_is_told_and_nobody_else(deliver, client):
    owner, other = make_person(), make_person()
    job = make_job(make_file(owner, name="Only mine"))
    store_results(job)
    assert deliver(notice_for(job)).status_code == 200
    assert "Only mine is ready" not in client.get("/").content.decode()
    client.force_login(other)
    assert "Only mine is ready" not in client.get("/audio/").content.decode()
    client.force_login(owner)
    assert "Your file Only mine is ready." in client.get("/audio/").content.decode()
    assert Message.objects.get().user == owner
