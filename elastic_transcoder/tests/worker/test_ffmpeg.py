import dataclasses

import pytest

from elastic_transcoder import presets
from elastic_transcoder.tests.conftest import run_ffmpeg
from elastic_transcoder.worker import command, ffmpeg
from elastic_transcoder.worker.command import Recipe
from elastic_transcoder.worker.encoding import NotEncodable, encoding_of
from elastic_transcoder.worker.proof import Source, prove
from sound import kinds, probe
from sound.examination import Examiner
from sound.probe import Sound

AUDIO_PRESETS = [preset.id for preset in presets.system_presets() if preset.is_audio]

SOUND = Sound(
    container="wav",
    codec="pcm_s16le",
    sample_rate_hz=44100,
    channels=2,
    bits=16,
    duration_ms=1000,
    lossless=True,
    tags={},
    pictures=0,
    has_video=False,
    tracks=1,
)


def sound(**fields) -> Sound:
    return dataclasses.replace(SOUND, **fields)


def preset(container: str, codec: str, **audio) -> dict:
    audio = {"SampleRate": "auto", "Channels": "auto"} | audio
    return {"Container": container, "Audio": {"Codec": codec, **audio}}


def make_and_prove(source, settings: dict, folder):
    """Encode for real and hold the result against what was planned."""
    found = probe.probe(source)
    encoding = encoding_of(settings, found)
    (folder / "tags").write_text(command.tag_file({}))
    recipe = Recipe(encoding, folder / "result")
    run_ffmpeg(*command.arguments([(source, found)], folder / "tags", [recipe]))
    with Examiner(folder) as examiner:
        facts = prove(recipe, Source(found.duration_ms), examiner)
    return encoding, facts


def test_there_are_fourteen_audio_presets():
    assert len(AUDIO_PRESETS) == 14


@pytest.mark.parametrize("preset_id", AUDIO_PRESETS)
def test_every_audio_system_preset_runs(tone, tmp_path, preset_id):
    settings = presets.system_preset(preset_id).settings
    encoding, facts = make_and_prove(tone("a.wav", "-ac", "2"), settings, tmp_path)
    audio = settings["Audio"]
    assert str(facts.sample_rate_hz) == audio["SampleRate"]
    assert str(facts.channels) == audio["Channels"]
    assert facts.codec in encoding.codec.decoders
    if audio["Codec"] in ("flac", "pcm"):
        assert str(facts.bits) == audio["CodecOptions"]["BitDepth"]


def test_the_flac_of_an_mp3_has_blocks_of_a_sensible_length(tone, tmp_path):
    """An MP3 begins with a piece of 47 samples, which must not become the length of a block."""
    settings = preset("flac", "flac", CodecOptions={"BitDepth": "16"})
    _, facts = make_and_prove(tone("a.mp3", "-ac", "2"), settings, tmp_path)
    assert facts.samples / facts.packets > 4000


@pytest.mark.parametrize(
    ("container", "codec", "audio"),
    [
        ("flac", "flac", {"CodecOptions": {"BitDepth": "24"}}),
        ("ogg", "flac", {}),
        ("ogg", "vorbis", {"BitRate": "128"}),
        ("oga", "vorbis", {"BitRate": "128", "SampleRate": "22050", "Channels": "1"}),
        ("oga", "vorbis", {"BitRate": "128", "SampleRate": "96000"}),
        ("webm", "vorbis", {"BitRate": "320"}),
        ("mp2", "mp2", {"BitRate": "90"}),
        ("mp2", "mp2", {"BitRate": "320", "SampleRate": "22050", "Channels": "1"}),
        ("mp3", "mp3", {"BitRate": "90"}),
        ("mp3", "mp3", {"BitRate": "320", "SampleRate": "22050"}),
        ("mp4", "mp3", {"BitRate": "128"}),
        ("mp4", "AAC", {"BitRate": "320", "SampleRate": "22050", "Channels": "1"}),
        ("mp4", "AAC", {"BitRate": "128", "SampleRate": "96000"}),
        ("ts", "mp3", {"BitRate": "128"}),
        ("flv", "AAC", {"BitRate": "128"}),
        ("flv", "mp3", {"BitRate": "128", "SampleRate": "48000"}),
        ("mpg", "mp2", {"BitRate": "192"}),
        ("wav", "pcm", {"CodecOptions": {"BitDepth": "24"}, "SampleRate": "192000"}),
        ("wav", "pcm", {"CodecOptions": {"BitDepth": "32", "Signed": "Unsigned"}}),
    ],
)
def test_every_container_and_codec_of_the_api_can_be_made(tone, tmp_path, container, codec, audio):
    make_and_prove(tone("a.wav", "-ac", "2"), preset(container, codec, **audio), tmp_path)


