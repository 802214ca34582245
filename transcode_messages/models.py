"""What people are told."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, time, timedelta

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models, transaction
from django.db.models import Count, F, Q, Subquery
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from transcode_messages import bell, pictures
from transcode_messages.addresses import address_of


class MessageQuerySet(models.QuerySet["Message"]):
    def unread(self) -> MessageQuerySet:
        return self.filter(read_at=None)

    def newest_unread(self, user: AbstractBaseUser, limit: int) -> MessageQuerySet:
        """Return the newest unread messages of ``user``.

        Each has ``total``, how many there are, and ``notifies``, whether the person wants them
        shown by the browser. One query: the count is a subquery that reads the index alone.
        """
        mine = self.unread().filter(user=user)
        count = mine.order_by().values("user").annotate(total=Count("pk")).values("total")
        notifies = F("user__message_preferences__browser_notifications")
        shown = mine.annotate(total=Subquery(count), notifies=notifies)
        return shown.with_pictures()[:limit]

    def with_pictures(self) -> MessageQuerySet:
        return self.annotate(picture_key=pictures.key())

    def ready(self) -> MessageQuerySet:
        return self.filter(level=Message.Level.SUCCESS)

    def failures(self) -> MessageQuerySet:
        return self.filter(level=Message.Level.ERROR)

    def saying(self, words: str) -> MessageQuerySet:
        """Those whose text holds each of ``words``, the name of a file for one, in any case.

        SQLite knows upper and lower case of ASCII alone, so others are tried as people write them.
        """
        found = self
        for word in words.split()[: Message.MAX_WORDS]:
            spelled = Q()
            for spelling in {word, word.lower(), word.upper(), word.capitalize()}:
                spelled |= Q(text__icontains=spelling)
            found = found.filter(spelled)
        return found

    def tell(
        self,
        user: AbstractBaseUser,
        *,
        event: str,
        about: uuid.UUID,
        level: str,
        text: str,
        link: str = "",
        retry_url: str = "",
    ) -> Message | None:
        """Write one message; return it, or None when this person was told of ``event`` before.

        Its e-mail, if the person wants one, is written in the same transaction. Safe inside a
        transaction of the caller's and for two callers at once: the constraint decides, and a
        second telling changes nothing. A text that is too long is cut.

        ``retry_url``: path of this site that tries again when it gets a POST; see ``settle``.
        """
        values = {"about": about, "level": level, "text": _cut(text), "link": link}
        values["retry_url"] = retry_url
        with transaction.atomic():
            message, is_new = self.get_or_create(user=user, event=event, defaults=values)
            if not is_new:
                return None
            Email.objects.write_for(message)
        return message

    def settle(self, about: Iterable[uuid.UUID]) -> int:
        """Take back the offer to try again what is tried again now; return how many offered it.

        Whoever tries again has read of it.
        """
        offers = Message.objects.filter(about__in=list(about)).exclude(retry_url="")
        offers.mark_read()
        return offers.update(retry_url="")

    def forget(self, about: Iterable[uuid.UUID]) -> int:
        """Delete what people were told about these things; return how many messages went."""
        return Message.objects.filter(about__in=list(about)).delete()[0]

    def mark_read(self) -> int:
        """Mark these as read, now; return how many were unread."""
        return self.unread().update(read_at=timezone.now())


class Message(models.Model):
    """One sentence for one person, shown on every page until it is dismissed."""

    class Level(models.TextChoices):
        SUCCESS = "success", _("Success")
        ERROR = "error", _("Error")

    # So many are looked for at once.
    MAX_WORDS = 8

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
    # Path that tries again by POST; empty when there is nothing to try again, or no longer.
    retry_url = models.CharField(max_length=255, blank=True)
    # The one e-mail that tells it too: its own, or the daily one.
    email = models.ForeignKey(
        "Email", on_delete=models.SET_NULL, null=True, blank=True, related_name="messages"
    )
    created_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True, blank=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["user", "event"], name="told_once")]
        indexes = [
            # The page of all messages.
            models.Index(fields=["user", "-created_at", "-id"], name="message_all"),
            # The context processor asks on every page. The last one: where two indexes would do,
            # SQLite takes the one that was made last.
            models.Index(
                fields=["user", "-created_at", "-id"],
                name="message_unread",
                condition=Q(read_at=None),
            ),
        ]

    def __str__(self) -> str:
        return self.text

    @property
    def picture(self) -> str:
        """The address of a picture of what it is about, or ""; of one read ``with_pictures``."""
        key = getattr(self, "picture_key", None)
        return "" if key is None else pictures.address(self.about, key)

    @property
    def is_unread(self) -> bool:
        return self.read_at is None


class Kind(models.TextChoices):
    """What an e-mail is for. People choose each by itself, and stop each by itself."""

    READY = "ready", _("a file is ready")
    FAILED = "failed", _("a file could not be converted")
    DAILY = "daily", _("once a day, what is new")


class PreferencesQuerySet(models.QuerySet["Preferences"]):
    def of(self, user: AbstractBaseUser) -> Preferences:
        """Return the person's row, or an unsaved one with what holds for everybody."""
        return self.filter(user=user).first() or Preferences(user=user)

    def remember_language(self, user: AbstractBaseUser, language: str) -> None:
        """Speak ``language`` to this person, e.g. ``"pl"``: in messages and e-mails, after sign-in.

        Empty: pages as the browser asks, all else in the site's.
        """
        self.update_or_create(user=user, defaults={"language": language[:16]})

    def with_daily_due(self, now: datetime) -> PreferencesQuerySet:
        return self.filter(next_daily_at__lte=now)


