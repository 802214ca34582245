"""Looks at a file that somebody sent: is there sound in it, of what kind, how long."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import magic
import protection
import streams
import tags
from av.audio.stream import AudioStream
from av.container import InputContainer

# Frames are decoded until so many seconds of sound came, or so many packets gave none.
DECODED_S = 1.0
FRUITLESS_PACKETS = 200
# Demuxers that look for a pattern in any bytes at all: chance finds some in noise.
PATTERN_DEMUXERS = ("mp3", "aac")
MIN_FRAMES = 3
MAX_CHANNELS = 64
# Containers that name all their tracks before the first sound; of the others a head that shows no
# sound track says nothing about the rest.
TRACKS_COME_FIRST = ("mov", "ogg", "asf")


class _Refused(Exception):
    def __init__(self, reason: str, detail: str, *, holds: bool = False) -> None:
        super().__init__(reason, detail)
        # ``holds``: true of the file, whatever comes behind the bytes that were seen.
        self.answer = {"reason": reason, "detail": detail, "holds": holds}


def probe(
    path: Path,
    *,
    options: Mapping[str, str],
    lossless: list[str],
    max_duration_s: float,
    counting_s: float,
) -> dict[str, Any]:
    """Return the members of ``sound.probe.Sound``, or ``reason``, ``detail`` and ``holds``.

    Of the head of a larger file a refusal counts if it ``holds``. Packets are counted for
    ``counting_s`` seconds at most; of a longer file the rest is inferred from what the counted
    bytes held.
    """
    size = path.stat().st_size
    try:
        container = _open(path, size, options)
        with container:
            return _look(path, size, container, frozenset(lossless), max_duration_s, counting_s)
    except _Refused as refused:
        return refused.answer


def _open(path: Path, size: int, options: Mapping[str, str]) -> InputContainer:
    try:
        # A path, never a file object: given one, FFmpeg's own protocols come back into play.
        return av.open(
            str(path), options={**options, "max_size": str(1 << 20)}, metadata_errors="replace"
        )
    except (av.error.FFmpegError, ValueError, OSError) as error:
        with path.open("rb") as file:
            head = file.read(2048)
        if head.startswith(b"ID3") and _is_only_tag(head, size):
            raise _Refused("no_audio", "tags, and no sound") from error
        reason, detail = magic.reason(head)
        # What begins as one of ours may have its index at the end.
        holds = reason != "damaged" and not magic.is_of_mp4(head)
        raise _Refused(reason, detail, holds=holds) from error


def _is_only_tag(head: bytes, size: int) -> bool:
    # The size of an ID3v2 tag without its header: four bytes of seven bits. Source: ID3v2.4.0, 3.1.
    tag = 0
    for byte in head[6:10]:
        tag = tag << 7 | byte & 0x7F
    return tag + 10 + 128 >= size


def _look(
    path: Path,
    size: int,
    container: InputContainer,
    lossless: frozenset[str],
    max_duration_s: float,
    counting_s: float,
) -> dict[str, Any]:
    kind = container.format.name.partition(",")[0]
    if kind in PATTERN_DEMUXERS:
        with path.open("rb") as file:
            if magic.is_wrapper(file.read(2048)):
                raise _Refused("not_audio", "sound inside a file of another kind", holds=True)
    if not container.streams.audio:
        holds = kind in TRACKS_COME_FIRST and len(container.streams) > 0
        raise _Refused("no_audio", "no sound track", holds=holds)
    stream = container.streams.audio[0]
    if protection.is_protected(path, kind):
        raise _Refused("unsupported", "this file is copy-protected", holds=True)
    context = stream.codec_context
    if context is None:
        raise _Refused("unsupported", "a codec that is not known", holds=True)
    rate, channels = context.sample_rate, context.channels
    if kind in PATTERN_DEMUXERS and (rate <= 0 or channels <= 0):
        with path.open("rb") as file:
            reason, detail = _without_frames(file.read(2048))
            raise _Refused(reason, detail, holds=reason == "not_audio")

    is_complete, counted, frames, failures, kbps = _count(
        container, stream, size, max_duration_s, counting_s
    )
    if frames == 0 or (kind in PATTERN_DEMUXERS and frames < min(MIN_FRAMES, frames + failures)):
        if counted == 0 and failures == 0:
            raise _Refused("no_audio", "no sound frames")
        with path.open("rb") as file:
            reason, detail = _undecoded(kind, file.read(2048), context.name)
            raise _Refused(reason, detail, holds=reason == "not_audio")
    rate, channels = context.sample_rate, context.channels
    if rate <= 0 or not 0 < channels <= MAX_CHANNELS:
        raise _Refused("damaged", f"{channels} channels at {rate} Hz")
    if is_complete and counted > max_duration_s:
        raise _Refused("too_long", f"{counted:.0f} s of sound")
    pictures = [
        one
        for one in container.streams.video
        if one.disposition & av.stream.Disposition.attached_pic
    ]
    return {
        "container": kind,
        "codec": context.codec.canonical_name,
        "sample_rate_hz": rate,
        "channels": channels,
        "bits": streams.bits(stream),
        "duration_ms": round(counted * 1000),
        "lossless": context.name in lossless,
        "bitrate_kbps": kbps,
        "tags": tags.of(container, stream),
        "pictures": len(pictures),
        "front_picture": _front(pictures),
        "has_video": len(container.streams.video) > len(pictures),
        "tracks": len(container.streams.audio),
    }


def _front(pictures: list[av.video.stream.VideoStream]) -> int:
    """Return the number of the front cover among the attached pictures; the first if none is."""
    for number, picture in enumerate(pictures):
        # What ID3v2 and FLAC call picture type 3. Source: FFmpeg, ff_id3v2_picture_types.
        if picture.metadata.get("comment") == "Cover (front)":
            return number
    return 0


def _without_frames(head: bytes) -> tuple[str, str]:
    if head.startswith(b"ID3"):
        return "no_audio", "tags, and no sound"
    return magic.reason(head)[0], "no sound frames"


def _undecoded(kind: str, head: bytes, codec: str) -> tuple[str, str]:
    if kind in PATTERN_DEMUXERS and not head.startswith(b"ID3"):
        return "not_audio", "no sound frames"
    return "damaged", f"nothing of it decodes as {codec}"


def _count(
    container: InputContainer,
    stream: AudioStream,
    size: int,
    max_duration_s: float,
    counting_s: float,
) -> tuple[bool, float, int, int, int | None]:
    """Return what was counted.

    Seen to the end or past the limit?, seconds of sound, frames decoded, failures, kbit/s.
    """
    deadline = time.monotonic() + counting_s
    seconds, decoded_s, frames, failures, position = 0.0, 0.0, 0, 0, 0
    count = streams.Count(stream)
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            rate = stream.codec_context.sample_rate
            added = count.add(packet, rate)
            seconds += added / rate if added else 0
            position = packet.pos or position
            if decoded_s < DECODED_S and failures < FRUITLESS_PACKETS:
                try:
                    for frame in packet.decode():
                        frames += frame.samples > 0
                        decoded_s += frame.samples / frame.sample_rate
                except av.error.FFmpegError:
                    failures += 1
            if seconds > max_duration_s:
                return True, seconds, frames, failures, count.kbps
            if time.monotonic() > deadline:
                return False, _inferred(seconds, position, size), frames, failures, count.kbps
    except (av.error.FFmpegError, OSError):
        # Damaged from here on; what came before it counts.
        failures += 1
    if seconds == 0:
        # Some containers give packets no duration; then their times say how long it is.
        seconds = max(count.apart_s, decoded_s)
    elif (rate := stream.codec_context.sample_rate) > 0:
        seconds = count.samples(seconds * rate, rate) / rate
    return True, seconds, frames, failures, count.kbps


def _inferred(seconds: float, position: int, size: int) -> float:
    return seconds * size / position if 0 < position < size else seconds
