"""The names of rows and columns that the administration shows, in the language of its reader.

Django makes them from the names in the code. They are translated here and not in the models, where
each would be a migration that changes nothing in the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.apps import apps
from django.apps.config import AppConfig
from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

HERE = Path(__file__).resolve().parent
# In English, for the catalogues.
texts: set[str] = set()


def translate() -> None:
    """Have every name in our rooms that is not translated already be so when it is shown."""
    for owner, attribute in _untranslated():
        name = str(getattr(owner, attribute))
        texts.add(name)
        setattr(owner, attribute, gettext_lazy(name))


def _rooms() -> Iterator[AppConfig]:
    for config in apps.get_app_configs():
        if Path(config.path).parent in (settings.BASE_DIR, HERE.parent):
            yield config


def _untranslated() -> Iterator[tuple[object, str]]:
    for config in _rooms():
        yield config, "verbose_name"
        for model in config.get_models():
            given = model._meta.original_attrs
            # Django makes the plural from the singular, in English.
            for attribute in ("verbose_name_plural", "verbose_name"):
                if not isinstance(given.get(attribute), Promise):
                    yield model._meta, attribute
            for field in model._meta.local_fields:
                if not isinstance(field.verbose_name, Promise):
                    yield field, "verbose_name"
