"""What is made of files that are here, or taken from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django import forms
from django.forms.boundfield import BoundWidget
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from audio_transcoder import engines, reasons, variants
from audio_transcoder.engines.base import Order, Wanted
from audio_transcoder.formats import FORMATS
from audio_transcoder.forms.fields import FormatsField, PositionField
from audio_transcoder.forms.sound import SoundForm
from audio_transcoder.models import AudioFile
from audio_transcoder.variants import Options


class OrderForm(forms.Form):
    """More formats of files that are already here."""

    formats = FormatsField()


class OptionsForm(SoundForm, OrderForm):
    """More formats of one file, of all of it or a part, as it is or otherwise."""

    clip_start = PositionField(label=_("From"), help_text=_("Empty: the beginning."))
    clip_end = PositionField(
        label=pgettext_lazy("end of a part", "To"), help_text=_("Empty: the end.")
    )
    options: Options  # what was asked for, once the form is valid

    def __init__(self, *args: Any, audio_file: AudioFile, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.audio_file = audio_file

    @property
    def has_options(self) -> bool:
        """Whether anything but formats was sent, or is wrong."""
        names = [name for name in self.fields if name != "formats"]
        return any(self.data.get(name) or self[name].errors for name in names)

    def boxes(self) -> list[tuple[BoundWidget, bool]]:
        """Return each format's box, and whether one of the whole sound as it is can be had."""
        have = {one.format_name for one in self.audio_file.ready_renditions if not one.variant}
        return [(box, box.data["value"] in have) for box in self["formats"]]

    def clean(self) -> dict[str, Any]:
        self._check_clip()
        super().clean()
        if self.errors:
            return self.cleaned_data
        start_ms, end_ms = self.cleaned_data["clip_start"], self.cleaned_data["clip_end"]
        if end_ms == self.audio_file.duration_ms:
            end_ms = None
        is_clip = bool(start_ms) or end_ms is not None
        options = self.sound_options(self.cleaned_data["formats"])
        self.options = replace(
            options, clip_start_ms=(start_ms or 0) if is_clip else None, clip_end_ms=end_ms
        )
        self._ask_the_engine(self.cleaned_data["formats"])
        return self.cleaned_data

    def _check_clip(self) -> None:
        start_ms, end_ms = self.cleaned_data.get("clip_start"), self.cleaned_data.get("clip_end")
        length_ms = self.audio_file.duration_ms
        limit_ms = variants.LATEST_MS if length_ms is None else length_ms
        ends = _("The sound ends at {end}.").format(end=variants.position(limit_ms))
        if start_ms is not None and start_ms >= limit_ms:
            self.add_error("clip_start", forms.ValidationError(ends, code="beyond"))
        elif end_ms is not None and end_ms > limit_ms:
            self.add_error("clip_end", forms.ValidationError(ends, code="beyond"))
        elif self._is_too_short(start_ms or 0, end_ms):
            sentence = _("The end must come after the beginning, by a tenth of a second at least.")
            field = "clip_start" if end_ms is None else "clip_end"
            self.add_error(field, forms.ValidationError(sentence, code="order"))

    def _is_too_short(self, start_ms: int, end_ms: int | None) -> bool:
        """Whether what is left is no part; of a sound of no known length the rest is one."""
        if end_ms is None and start_ms:
            end_ms = self.audio_file.duration_ms
        return end_ms is not None and end_ms - start_ms < variants.SHORTEST_MS

    def _ask_the_engine(self, formats: list[str]) -> None:
        """Refuse what the engine of the site cannot do."""
        wanted = [Wanted("", FORMATS[name], self.options.bitrates.get(name)) for name in formats]
        order = Order(
            "",
            self.audio_file.source,
            wanted,
            clip=self.options.clip,
            target_lufs=self.options.target_lufs,
        )
        refused = engines.refusal_of(order)
        if refused:
            sentence = reasons.sentence(refused.reason)
            self.add_error("formats", forms.ValidationError(sentence, code=refused.reason))


class ArchiveForm(forms.Form):
    """What of the chosen files shall be in one ZIP; by default every result that is ready."""

    kinds = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple,
        label=_("What shall be in it?"),
        error_messages={"required": _("Choose at least one kind of file.")},
    )

    def __init__(self, found: Mapping[str, tuple[int, int]], *args: Any, **kwargs: Any) -> None:
        """``found``: how many there are of each kind, and their bytes together."""
        super().__init__(*args, **kwargs)
        self.fields["kinds"].choices = [
            (kind, self._words(kind, *numbers)) for kind, numbers in found.items()
        ]
        results = [kind for kind in found if kind in FORMATS]
        self.fields["kinds"].initial = results or list(found)

    def _words(self, kind: str, count: int, size_bytes: int) -> str:
        files = ngettext("{number} file", "{number} files", count).format(number=count)
        label = FORMATS[kind].label if kind in FORMATS else _("Originals")
        return f"{label} · {files} · {filesizeformat(size_bytes)}"
