"""What operators see at a glance: the web app's rows, counted. Nothing here changes or calls any.

Every number is one of a few queries, bounded by time or read from an index, so that the page is
quick over 100,000 jobs. Files that were deleted have taken their jobs along.
"""

from __future__ import annotations

import heapq
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from django.conf import settings
from django.db.models import Count, F, Min, Model, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from audio_transcoder import health, reasons
from audio_transcoder.models import (
    AudioFile,
    Deletion,
    IntakeObject,
    Rendition,
    TranscodeJob,
    Upload,
)
from steps import heartbeats
from transcode_messages.models import Email

# A job that waits for longer is bad news, and so is a step that is overdue for as long.
LONG = timedelta(minutes=10)
# A job is read, or told of, more often than this.
WITHOUT_NEWS = timedelta(minutes=5)
# A deletion takes as long as the engine goes on with the job, which has a limit.
DELETED_WITHIN = timedelta(days=2)
# The times that jobs took are those of so many that ended last.
MEASURED_JOBS = 1000
SLOWEST_JOBS = 10
MOST_PEOPLE = 10

# How much sound a job is about; see ``forecast.sound_ms``.
SOUND_MS = Coalesce("clip_end_ms", "audio_file__duration_ms") - Coalesce("clip_start_ms", 0)

_Status = TranscodeJob.Status

# What a row is looked for by, in words of the ORM: for a query, and for the address of its list.
Lookups = dict[str, object]


@dataclass(frozen=True)
class Span:
    """A time that ends now, in hours or days of the clock; the last one is not over yet."""

    name: str
    label: str | Promise
    count: int
    by_hour: bool = False

    def starts(self, now: datetime) -> list[datetime]:
        """Return when each hour or day of it began, and ``now`` at the end."""
        here = timezone.localtime(now)
        if self.by_hour:
            last = now - timedelta(
                minutes=here.minute, seconds=here.second, microseconds=here.microsecond
            )
            begun = [last - timedelta(hours=n) for n in reversed(range(self.count))]
        else:
            today = here.replace(hour=0, minute=0, second=0, microsecond=0)
            # By the calendar: where clocks are changed a day has 23 or 25 hours.
            begun = [today - timedelta(days=n) for n in reversed(range(self.count))]
        return [*begun, now]


SPANS = {
    span.name: span
    for span in (
        Span("24h", _("24 hours"), 24, by_hour=True),
        Span("7d", _("7 days"), 7),
        Span("30d", _("30 days"), 30),
    )
}


def span_named(name: str) -> Span:
    """Return the span that ``name`` asks for; nonsense asks for the first."""
    return SPANS.get(name, SPANS["24h"])


# --- Now ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Queue:
    """The open jobs of one engine."""

    engine: str
    not_placed: int  # the engine has not got them yet
    placed: int  # it has, and they wait there
    progressing: int
    oldest: datetime | None
    waiting_long: int
    unanswered: int  # the engine is asked and does not answer
    unread: int  # nobody has asked it for too long

    @property
    def total(self) -> int:
        return self.not_placed + self.placed + self.progressing


def standing_still(now: datetime) -> dict[str, Lookups]:
    """Return which open jobs are bad news, by the name of their number in ``Queue``."""
    without_news = now - WITHOUT_NEWS
    is_open = {"status__in": TranscodeJob.OPEN}
    return {
        "waiting_long": {"status__in": (_Status.SUBMITTED,), "created_at__lt": now - LONG},
        "unanswered": {**is_open, "asked_since__lt": without_news},
        "unread": {**is_open, "engine_id__gt": "", "next_step_at__lt": without_news},
    }


def queues(now: datetime) -> list[Queue]:
    """Return the queue of each engine that has open jobs."""
    waits, has_it = Q(status=_Status.SUBMITTED), Q(engine_id__gt="")
    rows = TranscodeJob.objects.unfinished().order_by("engine").values("engine")
    rows = rows.annotate(
        not_placed=Count("pk", filter=waits & ~has_it),
        placed=Count("pk", filter=waits & has_it),
        progressing=Count("pk", filter=Q(status=_Status.PROGRESSING)),
        oldest=Min("created_at"),
        **{name: Count("pk", filter=Q(**lookups)) for name, lookups in standing_still(now).items()},
    )
    return [Queue(**row) for row in rows]


