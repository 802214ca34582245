"""What every engine is, and what it tells.

An engine knows one transcoding API. CamelCase dictionaries and botocore's errors stop there;
plain types and these errors come out::

    TranscoderError
    ├── TranscoderRejected      the engine said no: do not repeat, ``reason`` says why
    └── TranscoderUnavailable   the engine did not answer, or said "later": repeat
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from audio_transcoder.formats import Format

# What it raises to read an answer that is none of the API's: half a document, or what a proxy
# between us and the engine writes.
UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)


class TranscoderError(Exception):
    """Anything that an engine call can end with other than its answer."""


class TranscoderRejected(TranscoderError):
    """The engine understood and refused; the same call would be refused again."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason  # a code of ``audio_transcoder.reasons``
        self.detail = detail


class TranscoderUnavailable(TranscoderError):
    """No usable answer: a time-out, a refused connection, throttling or a fault over there."""


@dataclass(frozen=True)
class Source:
    """What is to be converted, as far as we know it: engines differ in what they can read."""

    key: str  # in the bucket
    container: str = ""  # FFmpeg's names, as ``sound.probe`` found them; empty: not looked at
    codec: str = ""
    channels: int | None = None
    sample_rate_hz: int | None = None
    duration_ms: int | None = None
    has_video: bool | None = None  # pictures that move, no covers; None: not known


@dataclass(frozen=True)
class Clip:
    """The part of a source that is wanted, instead of all of it."""

    start_ms: int = 0
    duration_ms: int | None = None  # None: up to the end


@dataclass(frozen=True)
class Wanted:
    """One result that is wanted: where it shall lie, and what it shall be."""

    key: str  # in the bucket
    format: Format
    bitrate_kbps: int | None = None  # None: the format's own


@dataclass(frozen=True)
class Order:
    """Everything that one job is to do.

    ``our_id`` tells it from every other order: the same again may be taken for the same job.
    """

    our_id: str
    source: Source
    outputs: Sequence[Wanted] = ()
    clip: Clip | None = None
    target_lufs: float | None = None  # how loud results shall be, EBU R128; None: as the source is
    # Tags, by FFmpeg's names, that take the place of the source's; "" takes one away.
    tags: Mapping[str, str] = field(default_factory=dict)
    # The picture that results carry instead of the source's: its key, "" for none; None: as it is.
    cover_key: str | None = None
    # Whether the engine shall say what it finds in the source, if it can, and where it shall put
    # the source's own picture; empty: nowhere.
    is_analysed: bool = False
    found_cover_key: str = ""

    @property
    def formats(self) -> list[Format]:
        return [wanted.format for wanted in self.outputs]


@dataclass(frozen=True)
class OutputSound:
    """What an engine found in a result of its own; what it does not say is empty or None."""

    codec: str = ""  # FFmpeg's names
    channels: int | None = None
    sample_rate_hz: int | None = None
    bits: int | None = None  # of a sample; lossless only
    bitrate_kbps: int | None = None
    # Whether the decoded sound is the source's to the last sample, and its hash in hex digits.
    is_faithful: bool | None = None
    sample_hash: str = ""
    correlation: float | None = None  # with the source, 0 to 1, where it is not the same
    loudness_lufs: float | None = None  # integrated, EBU R128
    true_peak_dbtp: float | None = None
    lost_tags: Sequence[str] = ()  # names of tags that the container cannot hold
    has_cover: bool | None = None

    def facts(self) -> dict[str, object]:
        """Return the values of a Rendition's fields of these names."""
        return {
            **dataclasses.asdict(self),
            "codec": self.codec[:32],
            "sample_hash": self.sample_hash[:64],
            "lost_tags": ",".join(self.lost_tags)[:200],
        }


@dataclass(frozen=True)
class OutputReport:
    """What an engine says of one result. ``status`` is a value of TranscodeJob.Status."""

    key: str  # in the bucket, as ordered
    status: str
    size_bytes: int | None = None
    duration_ms: int | None = None
    reason: str = ""  # a code of ``audio_transcoder.reasons`` when the status is Error
    detail: str = ""  # the engine's own words
    sound: OutputSound | None = None  # once it is known


@dataclass(frozen=True)
class SoundReport:
    """What an engine says of the sound that it found in a source; what it does not say is empty."""

    codec: str = ""  # in small letters; not always FFmpeg's name
    channels: int | None = None
    sample_rate_hz: int | None = None
    bits: int | None = None  # of a sample; lossless only
    bitrate_kbps: int | None = None
    loudness_lufs: float | None = None  # integrated, EBU R128
    true_peak_dbtp: float | None = None
    waveform: bytes = b""  # one byte for each of at most 2,000 points, the peak; 255 is full scale
    tags: Mapping[str, str] = field(default_factory=dict)  # by FFmpeg's names
    cover_key: str = ""  # in the bucket: where the engine has put the source's own picture


@dataclass(frozen=True)
class JobReport:
    """What an engine says of one job, whether it was asked or told us by itself."""

    engine_id: str
    status: str  # a value of TranscodeJob.Status
    at: datetime  # when the engine said so, aware
    our_id: str = ""  # TranscodeJob.order_id, if the engine repeats it
    input_key: str = ""  # what the engine says it works on, if it does
    sound: SoundReport | None = None  # what it found there, if it says so
    progress: int | None = None  # percent
    started_at: datetime | None = None  # when the work began, aware, if the engine says so
    outputs: Sequence[OutputReport] = field(default_factory=tuple)
    reason: str = ""
    detail: str = ""
    awaits_facts: bool = False  # more will be known of source and results: ask again
    # With the status Error: it was the engine's own passing fault, and a new order may succeed.
    is_passing: bool = False


class Engine(Protocol):
    """Every engine has these; calls may raise TranscoderRejected or TranscoderUnavailable."""

    # Whether it tells progress, and may be asked for it every second while somebody looks.
    is_read_often: bool
    # Whether it finds out more when a job is over, and is worth asking for that.
    tells_facts: bool
    # Whether results are given the tags and the cover of the order.
    carries_labels: bool

    @classmethod
    def from_settings(cls, region_name: str, pipeline_name: str) -> Engine:
        """Return the engine that the settings describe; nothing is called yet."""
        ...

    @staticmethod
    def refusal(order: Order) -> TranscoderRejected | None:
        """Return why no such engine can do ``order``, or None; nothing is called.

        What is not known of the source is not held against it.
        """
        ...

    def create_job(self, order: Order) -> str:
        """Place ``order`` and return the engine's job id.

        What ``refusal`` names is refused here too, unsent.
        """
        ...

    def find_job(self, our_id: str) -> str | None:
        """Return the engine's id of the job that carries ``our_id``, or None.

        Asked after an order that was never answered, so that it is not placed twice.
        """
        ...

    def read_job(self, engine_id: str) -> JobReport | None:
        """Return what the engine knows of the job now, or None if it knows no such job."""
        ...

    def cancel_job(self, engine_id: str) -> None:
        """Ask the engine to give the job up; one that it cannot stop any more is left alone."""
        ...

    @staticmethod
    def parse_notice(document: object, at: datetime) -> JobReport | None:
        """Return the report in a notice's JSON document, or None if it is not this engine's."""
        ...
