"""What the SNS webhook answers, and what it leaves behind."""

from __future__ import annotations

import json
import time
import uuid
from datetime import timedelta
from functools import partial

import pytest
import time_machine
from django.db import OperationalError
from django.utils import timezone

from audio_transcoder.models import Deletion, ReceivedNotice, TranscodeJob
from audio_transcoder.tests.conftest import notice_for
from audio_transcoder.tests.factories import make_job, store_results
from buckets import BucketUnavailable
from tests.at_once import at_once
from transcode_messages.models import Message

pytestmark = pytest.mark.django_db

Status = TranscodeJob.Status
FOREIGN_TOPIC = "arn:aws:sns:eu-west-1:111122223333:somebody-elses"


@pytest.fixture
def job():
    job = make_job()
    store_results(job)
    return job


def status_of(job: TranscodeJob) -> str:
    return TranscodeJob.objects.get(pk=job.pk).status


def test_n4_a_completion_settles_the_job_and_tells_its_owner(deliver, job):
    assert deliver(notice_for(job)).status_code == 200
    assert status_of(job) == Status.COMPLETE
    [message] = Message.objects.all()
    assert message.user == job.audio_file.owner
    assert message.text == "Your file Interview is ready."


@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_n1_other_verbs_are_405(client, method):
    response = getattr(client, method)("/transcode-complete/")
    assert response.status_code == 405
    assert response["Allow"] == "POST"


def test_n2_missing_headers_change_nothing(client, deliver, job, signer, settings):
    signed = signer.notification(
        topic_arn=settings.SNS_TOPIC_ARN[0],
        subject="s",
        message=json.dumps(notice_for(job)),
        message_id=str(uuid.uuid4()),
        timestamp=timezone.now(),
        subscriber="http://testserver/transcode-complete/",
    )
    response = client.post("/transcode-complete/", signed.body, content_type="text/plain")
    assert response.status_code == 200


def test_n2_a_header_that_contradicts_the_body_is_refused(deliver, job):
    response = deliver(notice_for(job), headers={"x-amz-sns-topic-arn": FOREIGN_TOPIC})
    assert response.status_code == 403
    assert status_of(job) == Status.SUBMITTED


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"null", b"[]", b"7", b"\xef\xbb\xbf{}", b"\xff\xfe", b"{}"]
)
def test_n3_what_is_no_message_is_400(deliver, body):
    assert deliver({}, body=body).status_code == 400


def test_n4_a_body_over_a_mebibyte_is_413(deliver):
    assert deliver({}, body=b"x" * (1024**2 + 1)).status_code == 413


def test_n14_a_good_signature_of_another_topic_is_refused(deliver, job):
    assert deliver(notice_for(job), topic=FOREIGN_TOPIC).status_code == 403
    assert status_of(job) == Status.SUBMITTED
    assert not ReceivedNotice.objects.exists()


def test_n7_a_changed_body_is_refused(deliver, client, job, signer, settings):
    signed = signer.notification(
        topic_arn=settings.SNS_TOPIC_ARN[0],
        subject="s",
        message=json.dumps(notice_for(job)),
        message_id=str(uuid.uuid4()),
        timestamp=timezone.now(),
        subscriber="http://testserver/transcode-complete/",
    )
    changed = signed.body.replace(b"COMPLETED", b"COMPLETES")
    response = client.post("/transcode-complete/", changed, content_type="text/plain")
    assert response.status_code == 403


@pytest.mark.parametrize(
    ("age", "answer"),
    [
        (timedelta(hours=1), 200),
        (timedelta(days=2, hours=23), 200),
        (timedelta(days=3, minutes=1), 403),
        (timedelta(minutes=-14), 200),
        (timedelta(minutes=-16), 403),
    ],
)
def test_n16_our_own_topic_may_repeat_for_three_days(deliver, job, age, answer):
    assert deliver(notice_for(job), at=timezone.now() - age).status_code == answer


def test_n17_the_same_message_twice_is_recorded_once(deliver, job):
    for _ in range(2):
        assert deliver(notice_for(job), message_id="11111111-1111-4111-8111-111111111111")
    assert ReceivedNotice.objects.count() == 1
    assert Message.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_n17_the_same_message_many_times_at_once_is_recorded_once(deliver, job, client):
    post = partial(deliver, notice_for(job), message_id=str(uuid.UUID(int=1)))
    assert [answer.status_code for answer in at_once(*[post] * 8)] == [200] * 8
    assert ReceivedNotice.objects.count() == 1
    assert Message.objects.count() == 1


def test_n18_a_late_progressing_does_not_reopen_the_job(deliver, job):
    deliver(notice_for(job))
    assert deliver(notice_for(job, "PROGRESSING")).status_code == 200
    assert status_of(job) == Status.COMPLETE


def test_n19_a_completion_without_its_results_is_not_announced(deliver):
    job = make_job()
    assert deliver(notice_for(job)).status_code == 200
    assert status_of(job) == Status.PROGRESSING
    assert not Message.objects.exists()


def test_n19_a_completion_that_names_no_outputs_is_no_proof_of_them(deliver):
    job = make_job()
    assert deliver(notice_for(job, outputs=[])).status_code == 200
    assert status_of(job) == Status.PROGRESSING
    store_results(job)
    assert deliver(notice_for(job, outputs=[])).status_code == 200
    assert status_of(job) == Status.COMPLETE
    assert {one.size_bytes for one in job.renditions.all()} == {len(b"result")}


