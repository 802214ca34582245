"""Every address that the URL table has for people, for tests that hold for all of them.

The operators' pages (``admin/``) and what machines call are left out: they have tests of their own.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from django.urls import get_resolver, reverse
from django.urls.resolvers import URLPattern, URLResolver

from audio_transcoder.unavailable import is_machine_path

OPERATORS = "admin"


@dataclass(frozen=True)
class Route:
    """One line of the URL table: its name with namespaces, its path, what has to be filled in."""

    name: str
    path: str
    parameters: tuple[str, ...]
    view: Callable

    def __str__(self) -> str:
        return self.name

    @property
    def module(self) -> str:
        return self.view.__module__


def routes() -> list[Route]:
    """Return every route that people meet, in the order of the URL table."""
    return [
        route
        for route in _walk(get_resolver(), "", ())
        if not route.path.startswith(f"{OPERATORS}/") and not is_machine_path(f"/{route.path}")
    ]


def _walk(resolver: URLResolver, before: str, spaces: tuple[str, ...]) -> Iterator[Route]:
    for entry in resolver.url_patterns:
        path = before + str(entry.pattern)
        if isinstance(entry, URLPattern):
            if not str(entry.pattern).startswith("^2012"):  # the API of the transcoder
                name = ":".join((*spaces, entry.name or path))
                yield Route(name, path, tuple(entry.pattern.converters) or _groups(path),
                            entry.callback)  # fmt: skip
        else:
            namespace = (entry.namespace,) if entry.namespace else ()
            yield from _walk(entry, path, (*spaces, *namespace))


def _groups(path: str) -> tuple[str, ...]:
    """Return the names of a regular expression's groups."""
    return tuple(re.findall(r"\(\?P<(\w+)>", path))


# What may stand in place of a parameter and means nothing to anybody, by the parameter's name.
NOBODYS: dict[str, str] = {
    "code": str(uuid.UUID(int=7)),
    "rendition": "original",
    "number": "1",
    "token": "nonsense",
    "key": "nonsense",
    "size": "nonsense",
    "uidb36": "zz",
}


def fill(route: Route, values: Mapping[str, str]) -> str:
    """Return the address of ``route``.

    Raises AssertionError, with what to do, when ``values`` lacks a parameter of its.
    """
    missing = [name for name in route.parameters if name not in values]
    assert not missing, (
        f"No test knows what to put for {', '.join(missing)} in the address {route.path!r}"
        f" ({route.name}): say so in {__name__}.NOBODYS, and for pages in tests/test_pages.py."
    )
    return reverse(route.name, kwargs={name: values[name] for name in route.parameters})
