"""Which names a job will take in its bucket, before anybody knows how long its sound is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from elastic_transcoder import published
from elastic_transcoder.published import HLS4

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
        return (*self.names, published.segment_name(self.segments_of, 0))

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
        return Published(path, tuple(published.output_names(key, None, None)))
    if playlist_format == HLS4:
        return Published(path, tuple(published.output_names(key, HLS4, 1)))
    media = published.media_playlist_name(key, playlist_format)
    return Published(path, (media,), segments_of=key)


def of_playlist(path: str, prefix: str, playlist: dict[str, Any]) -> Published:
    """Return the names of a job's playlist, a CreateJobPlaylist."""
    return Published(path, tuple(published.playlist_names(prefix, playlist)))
