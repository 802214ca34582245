"""What people uploaded, what they ordered, and what is still to be removed."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models, transaction
from django.db.models import Q, Value
from django.db.models.fields.files import FieldFile
from django.db.models.functions import Coalesce, Greatest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

import steps
from audio_transcoder import keys, names, reasons
from audio_transcoder.engines.base import JobReport
from audio_transcoder.formats import FORMATS, Format, source_extension, source_media_type
from transcode_messages.models import Message


def source_name(audio_file: AudioFile, _filename: str) -> str:
    """Return the storage name of an upload; nothing of the person's file name is in it."""
    return f"uploads/{audio_file.code}/source"


class AudioFileQuerySet(models.QuerySet["AudioFile"]):
    def named_like(self, query: str) -> AudioFileQuerySet:
        return self.filter(name__icontains=query) if query else self

    def unexamined(self) -> AudioFileQuerySet:
        return self.filter(examined_at__isnull=True)

    def with_work(self) -> AudioFileQuerySet:
        """Everything that a page shows of a file, in two more queries for all files."""
        return self.prefetch_related(
            models.Prefetch("jobs", TranscodeJob.objects.order_by("-id")),
            models.Prefetch("renditions", Rendition.objects.order_by("id").select_related("job")),
        )

    @transaction.atomic
    def remove(self) -> int:
        """Delete these files with all that belongs to them; return how many there were.

        Their jobs end here at once. The objects, and whatever engines still do, are left to
        the step ``delete``, which knows of them by a row that outlives the files.
        """
        files = list(self.select_for_update())
        jobs = list(TranscodeJob.objects.select_for_update().filter(audio_file__in=files))
        deletions = {
            file.pk: Deletion(prefixes=file.prefixes(), about=file.code, owner_id=file.owner_id)
            for file in files
        }
        Deletion.objects.bulk_create(deletions.values())
        DeletedJob.objects.bulk_create(
            DeletedJob.of(job, deletions[job.audio_file_id]) for job in jobs
        )
        Message.objects.forget([file.code for file in files])
        Rendition.objects.filter(audio_file__in=files).delete()
        TranscodeJob.objects.filter(pk__in=[job.pk for job in jobs]).delete()
        super(AudioFileQuerySet, self.model.objects.filter(pk__in=deletions)).delete()
        steps.nudge("delete")
        steps.nudge("place")  # their engines have room again
        return len(files)

    # The admin and the shell delete this way too; nothing may bypass the objects' removal.
    def delete(self) -> tuple[int, dict[str, int]]:
        count = self.remove()
        return count, {self.model._meta.label: count}

    delete.alters_data = True
    delete.queryset_only = True
    remove.alters_data = True


