"""The facts of a file that an encoder wrote, found out by a fenced child process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sound.examination import Examiner, ExaminerDied, ExaminerNotStarted

# What our own encoders write, and no more, is opened: nothing here names another file.
OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "mp3,wav,flac,mov,ogg,matroska,mpegts,mpeg,flv",
}
# Seconds without an answer, and the pace of a slow disk, before a result counts as unreadable.
BASE_S = 30.0
SLOWEST_BYTES_PER_S = 2 << 20


class Unreadable(Exception):
    """The file cannot be read to its end, or its first or last second not be decoded."""


@dataclass(frozen=True)
class Measured:
    """What was found on the way from the first packet to the last."""

    container: str
    codec: str  # FFmpeg's decoder
    sample_rate_hz: int
    channels: int
    bits: int | None
    bitrate_kbps: int | None  # of the sound alone
    packets: int
    samples: int  # of one channel, in the whole file, without priming and padding
    first_samples: int  # decoded from the first second (all, when the sound was hashed)
    last_samples: int  # decoded from the last second
    sound_sha256: str | None  # of all decoded samples, when asked for
    pictures: int  # attached to the sound
    tags: list[str]  # lower-case names
    size_bytes: int
    sha256: str  # of the file

    @property
    def duration_ms(self) -> int:
        return round(self.samples * 1000 / self.sample_rate_hz)


def measure(path: Path, examiner: Examiner, *, hash_format: str | None = None) -> Measured:
    """Return the facts of ``path``, which ``examiner`` may read.

    ``hash_format`` ("s16" or "s32") asks for the hash of the whole decoded sound: SHA-256 over
    interleaved samples of that format. Raises Unreadable, and ExaminerNotStarted when this machine
    cannot look now.
    """
    timeout_s = BASE_S + path.stat().st_size / SLOWEST_BYTES_PER_S
    try:
        answer = examiner.ask(
            "measure", path, timeout_s=timeout_s, options=OPTIONS, hash_format=hash_format
        )
    except ExaminerNotStarted:
        raise
    except ExaminerDied as error:
        raise Unreadable(str(error)) from error
    if "error" in answer:
        raise Unreadable(answer["error"])
    return Measured(**answer)
