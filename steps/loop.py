"""The loop of one process: waits for nudges and the clock, and runs what is due."""

from __future__ import annotations

import logging
import time
from datetime import datetime

from django.conf import settings
from django.db import close_old_connections, connections
from django.utils import timezone

from steps import heartbeats
from steps.nudges import nudge
from steps.pipes import Listener
from steps.registry import Step, kinds, steps_of
from steps.stop import listening, stopping

logger = logging.getLogger(__name__)

# Seconds after an error before the step runs again, doubled with each further one.
FIRST_BACK_OFF_S = 1.0
LONGEST_BACK_OFF_S = 60.0
# Seconds between two runs of a step that nobody nudged, whatever it asks for.
SHORTEST_PAUSE_S = 0.1


class StepsFailed(Exception):
    """Some steps raised; the log has their errors."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"failed: {', '.join(names)}")
        self.names = names


class Turn:
    """When one step runs next."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.due_at = time.monotonic()  # whatever happened while no process ran is due now
        self.errors = 0

    def nudge(self) -> None:
        if not self.errors:  # a step that fails keeps its back-off
            self.due_at = time.monotonic()

    def is_due(self) -> bool:
        return self.due_at <= time.monotonic()

    def run(self) -> bool:
        """Run the step; return whether it did without an error."""
        try:
            wants = call(self.step)
        except Exception:
            self.errors += 1
            back_off = min(FIRST_BACK_OFF_S * 2 ** (self.errors - 1), LONGEST_BACK_OFF_S)
            logger.exception("step %s: failed, again in %.0f s", self.step.name, back_off)
            self.due_at = time.monotonic() + back_off
            return False
        self.errors = 0
        pause = max(SHORTEST_PAUSE_S, min(_seconds_until(wants), settings.RECONCILE_S))
        self.due_at = time.monotonic() + pause
        return True


def _seconds_until(moment: datetime | None) -> float:
    return float("inf") if moment is None else (moment - timezone.now()).total_seconds()


def call(step: Step) -> datetime | None:
    """Run a step once, with a database connection that works when the last one broke."""
    heartbeats.beat()
    _close_connections()
    try:
        return step.function()
    finally:
        _close_connections()
        heartbeats.beat()


def _close_connections() -> None:
    """Close those that are old, or that met an error: SQLite's count as usable whatever came."""
    for connection in connections.all(initialized_only=True):
        if connection.errors_occurred and not connection.in_atomic_block:
            connection.close()
    close_old_connections()


def run(kind: str, *, once: bool = False) -> None:
    """Run the steps of ``kind`` in this thread until the process is asked to stop.

    Each runs at once, then when nudged, when it said so, and at least every ``RECONCILE_S``
    seconds. Errors of a step are logged and it is tried again, later each time. ``once``: as
    ``run_once``. Raises ValueError for a kind that no step has.
    """
    if once:
        run_once(kind)
        return
    turns = {step.name: Turn(step) for step in _known(kind)}
    with listening() as stop, Listener(turns) as nudges, heartbeats.beating(kind):
        logger.info("%s: runs %s", kind, ", ".join(turns))
        while not stop.requests:
            wait_s = min(turn.due_at for turn in turns.values()) - time.monotonic()
            heartbeats.beat()
            # To wait is no standing still, however long RECONCILE_S is.
            wait_s = min(wait_s, heartbeats.HANGS_AFTER_S / 2)
            for name in nudges.wait(wait_s, until=stop.fileno()):
                turns[name].nudge()
            for turn in turns.values():
                if turn.is_due() and not stop.requests:
                    turn.run()
        logger.info("%s: ends", kind)


def run_once(*of_kinds: str) -> None:
    """Run the steps of these kinds, all kinds by default, until nothing is due or nudged.

    What has to wait for a later moment stays for the next call. Raises StepsFailed, after the
    others had their turns, when a step raised; ValueError for a kind that no step has.
    """
    turns = {step.name: Turn(step) for kind in of_kinds or kinds() for step in _known(kind)}
    failed: list[str] = []
    with listening(), Listener(turns) as nudges:
        todo = set(turns)
        while todo and not stopping():
            for name, turn in turns.items():
                if name not in todo or stopping():
                    continue
                if not turn.run():
                    failed.append(name)
            soon = {
                name
                for name in todo - set(failed)
                if turns[name].due_at <= time.monotonic() + SHORTEST_PAUSE_S
            }
            todo = (nudges.wait(0) | soon) - set(failed)
    if failed:
        raise StepsFailed(failed)


def reconcile() -> list[str]:
    """Run every short step once, wake the other kinds; return the names in that order.

    Finds whatever a lost nudge left behind. Raises StepsFailed after all had their turns.
    """
    short = steps_of("steps")
    failed = [step.name for step in short if not Turn(step).run()]
    others = [step for kind in kinds() if kind != "steps" for step in steps_of(kind)]
    for step in others:
        nudge(step.name)
    if failed:
        raise StepsFailed(failed)
    return [step.name for step in (*short, *others)]


def _known(kind: str) -> list[Step]:
    found = steps_of(kind)
    if not found:
        raise ValueError(f"no step runs in {kind!r}; there is: {', '.join(kinds()) or 'none'}")
    return found
