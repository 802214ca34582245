from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from transcode_messages.models import Email, Message, Preferences


@admin.register(Message)
class MessageAdmin(admin.ModelAdmin):
    """What people were told. Messages are written by the rooms that know, never by hand."""

    list_display = ["text", "user", "level", "created_at", "read_at"]
    list_filter = ["level", ("read_at", admin.EmptyFieldListFilter), "created_at"]
    list_select_related = ["user"]
    search_fields = ["text", "event", "user__username"]
    date_hierarchy = "created_at"
    show_full_result_count = False
    readonly_fields = [
        "user",
        "event",
        "about",
        "level",
        "text",
        "link",
        "retry_url",
        "email",
        "created_at",
        "read_at",
    ]
    actions = ["mark_read"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(description=_("Mark as read"))
    def mark_read(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        count = queryset.mark_read()
        text = ngettext("%d message marked as read.", "%d messages marked as read.", count)
        self.message_user(request, text % count)


@admin.register(Email)
class EmailAdmin(admin.ModelAdmin):
    """What was mailed, what waits, and why something was not: only to look at."""

    list_display = ["code", "kind", "user", "created_at", "sent_at", "next_step_at", "problem"]
    list_filter = ["kind", ("sent_at", admin.EmptyFieldListFilter), "created_at"]
    list_select_related = ["user"]
    search_fields = ["problem", "user__username"]
    date_hierarchy = "created_at"
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Email | None = None) -> bool:
        return False


@admin.register(Preferences)
class PreferencesAdmin(admin.ModelAdmin):
    """How people chose to be told: only to look at."""

    list_display = [
        "user",
        "email_when_ready",
        "email_when_failed",
        "email_daily",
        "browser_notifications",
        "language",
    ]
    list_filter = ["email_when_ready", "email_when_failed", "email_daily", "language"]
    list_select_related = ["user"]
    search_fields = ["user__username"]
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Preferences | None = None) -> bool:
        return False
