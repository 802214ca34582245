"""The conformance checklist: fifteen lines, each for every boto3 there is, the old one and the new.

Line 1 is boto3 1.41.5, line 3 the newest boto3 with our service model, so what both lines ask for
is one test that runs with both; line 2 is the AWS command line. Each test's name begins with the
numbers of its lines. The server is ``manage.py run`` on a port, with folders as buckets.
"""

from __future__ import annotations

import itertools
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sns.certificates import Certificates
from sns.verify import Verifier
from sound import probe
from tests import sounds
from tests.clients.clients import AwsCli, Boto3, CliFailed, Refused, environment
from tests.clients.conftest import (
    AAC_128K,
    FLAC_CD,
    HLS_160K,
    MAX_PIPELINES,
    MAX_PRESETS,
    MP3_128K,
    MP3_192K,
    ROLE,
    TOPIC,
    WAV_CD,
    Desk,
)
from tests.clients.receiver import Receiver
from tests.system import System, wait_for

pytestmark = pytest.mark.end_to_end

ID = r"\d{13}-\w{6}"
NOBODYS = "1111111111111-aaaaaa"
PIPELINE = {"Name": "audio", "InputBucket": "in", "OutputBucket": "out", "Role": ROLE}
QUIET = {"Progressing": "", "Completed": "", "Warning": "", "Error": ""}
# A length in milliseconds counts as right this near; the codec's frame is the unit of the table
# of presets, elastic_transcoder/tests/worker/test_presets_made.py.
NEAR_MS = 30


def names(pages: Iterator[dict], list_name: str, member: str) -> list[str]:
    return [item[member] for page in pages for item in page[list_name]]


# --- 1, 2, 3: pipelines and errors ------------------------------------------------------------


def test_1_3_a_pipeline_is_created_read_updated_paused_listed_and_deleted(api: Boto3):
    created = api.create_pipeline(**PIPELINE)
    pipeline, pipeline_id = created["Pipeline"], created["Pipeline"]["Id"]
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert created["Warnings"] == []
    assert re.fullmatch(ID, pipeline_id)
    assert pipeline["Arn"].endswith(f":pipeline/{pipeline_id}")
    assert pipeline.items() >= PIPELINE.items()
    assert (pipeline["Status"], pipeline["Notifications"]) == ("Active", QUIET)
    assert pipeline["ContentConfig"] == {"Bucket": "out", "Permissions": []}

    assert api.read_pipeline(Id=pipeline_id)["Pipeline"] == pipeline

    updated = api.update_pipeline(Id=pipeline_id, Name="sound", Notifications={"Error": TOPIC})
    assert updated["Pipeline"] == pipeline | {
        "Name": "sound",
        "Notifications": QUIET | {"Error": TOPIC},
    }
    told = api.update_pipeline_notifications(
        Id=pipeline_id, Notifications=QUIET | {"Completed": TOPIC}
    )
    assert told["Pipeline"]["Notifications"] == QUIET | {"Completed": TOPIC}

    assert api.update_pipeline_status(Id=pipeline_id, Status="Paused")["Pipeline"]["Status"] == (
        "Paused"
    )
    assert pipeline_id in names(api.pages("list_pipelines"), "Pipelines", "Id")

    deleted = api.delete_pipeline(Id=pipeline_id)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 202
    with pytest.raises(Refused):
        api.read_pipeline(Id=pipeline_id)
    assert pipeline_id not in names(api.pages("list_pipelines"), "Pipelines", "Id")


def assert_arrives(refused: Refused, name: str, status: int, *, is_typed: bool = True) -> None:
    """``is_typed``: the client has a class for it, which an application would catch."""
    assert (refused.code, refused.status, refused.is_typed) == (name, status, is_typed)
    assert refused.name == (name if is_typed else "ClientError")
    assert refused.message


def test_1_3_a_validation_exception_arrives_typed(api: Boto3):
    with pytest.raises(Refused) as malformed:
        api.read_pipeline(Id="no-such-id")
    assert_arrives(malformed.value, "ValidationException", 400)
    assert malformed.value.message == (
        "1 validation error detected: Value 'no-such-id' at 'id' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: ^\d{13}-\w{6}$"
    )


def test_1_3_a_not_found_exception_arrives_typed(api: Boto3):
    for operation, word in (("read_pipeline", "pipeline"), ("read_job", "job")):
        with pytest.raises(Refused) as missing:
            api.call(operation, Id=NOBODYS)
        assert_arrives(missing.value, "ResourceNotFoundException", 404)
        assert missing.value.message == (
            f"The specified {word} was not found: account=000000000000, {word}Id={NOBODYS}."
        )


def test_1_3_an_in_use_exception_arrives_typed(desk: Desk):
    desk.pause()
    desk.order(("a.mp3", MP3_192K), Input={"Key": "nothing.wav"})
    with pytest.raises(Refused) as in_use:
        desk.api.delete_pipeline(Id=desk.pipeline_id)
    assert_arrives(in_use.value, "ResourceInUseException", 409)
    assert in_use.value.message == (
        f"The pipeline contains active jobs: account=000000000000, pipeline={desk.pipeline_id}."
    )


def test_1_3_an_access_denied_exception_arrives_typed(api: Boto3):
    with pytest.raises(Refused) as denied:
        api.delete_preset(Id=WAV_CD)
    assert_arrives(denied.value, "AccessDeniedException", 403)
    assert denied.value.message == (
        f"Deleting a system preset is not allowed: account=000000000000, presetId={WAV_CD}."
    )


