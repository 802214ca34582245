"""Why an output failed: the API's error code and one sentence.

A code alone does not always say what a person should do, so the sentence ends with our reason in
brackets where it says more: ``9999 <uuid>: The conversion took too long. [timed_out]``.
Source: Elastic Transcoder developer guide, "Error codes returned during processing".
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from buckets import BucketDenied, BucketMissing
from elastic_transcoder.worker.protection import BadContentKey

DETAIL_MAX = 255  # characters, API 2012-09-25, JobOutput.StatusDetail


@dataclass(frozen=True)
class Failure:
    """Why one output, or with a bad input all of them, cannot be made."""

    code: int
    sentence: str

    def detail(self) -> str:
        """Return the StatusDetail: ``{code} {uuid}: {sentence}``, at most 255 characters."""
        text = f"{self.code} {uuid.uuid4()}: {self.sentence}"
        if len(text) <= DETAIL_MAX:
            return text
        # The end tells: bucket and key, or the reason.
        return f"{text[:120]}…{text[-(DETAIL_MAX - 121) :]}"


def _of_object(code: int, sentence: str, bucket: str, key: str) -> Failure:
    return Failure(code, f"{sentence}: bucket={bucket}, key={key}.")


def input_missing(bucket: str, key: str) -> Failure:
    return _of_object(3001, "The input object does not exist", bucket, key)


def output_exists(bucket: str, key: str) -> Failure:
    return _of_object(3002, "The output object already exists", bucket, key)


def of_input_bucket(error: Exception, bucket: str, key: str) -> Failure:
    """Return the failure for a BucketError of reading the input."""
    if isinstance(error, BucketMissing):
        return _of_object(3005, "The input bucket does not exist", bucket, key)
    if isinstance(error, BucketDenied):
        return _of_object(3003, "The input object may not be read", bucket, key)
    return _of_object(3000, "The input object could not be read", bucket, key)


def of_output_bucket(error: Exception, bucket: str, key: str) -> Failure:
    """Return the failure for a BucketError of writing an output."""
    if isinstance(error, BucketMissing):
        return _of_object(3005, "The output bucket does not exist", bucket, key)
    if isinstance(error, BucketDenied):
        return _of_object(3004, "The output object may not be written", bucket, key)
    return _of_object(3000, "The output object could not be written", bucket, key)


def picture_unreadable(bucket: str, key: str) -> Failure:
    return _of_object(4010, "The album art cannot be read", bucket, key)


def picture_too_large(bucket: str, key: str) -> Failure:
    return _of_object(4012, "The album art is larger than 4096 x 3072", bucket, key)


def picture_too_big(bucket: str, key: str, why: str) -> Failure:
    return _of_object(4005, f"The album art is too large, {why}", bucket, key)


def embedded_picture_unreadable(detail: str) -> Failure:
    return Failure(4011, f"Artwork of the input cannot be read: {detail}. [unsupported]")


def embedded_picture_too_large(detail: str) -> Failure:
    return Failure(4013, f"Artwork of the input is too large: {detail}. [unsupported]")


TOO_MANY_PICTURES = Failure(4009, "The result would carry more than 20 pictures. [unsupported]")

# Reason of sound.probe.NotSound -> code.
_OF_PROBE = {
    "empty": (4000, "The input is empty"),
    "not_audio": (4000, "The input is not a sound file that is known"),
    "no_audio": (4008, "The input has no sound"),
    "unsupported": (4006, "This kind of input cannot be converted"),
    "damaged": (4007, "The input is damaged"),
    "too_long": (4002, "The input is too long"),
}


def of_probe(reason: str, detail: str) -> Failure:
    code, sentence = _OF_PROBE[reason]
    return Failure(code, f"{sentence}: {detail}. [{reason}]")


# How a run of FFmpeg ended (conversion.Outcome) -> failure.
OF_RUN = {
    "stalled": Failure(9999, "The conversion stood still and was stopped. [timed_out]"),
    "timed_out": Failure(9999, "The conversion took too long and was stopped. [timed_out]"),
    "too_long": Failure(4002, "The input is longer than allowed. [too_long]"),
    "too_large": Failure(4002, "The result would be larger than allowed. [too_long]"),
    "failed": Failure(4007, "FFmpeg could not make this result. [damaged]"),
    "crashed": Failure(4007, "Decoding the input failed. [damaged]"),
}
NO_SOUND = Failure(4007, "No sound could be decoded. [damaged]")
TOO_MANY_ATTEMPTS = Failure(9999, "Every attempt was cut off. [internal]")
STORE_DOWN = Failure(3000, "The store did not answer for a day. [internal]")
NO_PIPELINE = Failure(9999, "The pipeline no longer exists. [internal]")


SOUND_IN_SOME_INPUTS = Failure(4026, "Some inputs have sound and some have none. [no_audio]")
VIDEO_IN_SOME_INPUTS = Failure(4025, "Some inputs have video and some have none. [unsupported]")
TOO_LONG_TOGETHER = Failure(4022, "The inputs together are longer than allowed. [too_long]")
CLIP_AFTER_END = Failure(4014, "The clip starts after the end of the input. [unsupported]")


def bad_content_key(error: BadContentKey) -> Failure:
    return Failure(error.code, f"The content protection cannot be applied: {error.sentence}.")


OUTPUT_OF_PLAYLIST_FAILED = Failure(1001, "An output of the playlist failed.")


def not_encodable(sentence: str) -> Failure:
    return Failure(4008, f"Preset and input do not match: {sentence}. [unsupported]")


def bad_result(sentence: str) -> Failure:
    return Failure(9999, f"The result did not pass the check: {sentence}. [bad_result]")
