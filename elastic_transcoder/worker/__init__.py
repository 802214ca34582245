"""The step of a transcoding process: one job after another."""

from __future__ import annotations

import logging
import os
from datetime import datetime

from django.conf import settings

import steps
from elastic_transcoder.worker import claims, ffmpeg, workspace
from elastic_transcoder.worker.attempt import Attempt
from elastic_transcoder.worker.claims import Claim, LeaseLost
from elastic_transcoder.worker.hold import Hold, Stopped
from elastic_transcoder.worker.in_hand import Later

logger = logging.getLogger(__name__)

# Seconds before a job is looked at again that waits, or whose attempt failed on our side.
LATER_S = 15.0

_prepared_by: int | None = None


def transcode() -> datetime | None:
    """Do every job that is due, one after another; return when the earliest lease runs out.

    To be called from the main thread of a process: FFmpeg dies with the thread that started it.
    Asked to stop (``steps.stopping()``), it takes no further job and gives the one in hand
    ``hold.GRACE_S`` seconds; asked twice, none; then the job is handed back, which costs it no
    attempt. Raises FFmpegMissing, before any job is touched.
    """
    prepare()
    claims.end_left_analyses()
    while not steps.stopping():
        claim = claims.claim()
        if claim is None:
            return claims.next_due()
        work(claim)
    return None


def prepare() -> None:
    """Check FFmpeg and clean up after dead processes, once in each process.

    Raises FFmpegMissing.
    """
    global _prepared_by
    if _prepared_by != os.getpid():
        ffmpeg.check()
        workspace.remove_leftovers(settings.WORK_DIR)
        _prepared_by = os.getpid()


def work(claim: Claim) -> None:
    """Make one attempt at the job. Whatever happens, the job's row says what comes next."""
    try:
        with Hold(claim) as hold, workspace.workspace(settings.WORK_DIR) as folder:
            Attempt(claim, hold, folder).run()
    except LeaseLost:
        logger.warning("job %s: the lease is lost, nothing is reported", claim.job.pk)
    except Stopped:
        claims.hand_back(claim)
    except Later as later:
        logger.warning("job %s: waits: %s", claim.job.pk, later)
        claims.hand_back(claim, after_s=LATER_S)
    except Exception:
        logger.exception("job %s: attempt %d failed", claim.job.pk, claim.job.attempts)
        claims.give_up(claim, after_s=LATER_S)
