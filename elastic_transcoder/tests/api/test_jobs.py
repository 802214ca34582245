import time

import pytest
from django.db import OperationalError, connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from elastic_transcoder.models import Job, JobOutput, Pipeline
from elastic_transcoder.tests.api.conftest import (
    HLS_AUDIO,
    MP3_192K,
    MP4_AAC,
    PIPELINE,
    VIDEO,
    WAV_CD,
    client_for,
    order,
)
from elastic_transcoder.tests.api.plans import plan_of, reads_of
from elastic_transcoder.tests.api.shapes import assert_answer
from elastic_transcoder.tests.api.test_custom_presets import PRESET
from tests.at_once import at_once

TWO_OUTPUTS = [
    {"Key": "interview.mp3", "PresetId": MP3_192K},
    {"Key": "interview.wav", "PresetId": WAV_CD},
]


def test_a_job_is_answered_whole_with_nulls_for_what_is_unset(call, pipeline_id):
    body = order(
        pipeline_id,
        Outputs=TWO_OUTPUTS,
        OutputKeyPrefix="renditions/42/",
        UserMetadata={"rendition_order": "42"},
    )
    response = call("POST", "/jobs", body)
    assert response.status_code == 201
    assert_answer("CreateJob", response.members)
    job = response.members["Job"]
    job_input = {
        "Key": "uploads/interview.wav",
        "FrameRate": None,
        "Resolution": None,
        "AspectRatio": None,
        "Interlaced": None,
        "Container": None,
        "Encryption": None,
        "TimeSpan": None,
        "InputCaptions": None,
        "DetectedProperties": None,
    }
    output = {
        "Id": "1",
        "Key": "interview.mp3",
        "ThumbnailPattern": None,
        "ThumbnailEncryption": None,
        "Rotate": None,
        "PresetId": MP3_192K,
        "SegmentDuration": None,
        "Status": "Submitted",
        "StatusDetail": None,
        "Duration": None,
        "Width": None,
        "Height": None,
        "FrameRate": None,
        "FileSize": None,
        "DurationMillis": None,
        "Watermarks": [],
        "AlbumArt": None,
        "Composition": None,
        "Captions": None,
        "Encryption": None,
        "AppliedColorSpaceConversion": None,
        "Sound": None,
        "LoudnessTarget": None,
    }
    submitted = job["Timing"]["SubmitTimeMillis"]
    assert job == {
        "Id": job["Id"],
        "Arn": f"arn:aws:elastictranscoder:eu-west-1:000000000000:job/{job['Id']}",
        "PipelineId": pipeline_id,
        "Input": job_input,
        "Inputs": [job_input],
        "Output": output,
        "Outputs": [output, output | {"Id": "2", "Key": "interview.wav", "PresetId": WAV_CD}],
        "OutputKeyPrefix": "renditions/42/",
        "Playlists": [],
        "Status": "Submitted",
        "Progress": 0,
        "Tags": None,
        "Analysis": None,
        "UserMetadata": {"rendition_order": "42"},
        "Timing": {
            "SubmitTimeMillis": submitted,
            "StartTimeMillis": None,
            "FinishTimeMillis": None,
        },
    }
    assert 0 <= submitted - int(job["Id"][:13]) < 1000
    assert call("GET", f"/jobs/{job['Id']}").members == response.members


@pytest.mark.parametrize("inputs", ["Input", "Inputs"])
@pytest.mark.parametrize("outputs", ["Output", "Outputs"])
def test_both_forms_of_a_request_give_the_same_job(call, pipeline_id, inputs, outputs):
    job_input, output = {"Key": "a.wav"}, {"Key": "a.mp3", "PresetId": MP3_192K}
    body = {
        "PipelineId": pipeline_id,
        inputs: job_input if inputs == "Input" else [job_input],
        outputs: output if outputs == "Output" else [output],
    }
    job = call("POST", "/jobs", body).members["Job"]
    assert job["Inputs"] == [job["Input"]]
    assert job["Outputs"] == [job["Output"]]
    assert (job["Input"]["Key"], job["Output"]["Key"]) == ("a.wav", "a.mp3")
    assert (job["OutputKeyPrefix"], job["UserMetadata"]) == (None, None)


def test_the_hints_of_the_guides_example_are_taken_and_given_back(call, pipeline_id):
    hints = dict.fromkeys(
        ("FrameRate", "Resolution", "AspectRatio", "Interlaced", "Container"), "auto"
    )
    response = call("POST", "/jobs", order(pipeline_id, Input={"Key": "a.wav", **hints}))
    assert response.status_code == 201
    assert response.members["Job"]["Input"].items() >= hints.items()


def test_an_output_keeps_a_copy_of_its_presets_settings(call, pipeline_id):
    call("POST", "/jobs", order(pipeline_id))
    assert JobOutput.objects.get().preset == {
        "Container": "mp3",
        "Audio": {"Codec": "mp3", "SampleRate": "44100", "BitRate": "192", "Channels": "2"},
    }


