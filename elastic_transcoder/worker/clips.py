"""Which part of an input is wanted, to the sample.

Source: API 2012-09-25, TimeSpan of JobInput and of CreateJobOutput.Composition; type Time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from elastic_transcoder.times import clip_ms


@dataclass(frozen=True)
class Clip:
    """From ``start_ms`` up to ``end_ms``, or to the end of the sound where that is None."""

    start_ms: int = 0
    end_ms: int | None = None

    @property
    def is_whole(self) -> bool:
        return self.start_ms == 0 and self.end_ms is None

    def length_ms(self, sound_ms: float) -> float:
        """Return how long it is in a sound of ``sound_ms``: 0 when it begins after the end."""
        end_ms = sound_ms if self.end_ms is None else min(self.end_ms, sound_ms)
        return max(0.0, end_ms - self.start_ms)

    def ends_after(self, sound_ms: float) -> bool:
        """Return whether more was asked for than a sound of ``sound_ms`` has."""
        return self.end_ms is not None and self.end_ms > sound_ms

    def filters(self, sample_rate_hz: int) -> tuple[str, ...]:
        """Return FFmpeg's filters for it, for sound whose time stamps begin at 0.

        Samples are counted as they were decoded: packets begin where the encoder liked.
        """
        if self.is_whole:
            return ()
        trim = f"atrim=start_sample={_samples(self.start_ms, sample_rate_hz)}"
        if self.end_ms is not None:
            trim += f":end_sample={_samples(self.end_ms, sample_rate_hz)}"
        return (trim, "asetpts=N/SR/TB")


WHOLE = Clip()


def clip(time_span: dict[str, Any] | None) -> Clip:
    """Return the clip of an API's TimeSpan: StartTime and Duration, either may be absent."""
    start_ms, length_ms = clip_ms(time_span)
    return Clip(start_ms, None if length_ms is None else start_ms + length_ms)


def _samples(milliseconds: int, sample_rate_hz: int) -> int:
    return milliseconds * sample_rate_hz // 1000
