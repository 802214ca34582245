"""Jobs at MediaConvert from upload to message: its events through the real webhook, any order."""

from __future__ import annotations

import itertools
import json
import logging
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.conf import settings as site
from django.utils import timezone

from audio_transcoder import removal, settling, steps, webhook
from audio_transcoder.engines.mediaconvert import MediaConvert
from audio_transcoder.keys import bucket_key
from audio_transcoder.models import AudioFile, Deletion, ReceivedNotice, Rendition, TranscodeJob
from audio_transcoder.tests.factories import make_file, make_job, make_person, store_results
from audio_transcoder.tests.mediaconvert import ENV, EXAMPLES, QUEUE, ROLE, Service, event
from audio_transcoder.tests.test_steps import FakeEngine, later
from audio_transcoder.tests.test_views import upload
from audio_transcoder.transcoder import AudioTranscoder
from buckets import bucket
from sns.certificates import Certificates
from sns.tests import amazon
from sns.verify import Verifier
from transcode_messages.models import Message

pytestmark = pytest.mark.django_db

pytest_plugins = ["buckets.tests.s3_server"]

Status = TranscodeJob.Status
# A real server refuses who comes from another day.
on_simulated_buckets = pytest.mark.parametrize("kind_of_bucket", ["folder", "moto"], indirect=True)
STATES = ("PROGRESSING", "INPUT_INFORMATION", "NEW_WARNING", "COMPLETE")


@pytest.fixture(autouse=True)
def amazons_time():
    with time_machine.travel(amazon.NOW, tick=True):
        yield


@pytest.fixture
def service(settings, monkeypatch) -> Service:
    """MediaConvert takes the jobs of this site; our own transcoder has those it had."""
    settings.TRANSCODER_ENGINE = "mediaconvert"
    settings.MEDIACONVERT_ROLE_ARN = ROLE
    settings.MEDIACONVERT_QUEUE_ARN = QUEUE
    settings.MEDIACONVERT_ENV = ENV
    service, transcoder = Service(), AudioTranscoder()
    transcoder._engines["mediaconvert"] = MediaConvert(
        service.client, role=ROLE, queue=QUEUE, bucket=settings.MEDIA_BUCKET, env=ENV
    )
    transcoder._engines["elastic"] = FakeEngine()
    for module in (steps, removal):
        monkeypatch.setattr(module, "default_transcoder", lambda: transcoder)
    return service


@pytest.fixture
def notify(client, monkeypatch):
    """Post an event as Amazon does: EventBridge's document in an SNS message that SNS signed."""
    host = amazon.host_with(amazon.certificate())
    verifier = Verifier([amazon.TOPIC], ["2"], Certificates(host), None)
    monkeypatch.setattr(webhook, "_verifier", lambda: verifier)

    def post(document: dict, message_id: str = ""):
        message = amazon.notification(
            Message=json.dumps(document),
            MessageId=message_id or str(uuid.uuid4()),
            Timestamp=f"{timezone.now():%Y-%m-%dT%H:%M:%S}.204Z",
        )
        del message["Subject"]  # EventBridge sets none
        body = amazon.signed(message)
        return client.post("/transcode-complete/", body, content_type="text/plain; charset=UTF-8")

    return post


def placed(service: Service, **values: object) -> tuple[TranscodeJob, str]:
    """A job that MediaConvert has, and its id there."""
    job = make_job(make_file(**values), placed=False)
    steps.place()
    job.refresh_from_db()
    assert job.engine_id in service.jobs
    return job, job.engine_id


def status_of(job: TranscodeJob) -> str:
    return TranscodeJob.objects.get(pk=job.pk).status


def outcomes() -> list[str]:
    return list(ReceivedNotice.objects.values_list("outcome", flat=True))


