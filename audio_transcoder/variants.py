"""What of an order is not as format and whole sound have it: a part, a loudness, a bit rate.

One result of each format and variant counts, the newest. The code of a variant stands in rows; from
it alone come the words that tell results apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from audio_transcoder.engines.base import Clip
from audio_transcoder.figures import signed

# What a clip may not be longer than, by the API: a millisecond less than a day.
LATEST_MS = 86_399_999
SHORTEST_MS = 100
# What a loudness may be, in LUFS: LoudnessTarget, of our own server.
SOFTEST_LUFS, LOUDEST_LUFS = -70, -5
_CODE = re.compile(
    r"(?:clip-(?P<start>\d+)-(?P<end>\d*))? ?(?:lufs(?P<lufs>-\d+(?:\.\d)?))?"
    r" ?(?:kbps-(?P<kbps>\d+))?"
)


@dataclass(frozen=True)
class Options:
    """What of an order is otherwise; nothing by default. Bit rates in kbit/s, by format name."""

    clip_start_ms: int | None = None
    clip_end_ms: int | None = None  # None with a start: the end of the sound
    target_lufs: float | None = None  # to a tenth
    bitrates: Mapping[str, int] = field(default_factory=dict)

    @property
    def clip(self) -> Clip | None:
        return clip(self.clip_start_ms, self.clip_end_ms)

    def variant(self, format_name: str) -> str:
        """Return the code of what a result of this format is; empty: as usual."""
        parts = []
        if self.clip is not None:
            end = "" if self.clip_end_ms is None else self.clip_end_ms
            parts.append(f"clip-{self.clip_start_ms or 0}-{end}")
        if self.target_lufs is not None:
            parts.append(f"lufs{self.target_lufs:g}")
        if format_name in self.bitrates:
            parts.append(f"kbps-{self.bitrates[format_name]}")
        return " ".join(parts)


AS_USUAL = Options()


def clip(start_ms: int | None, end_ms: int | None) -> Clip | None:
    """Return the part of a sound between two times; None for all of it."""
    if start_ms is None and end_ms is None:
        return None
    start_ms = start_ms or 0
    return Clip(start_ms, None if end_ms is None else end_ms - start_ms)


def label(format_label: str, variant: str) -> str:
    """Return what to call a result, e.g. ``MP3 (from 0:10, 128 kbit/s)``."""
    words = _words(variant)
    return f"{format_label} ({', '.join(words)})" if words else format_label


def in_file_name(variant: str, kind: str = "") -> str:
    """Return what tells it from others in the name of a file, e.g. ``(0.10-0.45 128k)``.

    ``kind`` comes first: what its format says there.
    """
    found = _found(variant)
    words = [kind] if kind else []
    if found["start"] is not None:
        end = position(int(found["end"])) if found["end"] else ""
        words.append(f"{position(int(found['start']))}-{end}".replace(":", "."))
    if found["lufs"]:
        words.append(f"{found['lufs']} LUFS")
    if found["kbps"]:
        words.append(f"{found['kbps']}k")
    return f"({' '.join(words)})" if words else ""


def position(ms: int) -> str:
    """Return a place in a sound to the millisecond, e.g. ``0:10``, ``1:02:03.5``."""
    seconds, thousandths = divmod(ms, 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
    return f"{text}.{thousandths:03}".rstrip("0") if thousandths else text


def _words(variant: str) -> list[str]:
    found = _found(variant)
    words = []
    if found["start"] is not None:
        start = position(int(found["start"]))
        if found["end"]:
            words.append(f"{start}–{position(int(found['end']))}")  # noqa: RUF001 -- a range
        else:
            words.append(_("from {start}").format(start=start))
    if found["lufs"]:
        words.append(f"{signed(found['lufs'])} LUFS")
    if found["kbps"]:
        words.append(f"{found['kbps']} kbit/s")
    return words


def _found(variant: str) -> dict[str, str | None]:
    match = _CODE.fullmatch(variant)
    return match.groupdict() if match else dict.fromkeys(("start", "end", "lufs", "kbps"))
