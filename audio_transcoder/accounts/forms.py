"""What people tell us of themselves."""

from __future__ import annotations

from typing import Any

from allauth.account.fields import PasswordField
from allauth.account.forms import LoginForm
from django import forms
from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.utils.translation import gettext_lazy as _

from audio_transcoder import names
from transcode_messages.models import Preferences


class SignInForm(LoginForm):
    """allauth's, whose first field says what belongs there."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        login = self.fields["login"]
        login.label = _("Username or e-mail address")
        login.widget.attrs |= {"autocomplete": "username", "autocapitalize": "none"}


class ProfileForm(forms.Form):
    """What others may call somebody, and the language they are spoken to."""

    LONGEST = 150  # characters, of User.first_name

    display_name = forms.CharField(
        label=_("Display name"),
        required=False,
        max_length=LONGEST,
        help_text=_("What this site calls you. Empty: your username."),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    language = forms.ChoiceField(label=_("Language"), required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["language"].choices = [("", _("As my browser says")), *settings.LANGUAGES]

    def clean_display_name(self) -> str:
        # NFC may be longer than what was typed.
        return names.visible(self.cleaned_data["display_name"])[: self.LONGEST]

    def save(self, person: AbstractUser) -> None:
        """Keep both with ``person``."""
        person.first_name = self.cleaned_data["display_name"]
        person.save(update_fields=["first_name"])
        Preferences.objects.remember_language(person, self.cleaned_data["language"])


class DeleteAccountForm(forms.Form):
    """The password once more; who has none types the username."""

    password = PasswordField(label=_("Your password"), autocomplete="current-password")
    user_name = forms.CharField(label=_("Your username"), max_length=150)

    def __init__(self, *args: Any, person: AbstractUser, **options: Any) -> None:
        super().__init__(*args, **options)
        self.person = person
        del self.fields["user_name" if person.has_usable_password() else "password"]

    def clean_password(self) -> str:
        password = self.cleaned_data["password"]
        if not self.person.check_password(password):
            raise forms.ValidationError(_("This is not your password."), code="incorrect")
        return password

    def clean_user_name(self) -> str:
        name = self.cleaned_data["user_name"]
        if name != self.person.get_username():
            raise forms.ValidationError(_("This is not your username."), code="incorrect")
        return name