def test_what_means_nothing_for_sound_is_kept_and_given_back(call, pipeline_id):
    output = {
        "Key": "a.mp3",
        "PresetId": MP3_192K,
        "Rotate": "90",
        "ThumbnailPattern": "",
        "Watermarks": [],
        "Composition": [],
        "Captions": {"CaptionFormats": []},
        "Encryption": {"Mode": "s3"},
    }
    response = call("POST", "/jobs", order(pipeline_id, Outputs=[output]))
    assert response.status_code == 201
    assert_answer("CreateJob", response.members)
    assert response.members["Job"]["Output"].items() >= output.items()


def test_progress_and_results_are_read_while_a_job_runs(call, pipeline_id):
    job_id = call("POST", "/jobs", order(pipeline_id, Outputs=TWO_OUTPUTS)).members["Job"]["Id"]
    row = Job.objects.get(pk=job_id)
    row.status, row.progress, row.start_time_ms = Job.Status.PROGRESSING, 57, 1700000001500
    row.inputs[0]["DetectedProperties"] = {"FileSize": 20704314, "DurationMillis": 117353}
    row.save()
    row.outputs.filter(number=1).update(
        status=Job.Status.COMPLETE, duration_ms=117353, size_bytes=2816000
    )
    row.outputs.filter(number=2).update(status=Job.Status.ERROR, status_detail="3002 x: taken")
    answer = call("GET", f"/jobs/{job_id}").members
    assert_answer("ReadJob", answer)
    job = answer["Job"]
    assert (job["Progress"], job["Timing"]["StartTimeMillis"]) == (57, 1700000001500)
    assert job["Input"]["DetectedProperties"] == {
        "Width": None,
        "Height": None,
        "FrameRate": None,
        "FileSize": 20704314,
        "DurationMillis": 117353,
    }
    first, second = job["Outputs"]
    assert (first["Duration"], first["DurationMillis"], first["FileSize"]) == (118, 117353, 2816000)
    assert (second["Status"], second["StatusDetail"]) == ("Error", "3002 x: taken")


@pytest.mark.parametrize(
    "key",
    ["Grüße aus 東京 🎧.mp3", "../../etc/passwd", "a//b/./c", "%2e%2e/+ &?#.mp3", "\x01\n\t", "é"],
)
def test_keys_are_opaque_text(call, pipeline_id, key):
    body = order(pipeline_id, Input={"Key": key}, Outputs=[{"Key": key, "PresetId": MP3_192K}]) | {
        "OutputKeyPrefix": key
    }
    job = call("POST", "/jobs", body).members["Job"]
    assert job == call("GET", f"/jobs/{job['Id']}").members["Job"]
    assert {job["Input"]["Key"], job["Output"]["Key"], job["OutputKeyPrefix"]} == {key}


def test_d12_the_longest_values_fit_their_columns(call):
    longest = {
        "Name": "🎧" * 40,
        "InputBucket": "b" * 255,
        "OutputBucket": "b" * 255,
        "Role": PIPELINE["Role"].ljust(255, "x"),
        "AwsKmsKeyArn": "🎧" * 255,
        "Notifications": {"Error": "arn:aws:sns:eu-west-1:000000000000:t".ljust(255, "x")},
    }
    created = call("POST", "/pipelines", longest)
    assert created.status_code == 201
    for prefix, key in (("🎧" * 255, "k" * 4), ("p" * 4, "🎧" * 255)):  # 1,024 bytes together
        body = order(
            created.members["Pipeline"]["Id"],
            Input={"Key": "🎧" * 1024},
            Outputs=[{"Key": key, "PresetId": MP3_192K}],
            OutputKeyPrefix=prefix,
        )
        assert call("POST", "/jobs", body).status_code == 201
        body["Outputs"][0]["Key"] = f"{key}k"[-255:] if len(key) < 255 else key
        body["OutputKeyPrefix"] = prefix if len(key) < 255 else f"{prefix}p"
        assert call("POST", "/jobs", body).status_code == 400
    for model in (Pipeline, Job, JobOutput):
        for row in model.objects.all():
            row.full_clean(exclude={"playlists", "user_metadata", "options"})


def test_non_ascii_keys_travel_through_boto3(boto):
    pipeline_id = boto.create_pipeline(**PIPELINE)["Pipeline"]["Id"]
    body = order(pipeline_id, Input={"Key": "Grüße/東京 🎧.wav"})
    job_id = boto.create_job(**body)["Job"]["Id"]
    assert boto.read_job(Id=job_id)["Job"]["Input"]["Key"] == "Grüße/東京 🎧.wav"


