"""Takes the picture out of a sound file, as it lies there: nothing of it is decoded."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.stream import VideoStream

# What FFmpeg calls the picture type 3 of ID3v2 and FLAC.
_FRONT = "cover (front)"


def picture(path: Path, *, options: Mapping[str, str], limit_bytes: int) -> dict[str, Any]:
    """Return ``picture``, the bytes in base64 of the front cover, or of the first picture.

    Empty where there is none, or one of more than ``limit_bytes``, or nothing can be read.
    """
    try:
        with av.open(
            str(path), options={**options, "max_size": str(1 << 20)}, metadata_errors="replace"
        ) as container:
            data = _front(container)
    except (av.error.FFmpegError, ValueError, OSError):
        data = b""
    if len(data) > limit_bytes:
        data = b""
    return {"picture": base64.b64encode(data).decode()}


def _front(container: InputContainer) -> bytes:
    attached = [
        stream
        for stream in container.streams.video
        if stream.disposition & av.stream.Disposition.attached_pic
    ]
    if not attached:
        return b""
    stream = min(attached, key=lambda one: (not _is_front(one), one.index))
    for packet in container.demux(stream):
        if packet.size:
            return bytes(packet)
    return b""


def _is_front(stream: VideoStream) -> bool:
    return stream.metadata.get("comment", "").lower() == _FRONT