def errors(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@on_simulated_buckets
def test_from_an_upload_to_the_message(kind_of_bucket, service, notify, signed_in, person, mp3):
    upload(signed_in, mp3, "Interview.mp3", formats=["wav", "flac", "mp4", "mp3"])
    job = TranscodeJob.objects.get()
    assert (job.engine, job.engine_id) == ("mediaconvert", "")
    steps.place()
    [engine_id] = service.jobs
    for document in (
        service.event(engine_id, "PROGRESSING"),
        service.event(engine_id, "INPUT_INFORMATION"),
        service.event(engine_id, "STATUS_UPDATE"),
    ):
        assert notify(document).status_code == 200
        assert status_of(job) == Status.PROGRESSING
    assert notify(service.finish(engine_id)).status_code == 200
    assert status_of(job) == Status.COMPLETE
    for rendition in Rendition.objects.all():
        assert (rendition.status, rendition.size_bytes, rendition.duration_ms) == (
            Status.COMPLETE,
            len(b"result"),
            1000,
        )
    [message] = Message.objects.all()
    assert (message.user, message.text) == (person, "Your file Interview is ready.")
    assert set(outcomes()) == {"recorded"}


@pytest.mark.parametrize(
    "states",
    list(itertools.permutations(STATES)),
)
def test_n28_events_in_any_order_and_twice_settle_a_job_once(service, notify, states):
    job, engine_id = placed(service)
    final = service.finish(engine_id)
    documents = {state: service.event(engine_id, state) for state in states} | {"COMPLETE": final}
    for state in states:
        for _ in range(2):
            assert notify(documents[state]).status_code == 200
    assert status_of(job) == Status.COMPLETE
    assert Message.objects.count() == 1


def test_n28_the_same_message_twice_is_taken_once(service, notify):
    job, engine_id = placed(service)
    document, message_id = service.finish(engine_id), str(uuid.uuid4())
    for _ in range(2):
        assert notify(document, message_id).status_code == 200
    assert outcomes() == ["recorded"]
    assert status_of(job) == Status.COMPLETE


@pytest.mark.parametrize("name", EXAMPLES["events"])
def test_n28_every_event_of_the_examples_is_recorded(service, notify, name):
    job, engine_id = placed(service)
    store_results(job)
    document = json.loads(json.dumps(EXAMPLES["events"][name]))
    metadata = service.jobs[engine_id]["userMetadata"]
    document["detail"] |= {"jobId": engine_id, "userMetadata": metadata}
    assert notify(document).status_code == 200
    assert outcomes() == ["recorded"]
    expected = {"COMPLETE": "Complete", "ERROR": "Error", "CANCELED": "Canceled"}
    expected |= {"QUEUE_HOP": "Submitted"}
    assert status_of(job) == expected.get(document["detail"]["status"], "Progressing")


def test_n28_an_error_without_any_earlier_event_tells_the_owner_why(service, notify, caplog):
    job, engine_id = placed(service)
    assert notify(service.fail(engine_id, 1030)).status_code == 200
    job.refresh_from_db()
    assert (job.status, job.reason, job.detail) == (
        Status.ERROR,
        "unsupported_here",
        "1030: because",
    )
    assert "could not be converted to WAV, FLAC" in Message.objects.get().text
    assert errors(caplog) == []


@pytest.mark.parametrize("member", ["errorMessage", "jobId", "userMetadata"])
def test_n28_half_a_character_in_an_event_breaks_nothing(service, notify, member):
    job, engine_id = placed(service)
    document = service.fail(engine_id, 1030)
    if member == "userMetadata":  # then the service's own id names the job
        document["detail"] |= {member: {"env": ENV}, "jobId": "\ud83d"}
    else:
        document["detail"][member] = "Broken \ud83d"
    answer = notify(document)
    assert answer.status_code == (503 if member == "userMetadata" else 200)
    assert status_of(job) == (Status.SUBMITTED if member == "userMetadata" else Status.ERROR)


def test_n28_an_error_of_our_own_is_an_alarm(service, notify, caplog):
    job, engine_id = placed(service)
    notify(service.fail(engine_id, 1433))
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.ERROR, "internal")
    assert ["1433: because" in text for text in errors(caplog)] == [True]


