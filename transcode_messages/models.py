"""What people are told."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models
from django.db.models import Count, Q, Subquery
from django.utils import timezone


class MessageQuerySet(models.QuerySet["Message"]):
    def unread(self) -> MessageQuerySet:
        return self.filter(read_at=None)

    def newest_unread(self, user: AbstractBaseUser, limit: int) -> MessageQuerySet:
        """Return the newest unread messages of ``user``, each with ``total``, how many there are.

        One query: the count is a subquery that reads the index alone.
        """
        mine = self.unread().filter(user=user)
        count = mine.order_by().values("user").annotate(total=Count("pk")).values("total")
        return mine.annotate(total=Subquery(count))[:limit]

    def tell(
        self,
        user: AbstractBaseUser,
        *,
        event: str,
        about: uuid.UUID,
        level: str,
        text: str,
        link: str = "",
    ) -> Message | None:
        """Write one message; return it, or None when this person was told of ``event`` before.

        Safe inside a transaction of the caller's and for two callers at once: the constraint
        decides, and a second telling changes nothing. A text that is too long is cut.
        """
        values = {"about": about, "level": level, "text": _cut(text), "link": link}
        message, is_new = self.get_or_create(user=user, event=event, defaults=values)
        return message if is_new else None

    def forget(self, about: Iterable[uuid.UUID]) -> int:
        """Delete what people were told about these things; return how many messages went."""
        return Message.objects.filter(about__in=list(about)).delete()[0]

    def mark_read(self) -> int:
        """Mark these as read, now; return how many were unread."""
        return self.unread().update(read_at=timezone.now())


class Message(models.Model):
    """One sentence for one person, shown on every page until it is dismissed."""

    class Level(models.TextChoices):
        SUCCESS = "success"
        ERROR = "error"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="transcode_messages"
    )
    # What this message tells of, e.g. "job:<code>:Complete": nobody is told it twice.
    event = models.CharField(max_length=100)
    # The thing it is about, so that the message goes when the thing goes.
    about = models.UUIDField(db_index=True)
    level = models.CharField(max_length=7, choices=Level)
    text = models.CharField(max_length=600)
    link = models.CharField(max_length=255, blank=True)  # path on this site
    created_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True, blank=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["user", "event"], name="told_once")]
        indexes = [
            # The context processor asks on every page.
            models.Index(
                fields=["user", "-created_at", "-id"],
                name="message_unread",
                condition=Q(read_at=None),
            ),
            # The page of all messages.
            models.Index(fields=["user", "-created_at", "-id"], name="message_all"),
        ]

    def __str__(self) -> str:
        return self.text

    @property
    def is_unread(self) -> bool:
        return self.read_at is None


def _cut(text: str) -> str:
    length = Message._meta.get_field("text").max_length
    return text if len(text) <= length else f"{text[: length - 1]}…"
