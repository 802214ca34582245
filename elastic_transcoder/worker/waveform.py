"""The outline of a sound: the highest sample of each of at most 2,000 parts of equal length.

FFmpeg finds them in the decode that the results are made from. Source: FFmpeg 9, filters
asetnsamples, astats, ametadata and aselect.
"""

from __future__ import annotations

import array
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from sound.probe import Sound

MAX_POINTS = 2000
FULL = 255
_KEY = "lavfi.astats.Overall.Peak_level"
_CHUNK_SAMPLES = 1 << 20


def arguments(sound: Sound, name: str) -> list[str]:
    """Return what makes FFmpeg write the peaks of its first input into file ``name``.

    ``name`` is one of its working folder, of letters alone: filters have their own quoting.
    """
    samples = sound.duration_ms * sound.sample_rate_hz // 1000
    filters = [
        f"asetnsamples=n={-(-max(1, samples) // MAX_POINTS)}:p=0",
        "astats=metadata=1:reset=1:measure_perchannel=none:measure_overall=Peak_level",
        f"ametadata=mode=print:key={_KEY}:file={name}",
        "aselect=not(n)",  # encoding more than the first frame would cost half as much again
    ]
    return ["-map", "0:a:0", "-af", ",".join(filters), "-map_metadata", "-1", "-f", "null", "-"]


def read(path: Path) -> bytes:
    """Return the points that FFmpeg wrote, a byte each; none where there is no such file."""
    if not path.exists():
        return b""
    with path.open(encoding="ascii", errors="replace") as lines:
        peaks = [_amplitude(line) for line in lines if line.startswith(_KEY)]
    return _points(peaks)


def _amplitude(line: str) -> float:
    # "…=-6.0206", in dB of full scale; "-inf" is silence.
    level = float(line.partition("=")[2])
    return 0.0 if math.isnan(level) else min(1.0, 10 ** (level / 20))


def of_samples(path: Path) -> bytes:
    """Return the points of a file of 16-bit samples of one channel, with the lowest byte first."""
    count = path.stat().st_size // 2
    part = -(-max(1, count) // MAX_POINTS)
    peaks: list[float] = []
    with path.open("rb") as file:
        while chunk := file.read(2 * part * max(1, _CHUNK_SAMPLES // part)):
            samples = samples_of(chunk)
            for at in range(0, len(samples), part):
                piece = samples[at : at + part]
                peaks.append(max(max(piece), -min(piece)) / 32768)
    return _points(peaks)


def samples_of(raw: bytes) -> array.array[int]:
    """Return whole 16-bit samples that were stored with the lowest byte first."""
    samples = array.array("h", raw[: len(raw) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _points(peaks: Sequence[float]) -> bytes:
    # More where the sound is longer than was thought.
    group = max(1, -(-len(peaks) // MAX_POINTS))
    highest = [max(peaks[at : at + group]) for at in range(0, len(peaks), group)]
    return bytes(round(FULL * peak) for peak in highest)
