"""Album art: every picture drawn anew, by real FFmpeg, and looked at by PyAV."""

import contextlib
import random
import socket
import struct
import time
import zlib

import av
import pytest

from elastic_transcoder.tests.conftest import run_ffmpeg
from elastic_transcoder.worker import artwork, conversion
from elastic_transcoder.worker.artwork import KEEP, PictureTooLarge, PictureUnreadable, Sizing
from sound import probe
from sound.tests.test_hostile_files import COVERS, PICTURE, SVG, picture_block, with_blocks
from sound.tests.test_probe import PLAYLISTS
from sound.tests.test_probe import png as blank_png

WHITE, RED, BLUE = (255, 255, 255), (255, 0, 0), (0, 0, 255)
BOX = (60, 40)
AS_IS = Sizing(600, 600, "Keep", False, "png")


def sizing(policy: str, *, pads: bool = False, kind: str = "png", box=BOX) -> Sizing:
    return Sizing(*box, policy, pads, kind)


@pytest.fixture
def draw(tmp_path):
    """Return a function that draws a picture and gives the file; nothing else may be left."""
    folder = tmp_path / "out"
    folder.mkdir()
    count = 0

    def run(source, how, number=0, moved=lambda: None):
        nonlocal count
        count += 1
        target = folder / f"art-{count}"
        before = set(folder.iterdir())
        try:
            artwork.draw(source, target, how, number=number, folder=folder, moved=moved)
        except BaseException:
            assert set(folder.iterdir()) == before
            raise
        assert set(folder.iterdir()) == before | {target}
        return target

    return run


@pytest.fixture
def picture(tmp_path):
    """Return a maker of pictures: red on the left, blue on the right."""

    def make(width: int, height: int, name: str = "a.png", *arguments: str):
        path = tmp_path / f"{width}x{height}-{name}"
        source = f"color=red:s={width}x{height},format=rgb24"
        box = f"drawbox=x={width // 2}:w={width - width // 2}:color=blue:t=fill"
        one = ("-frames:v", "1", *arguments)
        run_ffmpeg("-f", "lavfi", "-i", source, "-vf", box, *one, str(path))
        return path

    return make


