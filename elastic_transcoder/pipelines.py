"""The pipeline that the site itself uses."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from elastic_transcoder.models import Pipeline

EVENTS = ("Progressing", "Completed", "Warning", "Error")


def ensure_pipeline() -> Pipeline:
    """Return the pipeline named by TRANSCODER_PIPELINE_NAME, made or brought in line.

    Buckets and topics follow the settings, so that another bucket takes nothing but another
    setting; a pause is kept. Where the transcoder is alone the pipeline is its clients': once it
    is there nothing of it changes, but a topic of the settings comes in while it has none. Of
    several with the name, the oldest is it.
    """
    topic = next(iter([*settings.TRANSCODER_TOPICS, *settings.SNS_TOPIC_ARN]), "")
    notifications = {"notifications": dict.fromkeys(EVENTS, topic) | {"Warning": ""}}
    buckets = {
        "input_bucket": settings.MEDIA_BUCKET,
        "output_bucket": settings.MEDIA_BUCKET,
        "content_config": None,
        "thumbnail_config": None,
    }
    with transaction.atomic():
        pipelines = Pipeline.objects.filter(name=settings.TRANSCODER_PIPELINE_NAME)
        pipeline = pipelines.order_by("id").first()
        if pipeline is None:
            return Pipeline.objects.create(
                name=settings.TRANSCODER_PIPELINE_NAME,
                role=f"arn:aws:iam::{settings.TRANSCODER_ACCOUNT_ID}:role/"
                "Elastic_Transcoder_Default_Role",
                **buckets,
                **notifications,
            )
        wanted = buckets | notifications
        if settings.TRANSCODER_ALONE:
            wanted = {} if any(pipeline.notifications.values()) else notifications
        for field, value in wanted.items():
            setattr(pipeline, field, value)
        pipeline.save(update_fields=list(wanted))
        return pipeline
