"""What a job tells of its source besides the results: facts, waveform, loudness, cover, likeness.

None of it may hold up or spoil a result. The waveform comes with the decode of the results; the
cover is put before the job is over, because whoever deletes the results waits for that; what costs
time is found out afterwards, when the job is final and told. Then the job stays leased, and if its
worker ends, its analysis ends as an error (``claims.end_left_analyses``).
"""

from __future__ import annotations

import base64
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elastic_transcoder.models import Job, JobOutput
from elastic_transcoder.worker import artwork, command, conversion, ffmpeg, likeness, waveform
from elastic_transcoder.worker.album import MAX_DRAWN_BYTES
from elastic_transcoder.worker.artwork import PictureTooLarge, PictureUnreadable
from elastic_transcoder.worker.claims import LeaseLost
from elastic_transcoder.worker.command import Recipe
from elastic_transcoder.worker.hold import Stopped
from elastic_transcoder.worker.in_hand import Failed, JobInHand, Later
from elastic_transcoder.worker.intake import Input
from elastic_transcoder.worker.likeness import Window
from elastic_transcoder.worker.publishing import Publisher
from sound.measure import Measured
from sound.probe import Sound

logger = logging.getLogger(__name__)

# Tags that are told, by FFmpeg's names.
TOLD_TAGS = ("title", "artist", "album", "date", "track", "album_artist", "genre", "comment")
MAX_TAG = 500  # characters
# Of a name that is no tag for people: the owner of an ID3v2 PRIV frame.
PRIVATE = "id3v2_priv."
PEAKS, MONO = "peaks", "mono"
MEDIA_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}


