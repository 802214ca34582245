"""Our end of the painter: a fenced child process that reads pictures, because they may harm it."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import sandbox
from images.sizes import Size

_PROGRAM = Path(__file__).resolve().parent / "painter"

# Pixels of what is read: more than any camera's cover has, and 160 MB once decoded.
MAX_PIXELS = 40_000_000
# Address space. A picture of the most pixels is there twice while its colours are converted.
MEMORY_BYTES = 1 << 30
DRAWN_BYTES = 24 << 20
# Each takes up to MEMORY_BYTES; whoever comes while so many are drawn waits.
AT_ONCE = 2

REASONS = ("not_a_picture", "too_many_pixels", "damaged")
_READY = b"ready\n"
_places = threading.BoundedSemaphore(AT_ONCE)


class Refused(Exception):
    """The picture cannot be drawn, now or later; ``reason`` is one of REASONS."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class Cannot(Exception):
    """This machine cannot draw just now: too much to do, or no child could be started."""


@dataclass(frozen=True)
class Picture:
    """A picture drawn by us: in sRGB, upright, without metadata."""

    data: bytes
    width: int  # pixels
    height: int
    media_type: str


def draw(source: Path, size: Size, *, timeout_s: float) -> Picture:
    """Return the picture in the local file ``source`` drawn as ``size`` says.

    JPEG, PNG, WebP, GIF and BMP are taken, whatever the file is called; of moving ones the first
    picture. What is transparent becomes white in a JPEG. ``source`` is read by a child behind
    ``sandbox`` that sees no other file. Raises Refused, and Cannot when nobody could draw
    within ``timeout_s`` seconds, waiting for others included.
    """
    deadline = time.monotonic() + timeout_s
    if not _places.acquire(timeout=timeout_s):
        raise Cannot("others are being drawn")
    try:
        return _drawn(source, size, deadline)
    finally:
        _places.release()


def _drawn(source: Path, size: Size, deadline: float) -> Picture:
    process = sandbox.start(
        [sys.executable, "-I", str(_PROGRAM), str(source.resolve()), _order(size)],
        folder=None,
        memory_bytes=MEMORY_BYTES,
        cpu_s=max(1.0, deadline - time.monotonic()) + 1,
        file_bytes=0,
        readable=[source, _PROGRAM, *sandbox.python()],
        nice=0,
        stderr=subprocess.DEVNULL,
    )
    try:
        said = _said(process, deadline)
    finally:
        sandbox.kill(process)
        assert process.stdout is not None  # noqa: S101 -- asked for in sandbox.start
        process.stdout.close()
    return _picture(said, size)


def _order(size: Size) -> str:
    box = size.box
    return json.dumps(
        {
            "width": size.width,
            "height": size.height,
            "fills": size.fills,
            "box": [box.left, box.top, box.width, box.height] if box else None,
            "upscales": size.upscales,
            "quality": size.quality,
            "format": size.format,
            "max_pixels": MAX_PIXELS,
        }
    )


def _said(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Return all that the child writes. Raises Cannot when that takes too long."""
    stdout = process.stdout
    assert stdout is not None  # noqa: S101 -- asked for in sandbox.start
    said = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while True:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not selector.select(left_s):
                raise Cannot("it took too long")
            chunk = os.read(stdout.fileno(), 1 << 16)
            if not chunk:
                return bytes(said)
            said += chunk
            if len(said) > DRAWN_BYTES:
                raise Refused("damaged", "it becomes too large")


def _picture(said: bytes, size: Size) -> Picture:
    if not said.startswith(_READY):
        raise Cannot("the painter did not start")
    line, _, data = said[len(_READY) :].partition(b"\n")
    try:
        answer = json.loads(line)
        if "reason" in answer:
            raise Refused(answer["reason"], answer["detail"])
        width, height = int(answer["width"]), int(answer["height"])
    except (ValueError, KeyError, TypeError) as error:
        # It met the end of its memory, or crashed.
        raise Refused("damaged", "the painter died of it") from error
    if len(data) != answer.get("bytes"):
        raise Refused("damaged", "the painter died of it")
    return Picture(data, width, height, size.media_type)
