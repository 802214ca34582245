"""Operations on presets. Each takes the parsed members and returns the members of the answer.

Errors are ApiErrors. Source: API 2012-09-25.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import transaction

from elastic_transcoder.api import answers, limits
from elastic_transcoder.api.errors import ApiError
from elastic_transcoder.api.paging import PAGE_SIZE, cut, is_ascending
from elastic_transcoder.api.preset_defaults import audio_filled, video_filled
from elastic_transcoder.api.preset_warnings import warning
from elastic_transcoder.models import Preset
from elastic_transcoder.presets import AnyPreset, find, system_preset, system_presets

logger = logging.getLogger(__name__)

Members = dict[str, Any]

# Ids of system presets begin with a moment of October 2012; those of custom ones come later.
_FIRST_CUSTOM = "1351620000002"


def find_presets(preset_ids: Iterable[str]) -> list[AnyPreset]:
    """Return the presets with these ids, in order, or raise ApiError ResourceNotFoundException."""
    preset_ids = list(preset_ids)
    found = find(preset_ids)
    for preset_id in preset_ids:
        if preset_id not in found:
            raise _missing(preset_id)
    return [found[preset_id] for preset_id in preset_ids]


def create_preset(params: Members) -> Members:
    """Make a custom preset. One with video can be kept and read, and no job can use it.

    ``Warning`` says what will come out otherwise than asked. Thumbnails are only kept.
    """
    with transaction.atomic():
        limits.leave_room_for_presets()
        preset = Preset.objects.create(
            name=params["Name"],
            description=params.get("Description", ""),
            container=params["Container"],
            audio=audio_filled(params.get("Audio")),
            video=video_filled(params.get("Video")),
            thumbnails=params.get("Thumbnails"),
        )
    logger.info("preset %s: created", preset.pk)
    return {"Preset": answers.preset(preset), "Warning": warning(params)}


def list_presets(params: Members) -> Members:
    """Return a page of presets: custom ones newest first, then those of the system.

    With ``Ascending`` "true" those of the system come first, then the custom ones, oldest first.
    The system's count as made at one moment, so neither order turns them round.
    """
    token = params.get("PageToken")
    pages = _system_first if is_ascending(params) else _custom_first
    presets, next_token = cut(pages(token))
    return {"Presets": [answers.preset(preset) for preset in presets], "NextPageToken": next_token}


def read_preset(params: Members) -> Members:
    return {"Preset": answers.preset(find_presets([params["Id"]])[0])}


def delete_preset(params: Members) -> Members:
    """Delete a custom preset; jobs keep the settings that they were created with."""
    preset_id = params["Id"]
    if system_preset(preset_id):
        raise ApiError(
            "AccessDeniedException",
            "Deleting a system preset is not allowed:"
            f" account={settings.TRANSCODER_ACCOUNT_ID}, presetId={preset_id}.",
        )
    deleted, _ = Preset.objects.filter(pk=preset_id).delete()
    if not deleted:
        raise _missing(preset_id)
    logger.info("preset %s: deleted", preset_id)
    return {"Success": "true"}


def _custom_first(token: str | None) -> list[AnyPreset]:
    if token is not None and token < _FIRST_CUSTOM:
        return _system_after(token)
    rows = Preset.objects.order_by("-id")
    if token is not None:
        rows = rows.filter(id__lt=token)
    return [*rows[: PAGE_SIZE + 1], *system_presets()]


def _system_first(token: str | None) -> list[AnyPreset]:
    rows = Preset.objects.order_by("id")
    if token is not None and token >= _FIRST_CUSTOM:
        return list(rows.filter(id__gt=token)[: PAGE_SIZE + 1])
    return [*_system_after(token or ""), *rows[: PAGE_SIZE + 1]]


def _system_after(preset_id: str) -> list[AnyPreset]:
    return [preset for preset in system_presets() if preset.id > preset_id]


def _missing(preset_id: str) -> ApiError:
    return ApiError(
        "ResourceNotFoundException",
        "The specified preset was not found:"
        f" account={settings.TRANSCODER_ACCOUNT_ID}, presetId={preset_id}",
    )
