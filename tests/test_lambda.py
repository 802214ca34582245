"""The function for AWS Lambda, alone: events of S3 in, messages for the topic out."""

from __future__ import annotations

import ast
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from moto import mock_aws

from audio_transcoder.uploads import intake
from tests.s3_events import TEST_EVENT, event_of, record_of

SOURCE = Path(__file__).resolve().parent.parent / "deploy" / "aws" / "lambda" / "transcode.py"
TOPIC = "arn:aws:sns:eu-west-1:111122223333:intake"
ANY_CALL = {"TopicArn": TOPIC, "Subject": ANY, "Message": ANY}


@pytest.fixture
def function(monkeypatch) -> ModuleType:
    """The module, loaded afresh as Lambda loads it."""
    for name, value in {
        "BUCKET": "app-uploads-example",
        "TOPIC_ARN": TOPIC,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret",
    }.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("transcode", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def stub(function, monkeypatch):
    client = boto3.client("sns", region_name="eu-west-1")
    monkeypatch.setattr(function, "sns", lambda: client)
    with Stubber(client) as stub:
        yield stub
    stub.assert_no_pending_responses()


def expect(stub: Stubber, event: dict) -> None:
    """Expect one Publish of exactly this event, as S3 itself would send it."""
    parameters = {
        "TopicArn": TOPIC,
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(event, separators=(",", ":")),
    }
    stub.add_response("publish", {"MessageId": "00000000-0000-4000-8000-000000000001"}, parameters)


def test_it_needs_the_runtime_alone():
    """Python's own modules and boto3: nothing is bundled, nothing of the project imported."""
    imported = set()
    for node in ast.walk(ast.parse(SOURCE.read_text())):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "a sibling").partition(".")[0])
    assert imported - sys.stdlib_module_names == {"boto3"}


def test_a_new_object_is_published_as_s3_would(function, stub):
    event = event_of("media/intake/alice/song.wav")
    expect(stub, event)
    assert function.lambda_handler(event, None) == {"published": 1}


def test_s12_a_key_is_decoded_once_to_be_looked_at_and_passed_on_as_it_came(function, stub):
    event = event_of("media/intake/alice/100%+more ü.wav")
    assert "100%25%2Bmore+%C3%BC.wav" in json.dumps(event)
    expect(stub, event)
    assert function.lambda_handler(event, None) == {"published": 1}


def test_s12_a_key_that_looks_right_only_when_decoded_twice_is_not_ours(function, stub):
    event = event_of("media%2Fintake/alice/song.wav")
    assert function.lambda_handler(event, None) == {"published": 0}


def test_every_record_of_an_event_counts(function, stub):
    keys = [f"media/intake/alice/{number}.wav" for number in range(3)]
    event = event_of(*keys)
    expect(stub, event)
    assert function.lambda_handler(event, None) == {"published": 3}


def test_what_is_too_much_for_one_message_goes_in_several(function):
    keys = [f"media/intake/alice/{'ü' * 250}{number}.wav" for number in range(120)]
    with mock_aws():
        sns = boto3.client("sns", region_name="eu-west-1")
        topic = sns.create_topic(Name="intake")["TopicArn"]
        sqs = boto3.client("sqs", region_name="eu-west-1")
        queue = sqs.create_queue(QueueName="seen")["QueueUrl"]
        arn = "arn:aws:sqs:eu-west-1:123456789012:seen"
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        function.os.environ["TOPIC_ARN"] = topic

        assert function.lambda_handler(event_of(*keys), None) == {"published": 120}
        seen = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]

    bodies = [json.loads(json.loads(message["Body"])["Message"]) for message in seen]
    assert sorted(len(body["Records"]) for body in bodies) == [20, 50, 50]


def test_an_event_of_the_first_apps_time_is_outside_the_prefix(function, stub, caplog):
    event = event_of("media/0b6f4f8e-6d3c-4b0e-9a55-0d8f3a0a7f10", eventVersion="2.0")
    with caplog.at_level("INFO"):
        assert function.lambda_handler(event, None) == {"published": 0}
    assert "media/0b6f4f8e-6d3c-4b0e-9a55-0d8f3a0a7f10" in caplog.text


def test_an_unknown_minor_version_and_no_version_id_are_fine(function, stub):
    event = event_of("media/intake/alice/song.wav", eventVersion="2.9", news={"from": 2029})
    assert "versionId" not in event["Records"][0]["s3"]["object"]
    expect(stub, event)
    assert function.lambda_handler(event, None) == {"published": 1}


def test_of_a_mixed_event_only_what_is_ours_is_published(function, stub):
    ours = record_of("media/intake/alice/song.wav")
    others = [
        record_of("media/intake/alice/a.wav", bucket="somebody-elses"),
        record_of("media/renditions/1/2/wav.wav"),  # a result: taking it would be a loop
        record_of("media/uploads/1/source"),
        record_of("media/intake/alice/", size=0),
        record_of("media/intake/alice/empty.wav", size=0),
        record_of("media/intake/alice/b.wav", eventVersion="3.0"),
        record_of("media/intake/alice/c.wav", eventName="ObjectRemoved:Delete"),
        record_of("media/intake/alice/d.wav", eventSource="aws:sqs"),
        {"s3": {}},
        {"eventVersion": "2.1", "s3": {"bucket": "?", "object": None}},
        "nonsense",
        None,
    ]
    expect(stub, {"Records": [ours]})
    assert function.lambda_handler({"Records": [*others, ours]}, None) == {"published": 1}


@pytest.mark.parametrize(
    "event",
    [
        TEST_EVENT,
        {"Records": []},
        {"Records": "many"},
        {},
        [],
        None,
    ],
)
def test_a_test_event_and_nonsense_are_done_at_once(function, stub, event):
    assert function.lambda_handler(event, None) == {"published": 0}


def test_a_topic_that_does_not_answer_makes_lambda_repeat(function, stub):
    stub.add_client_error(
        "publish", "InternalError", http_status_code=500, expected_params=ANY_CALL
    )
    with pytest.raises(ClientError):
        function.lambda_handler(event_of("media/intake/alice/song.wav"), None)


def test_the_client_is_of_the_topics_own_region(function):
    assert function.sns().meta.region_name == "eu-west-1"


def test_what_the_function_publishes_is_what_the_webhook_takes(function, settings, monkeypatch):
    settings.MEDIA_BUCKET = "app-uploads-example"
    published = []

    class Topic:
        def publish(self, **message: str) -> dict:
            published.append(message)
            return {"MessageId": "1"}

    monkeypatch.setattr(function, "sns", Topic)
    function.lambda_handler(event_of("media/intake/alice/100%+more ü.wav"), None)
    [row] = intake.parse_notice(json.loads(published[0]["Message"]))
    assert (row.key, row.owner_name) == ("media/intake/alice/100%+more ü.wav", "alice")
