from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from elastic_transcoder import keys
from elastic_transcoder.api.signature import SignedRequest, is_genuine, read_claim
from elastic_transcoder.models import Pipeline
from elastic_transcoder.tests.api.conftest import (
    PIPELINE,
    HandlerWithoutRawUri,
    client_for,
    order,
    serving,
)


def test_a_signed_call_is_answered_whatever_its_region(call):
    for region in ("eu-west-1", "nowhere-9"):
        assert call("GET", "/pipelines", region=region).status_code == 200


def test_every_answer_carries_a_request_id_of_its_own(call):
    first, second = call("GET", "/pipelines"), call("GET", "/pipelines", secret="wrong")
    assert len(first["x-amzn-RequestId"]) == 36
    assert first["x-amzn-RequestId"] != second["x-amzn-RequestId"]


def test_a_wrong_secret_is_refused(call):
    response = call("GET", "/pipelines", secret="wrong")
    assert (response.status_code, response.error) == (403, "AccessDeniedException")
    assert "signature" in response.members["message"]


def test_an_unknown_key_is_refused(call):
    response = call("GET", "/pipelines", key_id="AKIAUNKNOWN")
    assert (response.status_code, response.error) == (403, "AccessDeniedException")


def test_a_disabled_key_is_refused_at_once(call):
    key, secret = keys.create("a partner")
    assert call("GET", "/pipelines", key_id=key.access_key_id, secret=secret).status_code == 200
    keys.disable(key.access_key_id)
    assert call("GET", "/pipelines", key_id=key.access_key_id, secret=secret).status_code == 403


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_date_more_than_a_quarter_of_an_hour_off_has_expired(call, minutes):
    def later(sent):
        traveller.shift(timedelta(minutes=minutes))

    with time_machine.travel(datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC), tick=False) as traveller:
        response = call("GET", "/pipelines", alter=later)
    assert (response.status_code, response.error) == (400, "RequestExpired")


def test_a_date_a_little_off_is_fine(call):
    with time_machine.travel(datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC), tick=False) as traveller:
        response = call(
            "GET", "/pipelines", alter=lambda sent: traveller.shift(timedelta(minutes=14))
        )
    assert response.status_code == 200


def change_body(sent):
    sent["data"] = sent["data"].replace(b"audio", b"video")


def change_query(sent):
    sent["url"] += "?Ascending=true"


def change_path(sent):
    sent["url"] = sent["url"].replace("/pipelines", "/presets")


def change_host(sent):
    sent["headers"]["Host"] = "localhost"


def change_type(sent):
    sent["headers"]["Content-Type"] = "application/x-amz-json-1.0"


def change_date(sent):
    moved = datetime.now(UTC) + timedelta(minutes=1)
    sent["headers"]["X-Amz-Date"] = f"{moved:%Y%m%dT%H%M%SZ}"


def drop_signed_header(sent):
    del sent["headers"]["Content-Type"]


def change_scope(sent):
    sent["headers"]["Authorization"] = sent["headers"]["Authorization"].replace(
        "/elastictranscoder/", "/s3/"
    )


def change_signed_day(sent):
    sent["headers"]["Authorization"] = sent["headers"]["Authorization"].replace(
        f"{datetime.now(UTC):%Y%m%d}/", "20200101/"
    )


def change_signature(sent):
    sent["headers"]["Authorization"] = sent["headers"]["Authorization"][:-4] + "\xe9\xe9"


@pytest.mark.parametrize(
    "alter",
    [
        change_body,
        change_query,
        change_path,
        change_host,
        change_type,
        change_date,
        drop_signed_header,
        change_scope,
        change_signed_day,
        change_signature,
    ],
)
def test_what_was_changed_after_signing_is_refused_and_does_nothing(call, alter):
    before = Pipeline.objects.count()
    response = call("POST", "/pipelines", PIPELINE, alter=alter)
    assert (response.status_code, response.error) == (403, "AccessDeniedException")
    assert Pipeline.objects.count() == before


def test_without_an_authorization_header_the_token_is_missing(call):
    response = call("GET", "/jobs/x", alter=lambda sent: sent["headers"].pop("Authorization"))
    assert (response.status_code, response.error) == (403, "MissingAuthenticationToken")