class Preferences(models.Model):
    """How a person wants to be told, besides on the pages; without a row the defaults hold."""

    DAILY_AT = time(7)  # in the site's time zone
    # A message counts as told of by the daily e-mail even if its transaction was open for so long
    # when the e-mail was put together.
    OVERLAP = timedelta(hours=1)
    FIELD_OF = {
        Kind.READY: "email_when_ready",
        Kind.FAILED: "email_when_failed",
        Kind.DAILY: "email_daily",
    }

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="message_preferences"
    )
    code = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    language = models.CharField(max_length=16, blank=True)  # empty: nothing chosen
    email_when_ready = models.BooleanField(_("When a file is ready"), default=False)
    email_when_failed = models.BooleanField(
        _("When a file could not be converted, or not be kept"), default=True
    )
    email_daily = models.BooleanField(_("Once a day, what is new"), default=False)
    browser_notifications = models.BooleanField(
        _("Show new messages outside the page"), default=False
    )
    # When the daily e-mail is due (None: not wanted), and since when there may be something new.
    next_daily_at = models.DateTimeField(null=True, blank=True)
    daily_since = models.DateTimeField(null=True, blank=True)

    objects = PreferencesQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "preferences"
        indexes = [
            # The step asks for those that are due.
            models.Index(
                fields=["next_daily_at"],
                condition=Q(next_daily_at__isnull=False),
                name="preferences_daily_due",
            )
        ]

    def __str__(self) -> str:
        return f"preferences of {self.user_id}"

    def wants(self, kind: str) -> bool:
        return getattr(self, self.FIELD_OF[kind])

    def stop(self, kinds: Iterable[str]) -> None:
        """Send no more e-mails of these kinds; twice is fine."""
        for kind in kinds:
            setattr(self, self.FIELD_OF[kind], False)
        self.plan_daily()
        self.save(update_fields=[*self.FIELD_OF.values(), "next_daily_at", "daily_since"])

    def plan_daily(self) -> None:
        """Set when the daily e-mail is due, after the wish for it may have changed. Not saved."""
        if not self.email_daily:
            self.next_daily_at = self.daily_since = None
        elif self.next_daily_at is None:
            self.daily_since = timezone.now()
            self.next_daily_at = next_daily(self.daily_since)


def next_daily(now: datetime) -> datetime:
    """Return when daily e-mails go out next, after ``now``."""
    here = timezone.localtime(now, timezone.get_default_timezone())
    for day in (here.date(), here.date() + timedelta(days=1)):
        moment = datetime.combine(day, Preferences.DAILY_AT, tzinfo=here.tzinfo)
        if moment > now:
            return moment
    raise AssertionError("tomorrow comes after now")


class EmailQuerySet(models.QuerySet["Email"]):
    def due(self, now: datetime) -> EmailQuerySet:
        return self.filter(next_step_at__lte=now).order_by("next_step_at", "pk")

    def write_for(self, message: Message) -> Email | None:
        """Write the e-mail of a new message, if the person wants it and can get it.

        The first goes at once. What comes soon after it shares one that goes a little later, so
        that a thousand files that fail together do not fill a mailbox.
        """
        kind = Kind.FAILED if message.level == Message.Level.ERROR else Kind.READY
        if not Preferences.objects.of(message.user).wants(kind) or not address_of(message.user):
            return None
        last = self.filter(user=message.user, kind=kind).order_by("-pk").first()
        if last is None or not last.waits():
            due = timezone.now()
            if last:
                due = max(due, (last.handed_over_at or last.created_at) + Email.PAUSE)
            last = self.create(user=message.user, kind=kind, next_step_at=due)
        message.email = last
        message.save(update_fields=["email"])
        bell.ring()
        return last

    def write_daily(self, preferences: Preferences, now: datetime) -> Email | None:
        """Write the daily e-mail that is due, with all that no other e-mail tells, if anything.

        Two callers at once write it once.
        """
        with transaction.atomic():
            row = Preferences.objects.filter(
                pk=preferences.pk, next_daily_at=preferences.next_daily_at
            )
            since = now - Preferences.OVERLAP
            if not row.update(next_daily_at=next_daily(now), daily_since=since):
                return None
            news = Message.objects.filter(
                user=preferences.user_id, email=None, created_at__gt=preferences.daily_since
            )
            if not news.exists() or not address_of(preferences.user):
                return None
            email = self.create(user=preferences.user, kind=Kind.DAILY)
            news.update(email=email)
        return email


class Email(models.Model):
    """One e-mail: written with what it tells, sent afterwards, never twice."""

    # Between two of one kind to one person.
    PAUSE = timedelta(minutes=2)
    KEPT_FOR = timedelta(days=30)

    code = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="transcode_emails"
    )
    kind = models.CharField(max_length=6, choices=Kind)
    created_at = models.DateTimeField(default=timezone.now)
    # When to try (again). None: the mail server has it, or may have it, or nobody tries any more.
    next_step_at = models.DateTimeField(default=timezone.now, null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    # What was begun to be handed over may have arrived; it is not sent again.
    handed_over_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=200, blank=True)  # for operators

    objects = EmailQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            # The step asks for those that are due.
            models.Index(
                fields=["next_step_at"],
                condition=Q(next_step_at__isnull=False),
                name="email_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.code}"

    def waits(self) -> bool:
        """Return whether nobody has begun to send it; nobody does before the transaction ends."""
        untouched = Email.objects.filter(pk=self.pk, attempts=0, next_step_at__isnull=False)
        return untouched.update(attempts=0) == 1


def _cut(text: str) -> str:
    length = Message._meta.get_field("text").max_length
    return text if len(text) <= length else f"{text[: length - 1]}…"
