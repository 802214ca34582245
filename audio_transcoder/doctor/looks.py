"""What the doctor looks at, in order, and how one look is taken.

A look is a function that returns an ``Answer``. It runs in a thread of its own and may hang: after
its time it is wrong, and the next one begins. A look that needs another one is skipped when that
one is wrong, so the first fault of a chain is named and not its consequences.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from django.db import connections

from audio_transcoder.doctor import amazon

logger = logging.getLogger(__name__)

# Seconds that one look may take.
LIMIT_S = 20.0


class State(StrEnum):
    """What came of a look. Only ``wrong`` says that the chain is broken."""

    FINE = "fine"
    WARNING = "warning"
    WRONG = "wrong"
    NOT_ASKED = "could not be asked"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Answer:
    """What one look found: in ``text`` what is, in ``hint`` what to do about it.

    ``stops``: when it is wrong, the looks that need it are skipped.
    """

    state: State
    text: str
    hint: str = ""
    stops: bool = True


def fine(text: str) -> Answer:
    return Answer(State.FINE, text)


def warning(text: str, hint: str) -> Answer:
    return Answer(State.WARNING, text, hint)


def wrong(text: str, hint: str, *, stops: bool = True) -> Answer:
    return Answer(State.WRONG, text, hint, stops)


def skipped(why: str) -> Answer:
    return Answer(State.SKIPPED, why)


def not_asked(action: str) -> Answer:
    """Return the answer where a permission is missing that only the look needs."""
    return Answer(
        State.NOT_ASKED,
        f"The credentials may not call {action}.",
        f"Allow {action} to have this looked at; the site itself does without.",
    )


def worst(answers: Iterable[Answer]) -> Answer:
    """Return the first answer of the gravest state; of nothing but fine ones all the texts."""
    found = list(answers)
    for state in (State.WRONG, State.WARNING, State.NOT_ASKED):
        for answer in found:
            if answer.state is state:
                return answer
    return fine(" ".join(answer.text for answer in found))


@dataclass(frozen=True)
class Look:
    """``applies`` returns why the look means nothing here, or the empty text."""

    name: str
    function: Callable[[], Answer]
    applies: Callable[[], str]
    needs: tuple[str, ...]
    limit_s: float


@dataclass(frozen=True)
class Finding:
    """A look's answer, with its name and how long it took."""

    name: str
    state: State
    text: str
    hint: str
    seconds: float


_looks: list[Look] = []


def look(
    name: str,
    *,
    needs: tuple[str, ...] = (),
    applies: Callable[[], str] = lambda: "",
    limit_s: float = LIMIT_S,
) -> Callable[[Callable[[], Answer]], Callable[[], Answer]]:
    """Return a decorator that registers a function as the look ``name``, after all before it."""

    def register(function: Callable[[], Answer]) -> Callable[[], Answer]:
        _looks.append(Look(name, function, applies, needs, limit_s))
        return function

    return register


def examine() -> Iterator[Finding]:
    """Take every look in the order of registration; yield what each found."""
    stopped_by: dict[str, str] = {}  # what is not looked at, and what is wrong before it
    for one in _looks:
        began = time.monotonic()
        reason = one.applies()
        causes = [stopped_by[name] for name in one.needs if name in stopped_by]
        if reason:
            answer = skipped(reason)
        elif causes:
            answer = skipped(f'Not looked at while "{causes[0]}" is wrong.')
            stopped_by[one.name] = causes[0]
        else:
            answer = _in_time(one)
            if answer.state is State.WRONG and answer.stops:
                stopped_by[one.name] = one.name
        seconds = round(time.monotonic() - began, 3)
        yield Finding(one.name, answer.state, answer.text, answer.hint, seconds)


def _in_time(one: Look) -> Answer:
    answers: list[Answer] = []
    thread = threading.Thread(
        target=lambda: answers.append(_taken(one)), daemon=True, name=f"look: {one.name}"
    )
    thread.start()
    thread.join(one.limit_s)
    if answers:
        return answers[0]
    return wrong(
        f"No answer within {one.limit_s:g} s.",
        "Whoever is asked there is overloaded or out of reach: look at it and at the network "
        "between.",
    )


def _taken(one: Look) -> Answer:
    try:
        return one.function()
    except amazon.NotAllowed as error:
        return not_asked(error.action)
    except amazon.AmazonError as error:
        return wrong(f"{error}.", error.hint)
    except Exception as error:
        # One look that breaks must not keep the others from being taken.
        logger.exception("look %s: failed", one.name)
        return wrong(
            f"The look itself failed: {type(error).__name__}.", "The log says where it happened."
        )
    finally:
        connections.close_all()