@pytest.mark.parametrize("is_known", [False, True])
def test_n28_what_the_look_could_not_tell_of_a_sound_is_learned_from_the_event(
    service, notify, is_known
):
    unknown = {"container": "", "codec": "", "channels": None, "sample_rate_hz": None}
    _job, engine_id = placed(service, **({} if is_known else unknown))
    track = {"codec": "PCM", "channels": 1, "sampleRate": 48000}
    document = service.event(engine_id, "INPUT_INFORMATION", inputDetails=[{"audio": [track]}])
    for _ in range(2):
        notify(document)
        track["channels"] = 2  # said otherwise later: what is known stays
    found = AudioFile.objects.get()
    expected = ("mp3", 2, 44100) if is_known else ("pcm", 1, 48000)
    assert (found.codec, found.channels, found.sample_rate_hz) == expected


# --- Faults that pass -----------------------------------------------------------------------------


def engine_id_after(job: TranscodeJob, seconds: float) -> str:
    """Place what is due in so many seconds; return the id that the engine then gave ``job``."""
    with later(seconds):
        steps.place()
    job.refresh_from_db()
    return job.engine_id


def stored() -> list[str]:
    return sorted(bucket(site.MEDIA_BUCKET).keys("media/renditions/"))


def clear_away() -> None:
    for seconds in (0, 61, 122):
        with later(seconds):
            steps.delete()
    assert not Deletion.objects.exists()


@on_simulated_buckets
@pytest.mark.parametrize("codes", [(1999, 1550), ("3999", 1999)])
def test_n28_two_passing_faults_and_a_success_are_a_success(
    kind_of_bucket, service, notify, caplog, codes
):
    job, first = placed(service)
    service.finish(first)  # it stores something, and fails
    notify(service.event(first, "PROGRESSING"))
    notify(service.fail(first, codes[0]))
    assert engine_id_after(job, 55) == ""
    second = engine_id_after(job, 65)
    notify(service.fail(second, codes[1]))
    assert engine_id_after(job, 235) == ""
    third = engine_id_after(job, 245)
    assert list(service.jobs) == [first, second, third]
    assert status_of(job) == Status.PROGRESSING
    assert not Message.objects.exists()
    notify(service.finish(third))
    assert status_of(job) == Status.COMPLETE
    assert Message.objects.get().text == "Your file Interview is ready."
    clear_away()
    folder = f"media/renditions/{job.audio_file.code}/{job.code}.3"
    assert stored() == [f"{folder}/flac.flac", f"{folder}/wav.wav"]
    assert stored() == sorted(bucket_key(one.file.name) for one in job.renditions.all())
    assert errors(caplog) == []


def test_n28_the_third_passing_fault_is_an_error_once(service, notify, caplog):
    job, engine_id = placed(service)
    for seconds in (65, 245):
        notify(service.fail(engine_id, 1999))
        engine_id = engine_id_after(job, seconds)
    for _ in range(2):
        assert notify(service.fail(engine_id, 1999)).status_code == 200
    job.refresh_from_db()
    assert (job.status, job.reason, job.run) == (Status.ERROR, "internal", 3)
    assert len(service.jobs) == 3
    assert Message.objects.count() == 1
    assert ["1999: because" in text for text in errors(caplog)] == [True]
    assert job.retry().run == 1


def test_n28_late_events_of_an_earlier_run_change_nothing_and_leave_nothing(service, notify):
    job, first = placed(service)
    failed = service.fail(first, 1999)
    notify(failed)
    for _ in range(2):  # before the second run is placed, and after
        notify(failed)
        notify(service.event(first, "CANCELED"))
        second = engine_id_after(job, 65)
    notify(service.finish(first))
    job.refresh_from_db()
    assert (job.status, job.run, len(service.jobs)) == (Status.SUBMITTED, 2, 2)
    assert {one.status for one in job.renditions.all()} == {Status.SUBMITTED}
    assert outcomes().count("ignored: another run") == 5
    notify(service.finish(second))
    clear_away()
    assert [key.split("/")[3] for key in stored()] == [f"{job.code}.2"] * 2
    assert Message.objects.count() == 1


