"""Whether somebody waits at a page for what a bucket answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_is_hurried = ContextVar("is_hurried", default=False)


@contextlib.contextmanager
def in_a_hurry() -> Iterator[None]:
    """Give up a store that says nothing after seconds, in this thread and until the block ends.

    Sending and copying whole objects keeps the usual patience: much would be lost with it.
    """
    before = _is_hurried.set(True)
    try:
        yield
    finally:
        _is_hurried.reset(before)


def is_hurried() -> bool:
    """Return whether this thread is in such a block."""
    return _is_hurried.get()
