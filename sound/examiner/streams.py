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


def _skipped(packet: av.Packet) -> int:
    """Return how many samples of ``packet`` are marked as no sound.

    Encoders begin and end with such (priming, padding); demuxers mark them.
    """
    if not packet.has_sidedata("skip_samples"):
        return 0
    data = bytes(packet.get_sidedata("skip_samples"))
    return int.from_bytes(data[:4], "little") + int.from_bytes(data[4:8], "little")


class Count:
    """What the packets of a stream add up to, as they are read.

    Times stay whole ticks until somebody asks: fractions take longer than reading a packet.
    """

    def __init__(self, stream: AudioStream) -> None:
        self._tick = stream.time_base or Fraction(0)
        self._numerator, self._denominator = self._tick.as_integer_ratio()
        # Where a tick is no longer than a sample, durations are exact.
        self._is_coarse = self._tick * (stream.codec_context.sample_rate or 48_000) > 1
        self._size_bytes = 0
        self._ticks = 0  # of all durations, what is to be skipped included
        self._skipped = 0  # samples
        self._timed = 0  # packets that say when they are
        # Of the presentation times: the first, the last, and the end of whatever ends last.
        self._first: int | None = None
        self._last = self._end = 0

    def add(self, packet: av.Packet, sample_rate_hz: int) -> int:
        """Add a packet; return how many samples it brings: its duration less what is skipped."""
        self._size_bytes += packet.size
        duration, at, unheard = packet.duration or 0, packet.pts, _skipped(packet)
        self._ticks += duration
        self._skipped += unheard
        if at is not None:
            self._timed += 1
            if self._first is None:
                self._first, self._last, self._end = at, at, at + duration
            self._first = min(self._first, at)
            self._last = max(self._last, at)
            self._end = max(self._end, at + duration)
        if not duration:
            return 0
        double = 2 * duration * self._numerator * sample_rate_hz
        return max(0, (double + self._denominator) // (2 * self._denominator) - unheard)

    @property
    def kbps(self) -> int | None:
        """The bit rate of the packets, in kbit/s; None where they do not say how long they last."""
        lasting_s = float(self._ticks * self._tick)
        return round(self._size_bytes * 8 / 1000 / lasting_s) if lasting_s > 0 else None

    @property
    def apart_s(self) -> float:
        """Seconds from the time of the first packet to that of the last; 0 where they say none."""
        return 0.0 if self._first is None else float((self._last - self._first) * self._tick)

    def samples(self, added: float, sample_rate_hz: int) -> float:
        """Return how many samples there are where those that ``add()`` returned come to ``added``.

        Matroska and FLV count whole milliseconds, so the durations of their packets are rounded and
        do not add up: an hour of AAC in FLV would be half a minute short. It is the span where
        rounding explains the difference; a gap is no sound.
        """
        if self._first is None or not self._is_coarse:
            return added
        spanned = round((self._end - self._first) * self._tick * sample_rate_hz) - self._skipped
        most = self._timed * self._tick * sample_rate_hz
        return spanned if abs(spanned - added) <= most else added