def test_the_transcoder_is_nudged_after_the_commit(
    call, pipeline_id, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks() as nudges:
        call("POST", "/jobs", order(pipeline_id))
    assert [nudge.args for nudge in nudges] == [("transcode",)]


def test_a_refused_job_leaves_nothing_and_nudges_nobody(
    call, pipeline_id, django_capture_on_commit_callbacks
):
    outputs = [*TWO_OUTPUTS, {"Key": "x", "PresetId": "1351620000001-999999"}]
    with django_capture_on_commit_callbacks() as nudges:
        response = call("POST", "/jobs", order(pipeline_id, Outputs=outputs))
    assert response.error == "ResourceNotFoundException"
    assert (Job.objects.count(), JobOutput.objects.count(), nudges) == (0, 0, [])


def test_a_missing_pipeline_is_told_before_a_missing_preset(call):
    outputs = [{"Key": "x", "PresetId": "1351620000001-999999"}]
    response = call("POST", "/jobs", order("1600000000000-def456", Outputs=outputs))
    assert (response.status_code, response.error) == (404, "ResourceNotFoundException")
    assert "pipelineId=1600000000000-def456." in response.members["message"]


def test_a_withdrawn_preset_still_works(call, pipeline_id):
    outputs = [{"Key": "x.mp4", "PresetId": "1351620000001-100140"}]
    response = call("POST", "/jobs", order(pipeline_id, Outputs=outputs))
    assert response.status_code == 201
    assert response.members["Job"]["Output"]["PresetId"] == "1351620000001-100140"


def test_a_video_preset_is_refused_in_one_sentence(call, pipeline_id):
    response = call(
        "POST", "/jobs", order(pipeline_id, Outputs=[{"Key": "x.mp4", "PresetId": VIDEO}])
    )
    assert (response.status_code, response.error) == (400, "ValidationException")
    assert response.members["message"] == (
        f"outputs.1.member.presetId: preset {VIDEO} (System preset: Generic 720p) makes video;"
        " this server makes sound only."
    )


def output_with(**members):
    return {"Outputs": [{"Key": "a.mp3", "PresetId": MP3_192K, **members}]}


def input_with(**members):
    return {"Input": {"Key": "a.wav", **members}}


def art_with(**members):
    artwork = {"InputKey": "cover.jpg", **members}
    return output_with(AlbumArt={"MergePolicy": "Replace", "Artwork": [artwork]})


ART = {"MergePolicy": "Replace", "Artwork": [{"InputKey": "cover.jpg"}]}
AES = {"Mode": "aes-gcm", "Key": "QUJD", "KeyMd5": "QUJD", "InitializationVector": "QUJD"}
SOURCE = {"Key": "a.srt", "Language": "en"}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (input_with(InputCaptions={"CaptionSources": [SOURCE]}), "input.inputCaptions"),
        (input_with(Encryption=AES), "input.encryption"),
        (
            {"Input": None, "Inputs": [{"Key": "a"}, {"Key": "b", "Encryption": AES}]},
            "inputs.2.member.encryption",
        ),
        (
            output_with(Watermarks=[{"PresetWatermarkId": "x", "InputKey": "a.png"}]),
            "outputs.1.member.watermarks",
        ),
        (
            output_with(Captions={"CaptionFormats": [{"Format": "srt"}]}),
            "outputs.1.member.captions",
        ),
        (output_with(Encryption=AES), "outputs.1.member.encryption"),
        (output_with(ThumbnailEncryption=AES), "outputs.1.member.thumbnailEncryption"),
        (
            output_with(AlbumArt=ART | {"Artwork": [{"InputKey": "a.png", "Encryption": AES}]}),
            "outputs.1.member.albumArt.artwork.1.member.encryption",
        ),
        (
            {"Playlists": [{"Name": "x", "Format": "Smooth", "OutputKeys": ["interview.mp3"]}]},
            "playlists.1.member.format",
        ),
        (
            {
                "Playlists": [
                    {
                        "Name": "x",
                        "Format": "HLSv3",
                        "OutputKeys": ["interview.mp3"],
                        "PlayReadyDrm": {"Format": "discretix-3.0"},
                    }
                ]
            },
            "playlists.1.member.playReadyDrm",
        ),
    ],
)
def test_what_is_not_done_here_is_refused_by_name(call, pipeline_id, changed, named):
    response = call("POST", "/jobs", order(pipeline_id, **changed))
    assert (response.status_code, response.error) == (400, "ValidationException")
    assert named in response.members["message"]
    assert "not supported" in response.members["message"]
    assert not Job.objects.exists()


def test_several_inputs_and_their_clips_are_kept_in_order(call, pipeline_id):
    inputs = [
        {"Key": "a.wav", "TimeSpan": {"StartTime": "00:00:01.500", "Duration": "2"}},
        {"Key": "b.wav", "TimeSpan": {}},
        {"Key": "a.wav", "Encryption": {"Mode": "s3-aws-kms"}},
    ]
    response = call("POST", "/jobs", order(pipeline_id, Input=None, Inputs=inputs))
    assert response.status_code == 201
    assert_answer("CreateJob", response.members)
    job = response.members["Job"]
    assert [one["TimeSpan"] for one in job["Inputs"]] == [inputs[0]["TimeSpan"], {}, None]
    assert job["Input"] == job["Inputs"][0]
    assert Job.objects.get().inputs == inputs


