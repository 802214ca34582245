"""How pages show covers."""

from __future__ import annotations

import zlib

from django import template

from audio_transcoder import covers, tags
from audio_transcoder.models import AudioFile
from images import Size

register = template.Library()


@register.simple_tag
def cover_url(audio_file: AudioFile, size: int | Size) -> str:
    """Return the address of the file's cover, or of the placeholder.

    ``size``: the side of a square in pixels, or how to draw it.
    """
    return covers.url(audio_file, size if isinstance(size, Size) else covers.square(size))


@register.filter
def has_tags(audio_file: AudioFile) -> bool:
    """Return whether anything is known of title, artist, album, year or track."""
    return any(
        (
            audio_file.title,
            audio_file.artist,
            audio_file.album,
            audio_file.year,
            audio_file.track,
        )
    )


@register.filter
def label_version(audio_file: AudioFile) -> str:
    """Return what tells one cover and tags of a file from others."""
    shown = [getattr(audio_file, field) for field in ("cover", *tags.TAGS)]
    shown += [one.html_id for one in audio_file.outdated_renditions]
    return f"{zlib.crc32(repr(shown).encode()):x}"
