"""The service model says what the published API says: API 2012-09-25."""

import pytest
from botocore.model import ServiceModel

from elastic_transcoder.api.service import pattern, service
from elastic_transcoder.api.views import OPERATIONS

VALIDATION, VERSION, MISSING, IN_USE, DENIED, LIMIT, INTERNAL = (
    "ValidationException",
    "IncompatibleVersionException",
    "ResourceNotFoundException",
    "ResourceInUseException",
    "AccessDeniedException",
    "LimitExceededException",
    "InternalServiceException",
)
ALWAYS = {VALIDATION, VERSION, DENIED, INTERNAL}
READS = {MISSING}
CHANGES = {MISSING, IN_USE}


@pytest.mark.parametrize(
    ("name", "method", "path", "status", "required", "errors"),
    [
        ("CreatePipeline", "POST", "pipelines", 201, "InputBucket Name Role", {MISSING, LIMIT}),
        ("ListPipelines", "GET", "pipelines", 200, "", set()),
        ("ReadPipeline", "GET", "pipelines/{Id}", 200, "Id", READS),
        ("UpdatePipeline", "PUT", "pipelines/{Id}", 200, "Id", CHANGES),
        ("UpdatePipelineStatus", "POST", "pipelines/{Id}/status", 200, "Id Status", CHANGES),
        (
            "UpdatePipelineNotifications",
            "POST",
            "pipelines/{Id}/notifications",
            200,
            "Id Notifications",
            CHANGES,
        ),
        ("DeletePipeline", "DELETE", "pipelines/{Id}", 202, "Id", CHANGES),
        ("TestRole", "POST", "roleTests", 200, "InputBucket OutputBucket Role Topics", READS),
        ("CreateJob", "POST", "jobs", 201, "PipelineId", {MISSING, LIMIT}),
        ("ReadJob", "GET", "jobs/{Id}", 200, "Id", READS),
        ("CancelJob", "DELETE", "jobs/{Id}", 202, "Id", CHANGES),
        ("ListJobsByPipeline", "GET", "jobsByPipeline/{PipelineId}", 200, "PipelineId", READS),
        ("ListJobsByStatus", "GET", "jobsByStatus/{Status}", 200, "Status", READS),
        ("CreatePreset", "POST", "presets", 201, "Container Name", {LIMIT}),
        ("ListPresets", "GET", "presets", 200, "", set()),
        ("ReadPreset", "GET", "presets/{Id}", 200, "Id", READS),
        ("DeletePreset", "DELETE", "presets/{Id}", 202, "Id", READS),
    ],
)
def test_an_operation_is_as_published(name, method, path, status, required, errors):
    operation = service().operation_model(name)
    assert operation.http["method"] == method
    assert operation.http["requestUri"] == f"/2012-09-25/{path}"
    assert operation.http.get("responseCode", 200) == status
    assert sorted(operation.input_shape.required_members) == sorted(required.split())
    assert {shape.name for shape in operation.error_shapes} == ALWAYS | errors


def test_the_errors_have_their_status():
    statuses = {
        shape.name: shape.metadata["error"]["httpStatusCode"] for shape in service().error_shapes
    }
    assert statuses == {
        VALIDATION: 400,
        VERSION: 400,
        DENIED: 403,
        MISSING: 404,
        IN_USE: 409,
        LIMIT: 429,
        INTERNAL: 500,
    }


@pytest.mark.parametrize(
    ("shape", "right", "wrong"),
    [
        ("Id", ["1600000000000-def456"], ["1600000000000-def45", "1600000000000-def4567", "x"]),
        ("BucketName", ["a", "my.bucket-1_x"], ["", "a/b", "a" * 256]),
        ("Role", ["arn:aws:iam::123456789012:role/x"], ["arn:aws:iam::1:role/x", "x"]),
        ("SnsTopic", ["", "arn:aws:sns:eu-west-1:123456789012:t"], ["arn:aws:sqs:x:1:t", " "]),
        ("PresetContainer", ["mp4", "mp2", "oga"], ["MP4", "mkv", "m4a"]),
        ("AudioCodec", ["AAC", "mp3", "vorbis", "flac", "pcm", "mp2"], ["aac", "opus"]),
        ("AudioSampleRate", ["auto", "22050", "192000"], ["8000", "44,1"]),
        ("AudioBitRate", ["64", "320"], ["", "1000", "64k"]),
        ("AudioChannels", ["auto", "0", "1", "2"], ["6"]),
        ("AudioBitDepth", ["8", "16", "24", "32"], ["20"]),
        ("JobContainer", ["auto", "3gp", "aac", "m4a", "mpeg-ts", "wav"], ["mp2", "flac"]),
        ("JobStatus", ["Submitted", "Canceled"], ["Cancelled", "COMPLETE"]),
        ("FrameRate", ["auto", "23.97", "60"], ["12", "29.96"]),
        ("Resolution", ["auto", "640x480"], ["640", "640x"]),
        ("Time", ["90", "00:01:30.000", "1:30", "23:59:59.999"], ["24:00:00", "-1", "1.2345"]),
        ("TimeOffset", ["-1:30", "+5", "5.5"], ["--5", "soon"]),
        ("FloatString", ["10", "10.5"], ["1,5", "123456"]),
        ("ThumbnailPattern", ["", "thumb-{count}"], ["thumb"]),
        ("CaptionFormatPattern", ["", "{language}.srt"], ["srt"]),
        ("WatermarkKey", ["a.png", "a.jpeg", "a b/c.jpg"], [".png", "a.gif"]),
        ("PixelsOrPercent", ["10%", "10.5%", "64px"], ["10", "12345px"]),
        ("VideoCodec", ["H.264", "vp9"], ["H-264", "h264"]),
        ("Base64EncodedString", ["", "QUJD", "QUI="], ["QUJ", "!"]),
        (
            "KeyIdGuid",
            ["0123456789abcdef0123456789ABCDEF", "01234567-89ab-cdef-0123-456789abcdef"],
            ["", "0123"],
        ),
    ],
)
def test_a_type_takes_what_is_right_and_nothing_else(shape, right, wrong):
    wanted = pattern(service().shape_for(shape).metadata["pattern"])
    assert [value for value in right if not wanted.fullmatch(value)] == []
    assert [value for value in [*wrong, f"{right[-1]}\n"] if wanted.fullmatch(value)] == []


def test_every_pattern_of_the_model_compiles():
    patterns = [
        service().shape_for(name).metadata.get("pattern")
        for name in service().shape_names
        if service().shape_for(name).type_name == "string"
    ]
    assert all(pattern(text) for text in patterns if text)


def test_every_operation_of_the_model_is_answered():
    assert isinstance(service(), ServiceModel)
    assert set(OPERATIONS) == set(service().operation_names)
    assert len(OPERATIONS) == 17
