"""Which steps there are, and which kind of process runs each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

Function = Callable[[], datetime | None]


@dataclass(frozen=True)
class Step:
    """One kind of thing that becomes due."""

    name: str
    function: Function
    runs_in: str  # the kind of process: "steps" for the short ones, "transcode"


_steps: dict[str, Step] = {}


def step(name: str, *, runs_in: str) -> Callable[[Function], Function]:
    """Return a decorator that registers a function as the step ``name``.

    The function does everything that is due and returns when it next wants to run (aware), or
    None when a nudge or the clock is enough. Any process may call it at any time, several at
    once. Raises ValueError when another function has this name.
    """

    def register(function: Function) -> Function:
        known = _steps.get(name)
        if known and (known.function.__module__, known.function.__qualname__) != (
            function.__module__,
            function.__qualname__,
        ):
            raise ValueError(f"step {name!r} is {known.function.__module__}'s already")
        _steps[name] = Step(name, function, runs_in)
        return function

    return register


def steps_of(*kinds: str) -> list[Step]:
    """Return the steps that run in these kinds of processes, in the order of registration."""
    return [known for known in _steps.values() if known.runs_in in kinds]


def kinds() -> list[str]:
    """Return every kind of process that a registered step needs."""
    return sorted({known.runs_in for known in _steps.values()})
