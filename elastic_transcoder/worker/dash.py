"""MPEG-DASH: what stands at the beginning of an fmp4 file, and the manifest that names it.

Source: ISO/IEC 23009-1, on-demand profile; ISO/IEC 14496-12, boxes.
"""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from elastic_transcoder.worker.hls import Segment, bandwidth, relative_uri, target_duration


@dataclass(frozen=True)
class Index:
    """Where a fragmented MP4 says what it is, and where its pieces are.

    Ranges are first and last byte, both counted in, as an MPD writes them.
    """

    initialization: tuple[int, int]
    index: tuple[int, int]
    segments: list[Segment] = field(default_factory=list)


MAX_BOXES = 16
MAX_INDEX_BYTES = 1 << 20


def index(path: Path) -> Index:
    """Return what stands at the beginning of an fmp4 file: ftyp and moov, then one sidx.

    Raises ValueError when it does not begin so, or its index does not lead to the file's end.
    Source: ISO/IEC 14496-12, sections 4.2 and 8.16.3.
    """
    size, at, kinds = path.stat().st_size, 0, []
    with path.open("rb") as file:
        for _ in range(MAX_BOXES):
            kind, length = _box(file, at, size)
            if kind == b"sidx":
                if b"ftyp" not in kinds[:1] or b"moov" not in kinds:
                    raise ValueError("the index does not stand behind ftyp and moov")
                if length > MAX_INDEX_BYTES:
                    raise ValueError("the index is too large")
                file.seek(at)
                segments = _subsegments(file.read(length), at + length, size)
                return Index((0, at - 1), (at, at + length - 1), segments)
            if kind in (b"moof", b"mdat"):
                break
            kinds.append(kind)
            at += length
    raise ValueError("there is no index before the sound")


def _box(file: BinaryIO, at: int, size: int) -> tuple[bytes, int]:
    file.seek(at)
    head = file.read(16)
    if len(head) < 8:
        raise ValueError("the file ends before its index")
    length, kind = struct.unpack(">I4s", head[:8])
    if length == 1 and len(head) == 16:
        (length,) = struct.unpack(">Q", head[8:])
    elif length == 0:
        length = size - at
    if length < 8 or at + length > size:
        raise ValueError(f"the box {kind!r} is longer than the file")
    return kind, length


def _subsegments(box: bytes, at: int, size: int) -> list[Segment]:
    """Return the pieces that a sidx ending at ``at`` names, with their places in the file."""
    try:
        (timescale,) = struct.unpack_from(">I", box, 16)
        shape = ">II" if box[8] == 0 else ">QQ"
        _, first_offset = struct.unpack_from(shape, box, 20)
        start = 20 + struct.calcsize(shape)
        (count,) = struct.unpack_from(">H", box, start + 2)
        entries = [struct.unpack_from(">III", box, start + 4 + 12 * n) for n in range(count)]
    except (struct.error, IndexError) as error:
        raise ValueError("the index is cut off") from error
    if not timescale or not entries:
        raise ValueError("the index is empty")
    segments, at = [], at + first_offset
    for referenced, duration, _ in entries:
        # The highest bit would say that there is another index.
        if referenced >> 31 or at + referenced > size:
            raise ValueError("the index leads out of the file")
        segments.append(Segment(duration / timescale, referenced, at))
        at += referenced
    # It counts to 65,535: of more pieces FFmpeg names the first ones only.
    if at != size:
        raise ValueError("the index does not name the whole file")
    return segments


@dataclass(frozen=True)
class Representation:
    """One output of an MPD: a fragmented MP4 with an index in front."""

    id: str
    name: str
    codecs: str
    sample_rate_hz: int
    channels: int
    index: Index

    @property
    def duration_s(self) -> float:
        return sum(segment.duration_s for segment in self.index.segments)


# Count of channels -> ChannelConfiguration, where they differ. Source: ISO/IEC 23091-3.
CHANNEL_CONFIGURATIONS = {7: 11, 8: 12}


def mpd(name: str, representations: Sequence[Representation]) -> str:
    """Return the text of the MPD ``name`` (``master_name()``): static, on-demand profile.

    Source: ISO/IEC 23009-1, section 8.3.
    """
    duration_s = max(one.duration_s for one in representations)
    root = ElementTree.Element(
        "MPD",
        {
            "xmlns": "urn:mpeg:dash:schema:mpd:2011",
            "profiles": "urn:mpeg:dash:profile:isoff-on-demand:2011",
            "type": "static",
            "mediaPresentationDuration": f"PT{duration_s:.3f}S",
            "minBufferTime": f"PT{target_duration(representations[0].index.segments)}S",
        },
    )
    period = ElementTree.SubElement(root, "Period", {"id": "0"})
    audio = {"contentType": "audio", "mimeType": "audio/mp4", "subsegmentStartsWithSAP": "1"}
    if _are_aligned(representations):
        audio["subsegmentAlignment"] = "true"
    adaptation = ElementTree.SubElement(period, "AdaptationSet", audio)
    for one in representations:
        _represent(one, adaptation, name)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _represent(one: Representation, adaptation: ElementTree.Element, beside: str) -> None:
    channels = CHANNEL_CONFIGURATIONS.get(one.channels, one.channels)
    element = ElementTree.SubElement(
        adaptation,
        "Representation",
        {
            "id": one.id,
            "bandwidth": str(bandwidth(one.index.segments)),
            "codecs": one.codecs,
            "audioSamplingRate": str(one.sample_rate_hz),
        },
    )
    ElementTree.SubElement(
        element,
        "AudioChannelConfiguration",
        {
            "schemeIdUri": "urn:mpeg:dash:23003:3:audio_channel_configuration:2011",
            "value": str(channels),
        },
    )
    ElementTree.SubElement(element, "BaseURL").text = relative_uri(one.name, beside)
    base = {"indexRange": _range(one.index.index), "indexRangeExact": "true"}
    segments = ElementTree.SubElement(element, "SegmentBase", base)
    ElementTree.SubElement(segments, "Initialization", {"range": _range(one.index.initialization)})


def _range(first_and_last: tuple[int, int]) -> str:
    return "{}-{}".format(*first_and_last)


def _are_aligned(representations: Iterable[Representation]) -> bool:
    """Return whether all pieces begin together, to a hundredth of a second."""
    begins = [
        [round(segment.duration_s, 2) for segment in one.index.segments[:-1]]
        for one in representations
    ]
    return all(one == begins[0] for one in begins)
