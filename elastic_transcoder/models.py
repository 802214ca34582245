"""What the transcoder keeps: keys, pipelines, jobs with their outputs, and notices to deliver.

No foreign key leaves this room: the transcoder can run alone, on a database of its own.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

import steps
from elastic_transcoder.ids import new_id


class AccessKey(models.Model):
    """One caller of the API; what IAM was for Amazon."""

    access_key_id = models.CharField(max_length=128, unique=True)
    name = models.CharField(max_length=100)
    # Fernet token; SigV4 needs the secret itself, so a hash would not do.
    encrypted_secret = models.TextField()
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)  # to the hour

    def __str__(self) -> str:
        return f"{self.name} ({self.access_key_id})"


class CallRate(models.Model):
    """Until when one key's calls of one operation are paid for; what that means: ``api.rates``."""

    key = models.ForeignKey(AccessKey, on_delete=models.CASCADE, related_name="+")
    operation = models.CharField(max_length=64)
    paid_until_us = models.BigIntegerField(default=0)  # microseconds since the epoch

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "operation"], name="call_rate")]

    def __str__(self) -> str:
        return f"{self.operation} by {self.key_id}"


class Pipeline(models.Model):
    """A queue of jobs between two buckets."""

    class Status(models.TextChoices):
        ACTIVE = "Active"
        PAUSED = "Paused"

    id = models.CharField(primary_key=True, max_length=20, default=new_id, editable=False)
    name = models.CharField(max_length=40)
    status = models.CharField(max_length=6, choices=Status, default=Status.ACTIVE)
    input_bucket = models.CharField(max_length=255)
    # Empty where ContentConfig names the bucket.
    output_bucket = models.CharField(max_length=255, blank=True)
    content_config = models.JSONField(null=True, blank=True)
    thumbnail_config = models.JSONField(null=True, blank=True)
    role = models.CharField(max_length=255)
    aws_kms_key_arn = models.CharField(max_length=255, blank=True)
    # Event ("Progressing", "Completed", "Warning", "Error") -> topic ARN, or "" for none.
    notifications = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name

    @property
    def result_bucket(self) -> str:
        """Where results go: the OutputBucket, or the bucket that ContentConfig names."""
        return self.output_bucket or self.content_config["Bucket"]


class Preset(models.Model):
    """A custom preset; the system's own stand in ``presets``. Members as in shape Preset."""

    id = models.CharField(primary_key=True, max_length=20, default=new_id, editable=False)
    name = models.CharField(max_length=40)
    description = models.CharField(max_length=255, blank=True)
    container = models.CharField(max_length=4)
    audio = models.JSONField(null=True, blank=True)
    video = models.JSONField(null=True, blank=True)
    thumbnails = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_audio(self) -> bool:
        return not self.video

    @property
    def settings(self) -> dict[str, Any]:
        """What a job output keeps and the worker reads: ``{"Container": …, "Audio": {…}}``."""
        return {"Container": self.container, "Audio": self.audio}


class JobQuerySet(models.QuerySet["Job"]):
    def unfinished(self) -> JobQuerySet:
        return self.filter(status__in=Job.OPEN)


