"""Names of people's files: text for the eye only."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_transcoder import names


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Interview.mp3", "Interview.mp3"),
        ("../../etc/x.mp3", "x.mp3"),
        ("..\\..\\x.mp3", "x.mp3"),
        ("/abs.mp3", "abs.mp3"),
        ("a/b.mp3", "b.mp3"),
        ("http://h/x.mp3", "x.mp3"),
        ("%2e%2e%2fx.mp3", "%2e%2e%2fx.mp3"),
        (".", ""),
        ("..", ""),
        (" ", ""),
        ("-y.mp3", "-y.mp3"),
        ("concat:a|b", "concat:a|b"),
        ("<svg onload=1>.mp3", "<svg onload=1>.mp3"),
    ],
)
def test_u10_only_the_last_part_of_a_name_is_kept(raw, shown):
    assert names.clean(raw) == shown


def test_u11_control_characters_go():
    assert names.clean('a\0b\r\nc"d\x1b.mp3') == 'abc"d.mp3'


def test_u12_names_are_composed_and_have_nothing_invisible():
    assert names.clean("Cafe\u0301\u202egnp\u200b.mp3") == "Caf\u00e9gnp.mp3"
    assert names.clean("\N{GRINNING FACE}.mp3") == "\N{GRINNING FACE}.mp3"
    assert names.clean("\u0301.mp3") == "\u25cc\u0301.mp3"


@pytest.mark.parametrize("length", [255, 300, 1000])
def test_u13_a_long_name_is_cut_and_keeps_its_extension(length):
    shown = names.clean("\N{GRINNING FACE}" * length + ".mp3")
    assert len(shown) == names.MAX_LENGTH
    assert shown.endswith(".mp3")


@pytest.mark.parametrize("raw", ["AC/DC", "a\\b", "http://h/x", "..", "/"])
def test_u10_what_is_typed_is_no_path_and_no_file_is_called_so(raw):
    assert names.typed(f" {raw}\u202e\n") == ("" if raw == ".." else raw)
    assert not set("/\\") & set(names.of_file(raw))


@given(st.text())
def test_any_name_becomes_safe_text(raw):
    shown = names.clean(raw)
    assert len(shown) <= names.MAX_LENGTH + 1
    assert not set(shown) & set("/\\\r\n\0")
    assert not any(unicodedata.category(char) in ("Cc", "Cf") for char in shown)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.mp3", "a"),
        ("a.b.FLAC", "a.b"),
        ("Track.01.mp3", "Track.01"),
        ("Track.01", "Track.01"),
        ("BWV.846", "BWV.846"),
        (".mp3", ".mp3"),
        ("a", "a"),
    ],
)
def test_only_the_extension_of_a_sound_is_taken_off(name, stem):
    assert names.without_extension(name) == stem
