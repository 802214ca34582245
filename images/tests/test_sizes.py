import pytest

from images import Box, Forged, Size, opened, token

SIZES = [
    Size(96, 96, fills=True),
    Size(640, 480, quality=100, format="png"),
    Size(1, 4096, upscales=True, format="jpeg"),
    Size(10, 20, fills=True, box=Box(0, 1, 999, 2), upscales=True, quality=1),
]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_size_is_read_as_it_was_written(size):
    assert Size.parse(str(size)) == size
    assert opened("uploads/a/cover-1", token("uploads/a/cover-1", size)) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "96x96",
        "096x96-fill-q82.webp",
        "96x96-fill-q082.webp",
        "0x96-fill-q82.webp",
        "4097x96-fill-q82.webp",
        "96x96-fill-q0.webp",
        "96x96-fill-q101.webp",
        "96x96-stretch-q82.webp",
        "96x96-fill-q82.svg",
        "96x96-fill-box0_0_0_1-q82.webp",
        "96x96-fill-box500_0_501_1-q82.webp",
        "96x96-fill-q82.webp\n",
        "٩٦x٩٦-fill-q٨٢.webp",
    ],
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValueError):
        Size.parse(text)


def test_a_token_holds_for_one_picture_and_one_size():
    good = token("uploads/a/cover-1", SIZES[0])
    other = token("uploads/a/cover-1", SIZES[1])
    signature = good.partition("~")[2]
    forged = [
        ("uploads/a/cover-2", good),
        ("uploads/a/cover-1", good[:-1]),
        ("uploads/a/cover-1", f"{SIZES[1]}~{signature}"),
        ("uploads/a/cover-1", good.replace("96x96", "97x96")),
        ("uploads/a/cover-1", good.partition("~")[0]),
        ("uploads/a/cover-1", other.replace("~", "")),
        ("uploads/a/cover-1 ", good),
        ("", good),
        ("uploads/a/cover-1", ""),
    ]
    for original, text in forged:
        with pytest.raises(Forged):
            opened(original, text)


def test_a_token_outlives_a_change_of_keys(settings):
    good = token("uploads/a/cover-1", SIZES[0])
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another" * 10
    assert opened("uploads/a/cover-1", good) == SIZES[0]
