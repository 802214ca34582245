"""From a preset to FFmpeg's arguments.

Source: API 2012-09-25, preset members Container and Audio; FFmpeg 9 documentation of the named
options; which encoder takes what was measured with FFmpeg 9.0.2.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
from django.conf import settings

from sound import kinds, sandbox
from sound.probe import Sound

OLDEST_VERSION = 5
# What a job may ask for; the worker does not start without.
ENCODERS = ("libmp3lame", "aac", "mp2", "flac", "libvorbis", "pcm_s16le")


class FFmpegMissing(Exception):
    """There is no FFmpeg that could do the work; the text says what to install or set."""


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


# mxf and gif are absent: neither can be written without pictures.
CONTAINERS = {
    "mp3": Container("mp3", "mp3", "audio/mpeg", ("-id3v2_version", "3")),
    "mp4": Container("mp4", "mov", "audio/mp4", ("-movflags", "+faststart")),
    "fmp4": Container(
        "mp4", "mov", "audio/mp4", ("-movflags", "+frag_keyframe+empty_moov+default_base_moof"),
        is_gapless=False,
    ),
    "flac": Container("flac", "flac", "audio/flac"),
    "wav": Container("wav", "wav", "audio/wav", ("-rf64", "auto")),
    "ogg": Container("ogg", "ogg", "audio/ogg"),
    "oga": Container("ogg", "ogg", "audio/ogg"),
    "webm": Container("webm", "matroska", "audio/webm"),
    "ts": Container("mpegts", "mpegts", "video/mp2t", is_gapless=False),
    "mp2": Container("mp2", "mp3", "audio/mpeg", is_gapless=False),
    "mpg": Container("mpeg", "mpeg", "video/mpeg", is_gapless=False),
    "flv": Container("flv", "flv", "video/x-flv", is_gapless=False),
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


CODECS = {
    "AAC": Codec(
        ("aac",), 8,
        (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000), 1024,
    ),
    "mp3": Codec(
        ("mp3float", "mp3"), 2, (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000), 1152
    ),
    "mp2": Codec(("mp2float", "mp2"), 2, (16000, 22050, 24000, 32000, 44100, 48000), 1152),
    "vorbis": Codec(
        ("vorbis",), 8, (8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000), 2048
    ),
    "flac": Codec(("flac",), 8),
    "pcm": Codec(("pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le"), 8),
}  # fmt: skip

# Rates that a container refuses though the codec has them.
CONTAINER_RATES = {
    ("flv", "mp3"): (11025, 22050, 44100),
    ("mp4", "mp3"): (16000, 22050, 24000, 32000, 44100, 48000),
}

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
    arguments: tuple[str, ...]  # filters, encoder, muxer: what stands before the file's name
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


def encoding(preset: dict[str, Any], sound: Sound) -> Encoding:
    """Return how ``preset`` (members Container and Audio) is applied to ``sound``.

    What the codec cannot carry becomes the next thing below: sample rate, channels, bits. Raises
    NotEncodable when no sound could be in the result.
    """
    audio = preset.get("Audio") or {}
    name = audio.get("Codec")
    container, codec = CONTAINERS.get(preset.get("Container", "")), CODECS.get(name or "")
    if container is None or codec is None or audio.get("Channels") == "0":
        raise NotEncodable(f"a {preset.get('Container')} of this preset has no sound without video")
    notes: list[str] = []
    rates = CONTAINER_RATES.get((preset["Container"], name), codec.rates)
    rate = _sample_rate(audio.get("SampleRate", "auto"), rates, sound)
    channels, channel_filter = _channels(audio.get("Channels", "auto"), codec, sound, notes)
    encoder, bits, bitrate = _encoder(audio, rate, channels, sound, notes)
    if sound.has_video:
        notes.append("The input is a video; its sound was used.")
    if sound.tracks > 1:
        notes.append(f"The input has {sound.tracks} sound tracks; the first one was used.")
    if sound.has_picture:
        notes.append("Artwork of the input was left out.")
    filters = ["asetpts=N/SR/TB", *channel_filter]
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
            "-af", ",".join(filters), "-ar", str(rate), *layout,
            *encoder, *container.arguments, "-f", container.muxer,
        ),
        notes=tuple(notes),
    )  # fmt: skip


def _sample_rate(asked: str, rates: Sequence[int], sound: Sound) -> int:
    wanted = sound.sample_rate_hz if asked == "auto" else int(asked)
    if not rates or wanted in rates:
        return wanted
    lower = [rate for rate in rates if rate < wanted]
    return max(lower) if lower else min(rates)


def _channels(
    asked: str, codec: Codec, sound: Sound, notes: list[str]
) -> tuple[int, tuple[str, ...]]:
    wanted = sound.channels if asked == "auto" else int(asked)
    channels = min(wanted, codec.max_channels)
    if channels < sound.channels and sound.channels > 2:
        word = "channel" if channels == 1 else "channels"
        notes.append(
            f"The input has {sound.channels} audio channels, the output {channels} {word}."
        )
    # Both sides get the very samples; a mix could change them.
    doubled = ("pan=stereo|c0=c0|c1=c0",) if (sound.channels, channels) == (1, 2) else ()
    return channels, doubled


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


# --- Arguments ----------------------------------------------------------------------------------


def tag_file(tags: dict[str, str]) -> str:
    """Return ``tags`` as FFmpeg's metadata file. Source: ffmpeg-formats, "Metadata"."""
    lines = [
        f"{_escaped(name)}={_escaped(value)}\n"
        for name, value in tags.items()
    ]  # fmt: skip
    return "".join([";FFMETADATA1\n", *lines])


