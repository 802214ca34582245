"""The picture beside a message: of the thing that it is about.

This room does not know what messages are about. Whoever does registers once, in its
``AppConfig.ready()``, how to find it::

    pictures.find_by(key, address)

``key``, an expression over messages, is read with them and costs no query of its own: None where
there is no picture. ``address`` makes an address of what a message is about and its key. Nothing
registered: messages have no picture.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.db.models import CharField, Value
from django.db.models.expressions import Combinable

Address = Callable[[UUID, str], str]

_NOTHING: tuple[Combinable, Address] = (Value(None, CharField()), lambda about, key: "")
_found_by = _NOTHING


def find_by(key: Combinable, address: Address) -> None:
    """Let messages have the pictures that these find."""
    global _found_by
    _found_by = (key, address)


def key() -> Combinable:
    return _found_by[0]


def address(about: UUID, key: str) -> str:
    return _found_by[1](about, key)
