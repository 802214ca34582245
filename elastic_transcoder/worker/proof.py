"""Whether a result is good: measured where it was made, held against what was ordered.

A result that passes was read to its end, its first and last second decode, it is what the preset
says, and as long as the sound that was decoded from the source; where nothing may have changed,
every sample is equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

from elastic_transcoder.worker.command import Recipe
from elastic_transcoder.worker.conversion import Outcome
from elastic_transcoder.worker.encoding import Encoding
from sound.examination import Examiner
from sound.measure import Measured, Unreadable, measure
from sound.probe import Sound

TOLERANCE_MS = 100
# An edge of one second must decode to this part of it at least; codecs begin with silence cut off.
EDGE_PART = 0.9


@dataclass(frozen=True)
class Source:
    """What an encoder was given: how much, and the SHA-256 of its samples, if it was asked for."""

    duration_ms: float | None  # None: not known, so nothing can be proven
    sound_sha256: str | None = None


class NotProven(Exception):
    """The result is not what was ordered; the text says in which point."""


class NothingWanted(Exception):
    """A clip begins where its input has ended."""


def source(outcome: Outcome, number: int, recipe: Recipe, sounds: Sequence[Sound]) -> Source:
    """Return what the encoder of output ``number`` was given, by FFmpeg's own account."""
    digest = _read_hash(recipe.sound_hash[1]) if recipe.sound_hash else None
    if outcome.changed_rate:
        # The decoder's samples are of several lengths; those the encoder got are of one. Where
        # something was cut, though, the cuts were counted in the former.
        encoded = outcome.encoded_samples.get(number)
        is_plain = len(sounds) == 1 and recipe.clips[0].is_whole
        rate = recipe.encoding.sample_rate_hz
        return Source(encoded * 1000 / rate if encoded and is_plain else None, digest)
    parts_ms = _parts_ms(outcome.decoded_samples, recipe, sounds)
    if parts_ms is None:
        return Source(None, digest)
    return Source(0.0 if 0.0 in parts_ms else sum(parts_ms), digest)


def _parts_ms(
    decoded: Mapping[int, int], recipe: Recipe, sounds: Sequence[Sound]
) -> list[float] | None:
    parts = []
    for number, (sound, clip) in enumerate(zip(sounds, recipe.clips, strict=True)):
        if number not in decoded:
            return None
        # Decoding may have ended with the clip; then it was long enough.
        parts.append(clip.length_ms(decoded[number] * 1000 / sound.sample_rate_hz))
    return parts


def _read_hash(file: Path) -> str | None:
    # "SHA256=<digest>". Source: FFmpeg, hash muxer.
    text = file.read_text().strip() if file.exists() else ""
    return text.partition("=")[2] or None


def prove(recipe: Recipe, source: Source, examiner: Examiner) -> Measured:
    """Return the facts of the file that ``recipe`` made when all is right.

    Where the recipe asks for the hash of the sound, the very samples must be in it. Raises
    NotProven, and NothingWanted when there was no sound to encode.
    """
    if source.duration_ms == 0.0:
        raise NothingWanted
    path, encoding = recipe.path, recipe.encoding
    if not path.exists() or path.stat().st_size == 0:
        raise NotProven("nothing was written")
    is_copy = recipe.sound_hash is not None
    try:
        facts = measure(
            path, examiner, hash_format=recipe.sound_hash[0] if recipe.sound_hash else None
        )
    except Unreadable as error:
        raise NotProven(f"unreadable, {error}") from error
    for what, found, wanted in (
        ("container", facts.container, (encoding.container.demuxer,)),
        ("codec", facts.codec, encoding.codec.decoders),
        ("channels", facts.channels, (encoding.channels,)),
        ("sample rate", facts.sample_rate_hz, (encoding.sample_rate_hz,)),
        ("pictures", facts.pictures, (len(recipe.pictures),)),
        ("bits", facts.bits, (encoding.bits,)),
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

    def start(self, recipe: Recipe, source: Source) -> Future[Measured]:
        """Begin to ``prove()``; the result of what is returned is that of it."""
        return self._pool.submit(self._prove, recipe, source)

    def _prove(self, recipe: Recipe, source: Source) -> Measured:
        examiner = self._free.get()
        try:
            return prove(recipe, source, examiner)
        finally:
            self._free.put(examiner)
