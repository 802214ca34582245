"""Which processes are alive, for operators."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from steps.models import Heartbeat


@admin.register(Heartbeat)
class HeartbeatAdmin(admin.ModelAdmin):
    list_display = ["kind", "process", "at"]
    list_filter = ["kind"]
    search_fields = ["process"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
