"""Which pictures a result carries: those that the job gives, those of its first input, or none.

Source: API 2012-09-25, JobAlbumArt: MergePolicy and Artwork; error codes 4009 to 4013. No AlbumArt
at all: nobody knows what Amazon did; pictures of the input are passed on, and one that cannot be
is left out with a note.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import buckets
from elastic_transcoder.models import JobOutput
from elastic_transcoder.worker import artwork, failures
from elastic_transcoder.worker.artwork import PictureTooLarge, PictureUnreadable, Sizing
from elastic_transcoder.worker.encoding import Encoding
from elastic_transcoder.worker.failures import Failure
from elastic_transcoder.worker.in_hand import Failed, JobInHand
from elastic_transcoder.worker.intake import Input

MAX_PICTURES = 20
# Of a picture as it comes, and as it is drawn: a block of FLAC ends at 16 MiB, all tags of an MP3
# at 256.
MAX_PICTURE_BYTES = 50 * 1024**2
MAX_DRAWN_BYTES = 12 * 1024**2
LEFT_OUT = "Artwork of the input was left out."
LEFT_OUT_IN_PART = "Some artwork of the input was left out."


class NoAlbum(Exception):
    """The pictures that were ordered cannot be had; ``failure`` is the output's."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


class _TooHeavy(Exception):
    """The picture, as it is drawn, is more than every container takes."""


@dataclass(frozen=True)
class Pictures:
    """What a result gets: picture files in their order, and what is to be said of it."""

    paths: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


class Album:
    """The pictures of one job, each drawn once. ``first`` is the job's first input."""

    def __init__(self, in_hand: JobInHand, bucket_name: str, first: Input) -> None:
        self._in_hand, self._bucket_name, self._first = in_hand, bucket_name, first
        self._count = 0
        # Of a job's outputs many have the same pictures.
        self._drawn, self._fetched = functools.cache(self._draw), functools.cache(self._fetch)

    def pictures(self, output: JobOutput, encoding: Encoding) -> Pictures:
        """Return the pictures of ``output``. Raises NoAlbum, and Later of the store."""
        ordered = output.options.get("AlbumArt")
        if not encoding.container.takes_pictures:
            return Pictures(notes=(LEFT_OUT,) if self._first.sound.pictures else ())
        if ordered is None:
            return self._passed_on()
        given = list(ordered.get("Artwork") or ())
        policy = ordered.get("MergePolicy", "Replace")
        if not given and (policy == "Replace" or ordered.get("Artwork") is None):
            return Pictures()
        takes_embedded = (
            policy in ("Prepend", "Append")
            or not given
            or (policy == "Fallback" and self._first.sound.pictures > 0)
        )
        numbers = self._numbers() if takes_embedded else range(0)
        given = [] if policy == "Fallback" and numbers else given
        if len(numbers) + len(given) > MAX_PICTURES:
            raise NoAlbum(failures.TOO_MANY_PICTURES)
        embedded = [self._embedded(number) for number in numbers]
        own = [self._given(one) for one in given]
        paths = [*embedded, *own] if policy == "Append" else [*own, *embedded]
        return Pictures(tuple(paths))

    def _numbers(self) -> range:
        return range(self._first.sound.pictures)

    def _passed_on(self) -> Pictures:
        paths = []
        for number in self._numbers()[:MAX_PICTURES]:
            try:
                paths.append(self._embedded(number))
            except NoAlbum:
                continue
        if len(paths) == self._first.sound.pictures:
            return Pictures(tuple(paths))
        return Pictures(tuple(paths), (LEFT_OUT_IN_PART if paths else LEFT_OUT,))

    def _embedded(self, number: int) -> Path:
        try:
            return self._drawn(self._first.path, artwork.KEEP, number)
        except PictureTooLarge as error:
            raise NoAlbum(failures.embedded_picture_too_large(str(error))) from error
        except PictureUnreadable as error:
            raise NoAlbum(failures.embedded_picture_unreadable(str(error))) from error
        except _TooHeavy as error:
            raise NoAlbum(failures.embedded_picture_too_large(str(error))) from error

    def _given(self, ordered: dict[str, Any]) -> Path:
        key = ordered["InputKey"]
        source = self._fetched(key)
        try:
            return self._drawn(source, artwork.sizing(ordered), 0)
        except PictureTooLarge as error:
            raise NoAlbum(failures.picture_too_large(self._bucket_name, key)) from error
        except PictureUnreadable as error:
            raise NoAlbum(failures.picture_unreadable(self._bucket_name, key)) from error
        except _TooHeavy as error:
            raise NoAlbum(failures.picture_too_big(self._bucket_name, key, str(error))) from error

    def _fetch(self, key: str) -> Path:
        bucket = buckets.bucket(self._bucket_name)
        self._count += 1
        path = self._in_hand.folder / "in" / f"picture-{self._count}"
        try:
            info = bucket.stat(key)
            if info is None:
                raise NoAlbum(failures.picture_unreadable(bucket.name, key))
            if info.size_bytes > MAX_PICTURE_BYTES:
                why = f"it has {info.size_bytes} bytes"
                raise NoAlbum(failures.picture_too_big(bucket.name, key, why))
            bucket.fetch(key, path, self._in_hand.hold.moved)
        except buckets.ObjectMissing as error:
            raise NoAlbum(failures.picture_unreadable(bucket.name, key)) from error
        except buckets.BucketError as error:
            with self._in_hand.unless_later(error):
                raise Failed(failures.of_input_bucket(error, bucket.name, key)) from error
        return path

    def _draw(self, source: Path, sizing: Sizing, number: int) -> Path:
        self._count += 1
        folder = self._in_hand.folder / "out"
        target = folder / f"picture-{self._count}"
        moved = self._in_hand.hold.moved
        artwork.draw(source, target, sizing, number=number, folder=folder, moved=moved)
        size_bytes = target.stat().st_size
        if size_bytes > MAX_DRAWN_BYTES:
            target.unlink()
            raise _TooHeavy(f"it has {size_bytes} bytes as it is drawn")
        return target.rename(target.with_suffix(artwork.suffix(target)))
