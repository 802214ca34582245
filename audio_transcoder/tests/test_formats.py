"""The table of formats, and what the upload page makes of it."""

from __future__ import annotations

import pytest

from audio_transcoder.formats import (
    DEFAULT_FORMATS,
    FORMATS,
    OWN_SELECTION,
    SELECTIONS,
    SOUND_EXTENSIONS,
    SOURCES,
)


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=list(SELECTIONS))
def test_a_selection_orders_formats_that_there_are(selection):
    assert selection.formats
    assert set(selection.formats) <= set(FORMATS)


def test_a_selection_is_told_from_ones_own_choice_and_from_the_others():
    orders = [selection.formats for selection in SELECTIONS.values()]
    assert OWN_SELECTION not in SELECTIONS
    assert len({*orders, DEFAULT_FORMATS}) == len(orders) + 1


def test_what_is_called_lossless_is():
    lossless = [FORMATS[name] for name in SELECTIONS["lossless"].formats]
    assert all(format.is_lossless and format.keeps_source for format in lossless)


def test_a_minute_takes_what_its_formats_take():
    assert SELECTIONS["old"].bytes_per_minute == FORMATS["mp3"].about_kbps * 7500
    assert SELECTIONS["small"].bytes_per_minute == 260 * 7500


def test_every_kind_of_sound_may_be_in_a_folder():
    assert {extension for _, extension, _ in SOURCES.values()} <= set(SOUND_EXTENSIONS)
