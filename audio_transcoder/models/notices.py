"""What SNS told us."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils import timezone


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
