"""Rules of custom presets.

Source: API 2012-09-25, CreatePreset; developer guide, "Settings for presets". What an encoder
takes was measured with FFmpeg 9.0.2.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from elastic_transcoder.api.rules.base import Params, even_within, items

# Container -> codecs of sound, codecs of pictures.
CODECS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "flac": (("flac",), ()),
    "flv": (("AAC", "mp3"), ("H.264",)),
    "fmp4": (("AAC",), ("H.264",)),
    "gif": ((), ("gif",)),
    "mp2": (("mp2",), ()),  # not in the guide's table
    "mp3": (("mp3",), ()),
    "mp4": (("AAC", "mp3"), ("H.264",)),
    "mpg": (("mp2",), ("mpeg2",)),
    "mxf": (("pcm",), ("mpeg2",)),
    "oga": (("flac", "vorbis"), ()),
    "ogg": (("flac", "vorbis"), ()),
    "ts": (("AAC", "mp3"), ("H.264",)),
    "wav": (("pcm",), ()),
    "webm": (("vorbis",), ("vp8", "vp9")),
}

# Option of a codec of sound -> codecs that have it, with the values they take.
AUDIO_OPTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "Profile": {"AAC": ("auto", "AAC-LC", "HE-AAC", "HE-AACv2")},
    "BitDepth": {"flac": ("16", "24"), "pcm": ("8", "16", "24", "32")},
    "BitOrder": {"pcm": ("LittleEndian",)},
    "Signed": {"pcm": ("Signed", "Unsigned")},
}
LOSSLESS = ("flac", "pcm")
# Hz that no encoder of the codec writes.
UNWRITABLE_RATES = {
    "mp3": ("96000", "192000"),
    "mp2": ("96000", "192000"),
    "AAC": ("192000",),
    "vorbis": ("192000",),
}
MAX_KBPS = 320
# The guide asks for 64 and speaks of less only for AAC.
MIN_KBPS = {"AAC": 1}
USUAL_MIN_KBPS = 64


def _number(least: int, most: int | None = None) -> Callable[[str], bool]:
    def fits(value: str) -> bool:
        is_number = value.isascii() and value.isdigit() and len(value) < 10
        return is_number and least <= int(value) and (most is None or int(value) <= most)

    return fits


def _word(*words: str) -> Callable[[str], bool]:
    return words.__contains__


_INTERLACED = _word("Progressive", "TopFirst", "BottomFirst", "Auto")
# The sources write "to" with a small letter as well.
_COLOURS = _word("None", "Auto", "Bt709ToBt601", "Bt601ToBt709", "Bt709toBt601", "Bt601toBt709")
_RATES = {"MaxBitRate": _number(16, 62500), "BufferSize": _number(1)}
# kbit/s of baseline and main, of high, and pixels; more is advised against, not refused.
H264_LEVELS: dict[str, tuple[int | None, int | None, int]] = {
    "1": (64, 80, 25344),
    "1b": (128, 160, 25344),
    "1.1": (192, 240, 101376),
    "1.2": (384, 480, 101376),
    "1.3": (768, 960, 101376),
    "2": (2000, 2500, 101376),
    "2.1": (None, None, 202752),
    "2.2": (None, None, 404720),
    "3": (10000, 12500, 404720),
    "3.1": (14000, 17500, 921600),
    "3.2": (20000, 25000, 1310720),
    "4": (20000, 25000, 2097152),
    "4.1": (50000, 62500, 2097152),
}
# Codec of pictures -> its options.
VIDEO_OPTIONS: dict[str, dict[str, Callable[[str], bool]]] = {
    "H.264": {
        "Profile": _word("baseline", "main", "high"),
        "Level": _word(*H264_LEVELS),
        "MaxReferenceFrames": _number(0, 16),
        "InterlacedMode": _INTERLACED,
        "ColorSpaceConversionMode": _COLOURS,
        **_RATES,
    },
    "vp8": {"Profile": _number(0, 3), **_RATES},
    "vp9": {"Profile": _number(0, 3), **_RATES},
    "mpeg2": {
        "ChromaSubsampling": _word("yuv420p", "yuv422p"),
        "InterlacedMode": _INTERLACED,
        "ColorSpaceConversionMode": _COLOURS,
        **_RATES,
    },
    "gif": {"LoopCount": lambda value: value == "Infinite" or _number(0, 100)(value)},
}
NEW_SIZES = ("MaxWidth", "MaxHeight", "SizingPolicy", "PaddingPolicy", "DisplayAspectRatio")
OLD_SIZES = ("Resolution", "AspectRatio")
MAX_WATERMARKS = 4
_SHOWN = 40


def has_sound_or_pictures(params: Params) -> Iterator[str]:
    audio = params.get("Audio")
    if not params.get("Video") and (audio is None or audio["Channels"] == "0"):
        yield "A preset must have audio with channels, or video; neither was given."


def codecs_fit_the_container(params: Params) -> Iterator[str]:
    container = params["Container"]
    for member, codecs in zip(("Audio", "Video"), CODECS[container], strict=True):
        section, path = params.get(member), member.lower()
        if not section:
            continue
        if not codecs:
            yield f"{path}: container {container} holds no {path}."
        elif section["Codec"] not in codecs:
            words = " or ".join(codecs)
            yield f"{path}.codec of container {container} must be {words}, not {section['Codec']}."


def audio_options_belong_to_the_codec(params: Params) -> Iterator[str]:
    audio = params.get("Audio", {})
    for option, value in audio.get("CodecOptions", {}).items():
        path = f"audio.codecOptions.{option[0].lower()}{option[1:]}"
        codecs = AUDIO_OPTIONS[option]
        if audio["Codec"] not in codecs:
            yield f"{path} is only for {' and '.join(codecs)}, not for {audio['Codec']}."
        elif value not in codecs[audio["Codec"]]:
            words = ", ".join(codecs[audio["Codec"]])
            yield f"{path} of {audio['Codec']} must be one of {words}."


def sample_rate_is_writable(params: Params) -> Iterator[str]:
    audio = params.get("Audio")
    if audio and audio["SampleRate"] in UNWRITABLE_RATES.get(audio["Codec"], ()):
        yield f"audio.sampleRate: {audio['Codec']} cannot be written at {audio['SampleRate']} Hz."


def bit_rate_is_within_range(params: Params) -> Iterator[str]:
    audio = params.get("Audio")
    if not audio or audio["Codec"] in LOSSLESS:
        return
    if "BitRate" not in audio:
        yield f"audio.bitRate must be given for {audio['Codec']}."
        return
    least = MIN_KBPS.get(audio["Codec"], USUAL_MIN_KBPS)
    if not least <= int(audio["BitRate"]) <= MAX_KBPS:
        yield f"audio.bitRate of {audio['Codec']} must be from {least} to {MAX_KBPS} kbit/s."


def packing_mode_fits(params: Params) -> Iterator[str]:
    mode = params.get("Audio", {}).get("AudioPackingMode", "SingleTrack")
    if mode != "SingleTrack" and params["Container"] != "mxf":
        yield "audio.audioPackingMode other than SingleTrack is only for container mxf."


def video_options_belong_to_the_codec(params: Params) -> Iterator[str]:
    video = params.get("Video")
    if not video:
        return
    options, known = video.get("CodecOptions", {}), VIDEO_OPTIONS[video["Codec"]]
    if video["Codec"] == "H.264" and not options:
        yield "The 'codecOptions' field in video is not allowed to be null."
    for option, value in options.items():
        if option not in known:
            yield f"video.codecOptions: {video['Codec']} has no option '{option[:_SHOWN]}'."
        elif not known[option](value):
            yield f"video.codecOptions: {option} of {video['Codec']} cannot be '{value[:_SHOWN]}'."


def video_sizes_are_of_one_group(params: Params) -> Iterator[str]:
    for member in ("Video", "Thumbnails"):
        section = params.get(member, {})
        new = [name for name in NEW_SIZES if name in section]
        old = [name for name in OLD_SIZES if name in section]
        if new and old:
            yield (
                f"{member.lower()}: {' and '.join(old)} cannot be combined with {', '.join(new)}."
            )


def video_numbers_are_within_range(params: Params) -> Iterator[str]:
    video, thumbnails = params.get("Video", {}), params.get("Thumbnails", {})
    yield from even_within("video.maxWidth", video.get("MaxWidth"), 128, 4096)
    yield from even_within("video.maxHeight", video.get("MaxHeight"), 96, 3072)
    yield from even_within("thumbnails.maxWidth", thumbnails.get("MaxWidth"), 32, 4096)
    yield from even_within("thumbnails.maxHeight", thumbnails.get("MaxHeight"), 32, 3072)
    distance = video.get("KeyframesMaxDist")
    if distance is not None and not 1 <= int(distance) <= 100_000:
        yield "video.keyframesMaxDist must be from 1 to 100000."
    if int(thumbnails.get("Interval", 1)) == 0:
        yield "thumbnails.interval must be longer than zero."


def frame_rates_go_together(params: Params) -> Iterator[str]:
    video = params.get("Video", {})
    if "MaxFrameRate" in video and video.get("FrameRate") != "auto":
        yield "video.maxFrameRate requires video.frameRate to be 'auto'."


def fragments_have_fixed_groups(params: Params) -> Iterator[str]:
    video = params.get("Video")
    if video and params["Container"] == "fmp4" and video.get("FixedGOP") != "true":
        yield "video.fixedGOP must be 'true' with container fmp4."


def watermarks_are_few_and_differ(params: Params) -> Iterator[str]:
    watermarks = params.get("Video", {}).get("Watermarks", [])
    if len(watermarks) > MAX_WATERMARKS:
        yield f"video.watermarks may hold {MAX_WATERMARKS}, {len(watermarks)} were given."
        return
    for name, count in Counter(watermark.get("Id") for watermark in watermarks).items():
        if count > 1:
            yield f"video.watermarks: the id '{name}' is given {count} times."
    for path, watermark in items({"Watermarks": watermarks}, "Watermarks", "video.watermarks"):
        for member, value in watermark.items():
            name = f"{path}.{member[0].lower()}{member[1:]}"
            if _is_above_100_percent(value) or (member == "Opacity" and float(value) > 100):
                yield f"{name} must be at most 100."


def _is_above_100_percent(value: str) -> bool:
    return re.fullmatch(r"[\d.]+%", value) is not None and float(value[:-1]) > 100
