"""What is known of a sound and of its results, in words."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from audio_transcoder.engines import notes
from audio_transcoder.figures import MINUS, channel_word, clock, kilohertz, signed
from audio_transcoder.file_page.forecast import sound_ms
from audio_transcoder.formats import SOURCES
from audio_transcoder.models import AudioFile, Rendition
from audio_transcoder.variants import position

LOSSLESS = ("flac", "alac", "wavpack", "ape", "tta", "truehd", "mlp", "shorten", "wmalossless")
CODEC_NAMES = {
    "opus": "Opus",
    "vorbis": "Vorbis",
    "wavpack": "WavPack",
    "wmav1": "WMA",
    "wmav2": "WMA",
    "wmapro": "WMA Pro",
    "wmalossless": "WMA Lossless",
    "mp3float": "MP3",
}


@dataclass(frozen=True)
class Table:
    """Facts, a row each, of the original and of its results, a column each."""

    columns: list[str]
    rows: list[tuple[str, list[str]]]

    @property
    def version(self) -> str:
        """Tells one content from another."""
        return f"{zlib.crc32(repr(self).encode()):x}"


@dataclass(frozen=True)
class Comparison:
    """How a result differs from its original, in words; nothing where nothing is known."""

    changes: list[str] = field(default_factory=list)
    length: str = ""
    correlation: str = ""
    carried: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    note: str = ""  # what else is otherwise than ordered


def table(audio_file: AudioFile) -> Table:
    """Return what is known of a file read ``with_work`` and of its ready results."""
    results = audio_file.ready_renditions
    sounds = [audio_file, *results]
    rows = [
        (_("Codec"), [codec_name(one.codec) for one in sounds]),
        (_("Container"), [_container(one) for one in sounds]),
        (_("Sample rate"), [kilohertz(one.sample_rate_hz) for one in sounds]),
        (_("Channels"), [channel_word(one.channels) for one in sounds]),
        (_("Bit depth"), [bit_word(one.bits) for one in sounds]),
        (_("Bit rate"), [bitrate(one.bitrate_kbps) for one in sounds]),
        (_("Loudness"), [lufs(one.loudness_lufs) for one in sounds]),
        (_("True peak"), [dbtp(one.true_peak_dbtp) for one in sounds]),
        (_("Length"), [clock(one.duration_ms) for one in sounds]),
        (_("Size"), [_size(one.size_bytes) for one in sounds]),
    ]
    columns = [_("Original"), *(one.label for one in results)]
    return Table(columns, [(name, cells) for name, cells in rows if any(cells)])


def compare(rendition: Rendition) -> Comparison:
    """Return how a ready result differs from the original, as far as both are known."""
    if not rendition.is_ready:
        return Comparison()
    tags = dict(_tags(rendition.audio_file))
    lost = [name.strip() for name in rendition.lost_tags.split(",") if name.strip()]
    is_known = bool(rendition.codec)
    carried = [label for name, label in tags.items() if name not in lost] if is_known else []
    lost = [tags.get(name, name) for name in lost]
    is_left_out = notes.has_lost_cover(rendition.note)
    if rendition.has_cover:
        carried.append(_("cover"))
    elif is_left_out or (rendition.has_cover is False and rendition.audio_file.cover):
        lost.append(_("cover"))
    return Comparison(
        changes=list(_changes(rendition)),
        length=_length(rendition),
        correlation=percent(rendition.correlation),
        carried=carried,
        lost=lost,
        note=notes.told(rendition.note),
    )


def in_short(sound: AudioFile | Rendition) -> list[str]:
    """Return what is known of a sound by itself, each in a word or two."""
    words = [
        codec_name(sound.codec),
        kilohertz(sound.sample_rate_hz),
        channel_word(sound.channels),
        bit_word(sound.bits),
        bitrate(sound.bitrate_kbps),
        clock(sound.duration_ms),
        _size(sound.size_bytes),
    ]
    return [word for word in words if word]


def of_variant(rendition: Rendition) -> list[str]:
    """Return what tells a ready result from the plain one of its format; nothing for that one."""
    return compare(rendition).changes if rendition.variant else []


def is_lossless(codec: str) -> bool:
    return codec.startswith("pcm_") or codec in LOSSLESS


def codec_name(codec: str) -> str:
    """Return FFmpeg's name of a codec as people write it."""
    return "PCM" if codec.startswith("pcm_") else CODEC_NAMES.get(codec, codec.upper())


