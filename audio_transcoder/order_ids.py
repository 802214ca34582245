"""What an order is called where an engine repeats it: our job, and which run of it.

The first run has the job's code alone. Every later one is another order: with an id of its own it
is not taken for the one before, and its results lie in a folder of their own.
"""

from __future__ import annotations

import re
from uuid import UUID

_ORDER_ID = re.compile(r"([0-9a-f-]{36})(?:\.([2-9]))?", re.ASCII)


def order_id(code: UUID, run: int) -> str:
    """Return the id of a job's run, counted from 1: ``<code>``, ``<code>.2``, …"""
    return str(code) if run == 1 else f"{code}.{run}"


def parse(text: str) -> tuple[UUID, int]:
    """Return code and run of an order's id. Raises ValueError for any other text."""
    found = _ORDER_ID.fullmatch(text)
    if found is None:
        raise ValueError(f"not the id of an order: {text[:100]!r}")
    return UUID(found[1]), int(found[2] or 1)
