"""What people uploaded."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.db.models.fields.files import FieldFile
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy

import steps
from audio_transcoder import keys, names
from audio_transcoder.engines.base import SoundReport, Source
from audio_transcoder.formats import FORMATS, source_extension, source_media_type
from audio_transcoder.models.deletions import DeletedFile, DeletedJob, Deletion
from audio_transcoder.models.jobs import Rendition, TranscodeJob
from audio_transcoder.variants import AS_USUAL, Options
from transcode_messages.models import Message


def source_name(audio_file: AudioFile, _filename: str) -> str:
    """Return the storage name of an upload; nothing of the person's file name is in it."""
    return keys.source_name(audio_file.code)


def _newest(renditions: Iterable[Rendition]) -> list[Rendition]:
    """Return the last one of each format and variant, in the order of the table of formats."""
    newest = {(one.format_name, one.variant): one for one in renditions}
    return [
        rendition
        for format_name in FORMATS
        for (name, _variant), rendition in newest.items()
        if name == format_name
    ]


def _by_options(renditions: Iterable[Rendition]) -> list[tuple[Options, list[str]]]:
    """Return what orders them again: the options of a job, and its formats."""
    jobs: dict[tuple[float | None, ...], list[dict[str, Rendition]]] = {}
    for one in renditions:
        job = one.job
        alike = jobs.setdefault((job.clip_start_ms, job.clip_end_ms, job.target_lufs), [{}])
        # A job has one result of a format.
        if one.format_name in alike[-1]:
            alike.append({})
        alike[-1][one.format_name] = one
    return [
        (next(iter(some.values())).job.options_of(some.values()), list(some))
        for alike in jobs.values()
        for some in alike
    ]


