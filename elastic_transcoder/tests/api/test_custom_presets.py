"""Custom presets: made, read, listed among the system's, used by jobs, deleted."""

import pytest
from botocore.exceptions import ClientError

from elastic_transcoder.ids import new_id
from elastic_transcoder.models import Job, JobOutput, Preset
from elastic_transcoder.presets import system_presets
from elastic_transcoder.tests.api.conftest import MP3_192K, order
from elastic_transcoder.tests.api.shapes import assert_answer

AUDIO = {"Codec": "mp3", "SampleRate": "44100", "BitRate": "128", "Channels": "2"}
PRESET = {"Name": "mine", "Description": "speech", "Container": "mp3", "Audio": AUDIO}
H264 = {"Profile": "main", "Level": "3.1", "MaxReferenceFrames": "3"}
VIDEO = {
    "Codec": "H.264",
    "CodecOptions": H264,
    "KeyframesMaxDist": "90",
    "FixedGOP": "false",
    "BitRate": "2000",
    "FrameRate": "auto",
    "MaxWidth": "1280",
    "MaxHeight": "auto",
    "SizingPolicy": "Fit",
    "PaddingPolicy": "NoPad",
    "DisplayAspectRatio": "auto",
}
SYSTEM_IDS = [preset.id for preset in system_presets()]


def of_audio(container, codec, options=None, **members):
    audio = {**AUDIO, "Codec": codec, **members}
    if options is not None:
        audio["CodecOptions"] = options
    return {"Container": container, "Audio": audio}


def of_video(container="mp4", **members):
    return {"Container": container, "Audio": None, "Video": VIDEO | members}


def create(call, **changed):
    return call("POST", "/presets", PRESET | changed)


def test_a_preset_is_created_read_and_deleted(call):
    response = create(call)
    assert response.status_code == 201
    assert_answer("CreatePreset", response.members)
    preset = response.members["Preset"]
    assert preset == {
        "Id": preset["Id"],
        "Arn": f"arn:aws:elastictranscoder:eu-west-1:000000000000:preset/{preset['Id']}",
        "Name": "mine",
        "Description": "speech",
        "Container": "mp3",
        "Audio": AUDIO | {"AudioPackingMode": "SingleTrack"},
        "Video": None,
        "Thumbnails": None,
        "Type": "Custom",
    }
    assert response.members["Warning"] == ""
    read = call("GET", f"/presets/{preset['Id']}")
    assert (read.status_code, read.members) == (200, {"Preset": preset})
    deleted = call("DELETE", f"/presets/{preset['Id']}")
    assert (deleted.status_code, deleted.members) == (202, {"Success": "true"})
    for method in ("GET", "DELETE"):
        gone = call(method, f"/presets/{preset['Id']}")
        assert (gone.status_code, gone.error) == (404, "ResourceNotFoundException")


@pytest.mark.parametrize("preset_id", [MP3_192K, "1351620000001-100140", "1351620000001-000010"])
def test_a_system_preset_is_not_deleted_not_even_a_withdrawn_one(call, preset_id):
    response = call("DELETE", f"/presets/{preset_id}")
    assert (response.status_code, response.error) == (403, "AccessDeniedException")
    assert response.members["message"] == (
        f"Deleting a system preset is not allowed: account=000000000000, presetId={preset_id}."
    )
    assert call("GET", f"/presets/{preset_id}").status_code == 200


@pytest.mark.parametrize(
    ("members", "options"),
    [
        (of_audio("mp4", "AAC"), {"Profile": "AAC-LC"}),
        (of_audio("mp4", "AAC", {"Profile": "auto"}), {"Profile": "auto"}),
        (
            of_audio("wav", "pcm"),
            {"BitDepth": "16", "BitOrder": "LittleEndian", "Signed": "Signed"},
        ),
        (
            of_audio("wav", "pcm", {"BitDepth": "8"}),
            {"BitDepth": "8", "BitOrder": "LittleEndian", "Signed": "Unsigned"},
        ),
        (of_audio("flac", "flac", {"BitDepth": "24"}), {"BitDepth": "24"}),
        (of_audio("flac", "flac"), None),
        (of_audio("ogg", "vorbis"), None),
    ],
)
def test_what_was_left_out_is_filled_in(call, members, options):
    response = create(call, **members)
    assert response.status_code == 201
    audio = response.members["Preset"]["Audio"]
    assert audio.get("CodecOptions") == options
    assert audio["AudioPackingMode"] == "SingleTrack"
    assert response.members["Warning"] == ""


