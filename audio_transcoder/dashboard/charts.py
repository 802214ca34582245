"""Columns of a chart, measured for an SVG that is stretched to its place; templates draw them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# The unit square of a chart. Text is not in it: it would be stretched too.
WIDTH = 1000.0
HEIGHT = 100.0
# Of the room of a column, how much it fills.
FILLED = 0.8
# What is not nothing can be seen.
LEAST = 1.0


@dataclass(frozen=True)
class Piece:
    """A part of a column: ``kind`` says which look it has."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True)
class Column:
    label: str
    x: float
    width: float
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Chart:
    """Columns side by side, and the number that its upper edge stands for."""

    top: int
    columns: tuple[Column, ...]

    width = WIDTH
    height = HEIGHT

    @property
    def marks(self) -> list[str]:
        """The labels of the first, the middle and the last column."""
        labels = [column.label for column in self.columns]
        return [labels[0], labels[len(labels) // 2], labels[-1]] if labels else []

    @classmethod
    def of(cls, values: Iterable[tuple[str, dict[str, float]]]) -> Chart:
        """Return the chart of ``(label, {kind: value})``; parts are heaped up from below."""
        values = list(values)
        top = round_up(max((sum(parts.values()) for _label, parts in values), default=0))
        room = WIDTH / max(len(values), 1)
        columns = (
            Column(
                label=label,
                x=round(number * room + room * (1 - FILLED) / 2, 2),
                width=round(room * FILLED, 2),
                pieces=tuple(_heap(parts, top)),
            )
            for number, (label, parts) in enumerate(values)
        )
        return cls(top, tuple(columns))


def round_up(number: float) -> int:
    """Return the next number that reads well, e.g. 1, 30 or 600; at least 1."""
    power = 1
    while True:
        for leading in (1, 2, 3, 4, 5, 6, 8):
            if leading * power >= number:
                return leading * power
        power *= 10


def _heap(parts: dict[str, float], top: int) -> Iterable[Piece]:
    y = HEIGHT
    for kind, value in parts.items():
        if value > 0:
            height = round(max(LEAST, value / top * HEIGHT), 2)
            y = max(0.0, round(y - height, 2))
            yield Piece(kind, y, height)
