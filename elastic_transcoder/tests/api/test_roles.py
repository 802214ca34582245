"""TestRole: what can be reached is found out at once, and within a time."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from buckets import bucket
from elastic_transcoder.api import roles
from elastic_transcoder.tests.api.conftest import ROLE
from elastic_transcoder.tests.api.shapes import assert_answer

TOPIC = "arn:aws:sns:eu-west-1:000000000000:transcodes"
OTHER = "arn:aws:sns:eu-west-1:000000000000:other"


class Subscriber(BaseHTTPRequestHandler):
    status = 200
    pause_s = 0.0
    received: list[dict] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).received.append(json.loads(body))
        time.sleep(self.pause_s)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def subscriber(settings, tmp_path):
    """A subscriber of TOPIC; its class says how it answers."""
    settings.SNS_KEY_FILE = tmp_path / "sns.key.pem"
    settings.SNS_CERTIFICATE_FILE = tmp_path / "sns.cert.pem"
    handler = type("OneSubscriber", (Subscriber,), {"received": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    settings.TRANSCODER_TOPICS = {TOPIC: [f"http://127.0.0.1:{server.server_port}/hear/"]}
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def folders(settings, tmp_path):
    settings.BUCKETS_DIR = tmp_path / "buckets"
    (tmp_path / "source").write_bytes(b"RIFF")
    bucket("uploads").put("a.wav", tmp_path / "source", content_type="audio/wav")
    bucket("renditions").check()


@pytest.fixture
def ask(call, folders):
    def ask(**changed):
        body = {
            "Role": ROLE,
            "InputBucket": "uploads",
            "OutputBucket": "renditions",
            "Topics": [],
            **changed,
        }
        return call("POST", "/roleTests", body)

    return ask


def test_a_role_that_reaches_everything_passes(ask, subscriber):
    response = ask(Topics=[TOPIC, ""])
    assert response.status_code == 200
    assert_answer("TestRole", response.members)
    assert response.members == {"Success": "true", "Messages": []}
    (message,) = subscriber.received
    assert (message["Type"], message["TopicArn"]) == ("Notification", TOPIC)
    assert message["Subject"] == roles.SUBJECT


def test_without_topics_only_the_buckets_are_tested_and_nothing_is_left_there(ask, settings):
    assert ask().members == {"Success": "true", "Messages": []}
    assert list(bucket("renditions").keys("")) == []
    assert list(bucket("uploads").keys("")) == ["a.wav"]


def test_an_input_bucket_that_is_not_there_is_told_and_not_made(ask, settings):
    response = ask(InputBucket="nowhere")
    assert response.status_code == 200
    assert_answer("TestRole", response.members)
    assert response.members["Success"] == "false"
    assert response.members["Messages"] == [
        f"The role {ROLE} cannot read the bucket nowhere: nowhere: there is no such folder."
    ]
    assert not (settings.BUCKETS_DIR / "nowhere").exists()


def test_every_failed_test_has_a_sentence_of_its_own(ask, subscriber, settings):
    subscriber.status = 500
    (settings.BUCKETS_DIR / "file").write_bytes(b"")
    response = ask(InputBucket="nowhere", OutputBucket="file", Topics=[TOPIC])
    first, second, third = response.members["Messages"]
    assert "cannot read the bucket nowhere" in first
    assert "cannot use the bucket file" in second
    assert f"cannot publish to the topic {TOPIC}" in third
    assert "500 Internal Server Error" in third


def test_a_server_that_has_only_anothers_certificate_says_that_it_cannot_sign(
    ask, subscriber, settings
):
    ask(Topics=[TOPIC])  # makes the pair
    settings.SNS_KEY_FILE.unlink()
    assert ask().members == {"Success": "true", "Messages": []}
    response = ask(Topics=[TOPIC])
    assert response.status_code == 200
    (message,) = response.members["Messages"]
    assert f"cannot publish to the topic {TOPIC}" in message
    assert message.endswith("this server has no key to sign with.")
    assert str(settings.SNS_KEY_FILE) not in message


def test_the_secrets_in_a_subscribers_address_are_not_told(ask, settings):
    secret = "http://user:hush@127.0.0.1:9/hear/?token=hush"
    settings.TRANSCODER_TOPICS = {TOPIC: [secret, secret.replace("hush", "hush-hush")]}
    first, second = ask(Topics=[TOPIC]).members["Messages"]
    for message in (first, second):
        assert f"cannot publish to the topic {TOPIC} for http://•••@127.0.0.1:9/hear/?•••: " in (
            message
        )
        assert "hush" not in message


def test_a_topic_of_amazons_needs_credentials_that_work(ask, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    response = ask(Topics=[OTHER])
    (message,) = response.members["Messages"]
    assert f"cannot publish to the topic {OTHER}: NoCredentialsError." in message


def test_who_does_not_answer_is_not_waited_for(ask, subscriber, monkeypatch):
    ask(Topics=[TOPIC])  # makes the key that signs
    monkeypatch.setattr(roles, "PATIENCE_S", 0.3)
    subscriber.pause_s = 2.0
    began = time.monotonic()
    response = ask(Topics=[TOPIC])
    assert time.monotonic() - began < 1.5
    assert response.members["Success"] == "false"
    assert "no answer within 0.3 s" in response.members["Messages"][0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Role": None}, "Value null at 'role'"),
        ({"Role": "x"}, "Role ARN is invalid: x"),
        ({"Role": ""}, "Role cannot be blank"),
        ({"InputBucket": None}, "Value null at 'inputBucket'"),
        ({"OutputBucket": "a/b"}, "Value 'a/b' at 'outputBucket'"),
        ({"Topics": None}, "Value null at 'topics'"),
        ({"Topics": ["mailto:me"]}, "Value 'mailto:me' at 'topics.1.member'"),
        ({"Topics": [""] * 31}, "length less than or equal to 30"),
        ({"Topics": [TOPIC + "x" * 300]}, "topics.1.member: a topic ARN is longer than 255"),
    ],
)
def test_a_malformed_test_is_refused(ask, changed, message):
    response = ask(**changed)
    assert (response.status_code, response.error) == (400, "ValidationException")
    assert message in response.members["message"]


def test_boto3_tests_a_role(boto, folders, subscriber):
    answer = boto.test_role(
        Role=ROLE, InputBucket="uploads", OutputBucket="renditions", Topics=[TOPIC]
    )
    assert (answer["Success"], answer["Messages"]) == ("true", [])