@pytest.mark.parametrize(
    ("codec", "container", "given", "made"),
    [
        ("mp3", "mp3", 192000, 48000),
        ("mp3", "mp3", 35467, 32000),
        ("mp3", "mp3", 7000, 8000),
        ("AAC", "mp4", 192000, 96000),
        ("AAC", "mp4", 134560, 96000),
        ("flac", "flac", 35467, 35467),
        ("flac", "flac", 655350, 655350),
        ("flac", "flac", 768000, 384000),
        ("pcm", "wav", 384000, 384000),
    ],
)
def test_f10_a_rate_the_codec_lacks_becomes_the_next_lower_one(codec, container, given, made):
    settings = preset(container, codec, BitRate="128")
    assert encoding_of(settings, sound(sample_rate_hz=given)).sample_rate_hz == made


@pytest.mark.parametrize(
    ("codec", "container", "asked", "given", "made", "is_said"),
    [
        ("AAC", "mp4", "2", 6, 2, True),
        ("AAC", "mp4", "auto", 6, 6, False),
        ("AAC", "mp4", "auto", 8, 8, False),
        ("AAC", "flv", "auto", 6, 2, True),
        ("AAC", "ts", "auto", 8, 7, True),
        ("mp3", "mp3", "auto", 6, 2, True),
        ("pcm", "wav", "auto", 16, 8, True),
        ("pcm", "wav", "1", 2, 1, False),
        ("pcm", "wav", "2", 1, 2, False),
        ("pcm", "wav", "1", 6, 1, True),
    ],
)
def test_f11_more_channels_than_fit_are_mixed_and_that_is_said(
    codec, container, asked, given, made, is_said
):
    settings = preset(container, codec, BitRate="128", Channels=asked)
    encoding = encoding_of(settings, sound(channels=given))
    assert encoding.channels == made
    assert bool(encoding.notes) == is_said


def test_one_channel_becomes_two_identical_ones(tone, tmp_path):
    settings = preset("wav", "pcm", Channels="2")
    make_and_prove(tone("mono.wav"), settings, tmp_path)
    samples = (tmp_path / "result").read_bytes()[-40_000:]
    mono = tone("mono.wav").read_bytes()[-20_000:]
    assert samples[0::4] == samples[2::4] == mono[0::2]
    assert samples[1::4] == samples[3::4] == mono[1::2]


@pytest.mark.parametrize(
    ("given", "made"), [(8, 16), (16, 16), (20, 24), (24, 24), (32, 24), (None, 16)]
)
def test_flac_without_depth_keeps_the_inputs_depth_up_to_24(given, made):
    assert encoding_of(preset("flac", "flac"), sound(bits=given)).bits == made


def test_a_profile_without_encoder_is_replaced_and_said():
    settings = preset("mp4", "AAC", BitRate="64", CodecOptions={"Profile": "HE-AAC"})
    assert "HE-AAC" in encoding_of(settings, SOUND).notes[0]


@pytest.mark.parametrize(
    "settings",
    [
        preset("mxf", "pcm"),
        preset("gif", "pcm"),
        preset("mp4", "AAC", Channels="0"),
        {"Container": "mp4", "Audio": None},
    ],
)
def test_a_result_without_sound_is_not_encodable(settings):
    with pytest.raises(NotEncodable):
        encoding_of(settings, SOUND)