class AudioFile(models.Model):
    """One sound that a person uploaded."""

    code = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    # PROTECT: whoever deletes a person removes the files first, with their objects.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="audio_files"
    )
    name = models.CharField(max_length=255)
    file_name = models.CharField(max_length=255)  # as it was called on the person's machine
    mp3_file = models.FileField(upload_to=source_name, max_length=200)
    # The form it came with: the same form sent twice is the same file.
    upload_token = models.UUIDField(default=uuid.uuid4, editable=False)
    size_bytes = models.PositiveBigIntegerField()
    # Empty until the sound was looked at; not every file passes the web process.
    sha256 = models.CharField(max_length=64, blank=True)
    container = models.CharField(max_length=32, blank=True)
    codec = models.CharField(max_length=32, blank=True)
    channels = models.PositiveSmallIntegerField(null=True, blank=True)
    sample_rate_hz = models.PositiveIntegerField(null=True, blank=True)
    duration_ms = models.PositiveBigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    # When somebody looked whether it is sound. None: it came past the web process, and its jobs
    # wait until the step "examine" has looked, next at ``examine_at``.
    examined_at = models.DateTimeField(default=timezone.now, null=True, blank=True)
    examine_at = models.DateTimeField(default=timezone.now)
    examine_attempts = models.PositiveIntegerField(default=0)

    objects = AudioFileQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "upload_token"], name="uploaded_once")
        ]
        indexes = [
            # The library: one person's files, newest first.
            models.Index(fields=["owner", "-created_at", "-id"], name="audio_file_library"),
            # The step "examine" looks for files that are due.
            models.Index(
                fields=["examine_at"],
                condition=Q(examined_at__isnull=True),
                name="audio_file_to_examine",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("audio:detail", args=[self.code])

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict]:
        return AudioFile.objects.filter(pk=self.pk).delete()

    def prefixes(self) -> list[str]:
        """Return the prefixes, in the storage, below which everything of this file lies."""
        return [f"{kind}/{self.code}/" for kind in ("uploads", "renditions", "variants")]

    def order(self, formats: Iterable[str]) -> TranscodeJob:
        """Order one rendition for each named format; a step places the job with the engine."""
        with transaction.atomic():
            job = TranscodeJob.objects.create(audio_file=self, engine=settings.TRANSCODER_ENGINE)
            Rendition.objects.bulk_create(Rendition.of(job, name) for name in formats)
            steps.nudge("place")
        return job

    def order_missing(self, formats: Iterable[str]) -> TranscodeJob | None:
        """Order those of the named formats that are neither there nor under way, if any."""
        with transaction.atomic():
            # Two tabs may ask at once: the second one waits here for the first one's rows.
            if AudioFile.objects.select_for_update().filter(pk=self.pk).first() is None:
                return None
            # Of several renditions of a format the newest counts.
            newest = dict(self.renditions.order_by("pk").values_list("format_name", "status"))
            fine = (*TranscodeJob.OPEN, TranscodeJob.Status.COMPLETE)
            wanted = [name for name in formats if newest.get(name) not in fine]
            return self.order(wanted) if wanted else None

    # Read from prefetched rows: pages show many files (see ``with_work``).

    @property
    def latest_renditions(self) -> list[Rendition]:
        """The newest rendition of each format, in the order of the table of formats."""
        newest = {rendition.format_name: rendition for rendition in self.renditions.all()}
        return [newest[name] for name in FORMATS if name in newest]

    @property
    def ready_renditions(self) -> list[Rendition]:
        return [rendition for rendition in self.latest_renditions if rendition.is_ready]

    @property
    def failed_renditions(self) -> list[Rendition]:
        ended = (TranscodeJob.Status.ERROR, TranscodeJob.Status.CANCELED)
        return [rendition for rendition in self.latest_renditions if rendition.status in ended]

    @property
    def latest_job(self) -> TranscodeJob | None:
        return next(iter(self.jobs.all()), None)

    @property
    def open_jobs(self) -> list[TranscodeJob]:
        return [job for job in self.jobs.all() if not job.is_final]

    @property
    def state(self) -> str:
        """One word for the library: waiting, converting, ready, canceled or failed."""
        if self.open_jobs:
            started = any(job.status == TranscodeJob.Status.PROGRESSING for job in self.open_jobs)
            return "converting" if started else "waiting"
        statuses = {rendition.status for rendition in self.latest_renditions}
        if statuses == {TranscodeJob.Status.COMPLETE}:
            return "ready"
        return "failed" if TranscodeJob.Status.ERROR in statuses else "canceled"

    @property
    def state_label(self) -> str:
        return {
            "waiting": _("waiting"),
            "converting": _("converting"),
            "ready": _("ready"),
            "failed": _("failed"),
            "canceled": _("canceled"),
        }[self.state]

    @property
    def media_type(self) -> str:
        return source_media_type(self.container)

    @property
    def original_download_name(self) -> str:
        """The name under which the upload is handed back, with the extension of what it is."""
        return f"{names.without_extension(self.file_name)}.{source_extension(self.container)}"

    def _file_in(self, format_name: str) -> FieldFile | None:
        rendition = (
            self.renditions.filter(format_name=format_name, status=TranscodeJob.Status.COMPLETE)
            .order_by("-id")
            .first()
        )
        return rendition.file if rendition else None

    @property
    def wav_file(self) -> FieldFile | None:
        return self._file_in("wav")

    @property
    def flac_file(self) -> FieldFile | None:
        return self._file_in("flac")

    @property
    def mp4_file(self) -> FieldFile | None:
        return self._file_in("mp4")


class StorageAccountQuerySet(models.QuerySet["StorageAccount"]):
    def with_use(self) -> StorageAccountQuerySet:
        """Add ``files``, ``upload_bytes``, ``result_bytes`` and ``total_bytes`` of each person."""
        files = AudioFile.objects.filter(owner=models.OuterRef("pk")).order_by().values("owner")
        results = (
            Rendition.objects.filter(audio_file__owner=models.OuterRef("pk"))
            .order_by()
            .values("audio_file__owner")
        )
        size = models.Sum("size_bytes")
        return self.annotate(
            files=_or_zero(files.annotate(n=models.Count("pk")).values("n")),
            upload_bytes=_or_zero(files.annotate(n=size).values("n")),
            result_bytes=_or_zero(results.annotate(n=size).values("n")),
            total_bytes=models.F("upload_bytes") + models.F("result_bytes"),
        )


def _or_zero(query: models.QuerySet) -> Coalesce:
    return Coalesce(models.Subquery(query, output_field=models.BigIntegerField()), 0)


class StorageAccount(User):
    """What one person keeps in the store, for operators: a view of the person's own row."""

    objects = StorageAccountQuerySet.as_manager()

    class Meta:
        proxy = True
        verbose_name = gettext_lazy("storage of a person")
        verbose_name_plural = gettext_lazy("storage by person")


class TranscodeJobQuerySet(models.QuerySet["TranscodeJob"]):
    def unfinished(self) -> TranscodeJobQuerySet:
        return self.filter(status__in=TranscodeJob.OPEN)

    def waiting_to_be_placed(self, now: datetime) -> TranscodeJobQuerySet:
        """Jobs to place now; those of a file that nobody has looked at yet are not among them."""
        due = self.unfinished().filter(engine_id="", next_step_at__lte=now)
        return due.filter(audio_file__examined_at__isnull=False)

    def placed(self) -> TranscodeJobQuerySet:
        return self.unfinished().exclude(engine_id="")

    def watched(self, now: datetime, engines: Collection[str]) -> TranscodeJobQuerySet:
        """Placed jobs with one of ``engines`` that a page shows just now."""
        is_watched = Q(engine__in=engines, watched_at__gt=now - TranscodeJob.WATCHED_FOR)
        return self.placed().filter(is_watched)

    def to_be_read(self, now: datetime, read_often: Collection[str]) -> TranscodeJobQuerySet:
        """Placed jobs whose engine should be asked now.

        That is often while somebody watches and the engine is one of ``read_often``, else rarely.
        """
        is_due = Q(read_at__lte=now - TranscodeJob.READ_WHILE_WATCHED)
        return self.placed().filter(next_step_at__lte=now) | self.watched(now, read_often).filter(
            is_due
        )


class TranscodeJob(models.Model):
    """One order for renditions of one audio file, placed with one engine."""

    class Status(models.TextChoices):
        SUBMITTED = "Submitted", gettext_lazy("waiting")
        PROGRESSING = "Progressing", gettext_lazy("converting")
        COMPLETE = "Complete", gettext_lazy("ready")
        CANCELED = "Canceled", gettext_lazy("canceled")
        ERROR = "Error", gettext_lazy("failed")

    OPEN = (Status.SUBMITTED, Status.PROGRESSING)
    FINAL = (Status.COMPLETE, Status.CANCELED, Status.ERROR)

    # A page that shows the job polls; without a poll for so long nobody looks any more.
    WATCHED_FOR = timedelta(seconds=6)
    READ_WHILE_WATCHED = timedelta(seconds=0.9)
    # Nobody looks: the notice will tell, and this is for when it does not.
    READ_OTHERWISE = timedelta(minutes=2)
    # A result that the engine calls complete may be this late in the store.
    RESULT_LIMIT = timedelta(minutes=5)
    # An engine that is silent for so long is given up.
    ENGINE_LIMIT = timedelta(hours=24)
    # Work on a job takes no longer than this and so many times the length of its sound. Our own
    # transcoder alone waits for a store that is away for a day.
    WORK_LIMIT = timedelta(hours=25)
    WORK_LIMIT_FACTOR = 8

    code = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    audio_file = models.ForeignKey(AudioFile, on_delete=models.PROTECT, related_name="jobs")
    engine = models.CharField(max_length=32)
    engine_id = models.CharField(max_length=100, blank=True)  # empty until it is placed
    status = models.CharField(max_length=11, choices=Status, default=Status.SUBMITTED)
    progress = models.PositiveSmallIntegerField(default=0)  # percent
    reason = models.CharField(max_length=20, blank=True)
    detail = models.CharField(max_length=500, blank=True)  # the engine's words, for operators
    created_at = models.DateTimeField(default=timezone.now)
    place_attempts = models.PositiveIntegerField(default=0)
    # Since when the engine has been asked without an answer, for a place or for news.
    asked_since = models.DateTimeField(null=True, blank=True)
    placed_at = models.DateTimeField(null=True, blank=True)
    is_reordered = models.BooleanField(default=False)  # the engine forgot it once
    # When to try to place it (again); once it is placed, when to ask the engine at the latest.
    next_step_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True, blank=True)
    watched_at = models.DateTimeField(null=True, blank=True)
    missing_since = models.DateTimeField(null=True, blank=True)  # a result not in the store
    reported_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = TranscodeJobQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            # The steps look for open jobs that are due. Not a partial index: Django binds the
            # statuses as parameters, and SQLite then cannot tell that it applies.
            models.Index(fields=["status", "next_step_at"], name="transcode_job_due"),
            # A notice without our own id names the engine's.
            models.Index(fields=["engine_id"], name="transcode_job_engine_id"),
        ]

    def __str__(self) -> str:
        return f"{self.audio_file_id}/{self.code}"

    @property
    def is_final(self) -> bool:
        return self.status in self.FINAL

    @property
    def work_limit(self) -> timedelta:
        """How long an engine may work on it; as long as on the longest, if it has no length yet."""
        duration_ms = self.audio_file.duration_ms
        if duration_ms is None:
            duration_ms = settings.MAX_DURATION_S * 1000
        sound = timedelta(milliseconds=duration_ms)
        return self.WORK_LIMIT + self.WORK_LIMIT_FACTOR * sound

    @property
    def reason_sentence(self) -> str:
        return reasons.sentence(self.reason) if self.reason else ""

    def report(self, report: JobReport) -> bool:
        """Record what the engine says; return whether the job changed.

        Reports arrive twice and out of order, and workers race: the row decides, not this
        instance, and a final status is never left again. The person's message is written in the
        same transaction.
        """
        with transaction.atomic():
            changed = self._move(report)
            for output in report.outputs:
                if output.status == self.Status.SUBMITTED:
                    continue  # says nothing, or is late
                Rendition.objects.unfinished().filter(
                    job=self, file=keys.storage_name(output.key)
                ).update(
                    status=output.status,
                    size_bytes=output.size_bytes,
                    duration_ms=output.duration_ms,
                    reason=output.reason,
                    detail=output.detail[:500],
                )
            if changed and self.is_final:
                # Whatever the engine did not speak of ends as its job did.
                left = Rendition.objects.unfinished().filter(job=self)
                left.update(status=self.status, reason=self.reason)
                self._learn_the_length()
                self._tell_owner()
                steps.nudge("place")
        return changed

    def _move(self, report: JobReport) -> bool:
        row = TranscodeJob.objects.unfinished().filter(pk=self.pk)
        # Reports overtake each other.
        at = Value(report.at, models.DateTimeField())
        values = {"reported_at": Greatest(Coalesce("reported_at", at), at)}
        if report.progress is not None:
            values["progress"] = Greatest("progress", report.progress)  # reports may be late
        if report.status == self.Status.SUBMITTED:
            row.filter(status=self.Status.SUBMITTED).update(**values)
            return False
        if report.status == self.Status.PROGRESSING:
            row.update(**values)
            row = row.filter(status=self.Status.SUBMITTED)
        else:
            values |= {
                "reason": report.reason,
                "detail": report.detail[:500],
                "finished_at": timezone.now(),
            }
            if report.status == self.Status.COMPLETE:
                values["progress"] = 100
        moved = row.update(status=report.status, **values) == 1
        if moved:
            self.refresh_from_db()
        return moved

    def _learn_the_length(self) -> None:
        """Take the length of a sound that nobody has counted from a result that was proven."""
        measured = self.renditions.filter(
            status=self.Status.COMPLETE, duration_ms__isnull=False
        ).first()
        if measured:
            unknown = AudioFile.objects.filter(pk=self.audio_file_id, duration_ms__isnull=True)
            unknown.update(duration_ms=measured.duration_ms)

    def cancel(self) -> bool:
        """End the job now; return whether it was still open. A step tells the engine."""
        with transaction.atomic():
            now = timezone.now()
            open_rows = TranscodeJob.objects.unfinished().filter(pk=self.pk)
            if not open_rows.update(status=self.Status.CANCELED, finished_at=now):
                return False
            Rendition.objects.unfinished().filter(job=self).update(status=self.Status.CANCELED)
            self.refresh_from_db()
            self._have_the_rest_removed()
            steps.nudge("place")
        return True

    def time_out(self) -> bool:
        """End the job in Error, now; return whether it was open. A step tells the engine."""
        with transaction.atomic():
            detail = "The engine worked on it for too long."
            report = JobReport(
                engine_id=self.engine_id,
                status=self.Status.ERROR,
                at=timezone.now(),
                reason="timed_out",
                detail=detail,
            )
            if not self.report(report):
                return False
            self._have_the_rest_removed()
        return True

    def _have_the_rest_removed(self) -> None:
        # What is complete stays; the rest of the prefix is removed by key.
        unwanted = self.renditions.exclude(status=self.Status.COMPLETE)
        deletion = Deletion.objects.create(prefixes=[one.file.name for one in unwanted])
        DeletedJob.of(self, deletion).save()
        steps.nudge("delete")

    def retry(self) -> TranscodeJob | None:
        """Order again, as a new job, what this one did not deliver and nobody has since.

        None while it is open, and where nothing is missing.
        """
        if not self.is_final:
            return None
        missing = self.renditions.exclude(status=self.Status.COMPLETE)
        return self.audio_file.order_missing(missing.values_list("format_name", flat=True))

    def _tell_owner(self) -> None:
        if self.status == self.Status.CANCELED:
            return
        name = self.audio_file.name
        if self.status == self.Status.COMPLETE:
            level, text = Message.Level.SUCCESS, _("Your file {name} is ready.").format(name=name)
        else:
            level = Message.Level.ERROR
            failed = self.renditions.filter(status=self.Status.ERROR)
            text = _("Your file {name} could not be converted to {formats}. {reason}").format(
                name=name,
                formats=", ".join(rendition.format.label for rendition in failed),
                reason=self.reason_sentence,
            )
        Message.objects.tell(
            self.audio_file.owner,
            event=f"job:{self.code}:{self.status}",
            about=self.audio_file.code,
            level=level,
            text=text,
            link=self.audio_file.get_absolute_url(),
        )


