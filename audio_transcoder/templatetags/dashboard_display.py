"""How the operators' dashboard writes its numbers."""

from __future__ import annotations

from django import template
from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from audio_transcoder.templatetags.audio_display import clock

register = template.Library()


@register.filter
def short_time(seconds: float | None) -> str:
    """Return a time as people read it: ``0.4 s``, ``42 s`` or ``3:05``; unknown: a dash."""
    if seconds is None:
        return "—"
    if seconds >= 60:
        return clock(round(seconds * 1000))
    return _("{number} s").format(number=_short(seconds))


@register.filter
def speed(factor: float | None) -> str:
    """Return how many seconds of sound one of work made, e.g. ``48x``; unknown: a dash."""
    return "—" if factor is None else f"{_short(factor)}x"


@register.filter
def money(amount: float) -> str:
    """Return an amount in STORAGE_CURRENCY, e.g. ``1,234.50 USD``."""
    number = number_format(round(amount, 2), 2, force_grouping=True)
    return f"{number} {settings.STORAGE_CURRENCY}"


def _short(number: float) -> str:
    places = 1 if number < 10 else 0
    return number_format(round(number, places), places)  # by itself it cuts off
