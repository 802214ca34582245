"""What a person asks of the library: words, filters and an order, as the address has them.

Every value of a query string is text from outside: what makes no sense counts as not asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import BooleanField, Exists, ExpressionWrapper, F, OuterRef, Q, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Concat, Lower, LPad, StrIndex, Substr
from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from audio_transcoder.formats import FORMATS
from audio_transcoder.library.rows import rows
from audio_transcoder.models import AudioFile, Rendition, TranscodeJob
from audio_transcoder.models.files import AudioFileQuerySet

FILES_ON_A_PAGE = 20
# Further nobody counts: counting 100,000 files takes as long as the rest of the page.
COUNTED = 1000
# Characters, and words, that are looked for.
MAX_QUERY = 200
_MAX_WORDS = 8
_SEARCHED = ("name", "title", "artist", "album")
DAYS = (7, 30)
# Of dates that a calendar of either database holds, in any time zone.
_YEARS = range(1970, 9999)

NEWEST_FIRST = "-created"
# Order -> column, and whether it holds words.
_ORDERS: dict[str, tuple[str, bool]] = {
    "name": ("name", True),
    "title": ("title", True),
    "artist": ("artist", True),
    "album": ("album", True),
    "year": ("year", True),
    "track": ("track", True),
    "length": ("duration_ms", False),
    "size": ("size_bytes", False),
    "created": ("created_at", False),
}
# The first click on the head of such a column.
_LARGEST_FIRST = ("length", "size", "created")
# For people with a narrow screen, who see no columns.
ORDER_WORDS: dict[str, Promise] = {
    "-created": gettext_lazy("Newest first"),
    "created": gettext_lazy("Oldest first"),
    "name": gettext_lazy("Name, A to Z"),
    "-name": gettext_lazy("Name, Z to A"),
    "title": gettext_lazy("Title"),
    "artist": gettext_lazy("Artist"),
    "album": gettext_lazy("Album"),
    "year": gettext_lazy("Year"),
    "track": gettext_lazy("Track"),
    "-length": gettext_lazy("Longest first"),
    "length": gettext_lazy("Shortest first"),
    "-size": gettext_lazy("Largest first"),
    "size": gettext_lazy("Smallest first"),
}


@dataclass(frozen=True)
class Listing:
    """Which files, and in which order. The default: all of them, newest first."""

    q: str = ""
    state: str = ""
    format: str = ""  # there is a finished one of it
    days: int | None = None  # added in the last so many days
    since: date | None = None
    until: date | None = None  # that day too
    sort: str = NEWEST_FIRST

    @classmethod
    def of(cls, query: QueryDict) -> Listing:
        """Return what ``query`` asks for."""
        days = query.get("days", "")
        return cls(
            q=" ".join(query.get("q", "")[:MAX_QUERY].replace("\0", "").split()),
            state=_one_of(AudioFile.State.values, query.get("state", "")),
            format=_one_of(FORMATS, query.get("format", "")),
            days=int(days) if days in map(str, DAYS) else None,
            since=_date(query.get("since", "")),
            until=_date(query.get("until", "")),
            sort=_one_of([*_ORDERS, *(f"-{name}" for name in _ORDERS)], query.get("sort", ""))
            or NEWEST_FIRST,
        )

    def pairs(self, **changes: object) -> list[tuple[str, str]]:
        """Return names and values for an address or a form, without what is by default."""
        changed = replace(self, **changes)
        return [
            (field.name, str(value))
            for field in fields(self)
            if (value := getattr(changed, field.name)) != field.default
        ]

    def query(self, **changes: object) -> str:
        """Return the query string, with its question mark, of this listing or a changed one."""
        return f"?{urlencode(self.pairs(**changes))}"

    @property
    def is_filtered(self) -> bool:
        return bool(self.pairs(sort=NEWEST_FIRST))

    # --- the rows ---------------------------------------------------------------------------

    def filtered(self, files: AudioFileQuerySet) -> AudioFileQuerySet:
        """Return those of ``files`` that are asked for, in no order of its own."""
        for word in self.q.split()[:_MAX_WORDS]:
            files = files.filter(_holds(word))
        if self.state:
            files = files.filter(kept_state=self.state)
        if self.format:
            ready = Rendition.objects.filter(status=TranscodeJob.Status.COMPLETE)
            files = files.filter(
                Exists(ready.filter(audio_file=OuterRef("pk"), format_name=self.format))
            )
        if self.days:
            files = files.filter(created_at__gte=timezone.now() - timedelta(days=self.days))
        if self.since:
            files = files.filter(created_at__gte=_begin(self.since))
        if self.until:
            files = files.filter(created_at__lt=_begin(self.until + timedelta(days=1)))
        return files

    def ordered(self, files: AudioFileQuerySet) -> AudioFileQuerySet:
        """Return ``files`` in the order asked for; what has no such word or number comes last."""
        column, is_text = _ORDERS[self.sort.lstrip("-")]
        is_descending = self.sort.startswith("-")
        if column == "created_at":
            sign = "-" if is_descending else ""
            return files.order_by(f"{sign}created_at", f"{sign}id")
        by: list[Combinable | str] = []
        if is_text:
            by.append(ExpressionWrapper(Q(**{column: ""}), output_field=BooleanField()).asc())
        value = _words(column) if is_text else F(column)
        by.append(value.desc(nulls_last=True) if is_descending else value.asc(nulls_last=True))
        return files.order_by(*by, "-id")

    # --- what the page says of it -----------------------------------------------------------

    @property
    def chips(self) -> list[tuple[str, str]]:
        """Each filter in words, and the address without it."""
        return [(words, self.query(**{name: _DEFAULTS[name]})) for name, words in self._said()]

    def _said(self) -> Iterator[tuple[str, str]]:
        if self.q:
            yield "q", _("“{words}”").format(words=self.q)
        if self.state:
            yield "state", str(AudioFile.State(self.state).label)
        if self.format:
            yield "format", _("has {format}").format(format=FORMATS[self.format].label)
        if self.days:
            yield (
                "days",
                ngettext("last {number} day", "last {number} days", self.days).format(
                    number=self.days
                ),
            )
        if self.since:
            yield "since", _("from {date}").format(date=date_format(self.since, "DATE_FORMAT"))
        if self.until:
            yield "until", _("until {date}").format(date=date_format(self.until, "DATE_FORMAT"))

    @property
    def columns(self) -> dict[str, dict[str, str]]:
        """Each column's head, by the name of its order."""
        return {name: self._column(name, descending=name in _LARGEST_FIRST) for name in _ORDERS}

    def _column(self, name: str, *, descending: bool) -> dict[str, str]:
        """Return ``href`` and ``sorted`` (as aria-sort has it) of a column's head.

        The link sorts by it, the second time the other way; ``descending`` is the first way.
        """
        is_up, is_down = self.sort == name, self.sort == f"-{name}"
        down_next = not is_down if (is_up or is_down) else descending
        return {
            "href": self.query(sort=f"-{name}" if down_next else name),
            "sorted": "ascending" if is_up else "descending" if is_down else "",
        }