@dataclass(frozen=True)
class Workers:
    """The processes that are alive."""

    transcode: int
    steps: int

    @classmethod
    def now(cls) -> Workers:
        alive = heartbeats.count_alive()
        return cls(transcode=alive["transcode"], steps=alive["steps"])


def needs_workers(open_work: Iterable[Queue]) -> bool:
    """Return whether there must be a worker of ours: it gets the jobs, or still has some."""
    still_has = any(queue.engine == "elastic" for queue in open_work)
    return health.has_own_transcoder() and (settings.TRANSCODER_ENGINE == "elastic" or still_has)


@dataclass(frozen=True)
class Overdue:
    """How many rows wait for something that should have happened. Jobs are in the queues."""

    uploads: int
    deletions: int
    emails: int
    intake: int

    @classmethod
    def at(cls, now: datetime) -> Overdue:
        return cls(
            uploads=Upload.objects.filter(overdue(Upload, now)).count(),
            deletions=Deletion.objects.filter(overdue(Deletion, now)).count(),
            emails=Email.objects.filter(**late(now)).count(),
            intake=IntakeObject.objects.filter(**late(now)).count(),
        )


def late(now: datetime) -> Lookups:
    """Return which rows wait for their step for too long."""
    return {"next_step_at__lt": now - LONG}


def overdue(model: type[Model], now: datetime) -> Q:
    """Return which uploads or deletions are late, or come back to their step again and again."""
    if model is Deletion:
        return Q(**late(now)) | Q(created_at__lt=now - DELETED_WITHIN)
    forgotten = now - Upload.LIFE - LONG
    return Q(**late(now)) | Q(finished_at=None, aborted_at=None, touched_at__lt=forgotten)


# --- What was done --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """What ended in one hour or day."""

    begins: datetime
    complete: int = 0
    failed: int = 0
    sound_ms: int = 0  # of the complete ones

    @property
    def minutes(self) -> float:
        return self.sound_ms / 60_000


def throughput(starts: list[datetime]) -> list[Work]:
    """Return what ended between each two of ``starts``, in one query.

    It is one of many parts: each of them reads its piece of an index in order, where a GROUP BY of
    hours or days would sort all jobs of a month.
    """
    parts = [
        _ended(begin, end, (_Status.COMPLETE, _Status.ERROR)).annotate(part=Value(number))
        for number, (begin, end) in enumerate(pairwise(starts))
    ]
    first, *others = [
        part.values("part", "status").annotate(jobs=Count("pk"), sound_ms=Sum(SOUND_MS, default=0))
        for part in parts
    ]
    found: dict[int, dict] = {number: {} for number in range(len(parts))}
    for row in first.union(*others, all=True):
        if row["status"] == _Status.COMPLETE:
            found[row["part"]] |= {"complete": row["jobs"], "sound_ms": max(0, row["sound_ms"])}
        else:
            found[row["part"]] |= {"failed": row["jobs"]}
    return [Work(begin, **found[number]) for number, begin in enumerate(starts[:-1])]


def ended(begin: datetime, end: datetime, statuses: Iterable[str]) -> Lookups:
    """Return which jobs ended so in this time."""
    return {"status__in": tuple(statuses), "finished_at__gte": begin, "finished_at__lt": end}


def _ended(begin: datetime, end: datetime, statuses: Iterable[str]) -> QuerySet[TranscodeJob]:
    return TranscodeJob.objects.filter(**ended(begin, end, statuses)).order_by()


@dataclass(frozen=True)
class Failures:
    """How many jobs failed for one reason."""

    reason: str
    sentence: str
    jobs: int
    share: float  # percent of the most frequent one


def failures(begin: datetime, end: datetime) -> list[Failures]:
    """Return why jobs failed, the most frequent reason first."""
    rows = _ended(begin, end, [_Status.ERROR]).values("reason").annotate(jobs=Count("pk"))
    rows = sorted(rows, key=lambda row: -row["jobs"])
    return [
        Failures(
            reason=row["reason"],
            sentence=reasons.sentence(row["reason"]),
            jobs=row["jobs"],
            share=percent(row["jobs"], rows[0]["jobs"]),
        )
        for row in rows
    ]


def percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


@dataclass(frozen=True)
class Measured:
    """One complete job: its name, its sound and its work, in seconds."""

    pk: int
    name: str
    waited_s: float
    worked_s: float
    sound_s: float

    @property
    def speed(self) -> float:
        """Seconds of sound in one of work."""
        return self.sound_s / self.worked_s


@dataclass(frozen=True)
class Times:
    """How long jobs waited and how fast they went; None: no job tells."""

    jobs: int = 0
    waited_half_s: float | None = None  # half of them waited no longer
    waited_most_s: float | None = None  # 95 % of them
    speed_half: float | None = None  # half of them were faster
    speed_most: float | None = None  # 95 % of them
    slowest: tuple[Measured, ...] = ()


def times(begin: datetime, end: datetime) -> Times:
    """Return the times of the newest ``MEASURED_JOBS`` complete jobs."""
    rows = _ended(begin, end, [_Status.COMPLETE]).filter(started_at__isnull=False)
    rows = rows.order_by("-finished_at").values_list(
        "pk", "audio_file__name", "created_at", "started_at", "finished_at", SOUND_MS
    )
    jobs = [_measured(*row) for row in rows[:MEASURED_JOBS]]
    if not jobs:
        return Times()
    waited = _twentieths([job.waited_s for job in jobs])
    with_speed = [job for job in jobs if job.worked_s > 0 and job.sound_s > 0]
    speeds = _twentieths([job.speed for job in with_speed]) if with_speed else [None] * 19
    return Times(
        jobs=len(jobs),
        waited_half_s=waited[9],
        waited_most_s=waited[18],
        speed_half=speeds[9],
        speed_most=speeds[0],
        slowest=tuple(heapq.nsmallest(SLOWEST_JOBS, with_speed, key=lambda job: job.speed)),
    )


def _measured(
    pk: int,
    name: str,
    created_at: datetime,
    started_at: datetime,
    finished_at: datetime,
    sound_ms: int | None,
) -> Measured:
    # Clocks of several machines may be apart.
    return Measured(
        pk=pk,
        name=name,
        waited_s=max(0.0, (started_at - created_at).total_seconds()),
        worked_s=max(0.0, (finished_at - started_at).total_seconds()),
        sound_s=max(0, sound_ms or 0) / 1000,
    )


def _twentieths(values: list[float]) -> list[float]:
    """Return the 19 values that cut ``values`` into twenty parts of one size."""
    if len(values) == 1:
        return values * 19
    return statistics.quantiles(values, n=20, method="inclusive")


# --- Who keeps what -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Keeper:
    """What one person keeps."""

    username: str
    files: int
    size_bytes: int
    share: float  # percent of the first one's

    @property
    def monthly_cost(self) -> float:
        return monthly_cost(self.size_bytes)


def monthly_cost(size_bytes: int) -> float:
    """Return what a store takes for so much in a month, about, in STORAGE_CURRENCY."""
    return size_bytes / 1024**3 * settings.STORAGE_PRICE_PER_GIB


def keepers() -> list[Keeper]:
    """Return the people who keep most, uploads and results together, most first."""
    files, size, names = {}, Counter(), {}
    uploads = AudioFile.objects.order_by().values("owner", username=F("owner__username"))
    for row in uploads.annotate(files=Count("pk"), size=Sum("size_bytes", default=0)):
        owner = row["owner"]
        files[owner], size[owner], names[owner] = row["files"], row["size"], row["username"]
    results = Rendition.objects.order_by().values(owner=F("audio_file__owner"))
    for row in results.annotate(size=Sum("size_bytes", default=0)):
        # A file that came since the first query is counted the next time.
        if row["owner"] in files:
            size[row["owner"]] += row["size"]
    first = size.most_common(MOST_PEOPLE)
    return [
        Keeper(names[owner], files[owner], kept, share=percent(kept, first[0][1]))
        for owner, kept in first
    ]
