import os
import struct
import threading
import time
import zlib

import pytest
from PIL import Image, ImageCms, ImageDraw

import sandbox
from images import Box, Cannot, Refused, Size, draw, drawing
from images.tests.conftest import PATIENCE_S, drawn

RED, GREEN, BLUE = (220, 20, 20), (20, 180, 20), (20, 20, 220)


def near(a: tuple[int, ...], b: tuple[int, ...], by: int = 24) -> bool:
    return all(abs(one - other) <= by for one, other in zip(a, b, strict=True))


def halves(size: tuple[int, int] = (400, 200)) -> Image.Image:
    """A picture that is red on the left and blue on the right."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


def png_that_says(width: int, height: int) -> bytes:
    """A valid PNG of one bit a pixel: much of nothing in few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    deflate = zlib.compressobj(9)
    line = bytes(1 + (width + 7) // 8)
    data = b"".join(deflate.compress(line) for _ in range(height)) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_fit_keeps_the_whole_picture_and_fill_the_whole_size(keep):
    path = keep(halves())
    assert drawn(path, Size(100, 100))[1].size == (100, 50)
    assert drawn(path, Size(100, 100, fills=True))[1].size == (100, 100)


def test_a_small_picture_grows_only_where_that_is_asked_for(keep):
    path = keep(halves((40, 20)))
    assert drawn(path, Size(400, 400))[1].size == (40, 20)
    assert drawn(path, Size(400, 400, upscales=True))[1].size == (400, 200)
    # The shape that is asked for is kept, in the pixels that there are.
    assert drawn(path, Size(400, 400, fills=True))[1].size == (20, 20)
    assert drawn(path, Size(400, 400, fills=True, upscales=True))[1].size == (400, 400)


def test_the_automatic_crop_follows_the_detail(keep):
    image = Image.new("RGB", (600, 200), "white")
    pen = ImageDraw.Draw(image)
    for at in range(440, 580, 8):
        pen.line((at, 20, at, 180), "black", 3)
    _, cut = drawn(keep(image), Size(100, 100, fills=True, format="png"))
    dark = sum(value < 128 for value in cut.convert("L").tobytes())
    assert dark > 1000  # of 10,000 pixels; there are none in the middle


def test_the_automatic_crop_of_an_even_picture_is_its_middle(keep):
    image = Image.new("RGB", (300, 100), RED)
    image.paste(GREEN, (100, 0, 200, 100))
    _, cut = drawn(keep(image), Size(90, 90, fills=True, format="png"))
    assert near(cut.getpixel((45, 45)), GREEN)


def test_a_box_takes_that_part_alone(keep):
    size = Size(100, 100, fills=True, box=Box(500, 0, 500, 1000), format="png")
    _, cut = drawn(keep(halves()), size)
    assert cut.size == (100, 100)
    assert near(cut.getpixel((2, 50)), BLUE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_stands_upright(keep, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    # Stored so that, turned as the mark says, red is on top.
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    upright = Image.new("RGB", (100, 200), BLUE)
    upright.paste(RED, (0, 0, 100, 100))
    stored = upright.transpose(turns[orientation]) if orientation in turns else upright
    picture, image = drawn(keep(stored, "JPEG", exif=exif, quality=95), Size(100, 200))
    assert image.size == (100, 200)
    assert near(image.convert("RGB").getpixel((50, 20)), RED)
    assert not image.getexif()
    assert b"Exif" not in picture.data


@pytest.mark.parametrize("format_", ["jpeg", "png", "webp"])
def test_metadata_and_profiles_stay_behind(keep, format_):
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = keep(halves(), "JPEG", exif=exif, icc_profile=profile, comment=b"secret comment")
    picture, image = drawn(path, Size(400, 200, format=format_))
    assert b"secret" not in picture.data
    assert "icc_profile" not in image.info
    assert image.format == format_.upper()


def test_colours_are_converted_from_their_profile(keep):
    # Red and green change places: a profile that nobody can overlook.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    swapped = bytearray(profile)
    swapped[red : red + 4], swapped[green : green + 4] = b"gXYZ", b"rXYZ"
    path = keep(Image.new("RGB", (20, 20), (200, 0, 0)), "PNG", icc_profile=bytes(swapped))
    _, image = drawn(path, Size(20, 20, format="png"))
    red_now, green_now, _ = image.getpixel((10, 10))
    assert green_now > 150 > 60 > red_now


def test_a_broken_profile_costs_only_the_profile(keep):
    path = keep(halves(), "PNG", icc_profile=b"no profile at all")
    assert near(drawn(path, Size(400, 200, format="png"))[1].getpixel((5, 5)), RED)


def test_printers_colours_and_sixteen_bits_are_drawn_as_they_look(keep):
    cmyk = keep(Image.new("CMYK", (50, 50), (0, 255, 255, 0)), "JPEG", quality=95)
    assert near(drawn(cmyk, Size(50, 50, format="png"))[1].getpixel((9, 9)), (255, 0, 0), by=40)
    grey = Image.new("I;16", (50, 50), 0x8000)
    assert near(drawn(keep(grey), Size(50, 50, format="png"))[1].getpixel((9, 9)), (128,) * 3, by=2)


def test_of_an_animation_the_first_picture_is_drawn(keep):
    frames = [Image.new("RGB", (50, 50), colour) for colour in (RED, GREEN, BLUE)]
    for format_ in ("GIF", "WEBP"):
        path = keep(frames[0], format_, save_all=True, append_images=frames[1:], duration=50)
        _, image = drawn(path, Size(50, 50, format="png"))
        assert near(image.convert("RGB").getpixel((9, 9)), RED)
        assert getattr(image, "n_frames", 1) == 1


def test_what_is_transparent_stays_so_and_is_white_in_a_jpeg(keep):
    path = keep(Image.new("RGBA", (50, 50), (255, 0, 0, 0)))
    assert drawn(path, Size(50, 50, format="webp"))[1].convert("RGBA").getpixel((9, 9))[3] == 0
    assert near(drawn(path, Size(50, 50, format="jpeg"))[1].getpixel((9, 9)), (255,) * 3)


def test_f14_sixteen_thousand_pixels_square_are_refused_before_they_are_decoded(keep):
    bomb = png_that_says(16_000, 16_000)
    assert len(bomb) < 250_000
    with pytest.raises(Refused) as refused:
        draw(keep(bomb), Size(96, 96), timeout_s=PATIENCE_S)
    assert refused.value.reason == "too_many_pixels"


def test_f14_as_many_pixels_as_are_taken_are_drawn(keep):
    side = 6_300  # 39.7 million
    assert drawn(keep(png_that_says(side, side)), Size(96, 96))[1].size == (96, 96)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><title>a page</title>" * 100,
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"II*\x00" + bytes(200),
        bytes(100_000),
    ],
    ids=["empty", "svg", "html", "eps", "png-head", "jpeg-head", "tiff", "zeros"],
)
def test_f15_what_is_no_picture_is_refused(keep, data):
    with pytest.raises(Refused) as refused:
        draw(keep(data), Size(96, 96), timeout_s=PATIENCE_S)
    assert refused.value.reason == "not_a_picture"


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_f15_half_a_picture_is_refused(keep, format_):
    noise = Image.frombytes("RGB", (200, 200), os.urandom(120_000))
    whole = keep(noise, format_).read_bytes()
    with pytest.raises(Refused):
        draw(keep(whole[: len(whole) // 2]), Size(96, 96), timeout_s=PATIENCE_S)


def test_f15_noise_behind_any_head_never_does_more_than_be_refused(keep):
    heads = (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"RIFF")
    for head in heads:
        with pytest.raises(Refused):
            draw(keep(head + os.urandom(5_000)), Size(96, 96), timeout_s=PATIENCE_S)


def test_a_painter_that_takes_too_long_is_given_up_and_gone(keep, monkeypatch):
    started = []
    start = sandbox.start

    def remember(*arguments, **options):
        started.append(start(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(sandbox, "start", remember)
    begun = time.monotonic()
    with pytest.raises(Cannot):
        draw(keep(halves()), Size(96, 96), timeout_s=0.01)
    assert time.monotonic() - begun < PATIENCE_S
    assert all(process.poll() is not None for process in started)


def test_no_more_are_drawn_at_once_than_have_a_place(keep, monkeypatch):
    monkeypatch.setattr(drawing, "_places", threading.BoundedSemaphore(1))
    path = keep(halves())
    with drawing._places, pytest.raises(Cannot):
        draw(path, Size(96, 96), timeout_s=0.01)
    assert draw(path, Size(96, 96), timeout_s=PATIENCE_S).width == 96