class Job(models.Model):
    """One transcoding job. Source of the member names: API 2012-09-25, shape Job."""

    class Status(models.TextChoices):
        SUBMITTED = "Submitted"
        PROGRESSING = "Progressing"
        COMPLETE = "Complete"
        CANCELED = "Canceled"
        ERROR = "Error"

    OPEN = (Status.SUBMITTED, Status.PROGRESSING)
    FINAL = (Status.COMPLETE, Status.CANCELED, Status.ERROR)
    MAX_ATTEMPTS = 5
    # What is found of a source that nobody came to look at.
    NOT_ANALYSED = {"Status": "Error", "CoverKey": ""}

    id = models.CharField(primary_key=True, max_length=20, default=new_id, editable=False)
    # The id alone is kept: finished jobs outlive their pipeline.
    pipeline_id = models.CharField(max_length=20)
    status = models.CharField(max_length=11, choices=Status, default=Status.SUBMITTED)
    inputs = models.JSONField()  # list of JobInput as requested, DetectedProperties added
    output_key_prefix = models.CharField(max_length=255, blank=True)
    # list of CreateJobPlaylist as requested, Status and StatusDetail added
    playlists = models.JSONField(default=list)
    user_metadata = models.JSONField(default=dict)
    # Tag -> text that replaces it in every result; "" removes it.
    tags = models.JSONField(default=dict, blank=True)
    # The member Analysis as requested, and what was found, once that is over.
    analysis_asked = models.JSONField(null=True, blank=True)
    analysis = models.JSONField(null=True, blank=True)
    progress = models.PositiveSmallIntegerField(default=0)  # percent

    # Milliseconds since the epoch, as the API counts.
    submit_time_ms = models.BigIntegerField()
    start_time_ms = models.BigIntegerField(null=True, blank=True)
    finish_time_ms = models.BigIntegerField(null=True, blank=True)

    # Who works on it, until when, and which try this is. A final job is held while its source is
    # analysed.
    lease_owner = models.CharField(max_length=100, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    log = models.TextField(blank=True)  # FFmpeg's last lines, cleaned

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [
            # claim() looks here: the oldest waiting job of a pipeline, and the few at work.
            models.Index(fields=["status", "pipeline_id", "id"], name="job_claim"),
            # ListJobsByPipeline and ListJobsByStatus page through these.
            models.Index(fields=["pipeline_id", "id"], name="job_pipeline"),
            models.Index(fields=["status", "id"], name="job_status"),
            # claims looks here for leases that ran out, and for when the next one does.
            models.Index(
                fields=["lease_until"], name="job_lease", condition=Q(lease_until__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def is_final(self) -> bool:
        return self.status in self.FINAL

    @property
    def awaits_analysis(self) -> bool:
        return self.analysis_asked is not None and self.analysis is None

    def cancel(self) -> bool:
        """Cancel the job if no worker has begun it; return whether that was so.

        A canceled job has a finish and no start. Source: API 2012-09-25, CancelJob.
        """
        with transaction.atomic():
            waiting = Job.objects.filter(pk=self.pk, status=Job.Status.SUBMITTED)
            now_ms = time.time_ns() // 1_000_000
            if not waiting.update(status=Job.Status.CANCELED, finish_time_ms=now_ms):
                return False
            JobOutput.objects.filter(job_id=self.pk).update(status=Job.Status.CANCELED)
            row = Job.objects.get(pk=self.pk)
            if row.playlists:
                canceled = [one | {"Status": Job.Status.CANCELED} for one in row.playlists]
                Job.objects.filter(pk=self.pk).update(playlists=canceled)
            if row.awaits_analysis:
                Job.objects.filter(pk=self.pk).update(analysis=Job.NOT_ANALYSED)
        return True


class JobOutput(models.Model):
    """One result of a job. Shape JobOutput; statuses are those of Job."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="outputs")
    number = models.PositiveSmallIntegerField()  # from 1, the API's Id
    key = models.CharField(max_length=255)  # without the job's OutputKeyPrefix
    preset_id = models.CharField(max_length=20)
    # Container and Audio as they were when the job was created.
    preset = models.JSONField()
    # The other members of CreateJobOutput, as requested.
    options = models.JSONField(default=dict)
    status = models.CharField(max_length=11, choices=Job.Status, default=Job.Status.SUBMITTED)
    status_detail = models.CharField(max_length=255, blank=True)
    error_code = models.PositiveSmallIntegerField(null=True, blank=True)
    duration_ms = models.BigIntegerField(null=True, blank=True)
    size_bytes = models.BigIntegerField(null=True, blank=True)
    # Of a result that was proven; an object at the final key that equals it is ours.
    sha256 = models.CharField(max_length=64, blank=True)
    # The member Sound of a proven result.
    sound = models.JSONField(null=True, blank=True)
    # What playlists have to know of a proven result: bit rates, codec string, byte ranges.
    made = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ["job", "number"]
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="output_number"),
            models.UniqueConstraint(fields=["job", "key"], name="output_key"),
        ]
        indexes = [
            # The console looks here for the codes that occur, and for the jobs of one.
            models.Index(
                fields=["error_code", "job"],
                name="output_error",
                condition=Q(error_code__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} {self.number}"

    @property
    def final_key(self) -> str:
        return f"{self.job.output_key_prefix}{self.key}"


class NoticeQuerySet(models.QuerySet["Notice"]):
    def undelivered(self) -> NoticeQuerySet:
        return self.filter(status=Notice.Status.WAITING)


class Notice(models.Model):
    """One notice to one subscriber, written in the transaction of the state it tells of."""

    class Status(models.TextChoices):
        WAITING = "Waiting"
        DELIVERED = "Delivered"
        REFUSED = "Refused"  # the subscriber said no, or three days went by

    LIFETIME = timedelta(days=3)

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="notices")
    state = models.CharField(max_length=11)  # PROGRESSING, COMPLETED, WARNING or ERROR
    topic_arn = models.CharField(max_length=255)
    url = models.CharField(max_length=2000, blank=True)  # empty: Amazon SNS delivers it
    subject = models.CharField(max_length=100)
    message = models.TextField()  # the JSON document, as text
    # Fixed at the first attempt, so that every repeat is the same message.
    message_id = models.UUIDField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)

    status = models.CharField(max_length=9, choices=Status, default=Status.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    last_answer = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [
            # The delivery step looks here for what is due.
            models.Index(
                fields=["next_attempt_at"], name="notice_due", condition=Q(status="Waiting")
            ),
            # The console looks here for the few that nobody took.
            models.Index(fields=["id"], name="notice_refused", condition=Q(status="Refused")),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.job_id}"

    def send_again(self) -> bool:
        """Have the delivery step send it anew, as a message of its own; False while it waits."""
        ended = Notice.objects.filter(pk=self.pk).exclude(status=Notice.Status.WAITING)
        changed = ended.update(
            status=Notice.Status.WAITING,
            message_id=None,
            published_at=None,
            attempts=0,
            next_attempt_at=timezone.now(),
            last_answer="",
            created_at=timezone.now(),  # its three days begin anew
            finished_at=None,
        )
        steps.nudge("deliver")
        return bool(changed)
