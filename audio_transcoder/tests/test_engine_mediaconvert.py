"""The MediaConvert engine: requests that the service takes, plain answers, our errors."""

from __future__ import annotations

import contextlib
import copy
import json
import socket
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.stub import Stubber

from audio_transcoder.engines.base import (
    Clip,
    Order,
    SoundReport,
    Source,
    TranscoderRejected,
    TranscoderUnavailable,
    Wanted,
)
from audio_transcoder.engines.mediaconvert import MediaConvert, reports, requests
from audio_transcoder.formats import FORMATS, MediaConvertGroup, MediaConvertOutput
from audio_transcoder.tests.mediaconvert import ENV, EXAMPLES, MODEL, QUEUE, ROLE, Service, problems
from audio_transcoder.tests.nonsense import NONSENSE, answering

JOB_ID = "1790000000000-ab12cd"
OUR_ID = "3f6c1b0e-6a52-4b5e-9d5e-0c7b2f1f9a10"
SOURCE = Source("media/uploads/u/source", "mp3", "mp3", 2, 44100, 60_000)
PREFIX = "media/renditions/u/j"
ALL = [
    Wanted(f"{PREFIX}/{format.name}.{format.extension}", format)
    for format in FORMATS.values()
    if not format.keeps_source
]
ORDER = Order(OUR_ID, SOURCE, ALL)


@pytest.fixture
def stubbed():
    api = Service().client()
    with Stubber(api) as stubber:
        yield engine_with(lambda: api), stubber
        stubber.assert_no_pending_responses()


def engine_with(connect) -> MediaConvert:
    return MediaConvert(connect, role=ROLE, queue=QUEUE, bucket="files", env=ENV)


def request(source: Source = SOURCE, outputs=ALL, clip: Clip | None = None, **values) -> dict:
    given = {"env": ENV, "role": ROLE, "queue": QUEUE, "bucket": "files"}
    return requests.request(Order(OUR_ID, source, outputs, clip), **given | values)


def paths(made: dict) -> list[str]:
    """Where each file goes, by the rule that the service has for it."""
    return [
        f"{group['OutputGroupSettings']['FileGroupSettings']['Destination']}"
        f"{output.get('NameModifier', '')}.{output['Extension']}"
        for group in made["Settings"]["OutputGroups"]
        for output in group["Outputs"]
    ]


# --- orders -----------------------------------------------------------------------------------


def test_one_job_orders_all_outputs_and_carries_our_id(stubbed):
    engine, stubber = stubbed
    cd = {"BitDepth": 16, "Channels": 2, "SampleRate": 44100}
    codecs = {
        "wav": {"Codec": "WAV", "WavSettings": {**cd, "Format": "RIFF"}},
        "flac": {"Codec": "FLAC", "FlacSettings": cd},
    }
    expected = {
        "Role": ROLE,
        "Queue": QUEUE,
        "ClientRequestToken": OUR_ID,
        "UserMetadata": {"env": "prod", "transcode_job": OUR_ID},
        "Settings": {
            "TimecodeConfig": {"Source": "ZEROBASED"},
            "Inputs": [
                {
                    "FileInput": "s3://files/media/uploads/u/source",
                    "TimecodeSource": "ZEROBASED",
                    "AudioSelectors": {"Audio Selector 1": {"DefaultSelection": "DEFAULT"}},
                }
            ],
            "OutputGroups": [
                {
                    "Name": name,
                    "OutputGroupSettings": {
                        "Type": "FILE_GROUP_SETTINGS",
                        "FileGroupSettings": {"Destination": f"s3://files/{PREFIX}/{name}"},
                    },
                    "Outputs": [
                        {
                            "ContainerSettings": {"Container": "RAW"},
                            "AudioDescriptions": [
                                {"AudioSourceName": "Audio Selector 1", "CodecSettings": codec}
                            ],
                            "Extension": name,
                        }
                    ],
                }
                for name, codec in codecs.items()
            ],
        },
    }
    answer = {"Job": {"Id": JOB_ID, "Role": ROLE, "Settings": {}}}
    stubber.add_response("create_job", answer, expected)
    assert engine.create_job(replace(ORDER, outputs=ALL[:2])) == JOB_ID