class AudioFileQuerySet(models.QuerySet["AudioFile"]):
    def unexamined(self) -> AudioFileQuerySet:
        return self.filter(examined_at__isnull=True)

    def with_work(self) -> AudioFileQuerySet:
        """Everything that a page shows of a file, in two more queries for all files."""
        return self.prefetch_related(
            models.Prefetch("jobs", TranscodeJob.objects.order_by("-id")),
            models.Prefetch("renditions", Rendition.objects.order_by("id").select_related("job")),
        )

    @transaction.atomic
    def remove(self, *, by_owner: bool = False) -> int:
        """Delete these files with all that belongs to them; return how many there were.

        ``by_owner``: they go on counting for the limits of uploads; otherwise one might upload
        without end. What others delete may be uploaded anew.
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
        if by_owner:
            DeletedFile.objects.note(files)
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


class TooManyResults(Exception):
    """The file has as many parts, loudnesses and bit rates as one file may have."""


class AudioFile(models.Model):
    """One sound that a person uploaded."""

    # Each of its results is on its page, and a part can be cut to the millisecond. What failed or
    # was canceled is on it too, and can always be tried again.
    MOST_RESULTS = 100

    # Whoever is just downloading a result that was made anew has so long for the rest of it.
    REPLACED_KEPT_FOR = timedelta(minutes=15)

    class State(models.TextChoices):
        WAITING = "waiting", gettext_lazy("waiting")
        CONVERTING = "converting", gettext_lazy("converting")
        READY = "ready", gettext_lazy("ready")
        FAILED = "failed", gettext_lazy("failed")
        CANCELED = "canceled", gettext_lazy("canceled")

    OPEN = (State.WAITING, State.CONVERTING)

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
    # What the store called the object when it was accepted. A store that is moved calls it anew.
    etag = models.CharField(max_length=200, blank=True)
    container = models.CharField(max_length=32, blank=True)
    codec = models.CharField(max_length=32, blank=True)
    channels = models.PositiveSmallIntegerField(null=True, blank=True)
    sample_rate_hz = models.PositiveIntegerField(null=True, blank=True)
    bits = models.PositiveSmallIntegerField(null=True, blank=True)  # of a sample; lossless only
    bitrate_kbps = models.PositiveIntegerField(null=True, blank=True)
    duration_ms = models.PositiveBigIntegerField(null=True, blank=True)
    loudness_lufs = models.FloatField(null=True, blank=True)  # integrated, EBU R128
    true_peak_dbtp = models.FloatField(null=True, blank=True)
    # What it says of itself, or what its owner says of it.
    title = models.CharField(max_length=255, blank=True)
    artist = models.CharField(max_length=255, blank=True)
    album = models.CharField(max_length=255, blank=True)
    year = models.CharField(max_length=10, blank=True)  # or a date: "2019-05-01"
    track = models.CharField(max_length=10, blank=True)  # "3" or "3/12"
    # The picture on its front: storage name of the original, empty while there is none.
    cover = models.CharField(max_length=200, blank=True)
    cover_width = models.PositiveIntegerField(null=True, blank=True)
    cover_height = models.PositiveIntegerField(null=True, blank=True)
    # What its owner has said of it: names of fields, with commas between, and whether the cover
    # was chosen, or taken away. The rest is the sound's own, and results carry that by themselves.
    edited_tags = models.CharField(max_length=64, blank=True)
    is_cover_chosen = models.BooleanField(default=False)
    label_changed_at = models.DateTimeField(null=True, blank=True)  # by the owner
    created_at = models.DateTimeField(default=timezone.now)
    # When the owner had the original back for the first time.
    downloaded_at = models.DateTimeField(null=True, blank=True)
    # When somebody looked whether it is sound. None: it came past the web process, and its jobs
    # wait until the step "examine" has looked, next at ``examine_at``.
    examined_at = models.DateTimeField(default=timezone.now, null=True, blank=True)
    examine_at = models.DateTimeField(default=timezone.now)
    examine_attempts = models.PositiveIntegerField(default=0)
    # What ``state`` made of the jobs and renditions when they last changed. The library looks
    # for it: asking the rows of 100,000 files takes a quarter of a second.
    kept_state = models.CharField(max_length=10, choices=State, default=State.WAITING)

    objects = AudioFileQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "upload_token"], name="uploaded_once")
        ]
        indexes = [
            # The library: one person's files, newest first.
            models.Index(fields=["owner", "-created_at", "-id"], name="audio_file_library"),
            # The library: those of one state.
            models.Index(
                fields=["owner", "kept_state", "-created_at", "-id"], name="audio_file_by_state"
            ),
            # The import asks whether its owner has a file's bytes already.
            models.Index(fields=["owner", "sha256"], name="audio_file_same_bytes"),
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

    @property
    def source(self) -> Source:
        """What engines are told of it."""
        return Source(
            key=keys.bucket_key(self.mp3_file.name),
            container=self.container,
            codec=self.codec,
            channels=self.channels,
            sample_rate_hz=self.sample_rate_hz,
            duration_ms=self.duration_ms,
        )

    def learn_length(self, duration_ms: int) -> None:
        """Take this for the length of the sound, unless it is known."""
        unknown = AudioFile.objects.filter(pk=self.pk, duration_ms__isnull=True)
        unknown.update(duration_ms=duration_ms)

    def learn_sound(self, found: SoundReport) -> None:
        """Take what an engine found in it; what is known already stays.

        Tags are not among it: whoever emptied one wants it empty.
        """
        row = AudioFile.objects.filter(pk=self.pk)
        row.filter(codec="", channels__isnull=True, sample_rate_hz__isnull=True).update(
            codec=found.codec, channels=found.channels, sample_rate_hz=found.sample_rate_hz
        )
        for name in ("bits", "bitrate_kbps", "loudness_lufs", "true_peak_dbtp"):
            value = getattr(found, name)
            if value is not None:
                row.filter(**{name: None}).update(**{name: value})
        if found.waveform and row.exists():
            Waveform.objects.get_or_create(audio_file=self, defaults={"peaks": found.waveform})

    @staticmethod
    def label_at_of_job() -> models.Subquery:
        """Return ``label_at`` of a job that reads its file from now on, for an update of jobs."""
        own = AudioFile.objects.filter(pk=models.OuterRef("audio_file"))
        return models.Subquery(own.values(at=Coalesce("label_changed_at", "created_at")))

    def tags_given(self) -> dict[str, str]:
        """Return what the owner has changed of the tags, by FFmpeg's names; "" takes one away."""
        edited = self.edited_tags.split(",") if self.edited_tags else []
        return {{"year": "date"}.get(field, field): getattr(self, field) for field in edited}

    def cover_key_given(self) -> str | None:
        """Return the key of the cover that the owner chose, "" for none; None: the sound's own."""
        if not self.is_cover_chosen:
            return None
        return keys.bucket_key(self.cover) if self.cover else ""

    def order(self, formats: Iterable[str], options: Options = AS_USUAL) -> TranscodeJob:
        """Order one rendition for each named format; a step places the job with the engine."""
        with transaction.atomic():
            job = TranscodeJob.objects.create(
                audio_file=self,
                engine=settings.TRANSCODER_ENGINE,
                clip_start_ms=options.clip_start_ms,
                clip_end_ms=options.clip_end_ms,
                target_lufs=options.target_lufs,
            )
            Rendition.objects.bulk_create(Rendition.of(job, name, options) for name in formats)
            self.keep_state()
            steps.nudge("place")
        return job

    def order_missing(
        self, formats: Iterable[str], options: Options = AS_USUAL
    ) -> TranscodeJob | None:
        """Order those of the named formats that are neither there nor under way, if any.

        Another part, loudness or bit rate is another result. Raises TooManyResults where that
        would be one too many; what failed or was canceled counts for none and gives way.
        """
        with transaction.atomic():
            # Two tabs may ask at once: the second one waits here for the first one's rows.
            if self.hold() is None:
                return None
            # Of several renditions of a format and variant the newest counts.
            newest: dict[tuple[str, str], str] = {}
            there = set()
            fine = (*TranscodeJob.OPEN, TranscodeJob.Status.COMPLETE)
            rows = self.renditions.order_by("pk")
            for *one, status in rows.values_list("format_name", "variant", "status"):
                newest[tuple(one)] = status
                if status in fine:
                    there.add(tuple(one))
            wanted = {(name, options.variant(name)) for name in formats}
            wanted = {one for one in wanted if newest.get(one) not in fine}
            if not wanted:
                return None
            if [one for one in wanted if one[1] and one not in newest]:
                if len(there | wanted) > self.MOST_RESULTS:
                    raise TooManyResults
                over = len(newest.keys() | wanted) - self.MOST_RESULTS
                given_up = [one for one in newest if one[1] and one not in there | wanted]
                for name, variant in given_up[: max(0, over)]:
                    del newest[name, variant]
                    self.renditions.filter(format_name=name, variant=variant).delete()
            if not [one for one in newest if newest[one] not in fine and one not in wanted]:
                Message.objects.settle([self.code])  # nothing is left to try again
            return self.order([name for name in FORMATS if name in dict(wanted)], options)

    def order_failed(self) -> list[TranscodeJob]:
        """Order again what failed or was canceled, each as it was ordered."""
        with transaction.atomic():
            jobs = [
                self.order_missing(formats, options)
                for options, formats in _by_options(self.failed_renditions)
            ]
        return [job for job in jobs if job is not None]

    def order_outdated(self) -> list[TranscodeJob]:
        """Order again the results that carry older tags or another cover, each as it was."""
        with transaction.atomic():
            # Two tabs may ask at once: the second one sees the first one's rows.
            self.hold()
            mine = AudioFile.objects.with_work().filter(pk=self.pk).first()
            outdated = mine.outdated_renditions if mine else []
            return [self.order(formats, options) for options, formats in _by_options(outdated)]

    def hold(self) -> AudioFile | None:
        """Let nobody else change this file, or its state, before the transaction ends.

        Returns the row as it is now, None if it is gone. Two jobs that end at once would each take
        the other one for open.
        """
        return AudioFile.objects.select_for_update().filter(pk=self.pk).first()

    def keep_state(self) -> None:
        """Write down what the rows make of ``state``, in the transaction that changed them."""
        now = AudioFile.objects.with_work().get(pk=self.pk).state
        AudioFile.objects.filter(pk=self.pk).exclude(kept_state=now).update(kept_state=now)
        self.kept_state = now

    def drop_replaced(self) -> None:
        """Let results go of whose kind there is a newer one, in the transaction that brought it.

        The newer one takes over their links and their address: whoever was given "the FLAC", or has
        it open, gets the newest. The file must be held.
        """
        gone = list(self.renditions.replaced().order_by("pk"))
        for old in gone:
            alike = self.renditions.newest_ready().filter(
                format_name=old.format_name, variant=old.variant
            )
            old.shares.update(rendition=alike.get())
            Rendition.objects.filter(pk=old.pk).delete()
            if old.is_ready:
                alike.update(code=old.code)
        if gone:
            due = timezone.now() + self.REPLACED_KEPT_FOR
            Deletion.objects.note([old.file.name for old in gone], due=due)

    # Read from prefetched rows: pages show many files (see ``with_work``).

    @property
    def latest_renditions(self) -> list[Rendition]:
        """The newest rendition of each format and variant, in the order of the table of formats."""
        return _newest(self.renditions.all())

    @property
    def ready_renditions(self) -> list[Rendition]:
        """The newest one of each format and variant that can be had; a newer one may be made."""
        return _newest(one for one in self.renditions.all() if one.is_ready)

    @property
    def outdated_renditions(self) -> list[Rendition]:
        """Results that are there and carry older tags or another cover; none that are made anew."""
        latest = self.latest_renditions
        return [one for one in latest if one.is_ready and one.has_older_label]

    @property
    def failed_renditions(self) -> list[Rendition]:
        ended = (TranscodeJob.Status.ERROR, TranscodeJob.Status.CANCELED)
        return [rendition for rendition in self.latest_renditions if rendition.status in ended]

    @property
    def latest_job(self) -> TranscodeJob | None:
        return next(iter(self.jobs.all()), None)

    @property
    def shown_job(self) -> TranscodeJob | None:
        """The job whose progress tells most: one under way, else the next one, else the newest."""
        begun = [job for job in self.open_jobs if job.status == TranscodeJob.Status.PROGRESSING]
        return next(iter(begun or self.open_jobs[-1:]), self.latest_job)

    @property
    def open_jobs(self) -> list[TranscodeJob]:
        return [job for job in self.jobs.all() if not job.is_final]

    @property
    def has_news(self) -> bool:
        """Whether a page that shows it should ask for what changed."""
        return any(job.has_news for job in self.jobs.all())

    @property
    def state(self) -> str:
        """One word for the file: waiting, converting, ready, canceled or failed."""
        if self.open_jobs:
            started = any(job.status == TranscodeJob.Status.PROGRESSING for job in self.open_jobs)
            return self.State.CONVERTING if started else self.State.WAITING
        statuses = {rendition.status for rendition in self.latest_renditions}
        if statuses == {TranscodeJob.Status.COMPLETE}:
            return self.State.READY
        has_failed = TranscodeJob.Status.ERROR in statuses
        return self.State.FAILED if has_failed else self.State.CANCELED

    @property
    def state_label(self) -> str:
        return str(self.State(self.state).label)

    @property
    def media_type(self) -> str:
        return source_media_type(self.container)

    @property
    def original_download_name(self) -> str:
        """The name under which the upload is handed back, with the extension of what it is."""
        return f"{names.without_extension(self.file_name)}.{source_extension(self.container)}"

    def _file_in(self, format_name: str) -> FieldFile | None:
        rendition = (
            self.renditions.plain()
            .filter(format_name=format_name, status=TranscodeJob.Status.COMPLETE)
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


class Waveform(models.Model):
    """How loud a sound is from its begin to its end, as it is drawn.

    In a table of its own: lists of files do not read it.
    """

    audio_file = models.OneToOneField(
        AudioFile, on_delete=models.CASCADE, primary_key=True, related_name="waveform"
    )
    # One byte for each of at most 2,000 points: the peak of all channels, 255 is full scale.
    peaks = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.audio_file_id}: {len(self.peaks)} points"
