"""Pictures made by Pillow, to be drawn anew."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from images import Picture, Size, draw

# Seconds: a machine that runs all tests at once is slow to start anything.
PATIENCE_S = 60.0

Keep = Callable[..., Path]


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    """Return a function that writes a picture, or bytes, to a file and returns its path."""

    def write(picture: Image.Image | bytes, format_: str = "PNG", **options: object) -> Path:
        path = tmp_path / f"picture{len(list(tmp_path.iterdir()))}"
        if isinstance(picture, bytes):
            path.write_bytes(picture)
        else:
            picture.save(path, format_, **options)
        return path

    return write


def drawn(path: Path, size: Size) -> tuple[Picture, Image.Image]:
    """Return what the painter made of the file, as it came and opened."""
    picture = draw(path, size, timeout_s=PATIENCE_S)
    image = Image.open(io.BytesIO(picture.data))
    image.load()
    assert image.size == (picture.width, picture.height)
    return picture, image