def test_every_format_makes_a_request_that_the_service_model_takes():
    for outputs in [*([one] for one in ALL), ALL]:
        for clip in (None, Clip(1500, 30_000), Clip(0)):
            assert problems("CreateJob", request(outputs=outputs, clip=clip)) == []


def test_files_go_exactly_where_their_rows_say():
    assert paths(request()) == [f"s3://files/{wanted.key}" for wanted in ALL]


def test_a_dollar_in_a_key_is_no_variable_and_the_source_keeps_its_name():
    made = request(Source("in$box/$d$"), [Wanted("out$/$fn$.wav", FORMATS["wav"])])
    assert paths(made) == ["s3://files/out$$/$$fn$$.wav"]
    assert made["Settings"]["Inputs"][0]["FileInput"] == "s3://files/in$box/$d$"


@pytest.mark.parametrize(
    ("clip", "clipping"),
    [
        (Clip(1500), {"StartTimecode": "00:00:01:50"}),
        (Clip(0, 30_750), {"StartTimecode": "00:00:00:00", "EndTimecode": "00:00:30:75"}),
        (
            Clip(3_599_994, 82_800_000),
            {"StartTimecode": "00:59:59:99", "EndTimecode": "23:59:59:99"},
        ),
        (Clip(59_995), {"StartTimecode": "00:01:00:00"}),
    ],
)
def test_a_clip_is_cut_at_hundredths_of_a_second(clip, clipping):
    made = request(outputs=ALL[1:], clip=clip)
    assert made["Settings"]["Inputs"][0]["InputClippings"] == [clipping]
    assert problems("CreateJob", made) == []


def test_the_formats_are_those_of_the_examples():
    """Same containers and codecs; the examples' own bit rates, names and storage aside."""
    for name, example in (
        ("wav", "audio_wav"),
        ("flac", "audio_flac"),
        ("mp4", "audio_m4a_aac"),
        ("mp3", "audio_mp3"),
    ):
        [group] = EXAMPLES["create_job"][example]["request"]["Settings"]["OutputGroups"]
        [expected] = group["Outputs"]
        made = request(outputs=[Wanted(f"x/y.{expected['Extension']}", FORMATS[name])])
        assert made["Settings"]["OutputGroups"][0]["Outputs"] == [expected]


# --- entries that nobody is offered yet -----------------------------------------------------------


def entry_of(group: dict) -> Wanted:
    """Return what, with an entry of our table, stands for an example's output group."""
    settings = copy.deepcopy(group["OutputGroupSettings"])
    kind = settings["Type"]
    [inner] = [value for name, value in settings.items() if name != "Type"]
    stem = inner.pop("Destination").removeprefix("s3://app-renditions-example/")
    outputs = tuple(
        MediaConvertOutput(
            container=output["ContainerSettings"],
            audio=next((one["CodecSettings"] for one in output.get("AudioDescriptions", [])), None),
            video=output.get("VideoDescription"),
            settings=output.get("OutputSettings"),
            modifier=output.get("NameModifier", ""),
        )
        for output in group["Outputs"]
    )
    if kind == "FILE_GROUP_SETTINGS":
        [output] = group["Outputs"]
        key = f"{stem}{output.get('NameModifier', '')}.{output['Extension']}"
    else:
        key = f"{stem}.m3u8"
    table_entry = MediaConvertGroup(outputs, kind, inner)
    return Wanted(key, replace(FORMATS["wav"], name=group["Name"], mediaconvert=table_entry))


