"""Proven results, put at their final keys; and the playlists that name them.

A result may be several objects: segments and the playlist of them. Nothing is ever put over
something else, and a second attempt adopts what the first one had put.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import buckets
from buckets import Kept
from elastic_transcoder.models import Job, JobOutput, Pipeline
from elastic_transcoder.worker import failures, keeping, segments
from elastic_transcoder.worker.command import Recipe
from elastic_transcoder.worker.failures import Failure
from elastic_transcoder.worker.in_hand import Failed, JobInHand
from elastic_transcoder.worker.protection import BadContentKey
from elastic_transcoder.worker.segments import Piece
from sound.measure import Measured

logger = logging.getLogger(__name__)


class Publisher:
    """Puts what one attempt made into the output bucket of ``pipeline``."""

    def __init__(self, in_hand: JobInHand, pipeline: Pipeline) -> None:
        self._in_hand, self._pipeline = in_hand, pipeline
        self._bucket = buckets.bucket(pipeline.result_bucket)
        # Hashes that results of this and of earlier attempts had when they were proven.
        self._proven = {output.pk: {output.sha256} - {""} for output in in_hand.outputs}

    def prepare(self) -> None:
        """Write down the keys of protected playlists before anything is encrypted with them."""
        job = self._in_hand.job
        completed = segments.with_keys(job.playlists)
        if completed != job.playlists:
            self._in_hand.claim.update(playlists=completed)
            job.playlists = completed

    def settle_taken_key(self, output: JobOutput) -> None:
        """End an output whose key is taken: adopt a proven result of ours, else fail it.

        One of several objects is left to ``publish`` where an earlier attempt may have put some
        of them: they have to be made again to be compared.
        """
        if segments.is_one_object(output):
            self._settle(output, output.final_key)
        elif not self._proven[output.pk]:
            self._are_free(output, segments.first_keys(self._in_hand.job, output))

    def publish(
        self, output: JobOutput, recipe: Recipe, facts: Measured, sound: dict[str, Any]
    ) -> None:
        """Record a result as proven, then put it at its final keys, then call it Complete.

        ``sound`` is the output's member Sound. The file stays where it is.
        """
        has_been_proven = bool(self._proven[output.pk])
        try:
            cut = self._cut(output, recipe)
            made = segments.made(recipe, facts, cut) if recipe.encoding.is_segmented else None
        except BadContentKey as error:
            self._in_hand.fail(output, failures.bad_content_key(error))
            return
        except ValueError as error:
            self._in_hand.fail(output, failures.bad_result(f"its segments, {error}"))
            return
        self._proven[output.pk].add(facts.sha256)
        self._in_hand.claim.update_output(
            output,
            sha256=facts.sha256,
            size_bytes=facts.size_bytes if cut is None else cut.size_bytes,
            duration_ms=facts.duration_ms,
            made=made,
            sound=sound,
        )
        if cut is None:
            self._put_one(output, recipe)
        elif has_been_proven or self._are_free(output, cut.keys):
            self._put_all(output, cut)

    def _cut(self, output: JobOutput, recipe: Recipe) -> segments.Segmented | None:
        if segments.is_one_object(output):
            return None
        folder = self._in_hand.folder / "out"
        return segments.Segmented(self._in_hand.job, output, recipe, folder)

    # --- One object -----------------------------------------------------------------------------

    def _put_one(self, output: JobOutput, recipe: Recipe) -> None:
        media_type = recipe.encoding.container.media_type
        try:
            self._put(Piece(output.final_key, recipe.path, media_type), self._kept(output))
        except buckets.ObjectExists:
            self._settle(output, output.final_key)
            if output.status not in Job.FINAL:
                # Gone since, or nothing that can be read: the key was not free all the same.
                failure = failures.output_exists(self._bucket.name, output.final_key)
                self._in_hand.fail(output, failure)
        except buckets.BucketError as error:
            self._could_not_put(output, error, output.final_key)
        else:
            self._in_hand.complete(output)

    def _settle(self, output: JobOutput, key: str) -> None:
        """Adopt what stands at ``key`` if it is a proven result of ours, else fail the output."""
        try:
            info = self._bucket.stat(key)
            if info is None:
                return
            found = self._hash(key) if self._proven[output.pk] else ""
        except buckets.ObjectMissing:
            return
        except buckets.BucketError as error:
            self._could_not_put(output, error, key)
            return
        if found in self._proven[output.pk]:
            self._in_hand.complete(output, sha256=found, size_bytes=info.size_bytes)
        else:
            self._in_hand.fail(output, failures.output_exists(self._bucket.name, key))

    # --- Several objects ------------------------------------------------------------------------

    def _are_free(self, output: JobOutput, keys: Iterable[str]) -> bool:
        """Return whether nothing stands at any of the keys; fail the output otherwise."""
        for key in keys:
            try:
                is_taken = self._bucket.stat(key) is not None
            except buckets.BucketError as error:
                self._could_not_put(output, error, key)
                return False
            if is_taken:
                self._in_hand.fail(output, failures.output_exists(self._bucket.name, key))
                return False
            self._in_hand.hold.moved()
        return True

    def _put_all(self, output: JobOutput, cut: segments.Segmented) -> None:
        for piece in cut.pieces():
            failure = self._put_or_adopt(piece, self._kept(output))
            if failure is not None:
                self._in_hand.fail(output, failure)
                return
        self._in_hand.complete(output)

    def _put_or_adopt(self, piece: Piece, kept: Kept) -> Failure | None:
        """Put it, unless the very same bytes are there; return why not."""
        digest = _sha256(piece.path)
        try:
            self._put(piece, kept)
            piece.path.unlink()
        except buckets.ObjectExists:
            try:
                is_ours = self._hash(piece.key) == digest
            except buckets.BucketError as error:
                with self._in_hand.unless_later(error):
                    return failures.of_output_bucket(error, self._bucket.name, piece.key)
            return None if is_ours else failures.output_exists(self._bucket.name, piece.key)
        except buckets.BucketError as error:
            with self._in_hand.unless_later(error):
                return failures.of_output_bucket(error, self._bucket.name, piece.key)
        return None

    # --- Playlists ------------------------------------------------------------------------------

    def finish_playlists(self) -> None:
        """Bring every playlist to its end: all their outputs have come to theirs."""
        job = self._in_hand.job
        for number, playlist in enumerate(job.playlists):
            if playlist["Status"] not in Job.FINAL:
                try:
                    failure = self._finish(playlist)
                except Failed as failed:
                    failure = failed.failure
                status = Job.Status.ERROR if failure else Job.Status.COMPLETE
                detail = failure.detail() if failure else None
                job.playlists[number] = playlist | {"Status": status, "StatusDetail": detail}
                self._in_hand.claim.update(playlists=job.playlists)
                logger.info("job %s: playlist %d: %s", job.pk, number + 1, status)

    def _finish(self, playlist: dict[str, Any]) -> Failure | None:
        """Put a playlist, and the key of a protected one; return why that cannot be."""
        job = self._in_hand.job
        by_key = {output.key: output for output in self._in_hand.outputs}
        members = [by_key[key] for key in playlist["OutputKeys"]]
        kept = self._kept(members[0])
        if playlist.get("HlsContentProtection"):
            try:
                content_key, protection = segments.protection_of(job, playlist)
            except BadContentKey as error:
                return failures.bad_content_key(error)
            # Also where an output failed: the others can be played by themselves.
            is_wanted = any(one.status == Job.Status.COMPLETE for one in members)
            if protection.key_name and is_wanted:
                failure = self._put_bytes(protection.key_name, content_key.key, kept)
                if failure is not None:
                    return failure
        if any(one.status != Job.Status.COMPLETE for one in members):
            return failures.OUTPUT_OF_PLAYLIST_FAILED
        name, text = segments.master(job, playlist, members)
        return self._put_bytes(name, text.encode(), kept)

    def _put_bytes(self, name: str, content: bytes, kept: Kept) -> Failure | None:
        path = segments.fresh(self._in_hand.folder / "out" / "written")
        path.write_bytes(content)
        media_type = segments.MEDIA_TYPES[Path(name).suffix]
        return self._put_or_adopt(Piece(name, path, media_type), kept)

    # --- The cover ------------------------------------------------------------------------------

    def put_cover(self, key: str, picture: Path, media_type: str) -> Failure | None:
        """Put the source's picture at ``key``, which has its prefix; return why that cannot be.

        Raises Later of the store.
        """
        config, kms_key = self._pipeline.content_config, self._pipeline.aws_kms_key_arn
        return self._put_or_adopt(
            Piece(key, picture, media_type), keeping.kept(config, None, kms_key)
        )

    # --- The bucket -----------------------------------------------------------------------------

    def _kept(self, output: JobOutput) -> Kept:
        return keeping.kept(
            self._pipeline.content_config,
            output.options.get("Encryption"),
            self._pipeline.aws_kms_key_arn,
        )

    def _put(self, piece: Piece, kept: Kept) -> None:
        self._bucket.put(
            piece.key,
            piece.path,
            content_type=piece.media_type,
            moved=self._in_hand.hold.moved,
            kept=kept,
        )

    def _could_not_put(self, output: JobOutput, error: buckets.BucketError, key: str) -> None:
        with self._in_hand.unless_later(error):
            self._in_hand.fail(output, failures.of_output_bucket(error, self._bucket.name, key))

    def _hash(self, key: str) -> str:
        digest = hashlib.sha256()
        with self._bucket.open(key) as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
                self._in_hand.hold.moved()
        return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