def _escaped(text: str) -> str:
    return re.sub(r"([=;#\\\n])", r"\\\1", text)


def arguments(
    source: Path,
    tags: Path,
    outputs: Iterable[tuple[Encoding, Path]],
    *,
    sound_hash: tuple[str, Path] | None = None,
) -> list[str]:
    """Return the arguments of one FFmpeg that decodes ``source`` once and writes all ``outputs``.

    ``tags`` is the file of ``tag_file()``; nothing else of the source but its first sound track
    travels. ``sound_hash`` is a sample format (s16, s32) and the file that gets the SHA-256 of
    the decoded sound. Progress goes to stdout; at its end the log (stderr) tells how many
    samples were decoded.
    """
    reading = [part for name, value in kinds.READING.items() for part in (f"-{name}", value)]
    argv = [
        "-hide_banner", "-nostdin", "-loglevel", "level+verbose", "-nostats",
        "-stats_period", "0.5", "-progress", "pipe:1",
        *reading, "-max_pixels", str(kinds.MAX_PIXELS), "-vn", "-sn", "-dn",
        "-i", f"file:{source}",
        "-protocol_whitelist", "file", "-f", "ffmetadata", "-i", f"file:{tags}",
    ]  # fmt: skip
    for one, path in outputs:
        argv += ["-map", "0:a:0", "-map_metadata", "1", "-map_chapters", "-1"]
        argv += [*one.arguments, f"file:{path}"]
    if sound_hash:
        sample_format, path = sound_hash
        argv += ["-map", "0:a:0", "-map_metadata", "-1", "-c:a", f"pcm_{sample_format}le"]
        argv += ["-f", "hash", "-hash", "sha256", f"file:{path}"]
    return argv


# --- The program --------------------------------------------------------------------------------


def binary() -> str:
    """Return the path of the FFmpeg to run: ``settings.FFMPEG_BINARY``, else imageio-ffmpeg's.

    Raises FFmpegMissing.
    """
    if settings.FFMPEG_BINARY:
        found = shutil.which(settings.FFMPEG_BINARY)
        if found is None:
            raise FFmpegMissing(
                f"FFMPEG_BINARY names {settings.FFMPEG_BINARY!r}, which is no program. "
                "Set it to FFmpeg's path, or unset it to use the one of imageio-ffmpeg."
            )
        return found
    return _packaged()


@functools.cache
def _packaged() -> str:
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise FFmpegMissing(
            "The package imageio-ffmpeg brings no FFmpeg for this machine. "
            "Install one and set FFMPEG_BINARY to its path."
        ) from error


def check() -> None:
    """Return if FFmpeg is there, new enough and has every encoder of ENCODERS.

    Raises FFmpegMissing with what to do otherwise.
    """
    program = binary()
    version = _said(program, "-version")
    # A release ("9.0.2", "n9.0.2", "5.1.9-0+deb12u1") or a build of the day ("N-123456-g…").
    release = re.match(r"ffmpeg version n?(\d+)\.", version)
    if not version.startswith("ffmpeg version"):
        raise FFmpegMissing(f"{program} does not answer like FFmpeg. Set FFMPEG_BINARY.")
    if release and int(release[1]) < OLDEST_VERSION:
        raise FFmpegMissing(
            f"{program} is FFmpeg {release[1]}; {OLDEST_VERSION} or newer is needed. Unset "
            "FFMPEG_BINARY to use the one of imageio-ffmpeg."
        )
    known = set(re.findall(r"^ A\S{5} (\S+)", _said(program, "-hide_banner", "-encoders"), re.M))
    missing = [encoder for encoder in ENCODERS if encoder not in known]
    if missing:
        raise FFmpegMissing(
            f"{program} lacks the encoders {', '.join(missing)}. Unset FFMPEG_BINARY to use the "
            "FFmpeg of imageio-ffmpeg, or install a build that has them."
        )


def readable() -> list[Path]:
    """Return what FFmpeg itself has to read: libraries beside it, as an own installation has."""
    home = Path(binary()).resolve().parent.parent
    return [folder for folder in (home / "lib", home / "lib64") if folder.is_dir()]


def _said(program: str, *argv: str) -> str:
    # Behind the fence, so that what passes here also works there.
    process = sandbox.start(
        [program, *argv],
        folder=None,
        memory_bytes=settings.FFMPEG_MEMORY_BYTES,
        cpu_s=30,
        file_bytes=0,
        readable=readable(),
    )
    try:
        answer, errors = process.communicate(timeout=30)
    except subprocess.TimeoutExpired as error:
        raise FFmpegMissing(f"{program} does not answer. Set FFMPEG_BINARY.") from error
    finally:
        sandbox.kill(process)
    if process.returncode:
        told = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise FFmpegMissing(
            f"{program} does not run ({told or process.returncode}). Set FFMPEG_BINARY to "
            "another FFmpeg."
        )
    return answer.decode("utf-8", "replace")