@pytest.fixture
def broken_job(desk: Desk, transcoder: System) -> Iterator[str]:
    """A job whose row nobody wrote like that; the server cannot show it."""
    desk.pause()
    job_id = desk.order(("a.mp3", MP3_192K), Input={"Key": "nothing.wav"})["Id"]

    def write(inputs: str) -> None:
        database = sqlite3.connect(transcoder.data_dir / "db.sqlite3", timeout=10)
        with database:
            database.execute(
                "UPDATE elastic_transcoder_job SET inputs = ? WHERE id = ?", (inputs, job_id)
            )
        database.close()

    write("[]")
    yield job_id
    write('[{"Key": "nothing.wav"}]')


def test_1_3_an_internal_exception_arrives_typed_and_was_tried_again(api: Boto3, broken_job: str):
    with pytest.raises(Refused) as failed:
        api.read_job(Id=broken_job)
    assert_arrives(failed.value, "InternalServiceException", 500)
    assert failed.value.attempts == 3


@pytest.mark.parametrize(
    ("name", "status", "on_the_way"),
    [
        ("SerializationException", 400, {"body": '{"Name": '}),
        ("SerializationException", 400, {"body": '{"Name": {"a": 1}}'}),
        ("IncompleteSignature", 400, {"authorization": ["Signature=", "Nothing="]}),
        ("MissingAuthenticationToken", 403, {"unsigned": True}),
    ],
)
def test_1_3_errors_that_no_sdk_has_a_class_for_arrive_by_name(
    api: Boto3, name: str, status: int, on_the_way: dict
):
    """LimitExceededException is line 14, RequestExpired line 4."""
    with pytest.raises(Refused) as refused:
        api.create_pipeline(**PIPELINE, on_the_way=on_the_way)
    assert_arrives(refused.value, name, status, is_typed=False)


def test_1_3_the_client_has_a_class_for_each_error_of_the_service(api: Boto3):
    """IncompatibleVersionException is among them; with one version there is nothing to raise it."""
    assert api.do("exceptions") == [
        "AccessDeniedException",
        "IncompatibleVersionException",
        "InternalServiceException",
        "LimitExceededException",
        "ResourceInUseException",
        "ResourceNotFoundException",
        "ValidationException",
    ]


def test_1_3_it_is_the_client_it_is_meant_to_be(api: Boto3):
    """An old one that was updated would prove nothing."""
    wanted = "1.41.5" if "1.41.5" in api.kind else "1.44.5"
    assert api.do("versions") == {"boto3": wanted, "botocore": wanted}


@pytest.fixture(params=["--endpoint-url", "environment variable"])
def redirected_aws(request: pytest.FixtureRequest, transcoder: System) -> AwsCli:
    """``aws`` that was told in one of two ways where the service is."""
    plain = environment(transcoder)
    if request.param == "--endpoint-url":
        return AwsCli(plain, "--endpoint-url", transcoder.url)
    return AwsCli(plain | {"AWS_ENDPOINT_URL_ELASTIC_TRANSCODER": transcoder.url})


def test_2_a_configuration_file_redirects_as_well(transcoder: System, tmp_path: Path):
    file = tmp_path / "config"
    file.write_text(
        "[default]\nservices = ours\n[services ours]\n"
        f"elastic_transcoder =\n  endpoint_url = {transcoder.url}\n"
    )
    aws = AwsCli(environment(transcoder, AWS_CONFIG_FILE=str(file)))
    assert "Audio Files" in aws("list-pipelines", "--query", "Pipelines[].Name")


def test_2_a_pipeline_is_created_read_updated_paused_listed_and_deleted(redirected_aws: AwsCli):
    aws = redirected_aws
    words = ("--name", "audio", "--input-bucket", "in", "--output-bucket", "out", "--role", ROLE)
    pipeline = aws("create-pipeline", *words)["Pipeline"]
    of_it = ("--id", pipeline["Id"])
    assert pipeline.items() >= PIPELINE.items()

    assert aws("read-pipeline", *of_it)["Pipeline"] == pipeline
    assert aws("update-pipeline", *of_it, "--name", "sound")["Pipeline"]["Name"] == "sound"
    topics = f"Progressing=,Completed={TOPIC},Warning=,Error="
    told = aws("update-pipeline-notifications", *of_it, "--notifications", topics)
    assert told["Pipeline"]["Notifications"] == QUIET | {"Completed": TOPIC}
    paused = aws("update-pipeline-status", *of_it, "--status", "Paused")
    assert paused["Pipeline"]["Status"] == "Paused"
    listed = aws("list-pipelines", "--query", "Pipelines[?Status=='Paused'].Id")
    assert listed == [pipeline["Id"]]

    aws("delete-pipeline", *of_it)
    with pytest.raises(CliFailed, match=r"\(ResourceNotFoundException\) .* ReadPipeline operation"):
        aws("read-pipeline", *of_it)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("read-pipeline --id no-such-id", "ValidationException"),
        (f"read-job --id {NOBODYS}", "ResourceNotFoundException"),
        (f"delete-preset --id {WAV_CD}", "AccessDeniedException"),
    ],
)
def test_2_an_error_is_told_by_its_name(aws: AwsCli, words: str, name: str):
    with pytest.raises(CliFailed, match=rf"An error occurred \({name}\) when calling") as failed:
        aws(*words.split())
    assert failed.value.returncode in (254, 255)


