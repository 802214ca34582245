"""Accounts: what is otherwise here than allauth has it."""

from __future__ import annotations

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.ratelimit import respond_429
from django.core.exceptions import ValidationError
from django.http import HttpRequest

logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):
    """Refuses guessing with a status of its own, and goes on while no mail can be sent."""

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Raise ImmediateHttpResponse with a 429 where allauth shows the form again."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError as error:
            raise ImmediateHttpResponse(respond_429(request)) from error

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a mail; a server that does not take it is an error in the log, and no more.

        Whoever waits for the mail can ask for another one.
        """
        try:
            super().send_mail(template_prefix, email, context)
        except OSError as error:  # smtplib's errors are OSErrors too
            logger.error("mail %s was not sent: %s", template_prefix, error)