@pytest.mark.parametrize(
    "name", [name for name in EXAMPLES["create_job"] if name != "audio_three_files"]
)
def test_every_request_of_the_examples_can_be_made_of_entries_alone(name):
    """HLS, MP4 video and stills too: they will be entries of the table, and no code."""
    expected = EXAMPLES["create_job"][name]["request"]["Settings"]
    outputs = [entry_of(group) for group in expected["OutputGroups"]]
    key = expected["Inputs"][0]["FileInput"].removeprefix("s3://app-uploads-example/")
    made = request(Source(key), outputs, bucket="app-renditions-example")
    assert problems("CreateJob", made) == []
    made["Settings"]["Inputs"][0]["FileInput"] = expected["Inputs"][0]["FileInput"]
    assert made["Settings"] == expected


def test_three_files_are_three_groups_here_for_their_names_have_nothing_in_common():
    """The example's one group with three modifiers stores beside ``audio``; ours under any name."""
    [group] = EXAMPLES["create_job"]["audio_three_files"]["request"]["Settings"]["OutputGroups"]
    keys = [
        path.removeprefix("s3://app-renditions-example/")
        for path in EXAMPLES["create_job"]["audio_three_files"]["expected_paths"]
    ]
    formats = [FORMATS[name] for name in ("wav", "flac", "mp4")]
    made = request(outputs=[Wanted(*one) for one in zip(keys, formats, strict=True)])
    assert paths(made) == [f"s3://files/{key}" for key in keys]
    for ours, theirs in zip(made["Settings"]["OutputGroups"], group["Outputs"], strict=True):
        expected = {name: value for name, value in theirs.items() if name != "NameModifier"}
        assert ours["Outputs"] == [expected]


# --- the walk through the model ---------------------------------------------------------------


@pytest.mark.parametrize("name", EXAMPLES["create_job"])
def test_the_examples_pass_the_walk(name):
    assert problems("CreateJob", EXAMPLES["create_job"][name]["request"]) == []


def test_the_supporting_calls_of_the_examples_pass_the_walk():
    calls = [call for call in EXAMPLES["supporting_calls"] if call["service"] == "mediaconvert"]
    assert len(calls) == 5
    for call in calls:
        assert problems(call["operation"], call["params"]) == []


def wrong(change) -> list[str]:
    made = copy.deepcopy(request())
    change(made, made["Settings"])
    return problems("CreateJob", made)


def codec(settings: dict, number: int, name: str) -> dict:
    output = settings["OutputGroups"][number]["Outputs"][0]
    return output["AudioDescriptions"][0]["CodecSettings"][name]


@pytest.mark.parametrize(
    "change",
    [
        lambda job, _: job.pop("Role"),
        lambda job, _: job.update(Colour="red"),
        lambda job, _: job.update(Priority=51),
        lambda _, s: s["OutputGroups"][0]["Outputs"][0]["ContainerSettings"].update(Container="X"),
        lambda _, s: codec(s, 0, "WavSettings").update(BitDepth=32),
        lambda _, s: codec(s, 1, "FlacSettings").update(SampleRate=8000),
        lambda _, s: codec(s, 2, "AacSettings").update(Bitrate=250_000),
        lambda _, s: codec(s, 2, "AacSettings").update(Bitrate=32_000),
        lambda _, s: codec(s, 3, "Mp3Settings").update(Bitrate="192k"),
        lambda _, s: s["Inputs"][0].update(FileInput="s3:/files/key"),
        lambda _, s: s["Inputs"][0].update(InputClippings=[{"StartTimecode": "1.5"}]),
    ],
)
def test_the_walk_notices_what_the_service_would_refuse(change):
    assert wrong(change)


# --- refused before anything is sent ------------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("aiff", "pcm_s16be"),
        ("mov", "alac"),
        ("matroska", "vorbis"),
        ("wav", "adpcm_ms"),
        ("ogg", "speex"),
        ("asf", "wmalossless"),
        ("flv", "aac"),
        ("mxf", "pcm_s24le"),
        ("ape", "ape"),
    ],
)
def test_a_source_that_mediaconvert_does_not_read_is_refused_unsent(container, codec):
    service = Service()
    with pytest.raises(TranscoderRejected) as caught:
        engine_with(service.client).create_job(Order(OUR_ID, Source("k", container, codec), ALL))
    assert caught.value.reason == "unsupported_here"
    assert codec in caught.value.detail
    assert service.requests == []


