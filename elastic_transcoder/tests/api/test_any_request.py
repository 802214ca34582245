"""Whatever comes, the answer is one of the API's own, and never a 500."""

import json
from urllib.parse import quote

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elastic_transcoder.api.errors import STATUS
from elastic_transcoder.api.service import service
from elastic_transcoder.api.views import OPERATIONS
from elastic_transcoder.models import Job
from elastic_transcoder.tests.api.conftest import MP3_192K, PIPELINE, order

TEXT = st.text(
    st.characters(), max_size=20
)  # lone surrogates and NUL included: JSON can carry them
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
LIKELY = ["auto", "", "1", "true", "s3", MP3_192K, "Active", "a.png", "0" * 300]


def values_of(shape, depth=0):
    """Values that are nearly of a shape: right, of another type, or absent."""
    if shape.type_name == "structure" and depth < 4:
        right = st.fixed_dictionaries(
            {},
            optional={name: values_of(member, depth + 1) for name, member in shape.members.items()},
        )
    elif shape.type_name == "list" and depth < 4:
        right = st.lists(values_of(shape.member, depth + 1), max_size=3)
    elif shape.type_name == "map":
        right = st.dictionaries(TEXT, TEXT | st.none(), max_size=12)
    elif shape.type_name == "string":
        pattern = shape.metadata.get("pattern")
        right = TEXT | st.sampled_from(LIKELY)
        if pattern:
            right |= st.from_regex(pattern)
    else:
        right = st.integers()
    return st.one_of(right, right, right, right, ANY_JSON)


def body_of(operation):
    return values_of(service().operation_model(operation).input_shape)


def assert_own_answer(response):
    assert response.status_code != 500
    assert len(response["x-amzn-RequestId"]) == 36
    if response.status_code >= 400:
        assert STATUS[response.error] == response.status_code
        assert response.members["message"]
        assert len(response.content) < 60_000


quick = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize(
    ("operation", "method", "path"),
    [
        ("CreatePipeline", "POST", "/pipelines"),
        ("UpdatePipeline", "PUT", "/pipelines/{}"),
        ("UpdatePipelineNotifications", "POST", "/pipelines/{}/notifications"),
        ("UpdatePipelineStatus", "POST", "/pipelines/{}/status"),
        ("CreateJob", "POST", "/jobs"),
    ],
)
def test_no_body_makes_a_500(call, pipeline_id, operation, method, path):
    @quick
    @given(body_of(operation))
    def check(body):
        with transaction.atomic():
            response = call(method, path.format(pipeline_id), body)
            assert_own_answer(response)
            transaction.set_rollback(True)

    check()


@quick
@given(changed=st.data())
def test_a_changed_job_is_refused_or_can_be_read_again(call, pipeline_id, changed):
    members = service().operation_model("CreateJob").input_shape.members
    body = order(pipeline_id)
    name = changed.draw(st.sampled_from(sorted(members)))
    body[name] = changed.draw(values_of(members[name]))
    response = call("POST", "/jobs", body)
    assert_own_answer(response)
    if response.status_code == 201:
        job_id = response.members["Job"]["Id"]
        assert call("GET", f"/jobs/{job_id}").members == response.members
        Job.objects.filter(pk=job_id).delete()


@quick
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    path=st.lists(
        st.sampled_from(["jobs", "pipelines", "presets", "jobsByStatus", "roleTests", "status"])
        | st.text(st.sampled_from("a%/.é ?#\\\x00\n1-"), max_size=12),
        max_size=4,
    ),
    query=st.text(st.sampled_from("AscendingPageToken=&%+0é"), max_size=20),
)
def test_no_path_or_query_makes_a_500(call, method, path, query):
    target = "".join(f"/{quote(segment, safe='%')}" for segment in path)
    response = call(method, f"{target}?{quote(query, safe='%=&+')}")
    assert_own_answer(response)


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b'"text"',
        b"7",
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"Name": NaN}',
        b'{"Name": ' + b"9" * 5000 + b"}",
        b"[" * 200_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"Name": 7}',
        b'{"Name": ["x"]}',
        b'{"Name": {"x": 1}}',
        b'{"Name": true}',
        b'{"Notifications": []}',
        b'{"Notifications": {"Error": 0}}',
        b'{"ContentConfig": {"Permissions": {}}}',
    ],
)
def test_what_is_not_json_of_the_right_types_is_a_serialization_error(call, body):
    response = call("POST", "/pipelines", body)
    assert (response.status_code, response.error) == (400, "SerializationException")


def test_null_counts_as_absent_at_every_depth(call):
    body = PIPELINE | {
        "ContentConfig": None,
        "Notifications": {"Error": None, "Completed": ""},
        "AwsKmsKeyArn": None,
    }
    assert call("POST", "/pipelines", body).status_code == 201


def test_a_body_above_a_mebibyte_is_not_read(call):
    response = call("POST", "/pipelines", b'{"Name": "' + b"x" * 1024**2 + b'"}')
    assert (response.status_code, response.error) == (413, "RequestEntityTooLarge")


def test_a_message_with_thousands_of_violations_stays_short(call, pipeline_id):
    response = call("POST", "/jobs", order(pipeline_id, UserMetadata={"k" * 9000: "v" * 900_000}))
    assert_own_answer(response)
    body = {"Name": "x" * 100_000, "InputBucket": "/" * 900_000}
    response = call("POST", "/pipelines", body)
    assert_own_answer(response)
    assert len(response.content) < 2000


def test_an_unforeseen_failure_is_an_internal_error_without_details(call, monkeypatch):
    def fail(params):
        raise KeyError("/srv/secret")

    monkeypatch.setitem(OPERATIONS, "ListPipelines", fail)
    response = call("GET", "/pipelines")
    assert (response.status_code, response.error) == (500, "InternalServiceException")
    assert "secret" not in json.dumps(response.members)
    assert response["x-amzn-RequestId"] in response.members["message"]
