"""Jobs: the list, the page of one, what can be done with them, and a new one by hand."""

from __future__ import annotations

import time
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.json import KT
from django.db.models.functions import Concat
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator, format_lazy
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from elastic_transcoder.admin import job_page, words
from elastic_transcoder.admin.forms import CallForm, form_page
from elastic_transcoder.admin.job_forms import JobForm, RepeatForm
from elastic_transcoder.admin.notices import send_again
from elastic_transcoder.admin.outputs import ErrorCodeFilter
from elastic_transcoder.admin.pipelines import switch_and_tell
from elastic_transcoder.admin.rows import (
    MOST_AT_ONCE,
    MOST_LISTED,
    ShownRows,
    distinct,
    may,
    newest,
    page_of,
)
from elastic_transcoder.models import Job, JobOutput, Notice, Pipeline

# The filter offers so many pipelines.
MOST_PIPELINES = 100
_HOUR_MS = 3_600_000


class PipelineFilter(admin.SimpleListFilter):
    """Pipelines by name; those deleted since, whose jobs are still there, by id."""

    title = _("pipeline")
    parameter_name = "pipeline"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list:
        named = list(Pipeline.objects.order_by("name", "id").values_list("id", "name"))
        ids = {pipeline_id for pipeline_id, _name in named}
        used = distinct(Job, "pipeline_id", most=MOST_PIPELINES)
        deleted = [(one, _("%s (deleted)") % one) for one in used if one not in ids]
        return [*named[:MOST_PIPELINES], *deleted]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job] | None:
        return queryset.filter(pipeline_id=self.value()) if self.value() else None


class SubmittedFilter(admin.SimpleListFilter):
    """When a job came. Ids begin with their time, so the index of ids answers."""

    title = _("submitted")
    parameter_name = "submitted"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list:
        return [
            ("hour", _("In the last hour")),
            ("today", _("Today")),
            ("week", _("In the last 7 days")),
            ("month", _("In the last 30 days")),
            ("older", _("Before that")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job] | None:
        now_ms = time.time_ns() // 1_000_000
        midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        month_ago = now_ms - 30 * 24 * _HOUR_MS
        since = {
            "hour": now_ms - _HOUR_MS,
            "today": int(midnight.timestamp() * 1000),
            "week": now_ms - 7 * 24 * _HOUR_MS,
            "month": month_ago,
        }
        if self.value() == "older":
            return queryset.filter(pk__lt=f"{month_ago:013d}")
        if self.value() in since:
            return queryset.filter(pk__gte=f"{since[self.value()]:013d}")
        return None


class JobErrorFilter(ErrorCodeFilter):
    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job] | None:
        code = self.code()
        if code is None:
            return None
        return queryset.filter(
            pk__in=JobOutput.objects.filter(error_code=code).order_by().values("job_id")
        )


