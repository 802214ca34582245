from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from transcode_messages.models import Message


@admin.register(Message)
class MessageAdmin(admin.ModelAdmin):
    """What people were told. Messages are written by the rooms that know, never by hand."""

    list_display = ["text", "user", "level", "created_at", "read_at"]
    list_filter = ["level", ("read_at", admin.EmptyFieldListFilter), "created_at"]
    list_select_related = ["user"]
    search_fields = ["text", "event", "user__username"]
    date_hierarchy = "created_at"
    show_full_result_count = False
    readonly_fields = ["user", "event", "about", "level", "text", "link", "created_at", "read_at"]
    actions = ["mark_read"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(description="Mark as read")
    def mark_read(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        count = queryset.mark_read()
        self.message_user(request, f"{count} marked as read.")
