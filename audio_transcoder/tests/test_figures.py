from __future__ import annotations

import pytest

from audio_transcoder.figures import (
    channel_word,
    clock,
    kilohertz,
)


@pytest.mark.parametrize(
    ("duration_ms", "written"),
    [
        (None, ""),
        (0, "0:00"),
        (499, "0:00"),
        (500, "0:01"),
        (59_500, "1:00"),
        (185_000, "3:05"),
        (3_599_499, "59:59"),
        (3_609_000, "1:00:09"),
        (90_000_000, "25:00:00"),
    ],
)
def test_a_duration_is_written_as_people_read_it(duration_ms, written):
    assert clock(duration_ms) == written


@pytest.mark.parametrize(
    ("rate", "written"),
    [(None, ""), (8000, "8 kHz"), (11025, "11.025 kHz"), (44100, "44.1 kHz"), (192000, "192 kHz")],
)
def test_a_sample_rate_is_written_in_kilohertz(rate, written):
    assert kilohertz(rate) == written


@pytest.mark.parametrize(
    ("channels", "written"),
    [(None, ""), (0, ""), (1, "mono"), (2, "stereo"), (6, "6 channels")],
)
def test_channels_are_written_in_words(channels, written):
    assert channel_word(channels) == written