class RenditionQuerySet(models.QuerySet["Rendition"]):
    def unfinished(self) -> RenditionQuerySet:
        return self.filter(status__in=TranscodeJob.OPEN)


class Rendition(models.Model):
    """One encoded result of one audio file."""

    code = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    audio_file = models.ForeignKey(AudioFile, on_delete=models.PROTECT, related_name="renditions")
    job = models.ForeignKey(TranscodeJob, on_delete=models.PROTECT, related_name="renditions")
    format_name = models.CharField(max_length=16)
    # Where the engine stores it; there is an object only once the status is Complete.
    file = models.FileField(max_length=200)
    status = models.CharField(
        max_length=11, choices=TranscodeJob.Status, default=TranscodeJob.Status.SUBMITTED
    )
    size_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    duration_ms = models.PositiveBigIntegerField(null=True, blank=True)
    reason = models.CharField(max_length=20, blank=True)
    detail = models.CharField(max_length=500, blank=True)

    objects = RenditionQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["job", "format_name"], name="ordered_once_in_a_job")
        ]
        indexes = [
            # Notices name results by key.
            models.Index(fields=["file"], name="rendition_file")
        ]

    def __str__(self) -> str:
        return f"{self.format_name} {self.code}"

    @classmethod
    def of(cls, job: TranscodeJob, format_name: str) -> Rendition:
        """Return an unsaved row; its object's name carries file and job, so none is met twice."""
        folder = f"renditions/{job.audio_file.code}/{job.code}"
        return cls(
            audio_file=job.audio_file,
            job=job,
            format_name=format_name,
            file=f"{folder}/{format_name}.{FORMATS[format_name].extension}",
        )

    @property
    def format(self) -> Format:
        return FORMATS[self.format_name]

    @property
    def is_ready(self) -> bool:
        return self.status == TranscodeJob.Status.COMPLETE

    @property
    def reason_sentence(self) -> str:
        return reasons.sentence(self.reason) if self.reason else ""

    @property
    def note(self) -> str:
        """What is otherwise than ordered in a good result, in the engine's words."""
        return self.detail if self.is_ready else ""

    @property
    def download_name(self) -> str:
        return f"{self.audio_file.name}.{self.format.extension}"

    @property
    def download_url(self) -> str:
        return reverse("audio:download", args=[self.audio_file.code, self.code])

    @property
    def listen_url(self) -> str:
        return reverse("audio:listen", args=[self.audio_file.code, self.code])


