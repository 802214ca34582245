"""What is on its way into the bucket past the web process."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy

from audio_transcoder import keys, reasons
from audio_transcoder.models.files import AudioFile


class UploadQuerySet(models.QuerySet["Upload"]):
    def unfinished(self) -> UploadQuerySet:
        return self.filter(finished_at=None, aborted_at=None)

    def abort(self) -> int:
        """End those that are not finished; return how many. The step removes what the store has."""
        now = timezone.now()
        return self.unfinished().update(aborted_at=now, next_step_at=now, attempts=0)

    abort.alters_data = True


class Upload(models.Model):
    """A file on its way straight into the bucket, past the web process: in parts, or by one form.

    Its object's key is that of the audio file that it becomes.
    """

    # Without a part for so long it is aborted.
    LIFE = timedelta(hours=24)
    # What is finished or aborted is remembered, so that a second call is answered as the first.
    KEPT_FOR = timedelta(hours=24)

    code = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    # None: the person is gone; the step then aborts it.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="uploads",
    )
    file_code = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    store_id = models.CharField(max_length=1024, blank=True)  # the bucket's own; empty: by form
    part_bytes = models.PositiveBigIntegerField()
    # What was declared when it began.
    size_bytes = models.PositiveBigIntegerField()
    file_name = models.CharField(max_length=255)
    name = models.CharField(max_length=255, blank=True)
    formats = models.JSONField()
    options = models.JSONField(default=dict)  # members of variants.Options
    media_type = models.CharField(max_length=100)
    # The page's own mark of the file: the same again goes on where it stopped.
    fingerprint = models.CharField(max_length=255, blank=True)
    token = models.UUIDField(default=uuid.uuid4, editable=False)  # as AudioFile.upload_token
    created_at = models.DateTimeField(default=timezone.now)
    touched_at = models.DateTimeField(default=timezone.now)  # last time a part was asked for
    next_step_at = models.DateTimeField(default=timezone.now, db_index=True)  # the step's look
    attempts = models.PositiveIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)
    aborted_at = models.DateTimeField(null=True, blank=True)
    # None although it is finished: the file was deleted since.
    audio_file = models.ForeignKey(
        AudioFile, on_delete=models.SET_NULL, null=True, blank=True, related_name="uploads"
    )

    objects = UploadQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            # A page asks for the uploads of one person.
            models.Index(fields=["owner", "-created_at"], name="upload_of_person")
        ]

    def __str__(self) -> str:
        return f"{self.file_name} {self.code}"

    @property
    def key(self) -> str:
        return keys.bucket_key(keys.source_name(self.file_code))

    @property
    def form_key(self) -> str:
        """Where a form of S3's puts the file; it is used as often as somebody likes, so what lies
        there is copied before it is believed."""
        return keys.bucket_key(f"uploads/{self.file_code}/arriving")

    @property
    def is_by_form(self) -> bool:
        return not self.store_id

    @property
    def is_open(self) -> bool:
        return self.finished_at is None and self.aborted_at is None

    @property
    def part_count(self) -> int:
        return -(-self.size_bytes // self.part_bytes)

    def size_of_part(self, number: int) -> int:
        """Return the bytes of part ``number``, counted from 1; 0 where there is no such part."""
        if not 0 < number <= self.part_count:
            return 0
        return min(self.part_bytes, self.size_bytes - (number - 1) * self.part_bytes)


class IntakeObjectQuerySet(models.QuerySet["IntakeObject"]):
    def due(self, now: datetime) -> IntakeObjectQuerySet:
        return self.filter(next_step_at__lte=now).order_by("next_step_at", "pk")


class IntakeObject(models.Model):
    """An object that came into a bucket without a browser, and what became of it.

    Bucket, key, ETag, version and sequencer say which one it is, in the words of S3's events: the
    same event twice is one row.
    """

    class State(models.TextChoices):
        WAITING = "waiting", gettext_lazy("waiting")
        TAKEN = "taken", gettext_lazy("taken")
        REFUSED = "refused", gettext_lazy("refused")

    # Longer than any event is repeated. An object that was refused, and still lies there, is
    # then found again.
    KEPT_FOR = timedelta(days=30)

    code = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    bucket = models.CharField(max_length=255)
    key = models.CharField(max_length=1024)
    etag = models.CharField(max_length=200, blank=True)
    version = models.CharField(max_length=200, blank=True)
    sequencer = models.CharField(max_length=255, blank=True)
    # Whom it is for. Empty: what the object itself says is still to be read.
    owner_name = models.CharField(max_length=255, blank=True)
    formats = models.CharField(max_length=255, blank=True)  # names, commas between; empty: ours
    size_bytes = models.PositiveBigIntegerField()
    is_moved = models.BooleanField(default=True)  # it leaves its place once it is taken
    # Which object was looked at: two rows may tell of the same one.
    token = models.UUIDField(null=True, blank=True, db_index=True)
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    reason = models.CharField(max_length=20, blank=True)
    audio_file = models.UUIDField(null=True, blank=True)  # its code; files may be deleted
    received_at = models.DateTimeField(default=timezone.now, db_index=True)  # swept by age
    attempts = models.PositiveIntegerField(default=0)
    # None: nothing is left to do.
    next_step_at = models.DateTimeField(default=timezone.now, null=True, blank=True, db_index=True)

    objects = IntakeObjectQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["bucket", "key", "etag", "version", "sequencer"], name="dropped_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.bucket}: {self.key}"

    @property
    def file_name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def reason_sentence(self) -> str:
        return reasons.sentence(self.reason) if self.reason else ""

    def end(self, state: str, *, reason: str = "", audio_file: uuid.UUID | None = None) -> bool:
        """Write down what became of it; return whether nobody else had.

        One that was taken has to leave its place, which is due now.
        """
        is_left = state == self.State.TAKEN and self.is_moved
        row = IntakeObject.objects.filter(pk=self.pk, state=self.State.WAITING)
        return bool(
            row.update(
                state=state,
                reason=reason,
                audio_file=audio_file,
                token=self.token,
                owner_name=self.owner_name,
                size_bytes=self.size_bytes,
                attempts=0,
                next_step_at=timezone.now() if is_left else None,
            )
        )
