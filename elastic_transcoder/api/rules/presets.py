"""Rules of custom presets, what is filled in, and what is said about odd ones.

Source: API 2012-09-25, CreatePreset; developer guide, "Settings for presets". What an encoder
takes was measured with FFmpeg 9.0.2.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

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

# kbit/s at 32 kHz and above, and below. Source: ISO/IEC 11172-3 and 13818-3, bit rate tables.
_MP3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MP2_KBPS = (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_LOW_RATE_KBPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_NOT_IN_FLV = ("32000", "48000")
_KBPS = {"mp3": (_MP3_KBPS, _LOW_RATE_KBPS), "mp2": (_MP2_KBPS, _LOW_RATE_KBPS)}


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


# --- What must be -------------------------------------------------------------------------------


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


# --- What is filled in ----------------------------------------------------------------------------


def audio_filled(audio: Params | None) -> Params | None:
    """Return the Audio section with the defaults of what was left out; None stays None.

    A flac without BitDepth keeps that of each input, so there is none to fill in.
    """
    if audio is None:
        return None
    given = audio.get("CodecOptions", {})
    options: Params = {}
    if audio["Codec"] == "AAC":
        options = {"Profile": "AAC-LC"}
    elif audio["Codec"] == "pcm":
        bits = given.get("BitDepth", "16")
        # RIFF knows no other signs.
        sign = "Unsigned" if bits == "8" else "Signed"
        options = {"BitDepth": bits, "BitOrder": "LittleEndian", "Signed": sign}
    options |= given
    filled = {"AudioPackingMode": "SingleTrack", **audio}
    return filled | {"CodecOptions": options} if options else filled


def video_filled(video: Params | None) -> Params | None:
    """Return the Video section with the guide's defaults of what was left out."""
    if not video:
        return None
    given = video.get("CodecOptions", {})
    options: Params = {}
    if video["Codec"] in ("H.264", "mpeg2"):
        options = {"InterlacedMode": "Progressive", "ColorSpaceConversionMode": "None"}
    if video["Codec"] == "gif":
        options = {"LoopCount": "Infinite"}
    if "MaxBitRate" in given:
        options["BufferSize"] = str(int(given["MaxBitRate"]) * 10)
    filled = dict(video)
    if video.get("FrameRate") == "auto":
        filled.setdefault("MaxFrameRate", "30")
    options |= given
    return filled | {"CodecOptions": options} if options else filled


# --- What may surprise ----------------------------------------------------------------------------


def warning(params: Params) -> str:
    """Return prose on settings that are taken and come out otherwise than asked; "" for none."""
    return " ".join([*_of_audio(params), *_of_video(params)])


def _of_audio(params: Params) -> Iterator[str]:
    audio: dict[str, Any] = params.get("Audio") or {}
    options, codec = audio.get("CodecOptions", {}), audio.get("Codec")
    profile = options.get("Profile")
    if profile in ("HE-AAC", "HE-AACv2"):
        yield f"There is no encoder for the profile {profile}: AAC-LC of the same bit rate is used."
    if params["Container"] == "wav":
        yield from _of_wav(options)
    if params["Container"] == "mxf" and not params.get("Video"):
        yield "An mxf file needs video: every output with this preset fails."
    if params["Container"] == "flv" and codec == "mp3" and audio["SampleRate"] in _NOT_IN_FLV:
        yield f"An flv file holds no mp3 at {audio['SampleRate']} Hz: the next lower rate is used."
    if codec in _KBPS:
        yield from _of_bit_rate(codec, audio)


def _of_wav(options: Params) -> Iterator[str]:
    bits, sign = options.get("BitDepth", "16"), options.get("Signed")
    if bits == "8" and sign == "Signed":
        yield "A wav file holds 8 bit samples as unsigned numbers only: they become unsigned."
    if bits != "8" and sign == "Unsigned":
        yield f"A wav file holds {bits} bit samples as signed numbers only: they become signed."


def _of_bit_rate(codec: str, audio: Params) -> Iterator[str]:
    high, low = _KBPS[codec]
    known = low if audio["SampleRate"] == "22050" else high
    asked = int(audio["BitRate"])
    if asked > max(known):
        yield (
            f"At {audio['SampleRate']} Hz {codec} has at most {max(known)} kbit/s: that is used."
        )
    elif asked not in known:
        yield (
            f"{codec} has no bit rate of {asked} kbit/s: a near one of"
            f" {', '.join(map(str, known))} is used."
        )


def _of_video(params: Params) -> Iterator[str]:
    video = params.get("Video") or {}
    options = video.get("CodecOptions", {})
    level = H264_LEVELS.get(options.get("Level", "")) if video.get("Codec") == "H.264" else None
    if level is None:
        return
    usual, high, pixels = level
    most = high if options.get("Profile") == "high" else usual
    bit_rate = video.get("BitRate", "auto")
    if most is not None and bit_rate != "auto" and int(bit_rate) > most:
        yield (
            f"The bit rate of {bit_rate} kbit/s is above the {most} kbit/s that H.264 level"
            f" {options['Level']} allows: some players may not play it."
        )
    width, height = video.get("MaxWidth", "auto"), video.get("MaxHeight", "auto")
    if "auto" not in (width, height) and int(width) * int(height) > pixels:
        yield (
            f"{width}x{height} is more than the {pixels} pixels that H.264 level"
            f" {options['Level']} allows: some players may not play it."
        )
