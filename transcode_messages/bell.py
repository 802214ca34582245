"""Who is woken when an e-mail is due.

This room does not know what runs its step. Whoever does says once, in its ``AppConfig.ready()``,
what to call::

    bell.wakes(functools.partial(nudge, "mail"))

It is called inside the transaction that wrote the e-mail. Nothing registered: the clock is enough.
"""

from __future__ import annotations

from collections.abc import Callable

_woken: list[Callable[[], None]] = []


def wakes(function: Callable[[], None]) -> None:
    """Call ``function`` whenever an e-mail was written."""
    _woken.append(function)


def ring() -> None:
    for function in _woken:
        function()
