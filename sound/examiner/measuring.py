"""Measures a result: reads it to its end, decodes its first and last second, hashes it."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import av
import streams
import tags
from av.audio.stream import AudioStream

EDGE_S = 1.0
# Decoders start with packets that lean on earlier ones; so many may be lost before the last second.
LEAD_PACKETS = 4
CHUNK = 1 << 20


def measure(path: Path, *, options: Mapping[str, str], hash_format: str | None) -> dict[str, Any]:
    """Return the facts of ``sound.measure.Measured``, or ``error``: why there are none.

    ``hash_format`` (FFmpeg's sample format s16 or s32) asks for a SHA-256 of all decoded samples,
    interleaved, in that format.
    """
    try:
        with av.open(str(path), options=dict(options), metadata_errors="replace") as container:
            if not container.streams.audio:
                return {"error": "no sound track"}
            facts = _read(container, container.streams.audio[0], hash_format)
            # Nothing of ours has moving pictures.
            facts["pictures"] = len(container.streams.video)
            facts["tags"] = sorted(tags.of(container, container.streams.audio[0]))
    except (av.error.FFmpegError, ValueError, OSError) as error:
        # Errors of FFmpeg and of the system name the path too; people see this text.
        why = getattr(error, "strerror", None) or error
        return {"error": f"cannot be read: {why}"[:200]}
    facts["size_bytes"] = path.stat().st_size
    with path.open("rb") as file:
        facts["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    return facts


def _read(
    container: av.container.InputContainer, stream: AudioStream, hash_format: str | None
) -> dict[str, Any]:
    context = stream.codec_context
    rate = context.sample_rate
    if rate <= 0 or context.channels <= 0:
        return {"error": "no sample rate or no channels"}
    samples = packets = first = 0
    first_rate, decoding_first = 0, True
    tail: deque[tuple[av.Packet, int]] = deque()
    tail_samples = 0
    sound = _Hash(hash_format) if hash_format else None
    count = streams.Count(stream)
    for packet in container.demux(stream):
        if packet.size == 0:
            break
        packets += 1
        added = count.add(packet, rate)
        samples += added
        if sound or decoding_first:
            for frame in context.decode(packet):
                first += frame.samples
                first_rate = frame.sample_rate
                if sound:
                    sound.add(frame)
        decoding_first = first < EDGE_S * rate
        tail.append((packet, added))
        tail_samples += added
        while len(tail) > LEAD_PACKETS and tail_samples - _lead(tail) > EDGE_S * rate:
            tail_samples -= tail.popleft()[1]
    if sound:
        for frame in context.decode(None):
            first += frame.samples
            sound.add(frame)
        last = first
    else:
        if decoding_first:
            first += sum(frame.samples for frame in context.decode(None))
        context.flush_buffers()
        last = _decode_tail(context, [packet for packet, _ in tail])
    return {
        "container": container.format.name.partition(",")[0],
        "codec": context.name,
        "sample_rate_hz": first_rate or rate,
        "channels": context.channels,
        "bits": streams.bits(stream),
        "bitrate_kbps": count.kbps,
        "packets": packets,
        "samples": first if sound else count.samples(samples, rate),
        "first_samples": first,
        "last_samples": last,
        "sound_sha256": sound.hexdigest() if sound else None,
    }


def _lead(tail: Iterable[tuple[av.Packet, int]]) -> int:
    return sum(added for _, added in list(tail)[:LEAD_PACKETS])


def _decode_tail(context: av.AudioCodecContext, packets: list[av.Packet]) -> int:
    samples = 0
    for number, packet in enumerate([*packets, None]):
        try:
            samples += sum(frame.samples for frame in context.decode(packet))
        except av.error.FFmpegError:
            # The bit reservoir of an MP3 reaches back into packets that were let go.
            if number >= LEAD_PACKETS:
                raise
    return samples


class _Hash:
    """SHA-256 of frames as interleaved samples of one format."""

    def __init__(self, sample_format: str) -> None:
        self._format = sample_format
        self._bytes = {"s16": 2, "s32": 4}[sample_format]
        self._hash = hashlib.sha256()
        self._resampler: av.AudioResampler | None = None

    def add(self, frame: av.AudioFrame) -> None:
        frames = [frame]
        if frame.format.name != self._format:
            if self._resampler is None:
                self._resampler = av.AudioResampler(format=self._format)
            frames = self._resampler.resample(frame)
        for one in frames:
            length = one.samples * one.layout.nb_channels * self._bytes
            self._hash.update(memoryview(one.planes[0])[:length])

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
