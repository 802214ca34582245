"""The objects that a proven result becomes: itself, or segments and a playlist of them.

FFmpeg writes a segmented transport stream as one file and lists where each segment lies in it. So
it is proven like any other result, and cut afterwards. Source: API 2012-09-25, CreateJobOutput and
CreateJobPlaylist; developer guide, "Playlists".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elastic_transcoder import published
from elastic_transcoder.models import Job, JobOutput
from elastic_transcoder.published import DASH, HLS3, HLS4
from elastic_transcoder.worker import dash, hls, protection
from elastic_transcoder.worker.command import Recipe
from elastic_transcoder.worker.dash import Index, Representation
from elastic_transcoder.worker.hls import Protection, Segment, Variant
from elastic_transcoder.worker.protection import ContentKey
from sound.measure import Measured

CHUNK = 1 << 20
MEDIA_TYPES = {
    ".m3u8": "application/x-mpegURL",
    ".mpd": "application/dash+xml",
    ".key": "application/octet-stream",
}


@dataclass(frozen=True)
class Piece:
    """One object: a file of its own, which may become the object itself."""

    key: str
    path: Path
    media_type: str


def fresh(path: Path) -> Path:
    """Return ``path`` with no file at it: one that was put there before may be an object by now."""
    path.unlink(missing_ok=True)
    return path


def is_one_object(output: JobOutput) -> bool:
    """Return whether the output is stored under its own key, as one object."""
    return output.preset["Container"] != "ts" or not output.options.get("SegmentDuration")


def playlists_of(job: Job, output: JobOutput) -> list[dict[str, Any]]:
    """Return the job's playlists that name ``output``; all have one format and one protection."""
    return [playlist for playlist in job.playlists if output.key in playlist["OutputKeys"]]


def first_keys(job: Job, output: JobOutput) -> list[str]:
    """Return the keys that a segmented output has however long it is."""
    return published.output_names(output.final_key, _format(job, output), 1)


def _format(job: Job, output: JobOutput) -> str:
    return next((one["Format"] for one in playlists_of(job, output)), HLS3)


class Segmented:
    """A proven transport stream, cut, and encrypted where its playlists say so.

    Raises protection.BadContentKey.
    """

    def __init__(self, job: Job, output: JobOutput, recipe: Recipe, folder: Path) -> None:
        self._output, self._recipe, self._folder = output, recipe, folder
        self._format = _format(job, output)
        self._plain = hls.parse(recipe.list_path.read_text(encoding="utf-8"))
        protected = (one for one in playlists_of(job, output) if one.get("HlsContentProtection"))
        self._playlist = next(protected, None)
        self._content_key: ContentKey | None = None
        self._protection: Protection | None = None
        if self._playlist is not None:
            self._content_key, self._protection = protection_of(job, self._playlist)
        self.segments = self._encrypted() if self._content_key else self._plain

    def _encrypted(self) -> list[Segment]:
        """Return where the segments are once they are encrypted, each by itself."""
        encrypted, at = [], 0
        for segment in self._plain:
            length = protection.encrypted_length(segment.length)
            encrypted.append(Segment(segment.duration_s, length, at))
            at += length
        return encrypted

    @property
    def size_bytes(self) -> int:
        return sum(segment.length for segment in self.segments)

    @property
    def keys(self) -> list[str]:
        return published.output_names(self._output.final_key, self._format, len(self.segments))

    def pieces(self) -> Iterator[Piece]:
        """Yield its objects, the playlist last; each file may be used up before the next."""
        final_key = self._output.final_key
        media_type = self._recipe.encoding.container.media_type
        if self._format == HLS4:
            yield Piece(published.ranged_name(final_key), self._whole(), media_type)
            text = hls.hls4_media(final_key, self.segments, self._protection)
        else:
            for number, segment in enumerate(self._plain):
                name = published.segment_name(final_key, number)
                yield Piece(name, self._cut(segment), media_type)
            text = hls.hls3_media(final_key, self.segments, self._protection)
        path = fresh(self._folder / "playlist")
        path.write_text(text, encoding="utf-8")
        name = published.media_playlist_name(final_key, self._format)
        yield Piece(name, path, MEDIA_TYPES[".m3u8"])

    def _whole(self) -> Path:
        if self._content_key is None:
            return self._recipe.path
        path, key = fresh(self._folder / "encrypted"), self._content_key
        protection.encrypt_ranges(self._recipe.path, path, self._plain, key.key, key.iv)
        return path

    def _cut(self, segment: Segment) -> Path:
        path = fresh(self._folder / "segment")
        with self._recipe.path.open("rb") as whole, path.open("wb") as cut:
            whole.seek(segment.offset)
            left = segment.length
            while left:
                left -= cut.write(whole.read(min(left, CHUNK)))
        if self._content_key is None:
            return path
        encrypted, key = fresh(self._folder / "encrypted"), self._content_key
        protection.encrypt(path, encrypted, key.key, key.iv)
        path.unlink()
        return encrypted