def test_2_a_job_is_ordered_read_listed_and_canceled(aws: AwsCli):
    words = ("--name", "audio", "--input-bucket", "in", "--output-bucket", "out", "--role", ROLE)
    pipeline_id = aws("create-pipeline", *words, "--query", "Pipeline.Id")
    aws("update-pipeline-status", "--id", pipeline_id, "--status", "Paused")
    # --job-output, for --output is aws's own.
    output = f"Key=a.mp3,PresetId={MP3_192K}"
    job = aws(
        "create-job", "--pipeline-id", pipeline_id, "--input", "Key=a.wav", "--job-output", output
    )["Job"]
    assert aws("read-job", "--id", job["Id"])["Job"] == job
    with pytest.raises(CliFailed, match=r"\(ResourceInUseException\)"):
        aws("delete-pipeline", "--id", pipeline_id)
    aws("cancel-job", "--id", job["Id"])
    listed = aws("list-jobs-by-pipeline", "--pipeline-id", pipeline_id, "--query", "Jobs[].Status")
    assert listed == ["Canceled"]
    aws("delete-pipeline", "--id", pipeline_id)


def test_3_the_paginators_go_through_all_four_lists(desk: Desk):
    desk.pause()
    ids = [desk.order(("a.mp3", MP3_192K), Input={"Key": "nothing.wav"})["Id"] for _ in range(2)]
    pages = desk.api.pages
    by_pipeline = pages("list_jobs_by_pipeline", PipelineId=desk.pipeline_id, Ascending="true")
    assert names(by_pipeline, "Jobs", "Id") == ids
    by_status = names(pages("list_jobs_by_status", Status="Submitted"), "Jobs", "Id")
    assert [job_id for job_id in by_status if job_id in ids] == ids[::-1]
    assert desk.pipeline_id in names(pages("list_pipelines"), "Pipelines", "Id")
    presets = [page["Presets"] for page in pages("list_presets")]
    assert [len(page) for page in presets] == [50, 12]
    listed = [preset["Id"] for page in presets for preset in page]
    assert listed == sorted(set(listed))


def test_3_the_waiter_returns_when_a_job_is_complete_and_raises_when_it_is_not(
    desk: Desk, wav: Callable[..., Path]
):
    often = {"Delay": 1, "MaxAttempts": 30}
    key = desk.upload("waited-for.wav", wav())
    good = desk.order(("good.mp3", MP3_192K), Input={"Key": key})
    desk.api.wait("job_complete", Id=good["Id"], WaiterConfig=often)
    assert desk.api.read_job(Id=good["Id"])["Job"]["Status"] == "Complete"

    bad = desk.order(("bad.mp3", MP3_192K), Input={"Key": "nothing.wav"})
    with pytest.raises(Refused) as failed:
        desk.api.wait("job_complete", Id=bad["Id"], WaiterConfig=often)
    assert failed.value.name == "WaiterError"
    assert failed.value.last["Job"]["Status"] == "Error"


# --- 4: signatures ----------------------------------------------------------------------------


def test_4_a_wrong_secret_is_403(api: Boto3, transcoder: System):
    with (
        Boto3(transcoder, api.kind, AWS_SECRET_ACCESS_KEY="wrong") as stranger,
        pytest.raises(Refused) as refused,
    ):
        stranger.list_pipelines()
    assert_arrives(refused.value, "AccessDeniedException", 403)


@pytest.mark.parametrize("seconds", [-1000, 1000])
def test_4_a_stale_date_is_400(api: Boto3, transcoder: System, seconds: int):
    with (
        Boto3(transcoder, api.kind, CLOCK_IS_OFF_S=str(seconds)) as late,
        pytest.raises(Refused) as refused,
    ):
        late.list_pipelines()
    assert_arrives(refused.value, "RequestExpired", 400, is_typed=False)


def test_4_a_date_that_is_a_little_off_is_good(api: Boto3, transcoder: System):
    with Boto3(transcoder, api.kind, CLOCK_IS_OFF_S="-600") as late:
        assert late.list_pipelines()["Pipelines"]


def test_4_a_changed_body_is_403(api: Boto3):
    changed = {"signed_body": [ROLE, ROLE.replace("Default", "Another")]}
    with pytest.raises(Refused) as refused:
        api.create_pipeline(**PIPELINE, on_the_way=changed)
    assert_arrives(refused.value, "AccessDeniedException", 403)
    assert "audio" not in names(api.pages("list_pipelines"), "Pipelines", "Name")


# --- 5: raw JSON ------------------------------------------------------------------------------

# Every member of an input and an output that is null when unset.
OF_INPUT = dict.fromkeys(
    (
        "FrameRate",
        "Resolution",
        "AspectRatio",
        "Interlaced",
        "Container",
        "Encryption",
        "TimeSpan",
        "InputCaptions",
        "DetectedProperties",
    )
)
OF_OUTPUT = dict.fromkeys(
    (
        "ThumbnailPattern",
        "ThumbnailEncryption",
        "Rotate",
        "SegmentDuration",
        "StatusDetail",
        "Duration",
        "Width",
        "Height",
        "FrameRate",
        "FileSize",
        "DurationMillis",
        "AlbumArt",
        "Composition",
        "Captions",
        "Encryption",
        "AppliedColorSpaceConversion",
        "LoudnessTarget",
        "Sound",
    )
) | {"Watermarks": []}


@pytest.fixture
def raw_job(desk: Desk) -> Callable[..., dict]:
    """Return a function that creates a job that waits, and gives the very JSON of the answer."""
    desk.pause()

    def create(**members: object) -> dict:
        return json.loads(desk.api.raw("create_job", PipelineId=desk.pipeline_id, **members))["Job"]

    return create


