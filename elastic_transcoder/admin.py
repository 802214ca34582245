"""The operators' view of the transcoder: keys, pipelines, jobs and notices."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from elastic_transcoder import keys
from elastic_transcoder.models import AccessKey, CallRate, Job, JobOutput, Notice, Pipeline, Preset


class RowsWrittenByTheApi(admin.ModelAdmin):
    """Rows that calls and workers make: to be looked at, not typed in."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(AccessKey)
class AccessKeyAdmin(RowsWrittenByTheApi):
    list_display = ["name", "access_key_id", "is_enabled", "created_at", "last_used_at"]
    list_filter = ["is_enabled"]
    search_fields = ["name", "access_key_id"]
    # The secret is nobody's to read, not even encrypted.
    fields = ["name", "access_key_id", "is_enabled", "created_at", "last_used_at"]
    actions = ["enable", "disable"]

    @admin.action(description=_("Enable"))
    def enable(self, request: HttpRequest, queryset: QuerySet[AccessKey]) -> None:
        for key in queryset:
            keys.enable(key.access_key_id)

    @admin.action(description=_("Disable: calls with this key are refused at once"))
    def disable(self, request: HttpRequest, queryset: QuerySet[AccessKey]) -> None:
        for key in queryset:
            keys.disable(key.access_key_id)


@admin.register(CallRate)
class CallRateAdmin(RowsWrittenByTheApi):
    """Which keys call what that is limited; how far each is ahead is for the API alone."""

    list_display = ["key", "operation"]
    list_select_related = ["key"]
    list_filter = ["operation"]
    search_fields = ["key__name", "key__access_key_id"]
    fields = ["key", "operation"]


@admin.register(Pipeline)
class PipelineAdmin(RowsWrittenByTheApi):
    list_display = ["name", "id", "status", "input_bucket", "output_bucket", "created_at"]
    list_filter = ["status"]
    search_fields = ["name", "id"]


@admin.register(Preset)
class PresetAdmin(RowsWrittenByTheApi):
    list_display = ["name", "id", "container", "created_at"]
    list_filter = ["container"]
    search_fields = ["name", "id"]


class JobOutputInline(admin.TabularInline):
    model = JobOutput
    fields = [
        "number", "key", "preset_id", "status", "status_detail", "error_code", "duration_ms",
        "size_bytes",
    ]  # fmt: skip
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class NoticeInline(admin.TabularInline):
    model = Notice
    fields = ["state", "url", "status", "attempts", "last_answer", "created_at", "finished_at"]
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(RowsWrittenByTheApi):
    list_display = ["id", "pipeline_id", "status", "progress", "attempts", "lease_until"]
    list_filter = ["status"]
    search_fields = ["id", "pipeline_id"]
    inlines = [JobOutputInline, NoticeInline]
    actions = ["cancel"]

    @admin.action(description=_("Cancel jobs that no worker has begun"))
    def cancel(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        count = sum(job.cancel() for job in queryset)
        text = ngettext("%d job canceled.", "%d jobs canceled.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)


@admin.register(JobOutput)
class JobOutputAdmin(RowsWrittenByTheApi):
    list_display = ["job_id", "number", "key", "preset_id", "status", "error_code"]
    list_filter = ["status", "error_code", "preset_id"]
    search_fields = ["job__id", "key"]


@admin.register(Notice)
class NoticeAdmin(RowsWrittenByTheApi):
    list_display = ["job_id", "state", "url", "status", "attempts", "last_answer", "created_at"]
    list_filter = ["status", "state"]
    search_fields = ["job__id", "message_id", "topic_arn"]
    actions = ["send_again"]

    @admin.action(description=_("Send again"))
    def send_again(self, request: HttpRequest, queryset: QuerySet[Notice]) -> None:
        count = sum(notice.send_again() for notice in queryset)
        text = ngettext("%d notice is sent again.", "%d notices are sent again.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)
