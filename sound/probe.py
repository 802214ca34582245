"""What sound a file holds, found out by a fenced child process."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from sound import kinds
from sound.examination import Examiner, ExaminerDied, ExaminerNotStarted
from sound.examiner import magic

# Seconds: counting packets ends after the first, and the child with the second.
COUNTING_S = 3.0
TIME_LIMIT_S = 15.0
# A file shorter than the header of a WAV holds a magic number at most.
SHORTEST_BYTES = 44
START_ATTEMPTS = 2
# Of a picture that is taken out of a sound.
PICTURE_BYTES = 10 << 20

REASONS = ("empty", "not_audio", "no_audio", "damaged", "unsupported", "too_long")


class NotSound(Exception):
    """The file cannot be converted; ``reason`` is one of REASONS, ``detail`` says more.

    ``holds``: more bytes behind those that were seen would change nothing.
    """

    def __init__(self, reason: str, detail: str, *, holds: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.holds = holds


@dataclass(frozen=True)
class Sound:
    """What was found. The first sound track counts; pictures are never decoded."""

    container: str  # FFmpeg's first name of it: mp3, wav, flac, mov, aac, ogg, aiff, asf, …
    codec: str  # FFmpeg's name of the codec, e.g. mp3 or pcm_s16le
    sample_rate_hz: int
    channels: int
    bits: int | None  # of a stored sample; None where the codec has no such thing
    # Counted, not read from a header. Of a file that takes long to count, inferred.
    duration_ms: int
    lossless: bool
    tags: dict[str, str]  # lower-case names, cleaned and cut
    pictures: int  # attached to the file; always fewer than MAX_STREAMS
    has_video: bool
    tracks: int
    bitrate_kbps: int | None = None  # of the packets that were counted
    front_picture: int = 0  # the number of the front cover among the pictures, from 0
    # The front cover as it lies in the file, where somebody asked for it: a stranger's bytes.
    picture: bytes = dataclasses.field(default=b"", repr=False)

    @property
    def has_picture(self) -> bool:
        return self.pictures > 0


def probe(path: Path, *, examiner: Examiner | None = None, with_picture: bool = False) -> Sound:
    """Return what sound the local file ``path`` holds.

    ``with_picture``: and its front cover, if that has no more than PICTURE_BYTES.
    ``examiner`` is one started early that may read ``path``; without it a fresh one is used.
    Raises NotSound, and ExaminerNotStarted when this machine cannot look now. Looking takes at
    most TIME_LIMIT_S seconds and happens behind ``sandbox``; sound longer than
    ``settings.MAX_DURATION_S`` is ``too_long``.
    """
    _refuse_by_size(path)
    if examiner is not None:
        return _ask(examiner, path, with_picture)
    return _looked_at(path, with_picture)


def probe_head(path: Path, *, with_picture: bool = False) -> Sound | None:
    """Return what sound the file has whose first bytes ``path`` holds; None where they cannot tell.

    Raises NotSound for what no further bytes can make a sound of, and ExaminerNotStarted as
    ``probe`` does. The duration that is found is the head's, and a picture may be cut off.
    """
    _refuse_by_size(path)
    try:
        return _looked_at(path, with_picture)
    except NotSound as error:
        if error.holds:
            raise
        return None


def container_of(head: bytes) -> str:
    """Return the container that the first bytes of a file name, "" if they name none.

    Not looked into and so not believed: good for a name, and for what an engine is asked.
    """
    return magic.container(head)


def _refuse_by_size(path: Path) -> None:
    size = path.stat().st_size
    if size == 0:
        raise NotSound("empty", "0 bytes")
    if size < SHORTEST_BYTES:
        raise NotSound("not_audio", f"{size} bytes are too few for any sound")


def _looked_at(path: Path, with_picture: bool) -> Sound:
    for _ in range(START_ATTEMPTS - 1):
        # A child killed for want of memory, say, says nothing about the file.
        with contextlib.suppress(ExaminerNotStarted), Examiner(path, cpu_s=TIME_LIMIT_S) as own:
            return _ask(own, path, with_picture)
    with Examiner(path, cpu_s=TIME_LIMIT_S) as own:
        return _ask(own, path, with_picture)


def _ask(examiner: Examiner, path: Path, with_picture: bool) -> Sound:
    try:
        answer = examiner.ask(
            "probe",
            path,
            timeout_s=TIME_LIMIT_S,
            options=kinds.READING,
            lossless=sorted(kinds.LOSSLESS),
            max_duration_s=settings.MAX_DURATION_S,
            counting_s=COUNTING_S,
        )
    except ExaminerNotStarted:
        raise
    except ExaminerDied as error:
        raise NotSound("damaged", f"reading it failed: {error}") from error
    if "reason" in answer:
        raise NotSound(answer["reason"], answer["detail"], holds=answer["holds"])
    sound = Sound(**answer)
    if with_picture and sound.has_picture:
        return dataclasses.replace(sound, picture=_picture(examiner, path))
    return sound


def _picture(examiner: Examiner, path: Path) -> bytes:
    try:
        answer = examiner.ask(
            "picture",
            path,
            timeout_s=TIME_LIMIT_S,
            answer_bytes=2 * PICTURE_BYTES,
            options=kinds.READING,
            limit_bytes=PICTURE_BYTES,
        )
        return base64.b64decode(answer["picture"], validate=True)
    except (ExaminerDied, KeyError, TypeError, ValueError):
        # The sound is as good without it.
        return b""
