"""What people choose about being told."""

from __future__ import annotations

from django import forms
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from transcode_messages.models import Preferences


class PreferencesForm(forms.ModelForm):
    """When to send an e-mail, and whether the browser shows messages."""

    class Meta:
        model = Preferences
        fields = [
            "email_when_ready",
            "email_when_failed",
            "email_daily",
            "browser_notifications",
        ]
        help_texts = {
            "email_daily": _("In the morning, unless nothing came that no other e-mail told you."),
            "browser_notifications": _(
                "When a message comes while you look at something else. Works as long as a page "
                "of this site is open."
            ),
        }

    def save(self, commit: bool = True) -> Preferences:
        """Also remember the language of the page, unless the person chose one."""
        self.instance.language = self.instance.language or get_language() or ""
        self.instance.plan_daily()
        return super().save(commit)
