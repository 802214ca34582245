"""Which looks mean something on this installation: each function says why not, or nothing."""

from __future__ import annotations

from django.conf import settings

from audio_transcoder.doctor import amazon
from audio_transcoder.health import has_own_transcoder
from buckets import s3


def on_s3() -> str:
    return "" if settings.AWS_STORAGE_BUCKET_NAME else "The bucket is not on S3."


def on_amazons_s3() -> str:
    if settings.AWS_S3_ENDPOINT_URL:
        return "The bucket is on another S3 server than Amazon's (AWS_S3_ENDPOINT_URL)."
    return on_s3()


def in_folders() -> str:
    is_folder = on_s3() and on_another_storage()
    return "" if is_folder else "The bucket is no folder."


def on_another_storage() -> str:
    if settings.AWS_STORAGE_BUCKET_NAME or not settings.MEDIA_STORAGE_BACKEND:
        return "The bucket is on no other storage (MEDIA_STORAGE_BACKEND)."
    return ""


def with_static_on_s3() -> str:
    return "" if settings.STATIC_ON_S3 else "This site serves its static files (STATIC_ON_S3)."


def with_web_app() -> str:
    return "The web app is not installed (TRANSCODER_ALONE)." if settings.TRANSCODER_ALONE else ""


def on_s3_with_web_app() -> str:
    return with_web_app() or on_s3()


def amazons_topics() -> list[str]:
    """Return the topics that are not our own, and so Amazon SNS's."""
    return [topic for topic in settings.SNS_TOPIC_ARN if topic not in settings.TRANSCODER_TOPICS]


def with_amazons_topics() -> str:
    return with_web_app() or ("" if amazons_topics() else "Every topic is our own transcoder's.")


def with_own_topics() -> str:
    own = set(settings.SNS_TOPIC_ARN) & set(settings.TRANSCODER_TOPICS)
    return with_web_app() or ("" if own else "No topic is our own transcoder's.")


def with_mediaconvert() -> str:
    engine = settings.TRANSCODER_ENGINE
    return with_web_app() or (
        "" if engine == "mediaconvert" else f"TRANSCODER_ENGINE is {engine}, not mediaconvert."
    )


def with_elastic() -> str:
    engine = settings.TRANSCODER_ENGINE
    return with_web_app() or (
        "" if engine == "elastic" else f"TRANSCODER_ENGINE is {engine}, not elastic."
    )


def with_amazon() -> str:
    """Say whether anything here asks AWS itself, whose clock and credentials then matter."""
    uses = not on_amazons_s3() or not with_amazons_topics() or not with_mediaconvert()
    return "" if uses else "Nothing here asks AWS."


def with_credentials() -> str:
    return "" if not on_s3() else with_amazon()


def with_own_transcoder() -> str:
    if settings.TRANSCODER_ALONE:
        return ""
    return with_elastic() or ("" if has_own_transcoder() else "Another transcoder does the work.")


def with_another_clock() -> str:
    others = (on_s3(), with_amazon(), "" if _is_elsewhere() else "here")
    return "Everything is on this machine, by one clock." if all(others) else ""


def _is_elsewhere() -> bool:
    return not with_elastic() and bool(with_own_transcoder())


def clocks() -> dict[str, str]:
    """Return who else's clock our signatures are read by: name to address."""
    found = {}
    if not on_s3():
        found["the store"] = s3.client().meta.endpoint_url
    elif not with_amazon():
        found["AWS"] = amazon.client("sts").meta.endpoint_url
    if _is_elsewhere():
        found["the transcoder"] = settings.TRANSCODER_ENDPOINT_URL
    return found
