"""What each preset id stands for: the system presets, and the custom ones of the table.

Source of ids, names and settings: ReadPreset and ListPresets of API 2012-09-25 as captured, and
the developer guide's table of system presets. Deduced, because nobody published them: sample
rate and channels of the MP3 presets 300010, 300030 and 300040 (those of 300020), one channel for
200071 (as 100141), and the FLAC and WAV settings (from their names). Video settings that are
not known are absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from elastic_transcoder.models import Preset

_FILE = Path(__file__).resolve().parent / "data" / "presets.json"


@dataclass(frozen=True)
class SystemPreset:
    """One system preset; the three sections have the members of the API's shape Preset."""

    id: str
    name: str
    description: str | None
    kind: str  # "audio" or "video"
    container: str
    audio: dict[str, Any] | None
    video: dict[str, Any] | None
    thumbnails: dict[str, Any] | None

    @property
    def is_audio(self) -> bool:
        return self.kind == "audio"

    @property
    def settings(self) -> dict[str, Any]:
        """What a job output keeps and the worker reads: ``{"Container": …, "Audio": {…}}``."""
        return {"Container": self.container, "Audio": self.audio}


AnyPreset = SystemPreset | Preset


def find(preset_ids: Iterable[str]) -> dict[str, AnyPreset]:
    """Return the presets with these ids, by id; unknown ids are left out."""
    found: dict[str, AnyPreset] = {}
    custom_ids = set()
    for preset_id in preset_ids:
        known = system_preset(preset_id)
        if known is None:
            custom_ids.add(preset_id)
        else:
            found[preset_id] = known
    if custom_ids:
        found |= Preset.objects.in_bulk(custom_ids)
    return found


def system_preset(preset_id: str) -> SystemPreset | None:
    """Return the system preset with this id, or None.

    Withdrawn ids answer too, with their replacement's settings, as the service let them.
    """
    return _by_id().get(preset_id)


@cache
def system_presets() -> tuple[SystemPreset, ...]:
    """Return the 62 listed presets by ascending id; withdrawn ones are not listed."""
    return tuple(SystemPreset(**row) for row in _data()["listed"])


@cache
def _data() -> dict[str, list[dict[str, Any]]]:
    return json.loads(_FILE.read_text(encoding="utf-8"))


@cache
def _by_id() -> dict[str, SystemPreset]:
    rows = {row["id"]: row for row in _data()["listed"]}
    for row in _data()["withdrawn"]:
        own = {key: value for key, value in row.items() if key != "replaced_by"}
        rows[row["id"]] = {**rows[row["replaced_by"]], **own}
    return {preset_id: SystemPreset(**row) for preset_id, row in rows.items()}