@pytest.mark.parametrize(("container", "is_read"), [("mov", True), ("aiff", False), ("", True)])
def test_a_container_alone_may_say_that_nothing_in_it_is_read(container, is_read):
    assert (MediaConvert.refusal(Order("", Source("k", container))) is None) == is_read


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("wav", "pcm_s16le"),
        ("wav", "pcm_f32le"),
        ("wav", "gsm_ms"),
        ("flac", "flac"),
        ("mp3", "mp3"),
        ("mov", "aac"),
        ("mov", "pcm_s24be"),
        ("aac", "aac"),
        ("ogg", "opus"),
        ("ogg", "vorbis"),
        ("matroska", "opus"),
        ("asf", "wmav2"),
        ("mpegts", "mp2"),
        ("", ""),  # not looked at yet: the service will say
    ],
)
def test_a_source_that_mediaconvert_reads_is_sent(container, codec):
    service = Service()
    engine_with(service.client).create_job(Order(OUR_ID, Source("k", container, codec), ALL))
    assert len(service.jobs) == 1


@pytest.mark.parametrize("channels", [3, 6])
def test_more_channels_than_a_result_has_are_refused(channels):
    with pytest.raises(TranscoderRejected, match="2 channels at most") as caught:
        request(replace(SOURCE, channels=channels), ALL[3:])
    assert caught.value.reason == "unsupported_here"


def test_a_wav_of_more_than_four_gibibytes_is_refused_and_its_flac_is_not():
    hours = replace(SOURCE, duration_ms=7 * 3600 * 1000)
    with pytest.raises(TranscoderRejected) as caught:
        request(hours)
    assert caught.value.reason == "too_long"
    assert request(hours, ALL[1:])
    assert request(hours, clip=Clip(3600 * 1000))
    assert request(hours, clip=Clip(0, 6 * 3600 * 1000))


def test_a_clip_of_a_video_is_refused_for_its_times_would_be_frames():
    video = replace(SOURCE, container="mov", codec="aac", has_video=True)
    with pytest.raises(TranscoderRejected, match="between its frames") as caught:
        request(video, clip=Clip(1500, 30_000))
    assert caught.value.reason == "unsupported_here"
    assert request(video)
    for without in (False, None):  # None: nobody has looked
        assert request(replace(video, has_video=without), clip=Clip(1500, 30_000))


def test_a_clip_beyond_the_clock_is_refused():
    with pytest.raises(TranscoderRejected):
        request(clip=Clip(24 * 3600 * 1000, 3600 * 1000))


# --- calls --------------------------------------------------------------------------------------


def test_nothing_is_called_or_looked_for_at_construction(settings, monkeypatch):
    def refuse(*_: object):
        raise AssertionError("a connection, or a look for credentials")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(boto3.session, "Session", refuse)
    MediaConvert.from_settings("eu-west-1", "Audio Files")


