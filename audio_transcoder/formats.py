"""The one table of formats that a person can order.

Callers name formats by ``Format.name``; only engines read the columns of an engine. A new format
is one entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True)
class MediaConvertOutput:
    """One encoded result in the words of MediaConvert's API 2017-08-29, without place and name."""

    container: Mapping[str, Any]  # ContainerSettings
    audio: Mapping[str, Any] | None = None  # AudioDescription.CodecSettings
    video: Mapping[str, Any] | None = None  # VideoDescription
    settings: Mapping[str, Any] | None = None  # OutputSettings
    modifier: str = ""  # NameModifier: what tells it from its neighbours in the group


@dataclass(frozen=True)
class MediaConvertGroup:
    """What one format is at MediaConvert: files of their own, or a playlist with its streams.

    Sound with more than ``max_channels`` is refused: what the API makes of more than an output
    has, without settings for each channel, it does not say.
    """

    outputs: tuple[MediaConvertOutput, ...]
    type: str = "FILE_GROUP_SETTINGS"
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the group, without Destination
    max_channels: int = 2


@dataclass(frozen=True)
class Format:
    """One kind of result: how it is named, stored, served and ordered."""

    name: str  # in forms, rows, keys and URLs
    label: str
    extension: str
    media_type: str
    description: str | Promise
    elastic_preset_id: str  # system preset of Elastic Transcoder, API 2012-09-25
    mediaconvert: MediaConvertGroup = field(hash=False)  # the same, as MediaConvert has it
    about_kbps: int  # kbit/s of most music, for estimates of size
    is_lossless: bool = False
    in_file_name: str = ""  # what tells its files from those of another format
    # Sample rate, depth and channels are the source's, not those of preset and group.
    keeps_source: bool = False
    holds_cover: bool = True  # whether its container takes a picture
    bitrates_kbps: tuple[int, ...] = ()  # what people choose from; any of LEAST to MOST will do
    steps_kbps: tuple[int, ...] = ()  # the only ones that its codec has; empty: any

    def nearest_kbps(self, kbps: int) -> int:
        """Return the bit rate that a result gets for which ``kbps`` was asked."""
        return min(self.steps_kbps, key=lambda step: abs(step - kbps), default=kbps)


def _file(container: Mapping[str, Any], audio: Mapping[str, Any]) -> MediaConvertGroup:
    return MediaConvertGroup((MediaConvertOutput(container, audio),))


_RAW = {"Container": "RAW"}  # no container but the codec's own
_CD = {"BitDepth": 16, "Channels": 2, "SampleRate": 44100}
_WAV = {"Codec": "WAV", "WavSettings": {**_CD, "Format": "RIFF"}}
_FLAC = {"Codec": "FLAC", "FlacSettings": _CD}
_FLAC_24 = {"Codec": "FLAC", "FlacSettings": {**_CD, "BitDepth": 24}}
_MP3 = {
    "Codec": "MP3",
    "Mp3Settings": {
        "RateControlMode": "CBR",
        "Bitrate": 192_000,
        "Channels": 2,
        "SampleRate": 44100,
    },
}
_AAC = {
    "Codec": "AAC",
    "AacSettings": {
        "CodecProfile": "LC",
        "RateControlMode": "CBR",
        "CodingMode": "CODING_MODE_2_0",
        "Bitrate": 256_000,
        "SampleRate": 44100,
        "RawFormat": "NONE",
        "Specification": "MPEG4",
    },
}
_MP4 = {
    "Container": "MP4",
    "Mp4Settings": {
        "MoovPlacement": "PROGRESSIVE_DOWNLOAD",
        "CslgAtom": "INCLUDE",
        "FreeSpaceBox": "EXCLUDE",
    },
}

# Bit rates that every engine makes. Source: AudioParameters.BitRate, API 2012-09-25.
LEAST_KBPS, MOST_KBPS = 64, 320

FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("wav", "WAV", "wav", "audio/wav",
               _("CD quality (44.1 kHz, 16 bit, stereo), opens everywhere"),
               "1351620000001-300300", _file(_RAW, _WAV), 1411,
               is_lossless=True, holds_cover=False),
        Format("flac", "FLAC", "flac", "audio/flac", _("CD quality, about half the size of WAV"),
               "1351620000001-300110", _file(_RAW, _FLAC), 850, is_lossless=True),
        Format("flac-exact", "FLAC 1:1", "flac", "audio/flac",
               _("Sample rate, depth and channels as in your file"),
               "1351620000001-300110", _file(_RAW, _FLAC_24), 850,
               is_lossless=True, in_file_name="1_1", keeps_source=True),
        Format("mp4", "MP4", "mp4", "audio/mp4", _("AAC 256 kbit/s, small and good for phones"),
               "1351620000001-100110", _file(_MP4, _AAC), 260,
               bitrates_kbps=(96, 128, 160, 192, 256, 320)),
        Format("mp3", "MP3", "mp3", "audio/mpeg", _("192 kbit/s, for old players"),
               "1351620000001-300020", _file(_RAW, _MP3), 192,
               bitrates_kbps=(64, 96, 128, 160, 192, 256, 320),
               steps_kbps=(64, 80, 96, 112, 128, 160, 192, 224, 256, 320)),
    )
}  # fmt: skip

# Ticked when a person opens the upload page.
DEFAULT_FORMATS = ("wav", "flac", "mp4")


@dataclass(frozen=True)
class Selection:
    """Formats that are ordered together, chosen by what they are for."""

    name: str  # in forms
    label: str | Promise
    description: str | Promise
    formats: tuple[str, ...]  # by name

    @property
    def bytes_per_minute(self) -> int:
        """About what a minute of sound takes in all of them."""
        return sum(FORMATS[name].about_kbps for name in self.formats) * 1000 // 8 * 60


SELECTIONS: dict[str, Selection] = {
    selection.name: selection
    for selection in (
        Selection("lossless", _("Lossless"),
                  _("FLAC with rate, depth and channels of your file, to keep and to edit"),
                  ("flac-exact",)),
        Selection("small", _("Small"),
                  _("MP4 with AAC: sounds as good to most ears, for phones and for sending"),
                  ("mp4",)),
        Selection("old", _("For old players"),
                  _("MP3: what plays everywhere, in old cars and radios, too"),
                  ("mp3",)),
    )
}  # fmt: skip
OWN_SELECTION = "own"  # in forms: whatever formats are ticked

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


# What the names of sound files end in; of a folder only these are taken, and what the browser says
# is sound. Those of ``SOURCES``, and their other ways to be written.
SOUND_EXTENSIONS = tuple(
    sorted(
        {extension for _label, extension, _media_type in SOURCES.values()}
        | {"aif", "aifc", "m4b", "mp2", "mp4", "mpeg", "oga", "opus", "wave", "webm", "wma"}
    )
)


def source_media_type(container: str) -> str:
    """Return the media type under which an original of this container is played."""
    return SOURCES[container][2] if container in SOURCES else "application/octet-stream"


def source_extension(container: str) -> str:
    """Return the extension, without its dot, that an original of this container gets."""
    return SOURCES[container][1] if container in SOURCES else "bin"
