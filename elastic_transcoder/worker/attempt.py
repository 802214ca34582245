"""One attempt at one job: fetch, decode once, encode all, prove, store.

What is done in which order follows from two rules. A result is published only when it is proven,
and never over something else; an attempt that is cut off at any point is made again by another
worker with the same outcome.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction

import buckets
from elastic_transcoder import notices
from elastic_transcoder.models import Job, JobOutput, Pipeline
from elastic_transcoder.worker import claims, conversion, failures, ffmpeg, proof
from elastic_transcoder.worker.claims import Claim
from elastic_transcoder.worker.failures import Failure
from elastic_transcoder.worker.hold import Hold
from sound import probe
from sound.examination import Examiner
from sound.measure import Measured

logger = logging.getLogger(__name__)

# How long a job may wait for the store, or for room on the disk.
PATIENCE_MS = 24 * 3600 * 1000
# Wall time that FFmpeg may take: this, and so many times the length of the sound.
TIME_LIMIT_S = 300.0
TIME_LIMIT_FACTOR = 2.0
# Percent of a job's progress when the input is here, and when FFmpeg is done.
FETCHED, CONVERTED = 5, 90
# What of a prediction may be wrong: headers, tags, the last packet.
SLACK_BYTES = 1 << 20
# From here on results are proven beside each other; of shorter ones it is not worth a process.
LONG_MS = 60_000
NICE = 10
# Ends of FFmpeg after which another run can only end the same.
HOPELESS = ("timed_out", "too_long")


class Later(Exception):
    """The job cannot be done now, and nothing is wrong with it: no store, no room."""


class _Failed(Exception):
    """Every output that is not final yet fails for the same reason."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


@dataclass
class _Planned:
    """An output that is to be made."""

    output: JobOutput
    encoding: ffmpeg.Encoding
    is_copy: bool  # the source's very samples
    path: Path


