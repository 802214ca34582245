"""The one table of formats that a person can order.

Callers name formats by ``Format.name``; only engines read the preset columns. A new format is
one entry here.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class Format:
    """One kind of result: how it is named, stored, served and ordered."""

    name: str  # in forms, rows, keys and URLs
    label: str
    extension: str
    media_type: str
    description: str | Promise
    elastic_preset_id: str  # system preset of Elastic Transcoder, API 2012-09-25


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("wav", "WAV", "wav", "audio/wav", _("CD quality, uncompressed, opens everywhere"),
               "1351620000001-300300"),
        Format("flac", "FLAC", "flac", "audio/flac", _("CD quality, about half the size of WAV"),
               "1351620000001-300110"),
        Format("mp4", "MP4", "mp4", "audio/mp4", _("AAC 256 kbit/s, small and good for phones"),
               "1351620000001-100110"),
        Format("mp3", "MP3", "mp3", "audio/mpeg", _("192 kbit/s, for old players"),
               "1351620000001-300020"),
    )
}  # fmt: skip

# Ticked when a person opens the upload page.
DEFAULT_FORMATS = ("wav", "flac", "mp4")

# What people may upload: the words of the upload page, and how the original is served again.
# The first column is the container that the probe names.
SOURCES: dict[str, tuple[str, str, str]] = {
    "mp3": ("MP3", "mp3", "audio/mpeg"),
    "wav": ("WAV", "wav", "audio/wav"),
    "flac": ("FLAC", "flac", "audio/flac"),
    "mov": ("M4A", "m4a", "audio/mp4"),
    "aac": ("AAC", "aac", "audio/aac"),
    "ogg": ("Ogg, Opus", "ogg", "audio/ogg"),
    "aiff": ("AIFF", "aiff", "audio/aiff"),
    "asf": ("WMA", "wma", "audio/x-ms-wma"),
    "matroska": ("WebM, MKA", "mka", "audio/webm"),
    "flv": ("FLV", "flv", "video/x-flv"),
    "mpeg": ("MPEG", "mpg", "video/mpeg"),
    "mpegts": ("MPEG-TS", "ts", "video/mp2t"),
    "mxf": ("MXF", "mxf", "application/mxf"),
}


def source_media_type(container: str) -> str:
    """Return the media type under which an original of this container is played."""
    return SOURCES[container][2] if container in SOURCES else "application/octet-stream"


def source_extension(container: str) -> str:
    """Return the extension, without its dot, that an original of this container gets."""
    return SOURCES[container][1] if container in SOURCES else "bin"
