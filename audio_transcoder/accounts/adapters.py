"""Accounts: what is otherwise here than allauth has it."""

from __future__ import annotations

import base64
import logging
import secrets
from functools import lru_cache
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.ratelimit import respond_429
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.usersessions.models import UserSession
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import get_language

from transcode_messages.languages import chosen_by
from transcode_messages.models import Preferences

logger = logging.getLogger(__name__)

# Of one person. allauth looks at each of them at every sign-in, and a program that signs in anew
# each time leaves one each time.
MOST_SESSIONS = 50


class AccountAdapter(DefaultAccountAdapter):
    """Refuses guessing with a status of its own, and goes on while no mail can be sent."""

    def validation_error(self, code: str, *args: Any) -> ValidationError:
        """Raise ImmediateHttpResponse with a 429 where allauth shows the form again.

        Passwords and codes of the second factor are guessed alike.
        """
        if code in ("too_many_login_attempts", "rate_limited"):
            raise ImmediateHttpResponse(respond_429(context.request))
        return super().validation_error(code, *args)

    def post_login(
        self, request: HttpRequest, user: AbstractBaseUser, **options: Any
    ) -> HttpResponse:
        """Return the answer to a sign-in; the browser then speaks the person's language."""
        response = super().post_login(request, user, **options)
        end_sessions_beyond(MOST_SESSIONS, user)
        language = chosen_by(user)
        if language:
            speak(response, language)
        return response

    def save_user(
        self, request: HttpRequest, user: AbstractBaseUser, form: Any, commit: bool = True
    ) -> AbstractBaseUser:
        """Save a new account, with the language of the page for what is written to the person."""
        user = super().save_user(request, user, form, commit)
        if commit:
            Preferences.objects.remember_language(user, get_language() or "")
        return user

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a mail; a server that does not take it is an error in the log, and no more.

        Whoever waits for the mail can ask for another one.
        """
        try:
            super().send_mail(template_prefix, email, context)
        except OSError as error:  # smtplib's errors are OSErrors too
            logger.error("mail %s was not sent: %s", template_prefix, error)


class SecondFactorAdapter(DefaultMFAAdapter):
    """Keeps the secrets of second factors encrypted, by the site's SECRET_KEY."""

    def encrypt(self, text: str) -> str:
        return _fernet(_site_secrets()).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret; one that nobody knows if it was kept under another SECRET_KEY."""
        try:
            return _fernet(_site_secrets()).decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            logger.error("a second factor was kept under another SECRET_KEY and cannot be used")
            return base64.b32encode(secrets.token_bytes(20)).decode()


def _site_secrets() -> tuple[str, ...]:
    return (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=4)
def _fernet(site_secrets: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derive(secret)) for secret in site_secrets])


def _derive(site_secret: str) -> bytes:
    derived = HKDF(hashes.SHA256(), length=32, salt=None, info=b"audio_transcoder second factors")
    return base64.urlsafe_b64encode(derived.derive(site_secret.encode()))


def end_sessions_beyond(count: int, person: AbstractBaseUser) -> None:
    """Sign this person out wherever the newest ``count`` sessions are not."""
    for session in UserSession.objects.filter(user=person).order_by("-pk")[count:]:
        session.end()


def speak(response: HttpResponse, language: str) -> None:
    """Have the browser ask for ``language`` from now on; empty: as it asks by itself.

    The cookie is the one of Django's view ``set_language``.
    """
    place = {
        "path": settings.LANGUAGE_COOKIE_PATH,
        "domain": settings.LANGUAGE_COOKIE_DOMAIN,
        "samesite": settings.LANGUAGE_COOKIE_SAMESITE,
    }
    if not language:
        response.delete_cookie(settings.LANGUAGE_COOKIE_NAME, **place)
        return
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=settings.LANGUAGE_COOKIE_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        **place,
    )
