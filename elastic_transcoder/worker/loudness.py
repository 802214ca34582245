"""How loud a result is made: measured first, then louder or softer as a whole.

Source: EBU R128; FFmpeg 9, filters ebur128 and volume.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from elastic_transcoder.worker import command, conversion, failures, ffmpeg
from elastic_transcoder.worker.clips import Clip
from elastic_transcoder.worker.command import Recipe
from elastic_transcoder.worker.failures import Failure
from sound.probe import Sound

# LUFS: what is no louder is below the gate of EBU R128.
NOTHING_LUFS = -70.0
# No peak goes higher than this, in dBTP, for encoders add to it.
CEILING_DBTP = -1.0
NOTHING_TO_MEASURE = "It is too short or too soft to be measured, and left as loud as it is."


class NotMeasured(Exception):
    """FFmpeg could not hear the sound to its end; ``failure`` is the output's."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


@dataclass(frozen=True)
class Change:
    """By how much a sound is made louder, and what is to be said of that."""

    gain_db: float
    notes: tuple[str, ...] = ()


def change(target_lufs: float, found: tuple[float, float]) -> Change:
    """Return what brings a sound to the target; ``found``: its loudness and true peak.

    It stays softer where its peaks would go beyond the ceiling: nothing is limited.
    """
    lufs, dbtp = found
    if lufs <= NOTHING_LUFS or not math.isfinite(dbtp):
        return Change(0.0, (NOTHING_TO_MEASURE,))
    wanted_db, most_db = target_lufs - lufs, CEILING_DBTP - dbtp
    if wanted_db <= most_db:
        return Change(wanted_db)
    reached = f"{lufs + most_db:.1f} LUFS"
    why = f"any louder, its peaks would be above {CEILING_DBTP:g} dBTP"
    return Change(most_db, (f"Its loudness is {reached}, not {target_lufs:g}: {why}.",))


class Listener:
    """Measures a source as it will be in results: their part of it, in their channels."""

    def __init__(self, folder: Path, run: Callable[[list[str]], conversion.Outcome]) -> None:
        """``run`` runs FFmpeg in ``folder``; what it raises travels on."""
        self._folder, self._run = folder, run
        self._heard: dict[tuple[Clip, int], tuple[float, float]] = {}

    def loudness(self, source: tuple[Path, Sound], recipe: Recipe) -> tuple[float, float]:
        """Return the loudness in LUFS and the true peak in dBTP. Raises NotMeasured."""
        key = recipe.clips[0], recipe.encoding.channels
        if key not in self._heard:
            outcome = self._run(_arguments(source, recipe))
            if outcome.loudness is None:
                by_run = failures.OF_RUN.get(outcome.ended)
                raise NotMeasured(by_run or failures.OF_RUN["failed"])
            self._heard[key] = outcome.loudness
        return self._heard[key]


def _arguments(source: tuple[Path, Sound], recipe: Recipe) -> list[str]:
    path, sound = source
    filters: Sequence[str] = command.filters(recipe.encoding, sound, recipe.clips[0])
    layout = {1: "mono", 2: "stereo"}.get(recipe.encoding.channels)
    mixed = [f"aformat=channel_layouts={layout}"] if layout else []
    return [
        ffmpeg.binary(),
        *command.beginning("info"),
        *command.source(path, sound.codec),
        *command.listening([*filters, *mixed]),
    ]
