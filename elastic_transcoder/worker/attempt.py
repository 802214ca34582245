"""One attempt at one job: fetch, decode once, encode all, prove, store.

What is done in which order follows from two rules. A result is published only when it is proven,
and never over something else; an attempt that is cut off at any point is made again by another
worker with the same outcome.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction

from elastic_transcoder import notices
from elastic_transcoder.models import Job, JobOutput, Pipeline
from elastic_transcoder.worker import (
    analysis,
    claims,
    clips,
    command,
    conversion,
    failures,
    ffmpeg,
    intake,
    loudness,
    proof,
)
from elastic_transcoder.worker.album import Album, NoAlbum
from elastic_transcoder.worker.analysis import Analysis
from elastic_transcoder.worker.claims import Claim
from elastic_transcoder.worker.clips import Clip
from elastic_transcoder.worker.command import Recipe
from elastic_transcoder.worker.encoding import NotEncodable, encoding_of
from elastic_transcoder.worker.failures import Failure
from elastic_transcoder.worker.hold import Hold
from elastic_transcoder.worker.in_hand import Failed, JobInHand
from elastic_transcoder.worker.intake import Input
from elastic_transcoder.worker.loudness import Listener, NotMeasured
from elastic_transcoder.worker.publishing import Publisher
from sound.examination import Examiner
from sound.measure import Measured

logger = logging.getLogger(__name__)

# Wall time that FFmpeg may take: this, and so many times the length of the sound.
TIME_LIMIT_S = 300.0
TIME_LIMIT_FACTOR = 2.0
# Percent of a job's progress when the input is here, and when FFmpeg is done.
FETCHED, CONVERTED = 5, 90
# What of a prediction may be wrong: headers, tags, the last packet.
SLACK_BYTES = 1 << 20
# How far a clip may reach beyond the sound before that is said: lengths are often rounded up.
OVERRUN_MS = 50
# From here on results are proven beside each other; of shorter ones it is not worth a process.
LONG_MS = 60_000
NICE = 10
# Ends of FFmpeg after which another run can only end the same.
HOPELESS = ("timed_out", "too_long")


@dataclass
class _Planned:
    """An output that is to be made."""

    output: JobOutput
    recipe: Recipe
    notes: tuple[str, ...]


class Attempt:
    """One attempt at the job of ``claim`` in ``folder``, which has the empty folders in and out."""

    def __init__(self, claim: Claim, hold: Hold, folder: Path) -> None:
        self._in_hand = JobInHand(claim, hold, folder)
        self._claim, self._hold, self._folder = claim, hold, folder
        self._job = claim.job
        self._tags, self._out = folder / "in" / "tags", folder / "out"
        self._inputs: list[Input] = []
        # Which cuts of the inputs are hashed, each with a number for its file.
        self._sounds: dict[tuple[Clip, ...], int] = {}
        self._analysis = Analysis(self._in_hand)
        self._listener = Listener(self._out, self._hear)
        # What the results are given.
        self._given_tags: dict[str, str] = {}
        self._log = ""

    def run(self) -> None:
        """Bring every output to its end, and then the job.

        Raises Later, and LeaseLost and Stopped of the lease; nothing is lost by them.
        """
        pipeline = Pipeline.objects.filter(pk=self._job.pipeline_id).first()
        if pipeline is None:
            self._fail_open(failures.NO_PIPELINE)
        else:
            publisher = Publisher(self._in_hand, pipeline)
            try:
                with self._in_hand.unless_full():
                    self._make(pipeline, publisher)
            except Failed as failed:
                self._fail_open(failed.failure)
            # What fails the outputs that are left is no fault of those that are published.
            publisher.finish_playlists()
            if self._inputs:
                self._analysis.put_cover(self._inputs[0], publisher)
        with transaction.atomic():
            self._claim.update(log=self._log)
            claims.finish(self._job, is_analysed_next=self._analysis.asked)
        if self._analysis.asked:
            self._analysis.finish(self._inputs, self._limits())

    def _make(self, pipeline: Pipeline, publisher: Publisher) -> None:
        self._publisher = publisher
        publisher.prepare()
        for output in self._in_hand.open():
            publisher.settle_taken_key(output)
        if self._in_hand.open():
            self._make_open(pipeline)

    def _fail_open(self, failure: Failure) -> None:
        for output in self._in_hand.open():
            self._in_hand.fail(output, failure)

    def _make_open(self, pipeline: Pipeline) -> None:
        # Loading the examiner's libraries takes longer than many a fetch.
        with self._examiner() as examiner:
            self._fetch(pipeline.input_bucket, examiner)
            planned = self._plan(Album(self._in_hand, pipeline.input_bucket, self._inputs[0]))
            if planned:
                with self._further_examiners(len(planned)) as further:
                    self._convert_all(planned, [examiner, *further])

    def _examiner(self) -> Examiner:
        # As low as FFmpeg: pages and short steps come first.
        return Examiner(self._folder, waiting=self._hold.moved, nice=NICE)

    @contextlib.contextmanager
    def _further_examiners(self, outputs: int) -> Iterator[list[Examiner]]:
        """Start as many examiners as pay: for results that take long to read."""
        is_long = sum(one.wanted_ms for one in self._inputs) > LONG_MS
        count = min(outputs, os.cpu_count() or 1) - 1 if is_long else 0
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self._examiner()) for _ in range(count)]

    def _fetch(self, bucket_name: str, examiner: Examiner) -> None:
        self._inputs = intake.take(self._in_hand, bucket_name, examiner, share=FETCHED)

    # --- The plan -------------------------------------------------------------------------------

    def _plan(self, album: Album) -> list[_Planned]:
        planned = []
        predicted = 0.0
        for output in self._in_hand.open():
            try:
                one = self._planned(output, album)
            except NotEncodable as error:
                self._in_hand.fail(output, failures.not_encodable(str(error)))
                continue
            except (NoAlbum, NotMeasured) as error:
                self._in_hand.fail(output, error.failure)
                continue
            wanted_s = self._wanted_ms(one.recipe) / 1000
            size = SLACK_BYTES + one.recipe.encoding.predicted_bytes_per_s * wanted_s
            if size > settings.OUTPUT_MAX_BYTES:
                self._in_hand.fail(output, failures.OF_RUN["too_large"])
                continue
            predicted += size
            planned.append(one)
        self._in_hand.need_room(predicted)
        self._say(planned)
        return planned

    def _planned(self, output: JobOutput, album: Album) -> _Planned:
        first = self._inputs[0].sound
        segment_s = output.options.get("SegmentDuration")
        made = encoding_of(output.preset, first, segment_s=float(segment_s) if segment_s else None)
        composition = output.options.get("Composition")
        wanted = tuple(
            clips.clip(composition[0].get("TimeSpan")) if composition else one.clip
            for one in self._inputs
        )
        pictures = album.pictures(output, made)
        recipe = Recipe(made, self._out / f"result-{output.number}", wanted, pictures.paths)
        notes: tuple[str, ...] = ()
        target = output.options.get("LoudnessTarget")
        if target is not None:
            first_source = self._inputs[0].path, first
            change = loudness.change(float(target), self._listener.loudness(first_source, recipe))
            recipe, notes = dataclasses.replace(recipe, gain_db=change.gain_db), change.notes
        elif all(made.is_copy_of(one.sound) for one in self._inputs):
            sample_format = "s16" if (first.bits or 0) <= 16 else "s32"
            # Outputs of the same clips are given the same sound.
            number = self._sounds.setdefault(wanted, len(self._sounds))
            hashed = sample_format, self._out / f"sound-{number}"
            recipe = dataclasses.replace(recipe, sound_hash=hashed)
        overruns = any(
            clip.ends_after(one.sound.duration_ms + OVERRUN_MS)
            for clip, one in zip(wanted, self._inputs, strict=True)
        )
        if overruns:
            notes = ("The clip runs past the end of the input.", *notes)
        return _Planned(output, recipe, (*notes, *made.notes, *pictures.notes))

    def _wanted_ms(self, recipe: Recipe) -> float:
        """Return how long a result will be, as far as probing can tell."""
        return sum(
            clip.length_ms(one.sound.duration_ms)
            for clip, one in zip(recipe.clips, self._inputs, strict=True)
        )

    def _has_all_parts(self, recipe: Recipe) -> bool:
        """Return whether every clip begins before the end of its input, by probing."""
        return all(
            clip.length_ms(one.sound.duration_ms) > 0
            for clip, one in zip(recipe.clips, self._inputs, strict=True)
        )

    def _say(self, planned: Sequence[_Planned]) -> None:
        """Record what starts, and what will be otherwise than asked for."""
        self._job.playlists = [
            playlist | {"Status": Job.Status.PROGRESSING.value} for playlist in self._job.playlists
        ]
        with transaction.atomic():
            self._claim.update(playlists=self._job.playlists)
            for one in planned:
                one.output.status = Job.Status.PROGRESSING
                one.output.status_detail = " ".join(one.notes)[: failures.DETAIL_MAX]
                one.output.save(update_fields=["status", "status_detail"])
            is_told = self._job.notices.filter(state=notices.WARNING).exists()
            if not is_told and any(one.notes for one in planned):
                notices.write(self._job, notices.WARNING)

    # --- FFmpeg ---------------------------------------------------------------------------------

    def _convert_all(self, planned: Sequence[_Planned], examiners: Sequence[Examiner]) -> None:
        """Make all by one FFmpeg, and what did not come out well once more by itself."""
        first = self._inputs[0].sound
        self._given_tags = analysis.edited(first.tags, self._job.tags)
        self._tags.write_text(command.tag_file(self._given_tags), encoding="utf-8")
        for one, _ in self._convert(planned, examiners, self._analysis.further_output(first)):
            # With an examiner of its own: a result may have killed the others.
            with self._examiner() as examiner:
                left = self._convert([one], [examiner])
            for again, failure in left:
                self._in_hand.fail(again.output, failure)

    def _convert(
        self,
        planned: Sequence[_Planned],
        examiners: Sequence[Examiner],
        further: Sequence[str] = (),
    ) -> list[tuple[_Planned, Failure]]:
        """Run one FFmpeg, publish what proves good; return the rest, each with its reason."""
        recipes = [one.recipe for one in planned]
        for recipe in recipes:
            recipe.path.unlink(missing_ok=True)
            if recipe.sound_hash:
                recipe.sound_hash[1].unlink(missing_ok=True)
        sources = [(one.path, one.sound) for one in self._inputs]
        sounds = [one.sound for one in self._inputs]
        whole_ms = max(self._wanted_ms(recipe) for recipe in recipes)
        outcome = conversion.convert(
            [ffmpeg.binary(), *command.arguments(sources, self._tags, recipes, further)],
            folder=self._out,
            readable=[self._folder / "in", *ffmpeg.readable()],
            limits=self._limits(),
            progressed=lambda seconds: self._progressed(seconds, whole_ms),
        )
        self._log = outcome.log or self._log
        if further:
            self._analysis.was_converted(outcome)
        self._judge(outcome)
        with proof.Provers(examiners) as provers:
            proofs = [
                provers.start(one.recipe, proof.source(outcome, number, one.recipe, sounds))
                for number, one in enumerate(planned)
            ]
            return self._publish_proven(planned, proofs, outcome)

    def _publish_proven(
        self,
        planned: Sequence[_Planned],
        proofs: Sequence[Future[Measured]],
        outcome: conversion.Outcome,
    ) -> list[tuple[_Planned, Failure]]:
        """Publish as the proofs come; return what is not proven, each with its reason."""
        failed = []
        for number, (one, proven) in enumerate(zip(planned, proofs, strict=True), start=1):
            try:
                facts = proven.result()
            except proof.NothingWanted:
                if outcome.ended != "done" and self._has_all_parts(one.recipe):
                    # Decoding broke off before the clip; it is the run that failed.
                    failed.append((one, failures.OF_RUN[outcome.ended]))
                else:
                    self._in_hand.fail(one.output, failures.CLIP_AFTER_END)
            except proof.NotProven as error:
                by_run = failures.OF_RUN.get(outcome.ended)
                failed.append((one, by_run or failures.bad_result(str(error))))
            else:
                self._publish(one, facts)
            self._in_hand.tell(CONVERTED + (99 - CONVERTED) * number / len(planned))
        return failed

    def _hear(self, argv: list[str]) -> conversion.Outcome:
        """Run an FFmpeg that measures the source."""
        outcome = conversion.convert(
            argv,
            folder=self._out,
            readable=[self._folder / "in", *ffmpeg.readable()],
            limits=self._limits(),
            progressed=lambda seconds: self._hold.check() if seconds < 0 else self._hold.moved(),
        )
        self._judge(outcome)
        return outcome

    def _limits(self) -> conversion.Limits:
        whole_s = sum(one.sound.duration_ms for one in self._inputs) / 1000
        return conversion.Limits(
            time_s=TIME_LIMIT_S + TIME_LIMIT_FACTOR * whole_s,
            stall_s=settings.TRANSCODER_STALL_S,
            memory_bytes=settings.FFMPEG_MEMORY_BYTES,
            file_bytes=settings.OUTPUT_MAX_BYTES,
            sound_s=settings.MAX_DURATION_S,
        )

    def _judge(self, outcome: conversion.Outcome) -> None:
        """Raise when no result of this run, and no further run, can be good."""
        logger.info(
            "job %s: FFmpeg %s, status %s, %s samples decoded",
            self._job.pk, outcome.ended, outcome.returncode, outcome.decoded_samples,
        )  # fmt: skip
        if outcome.ended == "disk_full":
            self._in_hand.wait_or_fail("no room")
        if outcome.ended in HOPELESS:
            raise Failed(failures.OF_RUN[outcome.ended])
        if outcome.ended in ("done", "failed") and 0 in outcome.decoded_samples.values():
            raise Failed(failures.NO_SOUND)

    def _progressed(self, seconds: float, whole_ms: float) -> None:
        if seconds < 0:  # nothing moved
            self._hold.check()
            return
        self._hold.moved()
        part = min(1.0, seconds * 1000 / max(1.0, whole_ms))
        self._in_hand.tell(FETCHED + (CONVERTED - FETCHED) * part)

    def _publish(self, one: _Planned, facts: Measured) -> None:
        sound = analysis.sound_of(one.recipe, facts, self._given_tags)
        self._publisher.publish(one.output, one.recipe, facts, sound)
        if not self._analysis.keep(one.output, one.recipe):
            one.recipe.path.unlink(missing_ok=True)
