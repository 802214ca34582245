"""Pictures for tests, and sounds that carry them; mutagen writes the sounds' tags."""

from __future__ import annotations

import io
from pathlib import Path

from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3, TALB, TDRC, TIT2, TPE1, TRCK
from mutagen.mp4 import MP4, MP4Cover
from PIL import Image

from tests import sounds


def picture(
    size: tuple[int, int] = (400, 200), format_: str = "PNG", colour: str = "tomato"
) -> bytes:
    """Return a picture file, navy on its right half."""
    image = Image.new("RGB", size, colour)
    image.paste("navy", (size[0] // 2, 0, *size))
    file = io.BytesIO()
    image.save(file, format_)
    return file.getvalue()


def sound_with(path: Path, cover: bytes, *, seconds: float = 1, **tags: str) -> Path:
    """Write music to ``path`` (mp3, flac or m4a), with a PNG as its front cover."""
    sounds.make(path, seconds)
    {".mp3": _mp3, ".flac": _flac, ".m4a": _m4a}[path.suffix](path, cover, tags)
    return path


def _mp3(path: Path, cover: bytes, tags: dict[str, str]) -> None:
    frames = {"title": TIT2, "artist": TPE1, "album": TALB, "date": TDRC, "track": TRCK}
    id3 = ID3()
    for name, value in tags.items():
        id3.add(frames[name](text=[value]))
    id3.add(APIC(mime="image/png", type=4, desc="back", data=picture((8, 8))))
    id3.add(APIC(mime="image/png", type=3, desc="front", data=cover))
    id3.save(path)


def _flac(path: Path, cover: bytes, tags: dict[str, str]) -> None:
    flac = FLAC(path)
    for name, value in tags.items():
        flac[{"track": "tracknumber"}.get(name, name)] = value
    front = Picture()
    front.type, front.mime, front.data = 3, "image/png", cover
    flac.add_picture(front)
    flac.save()


def _m4a(path: Path, cover: bytes, tags: dict[str, str]) -> None:
    names = {"title": "©nam", "artist": "©ART", "album": "©alb", "date": "©day"}
    mp4 = MP4(path)
    for name, value in tags.items():
        if name == "track":
            number, _, count = value.partition("/")
            mp4["trkn"] = [(int(number), int(count or 0))]
        else:
            mp4[names[name]] = [value]
    mp4["covr"] = [MP4Cover(cover, MP4Cover.FORMAT_PNG)]
    mp4.save()