def bit_word(bits: int | None) -> str:
    return _("{bits} bit").format(bits=bits) if bits else ""


def bitrate(bitrate_kbps: int | None) -> str:
    return f"{number_format(bitrate_kbps)} kbit/s" if bitrate_kbps else ""


def lufs(loudness: float | None) -> str:
    return "" if loudness is None else f"{_decimal(loudness)} LUFS"


def dbtp(peak: float | None) -> str:
    return "" if peak is None else f"{_decimal(peak)} dBTP"


def percent(correlation: float | None) -> str:
    """Return a correlation in percent, rounded down: what is not the same is never 100 %."""
    if correlation is None:
        return ""
    hundredths = int(max(-1.0, min(1.0, correlation)) * 10_000)
    return f"{number_format(Decimal(hundredths) / 100, decimal_pos=2)} %"


def _decimal(number: float) -> str:
    # A sound that is silent has no level: it is minus infinity.
    if number in (float("inf"), float("-inf")):
        return f"{MINUS}∞" if number < 0 else "∞"
    return signed(round(number, 1), decimal_pos=1)


def _container(sound: AudioFile | Rendition) -> str:
    if isinstance(sound, Rendition):
        return sound.format.label
    return SOURCES[sound.container][0] if sound.container in SOURCES else sound.container.upper()


def _size(size_bytes: int | None) -> str:
    return "" if size_bytes is None else filesizeformat(size_bytes)


def _tags(audio_file: AudioFile) -> Iterator[tuple[str, str]]:
    """Yield the tags that the file has, by FFmpeg's names, with our words for them."""
    words = {
        "title": (_("title"), audio_file.title),
        "artist": (_("artist"), audio_file.artist),
        "album": (_("album"), audio_file.album),
        "date": (_("year"), audio_file.year),
        "track": (_("track"), audio_file.track),
    }
    return ((name, word) for name, (word, value) in words.items() if value)


def _changes(rendition: Rendition) -> Iterator[str]:
    source, job = rendition.audio_file, rendition.job
    if job.clip_start_ms is not None or job.clip_end_ms is not None:
        end_ms = job.clip_end_ms
        end = clock(source.duration_ms) if end_ms is None else position(end_ms)
        span = {"start": position(job.clip_start_ms or 0), "end": end}
        yield _("part: {start} to {end}").format(**span)
    if job.target_lufs is not None:
        yield _("loudness set to {loudness}").format(loudness=lufs(job.target_lufs))
    if _differ(source.sample_rate_hz, rendition.sample_rate_hz):
        before = number_format(Decimal(f"{source.sample_rate_hz / 1000:g}"))
        yield f"{before} → {kilohertz(rendition.sample_rate_hz)}"
    if _differ(source.channels, rendition.channels):
        yield f"{channel_word(source.channels)} → {channel_word(rendition.channels)}"
    if _differ(source.bits, rendition.bits):
        yield f"{source.bits} → {bit_word(rendition.bits)}"
    if rendition.codec and not is_lossless(rendition.codec):
        what = f"{codec_name(rendition.codec)} {bitrate(rendition.bitrate_kbps)}".strip()
        yield _("lossy: {codec}").format(codec=what)


def _differ(before: int | None, after: int | None) -> bool:
    return bool(before and after and before != after)


def _length(rendition: Rendition) -> str:
    wanted_ms = sound_ms(rendition.job, rendition.audio_file)
    if wanted_ms is None or rendition.duration_ms is None or not rendition.codec:
        return ""
    longer_ms = rendition.duration_ms - wanted_ms
    if longer_ms == 0:
        return _("exactly as long")
    words = {"count": number_format(abs(longer_ms), force_grouping=True)}
    if longer_ms > 0:
        text = ngettext("{count} millisecond longer", "{count} milliseconds longer", longer_ms)
    else:
        text = ngettext("{count} millisecond shorter", "{count} milliseconds shorter", -longer_ms)
    return text.format(**words)