def without(part):
    def alter(sent):
        kept = [
            piece
            for piece in sent["headers"]["Authorization"].split(" ", 1)[1].split(", ")
            if not piece.startswith(part)
        ]
        sent["headers"]["Authorization"] = "AWS4-HMAC-SHA256 " + ", ".join(kept)

    return alter


def with_authorization(text):
    def alter(sent):
        sent["headers"]["Authorization"] = text

    return alter


def with_date(text):
    def alter(sent):
        sent["headers"]["X-Amz-Date"] = text

    return alter


@pytest.mark.parametrize(
    "alter",
    [
        without("Credential="),
        without("SignedHeaders="),
        without("Signature="),
        with_authorization("Basic YWxhZGRpbjpvcGVuc2VzYW1l"),
        with_authorization("AWS4-HMAC-SHA256"),
        with_authorization("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c"),
        with_date("yesterday"),
        with_date(""),
        lambda sent: sent["headers"].update(
            Authorization=sent["headers"]["Authorization"].replace("host;", "")
        ),
    ],
)
def test_a_header_that_lacks_a_part_is_incomplete(call, alter):
    response = call("GET", "/pipelines", alter=alter)
    assert (response.status_code, response.error) == (400, "IncompleteSignature")


def test_a_date_header_will_do_instead_of_x_amz_date():
    now = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
    headers = {
        "authorization": "AWS4-HMAC-SHA256"
        " Credential=AKIA/20260506/r/elastictranscoder/aws4_request,"
        " SignedHeaders=date;host, Signature=00",
        "date": "Wed, 06 May 2026 07:08:09 GMT",
    }
    assert read_claim(headers, now).timestamp == "20260506T070809Z"


@pytest.mark.parametrize(
    "path",
    [
        "/2012-09-25/jobs/a%2Fb",
        "/2012-09-25/jobs/%C3%A9",
        "/2012-09-25/pipelines//status",
        "/a/../b/",
    ],
)
def test_paths_are_made_canonical_as_clients_make_them(path):
    request = AWSRequest(
        method="GET",
        url=f"http://host{path}?b=2&a=1&a=%20",
        headers={"Host": "host", "X-More": " a  b "},
    )
    SigV4Auth(Credentials("AKIA", "secret"), "elastictranscoder", "r").add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    claim = read_claim(headers, datetime.now(UTC))
    assert "x-more" in claim.signed_headers
    signed = SignedRequest("GET", path, "a=%20&b=2&a=1", headers)
    assert is_genuine(claim, "secret", signed, b"")
    assert not is_genuine(claim, "Secret", signed, b"")


@pytest.mark.parametrize(
    "odd_id", ["", "..", "a/b", "%2e", "jöb", "x" * 3000, "1600000000000-abc123\n"]
)
def test_a_malformed_id_is_a_400_and_not_a_broken_signature(boto, odd_id):
    with pytest.raises(boto.exceptions.ValidationException, match="'id'"):
        boto.read_job(Id=odd_id)


def test_a_server_that_hides_the_raw_path_still_verifies_ordinary_calls(endpoint):
    with serving(HandlerWithoutRawUri) as url:
        client = client_for(url)
        pipeline = client.list_pipelines()["Pipelines"][0]
        created = client.create_job(**order(pipeline["Id"]))
        assert client.read_job(Id=created["Job"]["Id"])["Job"]["Status"] == "Submitted"


def test_a_client_with_temporary_credentials_is_verified_too(endpoint):
    client = client_for(endpoint)
    client._request_signer._credentials.token = "a session token"
    assert client.list_pipelines()["Pipelines"]


def test_a_client_with_the_wrong_secret_gets_a_typed_error(endpoint):
    with pytest.raises(ClientError) as refused:
        client_for(endpoint, secret_access_key="wrong").list_pipelines()
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert refused.value.response["ResponseMetadata"]["RetryAttempts"] == 0


def test_a_body_without_a_length_is_411_and_says_so(call):
    def chunk(sent):
        sent["headers"]["Transfer-Encoding"] = "chunked"

    response = call("POST", "/jobs", {"PipelineId": "x"}, alter=chunk)
    assert (response.status_code, response.error) == (411, "MissingContentLength")
    assert "Content-Length" in response.members["message"]
