"""The inputs of a job: fetched, looked into, and described in the job's row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

import buckets
from elastic_transcoder.worker import clips, failures
from elastic_transcoder.worker.clips import Clip
from elastic_transcoder.worker.in_hand import Failed, JobInHand
from sound import probe
from sound.examination import Examiner
from sound.probe import Sound


@dataclass(frozen=True)
class Input:
    """One input, here and looked into."""

    path: Path
    sound: Sound
    clip: Clip  # its own TimeSpan

    @property
    def wanted_ms(self) -> float:
        """How long the part is that it gives, as far as probing can tell."""
        return self.clip.length_ms(self.sound.duration_ms)


def take(in_hand: JobInHand, bucket_name: str, examiner: Examiner, *, share: float) -> list[Input]:
    """Fetch every input of the job and look into it; fetching is ``share`` percent of the work.

    Raises Failed when one of them cannot be used, with the code that Amazon gave, and Later.
    """
    bucket = buckets.bucket(bucket_name)
    keys = [described["Key"] for described in in_hand.job.inputs]
    # An object that several inputs name is fetched once.
    folder = in_hand.folder / "in"
    paths = {key: folder / f"source-{number}" for number, key in enumerate(dict.fromkeys(keys))}
    sizes = {key: _size(in_hand, bucket, key) for key in paths}
    in_hand.need_room(sum(sizes.values()))
    fetched, whole = 0, max(1, sum(sizes.values()))

    def moved(count: int) -> None:
        nonlocal fetched
        fetched += count
        in_hand.hold.moved()
        in_hand.tell(share * fetched / max(fetched, whole))

    for key, path in paths.items():
        try:
            bucket.fetch(key, path, moved)
        except buckets.ObjectMissing as error:
            raise Failed(failures.input_missing(bucket.name, key)) from error
        except buckets.BucketError as error:
            with in_hand.unless_later(error):
                raise Failed(failures.of_input_bucket(error, bucket.name, key)) from error
        if path.stat().st_size != sizes[key]:  # what was cut short may still be sound
            in_hand.wait_or_fail(f"{key!r} came with another size than the store had said")
    sounds = _look(in_hand, examiner, paths)
    _describe(in_hand, keys, paths, sounds)
    taken = [
        Input(paths[key], sounds[key], clips.clip(described.get("TimeSpan")))
        for key, described in zip(keys, in_hand.job.inputs, strict=True)
    ]
    if len(taken) > 1 and sum(one.wanted_ms for one in taken) > settings.MAX_DURATION_S * 1000:
        raise Failed(failures.TOO_LONG_TOGETHER)
    return taken


def _size(in_hand: JobInHand, bucket: buckets.Bucket, key: str) -> int:
    try:
        info = bucket.stat(key)
        if info is None:
            # Raises BucketMissing when it is the bucket that is not there.
            bucket.open(key).close()
            raise buckets.ObjectMissing("is not there", bucket=bucket.name, key=key)
    except buckets.ObjectMissing as error:
        raise Failed(failures.input_missing(bucket.name, key)) from error
    except buckets.BucketError as error:
        with in_hand.unless_later(error):
            raise Failed(failures.of_input_bucket(error, bucket.name, key)) from error
    return info.size_bytes


def _look(in_hand: JobInHand, examiner: Examiner, paths: dict[str, Path]) -> dict[str, Sound]:
    sounds: dict[str, Sound] = {}
    silent: probe.NotSound | None = None
    for key, path in paths.items():
        try:
            sounds[key] = probe.probe(path, examiner=examiner)
        except probe.NotSound as error:
            if error.reason != "no_audio":
                raise Failed(failures.of_probe(error.reason, error.detail)) from error
            silent = error
        in_hand.hold.moved()
    if silent is not None:
        mixed = failures.SOUND_IN_SOME_INPUTS if sounds else None
        raise Failed(mixed or failures.of_probe(silent.reason, silent.detail)) from silent
    if len({sound.has_video for sound in sounds.values()}) > 1:
        raise Failed(failures.VIDEO_IN_SOME_INPUTS)
    return sounds


def _describe(
    in_hand: JobInHand, keys: list[str], paths: dict[str, Path], sounds: dict[str, Sound]
) -> None:
    in_hand.job.inputs = [
        described
        | {
            "DetectedProperties": {
                "FileSize": paths[key].stat().st_size,
                "DurationMillis": sounds[key].duration_ms,
            }
        }
        for described, key in zip(in_hand.job.inputs, keys, strict=True)
    ]
    in_hand.claim.update(inputs=in_hand.job.inputs)
