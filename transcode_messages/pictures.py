"""The picture beside a message: of the thing that it is about.

This room does not know what messages are about. Whoever does registers once, in its
``AppConfig.ready()``, what finds pictures::

    pictures.find_by(covers.of_codes)

Nothing registered: messages have no picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from transcode_messages.models import Message

Finder = Callable[[set[UUID]], dict[UUID, str]]

_finders: list[Finder] = []


def find_by(finder: Finder) -> None:
    """Let ``finder`` return the address of the picture of each of these things that has one.

    It is called once for all messages of a page. Registering twice is fine.
    """
    if finder not in _finders:
        _finders.append(finder)


def give(messages: Sequence[Message]) -> Sequence[Message]:
    """Set ``picture`` of each message, an address or an empty string; return the messages."""
    about = {message.about for message in messages}
    found: dict[UUID, str] = {}
    for finder in _finders if about else ():
        found |= finder(about)
    for message in messages:
        message.picture = found.get(message.about, "")
    return messages
