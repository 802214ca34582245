"""What the e-mails say: text and HTML, in the person's language."""

from __future__ import annotations

import unicodedata
from urllib.parse import urlsplit

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.translation import ngettext

from transcode_messages.addresses import address_of
from transcode_messages.languages import language_of
from transcode_messages.models import Email, Kind, Message, Preferences

MESSAGES_IN_A_LETTER = 20
SUBJECT_LENGTH = 150

_signer = signing.Signer(salt="transcode_messages.unsubscribe")


def letter(email: Email) -> EmailMultiAlternatives | None:
    """Return ``email`` as it goes to the mail server.

    None when there is nothing to tell any more, or the person does not want it any more, or has
    no address.
    """
    address = address_of(email.user)
    preferences, _is_new = Preferences.objects.get_or_create(user=email.user)
    messages = list(email.messages.all()[:MESSAGES_IN_A_LETTER])
    if not (address and messages and preferences.wants(email.kind)):
        return None
    with translation.override(language_of(email.user)):
        return _compose(email, address, preferences, messages)


def _compose(
    email: Email, address: str, preferences: Preferences, messages: list[Message]
) -> EmailMultiAlternatives:
    stop_url = settings.SITE_URL + reverse(
        "messages:unsubscribe", args=[unsubscribe_token(preferences, email.kind)]
    )
    total = email.messages.count()
    is_list = email.kind == Kind.DAILY or total > 1
    subject = _subject(messages, total, is_list=is_list)
    context = {
        "site_url": settings.SITE_URL,
        "email": email,
        "person": email.user.get_username(),
        "subject": subject,
        "transcode_messages": messages,
        "more": total - len(messages),
        "stop_url": stop_url,
        "is_list": is_list,
    }
    mail = EmailMultiAlternatives(
        subject=subject,
        body=render_to_string("transcode_messages/email.txt", context),
        to=[address],
        headers={
            # The same whenever it is tried, so that a mail program can tell.
            "Message-ID": f"<{email.code}@{urlsplit(settings.SITE_URL).hostname or 'localhost'}>",
            "Auto-Submitted": "auto-generated",  # RFC 3834
            "List-Unsubscribe": f"<{stop_url}>",  # RFC 2369
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",  # RFC 8058
        },
    )
    mail.attach_alternative(render_to_string("transcode_messages/email.html", context), "text/html")
    return mail


def _subject(messages: list[Message], total: int, *, is_list: bool) -> str:
    if is_list:
        return ngettext("{number} new message", "{number} new messages", total).format(number=total)
    return one_line(messages[0].text)


def one_line(text: str) -> str:
    """Return ``text`` as a subject: without line breaks and invisible characters, not too long."""
    visible = "".join(
        " " if unicodedata.category(char).startswith(("C", "Z")) else char for char in text
    )
    words = " ".join(visible.split())
    return words if len(words) <= SUBJECT_LENGTH else f"{words[: SUBJECT_LENGTH - 1]}…"


def unsubscribe_token(preferences: Preferences, kind: str) -> str:
    """Return what lets whoever has it stop these e-mails, and nothing else."""
    return _signer.sign(f"{kind}.{preferences.code.hex}")


def read_unsubscribe_token(token: str) -> tuple[Preferences, str] | None:
    """Return whose e-mails of which kind ``token`` stops; None for a forged one."""
    try:
        kind, _dot, code = _signer.unsign(token).partition(".")
    except signing.BadSignature:
        return None
    preferences = Preferences.objects.filter(code=code).first()
    return (preferences, kind) if preferences else None