def test_two_hundred_inputs_are_taken(call, pipeline_id):
    inputs = [{"Key": f"{number}.wav"} for number in range(200)]
    response = call("POST", "/jobs", order(pipeline_id, Input=None, Inputs=inputs))
    assert len(response.members["Job"]["Inputs"]) == 200


def test_a_composition_is_kept_and_given_back(call, pipeline_id):
    composition = [{"TimeSpan": {"StartTime": "1:30", "Duration": "86399.999"}}]
    response = call("POST", "/jobs", order(pipeline_id, **output_with(Composition=composition)))
    assert response.status_code == 201
    assert_answer("CreateJob", response.members)
    assert response.members["Job"]["Output"]["Composition"] == composition


@pytest.mark.parametrize("preset_id", ["1351620000001-300020", "1351620000001-300110", MP4_AAC])
def test_album_art_is_taken_for_mp3_flac_and_mp4(call, pipeline_id, preset_id):
    artwork = {
        "InputKey": "cover.jpeg",
        "MaxWidth": "auto",
        "MaxHeight": "3072",
        "SizingPolicy": "Fit",
        "PaddingPolicy": "Pad",
        "AlbumArtFormat": "png",
        "Encryption": {"Mode": "s3"},
    }
    art = {"MergePolicy": "Prepend", "Artwork": [artwork] * 20}
    outputs = [{"Key": "a", "PresetId": preset_id, "AlbumArt": art}]
    response = call("POST", "/jobs", order(pipeline_id, Outputs=outputs))
    assert response.status_code == 201
    assert_answer("CreateJob", response.members)
    assert response.members["Job"]["Output"]["AlbumArt"] == art
    assert JobOutput.objects.get().options["AlbumArt"] == art


def test_empty_album_art_is_taken_with_every_container(call, pipeline_id):
    outputs = [{"Key": "a.wav", "PresetId": WAV_CD, "AlbumArt": {}}]
    assert call("POST", "/jobs", order(pipeline_id, Outputs=outputs)).status_code == 201


@pytest.mark.parametrize(
    ("given", "answered"),
    [("10", "10.0"), ("10.", "10.0"), ("1.50", "1.5"), ("00060.00000", "60.0")],
)
def test_a_segment_duration_comes_back_as_a_decimal(call, pipeline_id, given, answered):
    outputs = [{"Key": "a", "PresetId": HLS_AUDIO, "SegmentDuration": given}]
    response = call("POST", "/jobs", order(pipeline_id, Outputs=outputs))
    assert response.members["Job"]["Output"]["SegmentDuration"] == answered
    job_id = response.members["Job"]["Id"]
    assert call("GET", f"/jobs/{job_id}").members == response.members


@pytest.mark.parametrize("mode", ["s3", "s3-aws-kms"])
def test_s3s_own_encryption_is_taken_for_inputs_and_outputs(call, pipeline_id, mode):
    encryption = {"Mode": mode}
    body = order(
        pipeline_id, **(input_with(Encryption=encryption) | output_with(Encryption=encryption))
    )
    job = call("POST", "/jobs", body).members["Job"]
    assert job["Input"]["Encryption"] == job["Output"]["Encryption"] == encryption


TWO_INPUTS = {"Input": None, "Inputs": [{"Key": "a"}, {"Key": "b"}]}


