"""The engines, by the name that settings and rows use. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.conf import settings

from audio_transcoder.engines.base import (
    Engine,
    JobReport,
    Order,
    Source,
    TranscoderRejected,
    Wanted,
)
from audio_transcoder.engines.elastic import ElasticTranscoder
from audio_transcoder.engines.mediaconvert import MediaConvert
from audio_transcoder.formats import FORMATS, SOURCES
from sound.probe import Sound

ENGINES: dict[str, type[Engine]] = {
    "elastic": ElasticTranscoder,
    "mediaconvert": MediaConvert,
}

READ_OFTEN = tuple(name for name, engine in ENGINES.items() if engine.is_read_often)

CARRY_LABELS = tuple(name for name, engine in ENGINES.items() if engine.carries_labels)


def kinds() -> list[str]:
    """Return what to call the kinds of sound that TRANSCODER_ENGINE takes."""
    chosen = ENGINES[settings.TRANSCODER_ENGINE]
    return [
        label
        for container, (label, _extension, _type) in SOURCES.items()
        if chosen.refusal(Order("", Source(key="", container=container))) is None
    ]


def refusal(sound: Sound, formats: Iterable[str]) -> TranscoderRejected | None:
    """Return why TRANSCODER_ENGINE cannot make the named formats of ``sound``, or None.

    An order keeps the engine that it was given to; this is for a sound that is still to be taken.
    """
    source = Source(
        key="",
        container=sound.container,
        codec=sound.codec,
        channels=sound.channels,
        sample_rate_hz=sound.sample_rate_hz,
        duration_ms=sound.duration_ms,
        has_video=sound.has_video,
    )
    chosen = ENGINES[settings.TRANSCODER_ENGINE]
    return chosen.refusal(Order("", source, [Wanted("", FORMATS[name]) for name in formats]))


def refusal_of(order: Order) -> TranscoderRejected | None:
    """Return why TRANSCODER_ENGINE cannot do ``order``, or None; nothing is called."""
    return ENGINES[settings.TRANSCODER_ENGINE].refusal(order)


def parse_notice(document: object, at: datetime) -> JobReport | None:
    """Return the report in a notice of whichever engine it is, or None if it is nobody's."""
    for engine in ENGINES.values():
        report = engine.parse_notice(document, at)
        if report is not None:
            return report
    return None
