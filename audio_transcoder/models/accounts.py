"""What each person keeps in the store."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import models
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy

from audio_transcoder.models.files import AudioFile
from audio_transcoder.models.jobs import Rendition


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
