"""Times of clips. Source: API 2012-09-25, type Time."""

from __future__ import annotations

from decimal import Decimal

# 23:59:59.999; the pattern lets a bare 99999 through.
LATEST_MS = 86_399_999


def milliseconds(text: str) -> int:
    """Return a Time in milliseconds: ``90``, ``90.5``, ``00:01:30.000``; ``1:30`` is 90 seconds.

    ``text`` must match the type's pattern.
    """
    seconds = Decimal(0)
    for part in text.split(":"):
        seconds = seconds * 60 + Decimal(part)
    return int(seconds * 1000)


def clip_ms(time_span: dict[str, str] | None) -> tuple[int, int | None]:
    """Return start and length of a TimeSpan in milliseconds; None is up to the end."""
    time_span = time_span or {}
    duration = time_span.get("Duration")
    start_ms = milliseconds(time_span.get("StartTime", "0"))
    return start_ms, None if duration is None else milliseconds(duration)