PATTERN = "Member must satisfy regular expression pattern"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"PipelineId": None}, "Value null at 'pipelineId' failed to satisfy constraint"),
        ({"PipelineId": "x"}, f"Value 'x' at 'pipelineId' failed to satisfy constraint: {PATTERN}"),
        ({"Inputs": [{"Key": "a"}]}, "Input and Inputs are mutually exclusive."),
        ({"Input": None}, "Input and Inputs are not allowed to both be null or empty."),
        ({"Input": None, "Inputs": []}, "Input and Inputs are not allowed to both be null"),
        ({"Input": None, "Inputs": [None]}, "Value null at 'inputs.1.member'"),
        ({"Input": None, "Inputs": [{"Key": "a"}] * 201}, "length less than or equal to 200"),
        ({"Input": {}}, "Value null at 'input.key' failed to satisfy constraint: Member must not"),
        (input_with(Key=""), "Value '' at 'input.key'"),
        (input_with(Key="x" * 1025), "Member must have length less than or equal to 1024"),
        (input_with(Key="a\x00b"), "at 'input.key' failed to satisfy constraint: Member must hold"),
        (input_with(Key="\ud800"), "at 'input.key' failed to satisfy constraint: Member must hold"),
        (
            input_with(FrameRate="12"),
            f"Value '12' at 'input.frameRate' failed to satisfy constraint: {PATTERN}",
        ),
        (input_with(Resolution="big"), "at 'input.resolution'"),
        (input_with(Resolution="640x480"), "input.resolution must be 'auto'."),
        (input_with(AspectRatio="5:4"), "at 'input.aspectRatio'"),
        (input_with(Interlaced="maybe"), "at 'input.interlaced'"),
        (input_with(Container="exe"), "at 'input.container'"),
        (input_with(TimeSpan={"StartTime": "soon"}), "at 'input.timeSpan.startTime'"),
        (input_with(Encryption={"Mode": "rot13"}), "at 'input.encryption.mode'"),
        (
            {"Output": {"Key": "a", "PresetId": MP3_192K}},
            "Output and Outputs are mutually exclusive.",
        ),
        ({"Outputs": None}, "Output and Outputs are not allowed to both be null or empty."),
        ({"Outputs": []}, "Output and Outputs are not allowed to both be null or empty."),
        ({"Outputs": TWO_OUTPUTS * 16}, "Member must have length less than or equal to 30"),
        (
            {"Outputs": [{"PresetId": MP3_192K}]},
            "Value null at 'outputs.1.member.key' failed to satisfy constraint",
        ),
        ({"Outputs": [{"Key": "a"}]}, "Value null at 'outputs.1.member.presetId'"),
        ({"Outputs": None, "Output": {}}, "Value null at 'output.key'"),
        (output_with(Key="x" * 256), "Member must have length less than or equal to 255"),
        (output_with(PresetId="mp3"), "Value 'mp3' at 'outputs.1.member.presetId'"),
        (output_with(PresetId="1351620000001-30002\uff10"), "at 'outputs.1.member.presetId'"),
        (output_with(ThumbnailPattern="thumb"), "at 'outputs.1.member.thumbnailPattern'"),
        (
            output_with(ThumbnailPattern="{count}" * 99999 + "\n"),
            "outputs.1.member.thumbnailPattern",
        ),
        (output_with(Rotate="45"), "at 'outputs.1.member.rotate'"),
        (output_with(SegmentDuration="long"), "at 'outputs.1.member.segmentDuration'"),
        (output_with(AlbumArt={"Artwork": [{"InputKey": "a.gif"}]}), "artwork.1.member.inputKey'"),
        (output_with(Encryption={"Mode": "s3", "Key": "!"}), "outputs.1.member.encryption.key'"),
        (
            {"Outputs": [TWO_OUTPUTS[0], TWO_OUTPUTS[0]]},
            "Output keys must be unique within a job; 'interview.mp3' is given 2 times.",
        ),
        ({"OutputKeyPrefix": ""}, "at 'outputKeyPrefix'"),
        ({"OutputKeyPrefix": "x" * 256}, "at 'outputKeyPrefix'"),
        ({"Playlists": [{"Format": "HLSv5"}]}, "at 'playlists.1.member.format'"),
        (
            input_with(TimeSpan={"Duration": "0"}),
            "input.timeSpan.duration must be longer than zero",
        ),
        (input_with(TimeSpan={"Duration": "00:00:00.000"}), "duration must be longer than zero"),
        (input_with(TimeSpan={"Duration": "86400"}), "timeSpan.duration must be at most 86399.999"),
        (input_with(TimeSpan={"StartTime": "99999"}), "input.timeSpan.startTime must be at most"),
        (
            {"Input": None, "Inputs": [{"Key": "a"}, {"Key": "b", "TimeSpan": {"Duration": "0"}}]},
            "inputs.2.member.timeSpan.duration must be longer than zero",
        ),
        (
            output_with(Composition=[{"TimeSpan": {"Duration": "0"}}]),
            "outputs.1.member.composition.1.member.timeSpan.duration must be longer than zero",
        ),
        (output_with(Composition=[{}, {}]), "outputs.1.member.composition may hold one clip, 2"),
        (
            TWO_INPUTS | output_with(Composition=[{"TimeSpan": {"StartTime": "1"}}]),
            "outputs.1.member.composition cannot be used with several inputs.",
        ),
        (
            input_with(TimeSpan={"StartTime": "1"})
            | output_with(Composition=[{"TimeSpan": {"StartTime": "1"}}]),
            "outputs.1.member.composition and timeSpan of an input are mutually exclusive.",
        ),
        (
            output_with(SegmentDuration="10"),
            "segmentDuration is only for presets with container ts",
        ),
        (
            output_with(PresetId=HLS_AUDIO, SegmentDuration="0.99999"),
            "outputs.1.member.segmentDuration must be from 1 to 60 seconds.",
        ),
        (output_with(PresetId=HLS_AUDIO, SegmentDuration="60.00001"), "must be from 1 to 60"),
        (
            output_with(PresetId=WAV_CD, AlbumArt={"MergePolicy": "Replace"}),
            "outputs.1.member.albumArt is only for presets with container flac, mp3 or mp4",
        ),
        (output_with(PresetId=HLS_AUDIO, AlbumArt=ART), "outputs.1.member.albumArt is only for"),
        (output_with(LoudnessTarget="-4.99"), "loudnessTarget must be from -70 to -5 LUFS."),
        (output_with(LoudnessTarget="-70.1"), "loudnessTarget must be from -70 to -5 LUFS."),
        (output_with(LoudnessTarget="-16.123"), "outputs.1.member.loudnessTarget'"),
        (output_with(LoudnessTarget="nan"), "outputs.1.member.loudnessTarget'"),
        (output_with(LoudnessTarget="16"), "outputs.1.member.loudnessTarget'"),
        (
            TWO_INPUTS | output_with(LoudnessTarget="-16"),
            "outputs.1.member.loudnessTarget cannot be used with several inputs.",
        ),
        (output_with(AlbumArt={"Artwork": []}), "albumArt.mergePolicy must be given"),
        (
            output_with(AlbumArt=ART | {"Artwork": [{}]}),
            "Value null at 'outputs.1.member.albumArt.artwork.1.member.inputKey'",
        ),
        (
            output_with(AlbumArt=ART | {"Artwork": ART["Artwork"] * 21}),
            "outputs.1.member.albumArt.artwork may hold 20 pictures, 21 were given.",
        ),
        (art_with(MaxWidth="4098"), "artwork.1.member.maxWidth must be 'auto' or an even number"),
        (art_with(MaxWidth="33"), "artwork.1.member.maxWidth must be 'auto' or an even number"),
        (art_with(MaxHeight="30"), "artwork.1.member.maxHeight must be 'auto' or an even number"),
        (art_with(MaxHeight="3074"), "maxHeight must be 'auto' or an even number from 32 to 3072"),
        (art_with(SizingPolicy="Squash"), "artwork.1.member.sizingPolicy'"),
        ({"Playlists": [{}]}, "Value null at 'playlists.1.member.name'"),
        ({"UserMetadata": {str(n): "" for n in range(11)}}, "may hold 10 pairs, 11 were given"),
        ({"UserMetadata": {"": "x"}}, "key '' must have 1 to 128 characters"),
        ({"UserMetadata": {"k" * 129: "x"}}, "must have 1 to 128 characters"),
        ({"UserMetadata": {"k": "v" * 257}}, "value of 'k' is longer than 256 characters"),
        ({"UserMetadata": {"k": "naïve"}}, "userMetadata pair 'k' may hold only"),
        ({"UserMetadata": {"k\n": "v"}}, "may hold only"),
    ],
)
def test_a_job_that_breaks_a_rule_is_refused_with_the_members_name(
    call, pipeline_id, changed, message
):
    response = call("POST", "/jobs", order(pipeline_id, **changed))
    assert (response.status_code, response.error) == (400, "ValidationException")
    assert message in response.members["message"]
    assert not Job.objects.exists()


