"""Which of a person's messages are shown, as the address says; nonsense in it is not asked for."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils import timezone

from transcode_messages.models import MessageQuerySet

KINDS = ("unread", "ready", "failures")
# Today, and that many days with today.
DAYS = (1, 7)
MAX_QUERY = 200


@dataclass(frozen=True)
class Listing:
    """The filters, each of which narrows what the others leave. The default: every message."""

    show: str = ""
    days: int | None = None
    q: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> Listing:
        """Return what ``query`` asks for."""
        show, days = query.get("show", ""), query.get("days", "")
        return cls(
            show=show if show in KINDS else "",
            days=int(days) if days in map(str, DAYS) else None,
            q=" ".join(query.get("q", "")[:MAX_QUERY].replace("\0", "").split()),
        )

    def filtered(self, messages: MessageQuerySet) -> MessageQuerySet:
        """Return those of ``messages`` that are asked for."""
        if self.show:
            messages = getattr(messages, self.show)()
        if self.days:
            midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
            messages = messages.filter(created_at__gte=midnight - timedelta(days=self.days - 1))
        return messages.saying(self.q)

    def query(self, **changes: object) -> str:
        """Return the query string, without a question mark, of this listing or a changed one."""
        changed = replace(self, **changes)
        pairs = [(field.name, getattr(changed, field.name)) for field in fields(self)]
        return urlencode([(name, value) for name, value in pairs if value])

    @property
    def tabs(self) -> list[tuple[str, str]]:
        """Each kind of messages, all of them first, and the query string that shows it."""
        return [(show, self.query(show=show)) for show in ("", *KINDS)]

    @property
    def is_searched(self) -> bool:
        return bool(self.q or self.days)
