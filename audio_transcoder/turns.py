"""How the steps work off rows that need the store: some at a time, and not while it is down."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.utils import timezone

import steps

# Seconds, and rows, of one turn; then the other short steps have theirs.
TURN_S = 10.0
ROWS_AT_ONCE = 500
# A store that does not answer is left alone for so long.
STORE_WAITS = timedelta(seconds=30)

_DOUBLINGS = 10

_Row = TypeVar("_Row", bound=Model)


def back_off(attempts: int, *, first: timedelta, longest: timedelta) -> timedelta:
    """Return how long to wait after ``attempts`` earlier ones in vain: each time twice as long."""
    return min(first * 2 ** min(attempts, _DOUBLINGS), longest)


def work_off(due: QuerySet[_Row], work: Callable[[_Row], bool]) -> datetime | None:
    """Do ``work`` on the first of the rows that are due; return when to go on with the others.

    None: what is left, if anything, says itself when it is due. ``work`` returns whether the store
    answered, and has moved its row out of what is due before it asks.
    """
    turn_ends = time.monotonic() + TURN_S
    unanswered = 0
    for row in due[:ROWS_AT_ONCE]:
        if steps.stopping() or time.monotonic() > turn_ends:
            return timezone.now()
        steps.beat()
        unanswered += not work(row)
        # One without an answer may be that row's fault, two are the store's.
        if unanswered == 2:
            return timezone.now() + STORE_WAITS
    return None
