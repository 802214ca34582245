"""What people tell us of themselves."""

from __future__ import annotations

from typing import Any

from allauth.account.forms import LoginForm
from django.utils.translation import gettext_lazy as _


class SignInForm(LoginForm):
    """allauth's, whose first field says what belongs there."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        login = self.fields["login"]
        login.label = _("Username or e-mail address")
        login.widget.attrs |= {"autocomplete": "username", "autocapitalize": "none"}