def test_5_a_waiting_job_shows_every_member_null_or_an_empty_list_where_unset(raw_job, desk: Desk):
    job = raw_job(Input={"Key": "a.wav"}, Output={"Key": "a.mp3", "PresetId": MP3_192K})
    an_input = OF_INPUT | {"Key": "a.wav"}
    an_output = OF_OUTPUT | {
        "Id": "1",
        "Key": "a.mp3",
        "PresetId": MP3_192K,
        "Status": "Submitted",
    }
    submitted = job["Timing"]["SubmitTimeMillis"]
    assert type(submitted) is int
    # Both are now; the id comes first. Between them a busy machine may take a while.
    assert 0 <= submitted - int(job["Id"].partition("-")[0]) < 10_000
    assert job == {
        "Id": job["Id"],
        "Arn": f"arn:aws:elastictranscoder:eu-west-1:000000000000:job/{job['Id']}",
        "PipelineId": desk.pipeline_id,
        "Input": an_input,
        "Inputs": [an_input],
        "Output": an_output,
        "Outputs": [an_output],
        "OutputKeyPrefix": None,
        "Playlists": [],
        "Status": "Submitted",
        "Progress": 0,
        "Tags": None,
        "Analysis": None,
        "UserMetadata": None,
        "Timing": {
            "SubmitTimeMillis": submitted,
            "StartTimeMillis": None,
            "FinishTimeMillis": None,
        },
    }
    assert json.loads(desk.api.raw("read_job", Id=job["Id"]))["Job"] == job


def test_5_both_forms_of_inputs_and_outputs_are_in_the_answer_whichever_was_asked(raw_job):
    presets = (MP3_192K, WAV_CD)
    outputs = [{"Key": f"a-{preset}", "PresetId": preset} for preset in presets]
    many = raw_job(Inputs=[{"Key": "a.wav"}], Outputs=outputs)
    one = raw_job(Input={"Key": "a.wav"}, Output=outputs[0])
    for job in (many, one):
        assert job["Input"] == job["Inputs"][0]
        assert job["Output"] == job["Outputs"][0]
    assert [output["Id"] for output in many["Outputs"]] == ["1", "2"]
    assert len(one["Outputs"]) == 1
    assert many["Input"] == one["Input"]


def test_5_both_forms_at_once_or_none_are_refused(raw_job):
    a, b = {"Key": "a.wav"}, {"Key": "a.mp3", "PresetId": MP3_192K}
    for members in (
        {"Input": a, "Inputs": [a], "Output": b},
        {"Input": a, "Output": b, "Outputs": [b | {"Key": "b.mp3"}]},
        {"Input": a},
        {"Output": b},
    ):
        with pytest.raises(Refused) as refused:
            raw_job(**members)
        assert_arrives(refused.value, "ValidationException", 400)


