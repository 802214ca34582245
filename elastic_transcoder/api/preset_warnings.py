"""What CreatePreset warns of: settings that are taken and come out otherwise than asked.

Source: API 2012-09-25; developer guide, "Settings for presets". What an encoder takes was measured
with FFmpeg 9.0.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from elastic_transcoder.api.rules.presets import H264_LEVELS

Members = dict[str, Any]

# kbit/s at 32 kHz and above, and below. Source: ISO/IEC 11172-3 and 13818-3, bit rate tables.
_MP3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MP2_KBPS = (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
_LOW_RATE_KBPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_NOT_IN_FLV = ("32000", "48000")
_KBPS = {"mp3": (_MP3_KBPS, _LOW_RATE_KBPS), "mp2": (_MP2_KBPS, _LOW_RATE_KBPS)}


def warning(params: Members) -> str:
    """Return prose on settings that are taken and come out otherwise than asked; "" for none."""
    return " ".join([*_of_audio(params), *_of_video(params)])


def _of_audio(params: Members) -> Iterator[str]:
    audio: Members = params.get("Audio") or {}
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


def _of_wav(options: Members) -> Iterator[str]:
    bits, sign = options.get("BitDepth", "16"), options.get("Signed")
    if bits == "8" and sign == "Signed":
        yield "A wav file holds 8 bit samples as unsigned numbers only: they become unsigned."
    if bits != "8" and sign == "Unsigned":
        yield f"A wav file holds {bits} bit samples as signed numbers only: they become signed."


def _of_bit_rate(codec: str, audio: Members) -> Iterator[str]:
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


def _of_video(params: Members) -> Iterator[str]:
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