def test_tags_and_analysis_are_answered_as_they_were_asked(call, pipeline_id):
    tags = {"title": "Zażółć 🎧" + "x" * 491, "artist": "", "track": "3/12"}
    body = order(pipeline_id, Tags=tags, Analysis={"CoverKey": "cover"})
    created = call("POST", "/jobs", body)
    assert created.status_code == 201
    assert_answer("CreateJob", created.members)
    read = call("GET", f"/jobs/{created.members['Job']['Id']}")
    for job in (created.members["Job"], read.members["Job"]):
        assert (job["Tags"], job["Analysis"]) == (tags, {"CoverKey": "cover"})
    job = Job.objects.get()
    assert (job.tags, job.analysis_asked, job.analysis) == (tags, {"CoverKey": "cover"}, None)


def test_an_analysis_without_members_is_asked_for_all_the_same(call, pipeline_id):
    assert call("POST", "/jobs", order(pipeline_id, Analysis={})).members["Job"]["Analysis"] == {}
    assert (
        call("POST", "/jobs", order(pipeline_id, Analysis=None)).members["Job"]["Analysis"] is None
    )


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"Tags": {"genre": "x"}}, "Value 'genre' at 'tags.key' failed"),
        ({"Tags": {"title": "x" * 501}}, "length less than or equal to 500"),
        ({"Tags": {"title": "a\nb"}}, "tags.title must not hold control characters."),
        ({"Tags": {"album": "a\x7f"}}, "tags.album must not hold control characters."),
        ({"Tags": {"artist": "a\u2028b"}}, "tags.artist must not hold control characters."),
        ({"Tags": {"title": "a\x00"}}, "not NUL"),
        ({"Analysis": {"CoverKey": ""}}, "at 'analysis.coverKey' failed"),
        ({"Analysis": {"CoverKey": "k" * 256}}, "at 'analysis.coverKey' failed"),
    ],
)
def test_bad_tags_and_cover_keys_are_refused(call, pipeline_id, members, sentence):
    response = call("POST", "/jobs", order(pipeline_id, **members))
    assert (response.status_code, response.headers["x-amzn-ErrorType"]) == (
        400,
        "ValidationException",
    )
    assert sentence in response.members["message"]
    assert not Job.objects.exists()


@pytest.mark.parametrize("members", [{"Tags": ["x"]}, {"Tags": {"title": 7}}, {"Analysis": "x"}])
def test_tags_and_analysis_of_another_type_are_refused(call, pipeline_id, members):
    response = call("POST", "/jobs", order(pipeline_id, **members))
    assert response.headers["x-amzn-ErrorType"] == "SerializationException"


