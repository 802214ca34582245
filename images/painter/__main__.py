"""Draws one picture anew: ``python -I painter FILE ORDER``, with the order as JSON.

Runs behind ``sandbox``: its files come from strangers. Says "ready", then one line of JSON:
``width``, ``height`` and ``bytes`` of what follows, or ``reason`` and ``detail``.
"""

from __future__ import annotations

import io
import json
import sys
import warnings
from typing import Any

from PIL import Image, ImageCms, ImageFilter, ImageOps

TAKEN = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
# Where detail is looked for the picture is no larger than this: pixels.
LOOKED_AT = 96
# By how much less a cut at the edge counts than one in the middle.
EDGE_COUNTS_LESS = 0.35
# From this quality on colours keep their full resolution.
FINE_QUALITY = 90


class _Refused(Exception):
    pass


def main(path: str, order: dict[str, Any]) -> None:
    out = sys.stdout.buffer
    out.write(b"ready\n")
    out.flush()
    try:
        image = _drawn(path, order)
        data = _encoded(image, order["format"], order["quality"])
        answer: dict[str, Any] = {"width": image.width, "height": image.height, "bytes": len(data)}
    except _Refused as refused:
        data, answer = b"", dict(zip(("reason", "detail"), refused.args, strict=True))
    out.write(json.dumps(answer).encode() + b"\n" + data)
    out.flush()


def _drawn(path: str, order: dict[str, Any]) -> Image.Image:
    image = _opened(path, order["max_pixels"])
    try:
        if order["box"] is None:
            # Of a JPEG only as many pixels are decoded as are needed.
            image.draft(None, (2 * order["width"], 2 * order["height"]))
        image = ImageOps.exif_transpose(image)
        image = _in_srgb(image)
        if order["box"] is not None:
            image = image.crop(_part(image.size, order["box"]))
        image = _resized(image, order)
    except MemoryError as error:
        raise _Refused("too_many_pixels", "out of memory") from error
    except Exception as error:
        # Pillow's readers raise whatever a broken file makes of them.
        raise _Refused("damaged", type(error).__name__) from error
    return image


def _opened(path: str, max_pixels: int) -> Image.Image:
    Image.MAX_IMAGE_PIXELS = max_pixels
    # Beyond the limit Pillow only warns; and it says so before anything is decoded.
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        return Image.open(path, formats=TAKEN)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _Refused("too_many_pixels", str(error)) from error
    except Exception as error:
        raise _Refused("not_a_picture", type(error).__name__) from error


def _in_srgb(image: Image.Image) -> Image.Image:
    """Return the picture as RGB or RGBA, its colours converted from their profile."""
    profile = image.info.get("icc_profile")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode.startswith("I"):
        # Sixteen bits of grey, which convert() would cut off at 255.
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    elif image.mode not in ("L", "RGB", "RGBA", "CMYK"):
        image = image.convert(mode)
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            image = ImageCms.profileToProfile(image, source, target, outputMode=mode) or image
        except (ImageCms.PyCMSError, OSError, ValueError):
            # Of another kind of colour than the picture's, or broken: then without it.
            pass
    return image.convert(mode)


def _part(size: tuple[int, int], box: list[int]) -> tuple[int, int, int, int]:
    left, top, width, height = box
    right, bottom = left + width, top + height
    x0, x1 = (round(size[0] * side / 1000) for side in (left, right))
    y0, y1 = (round(size[1] * side / 1000) for side in (top, bottom))
    x0, y0 = min(x0, size[0] - 1), min(y0, size[1] - 1)
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def _resized(image: Image.Image, order: dict[str, Any]) -> Image.Image:
    by_width, by_height = order["width"] / image.width, order["height"] / image.height
    scale = max(by_width, by_height) if order["fills"] else min(by_width, by_height)
    part: tuple[float, float, float, float] = (0, 0, *image.size)
    if order["fills"]:
        part = _cut(image, order["width"] / scale, order["height"] / scale)
    if scale > 1 and not order["upscales"]:
        scale = 1
    width = max(1, round((part[2] - part[0]) * scale))
    height = max(1, round((part[3] - part[1]) * scale))
    if (width, height) == image.size and part == (0, 0, *image.size):
        return image
    return image.resize((width, height), Image.Resampling.LANCZOS, box=part, reducing_gap=3.0)


def _cut(image: Image.Image, width: float, height: float) -> tuple[float, float, float, float]:
    """Return the part of this size that holds most of the detail; the middle counts more."""
    width, height = min(width, image.width), min(height, image.height)
    left = _best(image, width, is_across=True) if image.width - width >= 1 else 0.0
    top = _best(image, height, is_across=False) if image.height - height >= 1 else 0.0
    return left, top, left + width, top + height


def _best(image: Image.Image, length: float, *, is_across: bool) -> float:
    details = _details(image, is_across=is_across)
    whole = image.width if is_across else image.height
    window = max(1, round(len(details) * length / whole))
    places = len(details) - window
    if places < 1:
        return (whole - length) / 2

    def worth(start: int) -> float:
        off_middle = abs(2 * start / places - 1)
        return sum(details[start : start + window]) * (1 - EDGE_COUNTS_LESS * off_middle)

    start = max(range(places + 1), key=worth)
    return min(start / len(details) * whole, whole - length)


def _details(image: Image.Image, *, is_across: bool) -> list[int]:
    """Return how much there is to see in each column, or row, from 1."""
    small = image.convert("RGB").convert("L")
    small.thumbnail((LOOKED_AT, LOOKED_AT))
    edges = small.filter(ImageFilter.FIND_EDGES)
    # The filter leaves the outermost pixels as they were.
    inner = (1, 1, edges.width - 1, edges.height - 1)
    if edges.width > 4 and edges.height > 4:
        edges = edges.crop(inner)
    line = (edges.width, 1) if is_across else (1, edges.height)
    return [1 + value for value in edges.resize(line, Image.Resampling.BOX).tobytes()]


def _encoded(image: Image.Image, format_: str, quality: int) -> bytes:
    # Writers take profile, resolution and comments from here.
    image.info.clear()
    options: dict[str, Any] = {}
    if format_ == "jpeg":
        if image.mode == "RGBA":
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image).convert("RGB")
        fine = 0 if quality >= FINE_QUALITY else 2
        options = {"quality": quality, "progressive": True, "subsampling": fine}
    elif format_ == "webp":
        options = {"quality": quality, "method": 4}
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