def test_only_an_unchanged_lossless_result_is_a_copy():
    wav = preset("wav", "pcm", SampleRate="44100", Channels="2")
    assert encoding_of(wav, SOUND).is_copy_of(SOUND)
    for other in (sound(bits=24), sound(channels=1), sound(sample_rate_hz=48000)):
        assert not encoding_of(wav, other).is_copy_of(other)
    lossy = sound(lossless=False, bits=None)
    assert not encoding_of(wav, lossy).is_copy_of(lossy)
    mp3 = preset("mp3", "mp3", BitRate="128")
    assert not encoding_of(mp3, SOUND).is_copy_of(SOUND)


def test_u15_files_are_named_as_files_and_only_they_may_be_opened(tmp_path):
    encoding = encoding_of(preset("mp3", "mp3"), SOUND)
    recipe = Recipe(encoding, tmp_path / "r")
    argv = command.arguments([(tmp_path / "s", SOUND)], tmp_path / "t", [recipe])
    assert argv.count(f"file:{tmp_path / 's'}") == 1
    before_input = argv[: argv.index("-i")]
    for option in ("-nostdin", "-protocol_whitelist", "-format_whitelist", "-max_streams"):
        assert option in before_input
    assert before_input[before_input.index("-format_whitelist") + 1] == ",".join(kinds.DEMUXERS)
    assert argv[-1] == f"file:{tmp_path / 'r'}"


def test_f17_tags_are_escaped_in_ffmpegs_own_form(tone, tmp_path):
    tags = {"title": "a=b;c#d\\e", "artist": "-y", "comment": "[CHAPTER]\n;x"}
    encoding = encoding_of(preset("flac", "flac"), SOUND)
    (tmp_path / "tags").write_text(command.tag_file(tags))
    source = tone("a.wav", "-ac", "2")
    recipe = Recipe(encoding, tmp_path / "r")
    run_ffmpeg(*command.arguments([(source, SOUND)], tmp_path / "tags", [recipe]))
    kept = probe.probe(tmp_path / "r").tags
    assert kept == {"title": "a=b;c#d\\e", "artist": "-y", "comment": "[CHAPTER] ;x"}


def test_the_packaged_ffmpeg_passes_the_check():
    ffmpeg.check()


def program(tmp_path, text: str) -> str:
    path = tmp_path / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo ffmpeg version 4.4.1", "FFmpeg 4; 5 or newer is needed"),
        ("echo something else", "does not answer like FFmpeg"),
        (
            "[ $1 = -version ] && echo ffmpeg version n9.0.2 || echo ' A....D aac      AAC'",
            "lacks the encoders libmp3lame, mp2",
        ),
        ("kill -ABRT $$", "does not run"),
    ],
    ids=["old", "other", "encoders", "abort"],
)  # fmt: skip
def test_k6_an_ffmpeg_that_cannot_do_the_work_is_refused_with_a_hint(
    settings, tmp_path, text, said
):
    settings.FFMPEG_BINARY = program(tmp_path, text)
    with pytest.raises(ffmpeg.FFmpegMissing, match=said) as refused:
        ffmpeg.check()
    assert "FFMPEG_BINARY" in str(refused.value)


def test_k6_an_ffmpeg_without_a_muxer_is_refused(settings, tmp_path):
    encoders = "".join(f" A....D {name} any\n" for name in ffmpeg.ENCODERS)
    muxers = "".join(f"  E  {name} any\n" for name in ffmpeg.MUXERS)
    text = (
        f"case $1$2 in -version) echo ffmpeg version n9.0.2;; *encoders) echo '{encoders}';;"
        f" *) echo '{muxers}';; esac"
    )
    settings.FFMPEG_BINARY = program(tmp_path, text)
    ffmpeg.check()
    settings.FFMPEG_BINARY = program(tmp_path, text.replace("  E  wav any\n", ""))
    with pytest.raises(ffmpeg.FFmpegMissing, match=r"lacks the muxers wav\."):
        ffmpeg.check()


def test_k6_a_missing_ffmpeg_is_refused_with_a_hint(settings):
    settings.FFMPEG_BINARY = "/no/such/ffmpeg"
    with pytest.raises(ffmpeg.FFmpegMissing, match="FFMPEG_BINARY names '/no/such/ffmpeg'"):
        ffmpeg.check()
