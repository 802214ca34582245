"""How pages write times, sizes of a sound, and amounts."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

MINUS = "\N{MINUS SIGN}"


def signed(number: float | str, decimal_pos: int | None = None) -> str:
    """Return a number as the language has it, with a minus sign that is as wide as a plus."""
    return number_format(number, decimal_pos=decimal_pos).replace("-", MINUS)


def clock(duration_ms: int | None) -> str:
    """Return a duration as people read it, e.g. ``3:05`` or ``1:00:09``; unknown: empty."""
    if duration_ms is None:
        return ""
    minutes, seconds = divmod((duration_ms + 500) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def kilohertz(sample_rate_hz: int | None) -> str:
    """Return a sample rate, e.g. ``44.1 kHz``; unknown: empty."""
    if not sample_rate_hz:
        return ""
    return f"{number_format(Decimal(f'{sample_rate_hz / 1000:g}'))} kHz"


def channel_word(channels: int | None) -> str:
    """Return ``mono``, ``stereo`` or e.g. ``6 channels``; unknown: empty."""
    if not channels:
        return ""
    if channels <= 2:
        return _("mono") if channels == 1 else _("stereo")
    return _("{number} channels").format(number=channels)


def time_left(seconds: float | None) -> str:
    """Return how long something still takes, e.g. ``About 2 minutes left``; unknown: empty.

    It is rounded so that what counts down is not written anew each second.
    """
    if seconds is None:
        return ""
    if seconds < 8:
        return _("A few seconds left")
    if seconds < 58:
        count = 5 * round(seconds / 5)
        text = ngettext("About {count} second left", "About {count} seconds left", count)
    elif seconds < 58 * 60:
        count = max(1, round(seconds / 60))
        text = ngettext("About {count} minute left", "About {count} minutes left", count)
    else:
        count = max(1, round(seconds / 3600))
        text = ngettext("About {count} hour left", "About {count} hours left", count)
    return text.format(count=number_format(count))


def short_time(seconds: float | None) -> str:
    """Return a time as people read it: ``0.4 s``, ``42 s`` or ``3:05``; unknown: a dash."""
    if seconds is None:
        return "—"
    if seconds >= 60:
        return clock(round(seconds * 1000))
    return _("{number} s").format(number=_short(seconds))


def speed(factor: float | None) -> str:
    """Return how many seconds of sound one of work made, e.g. ``48x``; unknown: a dash."""
    return "—" if factor is None else f"{_short(factor)}x"


def money(amount: float) -> str:
    """Return an amount in STORAGE_CURRENCY, e.g. ``1,234.50 USD``."""
    number = number_format(round(amount, 2), 2, force_grouping=True)
    return f"{number} {settings.STORAGE_CURRENCY}"


def _short(number: float) -> str:
    places = 1 if number < 10 else 0
    return number_format(round(number, places), places)  # by itself it cuts off
