"""The job that an attempt works on: its rows, its lease, and what is said of it on the way."""

from __future__ import annotations

import contextlib
import errno
import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import buckets
from elastic_transcoder.models import Job, JobOutput
from elastic_transcoder.worker import claims, conversion, failures
from elastic_transcoder.worker.claims import Claim
from elastic_transcoder.worker.failures import Failure
from elastic_transcoder.worker.hold import Hold

logger = logging.getLogger(__name__)

# How long a job may wait for the store, or for room on the disk.
PATIENCE_MS = 24 * 3600 * 1000


class Later(Exception):
    """The job cannot be done now, and nothing is wrong with it: no store, no room."""


class Failed(Exception):
    """Every output that is not final yet fails for the same reason."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


class JobInHand:
    """The job of ``claim`` in ``folder``, which has the empty folders ``in`` and ``out``.

    Whatever writes raises LeaseLost when the job is another's by now.
    """

    def __init__(self, claim: Claim, hold: Hold, folder: Path) -> None:
        self.claim, self.hold, self.folder = claim, hold, folder
        self.job: Job = claim.job
        self.outputs = list(self.job.outputs.order_by("number"))
        self._told_at, self._told = time.monotonic(), self.job.progress

    def open(self) -> list[JobOutput]:
        """Return the outputs that are not final."""
        return [output for output in self.outputs if output.status not in Job.FINAL]

    def complete(self, output: JobOutput, **facts: Any) -> None:
        self.claim.update_output(output, status=Job.Status.COMPLETE, error_code=None, **facts)
        logger.info("job %s: output %d: Complete", self.job.pk, output.number)

    def fail(self, output: JobOutput, failure: Failure) -> None:
        self.claim.update_output(output, **claims.failed(failure))
        logger.info("job %s: output %d: Error %d", self.job.pk, output.number, failure.code)

    def tell(self, percent: float) -> None:
        """Write the job's progress, forward only and at most once a second."""
        now = time.monotonic()
        if int(percent) > self._told and now - self._told_at >= 1.0:
            self._told, self._told_at = int(percent), now
            self.claim.update(progress=self._told)

    # --- Waiting --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def unless_later(self, error: buckets.BucketError) -> Iterator[None]:
        """Run the body, unless the store is only away for now: then raise Later."""
        if isinstance(error, buckets.BucketUnavailable):
            self.wait_or_fail(str(error))
        yield

    @contextlib.contextmanager
    def unless_full(self) -> Iterator[None]:
        """Run the body, and raise Later where it finds the disk full."""
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self.wait_or_fail("no room")

    def need_room(self, size_bytes: float) -> None:
        """Raise Later when the disk has no room for so many bytes."""
        if size_bytes + conversion.FREE_BYTES > shutil.disk_usage(self.folder).free:
            self.wait_or_fail("no room")

    def wait_or_fail(self, why: str) -> None:
        """Raise Later, or Failed when the job has waited for a day."""
        if claims.now_ms() - (self.job.start_time_ms or 0) > PATIENCE_MS:
            raise Failed(failures.STORE_DOWN)
        raise Later(why)