def test_5_a_finished_job_has_numbers_and_texts_where_the_service_had_them(
    desk: Desk, wav: Callable[..., Path]
):
    key = desk.upload("numbers.wav", wav())
    job = desk.made(("a.mp3", MP3_192K), Input={"Key": key}, UserMetadata={"order": "42"})
    raw = json.loads(desk.api.raw("read_job", Id=job["Id"]))["Job"]
    output = raw["Output"]
    assert {type(number) for number in raw["Timing"].values()} == {int}
    assert raw["Timing"]["SubmitTimeMillis"] <= raw["Timing"]["StartTimeMillis"]
    assert raw["Timing"]["StartTimeMillis"] <= raw["Timing"]["FinishTimeMillis"]
    for member in ("Duration", "DurationMillis", "FileSize"):
        assert type(output[member]) is int, member
    assert output["Duration"] == -(-output["DurationMillis"] // 1000)
    assert output["FileSize"] == desk.result("a.mp3").stat().st_size
    assert (output["Width"], output["Height"], output["FrameRate"]) == (None, None, None)
    assert raw["Input"]["DetectedProperties"] == {
        "Width": None,
        "Height": None,
        "FrameRate": None,
        "FileSize": wav().stat().st_size,
        "DurationMillis": 2000,
    }
    assert raw["UserMetadata"] == {"order": "42"}
    assert raw["OutputKeyPrefix"] == desk.prefix


def test_5_settings_of_a_preset_are_texts(api: Boto3):
    preset = json.loads(api.raw("read_preset", Id=WAV_CD))["Preset"]
    assert preset["Audio"] == {
        "Codec": "pcm",
        "SampleRate": "44100",
        "Channels": "2",
        "CodecOptions": {"BitDepth": "16", "BitOrder": "LittleEndian", "Signed": "Signed"},
        **{name: None for name in preset["Audio"] if preset["Audio"][name] is None},
    }
    assert preset["Arn"].endswith(f":000000000000:preset/{WAV_CD}")
    assert (preset["Type"], preset["Container"]) == ("System", "wav")


def test_5_the_last_page_of_a_list_says_null_and_deleting_says_success_as_text(api: Boto3):
    listed = json.loads(api.raw("list_pipelines"))
    assert listed["NextPageToken"] is None
    pipeline_id = api.create_pipeline(**PIPELINE)["Pipeline"]["Id"]
    assert json.loads(api.raw("delete_pipeline", Id=pipeline_id)) == {"Success": "true"}


# --- 6, 7: what is made -----------------------------------------------------------------------


def test_6_a_wav_becomes_two_mp3_aac_flac_and_wav(desk: Desk, wav: Callable[..., Path]):
    key = desk.upload("six.wav", wav(5))
    wanted = {
        "192.mp3": (MP3_192K, "mp3", "mp3", None, 192),
        "128.mp3": (MP3_128K, "mp3", "mp3", None, 128),
        "128.mp4": (AAC_128K, "mov", "aac", None, 128),
        "cd.flac": (FLAC_CD, "flac", "flac", 16, None),
        "cd.wav": (WAV_CD, "wav", "pcm_s16le", 16, None),
    }
    job = desk.made(*((name, row[0]) for name, row in wanted.items()), Input={"Key": key})
    assert job["Status"] == "Complete", job
    for name, (_, container, codec, bits, kbps) in wanted.items():
        found = desk.sound(name)
        assert (found.container, found.codec, found.bits) == (container, codec, bits), name
        assert (found.sample_rate_hz, found.channels) == (44100, 2), name
        assert found.duration_ms == pytest.approx(5000, abs=NEAR_MS), name
        if kbps:
            size = desk.result(name).stat().st_size
            assert size * 8 / found.duration_ms == pytest.approx(kbps, rel=0.1), name
    for output in job["Outputs"]:
        assert output["DurationMillis"] == pytest.approx(5000, abs=NEAR_MS)
        assert output["Duration"] in (5, 6)


@pytest.fixture
def preset(api: Boto3) -> Iterator[Callable[..., str]]:
    """Return a maker of custom presets, by id; they are deleted afterwards."""
    made = []

    def make(container: str, **audio: object) -> str:
        audio = {"SampleRate": "auto", "Channels": "auto"} | audio
        created = api.create_preset(Name="of a test", Container=container, Audio=audio)
        made.append(created["Preset"]["Id"])
        return made[-1]

    yield make
    for preset_id in made:
        api.delete_preset(Id=preset_id)


def test_7_channels_are_kept_mixed_or_doubled_as_the_preset_says(
    desk: Desk, preset: Callable[..., str], wav: Callable[..., Path]
):
    presets = {name: preset("wav", Codec="pcm", Channels=name) for name in ("auto", "1", "2")}
    presets["mp3"] = preset("mp3", Codec="mp3", BitRate="128")
    jobs = {
        count: desk.order(
            *((f"{count}-to-{name}", preset_id) for name, preset_id in presets.items()),
            Input={"Key": desk.upload(f"{count}.wav", wav(1, count))},
        )["Id"]
        for count in (1, 2, 6)
    }
    for count, job_id in jobs.items():
        job = desk.ended(job_id)
        assert job["Status"] == "Complete", job
        found = {name: desk.sound(f"{count}-to-{name}").channels for name in presets}
        # MP3 carries two channels at most.
        assert found == {"auto": count, "1": 1, "2": 2, "mp3": min(count, 2)}
        # What more than two were mixed down to says so, and is Complete.
        mixed = [bool(output.get("StatusDetail")) for output in job["Outputs"]]
        assert mixed == [False, count > 2, count > 2, count > 2]


# --- 8: clips and stitching -------------------------------------------------------------------


def test_8_a_clip_is_cut_where_asked_to_the_sample(desk: Desk, wav: Callable[..., Path]):
    key = desk.upload("clipped.wav", wav(5))
    spans = {
        (1500, 3500): {"StartTime": "1.5", "Duration": "2"},
        (3500, 5000): {"StartTime": "00:00:03.500"},
        (0, 500): {"Duration": "00:00:00.500"},
    }
    jobs = {
        (start_ms, end_ms): desk.order(
            (f"{start_ms}.wav", WAV_CD),
            (f"{start_ms}.mp3", MP3_192K),
            Input={"Key": key, "TimeSpan": span},
        )["Id"]
        for (start_ms, end_ms), span in spans.items()
    }
    for (start_ms, end_ms), job_id in jobs.items():
        job = desk.ended(job_id)
        assert job["Status"] == "Complete", job
        cut = part(samples(wav(5)), start_ms, end_ms)
        assert samples(desk.result(f"{start_ms}.wav")) == cut
        found_ms = desk.sound(f"{start_ms}.mp3").duration_ms
        assert found_ms == pytest.approx(end_ms - start_ms, abs=NEAR_MS)


def part(stereo: bytes, start_ms: int, end_ms: int) -> bytes:
    """Return what is heard between the two: 44,100 times a second, 16 bits of both channels."""
    return stereo[start_ms * 441 // 10 * 4 : end_ms * 441 // 10 * 4]


def samples(path: Path) -> bytes:
    """Return all samples of a WAV, whatever its header says besides."""
    data = path.read_bytes()
    at = data.index(b"data")
    return data[at + 8 : at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")]


def test_8_a_clip_that_runs_past_the_end_goes_to_the_end_with_a_warning(
    desk: Desk, wav: Callable[..., Path]
):
    key = desk.upload("clipped.wav", wav(5))
    job = desk.made(
        ("a.wav", WAV_CD), Input={"Key": key, "TimeSpan": {"StartTime": "4", "Duration": "60"}}
    )
    assert job["Output"]["Status"] == job["Status"] == "Complete"
    assert job["Output"]["StatusDetail"]
    assert desk.sound("a.wav").duration_ms == 1000


@pytest.mark.parametrize("start", ["5", "86399"])
def test_8_a_clip_that_starts_at_or_after_the_end_is_4014(
    desk: Desk, wav: Callable[..., Path], start: str
):
    key = desk.upload("clipped.wav", wav(5))
    job = desk.made(("a.wav", WAV_CD), Input={"Key": key, "TimeSpan": {"StartTime": start}})
    assert_failed(job, "4014")
    assert desk.results_there() == []


def assert_failed(job: dict, *codes: str) -> None:
    """Every output is in Error, the first with the first code, and so on."""
    assert job["Status"] == "Error"
    found = [(one["Status"], one["StatusDetail"].partition(" ")[0]) for one in job["Outputs"]]
    assert found == [("Error", code) for code in codes]


def test_8_two_inputs_are_stitched_in_their_order(desk: Desk, wav: Callable[..., Path]):
    first = {"Key": desk.upload("first.wav", wav(2))}
    second = {"Key": desk.upload("second.wav", wav(5)), "TimeSpan": {"StartTime": "4"}}
    job = desk.made(("a.wav", WAV_CD), ("a.mp3", MP3_192K), Inputs=[first, second])
    assert job["Status"] == "Complete", job
    assert desk.sound("a.mp3").duration_ms == pytest.approx(3000, abs=NEAR_MS)
    end_of_second = part(samples(wav(5)), 4000, 5000)
    assert samples(desk.result("a.wav")) == samples(wav(2)) + end_of_second
    assert job["Input"] == job["Inputs"][0]
    assert [one["Key"] for one in job["Inputs"]] == [first["Key"], second["Key"]]
    assert job["Inputs"][1]["DetectedProperties"]["DurationMillis"] == 5000


@pytest.fixture(scope="module")
def silent_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video without any sound."""
    path = tmp_path_factory.mktemp("video") / "silent.mp4"
    return sounds.make(
        path, 1, "-f", "lavfi", "-i", "testsrc=duration=1:size=64x64", "-map", "1:v", "-an"
    )


def test_8_sound_stitched_with_a_silent_video_is_4026(
    desk: Desk, wav: Callable[..., Path], silent_video: Path
):
    first = {"Key": desk.upload("first.wav", wav(2))}
    second = {"Key": desk.upload("silent.mp4", silent_video)}
    job = desk.made(("a.wav", WAV_CD), ("a.mp3", MP3_192K), Inputs=[first, second])
    assert_failed(job, "4026", "4026")


# --- 9, 10: what goes wrong -------------------------------------------------------------------


def test_9_an_object_that_is_there_stays_and_the_other_outputs_are_made(
    desk: Desk, wav: Callable[..., Path], tmp_path: Path
):
    key = desk.upload("nine.wav", wav())
    somebodys = tmp_path / "somebodys.mp3"
    somebodys.write_bytes(b"somebody's only copy")
    desk.results.put(f"{desk.prefix}taken.mp3", somebodys, content_type="audio/mpeg")
    job = desk.made(
        ("a.flac", FLAC_CD), ("taken.mp3", MP3_192K), ("a.wav", WAV_CD), Input={"Key": key}
    )
    assert job["Status"] == "Error"
    assert [one["Status"] for one in job["Outputs"]] == ["Complete", "Error", "Complete"]
    detail = job["Outputs"][1]["StatusDetail"]
    assert re.match(r"3002 [0-9a-f-]{36}: ", detail)
    assert detail.endswith(f"bucket=renditions, key={desk.prefix}taken.mp3.")
    assert desk.result("taken.mp3").read_bytes() == b"somebody's only copy"
    for name in ("a.flac", "a.wav"):
        assert desk.sound(name).duration_ms == 2000
    assert desk.results_there() == ["a.flac", "a.wav", "taken.mp3"]


def test_10_an_input_that_is_missing_no_sound_or_silent_is_told_by_its_code(
    desk: Desk, silent_video: Path, tmp_path: Path
):
    letter = tmp_path / "letter"
    letter.write_text("Dear Sir or Madam, " * 500)
    keys = {
        "3001": "nothing.wav",
        "4000": desk.upload("letter", letter),
        "4008": desk.upload("silent video", silent_video),
    }
    jobs = {
        code: desk.order((f"{code}.mp3", MP3_192K), (f"{code}.wav", WAV_CD), Input={"Key": key})
        for code, key in keys.items()
    }
    for code, job in jobs.items():
        assert_failed(desk.ended(job["Id"]), code, code)
    assert desk.results_there() == []


# --- 11: canceling ----------------------------------------------------------------------------


def test_11_a_job_that_waits_is_canceled_without_start_and_without_a_word(
    desk: Desk, receiver: Receiver, wav: Callable[..., Path]
):
    key = desk.upload("eleven.wav", wav())
    desk.pause()
    job_id = desk.order(("canceled.mp3", MP3_192K), Input={"Key": key})["Id"]
    canceled = desk.api.cancel_job(Id=job_id)
    assert canceled["ResponseMetadata"]["HTTPStatusCode"] == 202

    job = desk.api.read_job(Id=job_id)["Job"]
    assert [job["Status"], job["Output"]["Status"]] == ["Canceled", "Canceled"]
    assert job["Timing"].keys() == {"SubmitTimeMillis", "FinishTimeMillis"}
    with pytest.raises(Refused) as again:
        desk.api.cancel_job(Id=job_id)
    assert_arrives(again.value, "ResourceInUseException", 409)

    desk.api.update_pipeline_status(Id=desk.pipeline_id, Status="Active")
    later = desk.made(("later.mp3", MP3_192K), Input={"Key": key})
    wait_for(lambda: "COMPLETED" in receiver.accepted(later["Id"]), "the later job's notice")
    assert receiver.of_job(job_id) == []
    assert desk.results_there() == ["later.mp3"]


def test_11_a_job_that_runs_is_not_canceled(desk: Desk, wav: Callable[..., Path]):
    key = desk.upload("long.wav", wav(60))
    numbers = itertools.count()

    def started() -> str | None:
        """Start a job and return its id; None when it had ended before we looked."""
        job_id = desk.order((f"{next(numbers)}.mp3", MP3_192K), Input={"Key": key})["Id"]

        def begun() -> str | None:
            status = desk.api.read_job(Id=job_id)["Job"]["Status"]
            return None if status == "Submitted" else status

        return job_id if wait_for(begun, "the job's start") == "Progressing" else None

    job_id = wait_for(started, "a job that runs")
    with pytest.raises(Refused) as refused:
        desk.api.cancel_job(Id=job_id)
    assert_arrives(refused.value, "ResourceInUseException", 409)
    assert refused.value.message == (
        f"The job was already in use: accountId=000000000000, resourceId={job_id}."
    )
    assert desk.ended(job_id)["Status"] == "Complete"


# --- 12: playlists ----------------------------------------------------------------------------


def tags(playlist: str, name: str) -> list[str]:
    """Return what stands after the colon of each tag of this name."""
    return re.findall(rf"^#{name}:(.*)$", playlist, re.MULTILINE)


def entries(playlist: str) -> list[str]:
    """Return the lines that name files."""
    return [line for line in playlist.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def playlist(desk: Desk, wav: Callable[..., Path]) -> Callable[[str], dict]:
    """Return a function that makes a playlist of one segmented output of ten seconds."""

    def make(format: str) -> dict:
        key = desk.upload("segmented.wav", wav(10))
        return desk.made(
            {"Key": "audio-160k", "PresetId": HLS_160K, "SegmentDuration": "4"},
            Input={"Key": key},
            Playlists=[{"Name": "index", "Format": format, "OutputKeys": ["audio-160k"]}],
        )

    return make


def assert_playlist_is_complete(job: dict, format: str) -> None:
    assert job["Status"] == "Complete", job
    [made] = job["Playlists"]
    assert (made["Name"], made["Format"]) == ("index", format)
    assert (made["OutputKeys"], made["Status"]) == (["audio-160k"], "Complete"), made
    assert job["Output"]["SegmentDuration"] == "4.0"


def lengths(media: str) -> list[float]:
    """Return the seconds of each segment: as long as asked for, all together as the source."""
    found = [float(length.partition(",")[0]) for length in tags(media, "EXTINF")]
    # A cut is at the first frame at or after its time; one frame of AAC is 23 ms.
    assert all(length <= 4.03 for length in found)
    assert sum(found) == pytest.approx(10, abs=0.1)
    [target] = tags(media, "EXT-X-TARGETDURATION")
    assert int(target) >= max(round(length) for length in found)
    assert media.splitlines()[0] == "#EXTM3U"
    assert media.splitlines()[-1] == "#EXT-X-ENDLIST"
    return found


def assert_master(master: str, name: str, sizes: list[int], lengths: list[float]) -> None:
    """The master names one playlist, and no segment of it comes faster than it says.

    What is shorter than half the longest counts with its neighbour. Source: RFC 8216, section 4.1.
    """
    assert master.splitlines()[0] == "#EXTM3U"
    [stream] = tags(master, "EXT-X-STREAM-INF")
    whole = [
        (size, length)
        for size, length in zip(sizes, lengths, strict=True)
        if length >= max(lengths) / 2 + 0.5
    ]
    fastest = max(size * 8 / length for size, length in whole)
    assert int(re.search(r"BANDWIDTH=(\d+)", stream)[1]) >= int(fastest)
    assert 'CODECS="mp4a.40.2"' in stream
    assert entries(master) == [name]


def test_12_hlsv3_has_a_master_a_playlist_and_numbered_segments(
    desk: Desk, playlist: Callable[[str], dict], tmp_path: Path
):
    job = playlist("HLSv3")
    assert_playlist_is_complete(job, "HLSv3")
    segments = [f"audio-160k{number:05d}.ts" for number in range(3)]
    made = ["audio-160k.m3u8", *segments, "index.m3u8"]
    assert desk.results_there() == sorted(made)

    media = desk.result("audio-160k.m3u8").read_text()
    assert entries(media) == segments
    assert tags(media, "EXT-X-VERSION") == ["3"]
    sizes = [desk.result(name).stat().st_size for name in segments]
    assert job["Output"]["FileSize"] == sum(sizes)
    master = desk.result("index.m3u8").read_text()
    assert_master(master, "audio-160k.m3u8", sizes, lengths(media))

    # What a player does: the segments one after the other.
    whole = tmp_path / "whole.ts"
    whole.write_bytes(b"".join(desk.result(name).read_bytes() for name in segments))
    found = probe.probe(whole)
    assert (found.codec, found.sample_rate_hz, found.channels) == ("aac", 44100, 2)
    assert found.duration_ms == pytest.approx(10_000, abs=100)


def test_12_hlsv4_has_one_file_and_byte_ranges(desk: Desk, playlist: Callable[[str], dict]):
    job = playlist("HLSv4")
    assert_playlist_is_complete(job, "HLSv4")
    made = ["audio-160k.ts", "audio-160k_v4.m3u8", "index.m3u8"]
    assert desk.results_there() == sorted(made)

    media = desk.result("audio-160k_v4.m3u8").read_text()
    assert entries(media) == ["audio-160k.ts"] * 3
    assert tags(media, "EXT-X-VERSION") == ["4"]
    ranges = [tuple(map(int, part.split("@"))) for part in tags(media, "EXT-X-BYTERANGE")]
    assert [offset for _, offset in ranges] == [
        sum(length for length, _ in ranges[:number]) for number in range(3)
    ]
    size = desk.result("audio-160k.ts").stat().st_size
    assert sum(length for length, _ in ranges) == size == job["Output"]["FileSize"]
    master, sizes = desk.result("index.m3u8").read_text(), [length for length, _ in ranges]
    assert_master(master, "audio-160k_v4.m3u8", sizes, lengths(media))


# --- 13: notifications ------------------------------------------------------------------------


def test_13_notices_come_in_order_with_captured_subjects_and_members(
    desk: Desk, receiver: Receiver, wav: Callable[..., Path]
):
    key = desk.upload("thirteen.wav", wav())
    job_id = desk.made(
        ("a.mp3", MP3_192K),
        ("a.wav", WAV_CD),
        Input={"Key": key, "FrameRate": "auto", "Container": "auto"},
        UserMetadata={"rendition_order": "42"},
    )["Id"]
    wait_for(lambda: len(receiver.of_job(job_id)) == 2, "two notices")
    progressing, completed = receiver.of_job(job_id)

    outputs = [
        {"id": "1", "presetId": MP3_192K, "key": "a.mp3"},
        {"id": "2", "presetId": WAV_CD, "key": "a.wav"},
    ]
    document = {
        "version": "2012-09-25",
        "jobId": job_id,
        "pipelineId": desk.pipeline_id,
        "input": {"key": key, "frameRate": "auto", "container": "auto"},
        "inputCount": 1,
        "outputKeyPrefix": desk.prefix,
        "userMetadata": {"rendition_order": "42"},
    }
    assert progressing.notice == document | {
        "state": "PROGRESSING",
        "outputs": [one | {"status": "Progressing"} for one in outputs],
    }
    lengths = [one["Duration"] for one in desk.api.read_job(Id=job_id)["Job"]["Outputs"]]
    assert completed.notice == document | {
        "state": "COMPLETED",
        "outputs": [
            one | {"status": "Complete", "duration": length}
            for one, length in zip(outputs, lengths, strict=True)
        ],
    }
    assert progressing.envelope["Subject"] == (
        f"Amazon Elastic Transcoder has scheduled job {job_id} for transcoding."
    )
    assert completed.envelope["Subject"] == (
        f"Amazon Elastic Transcoder has finished transcoding job {job_id}."
    )
    assert {one.envelope["TopicArn"] for one in (progressing, completed)} == {TOPIC}


def test_13_notices_are_signed_as_sns_signs(
    desk: Desk, receiver: Receiver, wav: Callable[..., Path], transcoder: System
):
    """The consumer's half of this line, repeats and late PROGRESSING: test_app_of_2016.py."""
    certificate = (transcoder.data_dir / "sns.cert.pem").read_bytes()
    verifier = Verifier([TOPIC], ["1", "2"], Certificates(), {TOPIC: certificate})
    job_id = desk.made(("a.mp3", MP3_192K), Input={"Key": desk.upload("in.wav", wav())})["Id"]
    wait_for(lambda: "COMPLETED" in receiver.accepted(job_id), "the notices")
    for delivery in receiver.of_job(job_id):
        proven = verifier.verify(delivery.body, delivery.headers, datetime.now(UTC))
        assert json.loads(proven.message) == delivery.notice
        assert delivery.headers["x-amz-sns-message-type"] == "Notification"
        assert delivery.headers["content-type"] == "text/plain; charset=UTF-8"


def test_13_the_notice_of_a_failed_job_says_why_at_its_top(desk: Desk, receiver: Receiver):
    job_id = desk.made(("a.mp3", MP3_192K), Input={"Key": "nothing.wav"})["Id"]
    wait_for(lambda: "ERROR" in receiver.accepted(job_id), "the notice")
    error = receiver.of_job(job_id)[-1]
    assert error.envelope["Subject"] == f"The Amazon Elastic Transcoder job {job_id} has failed."
    [output] = error.notice["outputs"]
    assert (error.notice["errorCode"], output["errorCode"]) == (3001, 3001)
    assert (output["status"], output["statusDetail"]) == ("Error", error.notice["messageDetails"])
    assert "duration" not in output
    assert receiver.accepted(job_id) in (["PROGRESSING", "ERROR"], ["ERROR"])


# --- 14: limits -------------------------------------------------------------------------------


@pytest.fixture
def pipeline(api: Boto3) -> Iterator[Callable[[], str]]:
    """Return a maker of pipelines, by id; all that are new are deleted afterwards."""
    there = names(api.pages("list_pipelines"), "Pipelines", "Id")
    yield lambda: api.create_pipeline(**PIPELINE)["Pipeline"]["Id"]
    for pipeline_id in names(api.pages("list_pipelines"), "Pipelines", "Id"):
        if pipeline_id not in there:
            api.delete_pipeline(Id=pipeline_id)


def test_14_the_fifth_pipeline_is_refused_and_leaves_nothing(
    api: Boto3, pipeline: Callable[[], str]
):
    before = names(api.pages("list_pipelines"), "Pipelines", "Id")
    made = [pipeline() for _ in range(MAX_PIPELINES - len(before))]
    with pytest.raises(Refused) as refused:
        pipeline()
    assert_arrives(refused.value, "LimitExceededException", 429)
    assert refused.value.attempts == 3
    assert refused.value.message.endswith(f"maximum number of pipelines={MAX_PIPELINES}")
    after = names(api.pages("list_pipelines"), "Pipelines", "Id")
    assert sorted(after) == sorted(before + made)


def test_14_the_fifty_first_preset_is_refused_and_leaves_nothing(
    api: Boto3, preset: Callable[..., str]
):
    made = [preset("flac", Codec="flac") for _ in range(MAX_PRESETS)]
    with pytest.raises(Refused) as refused:
        preset("flac", Codec="flac")
    assert_arrives(refused.value, "LimitExceededException", 429)
    assert refused.value.attempts == 3
    assert refused.value.message.endswith("maximum number of presets=50")
    listed = [one for page in api.pages("list_presets") for one in page["Presets"]]
    assert sorted(one["Id"] for one in listed if one["Type"] == "Custom") == sorted(made)


# --- 15: paging -------------------------------------------------------------------------------


def test_15_a_list_shows_every_job_once_while_new_ones_arrive(desk: Desk):
    desk.pause()

    def order() -> str:
        return desk.order(("a.mp3", MP3_192K), Input={"Key": "nothing.wav"})["Id"]

    before = [order() for _ in range(101)]
    for ascending in ("true", "false"):
        seen: list[str] = []
        meanwhile: list[str] = []
        for page in desk.api.pages(
            "list_jobs_by_pipeline", PipelineId=desk.pipeline_id, Ascending=ascending
        ):
            seen += [job["Id"] for job in page["Jobs"]]
            if len(meanwhile) < 4:
                meanwhile += [order(), order()]
        # Whoever goes from old to new meets what came meanwhile at the end.
        expected = before + meanwhile if ascending == "true" else before[::-1]
        assert seen == expected
        before += meanwhile
