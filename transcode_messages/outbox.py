"""Sends the e-mails that are due.

An e-mail is a row, written together with what it tells. Here it is taken in hand by a conditional
update, and by a second one just before it is handed over: whoever dies in between leaves it to the
next one, and what may have reached the mail server is never sent again. No transaction is open
while the server is spoken to.
"""

from __future__ import annotations

import contextlib
import logging
import smtplib
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db.models import F, Min
from django.utils import timezone

from transcode_messages.letters import letter
from transcode_messages.models import Email, Preferences

logger = logging.getLogger(__name__)

# Seconds, and e-mails, of one turn; then the other short steps have theirs.
TURN_S = 5.0
AT_ONCE = 200
# Whoever takes an e-mail in hand may die; nobody else does before this has passed.
IN_HAND = timedelta(minutes=5)
# After this an e-mail is old news.
GIVEN_UP_AFTER = timedelta(days=1)
FIRST_BACK_OFF = timedelta(minutes=1)
LONGEST_BACK_OFF = timedelta(hours=1)


class NoAnswer(OSError):
    """The server has the whole e-mail and did not say whether it took it."""


class Server:
    """The mail server; a connection is opened when the first e-mail needs it."""

    # Of this process. A server that is away is not asked again by every e-mail that comes due:
    # each question may last as long as EMAIL_TIMEOUT.
    _away_until: datetime | None = None
    _failures = 0

    def __init__(self) -> None:
        self._connection: BaseEmailBackend | None = None

    @classmethod
    def away_until(cls) -> datetime | None:
        """Return until when it is left alone, or None when it may be asked."""
        if cls._away_until and cls._away_until > timezone.now():
            return cls._away_until
        return None

    def connect(self) -> None:
        """Make sure that there is a connection. Raises OSError, smtplib's errors among them."""
        if self._connection:
            return
        connection = get_connection()  # with EMAIL_TIMEOUT
        try:
            connection.open()
        except OSError:
            self._connection = connection
            self.close()
            Server._failures += 1
            Server._away_until = timezone.now() + back_off(Server._failures)
            raise
        Server._failures, Server._away_until = 0, None
        _tell_answers_apart(connection)
        self._connection = connection

    def take(self, mail: EmailMultiAlternatives) -> None:
        """Hand one over. Raises NoAnswer, or an OSError when the server did not take it."""
        mail.connection = self._connection
        mail.send()

    def close(self) -> None:
        """Say goodbye; whatever the server answers to that."""
        if self._connection:
            with contextlib.suppress(OSError):
                self._connection.close()
        self._connection = None


def _tell_answers_apart(connection: BaseEmailBackend) -> None:
    """Let an SMTP connection that breaks after the last byte of an e-mail raise NoAnswer.

    A server that broke off before that has nothing. Source: RFC 1047.
    """
    server = getattr(connection, "connection", None)
    if not isinstance(server, smtplib.SMTP):
        return
    plain = server.data

    def data(message: str | bytes) -> tuple[int, bytes]:
        try:
            return plain(message)
        except smtplib.SMTPResponseException:
            raise
        except OSError as error:
            raise NoAnswer(f"no answer to the e-mail: {error}") from error

    server.data = data


def back_off(attempts: int) -> timedelta:
    """Return the pause after so many attempts in vain."""
    return min(FIRST_BACK_OFF * 2 ** min(attempts - 1, 10), LONGEST_BACK_OFF)


def send_due() -> datetime | None:
    """Write the daily e-mails, send what is due; return when to look again."""
    began = time.monotonic()
    _write_daily(began + TURN_S / 2)
    turn_ends = began + TURN_S
    with _server() as server:
        for email in Email.objects.due(timezone.now()).select_related("user")[:AT_ONCE]:
            if server.away_until() or time.monotonic() > turn_ends:
                break
            _send(email, server)
    return _next_look()


def _write_daily(ends: float) -> None:
    """Write the daily e-mails that are due, until ``ends``; all of them are due at once."""
    due = Preferences.objects.with_daily_due(timezone.now()).select_related("user")
    for preferences in due.order_by("next_daily_at", "pk")[:AT_ONCE]:
        Email.objects.write_daily(preferences, timezone.now())
        if time.monotonic() > ends:
            break


@contextlib.contextmanager
def _server() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.close()


def _next_look() -> datetime | None:
    mail = Email.objects.aggregate(first=Min("next_step_at"))["first"]
    away_until = Server.away_until()
    if mail and away_until:
        mail = max(mail, away_until)
    daily = Preferences.objects.aggregate(first=Min("next_daily_at"))["first"]
    return min(filter(None, (mail, daily)), default=None)


def _send(email: Email, server: Server) -> None:
    """Send one e-mail, if nobody else does."""
    now = timezone.now()
    in_hand = Email.objects.due(now).filter(pk=email.pk, attempts=email.attempts)
    if not in_hand.order_by().update(attempts=F("attempts") + 1, next_step_at=now + IN_HAND):
        return
    email.attempts += 1
    mine = Email.objects.filter(pk=email.pk, attempts=email.attempts)
    try:
        mail = letter(email)
    except Exception as error:  # whatever is wrong with one, the others go out
        logger.exception("email %s: cannot be put together", email.code)
        _try_later(email, error)
        return
    if mail is None:
        mine.update(next_step_at=None, problem="nothing to tell, or nobody who wants it")
        return
    try:
        server.connect()
        if not mine.filter(handed_over_at=None).update(handed_over_at=now, next_step_at=None):
            return
        server.take(mail)
    except NoAnswer as error:
        _give_up(email, error)
        server.close()
    except OSError as error:
        server.close()
        logger.warning("email %s: not sent yet: %s", email.code, type(error).__name__)
        _try_later(email, error)
    except ValueError as error:  # an address or a header that cannot be written
        _give_up(email, error)
    else:
        mine.update(sent_at=timezone.now(), problem="")
        logger.info("email %s: sent", email.code)


def _try_later(email: Email, error: Exception) -> None:
    now = timezone.now()
    if now - email.created_at > GIVEN_UP_AFTER:
        _give_up(email, error)
        return
    row = Email.objects.filter(pk=email.pk, attempts=email.attempts)
    again = now + back_off(email.attempts)
    row.update(next_step_at=again, handed_over_at=None, problem=_words(error))


def _give_up(email: Email, error: Exception) -> None:
    logger.error("email %s: given up: %s", email.code, type(error).__name__)
    row = Email.objects.filter(pk=email.pk, attempts=email.attempts)
    row.update(next_step_at=None, problem=_words(error))


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def sweep() -> int:
    """Forget old e-mails that are done with; return how many."""
    old = Email.objects.filter(created_at__lt=timezone.now() - Email.KEPT_FOR, next_step_at=None)
    return old.delete()[0]
