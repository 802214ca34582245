"""Forms that end in a call of the API, and the page that shows one."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.validators import RegexValidator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from elastic_transcoder.admin import calls
from elastic_transcoder.api.errors import ApiError
from elastic_transcoder.api.service import pattern, service

# One of the violations in a message of api.parsing, up to the next.
_VIOLATION = re.compile(
    r"Value (?:null|'.*?') at '([\w.]+)' failed to satisfy constraint: "
    r".*?(?=; Value (?:null|')|\Z)",
    re.DOTALL,
)


def shaped(shape: str, *, wrong: str = "", **options: Any) -> forms.CharField:
    """Return a field for a text of the service model's ``shape``.

    As long as the shape allows; with ``wrong`` a text of another pattern is refused in these
    words, else in the API's.
    """
    limits = service().shape_for(shape).metadata
    checks = [RegexValidator(pattern(limits["pattern"]), wrong)] if wrong else []
    return forms.CharField(
        max_length=limits.get("max"), validators=checks, widget=AdminTextInputWidget, **options
    )


class CallForm(forms.Form):
    """A form for one operation of the API; it makes the members in ``members()``."""

    operation = ""
    # Where the API's messages place a value -> field of this form.
    fields_of_paths: ClassVar[dict[str, str]] = {}

    def call(self) -> dict[str, Any] | None:
        """Return the API's answer; None when it refused, with its sentences as errors."""
        try:
            return calls.call(self.operation, self.members())
        except ApiError as error:
            self.take(error)
            return None

    def take(self, error: ApiError) -> None:
        """Put each violation beside its field, and what belongs to none above all fields."""
        violations = list(_VIOLATION.finditer(error.message))
        if not violations:
            self.add_error(None, error.message)
        for violation in violations:
            self.place(violation[1], violation[0])

    def place(self, path: str, sentence: str) -> None:
        self.add_error(self.fields_of_paths.get(path), sentence)


def form_page(
    model_admin: admin.ModelAdmin,
    request: HttpRequest,
    form: forms.Form,
    fieldsets: list[tuple[str | None, dict[str, Any]]],
    *,
    title: str,
    template: str = "admin/elastic_transcoder/form_page.html",
    **context: Any,
) -> HttpResponse:
    """Return a page of the console with ``form``, laid out as the admin lays out its own.

    422 when the form has errors.
    """
    has_errors = form.is_bound and not form.is_valid()
    return TemplateResponse(
        request,
        template,
        {
            **model_admin.admin_site.each_context(request),
            "opts": model_admin.opts,
            "title": title,
            "form": form,
            "adminform": AdminForm(form, fieldsets, {}),
            "errors": has_errors,
            "media": model_admin.media + form.media,
            **context,
        },
        status=422 if has_errors else 200,
    )
