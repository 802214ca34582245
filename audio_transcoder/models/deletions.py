"""What must go from the store, and the engines' jobs that nobody wants any more."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone

import steps
from audio_transcoder import order_ids

if TYPE_CHECKING:
    from audio_transcoder.models.files import AudioFile
    from audio_transcoder.models.jobs import TranscodeJob


class DeletionQuerySet(models.QuerySet["Deletion"]):
    def note(self, prefixes: Iterable[str], *, due: datetime | None = None) -> Deletion:
        """Write down, with the caller's transaction, what must go from the store; return the row.

        ``prefixes``: names in the media storage, and what names begin with. ``due``: not before
        this time.
        """
        note = self.create(prefixes=list(prefixes), next_step_at=due or timezone.now())
        if due is None:
            steps.nudge("delete")
        return note


class DeletedFileQuerySet(models.QuerySet["DeletedFile"]):
    def note(self, files: Iterable[AudioFile]) -> None:
        """Write down those of the files that are about to go that were uploaded this day."""
        since = timezone.now() - DeletedFile.COUNTS_FOR
        self.bulk_create(
            DeletedFile(owner_id=file.owner_id, uploaded_at=file.created_at)
            for file in files
            if file.created_at > since
        )

    def sweep(self) -> None:
        """Forget those that count no more."""
        self.filter(uploaded_at__lte=timezone.now() - DeletedFile.COUNTS_FOR).delete()


class Deletion(models.Model):
    """Objects that must go. Done, and gone itself, when nothing is left to remove."""

    prefixes = models.JSONField()  # names in the media storage, without its location
    # The file that was deleted, and whose it was: both are gone, and deleting twice is fine.
    about = models.UUIDField(null=True, blank=True, db_index=True)
    owner_id = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    next_step_at = models.DateTimeField(default=timezone.now, db_index=True)  # the step's look
    attempts = models.PositiveIntegerField(default=0)
    # First time that everything was found gone; a slow worker is given a moment after that.
    clear_since = models.DateTimeField(null=True, blank=True)

    objects = DeletionQuerySet.as_manager()

    def __str__(self) -> str:
        return ", ".join(self.prefixes)


class DeletedFile(models.Model):
    """A file that its owner has deleted and that still counts for the limits of uploads."""

    COUNTS_FOR = timedelta(days=1)

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    uploaded_at = models.DateTimeField(db_index=True)  # swept by age

    objects = DeletedFileQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.uploaded_at:%Y-%m-%d %H:%M}"


class DeletedJob(models.Model):
    """An engine's job whose results nobody wants any more."""

    # None: its objects are gone. The row stays a week, so that a late notice is understood.
    deletion = models.ForeignKey(
        Deletion, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs"
    )
    created_at = models.DateTimeField(default=timezone.now, db_index=True)  # swept by age
    code = models.UUIDField(db_index=True)  # of the TranscodeJob; late notices name it
    run = models.PositiveSmallIntegerField(default=1)
    engine = models.CharField(max_length=32)
    engine_id = models.CharField(max_length=100, blank=True)
    # Whether the engine may know of it although we have no id: an order without an answer.
    is_maybe_placed = models.BooleanField(default=False)
    is_done = models.BooleanField(default=False)  # the engine will not touch it any more

    def __str__(self) -> str:
        return self.order_id

    @property
    def order_id(self) -> str:
        return order_ids.order_id(self.code, self.run)

    @classmethod
    def of(cls, job: TranscodeJob, deletion: Deletion) -> DeletedJob:
        """Return an unsaved row for ``job``."""
        return cls(
            deletion=deletion,
            code=job.code,
            run=job.run,
            engine=job.engine,
            engine_id=job.engine_id,
            is_maybe_placed=job.place_attempts > 0,
        )

    @classmethod
    def never_ordered(cls, job: TranscodeJob) -> None:
        """Take down that no engine was ever asked for this run of a job that is deleted by now."""
        row = cls.objects.filter(code=job.code, run=job.run, engine_id="")
        row.update(is_maybe_placed=False)

    @classmethod
    def look_again(cls, code: uuid.UUID) -> bool:
        """Have the objects of a deleted job removed now; return whether there is such a job."""
        rows = list(cls.objects.filter(code=code))
        deletions = Deletion.objects.filter(pk__in=[row.deletion_id for row in rows])
        if deletions.update(next_step_at=timezone.now()):
            steps.nudge("delete")
        return bool(rows)
