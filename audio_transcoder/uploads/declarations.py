"""What somebody says of a file before it comes, read from whatever came."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings

from audio_transcoder import names
from audio_transcoder.formats import DEFAULT_FORMATS, FORMATS
from audio_transcoder.forms.sound import SoundForm
from audio_transcoder.uploads.refusals import Refused
from audio_transcoder.variants import Options

# What people's machines call sound, films, and what they do not know.
MEDIA_TYPE = re.compile(
    r"(?:audio|video)/[a-z0-9][a-z0-9!#$&^_.+-]{0,80}"
    r"|application/(?:octet-stream|ogg|x-ogg|mp4|mxf|vnd\.ms-asf)"
)
_ANY_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class Declared:
    """What somebody says of a file before it comes."""

    file_name: str
    name: str
    size_bytes: int
    media_type: str
    formats: tuple[str, ...]
    options: Options
    fingerprint: str
    token: uuid.UUID | None


def declared(file_name: object, media_type: object, metadata: Mapping[str, object]) -> Declared:
    """Return what a script declared, of whatever types its JSON was.

    ``metadata`` has ``size``, and may have ``name``, ``formats``, ``fingerprint``, ``token`` and
    fields of forms.SoundForm for these formats; anything else is ignored. Raises Refused: invalid,
    empty, too_large, not_audio.
    """
    shown, name = _file_name(file_name), names.typed(_text(metadata.get("name")))
    size_bytes = _size(metadata.get("size"))
    kind = _text(media_type).partition(";")[0].strip().lower()
    if kind and not MEDIA_TYPE.fullmatch(kind):
        raise Refused("not_audio")
    if size_bytes == 0:
        raise Refused("empty")
    if size_bytes > settings.UPLOAD_MAX_BYTES:
        raise Refused("too_large")
    fingerprint = _text(metadata.get("fingerprint"))
    formats = _formats(metadata.get("formats"))
    return Declared(
        file_name=shown,
        # Uppy calls every file by its file name unless somebody changes that.
        name="" if name in (shown, names.typed(_text(file_name))) else name,
        size_bytes=size_bytes,
        media_type=kind or _ANY_TYPE,
        formats=formats,
        options=_options(metadata, formats),
        fingerprint="".join(filter(str.isprintable, fingerprint))[:255],
        token=_token(metadata.get("token")),
    )


def _text(value: object) -> str:
    """Return a text as it is, nothing as the empty text. Raises Refused for anything else."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused("invalid")
    return value


def _file_name(value: object) -> str:
    raw = _text(value)
    shown = names.clean(raw)
    if not raw.strip("."):  # as no file in a form: nothing, "." and ".."
        raise Refused("invalid")
    return shown or "untitled"


def _size(value: object) -> int:
    # In an address, or as some scripts send it, a number is a text.
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise Refused("invalid")


def _formats(value: object) -> tuple[str, ...]:
    if value is None or value == "":
        return DEFAULT_FORMATS
    wanted = value.split(",") if isinstance(value, str) else value
    if not isinstance(wanted, list) or not wanted:
        raise Refused("invalid")
    found = tuple(dict.fromkeys(_text(one).strip() for one in wanted))
    if not set(found) <= set(FORMATS):
        raise Refused("invalid")
    return found


def _options(metadata: Mapping[str, object], formats: tuple[str, ...]) -> Options:
    known = SoundForm(formats=formats).fields.keys() & metadata.keys()
    said = {name: _number_text(metadata[name]) for name in known}
    form = SoundForm(said, formats=formats)
    if not form.is_valid():
        raise Refused("invalid")
    return form.sound_options(formats)


def _number_text(value: object) -> str:
    """Return a number, which in JSON may be one, as people write it."""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if type(value) is int else _text(value)


def _token(value: object) -> uuid.UUID | None:
    try:
        return uuid.UUID(_text(value))
    except ValueError:
        return None
