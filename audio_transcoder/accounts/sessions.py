"""Where somebody is signed in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from allauth.usersessions.models import UserSession
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

# What a browser calls itself holds the names of those it wants to be taken for: first match wins.
BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS": "Firefox",
    "Chrome/": "Chrome",
    "CriOS": "Chrome",
    "Safari/": "Safari",
}
SYSTEMS = {
    "Windows": "Windows",
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


@dataclass(frozen=True)
class Place:
    """One browser in which a person is signed in."""

    number: int
    device: str
    address: str
    since: datetime
    is_current: bool


def places_of(request: HttpRequest) -> list[Place]:
    """Return where the person who asks is signed in, here first, then the newest.

    Two queries however many there are. A session from before sessions were noted is noted now.
    """
    rows = _alive(request)
    here = request.session.session_key
    if here not in {row.session_key for row in rows}:
        UserSession.objects.create_from_request(request)
        rows = _alive(request)
    places = [
        Place(row.pk, device(row.user_agent), row.ip, row.created_at, row.session_key == here)
        for row in rows
    ]
    return sorted(places, key=lambda place: not place.is_current)


def end_others(request: HttpRequest, number: str) -> int:
    """End session ``number`` of the person who asks, or all but this one for ``"all"``.

    Returns how many ended: one that is gone already, or somebody else's, is none.
    """
    others = UserSession.objects.filter(user=request.user)
    others = others.exclude(session_key=request.session.session_key)
    if number != "all":
        is_number = number.isascii() and number.isdecimal() and len(number) < 19
        others = others.filter(pk=int(number)) if is_number else others.none()
    ending = list(others)
    for session in ending:
        session.end()
    return len(ending)


def device(user_agent: str) -> str:
    """Return what a browser calls itself, in words: ``Firefox, Windows``."""
    browser, system = _first(BROWSERS, user_agent), _first(SYSTEMS, user_agent)
    if browser and system:
        return _("%(browser)s, %(system)s") % {"browser": browser, "system": system}
    return browser or system or user_agent[:60] or _("Unknown browser")


def _first(names: dict[str, str], user_agent: str) -> str:
    return next((name for mark, name in names.items() if mark in user_agent), "")


def _alive(request: HttpRequest) -> list[UserSession]:
    rows = list(UserSession.objects.filter(user=request.user).order_by("-pk"))
    alive = _alive_keys(request, [row.session_key for row in rows])
    return [row for row in rows if row.session_key in alive]


def _alive_keys(request: HttpRequest, session_keys: Iterable[str]) -> set[str]:
    """Return those that still let somebody in: not run out, and of the password of today."""
    stored = Session.objects.filter(session_key__in=session_keys, expire_date__gt=timezone.now())
    of_today = request.user.get_session_auth_hash()
    return {
        session.session_key
        for session in stored
        if constant_time_compare(session.get_decoded().get(HASH_SESSION_KEY, ""), of_today)
    }
