"""What engines say of good results, in the reader's language."""

from __future__ import annotations

import pytest
from django.utils import translation

from audio_transcoder.engines import notes
from elastic_transcoder.worker import album, loudness

TOO_LOUD = loudness.change(-5, (-20.04, -3.0)).notes[0]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", ""),
        ("Something new.", "Something new."),
        (album.LEFT_OUT, ""),
        (album.LEFT_OUT_IN_PART, "Some pictures of the sound were left out."),
        ("The input has 6 audio channels, the output 2 channels.", ""),
        ("The input has 6 audio channels, the output 1 channel.", ""),
        ("The input is a video; its sound was used.", "The file is a video; its sound was used."),
        (
            "The input has 3 sound tracks; the first one was used.",
            "Of the 3 sound tracks of the file the first one was used.",
        ),
        (loudness.NOTHING_TO_MEASURE, loudness.NOTHING_TO_MEASURE),
        (TOO_LOUD, TOO_LOUD.replace("-", "\N{MINUS SIGN}")),
        (f"{album.LEFT_OUT} One. {album.LEFT_OUT} Two.", "One. Two."),
    ],
)
def test_sentences_of_our_transcoder_are_said_in_ours(said, told):
    assert notes.told(said) == told
    assert notes.has_lost_cover(said) is (album.LEFT_OUT in said)


def test_they_are_said_in_the_readers_language_with_its_numbers():
    with translation.override("pl"):
        told = notes.told(f"{TOO_LOUD} Something new.")
    assert "LUFS" in told
    assert "loud" not in told
    assert "18,0" in told
    assert told.endswith("Something new.")