def edited(tags: Mapping[str, str], edits: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of the source with those of the job in their place; "" removes one."""
    return {name: value for name, value in {**tags, **edits}.items() if value}


def sound_of(recipe: Recipe, facts: Measured, tags: Mapping[str, str]) -> dict[str, Any]:
    """Return the member Sound of a result that was proven; ``tags`` are those it was given."""
    wanted = {name for name in tags if not name.startswith(PRIVATE)}
    # With a hash that differs it would not have been proven.
    is_whole = len(recipe.clips) == 1 and recipe.clips[0].is_whole
    sound = {
        "Codec": facts.codec.removesuffix("float"),  # FFmpeg's name of the codec, not the decoder
        "SampleRateHz": facts.sample_rate_hz,
        "Channels": facts.channels,
        "BitDepth": facts.bits,
        "BitRateKbps": facts.bitrate_kbps,
        "IsFaithful": recipe.sound_hash is not None and is_whole,
        "SampleHash": facts.sound_sha256 if recipe.sound_hash else None,
        "LostTags": sorted(wanted - set(facts.tags)),
        "HasCover": facts.pictures > 0,
    }
    return _given(sound)


@dataclass(frozen=True)
class _Kept:
    """A result whose sound is not all of the source's, sample for sample; here still."""

    output: JobOutput
    recipe: Recipe

    @property
    def is_compared(self) -> bool:
        """Whether it is to be held against the source: what has a hash is as it should be."""
        return self.recipe.sound_hash is None

    @property
    def windows(self) -> list[Window]:
        return likeness.windows(self.output.duration_ms or 0)

    @property
    def like(self) -> tuple[object, ...]:
        """What lossless results have in common that hold the same samples."""
        recipe, sound = self.recipe, self.output.sound or {}
        if "BitDepth" not in sound:
            return (self.output.number,)
        shape = sound["SampleRateHz"], sound["Channels"], sound["BitDepth"]
        return (recipe.clips, recipe.gain_db, *shape)


class Analysis:
    """The analysis of one job, where it asked for one: ``asked`` says whether.

    Of several inputs the first one is analysed, and results are compared with none.
    """

    def __init__(self, in_hand: JobInHand) -> None:
        self._in_hand, self._job, self._out = in_hand, in_hand.job, in_hand.folder / "out"
        self.asked = self._job.awaits_analysis
        self._cover_key, self._is_good = "", True
        self._has_all_peaks = False
        self._kept: list[_Kept] = []

    # --- While the job is made ------------------------------------------------------------------

    def further_output(self, sound: Sound) -> list[str]:
        """Return what has FFmpeg write the peaks beside the results."""
        return waveform.arguments(sound, PEAKS) if self.asked else []

    def was_converted(self, outcome: conversion.Outcome) -> None:
        # The filter begins its file anew where the decoder changes its mind about the rate.
        self._has_all_peaks = outcome.ended == "done" and not outcome.changed_rate

    def keep(self, output: JobOutput, recipe: Recipe) -> bool:
        """Return whether a published result's file is still needed here."""
        if not self.asked or len(recipe.clips) > 1 or output.status != Job.Status.COMPLETE:
            return False
        is_needed = not (output.sound or {}).get("IsFaithful")
        if is_needed:
            self._kept.append(_Kept(output, recipe))
        return is_needed

    def put_cover(self, first: Input, publisher: Publisher) -> None:
        """Put the source's front picture where the job wants it, if there is a good one."""
        name = (self._job.analysis_asked or {}).get("CoverKey")
        if not self.asked or not name or not first.sound.pictures:
            return
        key = f"{self._job.output_key_prefix}{name}"
        try:
            picture = artwork.original(
                first.path,
                first.sound.front_picture,
                max_bytes=MAX_DRAWN_BYTES,
                folder=self._out,
                moved=self._in_hand.hold.moved,
            )
            failure = publisher.put_cover(key, picture, MEDIA_TYPES[artwork.suffix(picture)])
        except (PictureTooLarge, PictureUnreadable) as error:
            logger.info("job %s: no cover: %s", self._job.pk, error)
        except (Later, Failed, OSError) as error:
            logger.warning("job %s: cover not stored: %s", self._job.pk, error)
            self._is_good = False
        else:
            self._is_good = failure is None
            self._cover_key = key if failure is None else ""

    # --- When it is final -----------------------------------------------------------------------

    def finish(self, inputs: Sequence[Input], limits: conversion.Limits) -> None:
        """Find out the rest and record it. Whatever happens, the results stay as they are."""
        try:
            found = self._found(inputs, limits) if inputs else Job.NOT_ANALYSED
        except (LeaseLost, Stopped):
            logger.warning("job %s: the analysis is cut off", self._job.pk)
            found = Job.NOT_ANALYSED
        except Exception:
            logger.exception("job %s: not analysed", self._job.pk)
            found = Job.NOT_ANALYSED
        try:
            self._in_hand.claim.end_analysis(found)
        except LeaseLost:
            logger.warning("job %s: its analysis is over already", self._job.pk)

    def _found(self, inputs: Sequence[Input], limits: conversion.Limits) -> dict[str, Any]:
        first = inputs[0]
        found = _facts(first.sound) | {"CoverKey": self._cover_key}
        unlike = [one for one in self._kept if one.is_compared]
        outcome = self._listen(first, unlike, limits)
        # Of a damaged file FFmpeg says "failed" in the end, and did all that can be done.
        is_over = outcome.ended in ("done", "failed") and outcome.loudness is not None
        measured = _measured(outcome)
        found |= measured
        points = waveform.read(self._out / PEAKS) if self._has_all_peaks else b""
        if not points and (self._out / MONO).exists():
            points = waveform.of_samples(self._out / MONO)
        if points:
            found["Waveform"] = base64.b64encode(points).decode()
        if is_over:
            self._compare(unlike)
            self._pass_on(measured)
            self._measure(limits)
        is_good = self._is_good and is_over and points
        return found | {"Status": "Complete" if is_good else "Error"}

    def _listen(
        self, first: Input, unlike: Sequence[_Kept], limits: conversion.Limits
    ) -> conversion.Outcome:
        """Decode the source once more, for its loudness, and of the results the windows."""
        argv = _hearing(first.path, first.sound.codec)
        pieces = [(one, window) for one in unlike for window in one.windows]
        for one, window in pieces:
            argv += ["-ss", f"{window.start_ms}ms", "-t", f"{window.length_ms}ms"]
            argv += command.source(one.recipe.path, "")
        argv += command.listening()
        if unlike or not self._has_all_peaks:
            argv += ["-map", "0:a:0", *_as_mono(), MONO]
        for number, (one, window) in enumerate(pieces, start=1):
            argv += ["-map", f"{number}:a:0", *_as_mono(), _piece(one, window)]
        return self._run(argv, limits)

    def _run(self, argv: list[str], limits: conversion.Limits) -> conversion.Outcome:
        return conversion.convert(
            argv,
            folder=self._out,
            readable=[self._in_hand.folder / "in", *ffmpeg.readable()],
            limits=limits,
            progressed=lambda seconds: (
                self._in_hand.hold.check() if seconds < 0 else self._in_hand.hold.moved()
            ),
        )

    def _pass_on(self, measured: Mapping[str, float]) -> None:
        """Write the source's loudness to the results that are the source sample for sample."""
        for output in self._job.outputs.filter(status=Job.Status.COMPLETE):
            if output.sound and output.sound.get("IsFaithful"):
                self._in_hand.claim.update_output(output, sound=output.sound | measured)

    def _measure(self, limits: conversion.Limits) -> None:
        """Listen to the other results, once to those that hold the same samples.

        One that cannot be heard to its end has no loudness then, and spoils nothing.
        """
        heard: dict[tuple[object, ...], dict[str, float]] = {}
        for one in self._kept:
            if one.like not in heard:
                try:
                    argv = [*_hearing(one.recipe.path), *command.listening()]
                    outcome = self._run(argv, limits)
                except Stopped:
                    return  # what was found so far is not to be lost
                heard[one.like] = _measured(outcome) if outcome.ended == "done" else {}
            sound = (one.output.sound or {}) | heard[one.like]
            self._in_hand.claim.update_output(one.output, sound=sound)

    def _compare(self, unlike: Sequence[_Kept]) -> None:
        for one in unlike:
            start_ms = one.recipe.clips[0].start_ms
            pairs = []
            for window in one.windows:
                piece = waveform.samples_of((self._out / _piece(one, window)).read_bytes())
                pairs.append((piece, likeness.window_of(self._out / MONO, start_ms, window)))
                self._in_hand.hold.moved()
            sound = (one.output.sound or {}) | {"Correlation": likeness.correlation(pairs)}
            self._in_hand.claim.update_output(one.output, sound=sound)


def _facts(sound: Sound) -> dict[str, Any]:
    return _given(
        {
            "Container": sound.container,
            "Codec": sound.codec,
            "SampleRateHz": sound.sample_rate_hz,
            "Channels": sound.channels,
            "BitDepth": sound.bits if sound.lossless else None,
            "BitRateKbps": sound.bitrate_kbps,
            "DurationMillis": sound.duration_ms,
            "Tags": {name: sound.tags[name][:MAX_TAG] for name in TOLD_TAGS if name in sound.tags},
        }
    )


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _hearing(path: Path, codec: str = "") -> list[str]:
    return [ffmpeg.binary(), "-y", *command.beginning("info"), *command.source(path, codec)]


def _measured(outcome: conversion.Outcome) -> dict[str, float]:
    """Return the members that tell a loudness; none where FFmpeg did not measure any."""
    if outcome.loudness is None:
        return {}
    lufs, dbtp = outcome.loudness
    # Silence has no peak that JSON could tell.
    return _given({"LoudnessLufs": lufs, "TruePeakDbtp": dbtp if math.isfinite(dbtp) else None})


def _as_mono() -> list[str]:
    return ["-ac", "1", "-ar", str(likeness.RATE_HZ), "-map_metadata", "-1", "-f", "s16le"]


def _piece(one: _Kept, window: Window) -> str:
    return f"window-{one.output.number}-{window.start_ms}"