class UploadQuerySet(models.QuerySet["Upload"]):
    def unfinished(self) -> UploadQuerySet:
        return self.filter(finished_at=None, aborted_at=None)


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
        return keys.bucket_key(f"uploads/{self.file_code}/source")

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

    def __str__(self) -> str:
        return ", ".join(self.prefixes)


class DeletedJob(models.Model):
    """An engine's job whose results nobody wants any more."""

    # None: its objects are gone. The row stays a week, so that a late notice is understood.
    deletion = models.ForeignKey(
        Deletion, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs"
    )
    created_at = models.DateTimeField(default=timezone.now, db_index=True)  # swept by age
    code = models.UUIDField(db_index=True)  # of the TranscodeJob; late notices name it
    engine = models.CharField(max_length=32)
    engine_id = models.CharField(max_length=100, blank=True)
    # Whether the engine may know of it although we have no id: an order without an answer.
    is_maybe_placed = models.BooleanField(default=False)
    is_done = models.BooleanField(default=False)  # the engine will not touch it any more

    def __str__(self) -> str:
        return str(self.code)

    @classmethod
    def of(cls, job: TranscodeJob, deletion: Deletion) -> DeletedJob:
        """Return an unsaved row for ``job``."""
        return cls(
            deletion=deletion,
            code=job.code,
            engine=job.engine,
            engine_id=job.engine_id,
            is_maybe_placed=job.place_attempts > 0,
        )

    @classmethod
    def look_again(cls, code: uuid.UUID) -> bool:
        """Have the objects of a deleted job removed now; return whether there is such a job."""
        rows = list(cls.objects.filter(code=code))
        deletions = Deletion.objects.filter(pk__in=[row.deletion_id for row in rows])
        if deletions.update(next_step_at=timezone.now()):
            steps.nudge("delete")
        return bool(rows)


class ReceivedNotice(models.Model):
    """An SNS message that we took; the same MessageId is never acted on twice."""

    KEPT_FOR = timedelta(days=7)  # longer than any sender repeats

    message_id = models.CharField(max_length=100, unique=True)
    topic_arn = models.CharField(max_length=255)
    message = models.TextField(blank=True)
    outcome = models.CharField(max_length=100)
    received_at = models.DateTimeField(default=timezone.now, db_index=True)  # swept by age

    def __str__(self) -> str:
        return self.message_id


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
