"""Whether a file is copy-protected: FFmpeg opens such files and then decodes noise, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# Sample entries of FairPlay (m4p), Common Encryption and Audible.
# Source: ISO/IEC 14496-12 section 8.12, ISO/IEC 23001-7.
_PROTECTED_ENTRIES = {b"drms", b"drmi", b"enca", b"encv", b"aavd", b"adrm", b"p608"}
_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
_BOXES = 4096  # looked at, of a file that may hold any number
# Content Encryption and Extended Content Encryption Objects. Source: ASF specification 10.1.
_ASF_OBJECTS = (
    bytes.fromhex("fbb31122 23bdd211 b4b700a0 c955fc6e"),
    bytes.fromhex("14e68a29 2226174c b935dae0 7ee9289c"),
)
_ASF_HEADER = 64 * 1024


def is_protected(path: Path, container: str) -> bool:
    """Return whether the sound in ``path`` is encrypted, as far as its header says."""
    with path.open("rb") as file:
        if container == "mov":
            size = path.stat().st_size
            return any(entry in _PROTECTED_ENTRIES for entry in _sample_entries(file, size))
        if container == "asf":
            head = file.read(_ASF_HEADER)
            return any(guid in head for guid in _ASF_OBJECTS)
    return False


def _sample_entries(file: BinaryIO, end: int) -> Iterator[bytes]:
    """Yield the type of each sample entry of an MP4 file, e.g. ``mp4a``."""
    waiting = [(0, end)]
    for _ in range(_BOXES):
        if not waiting:
            return
        start, end = waiting.pop()
        if end - start < 8:
            continue
        file.seek(start)
        header = file.read(16)
        size, kind = int.from_bytes(header[:4]), header[4:8]
        body = start + 8
        if size == 1:
            size, body = int.from_bytes(header[8:16]), start + 16
        size = size or end - start
        if size < 8:
            continue
        box_end = min(start + size, end)
        waiting.append((box_end, end))
        if kind in _PARENTS:
            waiting.append((body, box_end))
        elif kind == b"stsd":
            file.seek(body + 8 + 4)
            yield file.read(4)
