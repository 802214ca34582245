"""Whether a result is good: measured where it was made, held against what was ordered.

A result that passes was read to its end, its first and last second decode, it is what the preset
says, and as long as the sound that was decoded from the source; where nothing may have changed,
every sample is equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

from elastic_transcoder.worker.ffmpeg import Encoding
from sound.examination import Examiner
from sound.measure import Measured, Unreadable, measure

TOLERANCE_MS = 100
# An edge of one second must decode to this part of it at least; codecs begin with silence cut off.
EDGE_PART = 0.9


@dataclass(frozen=True)
class Source:
    """What was decoded: how long, and the SHA-256 of its samples in one format, if asked for."""

    duration_ms: float | None  # None: not known, so nothing can be proven
    hash_format: str | None = None  # s16 or s32
    sound_sha256: str | None = None


class NotProven(Exception):
    """The result is not what was ordered; the text says in which point."""


def prove(
    path: Path, encoding: Encoding, source: Source, examiner: Examiner, *, is_copy: bool
) -> Measured:
    """Return the facts of the result at ``path`` when all is right. Raises NotProven.

    ``is_copy``: the very samples of the source must be in it.
    """
    if not path.exists() or path.stat().st_size == 0:
        raise NotProven("nothing was written")
    hash_format = source.hash_format if is_copy else None
    try:
        facts = measure(path, examiner, hash_format=hash_format)
    except Unreadable as error:
        raise NotProven(f"unreadable, {error}") from error
    for what, found, wanted in (
        ("container", facts.container, (encoding.container.demuxer,)),
        ("codec", facts.codec, encoding.codec.decoders),
        ("channels", facts.channels, (encoding.channels,)),
        ("sample rate", facts.sample_rate_hz, (encoding.sample_rate_hz,)),
        ("bits", facts.bits, (encoding.bits, None) if encoding.bits is None else (encoding.bits,)),
    ):
        if found not in wanted:
            raise NotProven(f"{what} is {found}, not {wanted[0]}")
    _prove_length(facts, encoding, source)
    _prove_edges(facts, encoding)
    if is_copy and (facts.sound_sha256 is None or facts.sound_sha256 != source.sound_sha256):
        raise NotProven("its samples differ from the source's")
    return facts


def _prove_length(facts: Measured, encoding: Encoding, source: Source) -> None:
    if source.duration_ms is None:
        raise NotProven("how much was decoded is not known")
    tolerance_ms = float(TOLERANCE_MS)
    if not encoding.container.is_gapless or encoding.codec.decoders == ("vorbis",):
        # Priming and padding count as sound: a packet or two at each end.
        tolerance_ms += 3 * encoding.codec.frame * 1000 / encoding.sample_rate_hz
    duration_ms = facts.samples * 1000 / facts.sample_rate_hz
    if facts.packets == 0 or abs(duration_ms - source.duration_ms) > tolerance_ms:
        raise NotProven(
            f"it lasts {duration_ms / 1000:.3f} s, the source {source.duration_ms / 1000:.3f} s"
        )


def _prove_edges(facts: Measured, encoding: Encoding) -> None:
    edge = min(facts.sample_rate_hz, facts.samples)
    # What a codec's start-up may eat of a short sound.
    wanted = max(1, EDGE_PART * edge - 2 * encoding.codec.frame)
    if facts.first_samples < wanted or facts.last_samples < wanted:
        raise NotProven("its first or last second does not decode")


class Provers:
    """Proves results beside each other, in the order in which they are handed in.

    Each of ``examiners`` does one at a time. They were started by the caller's thread, on whose
    life theirs depends; leaving this context by an error ends them.
    """

    def __init__(self, examiners: Sequence[Examiner]) -> None:
        self._examiners = examiners
        self._free: SimpleQueue[Examiner] = SimpleQueue()
        for examiner in examiners:
            self._free.put(examiner)
        self._pool = ThreadPoolExecutor(len(examiners))

    def __enter__(self) -> Provers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            for examiner in self._examiners:
                examiner.close()
        self._pool.shutdown(cancel_futures=True)

    def start(
        self, path: Path, encoding: Encoding, source: Source, *, is_copy: bool
    ) -> Future[Measured]:
        """Begin to ``prove()``; the result of what is returned is that of it."""
        return self._pool.submit(self._prove, path, encoding, source, is_copy)

    def _prove(self, path: Path, encoding: Encoding, source: Source, is_copy: bool) -> Measured:
        examiner = self._free.get()
        try:
            return prove(path, encoding, source, examiner, is_copy=is_copy)
        finally:
            self._free.put(examiner)
