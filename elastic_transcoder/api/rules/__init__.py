"""Rules between members, and what this server does not do: one table, operation -> rules.

A rule takes the parsed members and yields one sentence for each breach. What a single member must
look like stands in the service model. The rules of a job that depend on its presets come after
those have been found. Source: API 2012-09-25, CreatePipeline, UpdatePipeline,
UpdatePipelineNotifications, TestRole, CreatePreset, CreateJob.

Never done here, and refused by name: captions, watermarks, presets with video, Smooth playlists,
PlayReady, and encryption by the aes modes, which need Amazon's key service.
"""

from __future__ import annotations

from collections.abc import Iterable

from elastic_transcoder.api.errors import ApiError
from elastic_transcoder.api.parsing import MAX_LISTED
from elastic_transcoder.api.rules import jobs, pipelines, playlists, presets
from elastic_transcoder.api.rules.base import JobRule, OutputOrder, Params, Rule

__all__ = ["JOB_RULES", "RULES", "OutputOrder", "check", "check_job"]

RULES: dict[str, tuple[Rule, ...]] = {
    "CreatePipeline": (
        pipelines.role_is_valid,
        pipelines.topics_are_short,
        pipelines.one_output_bucket,
        pipelines.permissions_are_grants,
    ),
    "UpdatePipeline": (
        pipelines.role_is_valid,
        pipelines.topics_are_short,
        pipelines.permissions_are_grants,
    ),
    "UpdatePipelineNotifications": (pipelines.topics_are_short,),
    "TestRole": (pipelines.role_is_valid, pipelines.tested_topics_are_short),
    "CreatePreset": (
        presets.has_sound_or_pictures,
        presets.codecs_fit_the_container,
        presets.audio_options_belong_to_the_codec,
        presets.sample_rate_is_writable,
        presets.bit_rate_is_within_range,
        presets.packing_mode_fits,
        presets.video_options_belong_to_the_codec,
        presets.video_sizes_are_of_one_group,
        presets.video_numbers_are_within_range,
        presets.frame_rates_go_together,
        presets.fragments_have_fixed_groups,
        presets.watermarks_are_few_and_differ,
    ),
    "CreateJob": (
        jobs.one_way_to_name_inputs,
        jobs.one_way_to_name_outputs,
        jobs.inputs_are_plain,
        jobs.clips_have_a_length,
        jobs.one_kind_of_clip,
        jobs.output_keys_differ,
        jobs.outputs_are_plain,
        jobs.segments_are_of_some_seconds,
        jobs.artwork_is_usable,
        jobs.loudness_is_within_range,
        jobs.metadata_is_small,
        jobs.tags_are_text,
        playlists.formats_are_supported,
        playlists.names_differ,
        playlists.keys_are_those_of_outputs,
        playlists.keys_are_in_the_names_folder,
        playlists.segments_are_alike,
        playlists.clips_are_alike,
        playlists.protection_is_consistent,
        playlists.shared_outputs_are_made_one_way,
    ),
}

JOB_RULES: tuple[JobRule, ...] = (
    jobs.presets_make_sound,
    jobs.segments_are_of_ts_or_fmp4,
    jobs.album_art_fits_the_container,
    playlists.containers_fit_the_format,
    jobs.published_names_fit,
    jobs.published_names_differ,
)


def check(operation: str, params: Params) -> None:
    """Raise ApiError ValidationException with the sentence of every rule that is broken."""
    _refuse(sentence for rule in RULES.get(operation, ()) for sentence in rule(params))


def check_job(params: Params, outputs: list[OutputOrder]) -> None:
    """Do the same for the rules of CreateJob that depend on the presets of its outputs."""
    _refuse(sentence for rule in JOB_RULES for sentence in rule(params, outputs))


def _refuse(broken: Iterable[str]) -> None:
    sentences = list(broken)
    if sentences:
        raise ApiError("ValidationException", " ".join(sentences[:MAX_LISTED]))
