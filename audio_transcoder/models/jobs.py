"""What people ordered: jobs, and the renditions that they make."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q, Value
from django.db.models.functions import Coalesce, Greatest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

import steps
from audio_transcoder import keys, names, order_ids, reasons, variants
from audio_transcoder.engines import CARRY_LABELS
from audio_transcoder.engines.base import Clip, JobReport, Order, Wanted
from audio_transcoder.formats import FORMATS, Format
from audio_transcoder.models.deletions import DeletedJob, Deletion
from audio_transcoder.variants import AS_USUAL, Options
from transcode_messages.languages import spoken_to
from transcode_messages.models import Message

if TYPE_CHECKING:
    from audio_transcoder.models.files import AudioFile


class TranscodeJobQuerySet(models.QuerySet["TranscodeJob"]):
    def unfinished(self) -> TranscodeJobQuerySet:
        return self.filter(status__in=TranscodeJob.OPEN)

    def waiting_to_be_placed(self, now: datetime) -> TranscodeJobQuerySet:
        """Jobs to place now; those of a file that nobody has looked at yet are not among them."""
        due = self.unfinished().filter(engine_id="", next_step_at__lte=now)
        return due.filter(audio_file__examined_at__isnull=False)

    def in_order(self) -> TranscodeJobQuerySet:
        """In the order of their places: what got no answer goes behind the others."""
        return self.order_by("next_step_at", "pk")

    def awaiting_facts(self) -> TranscodeJobQuerySet:
        """Jobs that are over and whose engine still finds something out."""
        told = (TranscodeJob.Status.COMPLETE, TranscodeJob.Status.ERROR)
        return self.filter(facts_due_at__isnull=False, status__in=told).exclude(engine_id="")

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
    # A page that is open waits for so long for what is found out when a job is over.
    FACTS_SHOWN_FOR = timedelta(minutes=3)
    # A result that the engine calls complete may be this late in the store.
    RESULT_LIMIT = timedelta(minutes=5)
    # An engine that is silent for so long is given up.
    ENGINE_LIMIT = timedelta(hours=24)
    # Work on a job takes no longer than this and so many times the length of its sound. Our own
    # transcoder alone waits for a store that is away for a day.
    WORK_LIMIT = timedelta(hours=25)
    WORK_LIMIT_FACTOR = 8
    # A passing fault of the engine's is no end before the last run; the first new one begins
    # after this time, the next after four times as long.
    RUNS = 3
    RUN_AGAIN_AFTER = timedelta(minutes=1)

    code = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    audio_file = models.ForeignKey("AudioFile", on_delete=models.PROTECT, related_name="jobs")
    engine = models.CharField(max_length=32)
    # Which order of it this is. A report on another one changes nothing.
    run = models.PositiveSmallIntegerField(default=1)
    engine_id = models.CharField(max_length=100, blank=True)  # empty until the run is placed
    status = models.CharField(max_length=11, choices=Status, default=Status.SUBMITTED)
    progress = models.PositiveSmallIntegerField(default=0)  # percent
    reason = models.CharField(max_length=20, blank=True)
    detail = models.CharField(max_length=500, blank=True)  # the engine's words, for operators
    created_at = models.DateTimeField(default=timezone.now)
    # The part of the sound that is wanted; both empty: all of it. An end that is empty is its end.
    clip_start_ms = models.PositiveBigIntegerField(null=True, blank=True)
    clip_end_ms = models.PositiveBigIntegerField(null=True, blank=True)
    # How loud the results shall be, EBU R128; empty: as loud as the source.
    target_lufs = models.FloatField(null=True, blank=True)
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
    # When to ask the engine, once the job is over, for what it has found in source and results;
    # None: everything is known, or nothing more will be.
    facts_due_at = models.DateTimeField(null=True, blank=True)
    facts_attempts = models.PositiveSmallIntegerField(default=0)
    # Which tags and cover the run has: those that the owner had changed at this time (or the
    # file's own, which came with it); what was changed later it does not have. Never the time at
    # which they were read: a change that is being written then has an earlier one.
    label_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)  # when the work on it began
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
            # The dashboard: what ended how, in a time. A forecast: the jobs that ended last.
            models.Index(fields=["status", "finished_at"], name="transcode_job_ended"),
            # The step "facts" looks for jobs that are due.
            models.Index(
                fields=["facts_due_at"],
                condition=Q(facts_due_at__isnull=False),
                name="transcode_job_facts",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.audio_file_id}/{self.code}"

    @property
    def order_id(self) -> str:
        return order_ids.order_id(self.code, self.run)

    @property
    def clip(self) -> Clip | None:
        """The part of the sound that is wanted, None for all of it."""
        return variants.clip(self.clip_start_ms, self.clip_end_ms)

    @property
    def those_before(self) -> Q:
        """Which jobs come before it, ``in_order()``."""
        at_once = Q(next_step_at=self.next_step_at, pk__lt=self.pk)
        return Q(next_step_at__lt=self.next_step_at) | at_once

    @property
    def order(self) -> Order:
        """What the engine is to do in this run."""
        return Order(
            our_id=self.order_id,
            source=self.audio_file.source,
            outputs=[one.wanted for one in self.renditions.all()],
            clip=self.clip,
            target_lufs=self.target_lufs,
            tags=self.audio_file.tags_given(),
            cover_key=self.audio_file.cover_key_given(),
            is_analysed=self._wants_analysis,
            found_cover_key=self._found_cover_key(),
        )

    @property
    def _wants_analysis(self) -> bool:
        """Whether the sound is to be heard as a whole; for a part of it only while unknown."""
        return self.clip is None or self.audio_file.loudness_lufs is None

    def _found_cover_key(self) -> str:
        """Return where the engine shall put the source's own picture; empty if one is known."""
        if self.audio_file.cover or self.audio_file.is_cover_chosen:
            return ""
        return keys.bucket_key(keys.found_cover_name(self.audio_file.code, self.order_id))

    @property
    def has_news(self) -> bool:
        """Whether it is open, or was over a moment ago and more is found out yet."""
        if not self.is_final or self.facts_due_at is None or self.status == self.Status.CANCELED:
            return not self.is_final
        return timezone.now() - (self.finished_at or self.created_at) < self.FACTS_SHOWN_FOR

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
        instance, and a final status is never left again. ``report`` is on the run that this
        instance was read with. The person's message is written in the same transaction.
        """
        with transaction.atomic():
            brings_results = any(one.status == self.Status.COMPLETE for one in report.outputs)
            if report.status != self.status or brings_results:
                self.audio_file.hold()
            changed = self._move(report)
            if report.sound:
                self.audio_file.learn_sound(report.sound)
            for output in report.outputs:
                if output.status == self.Status.SUBMITTED:
                    continue  # says nothing, or is late
                rows = Rendition.objects.filter(job=self, file=keys.storage_name(output.key))
                rows.unfinished().update(
                    status=output.status,
                    size_bytes=output.size_bytes,
                    duration_ms=output.duration_ms,
                    reason=output.reason,
                    detail=output.detail[:500],
                    ready_at=timezone.now() if output.status == self.Status.COMPLETE else None,
                )
                if output.sound:
                    # Known after the state, if it takes the engine longer. A notice, which may
                    # come first, counts in whole seconds.
                    found = output.sound.facts()
                    if output.duration_ms is not None:
                        found["duration_ms"] = output.duration_ms
                    rows.filter(status=self.Status.COMPLETE).update(**found)
            if changed and self.is_final:
                # Whatever the engine did not speak of ends as its job did.
                left = Rendition.objects.unfinished().filter(job=self)
                left.update(status=self.status, reason=self.reason)
                self._learn_the_length()
                self._tell_owner()
                steps.nudge("place")
                steps.nudge("facts")
            if brings_results or (changed and self.is_final):
                self.audio_file.drop_replaced()
            if changed:
                self.audio_file.keep_state()
        return changed

    def _move(self, report: JobReport) -> bool:
        row = TranscodeJob.objects.unfinished().filter(pk=self.pk, run=self.run)
        # Reports overtake each other.
        at = Value(report.at, models.DateTimeField())
        values = {"reported_at": Greatest(Coalesce("reported_at", at), at)}
        if report.status != self.Status.SUBMITTED:
            began = report.started_at or timezone.now()
            values["started_at"] = Coalesce("started_at", Value(began, models.DateTimeField()))
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
            self.audio_file.learn_length(measured.duration_ms)

    def run_again(self) -> bool:
        """Leave this run for a new one; return whether there is one to come, and it was this run's.

        The job stays open. The new run's results have keys of their own, and a step orders it when
        it is due; whatever the old one stored, or stores yet, is removed. So there is none once a
        result can be had.
        """
        if self.run >= self.RUNS:
            return False
        again = timezone.now() + self.RUN_AGAIN_AFTER * 4 ** (self.run - 1)
        with transaction.atomic():
            row = TranscodeJob.objects.unfinished().filter(pk=self.pk, run=self.run)
            if not row.exclude(renditions__status=self.Status.COMPLETE).update(
                run=self.run + 1,
                engine_id="",
                place_attempts=0,
                asked_since=None,
                placed_at=None,
                missing_since=None,
                label_at=None,
                next_step_at=again,
            ):
                return False
            picture = keys.found_cover_name(self.audio_file.code, self.order_id)
            deletion = Deletion.objects.note([f"{Rendition.folder_of(self)}/", picture])
            DeletedJob.of(self, deletion).save()
            self.refresh_from_db()
            for rendition in self.renditions.all():
                rendition.file = Rendition.name_in(self, rendition.format_name)
                rendition.save(update_fields=["file"])
            steps.nudge("place")
        return True

    def cancel(self) -> bool:
        """End the job now; return whether it was still open. A step tells the engine."""
        with transaction.atomic():
            self.audio_file.hold()
            now = timezone.now()
            open_rows = TranscodeJob.objects.unfinished().filter(pk=self.pk)
            if not open_rows.update(status=self.Status.CANCELED, finished_at=now):
                return False
            Rendition.objects.unfinished().filter(job=self).update(status=self.Status.CANCELED)
            self.refresh_from_db()
            # Nobody asks a canceled job for the picture that its runs have found.
            pictures = keys.found_covers_prefix(self.audio_file.code, self.code)
            self._have_the_rest_removed(pictures)
            self.audio_file.drop_replaced()
            self.audio_file.keep_state()
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

    def _have_the_rest_removed(self, *further: str) -> None:
        # What is complete stays; the rest of the prefix is removed by key.
        unwanted = self.renditions.exclude(status=self.Status.COMPLETE)
        deletion = Deletion.objects.note([*(one.file.name for one in unwanted), *further])
        DeletedJob.of(self, deletion).save()

    def retry(self) -> TranscodeJob | None:
        """Order again, as a new job, what this one did not deliver and nobody has since.

        None while it is open, and where nothing is missing.
        """
        if not self.is_final:
            return None
        missing = list(self.renditions.exclude(status=self.Status.COMPLETE))
        formats = [one.format_name for one in missing]
        return self.audio_file.order_missing(formats, self.options_of(missing))

    def options_of(self, renditions: Iterable[Rendition]) -> Options:
        """Return what orders these renditions again as this job made them, or would have."""
        return Options(
            self.clip_start_ms,
            self.clip_end_ms,
            self.target_lufs,
            {one.format_name: kbps for one in renditions if (kbps := one.wanted_bitrate_kbps)},
        )

    def _tell_owner(self) -> None:
        if self.status == self.Status.CANCELED:
            return
        is_ready = self.status == self.Status.COMPLETE
        with spoken_to(self.audio_file.owner):
            text = self._good_news() if is_ready else self._bad_news()
        Message.objects.tell(
            self.audio_file.owner,
            event=f"job:{self.code}:{self.status}",
            about=self.audio_file.code,
            level=Message.Level.SUCCESS if is_ready else Message.Level.ERROR,
            text=text,
            link=self.audio_file.get_absolute_url(),
            retry_url="" if is_ready else reverse("audio:retry", args=[self.audio_file.code]),
        )

    def _good_news(self) -> str:
        name = self.audio_file.name
        before = self.audio_file.jobs.filter(status=self.Status.COMPLETE).exclude(pk=self.pk)
        if not before.exists():
            return _("Your file {name} is ready.").format(name=name)
        formats = ", ".join(rendition.label for rendition in self.renditions.order_by("pk"))
        return _("Your file {name} is ready. New: {formats}.").format(name=name, formats=formats)

    def _bad_news(self) -> str:
        failed = self.renditions.filter(status=self.Status.ERROR)
        return _("Your file {name} could not be converted to {formats}. {reason}").format(
            name=self.audio_file.name,
            formats=", ".join(rendition.label for rendition in failed),
            reason=self.reason_sentence,
        )


class RenditionQuerySet(models.QuerySet["Rendition"]):
    def unfinished(self) -> RenditionQuerySet:
        return self.filter(status__in=TranscodeJob.OPEN)

    def plain(self) -> RenditionQuerySet:
        """Those of the whole sound, as their formats have it."""
        return self.filter(variant="")

    def newest_ready(self) -> RenditionQuerySet:
        """The newest one of each file, format and variant that can be had."""
        return self.filter(~self._has_newer(), status=TranscodeJob.Status.COMPLETE)

    def replaced(self) -> RenditionQuerySet:
        """Those of jobs that are over, of whose format and variant a newer one can be had."""
        return self.filter(self._has_newer(), job__status__in=TranscodeJob.FINAL)

    @staticmethod
    def _has_newer() -> models.Exists:
        newer = Rendition.objects.filter(
            audio_file=models.OuterRef("audio_file"),
            format_name=models.OuterRef("format_name"),
            variant=models.OuterRef("variant"),
            status=TranscodeJob.Status.COMPLETE,
            pk__gt=models.OuterRef("pk"),
        )
        return models.Exists(newer)


class Rendition(models.Model):
    """One encoded result of one audio file."""

    code = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    audio_file = models.ForeignKey("AudioFile", on_delete=models.PROTECT, related_name="renditions")
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
    # Asked for; empty: as the format has it.
    wanted_bitrate_kbps = models.PositiveIntegerField(null=True, blank=True)
    # What of the order is not as the format and the whole sound have it, e.g. "clip-1000-5000";
    # of renditions alike in format and variant the newest counts.
    variant = models.CharField(max_length=64, blank=True)
    # What was found in the result.
    codec = models.CharField(max_length=32, blank=True)
    channels = models.PositiveSmallIntegerField(null=True, blank=True)
    sample_rate_hz = models.PositiveIntegerField(null=True, blank=True)
    bits = models.PositiveSmallIntegerField(null=True, blank=True)
    bitrate_kbps = models.PositiveIntegerField(null=True, blank=True)
    # Whether its decoded sound is the source's to the last sample. None: nobody has compared.
    is_faithful = models.BooleanField(null=True, blank=True)
    sample_hash = models.CharField(max_length=64, blank=True)  # of the decoded sound
    correlation = models.FloatField(null=True, blank=True)  # with the source, where not faithful
    loudness_lufs = models.FloatField(null=True, blank=True)  # integrated, EBU R128
    true_peak_dbtp = models.FloatField(null=True, blank=True)
    lost_tags = models.CharField(max_length=200, blank=True)  # names, with commas between
    has_cover = models.BooleanField(null=True, blank=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    downloaded_at = models.DateTimeField(null=True, blank=True)  # for the first time

    objects = RenditionQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["job", "format_name"], name="ordered_once_in_a_job")
        ]
        indexes = [
            # Notices name results by key.
            models.Index(fields=["file"], name="rendition_file"),
            # Operators ask who keeps how much: the index alone tells.
            models.Index(fields=["audio_file", "size_bytes"], name="rendition_size"),
        ]

    def __str__(self) -> str:
        return f"{self.format_name} {self.code}"

    @classmethod
    def of(cls, job: TranscodeJob, format_name: str, options: Options = AS_USUAL) -> Rendition:
        """Return an unsaved row."""
        return cls(
            variant=options.variant(format_name),
            wanted_bitrate_kbps=options.bitrates.get(format_name),
            audio_file=job.audio_file,
            job=job,
            format_name=format_name,
            file=cls.name_in(job, format_name),
        )

    @staticmethod
    def folder_of(job: TranscodeJob) -> str:
        """Return where the results of the job's run lie, in the storage: nothing else does."""
        return f"renditions/{job.audio_file.code}/{job.order_id}"

    @classmethod
    def name_in(cls, job: TranscodeJob, format_name: str) -> str:
        """Return the storage name of a result; it carries file and run, so none is met twice."""
        return f"{cls.folder_of(job)}/{format_name}.{FORMATS[format_name].extension}"

    @property
    def format(self) -> Format:
        return FORMATS[self.format_name]

    @property
    def wanted(self) -> Wanted:
        """What the engine is to make for it."""
        key = keys.bucket_key(self.file.name)
        return Wanted(key, self.format, self.wanted_bitrate_kbps)

    @property
    def label(self) -> str:
        """What to call it: its format, and what of it is not as usual."""
        return variants.label(self.format.label, self.variant)

    @property
    def html_id(self) -> str:
        """What tells it from the other results on the page of its file."""
        words = f"{self.format_name} {self.variant}".strip()
        return words.replace(" ", "-").replace(".", "_")

    @property
    def has_older_label(self) -> bool:
        """Whether the owner has changed tags or cover since they were read for it."""
        changed_at, read_at = self.audio_file.label_changed_at, self.job.label_at
        if changed_at is None or self.job.engine not in CARRY_LABELS:
            return False
        return (read_at or self.job.created_at) < changed_at

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
        return self.name_for(self.audio_file)

    def name_for(self, audio_file: AudioFile) -> str:
        """Return the name to download it by; ``audio_file`` is its file, which need not be read."""
        words = variants.in_file_name(self.variant, self.format.in_file_name)
        name = f"{audio_file.name} {words}" if words else audio_file.name
        return f"{names.of_file(name)}.{self.format.extension}"

    @property
    def download_url(self) -> str:
        return reverse("audio:download", args=[self.audio_file.code, self.code])

    @property
    def listen_url(self) -> str:
        return reverse("audio:listen", args=[self.audio_file.code, self.code])
