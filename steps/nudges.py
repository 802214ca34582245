"""The one door for nudges. What carries them is chosen here and nowhere else."""

from __future__ import annotations

import functools
import logging

from django.db import transaction

from steps import pipes

logger = logging.getLogger(__name__)


def nudge(name: str) -> None:
    """Wake the processes that run the step ``name``: after the commit inside ``atomic``, else now.

    Never raises. Where no process waits nothing happens; the step's rows are found by the clock.
    """
    # Django's on_commit would open a connection to learn that there is no transaction.
    if transaction.get_connection().in_atomic_block:
        transaction.on_commit(functools.partial(_send, name), robust=True)
    else:
        _send(name)


def _send(name: str) -> None:
    try:
        pipes.send(name)
    except OSError as error:
        logger.warning("step %s: nudge not sent: %s", name, error)
