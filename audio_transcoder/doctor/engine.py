"""Looks at the engine that does the work: MediaConvert, or an Elastic Transcoder."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings

from audio_transcoder.doctor import amazon, where
from audio_transcoder.doctor.amazon import ask
from audio_transcoder.doctor.looks import Answer, fine, look, warning, wrong
from audio_transcoder.engines.elastic import ElasticTranscoder

MEDIACONVERT = "mediaconvert.amazonaws.com"
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/(?:.*/)?([\w+=,.@-]{1,64})")


# --- MediaConvert -----------------------------------------------------------------------------


@look("queue", applies=where.with_mediaconvert, needs=("credentials",))
def queue_is_active() -> Answer:
    """Source: MediaConvert API 2017-08-29, GetQueue."""
    queue = settings.MEDIACONVERT_QUEUE_ARN
    name = queue.rpartition("/")[2] or "Default"
    if queue and queue.split(":")[3:4] != [settings.AWS_REGION]:
        return wrong(
            f"MEDIACONVERT_QUEUE_ARN is not in AWS_REGION ({settings.AWS_REGION}).",
            "Use a queue of the bucket's own region, or set AWS_REGION.",
        )
    try:
        answer = ask("mediaconvert:GetQueue", amazon.client("mediaconvert").get_queue, Name=name)[
            "Queue"
        ]
    except amazon.Missing:
        return wrong(
            f"There is no queue {name} in {settings.AWS_REGION}.",
            "Create it (mediaconvert:CreateQueue), or correct MEDIACONVERT_QUEUE_ARN.",
        )
    if queue and answer.get("Arn", queue) != queue:
        return wrong(
            f"The queue {name} here is {answer['Arn']}.",
            "Correct the account or the region in MEDIACONVERT_QUEUE_ARN.",
        )
    if answer.get("Status") != "ACTIVE":
        return wrong(
            f"The queue {name} is {answer.get('Status', 'in no known state').lower()}: jobs wait.",
            "Set it to ACTIVE (mediaconvert:UpdateQueue).",
        )
    return fine(f"The queue {name} is active.")


@look("role", applies=where.with_mediaconvert, needs=("credentials",))
def role_can_be_assumed() -> Answer:
    """Source: IAM API 2010-05-08, GetRole."""
    role = settings.MEDIACONVERT_ROLE_ARN
    parts = _ROLE.fullmatch(role)
    if parts is None:
        return wrong(
            f"MEDIACONVERT_ROLE_ARN is {role!r}, no ARN of a role.",
            "Set it to the role that MediaConvert reads and writes the bucket with.",
        )
    account, name = parts.groups()
    try:
        answer = ask("iam:GetRole", amazon.client("iam").get_role, RoleName=name)
    except amazon.Missing:
        return wrong(
            f"There is no role {name}.",
            "Create it (iam:CreateRole), or correct MEDIACONVERT_ROLE_ARN.",
        )
    found = answer["Role"]
    if found["Arn"] != role:
        return wrong(f"The role {name} here is {found['Arn']}.", "Correct MEDIACONVERT_ROLE_ARN.")
    queue = settings.MEDIACONVERT_QUEUE_ARN
    if not amazon.allows(
        found.get("AssumeRolePolicyDocument") or {},
        action="sts:AssumeRole",
        service=MEDIACONVERT,
        sources=[queue],
        account=account,
    ):
        return wrong(
            f"The role {name} does not trust MediaConvert"
            + (f" on behalf of {queue}." if queue else "."),
            f"Allow sts:AssumeRole to the service {MEDIACONVERT} in its trust policy "
            "(iam:UpdateAssumeRolePolicy), with the queue's ARN as aws:SourceArn if at all.",
        )
    return fine(f"The role {name} is there and trusts MediaConvert.")


@look("passing the role", applies=where.with_mediaconvert, needs=("role",))
def role_can_be_passed() -> Answer:
    """Source: IAM API 2010-05-08, SimulatePrincipalPolicy with iam:PassedToService."""
    who = amazon.caller()
    if who.endswith(":root"):
        return warning(
            "The credentials are the account's root user's, who may do everything.",
            "Use a user or role with the permissions that are needed and no more.",
        )
    denied = amazon.denied(
        who,
        [("iam:PassRole", settings.MEDIACONVERT_ROLE_ARN)],
        context={"iam:PassedToService": MEDIACONVERT},
    )
    if denied:
        return wrong(
            f"{who} may not hand the role to MediaConvert: every job would be refused.",
            f"Allow iam:PassRole on {settings.MEDIACONVERT_ROLE_ARN} with iam:PassedToService "
            f"{MEDIACONVERT}.",
        )
    return fine(f"{who} may hand it to MediaConvert.")


@look("role's rights", applies=where.with_mediaconvert, needs=("role", "bucket"))
def role_reaches_the_bucket() -> Answer:
    """Source: IAM API 2010-05-08, SimulatePrincipalPolicy."""
    media = f"arn:aws:s3:::{settings.MEDIA_BUCKET}/{settings.MEDIAFILES_LOCATION}"
    wanted = [
        ("s3:GetObject", f"{media}/uploads/check/source"),
        ("s3:PutObject", f"{media}/renditions/check/check.wav"),
    ]
    denied = amazon.denied(settings.MEDIACONVERT_ROLE_ARN, wanted)
    if denied:
        return wrong(
            f"The role may not {', '.join(denied)} in the bucket: every job would fail.",
            f"Allow it s3:GetObject on uploads/* and s3:PutObject on renditions/* below {media}/.",
        )
    return fine("The role may read uploads and write renditions.")


# --- Elastic Transcoder -----------------------------------------------------------------------


def topics_of_the_pipeline() -> set[str]:
    """Return the topics that the transcoder tells of our jobs. Raises AmazonError."""
    named = [one for one in _pipelines() if one["Name"] == settings.TRANSCODER_PIPELINE_NAME]
    return {topic for one in named[:1] for topic in one["Notifications"].values() if topic}


def _pipelines() -> list[dict[str, Any]]:
    engine = ElasticTranscoder.from_settings(settings.AWS_REGION, settings.TRANSCODER_PIPELINE_NAME)
    found: list[dict[str, Any]] = []
    more: dict[str, str] = {"Ascending": "true"}
    while True:
        page = ask("elastictranscoder:ListPipelines", engine.client.list_pipelines, **more)
        found += page.get("Pipelines", [])
        if not page.get("NextPageToken"):
            return found
        more["PageToken"] = page["NextPageToken"]


@look("transcoder", applies=where.with_elastic, needs=("clock",), limit_s=60)
def transcoder_takes_our_key() -> Answer:
    url = settings.TRANSCODER_ENDPOINT_URL
    try:
        _pipelines()
    except (amazon.NotAllowed, amazon.BadCredentials):
        return wrong(
            f"{url} does not accept our access key.",
            "Set TRANSCODER_ACCESS_KEY_ID and TRANSCODER_SECRET_ACCESS_KEY to a key of that "
            "transcoder (manage.py access_key create, list, enable).",
        )
    except amazon.NoAnswer:
        return wrong(
            f"No Elastic Transcoder answers at {url}.",
            "Start the web server there, or correct TRANSCODER_ENDPOINT_URL.",
        )
    except amazon.AmazonError as error:
        return wrong(
            f"{url} is no Elastic Transcoder: {error}.", "Correct TRANSCODER_ENDPOINT_URL."
        )
    return fine(f"{url} answers and accepts our key.")


@look("pipeline", applies=where.with_elastic, needs=("transcoder",), limit_s=60)
def pipeline_is_ours() -> Answer:
    name = settings.TRANSCODER_PIPELINE_NAME
    named = [pipeline for pipeline in _pipelines() if pipeline["Name"] == name]
    if not named:
        hint = "Create it (CreatePipeline), or correct TRANSCODER_PIPELINE_NAME."
        if not where.with_own_transcoder():
            hint = "Start a worker (make run): it makes the site's own pipeline."
        return wrong(f"There is no pipeline {name!r}.", hint)
    pipeline = named[0]  # the oldest, as orders take it
    if pipeline["Status"] != "Active":
        return wrong(
            f"The pipeline {name!r} is {pipeline['Status'].lower()}: jobs wait.",
            "Resume it in the admin, or with UpdatePipelineStatus.",
        )
    buckets = {
        pipeline.get("InputBucket"),
        pipeline.get("OutputBucket") or (pipeline.get("ContentConfig") or {}).get("Bucket"),
    }
    if buckets != {settings.MEDIA_BUCKET}:
        return wrong(
            f"The pipeline {name!r} works on {', '.join(sorted(map(str, buckets)))}, our files are "
            f"in {settings.MEDIA_BUCKET}.",
            "Make InputBucket and OutputBucket AWS_STORAGE_BUCKET_NAME (UpdatePipeline).",
        )
    notifications = pipeline.get("Notifications") or {}
    told = {event: notifications.get(event) or "" for event in ("Completed", "Error")}
    for event, topic in told.items():
        if topic not in settings.SNS_TOPIC_ARN:
            return wrong(
                f"The pipeline tells {topic or 'nobody'} of {event}, and we listen to "
                f"{', '.join(settings.SNS_TOPIC_ARN)}.",
                "Set its notifications (UpdatePipelineNotifications) or SNS_TOPIC_ARN.",
            )
    return fine(f"{name!r} is active, on our bucket, and tells our topic.")