def test_a_lossless_preset_needs_no_bit_rate(call):
    audio = {"Codec": "pcm", "SampleRate": "auto", "Channels": "auto"}
    assert create(call, Container="wav", Audio=audio).status_code == 201


FITTING = {
    "flac": "flac",
    "flv": "AAC mp3",
    "fmp4": "AAC",
    "gif": "",
    "mp2": "mp2",
    "mp3": "mp3",
    "mp4": "AAC mp3",
    "mpg": "mp2",
    "mxf": "pcm",
    "oga": "flac vorbis",
    "ogg": "flac vorbis",
    "ts": "AAC mp3",
    "wav": "pcm",
    "webm": "vorbis",
}


@pytest.mark.parametrize("container", FITTING)
@pytest.mark.parametrize("codec", ["AAC", "flac", "mp2", "mp3", "pcm", "vorbis"])
def test_only_the_codecs_of_its_container_are_taken(call, container, codec):
    response = create(call, **of_audio(container, codec))
    if codec in FITTING[container].split():
        assert response.status_code == 201
    else:
        assert_refused(response, "audio")
        assert container in response.members["message"]


def assert_refused(response, message):
    assert (response.status_code, response.error) == (400, "ValidationException")
    assert message in response.members["message"]
    assert not Preset.objects.exists()


@pytest.mark.parametrize(
    ("codec", "container", "refused"),
    [
        ("mp3", "mp3", ["96000", "192000"]),
        ("mp2", "mp2", ["96000", "192000"]),
        ("AAC", "mp4", ["192000"]),
        ("vorbis", "ogg", ["192000"]),
        ("flac", "flac", []),
        ("pcm", "wav", []),
    ],
)
@pytest.mark.parametrize("rate", ["auto", "22050", "32000", "44100", "48000", "96000", "192000"])
def test_a_sample_rate_that_the_codec_cannot_write_is_refused(
    call, codec, container, refused, rate
):
    response = create(call, **of_audio(container, codec, SampleRate=rate))
    if rate in refused:
        assert_refused(response, f"audio.sampleRate: {codec} cannot be written at {rate} Hz.")
    else:
        assert response.status_code == 201


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"Name": None}, "Value null at 'name' failed"),
        ({"Name": "x" * 41}, "length less than or equal to 40"),
        ({"Description": "x" * 256}, "length less than or equal to 255"),
        ({"Container": "mkv"}, "Value 'mkv' at 'container' failed"),
        ({"Audio": None}, "A preset must have audio with channels, or video; neither was given."),
        ({"Audio": {}}, "Value null at 'audio.codec'"),
        ({"Audio": AUDIO | {"Channels": "0"}}, "A preset must have audio with channels, or video"),
        ({"Audio": AUDIO | {"Codec": "opus"}}, "Value 'opus' at 'audio.codec' failed"),
        ({"Audio": AUDIO | {"SampleRate": None}}, "Value null at 'audio.sampleRate' failed"),
        ({"Audio": AUDIO | {"SampleRate": "8000"}}, "Value '8000' at 'audio.sampleRate' failed"),
        ({"Audio": AUDIO | {"Channels": None}}, "Value null at 'audio.channels' failed"),
        ({"Audio": AUDIO | {"Channels": "6"}}, "Value '6' at 'audio.channels' failed"),
        ({"Audio": AUDIO | {"BitRate": None}}, "audio.bitRate must be given for mp3."),
        ({"Audio": AUDIO | {"BitRate": "0"}}, "audio.bitRate of mp3 must be from 64 to 320"),
        ({"Audio": AUDIO | {"BitRate": "63"}}, "audio.bitRate of mp3 must be from 64 to 320"),
        ({"Audio": AUDIO | {"BitRate": "321"}}, "audio.bitRate of mp3 must be from 64 to 320"),
        (of_audio("mp4", "AAC", BitRate="0"), "audio.bitRate of AAC must be from 1 to 320"),
        (
            of_audio("mp3", "mp3", {"Profile": "AAC-LC"}),
            "audio.codecOptions.profile is only for AAC, not for mp3.",
        ),
        (of_audio("mp4", "AAC", {"BitDepth": "16"}), "bitDepth is only for flac and pcm, not for"),
        (of_audio("flac", "flac", {"BitDepth": "32"}), "bitDepth of flac must be one of 16, 24."),
        (of_audio("flac", "flac", {"Signed": "Signed"}), "signed is only for pcm, not for flac."),
        (of_audio("ogg", "vorbis", {"BitOrder": "LittleEndian"}), "bitOrder is only for pcm"),
        (of_audio("wav", "pcm", {"BitOrder": "BigEndian"}), "'audio.codecOptions.bitOrder' failed"),
        (
            of_audio("wav", "pcm", AudioPackingMode="OneChannelPerTrack"),
            "audio.audioPackingMode other than SingleTrack is only for container mxf.",
        ),
    ],
)
def test_a_preset_that_breaks_a_rule_is_refused_and_leaves_nothing(call, members, message):
    assert_refused(create(call, **members), message)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (of_audio("mp4", "AAC", {"Profile": "HE-AAC"}, BitRate="48"), "no encoder for the profile"),
        (of_audio("mp4", "AAC", {"Profile": "HE-AACv2"}, BitRate="40"), "HE-AACv2"),
        (of_audio("wav", "pcm", {"BitDepth": "8", "Signed": "Signed"}), "become unsigned"),
        (of_audio("wav", "pcm", {"BitDepth": "24", "Signed": "Unsigned"}), "they become signed"),
        (of_audio("wav", "pcm", {"Signed": "Unsigned"}), "holds 16 bit samples as signed"),
        (of_audio("mp3", "mp3", BitRate="90"), "no bit rate of 90 kbit/s"),
        (of_audio("mp3", "mp3", SampleRate="22050", BitRate="192"), "at most 160 kbit/s"),
        (of_audio("flv", "mp3", SampleRate="48000"), "no mp3 at 48000 Hz"),
        (of_audio("mxf", "pcm"), "needs video"),
        (of_video(CodecOptions=H264 | {"Level": "1b"}), "above the 128 kbit/s that H.264 level 1b"),
        (of_video(MaxHeight="1080", MaxWidth="1920"), "1920x1080 is more than the 921600 pixels"),
    ],
)
def test_what_comes_out_otherwise_than_asked_is_warned_of(call, members, words):
    response = create(call, **members)
    assert response.status_code == 201
    assert_answer("CreatePreset", response.members)
    assert words in response.members["Warning"]


