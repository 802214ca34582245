import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.db import transaction
from django.utils import timezone

from elastic_transcoder import notices
from elastic_transcoder.models import Job, Notice, Pipeline
from elastic_transcoder.tests.conftest import TOPIC
from elastic_transcoder.worker import claims
from sns import deliver as sns_deliver
from sns import keys
from sns.verify import Verifier

AMAZONS = "arn:aws:sns:eu-west-1:123456789012:theirs"


class Subscriber:
    """An HTTP server that keeps what is posted and answers as told."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict, bytes]] = []
        self.status = 200
        self.may_answer = threading.Event()
        self.may_answer.set()
        subscriber = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                subscriber.posts.append((dict(self.headers), body))
                subscriber.may_answer.wait(120)
                self.send_response(subscriber.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args) -> None:
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/transcode-complete/"

    @property
    def documents(self) -> list[dict]:
        return [json.loads(body) for _, body in self.posts]


@contextmanager
def listening():
    subscriber = Subscriber()
    thread = threading.Thread(target=subscriber.server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield subscriber
    finally:
        subscriber.server.shutdown()
        subscriber.server.server_close()
        thread.join()


@pytest.fixture
def subscriber(settings, pipeline):
    with listening() as one:
        settings.TRANSCODER_TOPICS = {TOPIC: [one.url]}
        yield one
    _finish_posts()


def _finish_posts() -> None:
    for post in list(notices._under_way):
        post.done.wait(20)
    notices._under_way.clear()


@pytest.fixture
def job(pipeline):
    job = Job.objects.create(
        pipeline_id=pipeline.pk,
        inputs=[{"Key": "uploads/interview.wav", "FrameRate": "auto", "Container": "auto"}],
        output_key_prefix="renditions/42/",
        user_metadata={"rendition_order": "42"},
        submit_time_ms=claims.now_ms(),
    )
    preset_ids = ("1351620000001-300020", "1351620000001-300300")
    for number, (key, preset_id) in enumerate(
        zip(("interview.mp3", "interview.wav"), preset_ids, strict=True), start=1
    ):
        job.outputs.create(number=number, key=key, preset_id=preset_id, preset={})
    return job


def written(job, state: str) -> Notice:
    with transaction.atomic():
        [notice] = notices.write(job, state)
    return notice


def make_due(notice: Notice) -> None:
    Notice.objects.filter(pk=notice.pk).update(next_attempt_at=timezone.now())


# --- What is written --------------------------------------------------------------------------


def test_the_progressing_notice_is_as_captured(job):
    notice = written(job, notices.PROGRESSING)
    assert notice.subject == (
        f"Amazon Elastic Transcoder has scheduled job {job.pk} for transcoding."
    )
    document = json.loads(notice.message)
    assert list(document) == [
        "state", "version", "jobId", "pipelineId", "input", "inputCount", "outputKeyPrefix",
        "outputs", "userMetadata",
    ]  # fmt: skip
    assert document == {
        "state": "PROGRESSING",
        "version": "2012-09-25",
        "jobId": job.pk,
        "pipelineId": job.pipeline_id,
        "input": {"key": "uploads/interview.wav", "frameRate": "auto", "container": "auto"},
        "inputCount": 1,
        "outputKeyPrefix": "renditions/42/",
        "outputs": [
            {"id": "1", "presetId": "1351620000001-300020", "key": "interview.mp3",
             "status": "Progressing"},
            {"id": "2", "presetId": "1351620000001-300300", "key": "interview.wav",
             "status": "Progressing"},
        ],
        "userMetadata": {"rendition_order": "42"},
    }  # fmt: skip


def test_the_text_is_laid_out_as_amazons_was(job):
    text = written(job, notices.PROGRESSING).message
    assert text.startswith('{\n  "state" : "PROGRESSING",\n  "version" : "2012-09-25",\n')


def test_the_completed_notice_has_whole_seconds_rounded_up(job):
    job.outputs.update(status="Complete", duration_ms=117_353)
    notice = written(job, notices.COMPLETED)
    document = json.loads(notice.message)
    assert notice.subject == f"Amazon Elastic Transcoder has finished transcoding job {job.pk}."
    assert [output["duration"] for output in document["outputs"]] == [118, 118]
    assert all("statusDetail" not in output for output in document["outputs"])
    assert all("errorCode" not in output for output in document["outputs"])


def test_n27_the_error_notice_names_the_first_failing_output_at_the_top(job):
    job.outputs.filter(number=1).update(status="Complete", duration_ms=1000)
    job.outputs.filter(number=2).update(
        status="Error", error_code=3002, status_detail="3002 x: taken: bucket=b, key=k."
    )
    notice = written(job, notices.ERROR)
    document = json.loads(notice.message)
    assert notice.subject == f"The Amazon Elastic Transcoder job {job.pk} has failed."
    assert list(document)[:4] == ["state", "errorCode", "messageDetails", "version"]
    assert (document["errorCode"], document["messageDetails"]) == (
        3002,
        "3002 x: taken: bucket=b, key=k.",
    )
    good, bad = document["outputs"]
    assert good == {
        "id": "1",
        "presetId": "1351620000001-300020",
        "key": "interview.mp3",
        "status": "Complete",
        "duration": 1,
    }
    assert list(bad) == ["id", "presetId", "key", "status", "statusDetail", "errorCode"]


def test_an_event_without_topic_is_not_told(job, pipeline):
    pipeline.notifications = {"Progressing": ""}
    pipeline.save()
    with transaction.atomic():
        assert notices.write(job, notices.PROGRESSING) == []
        assert notices.write(job, notices.ERROR) == []


def test_every_subscriber_of_our_own_topic_gets_a_row_and_amazons_topic_one(
    job, pipeline, settings
):
    settings.TRANSCODER_TOPICS = {TOPIC: ["http://a.test/", "http://b.test/"]}
    pipeline.notifications = {"Completed": TOPIC, "Error": AMAZONS}
    pipeline.save()
    with transaction.atomic():
        notices.write(job, notices.COMPLETED)
        notices.write(job, notices.ERROR)
    rows = Notice.objects.order_by("id").values_list("topic_arn", "url")
    assert list(rows) == [(TOPIC, "http://a.test/"), (TOPIC, "http://b.test/"), (AMAZONS, "")]


def test_a_notice_is_rolled_back_with_its_state(job):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        notices.write(job, notices.COMPLETED)
        raise ZeroDivisionError
    assert not Notice.objects.exists()


# --- What is delivered ------------------------------------------------------------------------


def test_a_notice_arrives_signed_and_verifies(job, subscriber, settings):
    notice = written(job, notices.COMPLETED)
    assert notices.deliver() is None
    notice.refresh_from_db()
    assert (notice.status, notice.attempts) == ("Delivered", 1)
    [(headers, body)] = subscriber.posts
    own = {TOPIC: settings.SNS_CERTIFICATE_FILE.read_bytes()}
    verifier = Verifier(
        topics=[TOPIC], signature_versions=["2"], certificates=None, own_certificates=own
    )
    envelope = verifier.verify(body, headers, datetime.now(UTC))
    assert envelope.message == notice.message
    assert envelope.subject == notice.subject
    assert str(envelope.message_id) == str(notice.message_id)


def test_n24_a_repeat_is_the_same_message(job, subscriber, settings):
    settings.NOTICE_RETRY_S = 60.0
    notice = written(job, notices.COMPLETED)
    subscriber.status = 503
    due = notices.deliver()
    notice.refresh_from_db()
    assert (notice.status, notice.attempts) == ("Waiting", 1)
    assert notice.last_answer.startswith("503")
    assert due == notice.next_attempt_at > timezone.now() + timedelta(seconds=40)
    assert len(subscriber.posts) == 1

    subscriber.status = 200
    make_due(notice)
    notices.deliver()
    first, second = subscriber.documents
    assert first == second
    notice.refresh_from_db()
    assert (notice.status, notice.attempts) == ("Delivered", 2)


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_faults_and_throttling_are_repeated(job, subscriber, settings, status):
    settings.NOTICE_RETRY_S = 60.0
    subscriber.status = status
    notice = written(job, notices.COMPLETED)
    notices.deliver()
    notice.refresh_from_db()
    assert notice.status == "Waiting"


@pytest.mark.parametrize("status", [400, 403, 404, 301])
def test_any_other_answer_is_a_refusal(job, subscriber, status):
    subscriber.status = status
    notice = written(job, notices.COMPLETED)
    assert notices.deliver() is None
    notice.refresh_from_db()
    assert (notice.status, notice.attempts) == ("Refused", 1)
    assert notice.last_answer.startswith(str(status))
    assert notice.finished_at is not None


def test_silence_is_repeated(job, settings, pipeline):
    settings.TRANSCODER_TOPICS = {TOPIC: ["http://127.0.0.1:9/"]}
    settings.NOTICE_RETRY_S = 60.0
    notice = written(job, notices.COMPLETED)
    notices.deliver()
    notice.refresh_from_db()
    assert (notice.status, notice.attempts) == ("Waiting", 1)


def test_after_three_days_a_notice_is_given_up(job, subscriber):
    subscriber.status = 503
    notice = written(job, notices.COMPLETED)
    Notice.objects.update(created_at=timezone.now() - timedelta(days=3, seconds=1))
    notices.deliver()
    notice.refresh_from_db()
    assert notice.status == "Refused"


def test_a_notice_given_up_can_be_sent_again(job, subscriber):
    subscriber.status = 404
    notice = written(job, notices.COMPLETED)
    notices.deliver()
    subscriber.status = 200
    assert notice.send_again()
    notices.deliver()
    notice.refresh_from_db()
    assert notice.status == "Delivered"
    ids = [document["MessageId"] for document in subscriber.documents]
    assert len(set(ids)) == 2
    make_due(notice)
    notices.deliver()
    assert len(subscriber.posts) == 2


def test_a_subscriber_that_does_not_answer_holds_up_nobody(job, subscriber, settings, monkeypatch):
    monkeypatch.setattr(notices, "PATIENCE_S", 0.2)
    with listening() as slow:
        slow.may_answer.clear()
        settings.TRANSCODER_TOPICS = {TOPIC: [slow.url, subscriber.url]}
        with transaction.atomic():
            for _ in range(5):
                notices.write(job, notices.COMPLETED)
        for _ in range(50):
            due = notices.deliver()
            assert due < timezone.now() + timedelta(seconds=5)
            if len(subscriber.posts) == 5:
                break
        assert len(subscriber.posts) == 5
        assert len(slow.posts) == 1
        slow.may_answer.set()
        for _ in range(100):
            if notices.deliver() is None:
                break
    assert len(slow.posts) == 5
    assert set(Notice.objects.values_list("status", flat=True)) == {"Delivered"}


def test_two_processes_do_not_post_the_same_attempt(job, subscriber):
    notice = written(job, notices.COMPLETED)
    stale = Notice.objects.get(pk=notice.pk)
    assert notices._begin_attempt(notice)
    assert not notices._begin_attempt(stale)


def test_k1_an_attempt_cut_off_by_a_crash_is_repeated_as_the_same_message(job, subscriber):
    notice = written(job, notices.COMPLETED)
    notices._begin_attempt(notice)
    notices.deliver()
    assert subscriber.posts == []
    make_due(notice)
    notices.deliver()
    [document] = subscriber.documents
    assert document["MessageId"] == str(notice.message_id)


def test_pauses_double_up_to_ten_minutes(settings):
    settings.NOTICE_RETRY_S = 2.0
    for attempts, seconds in ((1, 2), (2, 4), (5, 32), (20, 600), (1000, 600)):
        assert 0.8 * seconds <= notices._pause_s(attempts) <= 1.2 * seconds


def test_amazons_topics_go_to_amazon(job, pipeline, settings, monkeypatch):
    settings.TRANSCODER_TOPICS = {}
    Pipeline.objects.update(notifications={"Completed": AMAZONS})
    published = []

    def publish(topic_arn, subject, message):
        published.append((topic_arn, subject, message))
        return sns_deliver.Answer(sns_deliver.Outcome.DELIVERED, "id")

    monkeypatch.setattr(sns_deliver, "publish", publish)
    notice = written(job, notices.COMPLETED)
    notices.deliver()
    notice.refresh_from_db()
    assert notice.status == "Delivered"
    assert published == [(AMAZONS, notice.subject, notice.message)]


def test_nothing_is_posted_inside_a_transaction(job, subscriber, monkeypatch):
    from django.db import connection

    inside = []
    send = notices._send
    monkeypatch.setattr(
        notices,
        "_send",
        lambda *args: inside.append(connection.in_atomic_block) or send(*args),
    )
    start = threading.Thread.start
    monkeypatch.setattr(
        threading.Thread,
        "start",
        lambda self: inside.append(connection.in_atomic_block) or start(self),
    )
    written(job, notices.COMPLETED)
    notices.deliver()
    assert inside
    assert not any(inside)


def test_the_key_is_made_once(work_dirs, settings):
    keys.ensure(settings.SNS_KEY_FILE, settings.SNS_CERTIFICATE_FILE)
    assert notices.signer() is notices.signer()


def test_where_the_certificate_came_without_its_key_nothing_is_signed_and_it_stays(
    settings, work_dirs
):
    keys.ensure(settings.SNS_KEY_FILE, settings.SNS_CERTIFICATE_FILE)
    settings.SNS_KEY_FILE.unlink()
    before = settings.SNS_CERTIFICATE_FILE.read_bytes()
    with pytest.raises(FileNotFoundError, match=r"came without its key.*sns\.key\.pem"):
        notices.signer()
    assert settings.SNS_CERTIFICATE_FILE.read_bytes() == before
