"""How alike a result and its source sound: their correlation, in a few windows of some seconds.

Both are compared as one channel of RATE_HZ samples a second. An encoder may move the sound by a
little, so for each window the best of small lags counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import mul
from pathlib import Path

from elastic_transcoder.worker.waveform import samples_of

RATE_HZ = 8000
WINDOW_MS = 3000
LAG_MS = 50
# The lag is looked for in the loudest piece of a window, unless none is needed.
_PIECE = RATE_HZ // 4
_ALIKE = 0.99
# The root of the mean square below which samples are nothing but rounding.
_SILENT = 3.0


@dataclass(frozen=True)
class Window:
    """From where in a result, and how long. Milliseconds."""

    start_ms: int
    length_ms: int

    @property
    def samples(self) -> int:
        return self.length_ms * RATE_HZ // 1000


def windows(duration_ms: int) -> list[Window]:
    """Return the windows at the beginning, in the middle and at the end of a result."""
    if duration_ms <= 3 * WINDOW_MS:
        return [Window(0, duration_ms)]
    last = duration_ms - WINDOW_MS
    return [Window(start_ms, WINDOW_MS) for start_ms in (0, last // 2, last)]


def correlation(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> float:
    """Return how alike the pairs are together, from 0 to 1; two silences are alike.

    Each pair is a window of the result, and the same of the source with the longest lag more at
    both ends.
    """
    products = results = sources = 0.0
    for result, source in pairs:
        reach = _reach()
        count = min(len(result), len(source) - 2 * reach)
        if count <= 0:
            continue
        result = result[:count]
        best = max(_lags(result, source), key=lambda lag: _alike(result, source, lag))
        part = source[reach + best : reach + best + count]
        product, of_result, of_source = _dot(result, part), _dot(result, result), _dot(part, part)
        silence = count * _SILENT**2
        if of_result <= silence and of_source <= silence:
            continue
        products, results, sources = products + product, results + of_result, sources + of_source
    if not sources and not results:
        return 1.0
    if not sources or not results:
        return 0.0
    return round(min(1.0, max(0.0, products / math.sqrt(results * sources))), 4)


def window_of(path: Path, at_ms: int, window: Window) -> Sequence[int]:
    """Return the part of a file of samples to which ``window`` belongs, with its lags.

    ``at_ms`` is where in the file the result begins. What is not in the file is silence.
    """
    reach = _reach()
    start = (at_ms + window.start_ms) * RATE_HZ // 1000 - reach
    before = max(0, -start)
    wanted = window.samples + 2 * reach
    with path.open("rb") as file:
        file.seek(2 * max(0, start))
        found = samples_of(bytes(2 * before) + file.read(2 * (wanted - before)))
    found.extend([0] * (wanted - len(found)))
    return found


def _reach() -> int:
    return LAG_MS * RATE_HZ // 1000


def _lags(result: Sequence[int], source: Sequence[int]) -> Iterator[int]:
    """Yield the lags worth trying: none if that does, else the best that a loud piece has."""
    yield 0
    if _alike(result, source, 0) >= _ALIKE:
        return
    starts = range(0, max(1, len(result) - _PIECE + 1), _PIECE)
    loudest = max(starts, key=lambda at: _dot(result[at : at + _PIECE], result[at : at + _PIECE]))
    piece = result[loudest : loudest + _PIECE]
    around = source[loudest : loudest + len(piece) + 2 * _reach()]
    yield max(range(-_reach(), _reach() + 1), key=lambda lag: _alike(piece, around, lag))


def _alike(result: Sequence[int], source: Sequence[int], lag: int) -> float:
    part = source[_reach() + lag : _reach() + lag + len(result)]
    energies = _dot(result, result) * _dot(part, part)
    return _dot(result, part) / math.sqrt(energies) if energies else 0.0


def _dot(one: Sequence[int], other: Sequence[int]) -> float:
    return float(sum(map(mul, one, other)))
