"""Under which names the objects of a job are stored.

Source: developer guide, "Settings for jobs", output key and playlist name: extensions are added.
The name of a key file is our own: ``<playlist>.key``, beside the playlist.
"""

from __future__ import annotations

from dataclasses import dataclass

MASTER_SUFFIX = {"HLSv3": ".m3u8", "HLSv4": ".m3u8", "MPEG-DASH": ".mpd"}
KEY_SUFFIX = ".key"
# Segments are counted from 00000.
SEGMENT_DIGITS = 5


@dataclass(frozen=True)
class Published:
    """The objects of one output or playlist; ``path`` is the member that named them."""

    path: str
    names: tuple[str, ...]
    # What stands before the number of each segment; None without segments.
    segments_of: str | None = None

    @property
    def examples(self) -> tuple[str, ...]:
        """One name of each length."""
        if self.segments_of is None:
            return self.names
        return (*self.names, f"{self.segments_of}{'0' * SEGMENT_DIGITS}.ts")

    def is_segment(self, name: str) -> bool:
        if self.segments_of is None or not name.startswith(self.segments_of):
            return False
        number, dot, extension = name[len(self.segments_of) :].rpartition(".")
        is_number = number.isascii() and number.isdigit() and len(number) >= SEGMENT_DIGITS
        return bool(dot) and extension == "ts" and is_number


def of_output(path: str, key: str, is_segmented: bool, playlist_format: str | None) -> Published:
    """Return the names of an output. ``key`` has its prefix; ``is_segmented``: ts in segments.

    ``playlist_format``: that of the playlists that it is in, or None.
    """
    if not is_segmented:
        return Published(path, (key,))
    if playlist_format == "HLSv4":
        return Published(path, (f"{key}_v4.m3u8", f"{key}.ts"))
    return Published(path, (f"{key}.m3u8",), segments_of=key)


def of_playlist(path: str, name: str, playlist_format: str, *, has_key_file: bool) -> Published:
    """Return the names of a master playlist. ``name`` has its prefix."""
    master = f"{name}{MASTER_SUFFIX.get(playlist_format, '')}"
    return Published(path, (master, f"{name}{KEY_SUFFIX}") if has_key_file else (master,))