def test_the_client_has_boto3s_credentials_and_stated_limits(settings, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-the-usual-place")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    settings.TRANSCODER_TIMEOUT = 7.0
    made = MediaConvert.from_settings("eu-west-1", "Audio Files").client
    assert made._request_signer._credentials.access_key == "from-the-usual-place"
    config = made.meta.config
    assert (config.connect_timeout, config.read_timeout) == (3.0, 7.0)
    assert (config.retries["mode"], config.retries["total_max_attempts"]) == ("standard", 3)
    assert made.meta.endpoint_url == "https://mediaconvert.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "BadRequestException", TranscoderRejected),
        (402, "ServiceQuotaExceededException", TranscoderRejected),
        (403, "ForbiddenException", TranscoderRejected),
        (403, "AccessDeniedException", TranscoderRejected),
        (403, "ExpiredTokenException", TranscoderUnavailable),
        (404, "NotFoundException", TranscoderRejected),
        (409, "ConflictException", TranscoderUnavailable),
        (429, "TooManyRequestsException", TranscoderUnavailable),
        (500, "InternalServerErrorException", TranscoderUnavailable),
        (503, "ServiceUnavailable", TranscoderUnavailable),
    ],
)
def test_k8_k9_errors_of_mediaconvert_say_whether_to_repeat(status, code, error):
    service = Service()
    service.answers = [(status, code)]
    with pytest.raises(error, match=code):
        engine_with(service.client).create_job(ORDER)


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://mediaconvert"),
        ReadTimeoutError(endpoint_url="https://mediaconvert"),
        NoCredentialsError(),
    ],
)
def test_k8_no_answer_from_mediaconvert_is_repeated(error):
    service = Service()
    service.answers = [error, error, error]
    engine = engine_with(service.client)
    for call in (
        lambda: engine.create_job(ORDER),
        lambda: engine.find_job(OUR_ID),
        lambda: engine.read_job(JOB_ID),
    ):
        with pytest.raises(TranscoderUnavailable):
            call()


@pytest.mark.parametrize("body", NONSENSE)
def test_k8_an_answer_of_mediaconvert_that_makes_no_sense_is_none(body):
    engine = engine_with(lambda: answering(Service().client(), body))
    for call in (
        lambda: engine.create_job(ORDER),
        lambda: engine.read_job(JOB_ID),
    ):
        with pytest.raises(TranscoderUnavailable):
            call()
    for call in (engine.find_job, engine.cancel_job):
        with contextlib.suppress(TranscoderUnavailable):
            assert call(OUR_ID) is None


@pytest.mark.parametrize("words", ["Signature expired: 20260302", "Signature not yet current"])
def test_k8_a_clock_that_is_wrong_is_put_right_some_day(stubbed, words):
    engine, stubber = stubbed
    stubber.add_client_error("get_job", "InvalidSignatureException", words, http_status_code=403)
    with pytest.raises(TranscoderUnavailable):
        engine.read_job(JOB_ID)


def test_k10_the_same_order_within_a_minute_is_one_job():
    service = Service()
    engine = engine_with(service.client)
    assert engine.create_job(ORDER) == engine.create_job(ORDER)
    assert len(service.jobs) == 1


def test_k10_an_unanswered_order_is_found_by_our_id_among_many():
    service = Service()
    engine = engine_with(service.client)
    wanted = engine.create_job(ORDER)
    for number in range(25):
        engine.create_job(replace(ORDER, our_id=f"another-{number}"))
    service.requests.clear()
    assert engine.find_job(OUR_ID) == wanted
    assert service.requests == [("GET", "/2017-08-29/jobs")] * 2
    assert engine.find_job("nobody's") is None


def test_k11_a_job_that_mediaconvert_forgot_reads_as_none():
    assert engine_with(Service().client).read_job(JOB_ID) is None


def test_a_job_that_cannot_be_read_for_want_of_rights_is_no_forgotten_job():
    service = Service()
    service.answers = [(403, "AccessDeniedException")]
    with pytest.raises(TranscoderRejected):
        engine_with(service.client).read_job(JOB_ID)


def test_a_job_that_runs_is_canceled_and_one_that_is_over_or_unknown_is_left():
    service = Service()
    engine = engine_with(service.client)
    engine_id = engine.create_job(ORDER)
    service.jobs[engine_id]["status"] = "PROGRESSING"
    engine.cancel_job(engine_id)
    assert engine.read_job(engine_id).status == "Canceled"
    engine.cancel_job(engine_id)
    engine.cancel_job("1790000000000-nobody")
    service.answers = [(403, "AccessDeniedException"), (503, "ServiceUnavailable")]
    with pytest.raises(TranscoderRejected):
        engine.cancel_job(engine_id)
    with pytest.raises(TranscoderUnavailable):
        engine.cancel_job(engine_id)


