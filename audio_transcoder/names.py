"""Names that people give: text for the eye and for downloads, never a path, URL or argument."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

MAX_LENGTH = 200  # characters
_EXTENSION_LENGTH = 16  # longer "extensions" are just part of the name
_MEDIA_EXTENSIONS = frozenset(
    (
        "3gp", "aac", "ac3", "aif", "aifc", "aiff", "amr", "ape", "asf", "avi", "caf", "flac",
        "flv", "m4a", "m4b", "m4p", "m4v", "mka", "mkv", "mov", "mp2", "mp3", "mp4", "mpc", "mpeg",
        "mpg", "oga", "ogg", "ogv", "opus", "spx", "ts", "tta", "vob", "w64", "wav", "weba", "webm",
        "wma", "wmv", "wv",
    )
)  # fmt: skip


def clean(raw: str) -> str:
    """Return the name of a file as display text: what ``typed()`` makes of its last path part."""
    return typed(raw.replace("\\", "/").rsplit("/", 1)[-1])


def typed(raw: str) -> str:
    """Return a name that somebody wrote as display text; slashes are letters like others.

    Controls, line breaks, direction overrides and zero-width characters go; emoji stay. Never
    longer than ``MAX_LENGTH`` characters, an extension survives the cut. May be empty.
    """
    text = visible(raw)
    if text in (".", ".."):
        return ""
    if len(text) > MAX_LENGTH:
        extension = PurePosixPath(text).suffix
        if len(extension) > _EXTENSION_LENGTH:
            extension = ""
        text = text[: MAX_LENGTH - len(extension)].rstrip() + extension
    return text


def visible(raw: str) -> str:
    """Return ``raw`` in one line, NFC, no invisible characters; slashes are letters like others.

    What ``typed()`` takes out is out.
    """
    letters = "".join(
        " " if unicodedata.category(char) in ("Zl", "Zp", "Zs") else char
        for char in unicodedata.normalize("NFC", raw)
        if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    )
    text = " ".join(letters.split())
    if text and unicodedata.combining(text[0]):  # a mark with nothing to stand on
        text = "\N{DOTTED CIRCLE}" + text
    return text


def of_file(name: str) -> str:
    """Return ``name`` as a file may be called: what would begin a folder is an underscore."""
    return name.replace("/", "_").replace("\\", "_")


def without_extension(name: str) -> str:
    """Return ``name`` without the extension of a sound or film: ``No. 5.mp3`` is ``No. 5``.

    Anything else after a dot belongs to the name, as in ``BWV.846``.
    """
    stem, _dot, extension = name.rpartition(".")
    return stem if stem and extension.lower() in _MEDIA_EXTENSIONS else name
