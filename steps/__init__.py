"""What is due, and the loop that does it. Knows no other room.

A step is a function that does everything of its kind that is due, whenever it is called, and
returns when it next wants to run. Rooms register theirs with ``step``. ``nudge`` wakes the
processes that run a step; a nudge carries nothing, and one that is lost, doubled or late changes
nothing, because every step also runs by the clock, at least each ``RECONCILE_S`` seconds.
"""

from steps.heartbeats import beat
from steps.loop import StepsFailed, reconcile, run, run_once
from steps.nudges import nudge
from steps.registry import step
from steps.stop import hurrying, stopping

__all__ = [
    "StepsFailed",
    "beat",
    "hurrying",
    "nudge",
    "reconcile",
    "run",
    "run_once",
    "step",
    "stopping",
]
