"""How a picture shall be drawn, and the text that says so in an address."""

from __future__ import annotations

import re
from dataclasses import dataclass

MEDIA_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
MAX_SIDE = 4096  # pixels
WHOLE = 1000

_TEXT = re.compile(
    r"(\d{1,4})x(\d{1,4})-(fit|fill)"
    r"(?:-box(\d{1,4})_(\d{1,4})_(\d{1,4})_(\d{1,4}))?(-up)?-q(\d{1,3})\.(jpeg|png|webp)"
)


@dataclass(frozen=True)
class Box:
    """A part of a picture, upright as people see it, in thousandths of its width and height."""

    left: int
    top: int
    width: int
    height: int

    def __post_init__(self) -> None:
        for start, length in ((self.left, self.width), (self.top, self.height)):
            if start < 0 or length < 1 or start + length > WHOLE:
                raise ValueError(f"not inside a picture: {self}")


@dataclass(frozen=True)
class Size:
    """How a picture shall be drawn.

    ``fills``: as large as ``width`` by ``height`` pixels, with what does not fit cut off where
    least of the detail is; else the whole of it, inside them. ``box``: of this part alone.
    ``upscales``: also when it has fewer pixels. ``quality``: 1 to 100, of JPEG and WebP. Raises
    ValueError for numbers that make no sense.
    """

    width: int
    height: int
    fills: bool = False
    box: Box | None = None
    upscales: bool = False
    quality: int = 82
    format: str = "webp"

    def __post_init__(self) -> None:
        if not (1 <= self.width <= MAX_SIDE and 1 <= self.height <= MAX_SIDE):
            raise ValueError(f"{self.width} x {self.height} pixels")
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality {self.quality}")
        if self.format not in MEDIA_TYPES:
            raise ValueError(f"format {self.format!r}")

    def __str__(self) -> str:
        """Return e.g. ``96x96-fill-q82.webp`` or ``640x640-fit-box0_0_500_500-up-q82.jpeg``."""
        box = self.box
        return "".join(
            (
                f"{self.width}x{self.height}-{'fill' if self.fills else 'fit'}",
                f"-box{box.left}_{box.top}_{box.width}_{box.height}" if box else "",
                "-up" if self.upscales else "",
                f"-q{self.quality}.{self.format}",
            )
        )

    @classmethod
    def parse(cls, text: str) -> Size:
        """Return the size that ``text`` names as ``str()`` writes it. Raises ValueError."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError("not the text of a size")
        width, height, fit, left, top, box_width, box_height, up, quality, format_ = found.groups()
        size = cls(
            width=int(width),
            height=int(height),
            fills=fit == "fill",
            box=Box(int(left), int(top), int(box_width), int(box_height)) if left else None,
            upscales=up is not None,
            quality=int(quality),
            format=format_,
        )
        # One size has one text, and so one key in the store.
        if str(size) != text:
            raise ValueError("not as a size is written")
        return size

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.format]
