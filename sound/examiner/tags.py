"""Tags, cut and cleaned: what a file says of itself is text from a stranger."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from av.audio.stream import AudioStream
from av.container import InputContainer

MAX_TAGS = 64
MAX_NAME = 64  # characters
MAX_VALUE = 1000  # characters
# Characters of all names and values: in JSON each has up to twelve bytes, and an answer has no more
# than ``sound.examination.ANSWER_BYTES``.
MAX_TOGETHER = 16_000

# What a sound is known by is taken before anything else.
_FIRST = {"title", "artist", "album_artist", "album", "date", "year", "track"}

# What the container says of itself, not of the sound.
_TECHNICAL = {
    "major_brand", "minor_version", "compatible_brands", "encoder", "handler_name", "vendor_id",
    "duration", "creation_time", "language", "encoded_by",
}  # fmt: skip


def of(container: InputContainer, stream: AudioStream) -> dict[str, str]:
    """Return the ``merged()`` tags of a file; none where they cannot be read."""
    try:
        return merged(container.metadata, stream.metadata)
    except Exception:
        # Whatever reading them raises, the sound is as good without them.
        return {}


def merged(*sources: Mapping[str, str]) -> dict[str, str]:
    """Return one dictionary of lower-case names; the first source that has a name wins.

    Ogg keeps tags on the stream, most others on the container. Control and direction characters
    are removed; at most MAX_TAGS entries with MAX_VALUE characters each are kept, and MAX_TOGETHER
    of them all.
    """
    found = [
        (_clean(name, MAX_NAME).lower(), value)
        for source in sources
        for name, value in source.items()
    ]
    tags: dict[str, str] = {}
    room = MAX_TOGETHER
    for name, value in sorted(found, key=lambda one: one[0] not in _FIRST):
        if len(tags) == MAX_TAGS or room <= MAX_NAME:
            break
        if not name or name in _TECHNICAL or name in tags:
            continue
        value = _clean(value, min(MAX_VALUE, room - len(name)))
        if value:
            tags[name] = value
            room -= len(name) + len(value)
    return tags


def _clean(text: str, limit: int) -> str:
    # Twice the limit is more than cleaning ever removes of honest text.
    kept = (
        " " if character in "\r\n\t" else character
        for character in text[: 2 * limit]
        # Cc, Cf: control and format (direction, zero width); Cs, Co: no characters at all.
        if character in "\r\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co")
    )
    return "".join(kept).strip()[:limit]
