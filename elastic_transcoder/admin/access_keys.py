"""Access keys: who may call the API."""

from __future__ import annotations

from collections.abc import Callable

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_variables

from elastic_transcoder import keys
from elastic_transcoder.admin.forms import form_page
from elastic_transcoder.admin.rows import ShownRows, may
from elastic_transcoder.models import AccessKey, CallRate


class AccessKeyForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=AccessKey._meta.get_field("name").max_length,
        widget=AdminTextInputWidget,
        help_text=_("Who or what calls with this key, for example “podcast importer”."),
    )

    def clean_name(self) -> str:
        """Refuse a name that no key can have, and one that is taken: sent twice makes one key."""
        name = self.cleaned_data["name"]
        try:
            keys.check_name(name)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        if AccessKey.objects.filter(name=name).exists():
            raise ValidationError(
                _(
                    "There is an access key with this name already. Its secret was shown when it "
                    "was made and cannot be shown again; if it is lost, disable that key and add "
                    "another one under another name."
                )
            )
        return name


@admin.register(AccessKey)
class AccessKeyAdmin(ShownRows):
    list_display = ["name", "access_key_id", "is_enabled", "last_used_at"]
    list_filter = ["is_enabled"]
    search_fields = ["name", "access_key_id"]
    # The secret is nobody's to read, not even encrypted.
    fields = ["name", "access_key_id", "is_enabled", "created_at", "last_used_at"]
    actions = ["enable", "disable"]

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return may(request, AccessKey, "add")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Ask for a name, then show id and secret in the answer itself."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = AccessKeyForm(request.POST if request.method == "POST" else None)
        made = self._make(request, form) if form.is_bound else None
        fieldsets = [(None, {"fields": ["name"]})]
        return made or form_page(self, request, form, fieldsets, title=_("Add access key"))

    @sensitive_variables("secret", "context")
    def _make(self, request: HttpRequest, form: AccessKeyForm) -> HttpResponse | None:
        """Make the key and return the page that shows its secret; None when the form is wrong.

        The secret is in this one answer, which no browser or proxy may keep, and nowhere else:
        no redirect carries it, so no session, message or log holds it.
        """
        # SQLite has one writer, so a name that is free is still free when the key is made.
        with transaction.atomic():
            if not form.is_valid():
                return None
            key, secret = keys.create(form.cleaned_data["name"])
            self.log_addition(request, key, [{"added": {}}])
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("The new access key"),
            "key": key,
            "secret": secret,
            "media": self.media,
        }
        return render(request, "admin/elastic_transcoder/accesskey/made.html", context)

    @admin.action(description=_("Enable"), permissions=["operate"])
    def enable(self, request: HttpRequest, queryset: QuerySet[AccessKey]) -> None:
        count = self._switch(request, queryset, keys.enable, "Enabled.")
        text = ngettext("%d access key enabled.", "%d access keys enabled.", count) % count
        self.message_user(request, text, messages.SUCCESS)

    @admin.action(
        description=_("Disable: calls with this key are refused at once"), permissions=["operate"]
    )
    def disable(self, request: HttpRequest, queryset: QuerySet[AccessKey]) -> None:
        count = self._switch(request, queryset, keys.disable, "Disabled.")
        text = ngettext("%d access key disabled.", "%d access keys disabled.", count) % count
        self.message_user(request, text, messages.SUCCESS)

    def _switch(
        self,
        request: HttpRequest,
        chosen: QuerySet[AccessKey],
        act: Callable[[str], bool],
        entry: str,
    ) -> int:
        """Enable or disable keys, log it, and return how many there were."""
        changed = [key for key in chosen if act(key.access_key_id)]
        for key in changed:
            self.log_change(request, key, entry)
        return len(changed)


@admin.register(CallRate)
class CallRateAdmin(ShownRows):
    """Which keys call what that is limited; how far each is ahead is for the API alone."""

    list_display = ["key", "operation"]
    list_select_related = ["key"]
    list_filter = ["operation"]
    search_fields = ["key__name", "key__access_key_id"]
    fields = ["key", "operation"]
