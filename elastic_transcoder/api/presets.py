"""Operations on presets: the system presets, listed and read. Source: API 2012-09-25."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from elastic_transcoder.api import answers
from elastic_transcoder.api.errors import ApiError
from elastic_transcoder.api.paging import cut
from elastic_transcoder.presets import SystemPreset, system_preset, system_presets


def find_preset(preset_id: str) -> SystemPreset:
    """Return the preset with this id, or raise ApiError ResourceNotFoundException."""
    preset = system_preset(preset_id)
    if preset is None:
        account = settings.TRANSCODER_ACCOUNT_ID
        raise ApiError(
            "ResourceNotFoundException",
            f"The specified preset was not found: account={account}, presetId={preset_id}",
        )
    return preset


def list_presets(params: dict[str, Any]) -> dict[str, Any]:
    """Return a page of presets, by ascending id whatever ``Ascending`` says.

    The system presets count as made at one moment, so neither order turns them round.
    """
    token = params.get("PageToken", "")
    presets, next_token = cut([preset for preset in system_presets() if preset.id > token])
    return {"Presets": [answers.preset(preset) for preset in presets], "NextPageToken": next_token}


def read_preset(params: dict[str, Any]) -> dict[str, Any]:
    return {"Preset": answers.preset(find_preset(params["Id"]))}