def write(tmp_path, name: str, content: bytes):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, kind: int, bits: int, pixels: bytes, *chunks: bytes) -> bytes:
    """A PNG of any kind of colour; ``pixels`` are packed but not compressed to nothing."""
    row = len(pixels) // height
    packer = zlib.compressobj(0)
    rows = [packer.compress(b"\0" + pixels[at : at + row]) for at in range(0, len(pixels), row)]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    data = chunk(b"IDAT", b"".join(rows) + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + data + chunk(b"IEND", b"")


class Seen:
    """A picture as PyAV decodes it."""

    def __init__(self, path):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            self.codec = stream.codec_context.name
            (frame,) = list(container.decode(stream))
        self.size = frame.width, frame.height
        self.format = frame.format.name
        # PyAV's way from JPEG to rgba loses the last columns.
        self._parts = 4 if self.format in ("rgba", "pal8", "ya8") else 3
        self._plane = frame.reformat(format={3: "rgb24", 4: "rgba"}[self._parts]).planes[0]
        self._pixels = bytes(self._plane)

    def pixel(self, x: int, y: int) -> tuple:
        at = y % self.size[1] * self._plane.line_size + x % self.size[0] * self._parts
        return tuple(self._pixels[at : at + self._parts])

    def colour(self, x: int, y: int) -> tuple:
        """The nearest of plain colours: JPEG never keeps them to the last bit."""
        parts = self.pixel(x, y)[:3]
        return tuple(255 if part > 200 else 0 if part < 55 else part for part in parts)


# --- sizes ------------------------------------------------------------------------------------

LARGE, TALL, SMALL, LOW, FLAT = (200, 100), (100, 200), (30, 10), (10, 30), (100, 20)
SIZES = {
    "Fit": {LARGE: (60, 30), TALL: (20, 40), SMALL: (60, 20), LOW: (13, 40), FLAT: (60, 12)},
    "Fill": dict.fromkeys((LARGE, TALL, SMALL, LOW, FLAT), BOX),
    "Stretch": dict.fromkeys((LARGE, TALL, SMALL, LOW, FLAT), BOX),
    "Keep": {LARGE: BOX, TALL: BOX, SMALL: SMALL, LOW: LOW, FLAT: (60, 20)},
    "ShrinkToFit": {LARGE: (60, 30), TALL: (20, 40), SMALL: SMALL, LOW: LOW, FLAT: (60, 12)},
    "ShrinkToFill": {LARGE: BOX, TALL: BOX, SMALL: SMALL, LOW: LOW, FLAT: (60, 20)},
}


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.parametrize("policy", SIZES)
def test_every_policy_makes_the_size_that_its_words_say(draw, picture, policy, kind):
    for size, expected in SIZES[policy].items():
        seen = Seen(draw(picture(*size), sizing(policy, kind=kind)))
        assert seen.size == expected, size
        assert seen.codec == {"png": "png", "jpg": "mjpeg"}[kind]
        # Cut evenly on both sides, so that both colours are left.
        assert (seen.colour(0, 0), seen.colour(-1, -1)) == (RED, BLUE), size


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.parametrize("policy", SIZES)
def test_padding_is_white_and_even_on_both_sides(draw, picture, policy, kind):
    for size, (width, height) in SIZES[policy].items():
        seen = Seen(draw(picture(*size), sizing(policy, pads=True, kind=kind)))
        assert seen.size == BOX, size
        is_whole = (width, height) == BOX
        assert (seen.colour(0, 0), seen.colour(-1, -1)) == (
            (RED, BLUE) if is_whole else (WHITE, WHITE)
        )
        left, top = (BOX[0] - width) // 2, (BOX[1] - height) // 2
        # Two pixels inside, where a JPEG's blocks do not smear the edge.
        assert seen.colour(left + 2, top + 3) == RED, size
        assert seen.colour(left + width - 3, top + height - 4) == BLUE, size


def test_a_line_that_has_to_fill_a_box_takes_no_more_than_the_box(draw, tmp_path):
    """Enlarged before it is cut it would have 38 thousand million pixels."""
    line = write(tmp_path, "line.png", png(4096, 1, 2, 8, random.Random(1).randbytes(3 * 4096)))
    assert Seen(draw(line, sizing("Fill", box=(4096, 3072)))).size == (4096, 3072)


def test_the_sizing_comes_from_the_api_with_its_defaults():
    assert artwork.sizing({"InputKey": "a"}) == Sizing(600, 600, "Fit", False, "jpg")
    asked = {
        "InputKey": "a", "MaxWidth": "auto", "MaxHeight": "3072", "SizingPolicy": "ShrinkToFill",
        "PaddingPolicy": "Pad", "AlbumArtFormat": "png", "Encryption": None,
    }  # fmt: skip
    assert artwork.sizing(asked) == Sizing(600, 3072, "ShrinkToFill", True, "png")
    nothing = dict.fromkeys(asked)
    assert artwork.sizing(nothing) == artwork.sizing({})


# --- kinds of pictures ------------------------------------------------------------------------


def test_what_is_transparent_stays_so_in_a_png_and_turns_white_elsewhere(draw, tmp_path):
    pixels = (b"\xff\0\0\xff" * 20 + b"\0\0\0\0" * 20) * 40
    source = write(tmp_path, "a.png", png(40, 40, 6, 8, pixels))
    kept = Seen(draw(source, AS_IS))
    assert (kept.pixel(5, 5), kept.pixel(35, 35)[3]) == ((*RED, 255), 0)
    flat = Seen(draw(source, sizing("Keep", kind="jpg")))
    assert (flat.colour(5, 5), flat.colour(35, 35)) == (RED, WHITE)
    padded = Seen(draw(source, sizing("Keep", pads=True)))
    assert (padded.pixel(0, 0), padded.pixel(45, 35)) == (WHITE, WHITE)


@pytest.mark.parametrize(
    ("kind", "bits", "pixel", "chunks", "expected"),
    [
        (0, 8, b"\0", (), (0, 0, 0)),
        (0, 16, b"\xff\xff", (), WHITE),
        (2, 16, b"\xff\xff\0\0\0\0", (), RED),
        (3, 8, b"\1", (chunk(b"PLTE", b"\xff\0\0\0\0\xff"),), BLUE),
        (4, 8, b"\0\xff", (), (0, 0, 0)),
        (6, 16, b"\0\0\0\0\xff\xff\xff\xff", (), BLUE),
        # One colour that is marked as transparent.
        (2, 8, b"\xff\0\0", (chunk(b"tRNS", b"\0\xff\0\0\0\0"),), WHITE),
    ],
)
def test_every_kind_of_png_is_drawn(draw, tmp_path, kind, bits, pixel, chunks, expected):
    source = write(tmp_path, "a.png", png(40, 30, kind, bits, pixel * 1200, *chunks))
    for how in (sizing("Keep", kind="jpg"), sizing("Keep", pads=True)):
        seen = Seen(draw(source, how))
        assert seen.colour(seen.size[0] // 2, seen.size[1] // 2) == expected


def test_of_a_moving_png_the_first_picture_is_drawn(draw, tmp_path):
    path = tmp_path / "moving.png"
    source = "color=red:s=32x32:r=1:d=1,format=rgb24[a];color=blue:s=32x32:r=1:d=1,format=rgb24[b]"
    run_ffmpeg("-f", "lavfi", "-i", f"{source};[a][b]concat", "-f", "apng", str(path))
    assert b"acTL" in path.read_bytes()
    assert Seen(draw(path, AS_IS)).colour(5, 5) == RED


SECRET = b"whereabouts of the photographer"


def test_nothing_that_a_picture_says_of_itself_is_kept(draw, picture, tmp_path):
    exif = b"II*\0\x08\0\0\0\1\0\x0e\1\2\0\x20\0\0\0\x1a\0\0\0\0\0\0\0" + SECRET + b"\0"
    turned = exif[:10] + b"\x12\1\3\0\1\0\0\0\6\0\0\0" + exif[22:]
    plain = picture(48, 32, "a.jpg").read_bytes()
    segments = b"".join(
        marker + struct.pack(">H", len(data) + 2) + data
        for marker, data in (
            (b"\xff\xe1", b"Exif\0\0" + turned),
            (b"\xff\xe1", b"http://ns.adobe.com/xap/1.0/\0" + SECRET),
            (b"\xff\xe2", b"ICC_PROFILE\0\1\1" + SECRET * 10),
            (b"\xff\xfe", SECRET),
        )
    )
    jpeg = write(tmp_path, "a.jpg", plain[:2] + segments + plain[2:] + b"glued" + SECRET)
    texts = (
        chunk(b"tEXt", b"Comment\0" + SECRET),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + SECRET),
        chunk(b"eXIf", exif),
        chunk(b"iCCP", b"x\0\0" + zlib.compress(SECRET * 10)),
        chunk(b"pHYs", struct.pack(">IIB", 100, 200, 1)),
    )
    marked = write(tmp_path, "a.png", png(48, 32, 2, 8, b"\xff\0\0" * 48 * 32, *texts))
    for source in (jpeg, marked):
        for how in (KEEP, sizing("Fit"), sizing("Fit", kind="jpg")):
            drawn = draw(source, how)
            content = drawn.read_bytes()
            for word in (SECRET, b"Exif", b"eXIf", b"iCCP", b"tEXt", b"ICC_", b"Lavc", b"glued"):
                assert word not in content, (source.name, word)
            # Lying on its side stays so: the mark is gone, and the pixels are as they were.
            assert Seen(drawn).size == ((48, 32) if how is KEEP else (60, 40))


def test_kept_pictures_have_their_own_size_and_a_jpeg_stays_one(draw, picture):
    for name, codec in (("a.png", "png"), ("a.jpg", "mjpeg")):
        source = picture(701, 33, name)
        drawn = draw(source, KEEP)
        seen = Seen(drawn)
        assert (seen.size, seen.codec) == ((701, 33), codec)
        assert (seen.colour(0, 0), seen.colour(-1, -1)) == (RED, BLUE)
        assert drawn.read_bytes() != source.read_bytes()


# --- pictures in sound ------------------------------------------------------------------------


@pytest.fixture
def with_pictures(tone, tmp_path):
    """Return a function that attaches pictures to a tone: ``with_pictures("a.mp3", *files)``."""

    def attach(name: str, *pictures, moving: bool = False):
        path = tmp_path / f"covered-{name}"
        files = [part for one in pictures for part in ("-i", str(one))]
        maps = [part for number in range(len(pictures)) for part in ("-map", f"{number + 1}:v")]
        marks = []
        if moving:
            files += ["-f", "lavfi", "-i", "testsrc=s=64x64:d=1"]
            maps = ["-map", f"{len(pictures) + 1}:v", *maps]
            marks = ["-c:v:0", "libx264"]
        for number in range(moving, moving + len(pictures)):
            marks += [f"-disposition:v:{number}", "attached_pic", f"-c:v:{number}", "copy"]
        run_ffmpeg(
            "-i", str(tone(name, "-ac", "2")), *files, "-map", "0:a", *maps, "-c:a", "copy",
            *marks, str(path),
        )  # fmt: skip
        return path

    return attach


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.m4a"])
def test_each_of_the_pictures_in_a_sound_is_found_by_its_number(draw, picture, with_pictures, name):
    path = with_pictures(name, picture(50, 40), picture(70, 30, "b.jpg"))
    assert probe.probe(path).pictures == 2
    first, second = Seen(draw(path, KEEP)), Seen(draw(path, KEEP, number=1))
    assert (first.size, first.codec) == ((50, 40), "png")
    assert (second.size, second.codec) == ((70, 30), "mjpeg")
    assert (second.colour(3, 3), second.colour(-3, -3)) == (RED, BLUE)
    with pytest.raises(PictureUnreadable, match="no picture 3"):
        draw(path, KEEP, number=2)


def test_a_moving_picture_beside_them_is_not_counted(draw, picture, with_pictures):
    path = with_pictures("a.m4a", picture(50, 40), picture(70, 30, "b.jpg"), moving=True)
    sound = probe.probe(path)
    assert (sound.pictures, sound.has_video) == (2, True)
    assert [Seen(draw(path, KEEP, number=number)).size for number in (0, 1)] == [(50, 40), (70, 30)]


@pytest.mark.parametrize("name", ["b.gif", "b.bmp"])
def test_other_pictures_in_a_sound_become_png(draw, picture, tone, tmp_path, name):
    other = picture(50, 40, name)
    block = picture_block(b"image/" + name[2:].encode(), other.read_bytes())
    sound = with_blocks(tone("a.flac").read_bytes(), (PICTURE, block))
    seen = Seen(draw(write(tmp_path, "a.flac", sound), KEEP))
    assert (seen.size, seen.codec) == ((50, 40), "png")
    assert (seen.colour(3, 3), seen.colour(-3, -3)) == (RED, BLUE)
    with pytest.raises(PictureUnreadable):
        draw(other, AS_IS)


def test_a_sound_is_no_picture_for_an_order(draw, picture, with_pictures):
    with pytest.raises(PictureUnreadable):
        draw(with_pictures("a.mp3", picture(50, 40)), AS_IS)


def test_a_sound_without_a_picture_says_so(draw, tone):
    with pytest.raises(PictureUnreadable):
        draw(tone("a.mp3"), KEEP)


# --- bad pictures -----------------------------------------------------------------------------


def test_f14_sixteen_thousand_pixels_square_are_too_large(draw, tone, tmp_path):
    content = blank_png(16_000, 16_000)
    with pytest.raises(PictureTooLarge, match="16000 x 16000"):
        draw(write(tmp_path, "a.png", content), AS_IS)
    sound = with_blocks(
        tone("a.flac").read_bytes(), (PICTURE, picture_block(b"image/png", content))
    )
    with pytest.raises(PictureTooLarge):
        draw(write(tmp_path, "a.flac", sound), KEEP)


@pytest.mark.parametrize(("width", "height", "is_taken"), [
    (4096, 3072, True), (4097, 16, False), (16, 3073, False), (3072, 4096, False),
])  # fmt: skip
def test_the_limit_is_4096_by_3072(draw, tmp_path, picture, width, height, is_taken):
    for source in (
        write(tmp_path, "a.png", blank_png(width, height)), picture(width, height, "b.jpg"),
    ):  # fmt: skip
        if is_taken:
            assert Seen(draw(source, sizing("Fit"))).size == (53, 40)
        else:
            with pytest.raises(PictureTooLarge):
                draw(source, sizing("Fit"))


def test_f14_a_size_that_lies_is_no_way_around_the_limit(draw, picture, tmp_path):
    """A second header, of 16,000 pixels square, behind the one that we read."""
    plain = picture(64, 64, "a.jpg").read_bytes()
    at = plain.index(b"\xff\xc0")
    length = 2 + int.from_bytes(plain[at + 2 : at + 4])
    header = plain[at : at + length]
    large = header[:5] + struct.pack(">HH", 16_000, 16_000) + header[9:]
    source = write(tmp_path, "a.jpg", plain[: at + length] + large + plain[at + length :])
    with contextlib.suppress(PictureUnreadable):
        assert Seen(draw(source, sizing("Fit", pads=True))).size == BOX


def test_f15_sixty_megabytes_of_real_picture_are_drawn_in_little_memory(
    draw, tmp_path, monkeypatch
):
    source = write(
        tmp_path, "a.png", png(4096, 2560, 2, 16, random.Random(1).randbytes(6) * 4096 * 2560)
    )
    assert source.stat().st_size > 60_000_000
    monkeypatch.setattr(artwork, "MEMORY_BYTES", 768 << 20)
    assert Seen(draw(source, sizing("Fit", kind="jpg"))).size == (60, 38)


def test_f15_a_file_larger_than_any_picture_is_not_opened(draw, picture, tmp_path, monkeypatch):
    source = picture(64, 64)
    monkeypatch.setattr(conversion, "convert", None)  # nothing is run
    with source.open("r+b") as file:
        file.truncate(artwork.MAX_BYTES + 1)
    with pytest.raises(PictureUnreadable):
        draw(source, AS_IS)


def broken(picture) -> dict[str, bytes]:
    jpeg = picture(300, 200, "whole.jpg", "-vf", "noise=alls=60:all_seed=1").read_bytes()
    whole = picture(300, 200, "whole.png").read_bytes()
    noise = random.Random(3)
    return {
        "a cut JPEG": jpeg[: len(jpeg) // 2],
        "the header of a JPEG": jpeg[:400],
        "a JPEG of noise": jpeg[:700] + noise.randbytes(3000),
        "only the mark of a JPEG": b"\xff\xd8\xff",
        "a JPEG without pixels": b"\xff\xd8\xff\xc0\0\x11\x08\0\0\0\0\3\1\x22\0\2\x11\1\3\x11\1",
        "a cut PNG": whole[: len(whole) // 2],
        "a PNG of noise": whole[:60] + noise.randbytes(3000),
        "only the mark of a PNG": whole[:8],
        "a PNG without pixels": whole[:16] + bytes(8) + whole[24:],
        "a PNG with a page behind its header": whole[:33] + b"<html><script>alert(1)</script>",
        "a page named png": b"<html><script>alert(1)</script></html>",
        "a drawing with a script": SVG,
        "a page behind marks": b"\xff\xd8\xff<html><script>alert(1)</script></html>" * 9,
        "nothing": b"",
        "zeros": bytes(5000),
        "a TIFF": b"II*\0\x08\0\0\0" + bytes(100),
        "a WEBP": b"RIFF\x24\0\0\0WEBPVP8 " + bytes(100),
    }


def test_f15_what_is_no_picture_or_a_broken_one_is_unreadable(draw, picture, tmp_path):
    for name, content in broken(picture).items():
        for how in (sizing("Fit"), sizing("Fill", pads=True, kind="jpg"), KEEP):
            with pytest.raises(PictureUnreadable):
                print(name, draw(write(tmp_path, "a.png", content), how))


def test_f15_a_jpeg_of_fill_bytes_is_given_up_at_once(draw, tmp_path):
    endless = write(tmp_path, "endless.jpg", b"\xff\xd8" + b"\xff" * (16 << 20))
    started = time.monotonic()
    with pytest.raises(PictureUnreadable):
        draw(endless, sizing("Fit"))
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("kind", COVERS)
def test_f15_a_cover_that_is_no_picture_is_unreadable(draw, tone, tmp_path, kind):
    sound = with_blocks(tone("a.flac").read_bytes(), (PICTURE, picture_block(*COVERS[kind])))
    with pytest.raises(PictureUnreadable):
        draw(write(tmp_path, "a.flac", sound), KEEP)


def test_f15_a_broken_cover_does_not_hide_the_one_behind_it(draw, picture, tone, tmp_path):
    covers = [
        (PICTURE, picture_block(b"image/png", content))
        for content in (COVERS["broken"][1], picture(50, 40).read_bytes())
    ]
    path = write(tmp_path, "a.flac", with_blocks(tone("a.flac").read_bytes(), *covers))
    assert probe.probe(path).pictures == 2
    with pytest.raises(PictureUnreadable):
        draw(path, KEEP, number=0)
    assert Seen(draw(path, KEEP, number=1)).size == (50, 40)


def test_f16_many_covers_are_counted_and_each_is_found(draw, picture, tone, tmp_path):
    covers = [picture(30 + number, 40).read_bytes() for number in range(3)] * 20
    blocks = [(PICTURE, picture_block(b"image/png", content)) for content in covers]
    path = write(tmp_path, "a.flac", with_blocks(tone("a.flac").read_bytes(), *blocks))
    assert probe.probe(path).pictures == 60
    for number in (0, 31, 59):
        assert Seen(draw(path, KEEP, number=number)).size == (30 + number % 3, 40)


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("how", [AS_IS, KEEP])
def test_f15_f19_a_file_that_names_others_opens_none(draw, tmp_path, picture, kind, how):
    marker = picture(64, 64)
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.05)
        port = trap.getsockname()[1]
        text = PLAYLISTS[kind].format(url=f"http://127.0.0.1:{port}/x", file=marker, port=port)
        with pytest.raises(PictureUnreadable):
            draw(write(tmp_path, "a.png", text.encode()), how)
        with pytest.raises(TimeoutError):
            trap.accept()


def test_whoever_waits_is_told_and_may_stop_it(draw, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "LOOK_S", 0.01)
    source = write(
        tmp_path, "a.png", png(2048, 2048, 2, 16, random.Random(1).randbytes(6) * 2048**2)
    )
    calls = []
    draw(source, sizing("Fit", box=(4096, 3072)), moved=lambda: calls.append(1))
    assert len(calls) > 1

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(source, KEEP, moved=stop)


def test_s13_a_full_disk_is_not_the_fault_of_the_picture(draw, picture, monkeypatch):
    monkeypatch.setattr(conversion, "FREE_BYTES", 10**18)
    with pytest.raises(OSError, match="No space left"):
        draw(picture(64, 64), KEEP)
