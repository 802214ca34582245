"""Presets: the custom ones as rows, the system's own beneath them, settings in words."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from elastic_transcoder import presets
from elastic_transcoder.admin import words
from elastic_transcoder.admin.rows import ShownRows, may
from elastic_transcoder.models import Preset
from elastic_transcoder.presets import SystemPreset

_SYSTEM_PREFIX = "System preset: "


def short_name(preset: Preset | SystemPreset) -> str:
    """Return the name without the words that every system preset begins with."""
    return preset.name.removeprefix(_SYSTEM_PREFIX)


def name_of(preset_ids: set[str]) -> dict[str, str]:
    """Return the name of each preset that there is, in one query at most."""
    found = {one: presets.system_preset(one) for one in preset_ids}
    names = {one: short_name(preset) for one, preset in found.items() if preset}
    custom = [one for one in preset_ids if one not in names]
    if custom:
        names |= dict(Preset.objects.filter(pk__in=custom).values_list("pk", "name"))
    return names


def sound_choices() -> list[tuple[str, Any]]:
    """Return the presets that a job can have, for a list to choose from: those without video."""
    custom = Preset.objects.filter(video__isnull=True).defer("thumbnails")
    groups = [
        (_("Custom presets"), [_choice(one) for one in custom]),
        (_("System presets"), [_choice(one) for one in presets.system_presets() if one.is_audio]),
    ]
    return [("", "---------"), *(group for group in groups if group[1])]


def _choice(preset: Preset | SystemPreset) -> tuple[str, str]:
    return preset.id, f"{short_name(preset)} — {words.sound(preset.container, preset.audio)}"


@admin.register(Preset)
class PresetAdmin(ShownRows):
    list_display = [
        "name", "id", "container", "codec", "sample_rate", "channels", "bitrate", "depth",
        "picture",
    ]  # fmt: skip
    search_fields = ["name", "id"]
    fields = [
        "name", "id", "description", "container", "codec", "sample_rate", "channels", "bitrate",
        "depth", "picture", "created_at",
    ]  # fmt: skip
    readonly_fields = ["id", "codec", "sample_rate", "channels", "bitrate", "depth", "picture"]
    change_list_template = "admin/elastic_transcoder/preset/change_list.html"

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return may(request, Preset, "delete")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"title": _("Presets"), "system_presets": [_row(one) for one in _system()]}
        return super().changelist_view(request, context | (extra_context or {}))

    @admin.display(description=_("codec"))
    def codec(self, preset: Preset) -> str:
        return words.codec(preset.audio or {})

    @admin.display(description=_("sample rate"))
    def sample_rate(self, preset: Preset) -> str:
        return words.sample_rate(preset.audio or {})

    @admin.display(description=_("channels"))
    def channels(self, preset: Preset) -> str:
        return words.channels(preset.audio or {})

    @admin.display(description=_("bit rate"))
    def bitrate(self, preset: Preset) -> str:
        return words.bitrate(preset.audio or {})

    @admin.display(description=_("bit depth"))
    def depth(self, preset: Preset) -> str:
        return words.depth(preset.audio or {})

    @admin.display(description=_("picture"))
    def picture(self, preset: Preset) -> str:
        return words.picture(preset.video)


def _system() -> list[SystemPreset]:
    """Return the system presets, those that this server can use first."""
    return sorted(presets.system_presets(), key=lambda preset: not preset.is_audio)


def _row(preset: SystemPreset) -> dict[str, Any]:
    audio = preset.audio or {}
    return {
        "name": short_name(preset),
        "id": preset.id,
        "is_audio": preset.is_audio,
        "settings": [
            preset.container,
            words.codec(audio),
            words.sample_rate(audio),
            words.channels(audio),
            words.bitrate(audio),
            words.depth(audio),
            words.picture(preset.video),
        ],
    }