def protection_of(job: Job, playlist: dict[str, Any]) -> tuple[ContentKey, Protection]:
    """Return the key of a protected playlist, and how its outputs name it.

    Raises protection.BadContentKey.
    """
    ordered = playlist["HlsContentProtection"]
    content_key = protection.content_key(ordered)
    stored = ordered.get("KeyStoragePolicy") == "WithVariantPlaylists"
    return content_key, Protection(
        content_key.iv,
        url=ordered.get("LicenseAcquisitionUrl") or "",
        key_name=published.key_name(job.output_key_prefix, playlist["Name"]) if stored else "",
    )


def with_keys(job_playlists: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a job's playlists with a key drawn for every protected one that gives none.

    Outputs may belong to several playlists, which then have one protection; so has the key.
    """
    drawn: dict[str, dict[str, str]] = {}
    completed = []
    for playlist in job_playlists:
        ordered = playlist.get("HlsContentProtection")
        if ordered and not any(ordered.get(name) for name in protection.KEY_MEMBERS):
            members = next((drawn[key] for key in playlist["OutputKeys"] if key in drawn), None)
            members = members or protection.draw_key().members()
            drawn |= dict.fromkeys(playlist["OutputKeys"], members)
            playlist = playlist | {"HlsContentProtection": ordered | members}
        completed.append(playlist)
    return completed


# --- What playlists have to know of a result ----------------------------------------------------


def made(recipe: Recipe, facts: Measured, cut: Segmented | None) -> dict[str, Any]:
    """Return what a playlist has to know of a proven result, as JSON for the output's row."""
    known: dict[str, Any] = {
        "codecs": recipe.encoding.codec.rfc6381,
        "sample_rate_hz": facts.sample_rate_hz,
        "channels": facts.channels,
    }
    if cut is not None:
        return known | {"bandwidth": hls.bandwidth(cut.segments)}
    found = dash.index(recipe.path)
    return known | {
        "initialization": found.initialization,
        "index": found.index,
        "segments": [(one.duration_s, one.length, one.offset) for one in found.segments],
    }


def master(job: Job, playlist: dict[str, Any], outputs: list[JobOutput]) -> tuple[str, str]:
    """Return name and text of a job's playlist, whose ``outputs`` are all Complete."""
    name = published.master_name(job.output_key_prefix, playlist["Name"], playlist["Format"])
    if playlist["Format"] == DASH:
        return name, dash.mpd(name, [_representation(one) for one in outputs])
    variants = [
        Variant(
            published.media_playlist_name(one.final_key, playlist["Format"]),
            one.made["bandwidth"],
            one.made["codecs"],
        )
        for one in outputs
    ]
    return name, hls.hls_master(name, playlist["Format"], variants)


def _representation(output: JobOutput) -> Representation:
    known = output.made
    return Representation(
        id=str(output.number),
        name=output.final_key,
        codecs=known["codecs"],
        sample_rate_hz=known["sample_rate_hz"],
        channels=known["channels"],
        index=Index(
            tuple(known["initialization"]),
            tuple(known["index"]),
            [Segment(*one) for one in known["segments"]],
        ),
    )
