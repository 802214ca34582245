"""How much one account may have. Source: API 2012-09-25, "Limits"; texts as the service's.

Each limit is a setting; 0 switches it off.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Model

from elastic_transcoder.api.errors import ApiError
from elastic_transcoder.models import Job, Pipeline, Preset

# Counting a queue may take this part of a process's time at most.
_SHARE_OF_TIME = 0.05
_MAX_REMEMBERED = 1000


def leave_room_for_pipelines() -> None:
    """Raise ApiError LimitExceededException when there are as many pipelines as may be.

    The caller makes its pipeline in the same transaction.
    """
    _leave_room(Pipeline, settings.TRANSCODER_MAX_PIPELINES, "pipelines")


def leave_room_for_presets() -> None:
    """Do the same for custom presets."""
    _leave_room(Preset, settings.TRANSCODER_MAX_PRESETS, "presets")


def _leave_room(model: type[Model], most: int, noun: str) -> None:
    if not most:
        return
    # Whoever else makes one waits here, where transactions do not exclude each other anyway.
    model.objects.select_for_update().order_by("pk").first()
    if model.objects.count() >= most:
        raise ApiError(
            "LimitExceededException",
            f"The account already has the maximum number of {noun} allowed:"
            f" account={settings.TRANSCODER_ACCOUNT_ID}, maximum number of {noun}={most}",
        )


# --- Queues -----------------------------------------------------------------------------------


@dataclass
class _Queue:
    """How many jobs wait in a pipeline: as counted, and those that this process added since."""

    waiting: int
    good_until: float  # time.monotonic()


_queues: dict[str, _Queue] = {}
_counting = threading.Lock()


def take_place_in_queue(pipeline_id: str) -> None:
    """Raise ApiError LimitExceededException when as many jobs wait in a pipeline as may.

    A million waiting jobs take tens of milliseconds to count. So a count is kept for twenty
    times as long as it took, and what this process adds is added to it: a short queue is counted
    nearly each time, a long one about once a second. Several processes may together exceed the
    limit by what they take in that time.
    """
    most = settings.TRANSCODER_MAX_QUEUED_JOBS
    if not most:
        return
    with _counting:
        queue = _queues.get(pipeline_id)
        if queue is None or time.monotonic() >= queue.good_until:
            queue = _counted(pipeline_id, most)
            if len(_queues) >= _MAX_REMEMBERED:
                _queues.clear()
            _queues[pipeline_id] = queue
        if queue.waiting < most:
            queue.waiting += 1
            return
    raise ApiError(
        "LimitExceededException",
        "The account already has the maximum number of jobs per pipeline in the backlog:"
        f" account={settings.TRANSCODER_ACCOUNT_ID},"
        f" maximum number of jobs in backlog for pipeline={most}",
    )


def _counted(pipeline_id: str, most: int) -> _Queue:
    began = time.monotonic()
    waiting = Job.objects.filter(status=Job.Status.SUBMITTED, pipeline_id=pipeline_id)
    count = waiting.order_by()[:most].count()
    ended = time.monotonic()
    return _Queue(count, ended + (ended - began) / _SHARE_OF_TIME)