def test_a_store_that_takes_too_long_is_503(deliver, job, monkeypatch):
    monkeypatch.setattr("audio_transcoder.settling.LOOK_LIMIT_S", 0.05)
    monkeypatch.setattr("buckets.folder.FolderBucket.stat", lambda *_: time.sleep(0.5))
    assert deliver(notice_for(job)).status_code == 503
    assert not ReceivedNotice.objects.exists()


def test_n19_results_that_never_come_end_in_bad_result(deliver):
    job = make_job()
    deliver(notice_for(job))
    with time_machine.travel(timezone.now() + TranscodeJob.RESULT_LIMIT + timedelta(seconds=1)):
        assert deliver(notice_for(job)).status_code == 200
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.ERROR, "bad_result")
    assert "did not pass our check" in Message.objects.get().text


def test_n20_a_notice_before_the_engines_id_is_stored_finds_the_job_by_ours(deliver):
    job = make_job(placed=False)
    store_results(job)
    job.engine_id = "1700000000000-zzz999"
    assert deliver(notice_for(job)).status_code == 200
    assert status_of(job) == Status.COMPLETE


def test_n21_an_unknown_job_is_asked_for_again_and_then_refused(deliver, job):
    document = notice_for(job, userMetadata={"transcode_job": str(uuid.uuid4())})
    assert deliver(document).status_code == 503
    at = timezone.now() - timedelta(minutes=6)
    assert deliver(document, at=at).status_code == 400
    assert not ReceivedNotice.objects.exists()


@pytest.mark.parametrize(
    "message",
    [
        "Hello",
        "null",
        "[1]",
        '{"state": "DONE"}',
        '{"state": ["COMPLETED"], "jobId": {}, "outputs": []}',
        '{"state": "COMPLETED", "jobId": 7}',
        "[" * 5000,
    ],
)
def test_n22_another_kind_of_message_is_recorded_and_ignored(deliver, message):
    assert deliver(message).status_code == 200
    assert ReceivedNotice.objects.get().outcome == "ignored: unknown kind"


@pytest.mark.parametrize("duration", [10**30, -1, True, "1", None, [1]])
def test_n22_a_nonsensical_duration_is_left_out(deliver, job, duration):
    document = notice_for(job)
    for output in document["outputs"]:
        output["duration"] = duration
    assert deliver(document).status_code == 200
    assert status_of(job) == Status.COMPLETE
    assert {one.duration_ms for one in job.renditions.all()} == {None}


def test_n22_a_nonsensical_output_status_is_no_result(deliver, job):
    document = notice_for(job, "PROGRESSING")
    for output in document["outputs"]:
        output["status"] = ["Complete"]
    assert deliver(document).status_code == 200
    assert status_of(job) == Status.PROGRESSING


def test_n23_the_job_id_decides_not_the_input_key(deliver, job, caplog):
    other = make_job()
    document = notice_for(job, input={"key": f"media/{other.audio_file.mp3_file.name}"})
    assert deliver(document).status_code == 200
    assert (status_of(job), status_of(other)) == (Status.COMPLETE, Status.SUBMITTED)
    assert caplog.text.count("names another input") == 1


@pytest.mark.parametrize("named", [None, {}, {"key": 7}, [1], "own"])
def test_n23_a_notice_that_names_our_input_or_none_is_nothing_to_warn_of(
    deliver, job, caplog, named
):
    named = {"key": f"media/{job.audio_file.mp3_file.name}"} if named == "own" else named
    assert deliver(notice_for(job, input=named)).status_code == 200
    assert status_of(job) == Status.COMPLETE
    assert "names another input" not in caplog.text


def test_n25_raw_delivery_is_refused(deliver, job):
    response = deliver(notice_for(job), headers={"x-amz-sns-rawdelivery": "true"})
    assert response.status_code == 400


def test_n29_a_locked_database_is_503_and_leaves_nothing(deliver, job, monkeypatch):
    def locked(*args: object, **kwargs: object) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(TranscodeJob, "report", locked)
        assert deliver(notice_for(job), message_id=str(uuid.UUID(int=2))).status_code == 503
    assert not ReceivedNotice.objects.exists()
    assert deliver(notice_for(job), message_id=str(uuid.UUID(int=2))).status_code == 200
    assert status_of(job) == Status.COMPLETE


def test_a_store_that_does_not_answer_is_503(deliver, job, monkeypatch):
    def down(*args: object) -> None:
        raise BucketUnavailable("down", bucket="local")

    monkeypatch.setattr("audio_transcoder.settling._look", down)
    assert deliver(notice_for(job)).status_code == 503
    assert status_of(job) == Status.SUBMITTED


def test_w9_a_notice_of_a_deleted_file_is_taken_and_ignored(deliver, job):
    document = notice_for(job)
    job.audio_file.delete()
    assert deliver(document).status_code == 200
    Deletion.objects.all().delete()  # done since, all objects are gone
    assert deliver(document).status_code == 200
    assert not Message.objects.exists()


def test_an_error_is_told_with_its_reason(deliver, job):
    document = notice_for(job, "ERROR")
    for output in document["outputs"]:
        output |= {"statusDetail": "4000 aa-bb: The file is no sound.", "errorCode": 4000}
    assert deliver(document).status_code == 200
    job.refresh_from_db()
    assert (job.status, job.reason) == (Status.ERROR, "not_audio")
    assert "not a sound file we know" in Message.objects.get().text
