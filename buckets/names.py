"""How the key of an object becomes the path of a file, and back.

Each segment of the key (the text between two slashes) is one file or folder name in plain
ASCII; ``%XX`` stands for every other byte, and for a dot at the beginning, so that no segment
means ``.``, ``..`` or a hidden file. ``%`` before anything but two hexadecimal digits is a mark
of ours:

``%-``  the empty segment.
``%+``  at the end: the segment is longer than a name may be and goes on in the next folder,
        whose name begins with the same mark.
``%=``  at the end: a folder that is called like a file (``a.mp3/b``), or a file that is called
        like a folder (``a``). So ``a`` and ``a/b`` can both be objects, as in S3, and which
        name is used depends on the key alone, never on what is there already.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote

_PLAIN = " !#$&'()+,;=@[]^{}"  # beside letters, digits and "_.-~"
_EMPTY, _GOES_ON, _UNEXPECTED = "%-", "%+", "%="
# Most file systems end a name at 255 bytes; two marks and a little air are left.
_LONGEST = 200
# What is called like a file: with an extension, or as the web app calls every upload.
_LIKE_A_FILE = re.compile(r".*\.[A-Za-z0-9]{1,8}|source", re.DOTALL)


def quoted(segment: str) -> str:
    """Return one segment in the letters of a file name, however long."""
    text = quote(segment, safe=_PLAIN) or _EMPTY
    return f"%2E{text[1:]}" if text.startswith(".") else text


def _names(segment: str, *, of_folder: bool) -> list[str]:
    text = quoted(segment)
    if of_folder is bool(_LIKE_A_FILE.fullmatch(segment)):
        text += _UNEXPECTED
    pieces = [text[start : start + _LONGEST] for start in range(0, len(text), _LONGEST)]
    return [
        (_GOES_ON if index else "") + piece + (_GOES_ON if index < len(pieces) - 1 else "")
        for index, piece in enumerate(pieces)
    ]


def folders(prefix: str) -> list[str]:
    """Return the names of the folders that hold every key which begins with ``prefix``."""
    segments = prefix.split("/")[:-1]
    return [name for segment in segments for name in _names(segment, of_folder=True)]


def path(key: str) -> list[str]:
    """Return the names of the folders and of the file, last, that hold the object ``key``."""
    return folders(key) + _names(key.rpartition("/")[2], of_folder=False)


def key(names: Sequence[str]) -> str | None:
    """Return the key whose path is ``names``, or None where no key has this path."""
    segments = [""]
    for name in names:
        goes_on = name.endswith(_GOES_ON)
        segments[-1] += name.removesuffix(_GOES_ON).removeprefix(_GOES_ON)
        if not goes_on:
            segments.append("")
    try:
        found = "/".join(
            unquote(segment.removesuffix(_UNEXPECTED).replace(_EMPTY, ""), errors="strict")
            for segment in segments[:-1]
        )
        return found if path(found) == list(names) else None
    except UnicodeError:
        return None
