import base64

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber

from sns import deliver
from sns.certificates import Certificates
from sns.tests import amazon
from sns.tests.conftest import NOW, TOPIC
from sns.tests.server import Server, drips, says, silent
from sns.verify import Verifier
from tests.ports import own_port


@pytest.fixture
def client():
    return boto3.client(
        "sns",
        region_name="eu-west-1",
        aws_access_key_id="id",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_a_message_arrives_as_it_was_signed(signed, certificate_pem):
    body, headers = signed(message="é\n")

    with Server(says("200 OK")) as server:
        answer = deliver.post(server.url, body, headers)

    head, _, received = server.requests[0].partition(b"\r\n\r\n")
    sent = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    checker = Verifier([TOPIC], ["2"], Certificates(amazon.Host()), {TOPIC: certificate_pem})
    assert answer == deliver.Answer(deliver.Outcome.DELIVERED, "200 OK")
    assert head.startswith(b"POST /path?query=1 HTTP/1.1")
    assert sent["User-Agent"] == "Amazon Simple Notification Service Agent"
    assert checker.verify(received, sent, NOW).message == "é\n"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("200 OK", "delivered"),
        ("204 No Content", "delivered"),
        ("500 Internal Server Error", "repeat"),
        ("503 Service Unavailable", "repeat"),
        ("599 Odd", "repeat"),
        ("429 Too Many Requests", "repeat"),
        ("301 Moved Permanently", "refused"),
        ("400 Bad Request", "refused"),
        ("403 Forbidden", "refused"),
        ("404 Not Found", "refused"),
        ("413 Content Too Large", "refused"),
    ],
)
def test_each_status_is_judged_as_sns_judges_it(status, outcome):
    with Server(says(status)) as server:
        answer = deliver.post(server.url, b"{}", {})

    assert answer.outcome == outcome
    assert [answer.delivered, answer.repeat, answer.refused] == [
        outcome == name for name in ("delivered", "repeat", "refused")
    ]
    assert answer.text.startswith(status[:3])


def test_a_refusal_is_recorded_with_its_first_words_and_no_control_characters():
    with Server(says("403 Forbidden", b"not\x1b[31m for\r\nus " + b"x" * 9999)) as server:
        answer = deliver.post(server.url, b"{}", {})

    assert answer.text.startswith("403 Forbidden: not[31m for us xxx")
    assert len(answer.text) <= 255


def test_a_redirect_is_not_followed():
    with (
        Server(says("200 OK")) as other,
        Server(says("307 Temporary Redirect", headers=f"Location: {other.url}\r\n")) as server,
    ):
        assert deliver.post(server.url, b"{}", {}).refused
    assert other.requests == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [silent, drips(b"HTTP/1.1 200 OK\r\nX: ")])
def test_silence_is_to_be_repeated(answer):
    with Server(answer) as server:
        assert deliver.post(server.url, b"{}", {}, timeout_s=0.3).repeat


def test_a_closed_port_is_to_be_repeated():
    answer = deliver.post(f"http://127.0.0.1:{own_port()}/", b"{}", {})
    assert answer.repeat
    assert "refused" in answer.text


def test_a_delivered_message_stays_delivered_when_the_answers_body_never_ends():
    with Server(drips(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")) as server:
        assert deliver.post(server.url, b"{}", {}, timeout_s=0.3).delivered


@pytest.mark.parametrize("url", ["", "no url", "file:///etc/passwd"])
def test_a_url_that_cannot_be_asked_is_a_refusal(url):
    assert deliver.post(url, b"{}", {}).refused


def test_user_and_password_of_a_url_are_sent_and_never_recorded():
    with Server(says("401 Unauthorized")) as server:
        url = server.url.replace("http://", "http://sns:sec%40ret@")
        answer = deliver.post(url, b"{}", {})

    assert base64.b64encode(b"sns:sec@ret") in server.requests[0]
    assert "sec" not in answer.text


def test_a_message_is_published_with_its_subject(client):
    with Stubber(client) as stubber:
        stubber.add_response(
            "publish",
            {"MessageId": "m-1"},
            {"TopicArn": amazon.TOPIC, "Message": "{}", "Subject": "A job is done"},
        )
        stubber.add_response(
            "publish", {"MessageId": "m-2"}, {"TopicArn": amazon.TOPIC, "Message": "{}"}
        )

        first = deliver.publish(amazon.TOPIC, "A job is done", "{}", client=client)
        second = deliver.publish(amazon.TOPIC, "", "{}", client=client)

    assert first == deliver.Answer(deliver.Outcome.DELIVERED, "m-1")
    assert second.text == "m-2"


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [
        ("Throttled", 429, "repeat"),
        ("Throttling", 400, "repeat"),
        ("InternalError", 500, "repeat"),
        ("ServiceUnavailable", 503, "repeat"),
        ("ExpiredToken", 403, "repeat"),
        ("InvalidClientTokenId", 403, "repeat"),
        ("AuthorizationError", 403, "refused"),
        ("NotFound", 404, "refused"),
        ("InvalidParameter", 400, "refused"),
    ],
)
def test_errors_of_sns_are_repeated_or_refused(client, code, status, outcome):
    with Stubber(client) as stubber:
        stubber.add_client_error("publish", code, "text with secrets", status)
        answer = deliver.publish(amazon.TOPIC, None, "{}", client=client)

    assert (answer.outcome, answer.text) == (outcome, code)


@pytest.mark.parametrize(
    "error", [NoCredentialsError(), EndpointConnectionError(endpoint_url="https://sns.test/")]
)
def test_missing_credentials_and_an_unreachable_sns_are_to_be_repeated(client, error):
    def fail(**_):
        raise error

    client.meta.events.register("before-call.sns.Publish", fail)
    answer = deliver.publish(amazon.TOPIC, None, "{}", client=client)
    assert answer.repeat
    assert answer.text == type(error).__name__


def test_what_is_no_topic_of_amazons_is_refused_without_a_call():
    assert deliver.publish("transcodes", None, "{}").refused
    assert deliver.confirm("transcodes", "token").refused


def test_n15_a_subscription_is_confirmed_through_the_api(client):
    subscription = f"{amazon.TOPIC}:2296bc94-7992-4be1-b15f-b97229b5c1d8"
    expected = {
        "TopicArn": amazon.TOPIC,
        "Token": "2336412f37",
        "AuthenticateOnUnsubscribe": "true",
    }
    with Stubber(client) as stubber:
        for _ in range(2):
            stubber.add_response(
                "confirm_subscription", {"SubscriptionArn": subscription}, expected
            )
        answers = [deliver.confirm(amazon.TOPIC, "2336412f37", client=client) for _ in range(2)]

    assert answers == [deliver.Answer(deliver.Outcome.DELIVERED, subscription)] * 2


def test_n15_an_expired_token_is_refused_and_throttling_repeated(client):
    with Stubber(client) as stubber:
        stubber.add_client_error("confirm_subscription", "InvalidParameter", "Token", 400)
        stubber.add_client_error("confirm_subscription", "Throttled", "slow down", 429)

        assert deliver.confirm(amazon.TOPIC, "old", client=client).refused
        assert deliver.confirm(amazon.TOPIC, "new", client=client).repeat


def test_a_client_made_here_is_for_the_topics_own_region(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    client = deliver._client("ap-southeast-2")
    assert client.meta.region_name == "ap-southeast-2"
    assert client.meta.endpoint_url == "https://sns.ap-southeast-2.amazonaws.com"
    assert deliver._client("ap-southeast-2") is client
