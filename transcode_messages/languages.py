"""The language that a person is spoken to in, outside of their own requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.utils import translation

from transcode_messages.models import Preferences


def chosen_by(user: AbstractBaseUser) -> str:
    """Return the code of the language that this person chose; empty: none, or one that went."""
    try:
        return translation.get_supported_language_variant(Preferences.objects.of(user).language)
    except LookupError:
        return ""


def language_of(user: AbstractBaseUser) -> str:
    """Return the language that this person uses, or the site's when it is not known."""
    return chosen_by(user) or settings.LANGUAGE_CODE


@contextmanager
def spoken_to(user: AbstractBaseUser) -> Iterator[None]:
    """Let everything that is said inside be in the language of ``user``."""
    with translation.override(language_of(user)):
        yield
