"""HLS: the segments that FFmpeg lists, and the playlists that we write of them.

FFmpeg cuts the segments; every text that clients read is written here, under the names that the
job's keys ask for. Source: developer guide, "Playlists"; RFC 8216.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from elastic_transcoder.published import (
    HLS3,
    HLS4,
    media_playlist_name,
    ranged_name,
    segment_name,
)


@dataclass(frozen=True)
class Segment:
    """A piece of an output: ``length`` bytes at ``offset`` of the file that holds them all."""

    duration_s: float
    length: int
    offset: int


# --- Segments, as FFmpeg tells them -------------------------------------------------------------


_SEGMENT = re.compile(
    r"#EXTINF:(\d+(?:\.\d+)?),\n#EXT-X-BYTERANGE:([1-9]\d*)@(\d+)\n([^#\s][^\n]*)\n"
)
_PLAYLIST = re.compile(
    r"#EXTM3U\n(?:#EXT-X-(?:VERSION:\d+|TARGETDURATION:\d+|MEDIA-SEQUENCE:0|PLAYLIST-TYPE:VOD)\n)*"
    rf"((?:{_SEGMENT.pattern})+)#EXT-X-ENDLIST\n"
)


def parse(text: str) -> list[Segment]:
    """Return the segments of a media playlist that FFmpeg's hls muxer wrote of a single file.

    Raises ValueError for anything else than a whole playlist of that form, from its first segment
    to its end, whose segments follow each other in one file.
    """
    whole = _PLAYLIST.fullmatch(text)
    if whole is None:
        raise ValueError("not a whole playlist as FFmpeg writes it")
    found = _SEGMENT.findall(whole[1])
    segments = [Segment(float(one[0]), int(one[1]), int(one[2])) for one in found]
    end = 0
    for segment in segments:
        if segment.offset != end:
            raise ValueError("the byte ranges do not follow each other")
        end += segment.length
    if len({name for *_, name in found}) != 1:
        raise ValueError("the segments are not in one file")
    return segments


def bandwidth(segments: Sequence[Segment]) -> int:
    """Return the peak segment bit rate, in bit/s.

    The highest of any row of segments that last between 0.5 and 1.5 target durations; where there
    is none, that of all of them. Source: RFC 8216, section 4.1.
    """
    target = target_duration(segments)
    peak = 0.0
    for first in range(len(segments)):
        length, duration = 0, 0.0
        for number in range(first, len(segments)):
            length += segments[number].length
            duration += segments[number].duration_s
            if duration > 1.5 * target:
                break
            if duration >= 0.5 * target:
                peak = max(peak, length * 8 / duration)
    if not peak:
        duration = sum(segment.duration_s for segment in segments) or 1.0
        peak = sum(segment.length for segment in segments) * 8 / duration
    return math.ceil(peak)


def target_duration(segments: Iterable[Segment]) -> int:
    """Return the longest duration in whole seconds. Source: RFC 8216, section 4.3.3.1."""
    return max([1, *(math.ceil(segment.duration_s) for segment in segments)])


# --- Playlists ----------------------------------------------------------------------------------


def relative_uri(name: str, beside: str) -> str:
    """Return the URI of the object ``name`` as the playlist ``beside`` it has to write it.

    Both are whole keys of one bucket. Whatever is no letter, digit or one of ``-._~`` is
    percent-encoded. Source: RFC 3986, sections 2.1 and 4.2.
    """
    here, there = beside.split("/")[:-1], name.split("/")
    common = 0
    while common < min(len(here), len(there) - 1) and here[common] == there[common]:
        common += 1
    up = [".."] * (len(here) - common)
    parts = up + [quote(part, safe="") for part in there[common:]]
    # With an empty first part it would begin at the host's root.
    return "/".join(parts if parts[0] else [".", *parts])


@dataclass(frozen=True)
class Protection:
    """What ``EXT-X-KEY`` says: where the key is, and the initialization vector.

    ``url`` is the LicenseAcquisitionUrl; ``key_name`` the name of a key that is stored with the
    playlists, which goes before it.
    """

    iv: bytes
    url: str = ""
    key_name: str = ""

    def tag(self, beside: str) -> str:
        """Return the tag for the playlist ``beside``. Source: RFC 8216, section 4.3.2.4."""
        uri = relative_uri(self.key_name, beside) if self.key_name else _quotable(self.url)
        return f'#EXT-X-KEY:METHOD=AES-128,URI="{uri}",IV=0x{self.iv.hex().upper()}'


def _quotable(url: str) -> str:
    # A quotation mark or the end of the line would begin something else.
    return quote(url, safe="!#$%&'()*+,/:;=?@[]~")


def hls3_media(
    final_key: str, segments: Sequence[Segment], protection: Protection | None = None
) -> str:
    """Return the HLSv3 playlist of the output ``final_key``, whose segments are files.

    To be stored as ``media_playlist_name()``; Source: RFC 8216, section 8.1.
    """
    playlist = media_playlist_name(final_key, HLS3)
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{target_duration(segments)}"]
    lines += ["#EXT-X-MEDIA-SEQUENCE:0"]
    lines += [protection.tag(playlist)] if protection else []
    for number, segment in enumerate(segments):
        lines += [f"#EXTINF:{segment.duration_s:.6f},"]
        lines += [relative_uri(segment_name(final_key, number), playlist)]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def hls4_media(
    final_key: str, segments: Sequence[Segment], protection: Protection | None = None
) -> str:
    """Return the HLSv4 playlist of the output ``final_key``, whose segments are byte ranges.

    To be stored as ``media_playlist_name()``; in the form that the service wrote.
    """
    playlist = media_playlist_name(final_key, HLS4)
    lines = ["#EXTM3U", "#EXT-X-VERSION:4", "#EXT-X-MEDIA-SEQUENCE:0", "#EXT-X-ALLOW-CACHE:YES"]
    lines += [f"#EXT-X-TARGETDURATION:{target_duration(segments)}"]
    lines += [protection.tag(playlist)] if protection else []
    for segment in segments:
        lines += [f"#EXTINF:{segment.duration_s:.6f},"]
        lines += [f"#EXT-X-BYTERANGE:{segment.length}@{segment.offset}"]
        lines += [relative_uri(ranged_name(final_key), playlist)]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


@dataclass(frozen=True)
class Variant:
    """One output of a master playlist; ``name`` is that of its media playlist."""

    name: str
    bandwidth: int  # bit/s
    codecs: str


def hls_master(name: str, playlist_format: str, variants: Iterable[Variant]) -> str:
    """Return the text of the master playlist ``name`` (``master_name()``).

    One EXT-X-STREAM-INF for each output, in their order. Source: RFC 8216, section 4.3.4.2;
    PROGRAM-ID, which it no longer has, as the service wrote it.
    """
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{4 if playlist_format == HLS4 else 3}"]
    for one in variants:
        lines += [
            f"#EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH={one.bandwidth},"
            f'CODECS="{one.codecs}"'
        ]  # fmt: skip
        lines += [relative_uri(one.name, name)]
    return "\n".join([*lines, ""])
