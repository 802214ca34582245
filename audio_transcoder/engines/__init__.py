"""The engines, by the name that settings and rows use. A new one is a module and a line here."""

from __future__ import annotations

from datetime import datetime

from audio_transcoder.engines.base import Engine, JobReport
from audio_transcoder.engines.elastic import ElasticTranscoder
from audio_transcoder.engines.mediaconvert import MediaConvert

ENGINES: dict[str, type[Engine]] = {
    "elastic": ElasticTranscoder,
    "mediaconvert": MediaConvert,
}

READ_OFTEN = tuple(name for name, engine in ENGINES.items() if engine.is_read_often)


def parse_notice(document: object, at: datetime) -> JobReport | None:
    """Return the report in a notice of whichever engine it is, or None if it is nobody's."""
    for engine in ENGINES.values():
        report = engine.parse_notice(document, at)
        if report is not None:
            return report
    return None