# --- reports ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", MODEL.shape_for("JobStatus").enum)
def test_every_status_of_a_job_is_read(status):
    service = Service()
    engine = engine_with(service.client)
    engine_id = engine.create_job(ORDER)
    service.jobs[engine_id]["status"] = status
    expected = {"CANCELED": "Canceled", "SUBMITTED": "Submitted", "PROGRESSING": "Progressing"}
    expected |= {"COMPLETE": "Complete", "ERROR": "Error"}
    report = engine.read_job(engine_id)
    assert (report.engine_id, report.our_id) == (engine_id, OUR_ID)
    assert report.status == expected[status]


def test_a_complete_job_names_the_keys_of_its_order_with_lengths_and_notes():
    service = Service()
    engine = engine_with(service.client)
    engine_id = engine.create_job(
        replace(ORDER, outputs=[*ALL, Wanted("a$b/c.wav", FORMATS["wav"])])
    )
    service.jobs[engine_id].update(
        status="COMPLETE",
        timing={"submitTime": 1772446500, "startTime": 1772446510, "finishTime": 1772446530},
        outputGroupDetails=[{"outputDetails": [{"durationInMs": ms}]} for ms in range(1000, 1004)],
        warnings=[{"code": 230006, "count": 2}, {"code": 230001, "count": 1}],
    )
    report = engine.read_job(engine_id)
    assert [output.key for output in report.outputs] == [*(one.key for one in ALL), "a$b/c.wav"]
    assert [o.duration_ms for o in report.outputs] == [1000, 1001, 1002, 1003, None]
    assert {output.detail for output in report.outputs} == {
        "Part of the sound could not be decoded."
    }
    assert report.started_at == datetime(2026, 3, 2, 10, 15, 10, tzinfo=UTC)


def test_a_failed_job_says_why():
    service = Service()
    engine = engine_with(service.client)
    engine_id = engine.create_job(ORDER)
    service.fail(engine_id, 1030)
    report = engine.read_job(engine_id)
    assert (report.reason, report.detail) == ("unsupported_here", "1030: because")


def parse(document: object, **values: str):
    given = {"queue": QUEUE, "env": ENV, "bucket": "app-renditions-example", **values}
    return reports.of_event(document, datetime(2000, 1, 1, tzinfo=UTC), **given)


@pytest.mark.parametrize("name", EXAMPLES["events"])
def test_n28_every_event_of_the_examples_is_understood(name):
    expected = {"COMPLETE": "Complete", "ERROR": "Error", "CANCELED": "Canceled"}
    expected |= {"QUEUE_HOP": "Submitted"}
    document = EXAMPLES["events"][name]
    report = parse(document)
    assert report.engine_id == JOB_ID
    assert report.status == expected.get(document["detail"]["status"], "Progressing")
    assert report.at == datetime(2026, 3, 2, 10, 15, 30, 123000, tzinfo=UTC)


def test_n28_the_event_in_the_example_of_an_sns_message_is_understood():
    document = json.loads(EXAMPLES["sns_notification_example"]["Message"])
    assert parse(document).status == "Complete"


def test_n28_what_was_stored_is_named_by_path():
    run = "transcoded/3f6c1b0e-6a52-4b5e-9d5e-0c7b2f1f9a10/run-0001"
    files = parse(EXAMPLES["events"]["COMPLETE_audio_files"]).outputs
    assert [(output.key, output.duration_ms) for output in files] == [
        (f"{run}/audio-wav.wav", 184320),
        (f"{run}/audio-flac.flac", 184320),
        (f"{run}/audio-aac.m4a", 184343),
    ]
    streams = parse(EXAMPLES["events"]["COMPLETE_hls_audio"]).outputs
    assert [output.key for output in streams] == [
        f"{run}/hls/index{rung}.m3u8" for rung in ("", "-064k", "-128k", "-256k")
    ]
    video = parse(EXAMPLES["events"]["COMPLETE_video"]).outputs
    assert f"{run}/mp4/video-720p.mp4" in [output.key for output in video]
    assert parse(EXAMPLES["events"]["COMPLETE_audio_files"], bucket="another").outputs == ()


