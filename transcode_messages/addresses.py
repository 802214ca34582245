"""Where mail to a person may go."""

from __future__ import annotations

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser


def address_of(user: AbstractBaseUser) -> str:
    """Return the address that mail may go to, or an empty string when there is none.

    Where addresses are verified, one that nobody has confirmed may be a stranger's.
    """
    if settings.ACCOUNT_EMAIL_VERIFICATION == "none":
        return user.email
    verified = EmailAddress.objects.filter(user=user, verified=True).order_by("-primary", "pk")
    return verified.values_list("email", flat=True).first() or ""
