"""Environment variables, whose faults name the variable."""

from __future__ import annotations

from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured


class Variables(environ.Env):
    """As django-environ's, but an unreadable value says which variable holds it."""

    def get_value(self, var: str, *arguments: Any, **options: Any) -> Any:
        """Return the variable's value; raises ImproperlyConfigured, never with the value in it."""
        try:
            return super().get_value(var, *arguments, **options)
        except (ValueError, TypeError, LookupError) as error:
            kind = type(error).__name__
            raise ImproperlyConfigured(
                f"The environment variable {var} cannot be read as what it should be ({kind}); "
                "see .env.example."
            ) from None

    def one_of(self, var: str, values: tuple[str, ...], *, default: str) -> str:
        """Return the variable's value; raises ImproperlyConfigured when it is not in ``values``."""
        value = self.str(var, default=default)
        if value not in values:
            expected = ", ".join(values)
            raise ImproperlyConfigured(f"The environment variable {var} is none of: {expected}.")
        return value
