from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.signals import post_migrate


class ElasticTranscoderConfig(AppConfig):
    name = "elastic_transcoder"
    verbose_name = "Elastic Transcoder"

    def ready(self) -> None:
        from elastic_transcoder import checks, steps  # noqa: F401 - they register themselves

        post_migrate.connect(_ensure_site_can_call, sender=self)


def _ensure_site_can_call(using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    """After a migration: the key pair and the pipeline of the settings are there."""
    from elastic_transcoder import keys, pipelines
    from elastic_transcoder.models import AccessKey, Pipeline

    # A migration of other apps alone, or backwards, may leave us without tables.
    tables = connections[using].introspection.table_names()
    if {AccessKey._meta.db_table, Pipeline._meta.db_table} <= set(tables):
        keys.ensure_default_key()
        pipelines.ensure_pipeline()