# --- Video ------------------------------------------------------------------------------------


def test_a_preset_with_video_is_kept_and_read_and_no_job_can_use_it(call, pipeline_id):
    thumbnails = {"Format": "png", "Interval": "60", "MaxWidth": "192", "MaxHeight": "108"}
    response = create(call, **of_video(), Thumbnails=thumbnails)
    assert response.status_code == 201
    assert_answer("CreatePreset", response.members)
    preset = response.members["Preset"]
    assert preset["Video"] == VIDEO | {
        "MaxFrameRate": "30",
        "CodecOptions": H264
        | {"InterlacedMode": "Progressive", "ColorSpaceConversionMode": "None"},
    }
    assert (preset["Audio"], preset["Thumbnails"]) == (None, thumbnails)
    assert call("GET", f"/presets/{preset['Id']}").members["Preset"] == preset
    outputs = [{"Key": "a.mp4", "PresetId": preset["Id"]}]
    refused = call("POST", "/jobs", order(pipeline_id, Outputs=outputs))
    assert (refused.status_code, refused.error) == (400, "ValidationException")
    assert refused.members["message"] == (
        f"outputs.1.member.presetId: preset {preset['Id']} (mine) makes video;"
        " this server makes sound only."
    )
    assert not Job.objects.exists()


def without(section, *names):
    return {name: value for name, value in section.items() if name not in names}


OLD_SIZES = {"Resolution": "640x480", "AspectRatio": "4:3"}
NEW_SIZES = ("MaxWidth", "MaxHeight", "SizingPolicy", "PaddingPolicy", "DisplayAspectRatio")
WATERMARK = {"Id": "TopLeft", "MaxWidth": "10%", "Opacity": "100", "HorizontalOffset": "10px"}


@pytest.mark.parametrize(
    ("container", "video"),
    [
        ("mp4", without(VIDEO, *NEW_SIZES) | OLD_SIZES),
        ("mp4", VIDEO | {"MaxFrameRate": "60", "Watermarks": [WATERMARK]}),
        ("fmp4", VIDEO | {"FixedGOP": "true"}),
        ("gif", {"Codec": "gif", "CodecOptions": {"LoopCount": "7"}, "MaxWidth": "128"}),
        ("webm", {"Codec": "vp8", "CodecOptions": {"Profile": "3", "MaxBitRate": "600"}}),
        ("webm", {"Codec": "vp9"}),
        ("mpg", {"Codec": "mpeg2", "CodecOptions": {"ChromaSubsampling": "yuv422p"}}),
        ("flv", VIDEO | {"CodecOptions": H264 | {"ColorSpaceConversionMode": "Bt709toBt601"}}),
    ],
)
def test_video_settings_that_go_together_are_taken(call, container, video):
    response = create(call, Container=container, Audio=None, Video=video)
    assert response.status_code == 201
    assert_answer("CreatePreset", response.members)
    preset = response.members["Preset"]
    assert preset["Video"].items() >= without(video, "CodecOptions").items()
    assert call("GET", f"/presets/{preset['Id']}").members["Preset"] == preset