def test_n28_progress_and_input_are_passed_on():
    assert parse(EXAMPLES["events"]["STATUS_UPDATE_video"]).progress == 17
    assert parse(EXAMPLES["events"]["STATUS_UPDATE_audio_only_minimal"]).progress is None
    told = parse(EXAMPLES["events"]["INPUT_INFORMATION"], bucket="app-uploads-example")
    assert told.input_key == "uploads/3f6c1b0e-6a52-4b5e-9d5e-0c7b2f1f9a10/source"
    assert told.sound == SoundReport("pcm", 2, 44100)
    assert parse(EXAMPLES["events"]["PROGRESSING"]).sound is None


@pytest.mark.parametrize("audio", [None, 7, [], [7], {"codec": "PCM"}])
def test_n28_an_input_without_sound_tracks_tells_of_no_sound(audio):
    document = changed("INPUT_INFORMATION", detail={"inputDetails": [{"audio": audio}]})
    assert parse(document).sound is None


@pytest.mark.parametrize(
    "track",
    [
        {},
        {"codec": ["PCM"], "channels": "2", "sampleRate": 44100.0},
        {"codec": "<b>" * 20, "channels": True, "sampleRate": 10**30},
        {"codec": "PCM\0", "channels": 0, "sampleRate": -1},
    ],
)
def test_n28_nonsense_of_a_sound_track_is_left_out(track):
    document = changed("INPUT_INFORMATION", detail={"inputDetails": [{"audio": [track]}]})
    assert parse(document).sound == SoundReport()


def changed(name: str = "COMPLETE_audio_files", **changes) -> dict:
    document = copy.deepcopy(EXAMPLES["events"][name])
    detail = changes.pop("detail", {})
    return {**document, **changes, "detail": {**document["detail"], **detail}}


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "aws.mediaconvert.fake"},
        {"detail-type": "MediaConvert Queue Hop"},
        {"account": "444455556666"},
        {"account": None},
        {"detail": {"accountId": "444455556666"}},
        {"detail": {"queue": f"{QUEUE}-of-another"}},
        {"detail": {"userMetadata": {"env": "test"}}},
        {"detail": {"userMetadata": {}}},
        {"detail": {"userMetadata": None}},
        {"detail": {"jobId": 7}},
        {"detail": {"status": "A_NEW_ONE"}},
        {"detail": {"status": ["COMPLETE"]}},
    ],
)
def test_n28_events_of_others_and_unknown_ones_are_ignored(changes):
    assert parse(changed(**changes)) is None


def test_n28_without_a_queue_in_the_settings_no_event_is_ours():
    document = changed(account="", detail={"accountId": "", "queue": ""})
    assert parse(document, queue="") is None


@pytest.mark.parametrize("document", [None, 7, "x", [], {}, {"detail-type": reports.DETAIL_TYPE}])
def test_n28_what_is_no_event_is_none(document):
    assert parse(document) is None


@pytest.mark.parametrize(
    "detail",
    [
        {"outputGroupDetails": None, "warnings": 7},
        {"outputGroupDetails": [None, 7, {"outputDetails": "x"}, {"playlistFilePaths": [7]}]},
        {"outputGroupDetails": [{"outputDetails": [{"outputFilePaths": [None, ["s3://"]]}]}]},
        {"warnings": [None, {"code": [1]}, {"code": "9" * 5000}], "timestamp": "yesterday"},
        {"timestamp": 10**30, "inputDetails": [{"uri": 7}], "jobProgress": [17]},
    ],
)
def test_n28_nonsense_inside_an_event_is_left_out(detail):
    report = parse(changed(detail=detail))
    assert report.status == "Complete"
    assert all(output.key.startswith("transcoded/") for output in report.outputs)


