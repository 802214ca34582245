"""Settings, times, sizes and secrets, as the console says them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sns.deliver import HIDDEN

NOTHING = "—"

CODECS = {
    "AAC": "AAC",
    "flac": "FLAC",
    "mp2": "MP2",
    "mp3": "MP3",
    "pcm": "PCM",
    "vorbis": "Vorbis",
}
# Job errors. Source: Elastic Transcoder developer guide, "Error codes returned during processing".
ERRORS = {
    1000: gettext_lazy("a value proved invalid"),
    1001: gettext_lazy("an output of the playlist failed"),
    2000: gettext_lazy("the role cannot be used"),
    3000: gettext_lazy("the store failed"),
    3001: gettext_lazy("the input is not there"),
    3002: gettext_lazy("the output is there already"),
    3003: gettext_lazy("the input may not be read"),
    3004: gettext_lazy("the output may not be written"),
    3005: gettext_lazy("the bucket is not there"),
    4000: gettext_lazy("the input is no sound file"),
    4002: gettext_lazy("too long or too large"),
    4006: gettext_lazy("this kind of input cannot be converted"),
    4007: gettext_lazy("the input is damaged"),
    4008: gettext_lazy("preset and input do not match"),
    4009: gettext_lazy("too many pictures"),
    4010: gettext_lazy("a picture could not be read"),
    4011: gettext_lazy("a picture in the input could not be read"),
    4012: gettext_lazy("a picture is too large"),
    4013: gettext_lazy("a picture in the input is too large"),
    4014: gettext_lazy("the clip starts after the end"),
    4015: gettext_lazy("segments do not line up"),
    4022: gettext_lazy("the inputs together are too large"),
    4026: gettext_lazy("some inputs have sound, some have not"),
    9999: gettext_lazy("a failure of the transcoder"),
}


# --- Times, lengths and sizes -------------------------------------------------------------------


def at(moment: datetime | None) -> str:
    """Return a moment in the site's time zone, to the second."""
    if moment is None:
        return NOTHING
    return date_format(timezone.localtime(moment), "j M Y, H:i:s")


def at_ms(epoch_ms: int | None) -> str:
    """Return milliseconds since the epoch as ``at`` does."""
    return NOTHING if epoch_ms is None else at(datetime.fromtimestamp(epoch_ms / 1000, tz=UTC))


def brief_ms(epoch_ms: int | None) -> str | SafeString:
    """Return the same for a narrow column; the whole of it is its title."""
    if epoch_ms is None:
        return NOTHING
    moment = timezone.localtime(datetime.fromtimestamp(epoch_ms / 1000, tz=UTC))
    now = timezone.localtime()
    form = "j M Y" if moment.year != now.year else "j M, H:i"
    shown = date_format(moment, "H:i:s" if moment.date() == now.date() else form)
    tag = '<time datetime="{}" title="{}">{}</time>'
    return format_html(tag, moment.isoformat(timespec="milliseconds"), at(moment), shown)


def span(length_ms: int | None) -> str:
    """Return a length of time in its two largest units: ``0.8 s``, ``3 min 5 s``, ``2 h 1 min``."""
    if length_ms is None:
        return NOTHING
    if length_ms < 10_000:
        return _("%s s") % number(max(length_ms, 0) / 1000, 1)
    seconds = round(length_ms / 1000)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return _("%(days)d d %(hours)d h") % {"days": days, "hours": hours % 24}
    if hours:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes % 60}
    if minutes:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": seconds % 60}
    return _("%s s") % seconds


def number(value: float, places: int) -> str:
    """Return ``value``, rounded; Django would cut it off."""
    return number_format(Decimal(f"{value:.{places}f}"), places)


def size(size_bytes: int | None) -> str:
    return NOTHING if size_bytes is None else filesizeformat(size_bytes)


def badge(status: str) -> SafeString:
    """Return a status as a word with its colour; the colour says nothing more than the word."""
    return format_html('<span class="state state-{}">{}</span>', status.lower(), status)


def error(code: int) -> str:
    return f"{code}: {ERRORS[code]}" if code in ERRORS else str(code)


# --- Sound --------------------------------------------------------------------------------------


def codec(audio: dict[str, Any]) -> str:
    name = CODECS.get(audio.get("Codec", ""), audio.get("Codec", ""))
    profile = (audio.get("CodecOptions") or {}).get("Profile", "")
    if name != "AAC" or profile in ("", "auto"):
        return name or NOTHING
    return profile if "AAC" in profile else f"{name} ({profile})"


def sample_rate(audio: dict[str, Any]) -> str:
    rate = audio.get("SampleRate", "")
    if rate == "auto":
        return _("as the input")
    if not rate.isdecimal():
        return NOTHING
    return f"{number_format(Decimal(f'{int(rate) / 1000:g}'))} kHz"


def channels(audio: dict[str, Any]) -> str:
    words = {"auto": _("as the input"), "0": _("none"), "1": _("mono"), "2": _("stereo")}
    return words.get(audio.get("Channels", ""), NOTHING)


def bitrate(audio: dict[str, Any]) -> str:
    return f"{audio['BitRate']} kbit/s" if audio.get("BitRate") else NOTHING


def depth(audio: dict[str, Any]) -> str:
    bits = (audio.get("CodecOptions") or {}).get("BitDepth")
    return _("%s bit") % bits if bits else NOTHING


def picture(video: dict[str, Any] | None) -> str:
    """Return the video settings of a preset in a few words."""
    if not video:
        return NOTHING
    width, height = video.get("MaxWidth"), video.get("MaxHeight")
    frame = f"{width} × {height}" if width and height else ""  # noqa: RUF001 - it reads "by"
    return ", ".join(filter(None, [video.get("Codec"), frame])) or NOTHING


def sound(container: str, audio: dict[str, Any] | None) -> str:
    """Return what a preset makes, in one line: ``MP3 in mp3, 192 kbit/s, 44.1 kHz, stereo``."""
    audio = audio or {}
    parts = [bitrate(audio), sample_rate(audio), depth(audio), channels(audio)]
    name = _("%(codec)s in %(container)s") % {"codec": codec(audio), "container": container}
    return ", ".join([name, *(part for part in parts if part != NOTHING)])


# --- What nobody is to read ---------------------------------------------------------------------


def protection(members: dict[str, Any]) -> str:
    """Return how an encrypted thing is protected; a key that was given is never shown."""
    words = [members.get("Method") or members.get("Mode") or members.get("Format") or _("yes")]
    if members.get("Key"):
        words.append(_("key %s (hidden)") % HIDDEN)
    return ", ".join(words)
