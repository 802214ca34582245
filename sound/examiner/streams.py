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
    count = round(packet.duration * packet.time_base * sample_rate_hz)
    return max(0, count - skipped(packet))


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

    def __init__(self) -> None:
        self._first: Fraction | None = None
        self._end = Fraction(0)
        self._skipped = 0
        self._packets = 0
        self._tick = Fraction(0)

    def add(self, packet: av.Packet) -> None:
        self._skipped += skipped(packet)
        if packet.pts is None or packet.time_base is None:
            return
        self._packets += 1
        self._tick = Fraction(packet.time_base)
        at = packet.pts * self._tick
        self._first = at if self._first is None else min(self._first, at)
        self._end = max(self._end, at + (packet.duration or 0) * self._tick)

    def samples(self, added: float, sample_rate_hz: int) -> float:
        """Return how many samples there are where the durations add up to ``added``.

        It is the span where rounding explains the difference; a gap is no sound.
        """
        if self._first is None or self._tick * sample_rate_hz <= 1:
            return added
        spanned = round((self._end - self._first) * sample_rate_hz) - self._skipped
        most = self._packets * self._tick * sample_rate_hz
        return spanned if abs(spanned - added) <= most else added
