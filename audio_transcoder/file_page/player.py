"""What the player of a file's page plays, and how its sound is drawn."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from itertools import pairwise

from django.urls import reverse
from django.utils.translation import gettext as _

from audio_transcoder.formats import source_media_type
from audio_transcoder.models import AudioFile, Waveform

# Bars of the drawing, and its height; it is stretched to the width of the page.
BARS = 160
HEIGHT = 100
# What a browser cannot tell from the media type alone.
CODECS_TO_NAME = ("alac", "ac3", "eac3")


@dataclass(frozen=True)
class PlayerSource:
    """One way to hear the sound."""

    value: str
    label: str
    url: str
    media_type: str
    start_ms: int = 0  # where in the original it begins
    end_ms: int | None = None  # None: where the original ends


@dataclass(frozen=True)
class Drawing:
    """A waveform, for scripts and for those who have none."""

    peaks: str  # base64, one byte a point
    path: str  # of an SVG, BARS wide and HEIGHT high


def sources(audio_file: AudioFile) -> list[PlayerSource]:
    """Return the original and each ready result of a file read ``with_work``."""
    # Before anybody looked at the sound, it is up to the browser.
    media_type = source_media_type(audio_file.container) if audio_file.container else ""
    if audio_file.codec in CODECS_TO_NAME:
        media_type += f'; codecs="{audio_file.codec}"'
    url = reverse("audio:listen", args=[audio_file.code, "original"])
    found = [PlayerSource("original", _("Original"), url, media_type)]
    for rendition in audio_file.ready_renditions:
        found.append(
            PlayerSource(
                str(rendition.code),
                rendition.label,
                rendition.listen_url,
                rendition.format.media_type,
                rendition.job.clip_start_ms or 0,
                rendition.job.clip_end_ms,
            )
        )
    return found


def drawing(audio_file: AudioFile) -> Drawing | None:
    """Return the waveform of a file, if it has one."""
    try:
        peaks = bytes(audio_file.waveform.peaks)
    except Waveform.DoesNotExist:
        return None
    return Drawing(base64.b64encode(peaks).decode(), svg_path(peaks)) if peaks else None


def svg_path(peaks: bytes) -> str:
    """Return at most BARS upright strokes, the loudest of them as high as the drawing."""
    count = min(BARS, len(peaks))
    edges = [number * len(peaks) // count for number in range(count + 1)]
    bars = [max(peaks[start:end]) for start, end in pairwise(edges)]
    loudest = max(max(bars), 1)
    strokes = []
    for number, bar in enumerate(bars):
        half = max(1, round(bar * HEIGHT / 2 / loudest))
        x = round((number + 0.5) * BARS / count, 2)
        strokes.append(f"M{x:g} {HEIGHT // 2 - half}v{2 * half}")
    return "".join(strokes)
