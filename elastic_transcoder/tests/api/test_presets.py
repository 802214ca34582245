import pytest
from botocore.validate import ParamValidator

from elastic_transcoder.api.service import service
from elastic_transcoder.presets import system_preset, system_presets
from elastic_transcoder.tests.api.conftest import client_for
from elastic_transcoder.tests.api.shapes import assert_answer, assert_patterns

AUDIO = [preset for preset in system_presets() if preset.is_audio]


def test_sixty_two_presets_are_listed_by_ascending_id_and_fourteen_make_sound():
    ids = [preset.id for preset in system_presets()]
    assert len(ids) == 62
    assert ids == sorted(ids)
    assert len(AUDIO) == 14


@pytest.mark.parametrize("preset", AUDIO, ids=lambda preset: preset.id)
def test_an_audio_preset_says_all_that_a_worker_needs(preset):
    audio = preset.settings["Audio"]
    lossless = audio["Codec"] in ("pcm", "flac")
    assert set(audio) >= {"Codec", "SampleRate", "Channels", *([] if lossless else ["BitRate"])}
    assert preset.video is None
    shape = service().shape_for("CreatePresetRequest")
    members = {"Name": preset.name[:40], **preset.settings}
    assert not ParamValidator().validate(members, shape).has_errors()
    assert_patterns(shape, members)


@pytest.mark.parametrize(
    ("preset_id", "container", "codec"),
    [
        ("1351620000001-300300", "wav", "pcm"),
        ("1351620000001-300110", "flac", "flac"),
        ("1351620000001-100110", "mp4", "AAC"),
    ],
)
def test_the_default_outputs_are_wav_flac_and_mp4(preset_id, container, codec):
    preset = system_preset(preset_id)
    assert (preset.container, preset.audio["Codec"]) == (container, codec)


def test_a_withdrawn_id_answers_with_its_replacements_settings():
    withdrawn = system_preset("1351620000000-000060")
    assert withdrawn.id == "1351620000000-000060"
    assert withdrawn.container == system_preset("1351620000001-000061").container
    assert withdrawn.id not in [preset.id for preset in system_presets()]


def test_the_withdrawn_64k_presets_keep_their_own_profile():
    assert system_preset("1351620000001-100140").audio["CodecOptions"] == {"Profile": "AAC-LC"}
    assert system_preset("1351620000001-100141").audio["CodecOptions"] == {"Profile": "auto"}


def test_an_unknown_id_is_no_preset():
    assert system_preset("1351620000001-999999") is None


def test_list_presets_pages_by_fifty(boto):
    pages = list(boto.get_paginator("list_presets").paginate())
    assert [len(page["Presets"]) for page in pages] == [50, 12]
    ids = [preset["Id"] for page in pages for preset in page["Presets"]]
    assert ids == [preset.id for preset in system_presets()]


def test_every_preset_is_answered_in_the_published_shape(call):
    first = call("GET", "/presets").members
    second = call("GET", f"/presets?PageToken={first['NextPageToken']}&Ascending=true").members
    assert second["NextPageToken"] is None
    for page in (first, second):
        assert_answer("ListPresets", page)


def test_read_preset_tells_who_made_it(call):
    answer = call("GET", "/presets/1351620000001-300020").members
    assert_answer("ReadPreset", answer)
    assert answer["Preset"]["Type"] == "System"
    assert answer["Preset"]["Arn"] == (
        "arn:aws:elastictranscoder:eu-west-1:000000000000:preset/1351620000001-300020"
    )
    assert answer["Preset"]["Audio"]["BitRate"] == "192"


def test_an_unknown_preset_is_a_typed_404(endpoint):
    client = client_for(endpoint)
    with pytest.raises(client.exceptions.ResourceNotFoundException) as refused:
        client.read_preset(Id="1351620000001-999999")
    assert refused.value.response["Error"]["Message"] == (
        "The specified preset was not found: account=000000000000, presetId=1351620000001-999999"
    )
