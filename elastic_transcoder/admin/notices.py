"""Notices of all jobs, and whether they arrived."""

from __future__ import annotations

from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from elastic_transcoder.admin import words
from elastic_transcoder.admin.rows import MOST_AT_ONCE, MOST_LISTED, ShownRows, newest, page_of
from elastic_transcoder.models import Job, Notice
from sns import deliver


def send_again(
    model_admin: admin.ModelAdmin, request: HttpRequest, notices: QuerySet[Notice]
) -> None:
    """Have notices sent again that are delivered or given up, and say how many."""
    count = sum(notice.send_again() for notice in notices[:MOST_AT_ONCE])
    text = ngettext("%d notice is sent again.", "%d notices are sent again.", count) % count
    model_admin.message_user(request, text, messages.SUCCESS if count else messages.WARNING)


@admin.register(Notice)
class NoticeAdmin(ShownRows):
    list_display = [
        "state", "job_page", "subscriber", "delivery", "attempts", "last_answer", "created_at",
    ]  # fmt: skip
    list_filter = ["status"]
    sortable_by = ()
    search_fields = ["job__id"]
    search_help_text = format_lazy(
        _("The id of a job or message; messages are looked for in the newest {count} notices."),
        count=f"{MOST_LISTED:,}",
    )
    fields = [
        "state", "job_page", "topic_arn", "subscriber", "delivery", "attempts", "next_attempt_at",
        "last_answer", "created_at", "published_at", "finished_at", "message_id", "subject",
        "message",
    ]  # fmt: skip
    readonly_fields = fields
    actions = ["send_again"]

    def get_ordering(self, request: HttpRequest) -> list[str]:
        """The newest first; of those that wait the next: the orders in which they have indexes."""
        waiting = request.GET.get("status__exact") == Notice.Status.WAITING
        return ["next_attempt_at", "pk"] if waiting else ["-pk"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Notice], search_term: str
    ) -> tuple[QuerySet[Notice], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if Job.objects.filter(pk=term).exists():
            return queryset.filter(job_id=term), False
        try:
            message_id = UUID(term)
        except ValueError:
            return queryset.none(), False
        return newest(queryset).filter(message_id=message_id), False

    @admin.display(description=_("job"))
    def job_page(self, notice: Notice) -> SafeString:
        return format_html('<a href="{}">{}</a>', page_of(Job, notice.job_id), notice.job_id)

    @admin.display(description=_("subscriber"))
    def subscriber(self, notice: Notice) -> str:
        return deliver.shown(notice.url) if notice.url else _("Amazon SNS")

    @admin.display(description=_("delivery"))
    def delivery(self, notice: Notice) -> str:
        return words.badge(notice.status)

    @admin.action(description=_("Send again"), permissions=["operate"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Notice]) -> None:
        send_again(self, request, queryset)
