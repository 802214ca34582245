"""What a stream of sound is made of, read from PyAV."""

from __future__ import annotations

import re

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
    skipped = 0
    if packet.has_sidedata("skip_samples"):
        data = bytes(packet.get_sidedata("skip_samples"))
        skipped = int.from_bytes(data[:4], "little") + int.from_bytes(data[4:8], "little")
    return max(0, count - skipped)
