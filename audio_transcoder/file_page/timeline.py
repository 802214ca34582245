"""What happened to a file, in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from audio_transcoder.models import AudioFile, TranscodeJob

# Whoever orders a hundred times sees the last of it, and the upload.
SHOWN = 40


@dataclass(frozen=True)
class Event:
    """Something that happened. ``kind`` is the name of its icon."""

    at: datetime
    kind: str
    text: str


def events(audio_file: AudioFile) -> list[Event]:
    """Return what happened to a file read ``with_work``, the upload first; reads no rows."""
    later = sorted(_later(audio_file), key=lambda event: event.at)
    return [Event(audio_file.created_at, "upload", _("Uploaded")), *later[-SHOWN:]]


def _later(audio_file: AudioFile) -> Iterator[Event]:
    if audio_file.downloaded_at:
        text = _("The original was downloaded for the first time")
        yield Event(audio_file.downloaded_at, "download", text)
    for rendition in audio_file.renditions.all():
        label = rendition.label
        if rendition.ready_at:
            yield Event(rendition.ready_at, "check", _("{format} is ready").format(format=label))
        if rendition.downloaded_at:
            text = _("{format} was downloaded for the first time").format(format=label)
            yield Event(rendition.downloaded_at, "download", text)
    for job in audio_file.jobs.all():
        if job.placed_at:
            yield Event(job.placed_at, "clock", _("Queued for conversion"))
        if job.started_at:
            yield Event(job.started_at, "turn", _("Conversion began"))
        if job.finished_at:
            ready = [one.ready_at for one in audio_file.renditions.all() if one.job_id == job.pk]
            # Its results are noted a moment after its end.
            yield from _ends(job, max(filter(None, [job.finished_at, *ready])))


def _ends(job: TranscodeJob, at: datetime) -> Iterator[Event]:
    if job.status == TranscodeJob.Status.CANCELED:
        yield Event(at, "stop", _("Canceled"))
        return
    if job.status == TranscodeJob.Status.ERROR:
        yield Event(at, "alert", _("Conversion failed"))
    # The message is written in the transaction in which the job ends.
    yield Event(at, "note", _("You were told by a message"))
