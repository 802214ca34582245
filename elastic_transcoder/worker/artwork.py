"""Pictures for album art: every one is drawn anew by FFmpeg, none is passed on as it came.

Source: API 2012-09-25, JobAlbumArt and Artwork; developer guide, "(Audio Only) Album art".
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from elastic_transcoder.worker import conversion, ffmpeg
from sound import kinds

MAX_WIDTH, MAX_HEIGHT = 4096, 3072
AUTO_WIDTH = AUTO_HEIGHT = 600
# Of the most pixels, as PNG holds them at its worst: four times sixteen bits each.
MAX_BYTES = 128 << 20
# Of a JPEG, before its size is told; a file may hold any number, and of fill bytes.
MAX_SEGMENTS = 4096
TIME_LIMIT_S = 30.0
# Address space. A picture of the most pixels is there twice, as 64 and as 32 bits a pixel.
MEMORY_BYTES = 1 << 30
EMBEDDED = "embedded"

# Name -> FFmpeg's demuxer; its decoder has the name. Demuxer and decoder are told and never
# guessed: some of FFmpeg's readers of pictures open what a file names.
PICTURE_FILES = {"png": "png_pipe", "mjpeg": "jpeg_pipe"}
EMBEDDED_PICTURES = PICTURE_FILES | {"bmp": "bmp_pipe", "gif": "gif"}

PNG = ("-c:v", "png", "-pred", "mixed")
JPG = ("-c:v", "mjpeg", "-q:v", "2", "-huffman", "optimal")
SCALING = "lanczos+accurate_rnd+full_chroma_int"


class PictureUnreadable(Exception):
    """There is no such picture, or it is damaged, or none of a kind that is taken."""


class PictureTooLarge(Exception):
    """The picture is wider than MAX_WIDTH or higher than MAX_HEIGHT."""


@dataclass(frozen=True)
class Sizing:
    """How a picture is fitted into a box of pixels. Source: API 2012-09-25, Artwork."""

    max_width: int
    max_height: int
    policy: str  # Fit, Fill, Stretch, Keep, ShrinkToFit or ShrinkToFill
    pads: bool  # white up to the box
    format: str  # jpg or png


# The sizing of pictures that pass through: their own size, a JPEG stays one, others become PNG.
KEEP = None


def sizing(artwork: dict[str, Any]) -> Sizing:
    """Return the sizing that the API's Artwork member asks for.

    ``auto`` is 600, for want of a size too. The API names no other defaults; ours are Fit, NoPad
    and jpg.
    """
    return Sizing(
        max_width=_pixels(artwork.get("MaxWidth"), AUTO_WIDTH),
        max_height=_pixels(artwork.get("MaxHeight"), AUTO_HEIGHT),
        policy=artwork.get("SizingPolicy") or "Fit",
        pads=artwork.get("PaddingPolicy") == "Pad",
        format=artwork.get("AlbumArtFormat") or "jpg",
    )


def _pixels(value: str | None, auto: int) -> int:
    return auto if value in (None, "", "auto") else int(value)


def draw(
    source: Path,
    target: Path,
    sizing: Sizing | None,
    *,
    number: int = 0,
    folder: Path,
    moved: Callable[[], None],
) -> None:
    """Draw a picture into ``target``, a file in ``folder``: JPEG or PNG, and no metadata.

    ``source`` is a PNG or JPEG file. With KEEP for ``sizing`` it may also be a sound file, of
    which the attached picture ``number`` is taken, counted from 0 as ``Sound.pictures`` counts
    them (these may be BMP and GIF too). What is transparent becomes white, but in a PNG without
    padding; of moving pictures the first one is drawn; orientation marks are ignored.

    Must be called from the main thread: FFmpeg dies with the thread that started it. ``moved`` is
    called about twice a second; what it raises travels on. Raises PictureUnreadable,
    PictureTooLarge, and OSError with ENOSPC when the disk is full; then there is no ``target``.
    """
    embedded = folder / EMBEDDED
    try:
        found, taken = _look(source), PICTURE_FILES
        if found is None and sizing is KEEP:
            source, taken = _take_out(source, number, embedded, moved), EMBEDDED_PICTURES
            found = _look(source)
        if found is None or found.kind not in taken:
            raise PictureUnreadable("it is none of the kinds of pictures that are taken")
        if found.width < 1 or found.height < 1:
            raise PictureUnreadable("it has no pixels")
        if found.width > MAX_WIDTH or found.height > MAX_HEIGHT:
            raise PictureTooLarge(f"it has {found.width} x {found.height} pixels")
        if source.stat().st_size > MAX_BYTES:
            raise PictureUnreadable("its file is larger than any picture has to be")
        _run(_arguments(source, target, found, sizing), source, folder, moved)
        if not target.is_file() or target.stat().st_size == 0:
            raise PictureUnreadable("nothing of it could be decoded")
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(embedded, ignore_errors=True)


def original(
    source: Path, number: int, *, max_bytes: int, folder: Path, moved: Callable[[], None]
) -> Path:
    """Return a file in ``folder`` with picture ``number`` of a sound file, byte for byte as it is.

    Only a JPEG or PNG that ``draw`` could draw whole, of at most ``max_bytes``. Arguments and
    errors are those of ``draw``.
    """
    embedded, kept, drawn = (folder / name for name in (EMBEDDED, "cover", "cover-drawn"))
    try:
        picture = _take_out(source, number, embedded, moved)
        if picture.stat().st_size > max_bytes:
            raise PictureTooLarge(f"it has {picture.stat().st_size} bytes")
        picture.rename(kept)
    finally:
        shutil.rmtree(embedded, ignore_errors=True)
    found = _look(kept)
    if found is None or found.kind not in PICTURE_FILES:
        raise PictureUnreadable("it is neither a JPEG nor a PNG")
    draw(kept, drawn, KEEP, folder=folder, moved=moved)
    drawn.unlink()
    return kept


def suffix(picture: Path) -> str:
    """Return ``.png`` or ``.jpg``, whichever ``draw`` made of it."""
    with picture.open("rb") as file:
        return ".png" if file.read(4) == b"\x89PNG" else ".jpg"


# --- What the first bytes say -------------------------------------------------------------------


@dataclass(frozen=True)
class _Picture:
    kind: str  # FFmpeg's decoder
    width: int
    height: int
    may_be_transparent: bool = False


def _look(path: Path) -> _Picture | None:
    """Return what the header of a picture file says, or None if it is no picture that we know.

    Sources: PNG (W3C) 11.2.2; JPEG (ITU-T T.81) B.2; GIF89a 18; BITMAPINFOHEADER.
    """
    with path.open("rb") as file:
        head = file.read(32)
        if head.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"):
            size = int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
            # Palettes, and kinds of colour with alpha. One marked colour (tRNS) does not count.
            return _Picture("png", *size, may_be_transparent=head[25:26] in b"\3\4\6")
        if head.startswith(b"\xff\xd8\xff"):
            size = _jpeg_size(file)
            return _Picture("mjpeg", *size) if size else None
    if head.startswith((b"GIF87a", b"GIF89a")):
        size = int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
        return _Picture("gif", *size, may_be_transparent=True)
    if head.startswith(b"BM") and head[14:18] == b"\x28\0\0\0":
        width = int.from_bytes(head[18:22], "little", signed=True)
        height = int.from_bytes(head[22:26], "little", signed=True)
        return _Picture("bmp", width, abs(height))
    return None


def _jpeg_size(file: BinaryIO) -> tuple[int, int] | None:
    """Return width and height of the first frame header, or None if there is none."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        file.seek(at)
        segment = file.read(9)
        if len(segment) < 9 or segment[0] != 0xFF:
            return None
        marker = segment[1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(segment[7:9]), int.from_bytes(segment[5:7])
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker == 0xDA or marker < 0xC0:  # the scan, or no header at all
            return None
        else:
            at += 2 + int.from_bytes(segment[2:4])
    return None


# --- FFmpeg -------------------------------------------------------------------------------------


def _take_out(source: Path, number: int, into: Path, moved: Callable[[], None]) -> Path:
    """Copy the pictures of a sound file, undecoded, into files; return that of ``number``."""
    into.mkdir()
    reading = kinds.READING | {"codec_whitelist": "none"}
    # All of them, because FFmpeg before 7.1 cannot name one among other streams: everything that
    # has pictures, but not what has moving ones.
    argv = [
        *(part for name, value in reading.items() for part in (f"-{name}", value)),
        "-i", f"file:{source}", "-map", "0:v", "-map", "-0:V", "-c", "copy", "-frames:v", "1",
        "-map_metadata", "-1", "-f", "image2", "-start_number", "0", f"file:{EMBEDDED}/%d",
    ]  # fmt: skip
    _run(argv, source, into.parent, moved)
    picture = into / str(number)
    if not picture.is_file():
        raise PictureUnreadable(f"the sound has no picture {number + 1}")
    return picture


def _arguments(source: Path, target: Path, found: _Picture, sizing: Sizing | None) -> list[str]:
    layout = _layout(found, sizing)
    is_jpg = found.kind == "mjpeg" if sizing is KEEP else sizing.format == "jpg"
    keeps_alpha = found.may_be_transparent and not is_jpg and not (sizing and sizing.pads)
    demuxer = EMBEDDED_PICTURES[found.kind]
    return [
        "-protocol_whitelist", "file", "-format_whitelist", demuxer,
        "-codec_whitelist", found.kind, "-max_pixels", str(kinds.MAX_PIXELS), "-max_streams", "1",
        "-threads", "1", "-xerror", "-err_detect", "explode", "-noautorotate",
        "-f", demuxer, "-c:v", found.kind, "-i", f"file:{source}",
        "-filter_complex_threads", "1",
        "-filter_complex", _filters(found, layout, is_jpg, keeps_alpha), "-map", "[drawn]",
        "-frames:v", "1", "-map_metadata", "-1", "-bitexact", "-threads", "1",
        *(JPG if is_jpg else PNG), "-f", "image2pipe", f"file:{target}",
    ]  # fmt: skip


@dataclass(frozen=True)
class _Layout:
    """Which part of a picture is taken, to what size, and the canvas it is laid on: pixels."""

    part: tuple[int, int]
    drawn: tuple[int, int]
    canvas: tuple[int, int]


def _layout(found: _Picture, sizing: Sizing | None) -> _Layout:
    own = found.width, found.height
    if sizing is KEEP:
        return _Layout(own, own, own)
    box = sizing.max_width, sizing.max_height
    if sizing.policy == "Stretch":
        return _Layout(own, box, box)
    by_width, by_height = box[0] / own[0], box[1] / own[1]
    scale = {
        "Fit": min(by_width, by_height),
        "Fill": max(by_width, by_height),
        "Keep": 1.0,
        "ShrinkToFit": min(1.0, by_width, by_height),
        "ShrinkToFill": min(1.0, max(by_width, by_height)),
    }[sizing.policy]
    (part_width, width), (part_height, height) = (
        _side(length, limit, scale) for length, limit in zip(own, box, strict=True)
    )
    drawn = width, height
    return _Layout((part_width, part_height), drawn, box if sizing.pads else drawn)


def _side(length: int, limit: int, scale: float) -> tuple[int, int]:
    """Return how much of one side is taken, and how long that is drawn."""
    drawn = max(1, round(length * scale))
    # Cut before it is enlarged: one row of 4096 pixels would fill a box a million times.
    return (length, drawn) if drawn <= limit else (max(1, round(limit / scale)), limit)


def _filters(found: _Picture, layout: _Layout, is_jpg: bool, keeps_alpha: bool) -> str:
    # FFmpeg 7 and 8 lose the last columns on the way from JPEG to rgba.
    colours = "rgb24" if found.kind == "mjpeg" else "rgba"
    steps = ["sidedata=delete", "metadata=delete", f"format={colours}"]
    steps.append("crop={}:{}:exact=1".format(*layout.part))
    steps.append("scale={}:{}:flags={}".format(*layout.drawn, SCALING))
    # Where two pixels share one colour, the last of an odd number gets half of nothing.
    jpg = "yuvj444p" if any(side % 2 for side in layout.canvas) else "yuvj420p"
    last = ["setsar=1", f"format={'rgba' if keeps_alpha else jpg if is_jpg else 'rgb24'}"]
    if keeps_alpha:
        return f"[0:v]{','.join([*steps, *last])}[drawn]"
    left, top = ((a - b) // 2 for a, b in zip(layout.canvas, layout.drawn, strict=True))
    return ";".join(
        [
            f"[0:v]{','.join(steps)}[picture]",
            "color=white:size={}x{},format=rgb24[canvas]".format(*layout.canvas),
            f"[canvas][picture]overlay={left}:{top}:format=rgb,{','.join(last)}[drawn]",
        ]
    )


def _run(argv: list[str], source: Path, folder: Path, moved: Callable[[], None]) -> None:
    outcome = conversion.convert(
        [
            ffmpeg.binary(), "-hide_banner", "-nostdin", "-loglevel", "level+warning", "-nostats",
            "-y", *argv,
        ],
        folder=folder,
        readable=[source, *ffmpeg.readable()],
        limits=conversion.Limits(
            time_s=TIME_LIMIT_S,
            stall_s=TIME_LIMIT_S,
            memory_bytes=MEMORY_BYTES,
            file_bytes=MAX_BYTES,
            sound_s=TIME_LIMIT_S,
        ),
        progressed=lambda seconds: moved(),
    )  # fmt: skip
    if outcome.ended == "disk_full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if outcome.ended != "done":
        raise PictureUnreadable(f"drawing it {outcome.ended}: {outcome.log[-200:]}")
