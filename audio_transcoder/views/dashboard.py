"""The operators' dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audio_transcoder import dashboard, health
from audio_transcoder.admin import OverdueFilter
from audio_transcoder.dashboard import Lookups, Overdue, Queue, Span, Work, Workers
from audio_transcoder.dashboard.charts import Chart
from audio_transcoder.models import TranscodeJob


@dataclass(frozen=True)
class BadNews:
    """One thing that somebody should look at, and where."""

    text: str
    url: str = ""


@never_cache
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The dashboard, for whoever may see jobs; ``?range=`` is 24h, 7d or 30d."""
    if not request.user.has_perm("audio_transcoder.view_transcodejob"):
        raise PermissionDenied
    now = timezone.now()
    span = dashboard.span_named(request.GET.get("range", ""))
    starts = span.starts(now)
    queues, workers = dashboard.queues(now), Workers.now()
    work = dashboard.throughput(starts)
    labels = [_label(one, span) for one in work]
    failed = dashboard.ended(starts[0], now, [TranscodeJob.Status.ERROR])
    context = {
        **admin.site.each_context(request),
        "title": _("Dashboard"),
        "now": now,
        "span": span,
        "spans": dashboard.SPANS.values(),
        "bad_news": _bad_news(request, now, queues, workers),
        "queues": queues,
        "workers": workers,
        "needs_workers": dashboard.needs_workers(queues),
        "has_own_transcoder": health.has_own_transcoder(),
        "work": list(zip(labels, work, strict=True)),
        "total": Work(
            starts[0],
            complete=sum(one.complete for one in work),
            failed=sum(one.failed for one in work),
            sound_ms=sum(one.sound_ms for one in work),
        ),
        "jobs_chart": Chart.of(
            (label, {"complete": one.complete, "failed": one.failed})
            for label, one in zip(labels, work, strict=True)
        ),
        "sound_chart": Chart.of(
            (label, {"sound": one.minutes}) for label, one in zip(labels, work, strict=True)
        ),
        "failures": [
            (one, _jobs({**failed, "reason": one.reason}))
            for one in dashboard.failures(starts[0], now)
        ],
        "times": dashboard.times(starts[0], now),
    }  # fmt: skip
    if request.user.has_perm("audio_transcoder.view_storageaccount"):
        context["keepers"] = dashboard.keepers()
    return render(request, "admin/audio_transcoder/dashboard.html", context)


def _label(work: Work, span: Span) -> str:
    here = timezone.localtime(work.begins)
    return date_format(here, "H:i" if span.by_hour else "MONTH_DAY_FORMAT")


def _jobs(lookups: Lookups) -> str:
    return f"{reverse('admin:audio_transcoder_transcodejob_changelist')}?{_query(lookups)}"


def _list(
    request: HttpRequest, model: str, lookups: Lookups, *, label: str = "audio_transcoder"
) -> str:
    """Return the address of a list, empty for whoever may not see it."""
    if not request.user.has_perm(f"{label}.view_{model}"):
        return ""
    return f"{reverse(f'admin:{label}_{model}_changelist')}?{_query(lookups)}"


def _query(lookups: Lookups) -> str:
    """Return lookups as the lists of the admin read them."""
    return urlencode({name: _text(value) for name, value in lookups.items()})


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _bad_news(
    request: HttpRequest, now: datetime, queues: list[Queue], workers: Workers
) -> list[BadNews]:
    """Return what is not as it should be, the worst first."""
    return [
        *_about_workers(queues, workers),
        *_about_jobs(now, queues),
        *_about_steps(request, now, Overdue.at(now)),
    ]


def _about_workers(queues: list[Queue], workers: Workers) -> list[BadNews]:
    found = []
    if dashboard.needs_workers(queues) and not workers.transcode:
        found.append(BadNews(_("No worker is alive: nothing is converted.")))
    if not workers.steps:
        found.append(
            BadNews(_("No process runs the steps: nothing is ordered, told of or deleted."))
        )
    return found


def _about_jobs(now: datetime, queues: list[Queue]) -> list[BadNews]:
    found = []
    lookups = dashboard.standing_still(now)
    if count := sum(queue.unanswered for queue in queues):
        text = ngettext(
            "{count} job whose engine does not answer.",
            "{count} jobs whose engine does not answer.",
            count,
        )
        found.append(BadNews(text.format(count=count), _jobs(lookups["unanswered"])))
    if count := sum(queue.unread for queue in queues):
        text = ngettext("{count} job without news.", "{count} jobs without news.", count)
        found.append(BadNews(text.format(count=count), _jobs(lookups["unread"])))
    if count := sum(queue.waiting_long for queue in queues):
        text = ngettext(
            "{count} job has waited for more than {minutes} minutes.",
            "{count} jobs have waited for more than {minutes} minutes.",
            count,
        )
        minutes = int(dashboard.LONG.total_seconds() // 60)
        url = _jobs(lookups["waiting_long"])
        found.append(BadNews(text.format(count=count, minutes=minutes), url))
    return found


def _about_steps(request: HttpRequest, now: datetime, overdue: Overdue) -> list[BadNews]:
    found = []
    late = dashboard.late(now)
    if count := overdue.deletions:
        text = ngettext(
            "{count} deletion is overdue: its objects may still be in the store.",
            "{count} deletions are overdue: their objects may still be in the store.",
            count,
        )
        url = _list(request, "deletion", OverdueFilter.LOOKUPS)
        found.append(BadNews(text.format(count=count), url))
    if count := overdue.uploads:
        text = ngettext(
            "{count} upload that nobody goes on with was not cleared away.",
            "{count} uploads that nobody goes on with were not cleared away.",
            count,
        )
        url = _list(request, "upload", OverdueFilter.LOOKUPS)
        found.append(BadNews(text.format(count=count), url))
    if count := overdue.intake:
        text = ngettext(
            "{count} dropped object was not taken in.",
            "{count} dropped objects were not taken in.",
            count,
        )
        found.append(BadNews(text.format(count=count), _list(request, "intakeobject", late)))
    if count := overdue.emails:
        text = ngettext(
            "{count} e-mail was not handed over to the mail server.",
            "{count} e-mails were not handed over to the mail server.",
            count,
        )
        url = _list(request, "email", late, label="transcode_messages")
        found.append(BadNews(text.format(count=count), url))
    return found