def test_n28_a_passing_fault_that_is_only_read_begins_a_run_too(service):
    job, engine_id = placed(service)
    service.fail(engine_id, 3999)
    with later(121):
        steps.refresh()
        steps.refresh()  # there is nothing to read between two runs
    assert engine_id_after(job, 190) not in ("", engine_id)
    assert (status_of(job), job.run) == (Status.SUBMITTED, 2)


def test_n28_two_readers_of_one_passing_fault_begin_one_run(service):
    job, engine_id = placed(service)
    service.fail(engine_id, 1999)
    report = MediaConvert(
        service.client, role=ROLE, queue=QUEUE, bucket=site.MEDIA_BUCKET, env=ENV
    ).read_job(engine_id)
    one, other = (TranscodeJob.objects.get(pk=job.pk) for _ in range(2))
    assert settling.settle(one, report)
    assert not settling.settle(other, report)
    assert (status_of(job), TranscodeJob.objects.get().run) == (Status.SUBMITTED, 2)


def test_n28_a_run_that_failed_before_its_order_was_answered_is_not_taken_for_the_next(
    service, notify
):
    job = make_job(placed=False)
    service.lose_answer = True
    steps.place()
    [first] = service.jobs
    notify(service.fail(first, 1999))
    assert engine_id_after(job, 65) in service.jobs.keys() - {first}
    clear_away()


@pytest.mark.parametrize("is_lost", [False, True])
def test_k10_the_order_of_a_second_run_whose_answer_is_lost_is_one_job(service, notify, is_lost):
    job, first = placed(service)
    notify(service.fail(first, 1999))
    service.lose_answer = is_lost
    for seconds in (65, 200):
        engine_id_after(job, seconds)
    assert [first, job.engine_id] == list(service.jobs)


def test_a_job_that_is_canceled_between_two_runs_is_not_ordered_again(service, notify):
    job, first = placed(service)
    notify(service.fail(first, 1999))
    job.refresh_from_db()
    assert job.cancel()
    engine_id_after(job, 65)
    assert list(service.jobs) == [first]
    clear_away()


def test_a_file_that_is_deleted_stops_its_second_run_although_its_order_was_not_answered(
    service, notify
):
    job, first = placed(service)
    notify(service.fail(first, 1999))
    service.lose_answer = True
    engine_id_after(job, 65)
    [_first, second] = service.jobs
    job.audio_file.delete()
    steps.delete()
    assert service.jobs[second]["status"] == "CANCELED"
    assert notify(service.event(second, "CANCELED")).status_code == 200
    assert "ignored: deleted" in outcomes()


def test_n28_a_result_that_can_be_had_is_not_given_up_for_another_run(service, notify):
    job, engine_id = placed(service)
    job.renditions.filter(format_name="wav").update(status=Status.COMPLETE)
    notify(service.fail(engine_id, 1999))
    assert status_of(job) == Status.ERROR
    assert job.renditions.get(format_name="wav").is_ready


# --- What else ends a job -------------------------------------------------------------------------


def test_n28_a_cancellation_over_there_ends_the_job_and_is_no_news(service, notify):
    job, engine_id = placed(service)
    notify(service.event(engine_id, "CANCELED"))
    notify(service.finish(engine_id))
    assert status_of(job) == Status.CANCELED
    assert not Message.objects.exists()


def test_n28_results_elsewhere_are_not_believed(service, notify):
    job, engine_id = placed(service)
    group = {"outputDetails": [{"outputFilePaths": ["s3://another/media/x.wav"]}]}
    document = service.event(engine_id, "COMPLETE", outputGroupDetails=[group])
    assert notify(document).status_code == 200
    assert status_of(job) == Status.PROGRESSING
    service.finish(engine_id)
    with later(121):
        steps.refresh()
    assert status_of(job) == Status.COMPLETE