@admin.register(Job)
class JobAdmin(ShownRows):
    list_display = ["id", "first_key", "state", "submitted", "took", "pipeline"]
    list_filter = ["status", PipelineFilter, SubmittedFilter, JobErrorFilter]
    ordering = ["-id"]
    sortable_by = ["id"]
    search_fields = ["id"]
    search_help_text = format_lazy(
        _(
            "The id of a job or pipeline, or a part of a key; keys are looked for in the newest "
            "{count} jobs of the chosen filters."
        ),
        count=f"{MOST_LISTED:,}",
    )
    # The page shows the rest; inputs, outputs and playlists may hold keys of encryptions.
    fields = ["id"]
    actions = ["cancel", "repeat", "send_again", "pause_pipeline", "resume_pipeline"]
    change_form_template = "admin/elastic_transcoder/job/change_form.html"

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return may(request, Job, "add")

    def has_repeat_permission(self, request: HttpRequest) -> bool:
        # The page shows what the job was.
        return self.has_add_permission(request) and self.has_view_permission(request)

    def has_pipeline_permission(self, request: HttpRequest) -> bool:
        return may(request, Pipeline, "change")

    def has_notice_permission(self, request: HttpRequest) -> bool:
        return may(request, Notice, "change")

    # --- The list -----------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        named = Pipeline.objects.filter(pk=OuterRef("pipeline_id")).order_by().values("name")
        return super().get_queryset(request).annotate(pipeline_name=Subquery(named[:1]))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        """Find a job by its id, else a pipeline's jobs, else a part of a key among the newest."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if Job.objects.filter(pk=term).exists():
            return queryset.filter(pk=term), False
        if Job.objects.filter(pipeline_id=term).exists():
            return queryset.filter(pipeline_id=term), False
        whole = Concat("job__output_key_prefix", "key")
        made = JobOutput.objects.filter(job_id=OuterRef("pk")).annotate(whole=whole)
        found = Q(input_key__contains=term) | Exists(made.filter(whole__contains=term))
        return newest(queryset).alias(input_key=KT("inputs__0__Key")).filter(found), False

    @admin.display(description=_("pipeline"))
    def pipeline(self, job: Job) -> str | SafeString:
        if job.pipeline_name is None:
            return _("%s (deleted)") % job.pipeline_id
        return format_html(
            '<a href="{}">{}</a>', page_of(Pipeline, job.pipeline_id), job.pipeline_name
        )

    @admin.display(description=_("status"))
    def state(self, job: Job) -> str:
        badge = words.badge(job.status)
        if job.status != Job.Status.PROGRESSING:
            return badge
        return format_html("{} {} %", badge, job.progress)

    @admin.display(description=_("submitted"))
    def submitted(self, job: Job) -> str:
        return words.brief_ms(job.submit_time_ms)

    @admin.display(description=_("took"))
    def took(self, job: Job) -> str:
        if job.start_time_ms is None or job.finish_time_ms is None:
            return words.NOTHING
        return words.span(job.finish_time_ms - job.start_time_ms)

    @admin.display(description=_("first input"))
    def first_key(self, job: Job) -> str:
        return Truncator(job.inputs[0].get("Key", "")).chars(60)

    # --- The page of one job ------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        job = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if job is not None:
            pipeline = Pipeline.objects.filter(pk=job.pipeline_id).first()
            sees_notices = may(request, Notice, "view") or may(request, Notice, "change")
            notices = list(job.notices.order_by("pk")) if sees_notices else []
            context = {
                **job_page.context(job, pipeline, notices),
                "sees_notices": sees_notices,
                "title": _now("Job %s") % job.pk,
                "subtitle": None,
                "page_actions": self._page_actions(request, job, pipeline),
                "repeat_url": self._repeat_url(job) if self.has_repeat_permission(request) else "",
                "time_zone": timezone.get_current_timezone_name(),
            }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def _page_actions(
        self, request: HttpRequest, job: Job, pipeline: Pipeline | None
    ) -> list[tuple[str, str]]:
        """Return the actions that make sense for the job and that the person may run."""
        fitting: list[tuple[str, str]] = []
        if job.status == Job.Status.SUBMITTED:
            fitting.append(("cancel", _now("Cancel")))
        if pipeline and pipeline.status == Pipeline.Status.ACTIVE:
            fitting.append(("pause_pipeline", _now("Pause its pipeline")))
        elif pipeline:
            fitting.append(("resume_pipeline", _now("Resume its pipeline")))
        if job.notices.exclude(status=Notice.Status.WAITING).exists():
            fitting.append(("send_again", _now("Send its notices again")))
        allowed = self.get_actions(request)
        return [(name, label) for name, label in fitting if name in allowed]

    # --- New jobs -----------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        repeat = self.admin_site.admin_view(self.repeat_view)
        name = "elastic_transcoder_job_repeat"
        return [path("<path:object_id>/repeat/", repeat, name=name), *super().get_urls()]

    def _repeat_url(self, job: Job) -> str:
        return reverse("admin:elastic_transcoder_job_repeat", args=[job.pk])

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Make a job as CreateJob does, and show it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method == "POST" and "more" in request.POST:
            form = JobForm.with_more_rows(request.POST)
        else:
            form = JobForm(request.POST or None)
        made = self._make(request, form)
        return made or form_page(
            self,
            request,
            form,
            JobForm.fieldsets,
            title=_("Create a job by hand"),
            template="admin/elastic_transcoder/job/add.html",
        )

    def repeat_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for the prefix of the new results, then make the same job once more."""
        if not self.has_repeat_permission(request):
            raise PermissionDenied
        job = Job.objects.prefetch_related("outputs").filter(pk=object_id).first()
        if job is None:
            raise Http404
        form = RepeatForm(job, request.POST if request.method == "POST" else None)
        made = self._make(request, form)
        return made or form_page(
            self,
            request,
            form,
            RepeatForm.fieldsets,
            title=_now("Repeat job %s") % job.pk,
            template="admin/elastic_transcoder/job/repeat.html",
            job=job,
            job_url=page_of(Job, job.pk),
        )

    def _make(self, request: HttpRequest, form: CallForm) -> HttpResponse | None:
        """Return the way to the new job's page, or None when the form is still to be filled."""
        if not form.is_bound or not form.is_valid():
            return None
        answer = form.call()
        if answer is None:
            return None
        job = Job.objects.get(pk=answer["Job"]["Id"])
        self.log_addition(request, job, [{"added": {}}])
        text = _now("The job %s was submitted.") % job.pk
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(page_of(Job, job.pk))

    # --- Actions ------------------------------------------------------------------------------

    @admin.action(description=_("Cancel jobs that no worker has begun"), permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        waiting = list(queryset.filter(status=Job.Status.SUBMITTED)[: MOST_AT_ONCE + 1])
        canceled = [job for job in waiting[:MOST_AT_ONCE] if job.cancel()]
        for job in canceled:
            self.log_change(request, job, "Canceled.")
        count = len(canceled)
        text = ngettext("%d job canceled.", "%d jobs canceled.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)
        if len(waiting) > MOST_AT_ONCE:
            text = _now("More of the chosen jobs wait: run the action again.")
            self.message_user(request, text, messages.WARNING)

    @admin.action(
        description=_("Repeat: a new job with the same inputs and outputs"), permissions=["repeat"]
    )
    def repeat(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        jobs = list(queryset[:2])
        if len(jobs) == 1:
            return HttpResponseRedirect(self._repeat_url(jobs[0]))
        text = _now("Choose one job: each repeat needs a prefix of its own.")
        self.message_user(request, text, messages.WARNING)
        return None

    @admin.action(description=_("Send their notices again"), permissions=["notice"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        chosen = list(queryset.values_list("pk", flat=True)[:MOST_AT_ONCE])
        send_again(self, request, Notice.objects.filter(job__in=chosen))

    @admin.action(description=_("Pause their pipelines"), permissions=["pipeline"])
    def pause_pipeline(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        switch_and_tell(self, request, _pipelines_of(queryset), Pipeline.Status.PAUSED)

    @admin.action(description=_("Resume their pipelines"), permissions=["pipeline"])
    def resume_pipeline(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        switch_and_tell(self, request, _pipelines_of(queryset), Pipeline.Status.ACTIVE)


def _pipelines_of(jobs: QuerySet[Job]) -> list[str]:
    return sorted(set(jobs.values_list("pipeline_id", flat=True)[:MOST_AT_ONCE]))
