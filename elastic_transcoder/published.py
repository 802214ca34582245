"""Under which keys results and playlists are stored.

Extensions are added to what the job gives; a key that has one gets two. Source: API 2012-09-25,
CreateJobOutput and CreateJobPlaylist; developer guide, "Settings for jobs".
"""

from __future__ import annotations

from typing import Any

HLS3, HLS4, DASH = "HLSv3", "HLSv4", "MPEG-DASH"


def segment_name(final_key: str, number: int) -> str:
    """Return the name of a segment of its own: ``PK00000.ts`` is number 0."""
    return f"{final_key}{number:05d}.ts"


def ranged_name(final_key: str) -> str:
    """Return the name of the one file that holds all segments of an HLSv4 output."""
    return f"{final_key}.ts"


def media_playlist_name(final_key: str, playlist_format: str | None) -> str:
    """Return the name of an output's own playlist; without a format it is one of HLSv3."""
    return f"{final_key}_v4.m3u8" if playlist_format == HLS4 else f"{final_key}.m3u8"


def output_names(final_key: str, playlist_format: str | None, segments: int | None) -> list[str]:
    """Return every name that an output is published under, in the order of publishing.

    ``final_key`` is OutputKeyPrefix and Key; ``segments`` how many there are, None for an output
    that is one file of its own (all but ts with a SegmentDuration). The playlist comes last: who
    finds it finds all that it names. The first is the one that error 3002 reports.
    """
    if segments is None:
        return [final_key]
    playlist = media_playlist_name(final_key, playlist_format)
    if playlist_format == HLS4:
        return [ranged_name(final_key), playlist]
    return [*(segment_name(final_key, number) for number in range(segments)), playlist]


def master_name(prefix: str, name: str, playlist_format: str) -> str:
    """Return the name of a job's playlist: ``PN.m3u8``, ``PN.mpd`` for MPEG-DASH."""
    return f"{prefix}{name}{'.mpd' if playlist_format == DASH else '.m3u8'}"


def key_name(prefix: str, name: str) -> str:
    """Return the name of the content key that is stored beside a playlist: ``PN.key``.

    The guide says only that the key is written with the variant playlists; the name is ours.
    """
    return f"{prefix}{name}.key"


def playlist_names(prefix: str, playlist: dict[str, Any]) -> list[str]:
    """Return every name that a job's playlist (CreateJobPlaylist) is published under."""
    protection = playlist.get("HlsContentProtection") or {}
    names = [master_name(prefix, playlist["Name"], playlist["Format"])]
    if protection.get("KeyStoragePolicy") == "WithVariantPlaylists":
        names.insert(0, key_name(prefix, playlist["Name"]))
    return names
