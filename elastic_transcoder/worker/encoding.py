"""From a preset to how one output is encoded, and what must come out.

Source: API 2012-09-25, preset members Container and Audio; FFmpeg 9 documentation of the named
options; which encoder takes what was measured with FFmpeg 9.0.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sound.probe import Sound


class NotEncodable(Exception):
    """The preset and the sound do not go together; nothing would be in the result."""


@dataclass(frozen=True)
class Container:
    """How one Container of the API is written."""

    muxer: str
    demuxer: str  # the first name by which FFmpeg reads it again
    media_type: str
    arguments: tuple[str, ...] = ()
    # Counts encoder delay as sound, because it has no place to tell it.
    is_gapless: bool = True
    takes_pictures: bool = False


# mxf and gif are absent: neither can be written without pictures.
CONTAINERS = {
    "mp3": Container(
        "mp3", "mp3", "audio/mpeg", ("-id3v2_version", "3"), takes_pictures=True
    ),
    "mp4": Container(
        "mp4", "mov", "audio/mp4", ("-movflags", "+faststart"), takes_pictures=True
    ),
    "fmp4": Container(
        "mp4", "mov", "audio/mp4", ("-movflags", "+frag_keyframe+empty_moov+default_base_moof"),
        is_gapless=False,
    ),
    "flac": Container("flac", "flac", "audio/flac", takes_pictures=True),
    "wav": Container("wav", "wav", "audio/wav", ("-rf64", "auto")),
    "ogg": Container("ogg", "ogg", "audio/ogg"),
    "oga": Container("ogg", "ogg", "audio/ogg"),
    "webm": Container("webm", "matroska", "audio/webm"),
    "ts": Container("mpegts", "mpegts", "video/mp2t", is_gapless=False),
    "mp2": Container("mp2", "mp3", "audio/mpeg", is_gapless=False),
    "mpg": Container("mpeg", "mpeg", "video/mpeg", is_gapless=False),
    "flv": Container("flv", "flv", "video/x-flv", is_gapless=False),
}  # fmt: skip

# Made in segments of so many seconds: byte ranges of one file that can be played by themselves. An
# fmp4 begins with one index of all of them. Source: FFmpeg, hls and mov muxers.
SEGMENTED = {
    # vod: the list is written once at the end, not anew with every segment.
    "ts": (
        "-f", "hls", "-hls_list_size", "0", "-hls_playlist_type", "vod",
        "-hls_flags", "single_file", "-hls_time",
    ),
    "fmp4": (
        "-movflags", "+dash+global_sidx+delay_moov+default_base_moof+skip_trailer", "-f", "mp4",
        "-frag_duration",
    ),
}  # fmt: skip

# FFmpeg 9 makes all FLAC blocks as long as the first piece of sound it gets. Of an MP3 that is the
# 47 samples left of its first frame: a file twice the size, and slow to read ever after.
FLAC = ("-c:a", "flac", "-frame_size", "4096")


@dataclass(frozen=True)
class Codec:
    """What one Codec of the API can carry. ``rates``: every rate when empty."""

    decoders: tuple[str, ...]  # by which FFmpeg reads it again
    max_channels: int
    rates: tuple[int, ...] = ()
    frame: int = 0  # samples that one packet holds
    rfc6381: str = ""  # its name in playlists
    max_rate_hz: int = 0  # 0: none


CODECS = {
    "AAC": Codec(
        ("aac",), 8,
        (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000), 1024,
        "mp4a.40.2",
    ),
    "mp3": Codec(
        ("mp3float", "mp3"), 2, (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
        1152, "mp4a.40.34",
    ),
    "mp2": Codec(("mp2float", "mp2"), 2, (16000, 22050, 24000, 32000, 44100, 48000), 1152),
    "vorbis": Codec(
        ("vorbis",), 8, (8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000), 2048
    ),
    "flac": Codec(("flac",), 8, max_rate_hz=655_350),
    "pcm": Codec(("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le"), 8),
}  # fmt: skip

# Rates that a container refuses though the codec has them.
CONTAINER_RATES = {
    ("flv", "mp3"): (11025, 22050, 44100),
    ("mp4", "mp3"): (16000, 22050, 24000, 32000, 44100, 48000),
}
# Channels that a container carries at most: FLV knew no more than stereo before its enhanced form,
# which few read; ADTS, the form of AAC in a transport stream, has no number for eight as FFmpeg
# orders them.
CONTAINER_CHANNELS = {"flv": 2, "ts": 7}

# MPEG-1 and MPEG-2 layer II know these, in kbit/s; the encoder refuses others.
# Source: ISO/IEC 11172-3, 13818-3, bit rate tables.
MP2_KBPS = (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
MP2_LOW_RATE_KBPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
# libvorbis manages a given rate at these settings only; elsewhere a quality near it is taken.
VORBIS_MANAGED = {(44100, 2), (48000, 2)}
# kbit/s of stereo at 44,100 Hz -> quality. Source: libvorbis, nominal rates of its modes.
VORBIS_QUALITY = ((64, 0), (80, 1), (96, 2), (112, 3), (128, 4), (160, 5), (192, 6), (224, 7),
                  (256, 8), (320, 9))  # fmt: skip


@dataclass(frozen=True)
class Encoding:
    """How one output is to be made, and what must come out."""

    container: Container
    codec: Codec
    sample_rate_hz: int
    channels: int
    bits: int | None  # of a lossless result
    bitrate_kbps: int | None
    arguments: tuple[str, ...]  # encoder and muxer: what stands before the file's name
    is_segmented: bool
    notes: tuple[str, ...]  # what the caller should know of an otherwise good result

    @property
    def predicted_bytes_per_s(self) -> float:
        """The most that a second takes, roughly; FLAC at its worst is PCM."""
        if self.bits:
            return self.sample_rate_hz * self.channels * self.bits / 8
        return (self.bitrate_kbps or 0) * 125

    def is_copy_of(self, sound: Sound) -> bool:
        """Return whether the very samples of ``sound`` must come out again."""
        return (
            sound.lossless
            and self.bits is not None
            and (self.sample_rate_hz, self.channels, self.bits)
            == (sound.sample_rate_hz, sound.channels, sound.bits)
        )


def encoding_of(
    preset: dict[str, Any], sound: Sound, *, segment_s: float | None = None
) -> Encoding:
    """Return how ``preset`` (members Container and Audio) is applied to ``sound``.

    What the codec cannot carry becomes the next thing below: sample rate, channels, bits.
    ``segment_s`` is how long the segments are, where the result has some. Raises NotEncodable
    when no sound could be in the result.
    """
    audio = preset.get("Audio") or {}
    name = audio.get("Codec")
    container, codec = CONTAINERS.get(preset.get("Container", "")), CODECS.get(name or "")
    if container is None or codec is None or audio.get("Channels") == "0":
        raise NotEncodable(f"a {preset.get('Container')} of this preset has no sound without video")
    notes: list[str] = []
    rates = CONTAINER_RATES.get((preset["Container"], name), codec.rates)
    rate = _sample_rate(audio.get("SampleRate", "auto"), rates, sound)
    while codec.max_rate_hz and rate > codec.max_rate_hz:
        rate //= 2
    most = min(codec.max_channels, CONTAINER_CHANNELS.get(preset["Container"], 8))
    channels = _channels(audio.get("Channels", "auto"), most, sound, notes)
    encoder, bits, bitrate = _encoder(audio, rate, channels, sound, notes)
    if sound.has_video:
        notes.append("The input is a video; its sound was used.")
    if sound.tracks > 1:
        notes.append(f"The input has {sound.tracks} sound tracks; the first one was used.")
    # A number means FFmpeg's usual layout of so many, 2.1 for three: 3.0 would be mixed to that.
    layout = () if channels == sound.channels > 2 else ("-ac", str(channels))
    return Encoding(
        container=container,
        codec=codec,
        sample_rate_hz=rate,
        channels=channels,
        bits=bits,
        bitrate_kbps=bitrate,
        arguments=(
            "-ar", str(rate), *layout, *encoder, *_muxer(preset["Container"], container, segment_s)
        ),
        is_segmented=segment_s is not None,
        notes=tuple(notes),
    )  # fmt: skip


def _sample_rate(asked: str, rates: Sequence[int], sound: Sound) -> int:
    wanted = sound.sample_rate_hz if asked == "auto" else int(asked)
    if not rates or wanted in rates:
        return wanted
    lower = [rate for rate in rates if rate < wanted]
    return max(lower) if lower else min(rates)


def _channels(asked: str, most: int, sound: Sound, notes: list[str]) -> int:
    wanted = sound.channels if asked == "auto" else int(asked)
    channels = min(wanted, most)
    if channels < sound.channels and sound.channels > 2:
        word = "channel" if channels == 1 else "channels"
        notes.append(
            f"The input has {sound.channels} audio channels, the output {channels} {word}."
        )
    return channels


def _muxer(name: str, container: Container, segment_s: float | None) -> tuple[str, ...]:
    if segment_s is None:
        return (*container.arguments, "-f", container.muxer)
    in_units = segment_s if name == "ts" else round(segment_s * 1_000_000)
    return (*SEGMENTED[name], f"{in_units:g}" if name == "ts" else str(in_units))


def _encoder(
    audio: dict[str, Any], rate: int, channels: int, sound: Sound, notes: list[str]
) -> tuple[tuple[str, ...], int | None, int | None]:
    """Return the encoder's arguments, the bits of a sample, and the bit rate in kbit/s."""
    options = audio.get("CodecOptions") or {}
    name = audio["Codec"]
    if name == "flac":
        bits = int(options.get("BitDepth") or (16 if (sound.bits or 16) <= 16 else 24))
        if bits == 24:
            return (*FLAC, "-sample_fmt", "s32", "-bits_per_raw_sample", "24"), 24, None
        return (*FLAC, "-sample_fmt", "s16"), 16, None
    if name == "pcm":
        return _pcm(options, notes)
    bitrate = int(audio.get("BitRate") or 128)
    if name == "mp3":
        # Highest rate of layer III at half the sample rates. Source: ISO/IEC 13818-3.
        bitrate = min(bitrate, 320 if rate >= 32000 else 160 if rate >= 16000 else 64)
        return ("-c:a", "libmp3lame", "-b:a", f"{bitrate}k"), None, bitrate
    if name == "mp2":
        known = MP2_KBPS if rate >= 32000 else MP2_LOW_RATE_KBPS
        if channels == 1 and rate >= 32000:
            known = tuple(kbps for kbps in known if kbps <= 192)
        bitrate = min(known, key=lambda kbps: (abs(kbps - bitrate), kbps))
        return ("-c:a", "mp2", "-b:a", f"{bitrate}k"), None, bitrate
    if name == "vorbis":
        return _vorbis(bitrate, rate, channels), None, bitrate
    if options.get("Profile") in ("HE-AAC", "HE-AACv2"):
        notes.append(f"No encoder for {options['Profile']}; AAC-LC was used.")
    # A packet of AAC holds 6144 bits for each channel at most. Source: ISO/IEC 14496-3.
    bitrate = min(bitrate, 6 * rate * channels // 1000)
    return ("-c:a", "aac", "-b:a", f"{bitrate}k"), None, bitrate


def _pcm(options: dict[str, Any], notes: list[str]) -> tuple[tuple[str, ...], int, None]:
    bits = int(options.get("BitDepth") or 16)
    # RIFF knows no other signs: bytes are unsigned, wider samples signed.
    sign = "u" if bits == 8 else "s"
    asked = {"Signed": "s", "Unsigned": "u"}.get(options.get("Signed") or "", sign)
    if asked != sign:
        word = "unsigned" if sign == "u" else "signed"
        notes.append(f"WAV holds {bits} bit samples as {word} numbers.")
    return ("-c:a", "pcm_u8" if bits == 8 else f"pcm_s{bits}le"), bits, None


def _vorbis(bitrate: int, rate: int, channels: int) -> tuple[str, ...]:
    if (rate, channels) in VORBIS_MANAGED:
        return ("-c:a", "libvorbis", "-b:a", f"{min(max(bitrate, 64), 320)}k")
    as_stereo = bitrate * 2 / channels
    quality = max((step for kbps, step in VORBIS_QUALITY if kbps <= as_stereo), default=0)
    return ("-c:a", "libvorbis", "-q:a", str(quality))
