"""Columns of charts."""

from __future__ import annotations

import pytest

from audio_transcoder.dashboard.charts import HEIGHT, WIDTH, Chart, round_up


def test_parts_are_heaped_up_from_below_and_fill_no_more_than_the_chart():
    chart = Chart.of([("Monday", {"complete": 60, "failed": 40}), ("Tuesday", {"complete": 50})])
    monday, tuesday = chart.columns
    assert chart.top == 100
    assert [(piece.kind, piece.y, piece.height) for piece in monday.pieces] == [
        ("complete", 40, 60),
        ("failed", 0, 40),
    ]
    assert tuesday.pieces[0].height == HEIGHT / 2
    assert monday.x + monday.width < tuesday.x
    assert tuesday.x + tuesday.width <= WIDTH


def test_what_is_little_is_seen_beside_what_is_much():
    [column] = Chart.of([("Monday", {"complete": 100_000, "failed": 1})]).columns
    assert [piece.kind for piece in column.pieces] == ["complete", "failed"]
    assert all(piece.y >= 0 and piece.height >= 1 for piece in column.pieces)


def test_nothing_at_all_is_an_empty_chart():
    assert Chart.of([("Monday", {"complete": 0})]).columns[0].pieces == ()
    assert Chart.of([]).marks == []


@pytest.mark.parametrize(
    ("number", "edge"), [(0, 1), (1, 1), (1.2, 2), (9, 10), (210, 300), (300, 300), (7001, 8000)]
)
def test_the_upper_edge_is_a_number_that_reads_well(number, edge):
    assert round_up(number) == edge
