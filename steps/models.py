"""Heartbeats: which processes are alive."""

from django.db import models


class Heartbeat(models.Model):
    """The last sign of life of one process that runs steps."""

    kind = models.CharField(max_length=32)  # what it runs, e.g. "steps" or "transcode"
    process = models.CharField(max_length=100, unique=True)  # host and process id
    at = models.DateTimeField(db_index=True)  # /health/ asks for the newest

    def __str__(self) -> str:
        return f"{self.kind} {self.process}"
