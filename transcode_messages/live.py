"""Whether news may come soon, so that a page should keep asking for it.

This room does not know what people wait for. Whoever does registers a question once, in its
``AppConfig.ready()``::

    live.ask(has_open_jobs)

Nothing registered: pages learn of new messages when they are loaded.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest

_questions: list[Callable[[HttpRequest], bool]] = []


def ask(question: Callable[[HttpRequest], bool]) -> None:
    """Let pages ask for news while ``question(request)`` is true; asking twice is fine."""
    if question not in _questions:
        _questions.append(question)


def is_expecting(request: HttpRequest) -> bool:
    """Return whether something is under way that may end in a message for this person."""
    return any(question(request) for question in _questions)
