"""Whatever comes, the answer is one of the API's own, and never a 500."""

import json
from urllib.parse import quote

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from elastic_transcoder.api.errors import STATUS
from elastic_transcoder.api.service import service
from elastic_transcoder.api.views import OPERATIONS
from elastic_transcoder.models import Job, Pipeline, Preset
from elastic_transcoder.tests.api.conftest import HLS_AUDIO, MP3_192K, PIPELINE, order
from elastic_transcoder.tests.api.shapes import assert_answer
from elastic_transcoder.tests.api.test_custom_presets import PRESET

TEXT = st.text(
    st.characters(), max_size=20
)  # lone surrogates and NUL included: JSON can carry them
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
LIKELY = ["auto", "", "1", "true", "s3", MP3_192K, "Active", "a.png", "0" * 300, "mp3", "64"]


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
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


thorough = settings(quick, max_examples=150)


@pytest.mark.parametrize(
    ("operation", "method", "path"),
    [
        ("CreatePipeline", "POST", "/pipelines"),
        ("UpdatePipeline", "PUT", "/pipelines/{}"),
        ("UpdatePipelineNotifications", "POST", "/pipelines/{}/notifications"),
        ("UpdatePipelineStatus", "POST", "/pipelines/{}/status"),
        ("CreateJob", "POST", "/jobs"),
        ("CreatePreset", "POST", "/presets"),
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


def test_no_test_of_a_role_makes_a_500(call, settings, tmp_path):
    """Without topics: those of other people would be published to."""
    settings.BUCKETS_DIR, settings.TRANSCODER_TOPICS = tmp_path, {}

    @quick
    @given(body_of("TestRole"))
    def check(body):
        if isinstance(body, dict) and isinstance(body.get("Topics"), list):
            body["Topics"] = []
        assert_own_answer(call("POST", "/roleTests", body))

    check()


def names_in(shape):
    """The member names within a shape, in small letters."""
    if shape.type_name == "structure":
        inner = [names_in(member) | {name.lower()} for name, member in shape.members.items()]
        return set().union(*inner)
    return names_in(shape.member) if shape.type_name == "list" else set()


CREATED = {"CreateJob": Job, "CreatePreset": Preset, "CreatePipeline": Pipeline}


@pytest.mark.parametrize(
    ("operation", "method", "path"),
    [
        ("CreateJob", "POST", "/jobs"),
        ("CreatePreset", "POST", "/presets"),
        ("CreatePipeline", "POST", "/pipelines"),
        ("UpdatePipeline", "PUT", "/pipelines/{}"),
    ],
)
def test_whatever_one_member_is_it_is_taken_or_refused_by_name(
    call, pipeline_id, operation, method, path
):
    model = service().operation_model(operation)
    members = {name: shape for name, shape in model.input_shape.members.items() if name != "Id"}
    right = {
        "CreateJob": order(pipeline_id),
        "CreatePreset": PRESET,
        "CreatePipeline": PIPELINE,
        "UpdatePipeline": {},
    }[operation]
    success = model.http.get("responseCode", 200)
    refusals = {"ValidationException", "ResourceNotFoundException", "SerializationException"}

    @thorough
    @given(st.data())
    def check(data):
        name = data.draw(st.sampled_from(sorted(members)))
        body = right | {name: data.draw(values_of(members[name]))}
        with transaction.atomic():
            before = [model.objects.count() for model in CREATED.values()]
            response = call(method, path.format(pipeline_id), body)
            assert_own_answer(response)
            if response.status_code == success:
                assert_answer(operation, response.members)
                assert_can_be_read_again(call, operation, response.members)
            else:
                assert response.error in refusals
                message = response.members["message"].lower()
                # NaN makes no member wrong but the whole body.
                known = {name.lower(), *names_in(members[name]), "request body"}
                assert [one for one in known if one in message], (body, message)
                assert [model.objects.count() for model in CREATED.values()] == before
            transaction.set_rollback(True)

    check()


def assert_can_be_read_again(call, operation, answer):
    kind = operation.removeprefix("Create").removeprefix("Update")
    read = call("GET", f"/{kind.lower()}s/{answer[kind]['Id']}").members
    assert read[kind] == answer[kind]


NAMES = st.sampled_from(["a", "b", "a.m3u8", "a_v4.m3u8", "a.ts", "a00000.ts", "x/a", "x/b"])
OUTPUTS = st.fixed_dictionaries(
    {"Key": NAMES, "PresetId": st.sampled_from([HLS_AUDIO, HLS_AUDIO, HLS_AUDIO, MP3_192K])},
    optional={
        "SegmentDuration": st.sampled_from(["10", "10.0", "60", "61"]),
        "Composition": st.sampled_from([[], [{"TimeSpan": {"StartTime": "1"}}]]),
        "Encryption": st.sampled_from([{"Mode": "s3"}, {"Mode": "s3-aws-kms"}]),
    },
)
PROTECTED = {"Method": "aes-128", "KeyStoragePolicy": "WithVariantPlaylists"}
PLAYLISTS = st.fixed_dictionaries(
    {
        "Name": NAMES,
        "Format": st.sampled_from(["HLSv3", "HLSv4", "MPEG-DASH"]),
        "OutputKeys": st.lists(NAMES, min_size=1, max_size=2),
    },
    optional={"HlsContentProtection": st.just(PROTECTED)},
)


def stored_names(job):
    """Written anew from the contract's table, with a hundred segments for each output."""
    formats = {key: one["Format"] for one in job["Playlists"] for key in one["OutputKeys"]}
    for output in job["Outputs"]:
        key = output["Key"]
        if output["PresetId"] != HLS_AUDIO or not output["SegmentDuration"]:
            yield key
        elif formats.get(key) == "HLSv4":
            yield from (f"{key}_v4.m3u8", f"{key}.ts")
        else:
            yield from (f"{key}.m3u8", *(f"{key}{number:05d}.ts" for number in range(100)))
    for playlist in job["Playlists"]:
        yield f"{playlist['Name']}.m3u8"
        if playlist["HlsContentProtection"]:
            yield f"{playlist['Name']}.key"


def test_no_job_that_is_taken_stores_two_things_under_one_name(call, pipeline_id):
    taken = 0

    @thorough
    @given(st.lists(OUTPUTS, min_size=1, max_size=3), st.lists(PLAYLISTS, max_size=2))
    @example([{"Key": "a", "PresetId": HLS_AUDIO, "SegmentDuration": "10"}], [])
    def check(outputs, playlists):
        nonlocal taken
        with transaction.atomic():
            body = order(pipeline_id, Outputs=outputs, Playlists=playlists)
            response = call("POST", "/jobs", body)
            assert_own_answer(response)
            if response.status_code == 201:
                taken += 1
                assert_answer("CreateJob", response.members)
                names = list(stored_names(response.members["Job"]))
                assert len(names) == len(set(names)), body
            else:
                assert response.error == "ValidationException"
                assert not Job.objects.exists()
            transaction.set_rollback(True)

    check()
    assert taken > 5


KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def test_every_key_is_taken_as_it_is_or_is_too_long(call, pipeline_id):
    @quick
    @given(KEYS, KEYS, KEYS.map(lambda text: text[:255]))
    @example("..", "../..//x", "/./")
    @example(" ", "a b\t\n", "%2e%2e")
    @example("k" * 1024, "é" * 127 + "k", "p" * 255)  # 255 bytes
    @example("🎧" * 256, "🎧" * 192 + "x", "p" * 255)  # 1024 bytes
    @example("🎧" * 256, "🎧" * 192 + "xx", "p" * 255)
    def check(source, key, prefix):
        with transaction.atomic():
            body = order(
                pipeline_id,
                Input={"Key": source},
                Outputs=[{"Key": key, "PresetId": MP3_192K}],
                OutputKeyPrefix=prefix,
            )
            response = call("POST", "/jobs", body)
            if len(f"{prefix}{key}".encode()) > 1024:
                assert response.error == "ValidationException"
                assert "exceeds 1024 bytes" in response.members["message"]
            elif len(key) <= 255 and len(source) <= 1024:
                job = response.members["Job"]
                got = (job["Input"]["Key"], job["Output"]["Key"], job["OutputKeyPrefix"])
                assert got == (source, key, prefix)
            transaction.set_rollback(True)

    check()


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
