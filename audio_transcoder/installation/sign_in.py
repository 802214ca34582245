"""The sign-in page of the admin, where no allauth limits guessing."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

# Tries within so many seconds: for one name, and from one address whatever the names. RetryAfter
# says the same number.
WITHIN_S = 300
TRIES_FOR_A_NAME = 5
TRIES_FROM_AN_ADDRESS = 20

View = Callable[..., HttpResponse]


def limit_guessing(login: View) -> View:
    """Return the view ``login`` that answers 429 to whoever tries too often.

    A try that succeeds gives those for its name back.
    """

    @sensitive_post_parameters()
    @never_cache
    @functools.wraps(login)
    def limited(request: HttpRequest, *arguments: Any, **options: Any) -> HttpResponse:
        if request.method != "POST":
            return login(request, *arguments, **options)
        name = _label("name", request.POST.get("username", "").casefold())
        address = _label("address", request.META.get("REMOTE_ADDR", ""))
        # The address first: one that has none left makes no row for yet another name.
        if not (_take(address, TRIES_FROM_AN_ADDRESS) and _take(name, TRIES_FOR_A_NAME)):
            return render(request, "429.html", status=429)
        response = login(request, *arguments, **options)
        if response.status_code == 302:  # signed in
            cache.delete_many(_places(name, TRIES_FOR_A_NAME))
        return response

    return limited


def _take(label: str, limit: int) -> bool:
    """Return whether one of ``limit`` places was free; ``add`` lets only one have each."""
    return any(cache.add(place, 1, WITHIN_S) for place in _places(label, limit))


def _places(label: str, limit: int) -> list[str]:
    return [f"sign-in-{label}-{number}" for number in range(limit)]


def _label(kind: str, text: str) -> str:
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()}"
