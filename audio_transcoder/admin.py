"""The operators' view of files, jobs and notices. Actions call what the pages call."""

from __future__ import annotations

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.db import transaction
from django.db.models import Field, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from audio_transcoder import dashboard, removal
from audio_transcoder.figures import money
from audio_transcoder.models import (
    AudioFile,
    DeletedFile,
    DeletedJob,
    Deletion,
    IntakeObject,
    ReceivedNotice,
    Rendition,
    Share,
    StorageAccount,
    TranscodeJob,
    Upload,
)
from audio_transcoder.uploads import direct_uploads

User = get_user_model()


class RowsWrittenByUs(admin.ModelAdmin):
    """Rows that only the program makes: to be looked at, not typed in."""

    class Media:
        css = {"all": ["css/console.css", "css/dashboard.css"]}

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class ReasonFilter(admin.AllValuesFieldListFilter):
    """The reasons that rows have; to have none is no choice."""

    def __init__(self, field: Field, *args: object, **kwargs: object) -> None:
        super().__init__(field, *args, **kwargs)
        self.lookup_choices = self.lookup_choices.exclude(**{field.name: ""})


class OverdueFilter(admin.SimpleListFilter):
    """Those that the dashboard counts as overdue."""

    title = _("overdue")
    parameter_name = "overdue"
    LOOKUPS = {parameter_name: "yes"}

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin
    ) -> list[tuple[str, object]]:
        return [("yes", _("Yes"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() is None:
            return queryset
        return queryset.filter(dashboard.overdue(queryset.model, timezone.now()))


def badge(look: str, words: str) -> SafeString:
    """Return a state as lists show it; for the looks see ``static/css/console.css``."""
    return format_html('<span class="state state-{}">{}</span>', look, words)


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
    list_display = ["audio_file", "state", "reason", "created_at", "finished_at"]
    list_select_related = ["audio_file"]
    list_filter = ["status", ("reason", ReasonFilter), "engine", "created_at", "finished_at"]
    search_fields = ["code", "engine_id", "audio_file__name", "audio_file__owner__username"]
    inlines = [RenditionInline]
    actions = ["retry", "cancel"]
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    @admin.display(description=_("status"), ordering="status")
    def state(self, job: TranscodeJob) -> SafeString:
        words = job.get_status_display()
        if job.status == TranscodeJob.Status.PROGRESSING:
            words = f"{words} {job.progress} %"
        return badge(job.status.lower(), words)

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
    list_filter = ["format_name", "status", ("reason", ReasonFilter)]
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
    list_filter = [OverdueFilter, "created_at"]
    inlines = [DeletedJobInline]

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(DeletedFile)
class DeletedFileAdmin(RowsWrittenByUs):
    """What is deleted here counts no more: its owner may upload another file at once."""

    list_display = ["uploaded_at", "owner"]
    list_select_related = ["owner"]
    search_fields = ["owner__username"]
    show_full_result_count = False


@admin.register(Upload)
class UploadAdmin(RowsWrittenByUs):
    """Direct uploads; to abort one here removes what the bucket has of it."""

    list_display = ["file_name", "owner", "state", "size", "touched_at"]
    list_select_related = ["owner"]
    list_filter = [
        OverdueFilter,
        "created_at",
        ("finished_at", admin.EmptyFieldListFilter),
        ("aborted_at", admin.EmptyFieldListFilter),
    ]
    search_fields = ["code", "file_code", "file_name", "owner__username"]
    actions = ["abort"]
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    @admin.display(description=_("state"))
    def state(self, upload: Upload) -> SafeString:
        if upload.finished_at:
            return badge("complete", _("finished"))
        if upload.aborted_at:
            return badge("canceled", _("aborted"))
        return badge("progressing", _("under way"))

    @admin.display(description=_("size"), ordering="size_bytes")
    def size(self, upload: Upload) -> str:
        return filesizeformat(upload.size_bytes)

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

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        title = {"title": self.opts.verbose_name_plural.capitalize()}
        return super().changelist_view(request, {**title, **(extra_context or {})})

    @admin.display(description=_("files"), ordering="files")
    def files(self, account: StorageAccount) -> str:
        url = reverse("admin:audio_transcoder_audiofile_changelist")
        number = number_format(account.files, force_grouping=True)
        return format_html('<a href="{}?owner={}">{}</a>', url, account.pk, number)

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
        return money(dashboard.monthly_cost(account.total_bytes))


@admin.register(IntakeObject)
class IntakeObjectAdmin(RowsWrittenByUs):
    """What came without a browser; the row of a refused object deleted: it is tried again."""

    LOOKS = {
        IntakeObject.State.WAITING: "waiting",
        IntakeObject.State.TAKEN: "complete",
        IntakeObject.State.REFUSED: "refused",
    }

    list_display = ["file_name", "owner_name", "state_words", "reason", "size", "received_at"]
    list_filter = ["state", ("reason", ReasonFilter), "received_at"]
    search_fields = ["key", "owner_name", "code"]
    show_full_result_count = False

    # Keys are long: a list has their ends, and the page of a row all of it.
    @admin.display(description=_("file"), ordering="key")
    def file_name(self, row: IntakeObject) -> str:
        return row.file_name or row.key

    @admin.display(description=_("state"), ordering="state")
    def state_words(self, row: IntakeObject) -> SafeString:
        return badge(self.LOOKS[row.state], row.get_state_display())

    @admin.display(description=_("size"), ordering="size_bytes")
    def size(self, row: IntakeObject) -> str:
        return filesizeformat(row.size_bytes)


@admin.register(Share)
class ShareAdmin(RowsWrittenByUs):
    """Links for people without an account. The links themselves are not shown."""

    list_display = [
        "audio_file", "rendition", "with_original", "created_at", "expires_at", "revoked_at",
        "listens", "downloads", "last_used_at",
    ]  # fmt: skip
    list_select_related = ["audio_file", "rendition"]
    list_filter = ["created_at", "expires_at", "revoked_at"]
    search_fields = ["audio_file__name", "audio_file__code", "audio_file__owner__username"]
    actions = ["end"]
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    @admin.action(description=_("End: the link opens nothing any more"))
    def end(self, request: HttpRequest, queryset: QuerySet[Share]) -> None:
        count = queryset.revoke()
        text = ngettext("%d link ended.", "%d links ended.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)


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
