"""Rules of jobs. Source: API 2012-09-25, CreateJob; developer guide, "Settings for jobs"."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from elastic_transcoder.api import names
from elastic_transcoder.api.rules.base import (
    MAX_OBJECT_KEY_BYTES,
    OutputOrder,
    Params,
    encryption_is_s3s,
    even_within,
    items,
    named,
    one_of,
)
from elastic_transcoder.times import LATEST_MS, clip_ms

MAX_METADATA_PAIRS = 10
MAX_METADATA_KEY = 128
MAX_METADATA_VALUE = 256
_METADATA = re.compile(r"[0-9A-Za-z _.:/=+\-%@]*")
SEGMENT_SECONDS = (1, 60)
LOUDNESS_LUFS = (-70, -5)
MAX_ARTWORKS = 20
ARTWORK_WIDTH = (32, 4096)
ARTWORK_HEIGHT = (32, 3072)
SEGMENTED = ("ts", "fmp4")
WITH_ALBUM_ART = ("flac", "mp3", "mp4")
# Control characters, and what breaks lines and paragraphs.
_NO_TEXT = ("Cc", "Zl", "Zp")
# A message shows no more of a key.
_SHOWN = 100


def one_way_to_name_inputs(params: Params) -> Iterator[str]:
    yield from one_of(params, "Input", "Inputs")


def one_way_to_name_outputs(params: Params) -> Iterator[str]:
    yield from one_of(params, "Output", "Outputs")


def inputs_are_plain(params: Params) -> Iterator[str]:
    for path, job_input in named(params, "Input", "Inputs"):
        if job_input.get("Resolution", "auto") != "auto":
            yield f"{path}.resolution must be 'auto'."
        if job_input.get("InputCaptions", {}).get("CaptionSources"):
            yield f"{path}.inputCaptions: captions are not supported."
        # S3 decrypts what it encrypted by itself.
        yield from encryption_is_s3s(path, job_input)


def clips_have_a_length(params: Params) -> Iterator[str]:
    for path, time_span in _clips(params):
        start_ms, duration_ms = clip_ms(time_span)
        if start_ms > LATEST_MS:
            yield f"{path}.startTime must be at most 86399.999 seconds."
        if duration_ms is not None and duration_ms > LATEST_MS:
            yield f"{path}.duration must be at most 86399.999 seconds."
        if duration_ms == 0:
            yield f"{path}.duration must be longer than zero."


def one_kind_of_clip(params: Params) -> Iterator[str]:
    inputs = list(named(params, "Input", "Inputs"))
    is_clipped = any(job_input.get("TimeSpan") for _, job_input in inputs)
    for path, output in named(params, "Output", "Outputs"):
        composition = output.get("Composition", ())
        if len(composition) > 1:
            yield f"{path}.composition may hold one clip, {len(composition)} were given."
        if not any(clip.get("TimeSpan") for clip in composition):
            continue
        if is_clipped:
            yield f"{path}.composition and timeSpan of an input are mutually exclusive."
        if len(inputs) > 1:
            yield f"{path}.composition cannot be used with several inputs."


def output_keys_differ(params: Params) -> Iterator[str]:
    counts = Counter(output["Key"] for _, output in named(params, "Output", "Outputs"))
    for key, count in counts.items():
        if count > 1:
            yield f"Output keys must be unique within a job; '{key}' is given {count} times."


def outputs_are_plain(params: Params) -> Iterator[str]:
    for path, output in named(params, "Output", "Outputs"):
        if output.get("Watermarks"):
            yield f"{path}.watermarks: watermarks are not supported."
        captions = output.get("Captions", {})
        if captions.get("CaptionSources") or captions.get("CaptionFormats"):
            yield f"{path}.captions: captions are not supported."
        yield from encryption_is_s3s(path, output)
        yield from encryption_is_s3s(path, output, "ThumbnailEncryption")


def segments_are_of_some_seconds(params: Params) -> Iterator[str]:
    least, most = SEGMENT_SECONDS
    for path, output in named(params, "Output", "Outputs"):
        seconds = output.get("SegmentDuration")
        if seconds is not None and not least <= float(seconds) <= most:
            yield f"{path}.segmentDuration must be from {least} to {most} seconds."


def artwork_is_usable(params: Params) -> Iterator[str]:
    for output_path, output in named(params, "Output", "Outputs"):
        art, path = output.get("AlbumArt"), f"{output_path}.albumArt"
        if not art:
            continue
        if "MergePolicy" not in art:
            yield f"{path}.mergePolicy must be given with albumArt."
        artworks = art.get("Artwork", ())
        if len(artworks) > MAX_ARTWORKS:
            yield f"{path}.artwork may hold {MAX_ARTWORKS} pictures, {len(artworks)} were given."
            continue
        for artwork_path, artwork in items(art, "Artwork", f"{path}.artwork"):
            yield from even_within(
                f"{artwork_path}.maxWidth", artwork.get("MaxWidth"), *ARTWORK_WIDTH
            )
            yield from even_within(
                f"{artwork_path}.maxHeight", artwork.get("MaxHeight"), *ARTWORK_HEIGHT
            )
            yield from encryption_is_s3s(artwork_path, artwork)


def loudness_is_within_range(params: Params) -> Iterator[str]:
    least, most = LOUDNESS_LUFS
    has_several = len(params.get("Inputs", ())) > 1
    for path, output in named(params, "Output", "Outputs"):
        target = output.get("LoudnessTarget")
        if target is None:
            continue
        if not least <= float(target) <= most:
            yield f"{path}.loudnessTarget must be from {least} to {most} LUFS."
        if has_several:
            yield f"{path}.loudnessTarget cannot be used with several inputs."


def metadata_is_small(params: Params) -> Iterator[str]:
    metadata = params.get("UserMetadata", {})
    if len(metadata) > MAX_METADATA_PAIRS:
        yield f"userMetadata may hold {MAX_METADATA_PAIRS} pairs, {len(metadata)} were given."
        return
    for key, value in metadata.items():
        shown = key[:MAX_METADATA_KEY]
        if not 1 <= len(key) <= MAX_METADATA_KEY:
            yield f"userMetadata key '{shown}' must have 1 to {MAX_METADATA_KEY} characters."
        if len(value) > MAX_METADATA_VALUE:
            yield f"userMetadata value of '{shown}' is longer than {MAX_METADATA_VALUE} characters."
        if not _METADATA.fullmatch(key) or not _METADATA.fullmatch(value):
            yield f"userMetadata pair '{shown}' may hold only 0-9, A-Z, a-z, space, _.:/=+-%@."


def tags_are_text(params: Params) -> Iterator[str]:
    for name, value in params.get("Tags", {}).items():
        if any(unicodedata.category(letter) in _NO_TEXT for letter in value):
            yield f"tags.{name} must not hold control characters."


# --- When the presets are known ---------------------------------------------------------------


def presets_make_sound(params: Params, outputs: list[OutputOrder]) -> Iterator[str]:
    for path, _, preset in outputs:
        if not preset.is_audio:
            yield (
                f"{path}.presetId: preset {preset.id} ({preset.name}) makes video; this server"
                " makes sound only."
            )


def segments_are_of_ts_or_fmp4(params: Params, outputs: list[OutputOrder]) -> Iterator[str]:
    for path, members, preset in outputs:
        if "SegmentDuration" in members and preset.container not in SEGMENTED:
            yield (
                f"{path}.segmentDuration is only for presets with container ts or fmp4;"
                f" that of preset {preset.id} is {preset.container}."
            )


def album_art_fits_the_container(params: Params, outputs: list[OutputOrder]) -> Iterator[str]:
    for path, members, preset in outputs:
        if members.get("AlbumArt") and preset.container not in WITH_ALBUM_ART:
            yield (
                f"{path}.albumArt is only for presets with container flac, mp3 or mp4;"
                f" that of preset {preset.id} is {preset.container}."
            )


def published_names_fit(params: Params, outputs: list[OutputOrder]) -> Iterator[str]:
    for published in _published(params, outputs):
        if any(len(name.encode()) > MAX_OBJECT_KEY_BYTES for name in published.examples):
            yield (
                f"{published.path}: with outputKeyPrefix and what is added to it, it exceeds"
                f" {MAX_OBJECT_KEY_BYTES} bytes."
            )


def published_names_differ(params: Params, outputs: list[OutputOrder]) -> Iterator[str]:
    """No object of a job may lie where another of the same job goes: it would be error 3002."""
    owner: dict[str, str] = {}
    families: list[names.Published] = []
    everything = list(_published(params, outputs))
    for published in everything:
        for name in published.names:
            if name in owner and owner[name] != published.path:
                yield (
                    f"{published.path} and {owner[name]} would both be stored as '{name[:_SHOWN]}'."
                )
            owner[name] = published.path
        if published.segments_of:
            families.append(published)
    for family in families:
        for name in [name for name in owner if family.is_segment(name)]:
            yield f"{owner[name]} would be stored as a segment of {family.path}."


def _published(params: Params, outputs: list[OutputOrder]) -> Iterator[names.Published]:
    prefix = params.get("OutputKeyPrefix", "")
    playlists = params.get("Playlists", ())
    format_of = {key: one["Format"] for one in playlists for key in one["OutputKeys"]}
    for path, members, preset in outputs:
        key = members["Key"]
        is_segmented = preset.container == "ts" and "SegmentDuration" in members
        yield names.of_output(f"{path}.key", f"{prefix}{key}", is_segmented, format_of.get(key))
    for path, playlist in items(params, "Playlists", "playlists"):
        yield names.of_playlist(f"{path}.name", prefix, playlist)
    if cover := params.get("Analysis", {}).get("CoverKey"):
        yield names.Published("analysis.coverKey", (f"{prefix}{cover}",))


def _clips(params: Params) -> Iterator[tuple[str, Params]]:
    for path, job_input in named(params, "Input", "Inputs"):
        if job_input.get("TimeSpan"):
            yield f"{path}.timeSpan", job_input["TimeSpan"]
    for path, output in named(params, "Output", "Outputs"):
        for clip_path, clip in items(output, "Composition", f"{path}.composition"):
            if clip.get("TimeSpan"):
                yield f"{clip_path}.timeSpan", clip["TimeSpan"]
