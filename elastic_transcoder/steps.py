"""What the transcoder has to do by the way: transcode, and deliver notices."""

from __future__ import annotations

from datetime import datetime

import steps
from elastic_transcoder import notices, worker


@steps.step("transcode", runs_in="transcode")
def transcode() -> datetime | None:
    """Do every job that is due; return when the earliest lease runs out."""
    return worker.transcode()


@steps.step("deliver", runs_in="steps")
def deliver() -> datetime | None:
    """Send every notice that is due; return when the next one is."""
    return notices.deliver()
