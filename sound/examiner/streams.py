"""What a stream of sound is made of, read from PyAV."""

from __future__ import annotations

import re
from fractions import Fraction

import av
from av.audio.stream import AudioStream


def bits(stream: AudioStream) -> int | None:
    """Return the bits of one sample as stored, or None where the codec has no such thing."""
    codec, extradata = stream.codec_context.name, stream.codec_context.extradata or b""
    if codec == "flac" and len(extradata) >= 14:  # STREAMINFO, RFC 9639 section 8.2
        return ((extradata[12] & 1) << 4 | extradata[13] >> 4) + 1
    if codec == "alac" and len(extradata) >= 18:  # ALACSpecificConfig.bitDepth
        return extradata[17]
    if named := re.match(r"pcm_[suf](\d+)", codec):
        return int(named[1])
    if codec in ("pcm_alaw", "pcm_mulaw"):
        return 8
    if codec in ("wavpack", "tta", "ape", "wmalossless", "truehd", "mlp"):
        return stream.codec_context.format.bytes * 8
    return None


def samples(packet: av.Packet, sample_rate_hz: int) -> int:
    """Return how many samples ``packet`` adds: its duration without what is to be skipped.

    Encoders begin and end with samples that are no sound (priming, padding); demuxers mark them.
    """
    if not packet.duration or packet.time_base is None:
        return 0
    base = packet.time_base
    # Whole numbers: fractions would take longer than reading the packet.
    count = (2 * packet.duration * base.numerator * sample_rate_hz + base.denominator) // (
        2 * base.denominator
    )
    return max(0, count - skipped(packet))


def kbps(size_bytes: int, duration: float) -> int | None:
    """Return the bit rate of packets of so many bytes that last so many seconds."""
    return round(size_bytes * 8 / 1000 / duration) if duration > 0 else None


def seconds(packet: av.Packet) -> float:
    """Return how long ``packet`` lasts, what is to be skipped of it included; 0 if unknown."""
    return float((packet.duration or 0) * (packet.time_base or 0))


def skipped(packet: av.Packet) -> int:
    """Return how many samples of ``packet`` are marked as no sound."""
    if not packet.has_sidedata("skip_samples"):
        return 0
    data = bytes(packet.get_sidedata("skip_samples"))
    return int.from_bytes(data[:4], "little") + int.from_bytes(data[4:8], "little")


class Span:
    """From where to where the packets of a stream reach.

    Matroska and FLV count whole milliseconds, so the durations of their packets are rounded and do
    not add up: an hour of AAC in FLV would be half a minute short.
    """

    def __init__(self, stream: AudioStream) -> None:
        self._tick = stream.time_base or Fraction(0)
        # Where a tick is no longer than a sample, durations are exact and nothing is looked at.
        self._is_coarse = self._tick * (stream.codec_context.sample_rate or 48_000) > 1
        self._first: int | None = None
        self._end = self._skipped = self._packets = 0

    def add(self, packet: av.Packet) -> None:
        if not self._is_coarse:
            return
        self._skipped += skipped(packet)
        if packet.pts is None:
            return
        self._packets += 1
        self._first = packet.pts if self._first is None else min(self._first, packet.pts)
        self._end = max(self._end, packet.pts + (packet.duration or 0))

    def samples(self, added: float, sample_rate_hz: int) -> float:
        """Return how many samples there are where the durations add up to ``added``.

        It is the span where rounding explains the difference; a gap is no sound.
        """
        if self._first is None:
            return added
        spanned = round((self._end - self._first) * self._tick * sample_rate_hz) - self._skipped
        most = self._packets * self._tick * sample_rate_hz
        return spanned if abs(spanned - added) <= most else added
