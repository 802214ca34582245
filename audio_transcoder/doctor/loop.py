"""One second of sound round the whole loop, as a person's file, with the time of each leg.

It belongs to an account made for it, which nobody can sign in to and whose name no form takes.
Account, file, results and message are gone at the end, also after a failure; what a run that was
killed left is removed by the next one. Of the loop stays what stays of every deleted file: the
engine's own record of the job, and for a week the marks by which late notices are known.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import struct
import tempfile
import time
import uuid
import wave
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.models import AbstractUser
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.utils import timezone

from audio_transcoder import uploads
from audio_transcoder.formats import DEFAULT_FORMATS
from audio_transcoder.keys import bucket_key
from audio_transcoder.models import AudioFile, Deletion, ReceivedNotice, Rendition, TranscodeJob
from audio_transcoder.quotas import OverQuota
from buckets import BucketError, bucket
from sns import wire
from sound import probe
from sound.examination import Examiner, ExaminerNotStarted
from sound.measure import Unreadable, measure
from transcode_messages.models import Message

logger = logging.getLogger(__name__)

# Seconds that a leg may take unless said otherwise: a queue of MediaConvert's may be long.
LIMIT_S = 120.0
LEGS = ("uploaded", "placed", "started", "finished", "notified", "told", "fetched")
_RATE_HZ = 44100
_TONE_HZ = 440
_PAUSE_S = 0.1
_FETCH_S = 20.0
_FETCH_BYTES = 4 * 1024**2
_TOLERANCE_MS = 150
# A space: no sign-up form takes such a name.
_ACCOUNT = "the doctor"
# A run that began so long ago is over, one way or another.
_STALE_AFTER = timedelta(hours=1)

_HINTS = {
    "uploaded": "See what is said above of database, bucket and disk.",
    "placed": "The steps place jobs: see above whether they run, and the log for what the engine "
    "answers. Jobs of others may be before ours (TRANSCODER_MAX_PLACED).",
    "started": "The engine has the job and does not begin: see whether a worker is alive, the "
    "pipeline or queue is active, and what waits before it.",
    "finished": "The engine does not come to an end, or failed: see the worker's log, or the job "
    "in the engine's console.",
    "notified": "The job ended and no notice of it came: see topic, subscription and webhook "
    "above, and the web server's log.",
    "told": "No message was written although the job ended: see the web server's log.",
    "fetched": "See SITE_URL, the signed links and the bucket's policy above.",
}


class Stopped(Exception):
    """A leg did not come to its end; the text says why."""


@dataclass
class Loop:
    """How far the tone came. ``legs`` has the seconds of each leg that was done."""

    ok: bool = False
    legs: dict[str, float] = field(default_factory=dict)
    stopped_in: str = ""
    text: str = ""
    hint: str = ""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(limit_s: float = LIMIT_S, report: Callable[[str, float], None] = lambda *_: None) -> Loop:
    """Send a tone round the loop and return how far it came; ``report`` hears of each leg.

    ``limit_s``: seconds that each leg may take. Never raises for what it meets on the way.
    """
    loop, began = Loop(), time.monotonic()
    _remove_stale()
    account = get_user_model().objects.create_user(f"{_ACCOUNT} {uuid.uuid4().hex[:12]}")
    try:
        for leg, seconds in _legs(account, limit_s, loop):
            loop.legs[leg] = seconds
            report(leg, seconds)
        loop.ok, loop.stopped_in = True, ""
        loop.text = "The tone went round and came back as sound."
    except Stopped as error:
        loop.text, loop.hint = str(error), _HINTS[loop.stopped_in]
    except Exception as error:
        # Whatever broke is this leg's fault, and is told as such.
        logger.exception("the loop stopped: %s", loop.stopped_in)
        loop.text = f"It broke: {type(error).__name__}. The log says where."
        loop.hint = _HINTS[loop.stopped_in]
    finally:
        _remove(account)
    loop.seconds = round(time.monotonic() - began, 3)
    return loop


def _legs(account: AbstractUser, limit_s: float, loop: Loop) -> Iterator[tuple[str, float]]:
    """Yield each leg with its seconds as it is done; raises Stopped."""
    began = time.monotonic()

    def done(leg: str) -> tuple[str, float]:
        nonlocal began
        seconds, began = time.monotonic() - began, time.monotonic()
        following = LEGS.index(leg) + 1
        loop.stopped_in = LEGS[following] if following < len(LEGS) else leg
        return leg, round(seconds, 3)

    loop.stopped_in = LEGS[0]
    job = _upload(account)
    yield done("uploaded")
    _wait(lambda: _fresh(job).engine_id, limit_s, "no engine took the job")
    yield done("placed")
    _wait(lambda: _fresh(job).status != TranscodeJob.Status.SUBMITTED, limit_s, "it only waits")
    yield done("started")
    _wait(lambda: _fresh(job).is_final, limit_s, "it does not end")
    _must_be_complete(_fresh(job))
    yield done("finished")
    _wait(lambda: _is_notified(job), limit_s, "no notice of the job came to the webhook")
    yield done("notified")
    _wait(lambda: Message.objects.filter(user=account).exists(), limit_s, "no message")
    yield done("told")
    _fetch_all(job, account)
    yield done("fetched")


def _wait(condition: Callable[[], object], limit_s: float, text: str) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise Stopped(f"After {limit_s:g} s: {text}.")
        time.sleep(_PAUSE_S)


# --- The legs ---------------------------------------------------------------------------------


def _upload(account: AbstractUser) -> TranscodeJob:
    """Take the tone in as an upload of the account's, by the way of every upload."""
    upload = TemporaryUploadedFile("tone.wav", "audio/wav", 0, None)
    with upload, Examiner(Path(settings.FILE_UPLOAD_TEMP_DIR), cpu_s=probe.TIME_LIMIT_S) as own:
        path = Path(upload.temporary_file_path())
        _write_tone(path)
        content = path.read_bytes()
        upload.size, upload.sha256 = len(content), hashlib.sha256(content).hexdigest()
        try:
            sound = probe.probe(path, examiner=own)
            audio_file = uploads.accept(
                account,
                upload,
                sound,
                name="Tone of the doctor",
                formats=DEFAULT_FORMATS,
                token=uuid.uuid4(),
            )
        except (probe.NotSound, ExaminerNotStarted, BucketError, OverQuota) as error:
            why = str(error) or type(error).__name__
            raise Stopped(f"The upload is not taken: {why}.") from error
    return audio_file.jobs.get()