def test_n28_lengths_that_are_none_and_paths_elsewhere_are_not_believed():
    stored = {"outputFilePaths": ["s3://app-renditions-example/a.wav"], "durationInMs": -1}
    foreign = {"outputFilePaths": ["s3://app-renditions-example.evil/a.wav", "https://a/b"]}
    group = {"type": "FILE_GROUP", "outputDetails": [stored, foreign]}
    [output] = parse(changed(detail={"outputGroupDetails": [group]})).outputs
    assert (output.key, output.duration_ms) == ("a.wav", None)


def test_n28_warnings_that_people_must_know_of_become_notes():
    warnings = [{"code": "240000", "count": 1}, {"code": 220000}, {"code": 230001, "count": 1}]
    [first, *_] = parse(changed(detail={"warnings": warnings})).outputs
    assert first.detail == (
        "The source ended before it should have. Silence was put in where the source had a gap."
    )


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1010, "damaged"),
        ("1021", "no_audio"),
        (1030, "unsupported_here"),
        (1076, "damaged"),
        (1404, "lost"),
        (1040, "internal"),
        (1433, "internal"),
        (1999, "internal"),
        (None, "internal"),
        ("none", "internal"),
        (True, "internal"),
    ],
)
def test_n28_error_codes_become_reasons(code, reason):
    report = parse(changed("ERROR", detail={"errorCode": code, "errorMessage": "words"}))
    assert (report.status, report.reason) == ("Error", reason)
    assert report.detail == f"{code}: words"


def test_a_loudness_and_a_bit_rate_are_what_the_service_model_takes():
    for name in ("mp3", "mp4"):
        format = FORMATS[name]
        for kbps in format.bitrates_kbps:
            wanted = Wanted(f"{PREFIX}/x.{format.extension}", format, kbps)
            made = requests.request(
                Order(OUR_ID, SOURCE, [wanted], target_lufs=-16),
                env=ENV, role=ROLE, queue=QUEUE, bucket="files",
            )  # fmt: skip
            assert problems("CreateJob", made) == []
            [described] = made["Settings"]["OutputGroups"][0]["Outputs"][0]["AudioDescriptions"]
            [settings] = [one for one in described["CodecSettings"].values() if one != name.upper()
                          and isinstance(one, dict)]  # fmt: skip
            assert settings["Bitrate"] == kbps * 1000
            assert described["AudioNormalizationSettings"]["TargetLkfs"] == -16
    wanted = Wanted(f"{PREFIX}/x.flac", FORMATS["flac"])
    assert "AudioNormalizationSettings" not in str(request(outputs=[wanted]))


def test_a_softness_and_an_aac_rate_beyond_the_api_become_the_nearest_that_it_has():
    wanted = Wanted(f"{PREFIX}/x.mp4", FORMATS["mp4"], 130)
    made = requests.request(
        Order(OUR_ID, SOURCE, [wanted], target_lufs=-70),
        env=ENV, role=ROLE, queue=QUEUE, bucket="files",
    )  # fmt: skip
    assert problems("CreateJob", made) == []
    [described] = made["Settings"]["OutputGroups"][0]["Outputs"][0]["AudioDescriptions"]
    assert described["CodecSettings"]["AacSettings"]["Bitrate"] == 128_000
    assert described["AudioNormalizationSettings"]["TargetLkfs"] == -59


@pytest.mark.parametrize(
    ("rate", "channels", "made_rate"),
    [(96_000, 1, 96_000), (8000, 2, 22_050), (None, None, 44_100)],
)
def test_what_is_called_lossless_keeps_rate_and_channels_and_no_bit_is_cut(
    rate, channels, made_rate
):
    wanted = Wanted(f"{PREFIX}/x.flac", FORMATS["flac-exact"])
    source = Source("a", container="wav", sample_rate_hz=rate, channels=channels)
    made = request(source, [wanted])
    assert problems("CreateJob", made) == []
    [output] = made["Settings"]["OutputGroups"][0]["Outputs"]
    settings = output["AudioDescriptions"][0]["CodecSettings"]["FlacSettings"]
    assert settings == {"BitDepth": 24, "SampleRate": made_rate, "Channels": channels or 2}
