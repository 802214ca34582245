"""Outputs of all jobs: to find the job that made a key, or what failed with one code."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from elastic_transcoder.admin import words
from elastic_transcoder.admin.rows import MOST_LISTED, ShownRows, distinct, newest, page_of
from elastic_transcoder.models import Job, JobOutput


class ErrorCodeFilter(admin.SimpleListFilter):
    """Codes that occur; the index ``output_error`` knows them and their rows."""

    title = _("error code")
    parameter_name = "error_code"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list:
        codes = distinct(JobOutput, "error_code", most=100)
        return [(str(code), words.error(code)) for code in codes]

    def code(self) -> int | None:
        """Return the chosen code; None for a value that is none."""
        value = self.value() or ""
        return int(value) if value.isascii() and value.isdecimal() and len(value) < 6 else None

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet | None:
        code = self.code()
        return None if code is None else queryset.filter(error_code=code)


@admin.register(JobOutput)
class JobOutputAdmin(ShownRows):
    list_display = ["job_page", "number", "final_key", "preset_id", "state", "error"]
    list_display_links = ["number"]
    list_filter = [ErrorCodeFilter]
    list_select_related = ["job"]
    ordering = ["-job_id", "-number"]  # as the indexes have them
    sortable_by = ()
    search_fields = ["job__id"]
    search_help_text = format_lazy(
        _("The id of a job or a part of a key; keys are looked for in the newest {count} outputs."),
        count=f"{MOST_LISTED:,}",
    )
    # Options are not among them: they may hold the key of an encrypted result.
    fields = [
        "job_page", "number", "final_key", "preset_id", "state", "status_detail", "length", "size",
        "sha256",
    ]  # fmt: skip
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[JobOutput], search_term: str
    ) -> tuple[QuerySet[JobOutput], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if Job.objects.filter(pk=term).exists():
            return queryset.filter(job_id=term), False
        return newest(queryset, by="job_id").filter(key__contains=term), False

    @admin.display(description=_("job"))
    def job_page(self, output: JobOutput) -> SafeString:
        return format_html('<a href="{}">{}</a>', page_of(Job, output.job_id), output.job_id)

    @admin.display(description=_("status"))
    def state(self, output: JobOutput) -> str:
        return words.badge(output.status)

    @admin.display(description=_("error"))
    def error(self, output: JobOutput) -> str:
        return words.NOTHING if output.error_code is None else words.error(output.error_code)

    @admin.display(description=_("length"))
    def length(self, output: JobOutput) -> str:
        return words.span(output.duration_ms)

    @admin.display(description=_("size"))
    def size(self, output: JobOutput) -> str:
        return words.size(output.size_bytes)