def test_parts_of_a_result_and_objects_of_others_are_not_looked_for(service, notify, settings):
    job, engine_id = placed(service)
    document = service.finish(engine_id)
    path = f"s3://{settings.MEDIA_BUCKET}/media/renditions/another/stream.m3u8"
    group = {"type": "HLS_GROUP", "outputDetails": [{"outputFilePaths": [path]}]}
    document["detail"]["outputGroupDetails"].append(group)
    notify(document)
    assert status_of(job) == Status.COMPLETE


@pytest.mark.parametrize("metadata", [{}, {"env": "another"}])
def test_n28_events_of_another_installation_are_taken_and_ignored(service, notify, metadata):
    job, engine_id = placed(service)
    document = event(engine_id, "CANCELED", userMetadata=metadata)
    assert notify(document).status_code == 200
    assert outcomes() == ["ignored: unknown kind"]
    assert status_of(job) == Status.SUBMITTED


def test_n28_warnings_are_notes_of_the_results(service, notify):
    job, engine_id = placed(service)
    document = service.finish(engine_id)
    document["detail"]["warnings"] = [{"code": 230006, "count": 1}]
    notify(document)
    notes = {rendition.note for rendition in job.renditions.all()}
    assert notes == {"Part of the sound could not be decoded."}


def test_n28_an_event_before_our_own_commit_settles_the_job_and_nothing_is_ordered_again(
    service, notify
):
    job = make_job(placed=False)
    service.lose_answer = True
    steps.place()
    assert TranscodeJob.objects.get().engine_id == ""
    [engine_id] = service.jobs
    assert notify(service.finish(engine_id)).status_code == 200
    with later(120):
        steps.place()
    assert status_of(job) == Status.COMPLETE
    assert list(service.jobs) == [engine_id]


def test_n24_a_mediaconvert_job_whose_events_are_lost_is_read(service):
    job, engine_id = placed(service)
    service.finish(engine_id)
    with later(121):
        steps.refresh()
    assert status_of(job) == Status.COMPLETE
    assert {rendition.duration_ms for rendition in job.renditions.all()} == {1000}
    assert Message.objects.count() == 1


@pytest.mark.parametrize("after_s", [6, 90])
def test_k10_an_order_whose_answer_mediaconvert_lost_is_one_job(service, after_s):
    """Within the minute for which it remembers the order's token, and after it."""
    job = make_job(placed=False)
    service.lose_answer = True
    steps.place()
    with later(after_s):
        steps.place()
    job.refresh_from_db()
    assert [job.engine_id] == list(service.jobs)


def test_k8_a_throttled_order_is_placed_later(service):
    job = make_job(placed=False)
    service.answers = [(429, "TooManyRequestsException")]
    steps.place()
    assert not service.jobs
    with later(6):
        steps.place()
    job.refresh_from_db()
    assert [job.engine_id] == list(service.jobs)


def test_k9_denied_access_to_mediaconvert_ends_the_job_and_is_an_alarm(service, caplog):
    job = make_job(placed=False)
    service.answers = [(403, "AccessDeniedException")]
    steps.place()
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.ERROR, "internal")
    assert any("AccessDeniedException" in text for text in errors(caplog))
    with later(3600):
        steps.place()
    assert not service.jobs


def test_k9_denied_news_from_mediaconvert_are_an_alarm(service, caplog):
    job, _engine_id = placed(service)
    service.answers = [(403, "AccessDeniedException")]
    with later(121):
        steps.refresh()
    assert status_of(job) == Status.SUBMITTED
    assert ["AccessDeniedException" in text for text in errors(caplog)] == [True]


def test_k11_a_job_that_mediaconvert_forgets_is_ordered_once_more_and_then_fails(service):
    job, _engine_id = placed(service)
    for seconds in (200, 400):
        service.jobs.clear()
        with later(seconds):
            steps.refresh()
            steps.place()
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.ERROR, "internal")


