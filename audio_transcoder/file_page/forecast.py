"""How long the work on a file still takes, as far as its rows tell.

Everything here is about: engines begin several jobs at once, and people come and go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, Sum

from audio_transcoder.models import AudioFile, TranscodeJob

# The pace of an engine is that of so many jobs that it finished last.
LAST_JOBS = 20
# Percent of a job from which on its own pace says more than that of others.
TELLING = 5

_Status = TranscodeJob.Status


@dataclass(frozen=True)
class Forecast:
    """What is to be expected of a job; None: cannot be told, or is over."""

    ahead: int | None = None  # jobs that come before it, those under way among them
    left_s: float | None = None  # seconds until its results are there


@dataclass(frozen=True)
class Line:
    """The open jobs of one person with one engine."""

    placed: int  # the engine has them
    waiting: int  # it does not yet


def forecast(job: TranscodeJob, now: datetime) -> Forecast:
    """Return what is to be expected of ``job``, in at most two queries."""
    if job.is_final:
        return Forecast()
    if job.status == _Status.PROGRESSING:
        return Forecast(left_s=_left_by_itself(job, now) or _left_by_others(job, now))
    queue = _Queue.before(job)
    pace, length_ms = _pace(job.engine), sound_ms(job, job.audio_file)
    if pace is None or length_ms is None:
        return Forecast(ahead=queue.ahead)
    side_by_side = max(queue.running, 1)
    work_ms = queue.ahead * queue.mean_ms / side_by_side + length_ms
    return Forecast(ahead=queue.ahead, left_s=work_ms / 1000 / pace)


def sound_ms(job: TranscodeJob, audio_file: AudioFile) -> int | None:
    """Return how much sound ``job``, one of this file, is about; None: not known."""
    end_ms = job.clip_end_ms if job.clip_end_ms is not None else audio_file.duration_ms
    return None if end_ms is None else max(0, end_ms - (job.clip_start_ms or 0))


def before_in_turn(mine: Line, before_me: int, others: Iterable[Line]) -> int:
    """Return how many waiting jobs are placed before one that waits itself.

    ``before_me`` of my own are. The next one placed is always of whoever has fewest with the
    engine (see ``steps.place``): others are served until they have as many as I have then.
    """
    level = mine.placed + before_me
    return before_me + sum(min(one.waiting, max(0, level - one.placed)) for one in others)


def _left_by_itself(job: TranscodeJob, now: datetime) -> float | None:
    """Return what is left at the pace that the job had so far; None while that says little."""
    if job.started_at is None or job.progress < TELLING:
        return None
    told_at = job.reported_at or now
    took_s = (told_at - job.started_at).total_seconds()
    if took_s <= 0:
        return None
    left_s = took_s * (100 - job.progress) / job.progress
    return max(0.0, left_s - (now - told_at).total_seconds())


def _left_by_others(job: TranscodeJob, now: datetime) -> float | None:
    length_ms, pace = sound_ms(job, job.audio_file), _pace(job.engine)
    if length_ms is None or pace is None or job.started_at is None:
        return None
    return max(0.0, length_ms / 1000 / pace - (now - job.started_at).total_seconds())


def _pace(engine: str) -> float | None:
    """Return how many seconds of sound ``engine`` works off in one; None: it finished none."""
    done = TranscodeJob.objects.filter(
        engine=engine,
        status=_Status.COMPLETE,
        started_at__isnull=False,
        finished_at__isnull=False,
    ).select_related("audio_file")
    jobs = done.order_by("-finished_at")[:LAST_JOBS]
    worked_off = [(job, ms) for job in jobs if (ms := sound_ms(job, job.audio_file))]
    took_s = sum((job.finished_at - job.started_at).total_seconds() for job, _ in worked_off)
    return sum(ms for _, ms in worked_off) / 1000 / took_s if took_s > 0 else None


@dataclass(frozen=True)
class _Queue:
    ahead: int
    running: int
    mean_ms: float  # length of the sounds in it

    @classmethod
    def before(cls, job: TranscodeJob) -> _Queue:
        """Count, in one query, what is open at the engine of a job that has not begun."""
        has_it = ~Q(engine_id="")
        waits = Q(engine_id="", audio_file__examined_at__isnull=False)
        placed_sooner = has_it & Q(placed_at__lt=job.placed_at or job.created_at)
        owner = "audio_file__owner_id"
        persons = (
            TranscodeJob.objects.unfinished()
            .filter(engine=job.engine)
            .order_by()
            .values(owner)
            .annotate(
                placed=Count("pk", filter=has_it),
                waiting=Count("pk", filter=waits),
                sooner=Count("pk", filter=waits & job.those_before),
                begun=Count("pk", filter=Q(status=_Status.PROGRESSING)),
                before=Count("pk", filter=placed_sooner),
                length_ms=Sum("audio_file__duration_ms", default=0),
                count=Count("pk"),
            )
        )
        persons = list(persons)
        if job.engine_id:
            ahead = sum(person["before"] for person in persons)
        else:
            lines = {one[owner]: Line(one["placed"], one["waiting"]) for one in persons}
            mine = lines.pop(job.audio_file.owner_id, Line(0, 0))
            before_me = sum(p["sooner"] for p in persons if p[owner] == job.audio_file.owner_id)
            ahead = sum(person["placed"] for person in persons)
            ahead += before_in_turn(mine, before_me, lines.values())
        count = sum(person["count"] for person in persons)
        return cls(
            ahead=ahead,
            running=sum(person["begun"] for person in persons),
            mean_ms=sum(person["length_ms"] for person in persons) / count if count else 0,
        )
