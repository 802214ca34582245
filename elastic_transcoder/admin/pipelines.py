"""Pipelines: how many jobs wait, pause and resume, and a new one by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import escape
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from elastic_transcoder.admin import words
from elastic_transcoder.admin.calls import call
from elastic_transcoder.admin.forms import CallForm, form_page, shaped
from elastic_transcoder.admin.rows import ShownRows, list_of, may, page_of
from elastic_transcoder.api.errors import ApiError
from elastic_transcoder.models import Job, Pipeline
from elastic_transcoder.pipelines import EVENTS
from sns import deliver

# Jobs that a pipeline's page shows of its queue.
SHOWN_OF_QUEUE = 20

_BUCKET = _("Letters, digits, dots, hyphens and underscores only.")
_TOPIC = _("A topic looks like arn:aws:sns:eu-west-1:000000000000:name.")


def _default_role() -> str:
    account = settings.TRANSCODER_ACCOUNT_ID
    return f"arn:aws:iam::{account}:role/Elastic_Transcoder_Default_Role"


class PipelineForm(CallForm):
    operation = "CreatePipeline"
    fields_of_paths: ClassVar[dict[str, str]] = {
        "name": "name",
        "inputBucket": "input_bucket",
        "outputBucket": "output_bucket",
        "role": "role",
        **{f"notifications.{event.lower()}": event.lower() for event in EVENTS},
    }

    name = shaped("Name", label=_("Name"))
    input_bucket = shaped(
        "BucketName", wrong=_BUCKET, label=_("Input bucket"), help_text=_("Sounds are read here.")
    )
    output_bucket = shaped(
        "BucketName", wrong=_BUCKET, label=_("Output bucket"), help_text=_("Results go here.")
    )
    role = shaped(
        "Role",
        label=_("Role"),
        initial=_default_role,
        help_text=_("Old programs expect one; this server itself needs none. Leave it as it is."),
    )
    progressing = shaped("SnsTopic", wrong=_TOPIC, label=_("When a job starts"), required=False)
    completed = shaped("SnsTopic", wrong=_TOPIC, label=_("When a job is done"), required=False)
    warning = shaped("SnsTopic", wrong=_TOPIC, label=_("When there is a warning"), required=False)
    error = shaped("SnsTopic", wrong=_TOPIC, label=_("When a job fails"), required=False)

    def members(self) -> dict[str, Any]:
        values = self.cleaned_data
        return {
            "Name": values["name"],
            "InputBucket": values["input_bucket"],
            "OutputBucket": values["output_bucket"],
            "Role": values["role"],
            "Notifications": {event: values[event.lower()] for event in EVENTS},
        }


def switch(pipeline_ids: Iterable[str], status: str) -> tuple[list[Pipeline], list[str]]:
    """Pause or resume pipelines by UpdatePipelineStatus; return those done, and what failed."""
    done, failures = [], []
    for pipeline_id in pipeline_ids:
        try:
            call("UpdatePipelineStatus", {"Status": status}, Id=pipeline_id)
        except ApiError as error:
            failures.append(error.message)
        else:
            done.append(Pipeline.objects.get(pk=pipeline_id))
    return done, failures


def switch_and_tell(
    model_admin: admin.ModelAdmin, request: HttpRequest, pipeline_ids: Iterable[str], status: str
) -> None:
    """Pause or resume pipelines, and say and log what was done."""
    done, failures = switch(pipeline_ids, status)
    for pipeline in done:
        is_paused = status == Pipeline.Status.PAUSED
        model_admin.log_change(request, pipeline, "Paused." if is_paused else "Resumed.")
    count = len(done)
    if status == Pipeline.Status.PAUSED:
        text = ngettext("%d pipeline paused.", "%d pipelines paused.", count) % count
    else:
        text = ngettext("%d pipeline resumed.", "%d pipelines resumed.", count) % count
    model_admin.message_user(request, text, messages.SUCCESS if count else messages.WARNING)
    for failure in failures:
        model_admin.message_user(request, failure, messages.ERROR)


@admin.register(Pipeline)
class PipelineAdmin(ShownRows):
    list_display = ["name", "id", "state", "waiting", "running", "oldest", "buckets", "created_at"]
    search_fields = ["name", "id"]
    fields = ["name", "id", "state", "input_bucket", "results", "role", "kms_key", "created_at"]
    readonly_fields = ["id", "state", "results", "kms_key"]
    actions = ["pause", "resume"]
    change_form_template = "admin/elastic_transcoder/pipeline/change_form.html"

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return may(request, Pipeline, "add")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Pipeline]:
        """Count what waits and what runs; the index ``job_claim`` holds both together."""
        jobs = Job.objects.filter(pipeline_id=OuterRef("pk")).order_by()
        waiting = jobs.filter(status=Job.Status.SUBMITTED)
        running = jobs.filter(status=Job.Status.PROGRESSING)
        return (
            super()
            .get_queryset(request)
            .annotate(
                jobs_waiting=_count(waiting),
                jobs_running=_count(running),
                oldest_ms=Subquery(waiting.order_by("id").values("submit_time_ms")[:1]),
            )
        )

    @admin.display(description=_("status"), ordering="status")
    def state(self, pipeline: Pipeline) -> str:
        return words.badge(pipeline.status)

    @admin.display(description=_("jobs waiting"))
    def waiting(self, pipeline: Pipeline) -> int:
        return pipeline.jobs_waiting

    @admin.display(description=_("jobs running"))
    def running(self, pipeline: Pipeline) -> int:
        return pipeline.jobs_running

    @admin.display(description=_("oldest waits for"))
    def oldest(self, pipeline: Pipeline) -> str:
        return _age(pipeline.oldest_ms)

    @admin.display(description=_("buckets"))
    def buckets(self, pipeline: Pipeline) -> str:
        return f"{pipeline.input_bucket} → {pipeline.result_bucket}"

    @admin.display(description=_("results go to"))
    def results(self, pipeline: Pipeline) -> str:
        storage_class = (pipeline.content_config or {}).get("StorageClass")
        return ", ".join(filter(None, [pipeline.result_bucket, storage_class]))

    @admin.display(description=_("KMS key"))
    def kms_key(self, pipeline: Pipeline) -> str:
        return pipeline.aws_kms_key_arn or words.NOTHING

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        pipeline = self.get_object(request, object_id)
        context = {} if pipeline is None else self._page(request, pipeline)
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def _page(self, request: HttpRequest, pipeline: Pipeline) -> dict[str, Any]:
        jobs = Job.objects.filter(pipeline_id=pipeline.pk).defer("log", "playlists")
        running = jobs.filter(status=Job.Status.PROGRESSING).order_by("id")[:SHOWN_OF_QUEUE]
        waiting = jobs.filter(status=Job.Status.SUBMITTED).order_by("id")[:SHOWN_OF_QUEUE]
        is_active = pipeline.status == Pipeline.Status.ACTIVE
        act = ("pause", _("Pause")) if is_active else ("resume", _("Resume"))
        return {
            "title": pipeline.name,
            "subtitle": None,
            "waiting": pipeline.jobs_waiting,
            "running": pipeline.jobs_running,
            "oldest": _age(pipeline.oldest_ms),
            "queue": [_of_queue(job) for job in (*running, *waiting)],
            "jobs_url": f"{list_of(Job)}?pipeline={pipeline.pk}",
            "sees_jobs": may(request, Job, "view") or may(request, Job, "change"),
            "topics": [_topic(event, pipeline.notifications.get(event, "")) for event in EVENTS],
            "page_actions": [act] if self.has_operate_permission(request) else [],
        }

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        """Make a pipeline as CreatePipeline does, and show it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = PipelineForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            answer = form.call()
            if answer is not None:
                pipeline = Pipeline.objects.get(pk=answer["Pipeline"]["Id"])
                self.log_addition(request, pipeline, [{"added": {}}])
                text = _now("The pipeline “%s” takes jobs now.") % pipeline.name
                self.message_user(request, text, messages.SUCCESS)
                return HttpResponseRedirect(page_of(Pipeline, pipeline.pk))
        known = ", ".join(settings.TRANSCODER_TOPICS)
        told = _now("The topic that is told, by its ARN; empty: nobody is told.")
        if known:
            told += " " + _now("This server delivers itself: %s.") % known
        fieldsets = [
            (None, {"fields": ["name", "input_bucket", "output_bucket", "role"]}),
            (
                _("Notices"),
                {"fields": [event.lower() for event in EVENTS], "description": escape(told)},
            ),
        ]
        return form_page(self, request, form, fieldsets, title=_("Create a pipeline"))

    @admin.action(description=_("Pause: jobs wait, none is started"), permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Pipeline]) -> None:
        chosen = queryset.values_list("pk", flat=True)
        switch_and_tell(self, request, chosen, Pipeline.Status.PAUSED)

    @admin.action(description=_("Resume: waiting jobs are started"), permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Pipeline]) -> None:
        chosen = queryset.values_list("pk", flat=True)
        switch_and_tell(self, request, chosen, Pipeline.Status.ACTIVE)


def _count(jobs: QuerySet[Job]) -> Coalesce:
    counted = jobs.values("pipeline_id").annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counted), 0)


def _age(submit_time_ms: int | None) -> str:
    if submit_time_ms is None:
        return words.NOTHING
    age = timezone.now() - datetime.fromtimestamp(submit_time_ms / 1000, tz=UTC)
    return words.span(round(age.total_seconds() * 1000))


def _of_queue(job: Job) -> dict[str, str]:
    return {
        "url": page_of(Job, job.pk),
        "id": job.pk,
        "status": words.badge(job.status),
        "progress": f"{job.progress} %",
        "key": job.inputs[0]["Key"],
        "submitted": words.at_ms(job.submit_time_ms),
    }


def _topic(event: str, arn: str) -> dict[str, Any]:
    urls = settings.TRANSCODER_TOPICS.get(arn)
    if not arn:
        told = [_("nobody is told")]
    elif urls is None:
        told = [_("Amazon SNS delivers it")]
    else:
        told = [deliver.shown(url) for url in urls] or [_("no subscriber in the settings")]
    return {"event": event, "arn": arn or words.NOTHING, "told": told}