def test_what_mediaconvert_does_not_read_is_refused_with_a_sentence_and_no_alarm(service, caplog):
    job = make_job(make_file(container="aiff", codec="pcm_s16be"), placed=False)
    steps.place()
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.ERROR, "unsupported_here")
    assert "upload it as WAV, FLAC or MP3 in stereo." in Message.objects.get().text
    assert service.requests == []
    assert errors(caplog) == []


def test_a_watched_page_does_not_use_up_the_few_calls_that_mediaconvert_allows(service):
    job, _engine_id = placed(service)
    TranscodeJob.objects.filter(pk=job.pk).update(
        watched_at=timezone.now(), read_at=timezone.now() - timedelta(seconds=1)
    )
    service.requests.clear()
    again = steps.refresh()
    assert service.requests == []
    assert again > timezone.now() + timedelta(minutes=1)


def test_the_newest_report_is_the_one_that_counts_whenever_it_arrives(service, notify):
    job, engine_id = placed(service)
    early, late = (
        service.event(engine_id, state) for state in ("INPUT_INFORMATION", "PROGRESSING")
    )
    late["detail"]["timestamp"] += 5000
    for document in (late, early):
        notify(document)
    job.refresh_from_db()
    assert round(job.reported_at.timestamp() * 1000) == late["detail"]["timestamp"]


def test_a_deleted_file_stops_its_running_job(service):
    job, engine_id = placed(service)
    service.jobs[engine_id]["status"] = "PROGRESSING"
    job.audio_file.delete()
    steps.delete()
    assert service.jobs[engine_id]["status"] == "CANCELED"
    for seconds in (61, 122):
        with later(seconds):
            steps.delete()
    assert not Deletion.objects.exists()


# --- TRANSCODER_ENGINE is changed while there are jobs --------------------------------------------


def test_a_switch_to_our_own_engine_leaves_mediaconverts_jobs_with_it(service, notify, settings):
    told, engine_id = placed(service)
    asked, asked_id = placed(service)
    settings.TRANSCODER_ENGINE = "elastic"
    new = make_job(placed=False)
    steps.place()
    new.refresh_from_db()
    assert (new.engine, new.engine_id) == ("elastic", "engine-1")
    assert notify(service.finish(engine_id)).status_code == 200
    service.finish(asked_id)
    with later(121):
        steps.refresh()
    assert {status_of(told), status_of(asked)} == {Status.COMPLETE}


def test_a_switch_to_mediaconvert_leaves_our_own_jobs_with_us(service, settings):
    settings.TRANSCODER_ENGINE = "elastic"
    settings.TRANSCODER_MAX_PLACED = 1
    person = make_person()
    old, waiting = (make_job(make_file(person), placed=False) for _ in range(2))
    steps.place()
    settings.TRANSCODER_ENGINE = "mediaconvert"
    new = make_job(make_file(person), placed=False)
    steps.place()
    for job in (old, waiting, new):
        job.refresh_from_db()
    assert (old.engine, old.engine_id) == ("elastic", "engine-1")
    assert (waiting.engine, waiting.engine_id) == ("elastic", "")  # ours is full
    assert [new.engine_id] == list(service.jobs)  # and holds nobody up
    old.cancel()
    steps.place()
    waiting.refresh_from_db()
    assert (waiting.engine, waiting.engine_id) == ("elastic", "engine-2")


def test_with_mediaconvert_a_worker_is_missed_only_by_jobs_of_our_own(
    service, settings, caplog, monkeypatch
):
    monkeypatch.setattr(steps, "_next_alarm", datetime.min.replace(tzinfo=UTC))
    placed(service)
    with later(660):
        steps.watch()
        assert errors(caplog) == []
    settings.TRANSCODER_ENGINE = "elastic"
    make_job()
    settings.TRANSCODER_ENGINE = "mediaconvert"
    with later(660):
        steps.watch()
    assert ["no worker is alive" in text for text in errors(caplog)] == [True]