def test_the_buffer_is_ten_times_the_highest_bit_rate_unless_said(call):
    options = {"MaxBitRate": "600"}
    video = {"Codec": "vp8", "CodecOptions": options}
    filled = create(call, Container="webm", Audio=None, Video=video).members["Preset"]["Video"]
    assert filled["CodecOptions"] == {"MaxBitRate": "600", "BufferSize": "6000"}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (of_video("mp3"), "video: container mp3 holds no video."),
        (of_video("webm"), "video.codec of container webm must be vp8 or vp9, not H.264."),
        (of_video(Codec=None), "Value null at 'video.codec'"),
        (of_video(Codec="h264"), "at 'video.codec' failed"),
        (
            of_video(CodecOptions=None),
            "The 'codecOptions' field in video is not allowed to be null",
        ),
        (of_video(CodecOptions={"Profile": "main10"}), "Profile of H.264 cannot be 'main10'."),
        (of_video(CodecOptions={"Level": "5"}), "Level of H.264 cannot be '5'."),
        (of_video(CodecOptions={"MaxReferenceFrames": "17"}), "MaxReferenceFrames of H.264 cannot"),
        (of_video(CodecOptions={"InterlacedMode": "x"}), "InterlacedMode of H.264 cannot be 'x'."),
        (of_video(CodecOptions={"MaxBitRate": "15"}), "MaxBitRate of H.264 cannot be '15'."),
        (of_video(CodecOptions={"BufferSize": "0"}), "BufferSize of H.264 cannot be '0'."),
        (of_video(CodecOptions={"LoopCount": "1"}), "H.264 has no option 'LoopCount'."),
        (of_video(CodecOptions={"k": "v" * 999}), "video.codecOptions"),
        (
            of_video("gif", Codec="gif", CodecOptions={"LoopCount": "101"}),
            "LoopCount of gif cannot be '101'.",
        ),
        (of_video(FrameRate="25", MaxFrameRate="30"), "video.maxFrameRate requires"),
        (of_video("fmp4"), "video.fixedGOP must be 'true' with container fmp4."),
        (of_video(AspectRatio="4:3"), "video: AspectRatio cannot be combined with MaxWidth"),
        (of_video(MaxWidth="126"), "video.maxWidth must be 'auto' or an even number from 128 to"),
        (of_video(MaxHeight="97"), "video.maxHeight must be 'auto' or an even number from 96 to"),
        (of_video(KeyframesMaxDist="0"), "video.keyframesMaxDist must be from 1 to 100000."),
        (of_video(KeyframesMaxDist="100001"), "video.keyframesMaxDist must be from 1 to 100000."),
        (of_video(BitRate="9"), "at 'video.bitRate' failed"),
        (of_video(Watermarks=[WATERMARK] * 5), "video.watermarks may hold 4, 5 were given."),
        (of_video(Watermarks=[WATERMARK] * 2), "the id 'TopLeft' is given 2 times."),
        (
            of_video(Watermarks=[WATERMARK | {"Opacity": "100.5"}]),
            "video.watermarks.1.member.opacity must be at most 100.",
        ),
        (
            of_video(Watermarks=[WATERMARK | {"MaxWidth": "101%"}]),
            "video.watermarks.1.member.maxWidth must be at most 100.",
        ),
        (
            {"Thumbnails": {"Resolution": "640x480", "MaxWidth": "640"}},
            "thumbnails: Resolution cannot be combined with MaxWidth.",
        ),
        ({"Thumbnails": {"MaxHeight": "31"}}, "thumbnails.maxHeight must be 'auto' or an even"),
        ({"Thumbnails": {"Interval": "0"}}, "thumbnails.interval must be longer than zero."),
    ],
)
def test_video_settings_that_contradict_are_refused(call, members, message):
    assert_refused(create(call, **members), message)


# Those of the system whose every section is known.
WHOLE = [
    preset
    for preset in system_presets()
    if preset.is_audio or (preset.video and preset.video.get("CodecOptions"))
]


