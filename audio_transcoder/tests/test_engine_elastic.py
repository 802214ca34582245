"""The Elastic Transcoder engine: exact requests, plain answers, our errors."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from botocore.stub import Stubber

from audio_transcoder.engines.base import (
    Clip,
    Order,
    Source,
    TranscoderRejected,
    TranscoderUnavailable,
    Wanted,
)
from audio_transcoder.engines.elastic import ElasticTranscoder
from audio_transcoder.formats import FORMATS
from audio_transcoder.tests.nonsense import NONSENSE, answering
from elastic_transcoder.client import client

PIPELINE = {"Id": "1600000000000-def456", "Name": "Audio Files"}
JOB_ID = "1700000000000-abc123"


@pytest.fixture
def stubbed():
    api = client(
        endpoint_url="http://127.0.0.1:9",
        region_name="eu-west-1",
        access_key_id="k",
        secret_access_key="s",
    )
    with Stubber(api) as stubber:
        yield ElasticTranscoder(api, "Audio Files"), stubber
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize("body", NONSENSE)
def test_k8_an_answer_of_elastic_transcoder_that_makes_no_sense_is_none(stubbed, body):
    engine, stubber = stubbed
    stubber.deactivate()
    answering(engine.client, body)
    engine._pipeline_id = PIPELINE["Id"]
    for call in (
        lambda: engine.create_job(Order("our-id", Source("a"), [Wanted("b", FORMATS["wav"])])),
        lambda: engine.read_job(JOB_ID),
    ):
        with pytest.raises(TranscoderUnavailable):
            call()
    for name in ("pipeline_id", "find_job", "cancel_job"):
        engine._pipeline_id = None if name == "pipeline_id" else PIPELINE["Id"]
        with contextlib.suppress(TranscoderUnavailable):
            found = getattr(engine, name)
            assert name == "pipeline_id" or found("our-id") is None


def test_a_status_that_nobody_knows_says_no_more_than_that_it_goes_on(stubbed):
    engine, stubber = stubbed
    output = {"Id": "1", "Key": "a.wav", "Status": "Polishing"}
    job = {"Id": JOB_ID, "Status": "Polishing", "Outputs": [output]}
    stubber.add_response("read_job", {"Job": job}, {"Id": JOB_ID})
    report = engine.read_job(JOB_ID)
    assert (report.status, report.outputs[0].status) == ("Progressing", "Progressing")


def with_pipeline(stubber: Stubber) -> None:
    stubber.add_response("list_pipelines", {"Pipelines": [PIPELINE]}, {"Ascending": "true"})


def test_one_job_orders_all_outputs_and_carries_our_id(stubbed):
    engine, stubber = stubbed
    with_pipeline(stubber)
    stubber.add_response(
        "create_job",
        {"Job": {"Id": JOB_ID}},
        {
            "PipelineId": PIPELINE["Id"],
            "Input": {"Key": "media/uploads/u/source"},
            "Outputs": [
                {"Key": "media/renditions/u/j/wav.wav", "PresetId": "1351620000001-300300"},
                {"Key": "media/renditions/u/j/flac.flac", "PresetId": "1351620000001-300110"},
            ],
            "UserMetadata": {"transcode_job": "our-id"},
        },
    )
    outputs = [
        Wanted("media/renditions/u/j/wav.wav", FORMATS["wav"]),
        Wanted("media/renditions/u/j/flac.flac", FORMATS["flac"]),
    ]
    order = Order("our-id", Source("media/uploads/u/source"), outputs)
    assert engine.create_job(order) == JOB_ID


@pytest.mark.parametrize(
    ("clip", "span"),
    [
        (Clip(1500), {"StartTime": "1.500"}),
        (Clip(0, 86_399_999), {"StartTime": "0.000", "Duration": "86399.999"}),
    ],
)
def test_a_clip_is_a_time_span_of_the_input(stubbed, clip, span):
    engine, stubber = stubbed
    with_pipeline(stubber)
    stubber.add_response(
        "create_job",
        {"Job": {"Id": JOB_ID}},
        {
            "PipelineId": PIPELINE["Id"],
            "Input": {"Key": "media/k", "TimeSpan": span},
            "Outputs": [{"Key": "media/o.wav", "PresetId": "1351620000001-300300"}],
            "UserMetadata": {"transcode_job": "me"},
        },
    )
    wanted = [Wanted("media/o.wav", FORMATS["wav"])]
    engine.create_job(Order("me", Source("media/k"), wanted, clip))


def test_the_pipeline_is_looked_up_once_through_all_pages(stubbed):
    engine, stubber = stubbed
    first = {"Pipelines": [{**PIPELINE, "Name": "Video"}], "NextPageToken": "1600000000000-aaaaaa"}
    stubber.add_response("list_pipelines", first, {"Ascending": "true"})
    stubber.add_response(
        "list_pipelines",
        {"Pipelines": [PIPELINE]},
        {"Ascending": "true", "PageToken": "1600000000000-aaaaaa"},
    )
    assert engine.pipeline_id == engine.pipeline_id == PIPELINE["Id"]


def test_k10_an_unanswered_order_is_found_by_our_id(stubbed):
    engine, stubber = stubbed
    with_pipeline(stubber)
    stubber.add_response(
        "list_jobs_by_pipeline",
        {
            "Jobs": [
                {"Id": "1700000000000-zzz999"},
                {"Id": JOB_ID, "UserMetadata": {"transcode_job": "me"}},
            ]
        },
        {"PipelineId": PIPELINE["Id"], "Ascending": "false"},
    )
    assert engine.find_job("me") == JOB_ID


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "ValidationException", TranscoderRejected),
        (403, "AccessDeniedException", TranscoderRejected),
        (429, "LimitExceededException", TranscoderUnavailable),
        (500, "InternalServiceException", TranscoderUnavailable),
        (503, "ServiceUnavailable", TranscoderUnavailable),
    ],
)
def test_k8_k9_errors_say_whether_to_repeat(stubbed, status, code, error):
    engine, stubber = stubbed
    with_pipeline(stubber)
    stubber.add_client_error("create_job", code, "because", http_status_code=status)
    with pytest.raises(error, match=code):
        engine.create_job(Order("me", Source("media/k"), [Wanted("media/o", FORMATS["wav"])]))


def test_k11_a_forgotten_job_reads_as_none(stubbed):
    engine, stubber = stubbed
    stubber.add_client_error("read_job", "ResourceNotFoundException", "no", http_status_code=404)
    assert engine.read_job(JOB_ID) is None


def test_reading_and_noticing_give_the_same_report(stubbed):
    engine, stubber = stubbed
    detail = "4007 aa-bb: Decoding failed."
    output = {"Id": "1", "Key": "a.wav", "Status": "Error", "StatusDetail": detail}
    stubber.add_response(
        "read_job",
        {
            "Job": {
                "Id": JOB_ID,
                "Status": "Error",
                "OutputKeyPrefix": "media/",
                "Outputs": [output],
                "UserMetadata": {"transcode_job": "me"},
            }
        },
        {"Id": JOB_ID},
    )
    read = engine.read_job(JOB_ID)
    notice = {
        "state": "ERROR",
        "jobId": JOB_ID,
        "outputKeyPrefix": "media/",
        "outputs": [{"id": "1", "key": "a.wav", "status": "Error", "statusDetail": detail}],
        "userMetadata": {"transcode_job": "me"},
    }
    told = engine.parse_notice(notice, datetime.now(UTC))
    for report in (read, told):
        assert (report.engine_id, report.our_id, report.status) == (JOB_ID, "me", "Error")
        assert (report.reason, report.detail) == ("damaged", detail)
        assert report.outputs[0].key == "media/a.wav"


def test_a_reason_in_brackets_wins_over_the_code(stubbed):
    engine, _stubber = stubbed
    output = {"key": "a", "status": "Error", "statusDetail": "9999 aa: Took too long. [timed_out]"}
    document = {"state": "ERROR", "jobId": JOB_ID, "outputs": [output]}
    assert engine.parse_notice(document, datetime.now(UTC)).reason == "timed_out"


def test_cancelling_what_runs_already_is_no_error(stubbed):
    engine, stubber = stubbed
    stubber.add_client_error("cancel_job", "ResourceInUseException", "busy", http_status_code=409)
    engine.cancel_job(JOB_ID)


def test_tags_covers_and_the_wish_to_know_are_members_of_our_own(stubbed):
    engine, stubber = stubbed
    with_pipeline(stubber)
    artwork = {
        "InputKey": "media/c",
        "MaxWidth": "1400",
        "MaxHeight": "1400",
        "SizingPolicy": "ShrinkToFit",
        "PaddingPolicy": "NoPad",
        "AlbumArtFormat": "jpg",
    }
    stubber.add_response(
        "create_job",
        {"Job": {"Id": JOB_ID}},
        {
            "PipelineId": PIPELINE["Id"],
            "Input": {"Key": "media/k"},
            "Outputs": [
                {"Key": "o.wav", "PresetId": "1351620000001-300300"},
                {
                    "Key": "o.mp3",
                    "PresetId": "1351620000001-300020",
                    "AlbumArt": {"MergePolicy": "Replace", "Artwork": [artwork]},
                },
            ],
            "UserMetadata": {"transcode_job": "me"},
            "Tags": {"title": "New", "album": ""},
            "Analysis": {"CoverKey": "media/found"},
        },
    )
    wanted = [Wanted("o.wav", FORMATS["wav"]), Wanted("o.mp3", FORMATS["mp3"])]
    order = Order(
        "me",
        Source("media/k"),
        wanted,
        tags={"title": "New", "album": ""},
        cover_key="media/c",
        is_analysed=True,
        found_cover_key="media/found",
    )
    assert engine.create_job(order) == JOB_ID


def job_with(analysis: dict | None, sound: dict | None = None) -> dict:
    output = {"Id": "1", "Key": "a.mp3", "Status": "Complete", "Sound": sound}
    job = {"Id": JOB_ID, "Status": "Complete", "Outputs": [output], "Analysis": analysis}
    return {"Job": {name: value for name, value in job.items() if value is not None}}


def test_an_analysis_is_awaited_until_it_has_a_status(stubbed):
    engine, stubber = stubbed
    for analysis, is_awaited in ((None, False), ({"CoverKey": "c"}, True), ({}, True)):
        stubber.add_response("read_job", job_with(analysis, {}), {"Id": JOB_ID})
        report = engine.read_job(JOB_ID)
        assert (report.sound, report.awaits_facts) == (None, is_awaited)


def test_what_was_found_in_source_and_result_is_read(stubbed):
    engine, stubber = stubbed
    analysis = {
        "Status": "Complete",
        "CoverKey": "media/found",
        "Codec": "mp3",
        "SampleRateHz": 44100,
        "Channels": 2,
        "BitRateKbps": 192,
        "LoudnessLufs": -14.2,
        "TruePeakDbtp": -0.3,
        "Tags": {"title": "Found"},
        "Waveform": "AP8=",
    }
    sound = {"Codec": "flac", "IsFaithful": False, "Correlation": 0.99, "LostTags": ["mood"]}
    stubber.add_response("read_job", job_with(analysis, sound), {"Id": JOB_ID})
    report = engine.read_job(JOB_ID)
    assert report.sound.waveform == b"\x00\xff"
    assert (report.sound.loudness_lufs, report.sound.tags) == (-14.2, {"title": "Found"})
    assert (report.sound.cover_key, report.sound.bits) == ("media/found", None)
    [output] = report.outputs
    assert (output.sound.codec, output.sound.is_faithful, output.sound.correlation) == (
        "flac",
        False,
        0.99,
    )
    assert (output.sound.lost_tags, output.sound.has_cover) == (("mood",), None)
    assert not report.awaits_facts


BASE = {
    "Id": "1351620000001-300020",
    "Name": "System preset: Audio MP3 - 192 kilobits/second",
    "Container": "mp3",
    "Type": "System",
    "Audio": {"Codec": "mp3", "SampleRate": "44100", "BitRate": "192", "Channels": "2"},
}
OWN = {
    "Name": "MP3 128 kbit/s",
    "Container": "mp3",
    "Audio": {**BASE["Audio"], "BitRate": "128"},
}
ALIKE_BUT_NOT = {**OWN, "Id": "1-other", "Type": "Custom", "Container": "mp4"}


def with_bitrate(stubber: Stubber, preset_id: str) -> None:
    stubber.add_response(
        "create_job",
        {"Job": {"Id": JOB_ID}},
        {
            "PipelineId": PIPELINE["Id"],
            "Input": {"Key": "media/k"},
            "Outputs": [{"Key": "o.mp3", "PresetId": preset_id, "LoudnessTarget": "-16"}],
            "UserMetadata": {"transcode_job": "me"},
        },
    )


ORDER_128 = Order("me", Source("media/k"), [Wanted("o.mp3", FORMATS["mp3"], 128)], target_lufs=-16)


def test_a_bit_rate_of_its_own_is_a_preset_made_once(stubbed):
    engine, stubber = stubbed
    stubber.add_response("read_preset", {"Preset": BASE}, {"Id": BASE["Id"]})
    stubber.add_response("list_presets", {"Presets": [BASE, ALIKE_BUT_NOT]}, {"Ascending": "true"})
    stubber.add_response("create_preset", {"Preset": {**OWN, "Id": "1-new"}}, OWN)
    with_pipeline(stubber)
    for _ in range(2):
        with_bitrate(stubber, "1-new")
        engine.create_job(ORDER_128)


def test_what_keeps_the_source_is_a_preset_that_says_nothing_of_rate_and_depth(stubbed):
    engine, stubber = stubbed
    cd = {
        "Codec": "flac",
        "SampleRate": "44100",
        "Channels": "2",
        "CodecOptions": {"BitDepth": "16"},
    }
    base = {"Id": "1351620000001-300110", "Container": "flac", "Type": "System", "Audio": cd}
    own = {
        "Name": "FLAC 1:1",
        "Container": "flac",
        "Audio": {"Codec": "flac", "SampleRate": "auto", "Channels": "auto"},
    }
    stubber.add_response("read_preset", {"Preset": base}, {"Id": base["Id"]})
    stubber.add_response("list_presets", {"Presets": [base]}, {"Ascending": "true"})
    stubber.add_response("create_preset", {"Preset": {**own, "Id": "1-new"}}, own)
    assert engine._preset_id(Wanted("o.flac", FORMATS["flac-exact"])) == "1-new"
    assert engine._preset_id(Wanted("o.flac", FORMATS["flac"])) == base["Id"]


def test_a_preset_that_somebody_made_is_found_by_its_name_and_content(stubbed):
    engine, stubber = stubbed
    filled_in = {**OWN["Audio"], "AudioPackingMode": "SingleTrack"}
    there = {**OWN, "Id": "1-there", "Type": "Custom", "Audio": filled_in}
    stubber.add_response("read_preset", {"Preset": BASE}, {"Id": BASE["Id"]})
    stubber.add_response("list_presets", {"Presets": [ALIKE_BUT_NOT, there]}, {"Ascending": "true"})
    with_pipeline(stubber)
    with_bitrate(stubber, "1-there")
    engine.create_job(ORDER_128)


def test_a_preset_that_was_deleted_is_made_anew_at_the_next_attempt(stubbed):
    engine, stubber = stubbed
    key = (BASE["Id"], 128)
    engine._made_presets, engine._pipeline_id = {key: "1-gone"}, PIPELINE["Id"]
    stubber.add_client_error(
        "create_job",
        "ResourceNotFoundException",
        "The specified preset was not found: account=1, presetId=1-gone.",
        http_status_code=404,
    )
    with pytest.raises(TranscoderUnavailable):
        engine.create_job(ORDER_128)
    assert engine._made_presets == {}
