"""What people said about themselves, beside what Django keeps of them."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models
from django.utils.translation import gettext_lazy


class ProfileQuerySet(models.QuerySet["Profile"]):
    def language_of(self, person: AbstractBaseUser) -> str:
        """Return the code of the language that ``person`` chose; empty: none, or one that went."""
        chosen = self.filter(person=person).values_list("language", flat=True).first()
        return chosen if chosen in dict(settings.LANGUAGES) else ""


class Profile(models.Model):
    """The choices of one person. Whoever never chose anything has none."""

    person = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="profile",
    )
    language = models.CharField(max_length=10, blank=True)  # empty: as the browser asks

    objects = ProfileQuerySet.as_manager()

    class Meta:
        verbose_name = gettext_lazy("profile")
        verbose_name_plural = gettext_lazy("profiles")

    def __str__(self) -> str:
        return str(self.person)
