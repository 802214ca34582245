"""Tags, cut and cleaned: what a file says of itself is text from a stranger."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from av.audio.stream import AudioStream
from av.container import InputContainer

MAX_TAGS = 64
MAX_NAME = 64  # characters
MAX_VALUE = 1000  # characters

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
    are removed; at most MAX_TAGS entries with MAX_VALUE characters each are kept.
    """
    tags: dict[str, str] = {}
    for source in sources:
        for name, value in source.items():
            name = _clean(name, MAX_NAME).lower()
            value = _clean(value, MAX_VALUE)
            if name and value and name not in _TECHNICAL and len(tags) < MAX_TAGS:
                tags.setdefault(name, value)
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
