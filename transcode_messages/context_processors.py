"""What every page may show of a person's messages."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from transcode_messages import live
from transcode_messages.models import Message

SHOWN_ON_A_PAGE = 5


class UnreadMessages:
    """The newest unread messages of whoever asks, with the number of all that are unread.

    Iterate for the messages. Nothing is looked up before it is shown; visitors have none.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @cached_property
    def newest(self) -> list[Message]:
        if not self._is_for_a_person:
            return []
        return list(Message.objects.newest_unread(self._request.user, SHOWN_ON_A_PAGE))

    @property
    def count(self) -> int:
        return self.newest[0].total if self.newest else 0

    @property
    def more(self) -> int:
        """How many are unread besides those shown."""
        return self.count - len(self.newest)

    @property
    def state(self) -> str:
        """Tells one state of the unread messages from another, e.g. ``"81.3"``."""
        return f"{self.newest_id}.{self.count}"

    @property
    def newest_id(self) -> int:
        """The newest message's number, 0 when there is none."""
        return self.newest[0].pk if self.newest else 0

    @property
    def notifies(self) -> bool:
        """Whether the browser may show them outside the page."""
        return bool(self.newest and self.newest[0].notifies)

    @cached_property
    def is_live(self) -> bool:
        """Whether a page should keep asking for news."""
        return self._is_for_a_person and live.is_expecting(self._request)

    @property
    def _is_for_a_person(self) -> bool:
        # Requests of machines, and those that fail early, have no user at all.
        user = getattr(self._request, "user", None)
        return user is not None and user.is_authenticated

    def __iter__(self) -> Iterator[Message]:
        return iter(self.newest)

    def __len__(self) -> int:
        return len(self.newest)


def message_context_processor(request: HttpRequest) -> dict[str, object]:
    """``transcode_messages``: see UnreadMessages. One query when shown, none for visitors."""
    return {"transcode_messages": SimpleLazyObject(lambda: UnreadMessages(request))}
