"""The one table of a run: what was promised, what was measured, whether it holds."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """One line. ``holds`` is None where nothing is promised."""

    what: str
    promise: str
    measured: str
    holds: bool | None


def unmeasured(what: str, promise: str, why: str) -> Line:
    """Return the line of what cannot be measured here."""
    return Line(what, promise, f"not measured: {why}", None)


HEAD = ("what", "promise", "measured", "holds")
_WORDS = {True: "yes", False: "NO", None: "-"}


def printed(lines: Sequence[Line]) -> str:
    """Return the table as Markdown with aligned columns."""
    rows = [(line.what, line.promise, line.measured, _WORDS[line.holds]) for line in lines]
    widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (HEAD, rule, *rows)
    )


def quantile(values: Sequence[float], part: float) -> float:
    """Return the value below which ``part`` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def milliseconds(seconds: Sequence[float]) -> str:
    """Return durations in words: the least, the middle one, and that of 95 and 99 in a hundred."""
    of_interest = {
        "least": min(seconds),
        "median": statistics.median(seconds),
        "p95": quantile(seconds, 0.95),
        "p99": quantile(seconds, 0.99),
    }
    return ", ".join(f"{name} {value * 1000:.1f}" for name, value in of_interest.items()) + " ms"


def processor_s(pids: Iterable[int]) -> float:
    """Return the processor seconds that these processes have used; Linux only.

    On a machine that others share this hardly changes where the wall clock doubles.
    """
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # proc(5): utime, stime
    return ticks / os.sysconf("SC_CLK_TCK")