def test_a_cover_is_not_stored_where_a_result_goes(call, pipeline_id):
    body = order(pipeline_id, Outputs=TWO_OUTPUTS, Analysis={"CoverKey": "interview.mp3"})
    response = call("POST", "/jobs", body)
    assert response.status_code == 400
    assert "would both be stored as 'interview.mp3'" in response.members["message"]


def test_metadata_at_its_limits_is_taken(call, pipeline_id):
    metadata = {f"{n}{'k' * 127}": "v 0_.:/=+-%@" + "v" * 244 for n in range(10)}
    response = call("POST", "/jobs", order(pipeline_id, UserMetadata=metadata))
    assert response.status_code == 201
    assert response.members["Job"]["UserMetadata"] == metadata


def test_a_waiting_job_is_canceled_with_its_outputs(call, pipeline_id):
    job_id = call("POST", "/jobs", order(pipeline_id, Outputs=TWO_OUTPUTS)).members["Job"]["Id"]
    response = call("DELETE", f"/jobs/{job_id}")
    assert (response.status_code, response.members) == (202, {"Success": "true"})
    job = call("GET", f"/jobs/{job_id}").members["Job"]
    assert [job["Status"], *(o["Status"] for o in job["Outputs"])] == ["Canceled"] * 3
    assert job["Timing"]["StartTimeMillis"] is None
    assert job["Timing"]["FinishTimeMillis"] >= job["Timing"]["SubmitTimeMillis"]


@pytest.mark.parametrize("status", ["Progressing", "Complete", "Error", "Canceled"])
def test_k13_a_job_that_no_longer_waits_is_not_canceled(call, pipeline_id, status):
    job_id = call("POST", "/jobs", order(pipeline_id)).members["Job"]["Id"]
    Job.objects.update(status=status)
    response = call("DELETE", f"/jobs/{job_id}")
    assert (response.status_code, response.error) == (409, "ResourceInUseException")
    assert response.members["message"] == (
        f"The job was already in use: accountId=000000000000, resourceId={job_id}."
    )
    assert Job.objects.get().status == status
    assert JobOutput.objects.get().status == "Submitted"


def test_an_unknown_or_malformed_job_is_told(call):
    for method in ("GET", "DELETE"):
        unknown = call(method, "/jobs/1600000000000-def456")
        assert (unknown.status_code, unknown.error) == (404, "ResourceNotFoundException")
        assert unknown.members["message"] == (
            "The specified job was not found: account=000000000000, jobId=1600000000000-def456."
        )
        assert call(method, "/jobs/nonsense").status_code == 400


def make_jobs(pipeline_id, count, *, status="Submitted", start_ms=None):
    start_ms = start_ms or time.time_ns() // 1_000_000 - count
    jobs = [
        Job(
            id=f"{start_ms + number:013d}-abc123",
            pipeline_id=pipeline_id,
            status=status,
            inputs=[{"Key": "a.wav"}],
            submit_time_ms=start_ms + number,
        )
        for number in range(count)
    ]
    Job.objects.bulk_create(jobs)
    JobOutput.objects.bulk_create(
        JobOutput(job=job, number=1, key="a.mp3", preset_id=MP3_192K, preset={}) for job in jobs
    )
    return [job.id for job in jobs]


@pytest.mark.parametrize("path", ["/jobsByPipeline/{}", "/jobsByStatus/Submitted"])
@pytest.mark.parametrize("ascending", [None, "true", "false"])
def test_jobs_are_listed_page_by_page_while_new_ones_come(call, pipeline_id, path, ascending):
    ids = make_jobs(pipeline_id, 120)
    path = path.format(pipeline_id)
    listed, token = [], None
    while True:
        query = {"Ascending": ascending, "PageToken": token}
        text = "&".join(f"{name}={value}" for name, value in query.items() if value)
        answer = call("GET", f"{path}?{text}").members
        assert_answer("ListJobsByPipeline", answer)
        listed += [job["Id"] for job in answer["Jobs"]]
        token = answer["NextPageToken"]
        if token is None:
            break
        call("POST", "/jobs", order(pipeline_id))
    if ascending == "true":
        assert listed[:120] == ids
    else:
        assert listed == ids[::-1]
    assert len(listed) == len(set(listed))


def test_a_page_of_jobs_takes_a_fixed_number_of_queries(
    call, pipeline_id, django_assert_max_num_queries
):
    make_jobs(pipeline_id, 60)
    with django_assert_max_num_queries(4):
        assert len(call("GET", f"/jobsByPipeline/{pipeline_id}").members["Jobs"]) == 50


def test_an_order_takes_as_few_queries_for_thirty_outputs_as_for_one(
    call, pipeline_id, django_assert_max_num_queries
):
    presets = [call("POST", "/presets", PRESET).members["Preset"]["Id"] for _ in range(30)]
    for count in (1, 30):
        outputs = [{"Key": f"{n}.mp3", "PresetId": presets[n]} for n in range(count)]
        # Key, presets, queue, pipeline, job, outputs, and the transaction's begin and end.
        with django_assert_max_num_queries(8):
            response = call("POST", "/jobs", order(pipeline_id, Outputs=outputs))
        assert len(response.members["Job"]["Outputs"]) == count


