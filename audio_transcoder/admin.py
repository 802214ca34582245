"""The operators' view of files, jobs and notices. Actions call what the pages call."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from audio_transcoder import direct_uploads, removal
from audio_transcoder.models import (
    AudioFile,
    DeletedJob,
    Deletion,
    IntakeObject,
    ReceivedNotice,
    Rendition,
    StorageAccount,
    TranscodeJob,
    Upload,
)

User = get_user_model()


class RowsWrittenByUs(admin.ModelAdmin):
    """Rows that only the program makes: to be looked at, not typed in."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class RenditionInline(admin.TabularInline):
    model = Rendition
    fields = ["format_name", "status", "size_bytes", "duration_ms", "reason", "detail", "file"]
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(AudioFile)
class AudioFileAdmin(admin.ModelAdmin):
    list_display = ["name", "owner", "codec", "size_bytes", "duration_ms", "created_at"]
    list_select_related = ["owner"]
    list_filter = ["created_at", "codec"]
    search_fields = ["name", "code", "owner__username"]
    fields = [
        "name", "owner", "file_name", "code", "mp3_file", "size_bytes", "sha256", "container",
        "codec", "channels", "sample_rate_hz", "duration_ms", "created_at", "examined_at",
    ]  # fmt: skip
    readonly_fields = [field for field in fields if field != "name"]
    inlines = [RenditionInline]
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    # Deleting goes through AudioFile.objects.remove(), which takes all that belongs to a file;
    # the collector would list protected jobs and refuse.
    def get_deleted_objects(
        self, objs: QuerySet[AudioFile], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        count = len(objs)
        return [str(file) for file in objs[:100]], {_("files"): count}, set(), []


@admin.register(TranscodeJob)
class TranscodeJobAdmin(RowsWrittenByUs):
    list_display = [
        "code", "audio_file", "status", "progress", "reason", "engine", "engine_id", "created_at",
        "finished_at",
    ]  # fmt: skip
    list_select_related = ["audio_file"]
    list_filter = ["status", "reason", "engine", "created_at"]
    search_fields = ["code", "engine_id", "audio_file__name", "audio_file__owner__username"]
    inlines = [RenditionInline]
    actions = ["retry", "cancel"]
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    @admin.action(description=_("Retry: order again what was not delivered"))
    def retry(self, request: HttpRequest, queryset: QuerySet[TranscodeJob]) -> None:
        count = sum(job.retry() is not None for job in queryset.select_related("audio_file"))
        text = ngettext("%d job ordered again.", "%d jobs ordered again.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)

    @admin.action(description=_("Cancel"))
    def cancel(self, request: HttpRequest, queryset: QuerySet[TranscodeJob]) -> None:
        count = sum(job.cancel() for job in queryset)
        text = ngettext("%d job canceled.", "%d jobs canceled.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)


@admin.register(Rendition)
class RenditionAdmin(RowsWrittenByUs):
    list_display = ["code", "audio_file", "format_name", "status", "size_bytes", "reason"]
    list_select_related = ["audio_file"]
    list_filter = ["format_name", "status", "reason"]
    search_fields = ["code", "audio_file__name"]
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class DeletedJobInline(admin.TabularInline):
    model = DeletedJob
    extra = 0


@admin.register(Deletion)
class DeletionAdmin(RowsWrittenByUs):
    list_display = ["prefixes", "created_at", "attempts", "next_step_at", "clear_since"]
    list_filter = ["created_at"]
    inlines = [DeletedJobInline]

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Upload)
class UploadAdmin(RowsWrittenByUs):
    """Direct uploads; to abort one here removes what the bucket has of it."""

    list_display = [
        "file_name", "owner", "size_bytes", "created_at", "touched_at", "finished_at", "aborted_at",
    ]  # fmt: skip
    list_select_related = ["owner"]
    list_filter = ["created_at"]
    search_fields = ["code", "file_code", "file_name", "owner__username"]
    actions = ["abort"]
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    @admin.action(description=_("Abort"))
    def abort(self, request: HttpRequest, queryset: QuerySet[Upload]) -> None:
        for upload in queryset:
            direct_uploads.abort(upload)
        self.message_user(request, _("Aborted, as far as they were unfinished."))


@admin.register(ReceivedNotice)
class ReceivedNoticeAdmin(RowsWrittenByUs):
    list_display = ["message_id", "topic_arn", "outcome", "received_at"]
    list_filter = ["outcome", "topic_arn", "received_at"]
    search_fields = ["message_id"]
    show_full_result_count = False


@admin.register(StorageAccount)
class StorageAccountAdmin(RowsWrittenByUs):
    """Who keeps how much, largest first, and what that costs in a month."""

    list_display = ["username", "files", "uploads", "results", "total", "monthly_cost"]
    list_display_links = None
    # Its address can be written by hand, and by itself it would show the whole row of the person.
    fields = ["username", "email"]
    search_fields = ["username", "email"]
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[StorageAccount]:
        return StorageAccount.objects.with_use()

    def get_ordering(self, request: HttpRequest) -> list[str]:
        return ["-total_bytes"]

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    @admin.display(description=_("files"), ordering="files")
    def files(self, account: StorageAccount) -> int:
        return account.files

    @admin.display(description=_("uploads"), ordering="upload_bytes")
    def uploads(self, account: StorageAccount) -> str:
        return filesizeformat(account.upload_bytes)

    @admin.display(description=_("results"), ordering="result_bytes")
    def results(self, account: StorageAccount) -> str:
        return filesizeformat(account.result_bytes)

    @admin.display(description=_("together"), ordering="total_bytes")
    def total(self, account: StorageAccount) -> str:
        return filesizeformat(account.total_bytes)

    @admin.display(description=_("estimate for a month"), ordering="total_bytes")
    def monthly_cost(self, account: StorageAccount) -> str:
        cost = account.total_bytes / 1024**3 * settings.STORAGE_PRICE_PER_GIB
        amount = number_format(round(cost, 2), 2, force_grouping=True)
        return f"{amount} {settings.STORAGE_CURRENCY}"


@admin.register(IntakeObject)
class IntakeObjectAdmin(RowsWrittenByUs):
    """What came without a browser; the row of a refused object deleted: it is tried again."""

    list_display = ["key", "owner_name", "state", "reason", "size_bytes", "received_at"]
    list_filter = ["state", "reason", "received_at"]
    search_fields = ["key", "owner_name", "code"]
    show_full_result_count = False


admin.site.unregister(User)


@admin.register(User)
class PersonAdmin(UserAdmin):
    """People; deleting one deletes their files first, with all objects and running jobs."""

    def get_deleted_objects(
        self, objs: QuerySet, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        files = AudioFile.objects.filter(owner__in=list(objs)).count()
        counts = {_("people"): len(objs), _("files"): files}
        return [str(person) for person in objs], counts, set(), []

    def delete_model(self, request: HttpRequest, obj: object) -> None:
        with transaction.atomic():
            removal.forget([obj])
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        with transaction.atomic():
            removal.forget(list(queryset))
            super().delete_queryset(request, queryset)