class Attempt:
    """One attempt at the job of ``claim`` in ``folder``, which has the empty folders in and out."""

    def __init__(self, claim: Claim, hold: Hold, folder: Path) -> None:
        self._claim, self._hold, self._folder = claim, hold, folder
        self._source, self._tags = folder / "in" / "source", folder / "in" / "tags"
        self._out = folder / "out"
        self._job = claim.job
        self._outputs = list(self._job.outputs.order_by("number"))
        # Hashes that results of this and of earlier attempts had when they were proven.
        self._proven = {output.pk: {output.sha256} - {""} for output in self._outputs}
        self._told_at, self._told = time.monotonic(), self._job.progress
        self._log = ""

    def run(self) -> None:
        """Bring every output to its end, and then the job.

        Raises Later, and LeaseLost and Stopped of the lease; nothing is lost by them.
        """
        try:
            self._make()
        except _Failed as failed:
            for output in self._open():
                self._fail(output, failed.failure)
        with transaction.atomic():
            self._claim.update(log=self._log)
            claims.finish(self._job)

    def _open(self) -> list[JobOutput]:
        return [output for output in self._outputs if output.status not in Job.FINAL]

    def _make(self) -> None:
        pipeline = Pipeline.objects.filter(pk=self._job.pipeline_id).first()
        if pipeline is None:
            raise _Failed(failures.NO_PIPELINE)
        self._target = buckets.bucket(pipeline.result_bucket)
        for output in self._open():
            self._settle_taken_key(output)
        if not self._open():
            return
        # Loading the examiner's libraries takes longer than many a fetch.
        with self._examiner() as examiner:
            self._fetch(pipeline.input_bucket)
            sound = self._probe(examiner)
            planned = self._plan(sound)
            if planned:
                with self._further_examiners(sound, len(planned)) as further:
                    self._convert_all(planned, sound, [examiner, *further])

    def _examiner(self) -> Examiner:
        # As low as FFmpeg: pages and short steps come first.
        return Examiner(self._folder, waiting=self._hold.moved, nice=NICE)

    @contextlib.contextmanager
    def _further_examiners(self, sound: probe.Sound, outputs: int) -> Iterator[list[Examiner]]:
        """Start as many examiners as pay: for results that take long to read."""
        count = min(outputs, os.cpu_count() or 1) - 1 if sound.duration_ms > LONG_MS else 0
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self._examiner()) for _ in range(count)]

    # --- The input ------------------------------------------------------------------------------

    def _fetch(self, bucket_name: str) -> None:
        key = self._job.inputs[0]["Key"]
        bucket = buckets.bucket(bucket_name)
        fetched = 0
        try:
            info = bucket.stat(key)
            if info is None:
                # Raises BucketMissing when it is the bucket that is not there.
                next(iter(bucket.keys(key)), None)
                raise _Failed(failures.input_missing(bucket_name, key))
            size_bytes = info.size_bytes
            self._need_room(size_bytes)

            def moved(count: int) -> None:
                nonlocal fetched
                fetched += count
                self._hold.moved()
                self._tell(FETCHED * fetched / max(fetched, size_bytes, 1))

            bucket.fetch(key, self._source, moved)
        except buckets.ObjectMissing as error:
            raise _Failed(failures.input_missing(bucket_name, key)) from error
        except buckets.BucketError as error:
            with self._unless_later(error):
                raise _Failed(failures.of_input_bucket(error, bucket_name, key)) from error

    def _probe(self, examiner: Examiner) -> probe.Sound:
        try:
            sound = probe.probe(self._source, examiner=examiner)
        except probe.NotSound as error:
            raise _Failed(failures.of_probe(error.reason, error.detail)) from error
        properties = {
            "FileSize": self._source.stat().st_size,
            "DurationMillis": sound.duration_ms,
        }
        first = self._job.inputs[0] | {"DetectedProperties": properties}
        self._job.inputs = [first, *self._job.inputs[1:]]
        self._claim.update(inputs=self._job.inputs)
        return sound

    # --- The plan -------------------------------------------------------------------------------

    def _plan(self, sound: probe.Sound) -> list[_Planned]:
        planned = []
        predicted = 0.0
        for output in self._open():
            try:
                encoding = ffmpeg.encoding(output.preset, sound)
            except ffmpeg.NotEncodable as error:
                self._fail(output, failures.not_encodable(str(error)))
                continue
            size = SLACK_BYTES + encoding.predicted_bytes_per_s * sound.duration_ms / 1000
            if size > settings.OUTPUT_MAX_BYTES:
                self._fail(output, failures.OF_RUN["too_large"])
                continue
            predicted += size
            path = self._out / f"result-{output.number}"
            planned.append(_Planned(output, encoding, encoding.is_copy_of(sound), path))
        self._need_room(predicted)
        self._say(planned)
        return planned

    def _say(self, planned: Sequence[_Planned]) -> None:
        """Record what starts, and what will be otherwise than asked for."""
        with transaction.atomic():
            self._claim.renew()
            for one in planned:
                one.output.status = Job.Status.PROGRESSING
                one.output.status_detail = " ".join(one.encoding.notes)[: failures.DETAIL_MAX]
                one.output.save(update_fields=["status", "status_detail"])
            is_told = self._job.notices.filter(state=notices.WARNING).exists()
            if not is_told and any(one.encoding.notes for one in planned):
                notices.write(self._job, notices.WARNING)

    # --- FFmpeg ---------------------------------------------------------------------------------

    def _convert_all(
        self, planned: Sequence[_Planned], sound: probe.Sound, examiners: Sequence[Examiner]
    ) -> None:
        """Make all by one FFmpeg, and what did not come out well once more by itself."""
        self._tags.write_text(ffmpeg.tag_file(sound.tags), encoding="utf-8")
        for one, _ in self._convert(planned, sound, examiners):
            # With an examiner of its own: a result may have killed the others.
            with self._examiner() as examiner:
                left = self._convert([one], sound, [examiner])
            for again, failure in left:
                self._fail(again.output, failure)

    def _convert(
        self, planned: Sequence[_Planned], sound: probe.Sound, examiners: Sequence[Examiner]
    ) -> list[tuple[_Planned, Failure]]:
        """Run one FFmpeg, publish what proves good; return the rest, each with its reason."""
        hash_format = "s16" if (sound.bits or 0) <= 16 else "s32"
        hash_file = self._out / "sound-hash"
        for path in (hash_file, *(one.path for one in planned)):
            path.unlink(missing_ok=True)
        has_copies = any(one.is_copy for one in planned)
        outcome = conversion.convert(
            [
                ffmpeg.binary(),
                *ffmpeg.arguments(
                    self._source,
                    self._tags,
                    [(one.encoding, one.path) for one in planned],
                    sound_hash=(hash_format, hash_file) if has_copies else None,
                ),
            ],
            folder=self._out,
            readable=[self._source.parent, *ffmpeg.readable()],
            limits=_limits(sound),
            progressed=lambda seconds: self._progressed(seconds, sound),
        )
        self._log = outcome.log or self._log
        self._judge(outcome)
        sound_sha256 = _read_hash(hash_file)
        failed = []
        with proof.Provers(examiners) as provers:
            proofs = []
            for number, one in enumerate(planned):
                decoded_ms = _decoded_ms(outcome, number, one.encoding, sound)
                source = proof.Source(decoded_ms, hash_format, sound_sha256)
                proofs.append(provers.start(one.path, one.encoding, source, is_copy=one.is_copy))
            for number, (one, proven) in enumerate(zip(planned, proofs, strict=True), start=1):
                try:
                    facts = proven.result()
                except proof.NotProven as error:
                    by_run = failures.OF_RUN.get(outcome.ended)
                    failed.append((one, by_run or failures.bad_result(str(error))))
                    continue
                self._publish(one, facts)
                self._tell(CONVERTED + (99 - CONVERTED) * number / len(planned))
        return failed

    def _judge(self, outcome: conversion.Outcome) -> None:
        """Raise when no result of this run, and no further run, can be good."""
        logger.info(
            "job %s: FFmpeg %s, status %s, %s samples decoded",
            self._job.pk, outcome.ended, outcome.returncode, outcome.decoded_samples,
        )  # fmt: skip
        if outcome.ended == "disk_full":
            self._wait_or_fail("no room")
        if outcome.ended in HOPELESS:
            raise _Failed(failures.OF_RUN[outcome.ended])
        if outcome.ended in ("done", "failed") and outcome.decoded_samples == 0:
            raise _Failed(failures.NO_SOUND)

    def _progressed(self, seconds: float, sound: probe.Sound) -> None:
        if seconds < 0:  # nothing moved
            self._hold.check()
            return
        self._hold.moved()
        part = min(1.0, seconds * 1000 / max(1, sound.duration_ms))
        self._tell(FETCHED + (CONVERTED - FETCHED) * part)

    # --- The results ----------------------------------------------------------------------------

    def _publish(self, one: _Planned, facts: Measured) -> None:
        """Record a result as proven, then put it at its final key, then call it Complete."""
        output = one.output
        self._proven[output.pk].add(facts.sha256)
        self._claim.update_output(
            output,
            sha256=facts.sha256,
            size_bytes=facts.size_bytes,
            duration_ms=facts.duration_ms,
        )
        media_type = one.encoding.container.media_type
        try:
            self._target.put(
                output.final_key, one.path, content_type=media_type, moved=self._hold.moved
            )
        except buckets.ObjectExists:
            self._settle_taken_key(output)
        except buckets.BucketError as error:
            with self._unless_later(error):
                failure = failures.of_output_bucket(error, self._target.name, output.final_key)
                self._fail(output, failure)
        else:
            self._complete(output)
        one.path.unlink(missing_ok=True)

    def _settle_taken_key(self, output: JobOutput) -> None:
        """Adopt what stands at the output's key if it is a proven result of ours, else fail."""
        key = output.final_key
        try:
            info = self._target.stat(key)
            if info is None:
                return
            found = self._hash(key) if self._proven[output.pk] else ""
        except buckets.ObjectMissing:
            return
        except buckets.BucketError as error:
            with self._unless_later(error):
                self._fail(output, failures.of_output_bucket(error, self._target.name, key))
            return
        if found in self._proven[output.pk]:
            self._claim.update_output(output, sha256=found, size_bytes=info.size_bytes)
            self._complete(output)
        else:
            self._fail(output, failures.output_exists(self._target.name, key))

    def _hash(self, key: str) -> str:
        digest = hashlib.sha256()
        with self._target.open(key) as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
                self._hold.moved()
        return digest.hexdigest()

    def _complete(self, output: JobOutput) -> None:
        self._claim.update_output(output, status=Job.Status.COMPLETE, error_code=None)
        logger.info("job %s: output %d: Complete", self._job.pk, output.number)

    def _fail(self, output: JobOutput, failure: Failure) -> None:
        self._claim.update_output(
            output,
            status=Job.Status.ERROR,
            error_code=failure.code,
            status_detail=failure.detail(),
            size_bytes=None,
            duration_ms=None,
        )
        logger.info("job %s: output %d: Error %d", self._job.pk, output.number, failure.code)

    # --- Waiting, and telling -------------------------------------------------------------------

    @contextlib.contextmanager
    def _unless_later(self, error: buckets.BucketError) -> Iterator[None]:
        """Run the body, unless the store is only away for now: then raise Later."""
        if isinstance(error, buckets.BucketUnavailable):
            self._wait_or_fail(str(error))
        yield

    def _need_room(self, size_bytes: float) -> None:
        if size_bytes + conversion.FREE_BYTES > shutil.disk_usage(self._folder).free:
            self._wait_or_fail("no room")

    def _wait_or_fail(self, why: str) -> None:
        if claims.now_ms() - (self._job.start_time_ms or 0) > PATIENCE_MS:
            raise _Failed(failures.STORE_DOWN)
        raise Later(why)

    def _tell(self, percent: float) -> None:
        """Write the job's progress, forward only and at most once a second."""
        now = time.monotonic()
        if int(percent) > self._told and now - self._told_at >= 1.0:
            self._told, self._told_at = int(percent), now
            self._claim.update(progress=self._told)