@pytest.mark.parametrize("preset", WHOLE, ids=lambda preset: preset.id)
def test_what_a_system_preset_says_can_be_said_by_a_custom_one(call, preset):
    # Both groups of sizes are in one preset of the service's own.
    video = preset.video and without(preset.video, "AspectRatio")
    response = create(
        call,
        Name=preset.name[:40],
        Container=preset.container,
        Audio=preset.audio,
        Video=video,
        Thumbnails=preset.thumbnails,
    )
    assert response.status_code == 201, response.members
    assert_answer("CreatePreset", response.members)


# --- Jobs -------------------------------------------------------------------------------------


def test_a_job_copies_the_settings_and_outlives_the_preset(call, pipeline_id):
    preset_id = create(call).members["Preset"]["Id"]
    outputs = [{"Key": f"{n}.mp3", "PresetId": preset_id} for n in range(2)]
    job_id = call("POST", "/jobs", order(pipeline_id, Outputs=outputs)).members["Job"]["Id"]
    call("DELETE", f"/presets/{preset_id}")
    job = call("GET", f"/jobs/{job_id}").members["Job"]
    assert [output["PresetId"] for output in job["Outputs"]] == [preset_id] * 2
    audio = AUDIO | {"AudioPackingMode": "SingleTrack"}
    assert JobOutput.objects.first().preset == {"Container": "mp3", "Audio": audio}
    gone = call("POST", "/jobs", order(pipeline_id, Outputs=outputs))
    assert (gone.status_code, gone.error) == (404, "ResourceNotFoundException")


# --- Lists ------------------------------------------------------------------------------------


def make_presets(count):
    """Custom presets with ids a millisecond apart; return the ids, oldest first."""
    now_ms = int(new_id()[:13])
    ids = [f"{now_ms - count + number:013d}-abc123" for number in range(count)]
    Preset.objects.bulk_create(
        Preset(id=preset_id, name="x", container="mp3", audio=AUDIO) for preset_id in ids
    )
    return ids


def listed(call, query="", *, between=lambda: None):
    """Every id in the order of the pages; ``between`` runs after each page."""
    ids, token = [], ""
    while token is not None:
        asked = "&".join(filter(None, [query, token]))
        answer = call("GET", f"/presets?{asked}" if asked else "/presets").members
        assert_answer("ListPresets", answer)
        assert len(answer["Presets"]) == 50 or answer["NextPageToken"] is None
        ids += [preset["Id"] for preset in answer["Presets"]]
        token = answer["NextPageToken"] and f"PageToken={answer['NextPageToken']}"
        between()
    return ids


@pytest.mark.parametrize("count", [0, 1, 37, 38, 39, 49, 50, 51, 99, 100, 101, 120])
def test_custom_presets_are_listed_newest_first_and_before_the_systems(call, count):
    ids = make_presets(count)
    assert listed(call, "Ascending=false") == ids[::-1] + SYSTEM_IDS
    assert listed(call) == ids[::-1] + SYSTEM_IDS
    assert listed(call, "Ascending=true") == SYSTEM_IDS + ids


@pytest.mark.parametrize("ascending", ["true", "false"])
def test_a_list_read_while_presets_come_and_go_has_each_once(call, ascending):
    ids = make_presets(75)

    def between():
        create(call)
        Preset.objects.filter(pk__in=ids[37:38]).delete()

    found = listed(call, f"Ascending={ascending}", between=between)
    assert len(found) == len(set(found))
    stayed = [preset_id for preset_id in ids if preset_id != ids[37]]
    wanted = SYSTEM_IDS + stayed if ascending == "true" else stayed[::-1] + SYSTEM_IDS
    assert [one for one in found if one in set(wanted)] == wanted


def test_boto3_makes_lists_and_deletes_a_preset(boto):
    made = boto.create_preset(**PRESET)["Preset"]
    pages = boto.get_paginator("list_presets").paginate()
    ids = [preset["Id"] for page in pages for preset in page["Presets"]]
    assert ids == [made["Id"], *SYSTEM_IDS]
    boto.delete_preset(Id=made["Id"])
    with pytest.raises(boto.exceptions.ResourceNotFoundException):
        boto.read_preset(Id=made["Id"])
    with pytest.raises(ClientError) as refused:
        boto.delete_preset(Id=MP3_192K)
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    with pytest.raises(boto.exceptions.ValidationException, match=r"audio\.codec of container mp3"):
        boto.create_preset(**PRESET | {"Audio": AUDIO | {"Codec": "AAC"}})