@dataclass(frozen=True)
class FilePage:
    """The files of one page of a listing."""

    rows: list[dict[str, Any]]
    number: int
    listing: Listing
    found: int  # of all pages; COUNTED of more than that
    is_counted: bool  # there are no more
    has_next: bool

    @classmethod
    def of(cls, listing: Listing, files: AudioFileQuerySet, number: str) -> FilePage:
        """Return page ``number``; the first one for nonsense, the last one for what is beyond."""
        ordered = listing.ordered(listing.filtered(files)).values_list("pk", flat=True)
        pks = list(ordered[: COUNTED + 1])
        found, is_counted = min(len(pks), COUNTED), len(pks) <= COUNTED
        wanted = int(number) if number.isascii() and number.isdigit() and len(number) < 8 else 1
        wanted = max(wanted, 1)
        if is_counted:
            wanted = min(wanted, max(-(-found // FILES_ON_A_PAGE), 1))
        start = (wanted - 1) * FILES_ON_A_PAGE
        if not is_counted and start + FILES_ON_A_PAGE >= len(pks):
            far = list(ordered[start : start + FILES_ON_A_PAGE + 1])
            pks, start, wanted = (far, 0, wanted) if far else (pks, 0, 1)
        pks = pks[start : start + FILES_ON_A_PAGE + 1]
        return cls(
            rows=rows(pks[:FILES_ON_A_PAGE]),
            number=wanted,
            listing=listing,
            found=found,
            is_counted=is_counted,
            has_next=len(pks) > FILES_ON_A_PAGE,
        )

    @property
    def pages(self) -> int:
        return -(-self.found // FILES_ON_A_PAGE)

    @property
    def previous(self) -> str:
        """The address of the page before this one; empty on the first."""
        return self._address(self.number - 1) if self.number > 1 else ""

    @property
    def next(self) -> str:
        return self._address(self.number + 1) if self.has_next else ""

    def _address(self, number: int) -> str:
        return f"?{urlencode([*self.listing.pairs(), ('page', str(number))])}"

    @property
    def empty_columns(self) -> list[str]:
        """Those of tags in which no file of the page has anything."""
        return [name for name in _TAGS if not any(row[name] for row in self.rows)]


_TAGS = ("artist", "album", "year", "track")
_DEFAULTS = {field.name: field.default for field in fields(Listing)}


def _one_of(known: object, value: str) -> str:
    return value if value in known else ""


def _date(text: str) -> date | None:
    try:
        found = parse_date(text)
    except ValueError:  # the 31st of June
        return None
    return found if found and found.year in _YEARS else None


def _words(column: str) -> Combinable:
    """Return what orders a column of words."""
    if column != "track":
        return Lower(column)
    slash = Value("/")
    number = Substr("track", 1, StrIndex(Concat("track", slash), slash) - 1)
    return LPad(number, 4, Value("0"))  # "3/12" comes before "10/12"


def _begin(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, datetime.min.time()))


def _holds(word: str) -> Q:
    """Whether ``word`` stands anywhere in what people see of a file; ``%`` and ``_`` are text.

    SQLite knows upper and lower case of ASCII alone, so other words are tried as people write them.
    """
    spellings = [word]
    if not word.isascii():
        spellings = {word, word.lower(), word.upper(), word.capitalize()}
    found = Q()
    for spelling in spellings:
        for column in _SEARCHED:
            found |= Q(**{f"{column}__icontains": spelling})
    return found