def _write_tone(path: Path) -> None:
    samples = (
        round(8000 * math.sin(2 * math.pi * _TONE_HZ * number / _RATE_HZ))
        for number in range(_RATE_HZ)
    )
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, _RATE_HZ, 0, "NONE", "not compressed"))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))


def _fresh(job: TranscodeJob) -> TranscodeJob:
    """Return the job as it is now; to be looked at is what has its engine asked often."""
    TranscodeJob.objects.filter(pk=job.pk).update(watched_at=timezone.now())
    return TranscodeJob.objects.get(pk=job.pk)


def _must_be_complete(job: TranscodeJob) -> None:
    failed = job.renditions.exclude(status=TranscodeJob.Status.COMPLETE)
    if job.status != TranscodeJob.Status.COMPLETE or failed:
        raise Stopped(f"The job ended as {job.status} ({job.reason}): {job.detail}")


def _is_notified(job: TranscodeJob) -> bool:
    """Return whether a notice of this job came, whoever asked the engine meanwhile."""
    recent = ReceivedNotice.objects.filter(received_at__gte=job.created_at)
    return recent.filter(message__contains=str(job.code), outcome="recorded").exists()


def _fetch_all(job: TranscodeJob, account: AbstractUser) -> None:
    with (
        _signed_in(account) as cookie,
        tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder,
    ):
        for rendition in job.renditions.all():
            path = Path(folder) / rendition.format_name
            path.write_bytes(_fetched(rendition, cookie))
            _must_sound(rendition, path)


def _fetched(rendition: Rendition, cookie: str) -> bytes:
    """Download a result as its owner's browser does: from the site, by its redirects."""
    url, headers = settings.SITE_URL + rendition.download_url, {"Cookie": cookie}
    for _ in range(3):
        host = urlsplit(url).hostname
        try:
            reply = wire.exchange(
                "GET", url, headers=headers, timeout_s=_FETCH_S, answer_bytes=_FETCH_BYTES
            )
        except (wire.NoAnswer, ValueError) as error:
            raise Stopped(f"{host} does not answer: {error}.") from error
        if reply.status == 200 and reply.whole:
            return reply.body
        if not 300 <= reply.status < 400:
            break
        url, headers = urljoin(url, reply.headers.get("Location", "")), {}  # no cookie elsewhere
    raise Stopped(f"The {rendition.format.label} could not be fetched: {reply.status} from {host}.")


def _must_sound(rendition: Rendition, path: Path) -> None:
    label = rendition.format.label
    try:
        with Examiner(path) as examiner:
            measured = measure(path, examiner)
    except (Unreadable, ExaminerNotStarted) as error:
        raise Stopped(f"The {label} that came back is no sound: {error}.") from error
    if abs(measured.duration_ms - 1000) > _TOLERANCE_MS:
        raise Stopped(f"The {label} lasts {measured.duration_ms} ms, and the tone was one second.")


@contextlib.contextmanager
def _signed_in(account: AbstractUser) -> Iterator[str]:
    """Give the cookie of a session of the account's, which ends with the block."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(account.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = account.get_session_auth_hash()
    session.set_expiry(300)
    session.create()
    try:
        yield f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
    finally:
        session.delete()


# --- Leaving nothing behind -------------------------------------------------------------------


def _remove_stale() -> None:
    stale = get_user_model().objects.filter(
        username__startswith=f"{_ACCOUNT} ", date_joined__lt=timezone.now() - _STALE_AFTER
    )
    for account in stale:
        _remove(account)


def _remove(account: AbstractUser) -> None:
    """Remove the account with its file, as when a person deletes one.

    The objects go now. The note that they must stays until the steps have found them gone, for a
    worker that was late may store something yet.
    """
    files = AudioFile.objects.filter(owner=account)
    codes = list(files.values_list("code", flat=True))
    files.remove()
    for deletion in Deletion.objects.filter(about__in=codes):
        with contextlib.suppress(BucketError):
            for prefix in deletion.prefixes:
                bucket(settings.MEDIA_BUCKET).delete_prefix(bucket_key(prefix))
    account.delete()
