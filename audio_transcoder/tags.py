"""Tags: what a sound says of itself, or its owner says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from audio_transcoder import names
from audio_transcoder.models import AudioFile

# Field of AudioFile -> FFmpeg's names for it, the first one that says something counts.
TAGS = {
    "title": ("title",),
    "artist": ("artist", "album_artist"),
    "album": ("album",),
    "year": ("date", "year"),
    "track": ("track",),
}
YEAR = re.compile(r"[0-9]{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?)?")
TRACK = re.compile(r"[0-9]{1,4}(?:/[0-9]{1,4})?")
_SHAPES = {"year": YEAR, "track": TRACK}


class Tagged(Protocol):
    """A sound that says something of itself: by FFmpeg's names, a stranger's text."""

    @property
    def tags(self) -> Mapping[str, str]: ...


def of(sound: Tagged) -> dict[str, str]:
    """Return values for the fields of TAGS, of what a sound says of itself: a stranger's text.

    In one line, without invisible characters, no longer than the field. Of a date and a track
    only what is one; "" for whatever is not there.
    """
    return {
        field: next((tag for name in its if (tag := _tag(field, sound.tags.get(name, "")))), "")
        for field, its in TAGS.items()
    }


def learn(audio_file: AudioFile, sound: Tagged) -> None:
    """Take the tags that were found in a sound; what is there, or was changed by hand, stays."""
    row = AudioFile.objects.filter(pk=audio_file.pk)
    for field, value in of(sound).items():
        if value:
            # No name of a field is part of another one's.
            row.filter(**{field: ""}).exclude(edited_tags__contains=field).update(**{field: value})


def text(field: str, raw: str) -> str:
    """Return ``raw`` in one line without invisible characters, no longer than the field takes."""
    return names.visible(raw)[: AudioFile._meta.get_field(field).max_length].rstrip()


def _tag(field: str, raw: str) -> str:
    shape = _SHAPES.get(field)
    if shape is None:
        return text(field, raw)
    begin = shape.match(names.visible(raw))
    return begin[0] if begin else ""