def test_lists_hold_their_own_pipeline_and_status_only(call, pipeline_id):
    other = call("POST", "/pipelines", PIPELINE).members["Pipeline"]["Id"]
    mine = make_jobs(pipeline_id, 1, status="Complete", start_ms=time.time_ns() // 1_000_000 - 9000)
    make_jobs(other, 1)
    by_pipeline = call("GET", f"/jobsByPipeline/{pipeline_id}").members["Jobs"]
    by_status = call("GET", "/jobsByStatus/Complete").members["Jobs"]
    assert [job["Id"] for job in by_pipeline] == [job["Id"] for job in by_status] == mine


def test_jobs_older_than_six_months_are_read_but_not_listed(call, pipeline_id):
    (job_id,) = make_jobs(pipeline_id, 1, start_ms=1700000000000)
    assert call("GET", f"/jobsByPipeline/{pipeline_id}").members["Jobs"] == []
    assert call("GET", f"/jobs/{job_id}").members["Job"]["Id"] == job_id


@pytest.mark.parametrize(
    ("path", "status", "named"),
    [
        ("/jobsByStatus/submitted", 400, "at 'status'"),
        ("/jobsByStatus/", 400, "at 'status'"),
        ("/jobsByPipeline/x", 400, "at 'pipelineId'"),
        ("/jobsByPipeline/1600000000000-def456", 404, "pipelineId=1600000000000-def456"),
        ("/jobsByStatus/Complete?Ascending=yes", 400, "at 'ascending'"),
        ("/jobsByStatus/Complete?PageToken=2", 400, "at 'pageToken'"),
        ("/jobsByStatus/Complete?PageToken=", 400, "at 'pageToken'"),
        ("/jobsByStatus/Complete?PageToken=%00%FF", 400, "at 'pageToken'"),
    ],
)
def test_a_list_asked_for_wrongly_is_told(call, path, status, named):
    response = call("GET", path)
    assert response.status_code == status
    assert named in response.members["message"]


@pytest.mark.parametrize("operation", ["jobs_by_pipeline", "jobs_by_status"])
def test_boto3s_paginators_find_every_job(boto, operation):
    pipeline_id = boto.create_pipeline(**PIPELINE)["Pipeline"]["Id"]
    ids = make_jobs(pipeline_id, 101)
    which = {"PipelineId": pipeline_id} if "pipeline" in operation else {"Status": "Submitted"}
    pages = boto.get_paginator(f"list_{operation}").paginate(**which)
    assert [job["Id"] for page in pages for job in page["Jobs"]] == ids[::-1]


def test_d4_of_ten_cancels_at_once_exactly_one_succeeds(endpoint):
    client = client_for(endpoint)
    pipeline_id = client.create_pipeline(**PIPELINE)["Pipeline"]["Id"]
    job_id = client.create_job(**order(pipeline_id))["Job"]["Id"]

    def cancel():
        try:
            client.cancel_job(Id=job_id)
        except client.exceptions.ResourceInUseException:
            return "in use"
        return "canceled"

    assert sorted(at_once(*[cancel] * 10)) == ["canceled", *["in use"] * 9]


def test_d3_a_locked_database_is_a_503_and_leaves_no_half_job(endpoint, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    client = client_for(endpoint)
    pipeline_id = client.create_pipeline(**PIPELINE)["Pipeline"]["Id"]

    def fail(*arguments, **options):
        raise OperationalError("database is locked")

    monkeypatch.setattr(JobOutput.objects, "bulk_create", fail)
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.create_job(**order(pipeline_id))
    assert refused.value.response["Error"]["Code"] == "ServiceUnavailable"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert not Job.objects.exists()


@pytest.mark.parametrize("token", ["", "&PageToken=1700000000000-abc123"])
@pytest.mark.parametrize("ascending", ["true", "false"])
@pytest.mark.parametrize(
    ("path", "index"),
    [("/jobsByPipeline/{}", "job_pipeline"), ("/jobsByStatus/Complete", "job_status")],
)
def test_a_list_of_jobs_comes_out_of_an_index_in_its_order(
    call, pipeline_id, path, index, ascending, token
):
    with CaptureQueriesContext(connection) as asked:
        call("GET", f"{path.format(pipeline_id)}?Ascending={ascending}{token}")
    [sql] = reads_of("elastic_transcoder_job", asked)
    assert f"USING INDEX {index} " in plan_of(sql)
    assert "TEMP B-TREE" not in plan_of(sql)


@override_settings(TRANSCODER_ACCOUNT_ID="123456789012", AWS_REGION="us-east-1")
def test_arns_carry_the_configured_account_and_region(call, pipeline_id):
    job = call("POST", "/jobs", order(pipeline_id)).members["Job"]
    assert job["Arn"] == f"arn:aws:elastictranscoder:us-east-1:123456789012:job/{job['Id']}"