def _limits(sound: probe.Sound) -> conversion.Limits:
    return conversion.Limits(
        time_s=TIME_LIMIT_S + TIME_LIMIT_FACTOR * sound.duration_ms / 1000,
        stall_s=settings.TRANSCODER_STALL_S,
        memory_bytes=settings.FFMPEG_MEMORY_BYTES,
        file_bytes=settings.OUTPUT_MAX_BYTES,
        sound_s=settings.MAX_DURATION_S,
    )


def _decoded_ms(
    outcome: conversion.Outcome, number: int, encoding: ffmpeg.Encoding, sound: probe.Sound
) -> float | None:
    """Return how much sound was decoded, in milliseconds, or None if FFmpeg did not say."""
    if outcome.changed_rate:
        # The decoder's samples are of several lengths; those the encoder got are of one.
        encoded = outcome.encoded_samples.get(number)
        return encoded * 1000 / encoding.sample_rate_hz if encoded else None
    if outcome.decoded_samples is None:
        return None
    return outcome.decoded_samples * 1000 / sound.sample_rate_hz


def _read_hash(file: Path) -> str | None:
    # "SHA256=<digest>". Source: FFmpeg, hash muxer.
    text = file.read_text().strip() if file.exists() else ""
    return text.partition("=")[2] or None
