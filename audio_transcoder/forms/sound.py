"""How results shall sound: what every form has that orders some."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from audio_transcoder import variants
from audio_transcoder.formats import (
    FORMATS,
    LEAST_KBPS,
    MOST_KBPS,
    Format,
)
from audio_transcoder.forms.fields import OTHER, NumberField
from audio_transcoder.variants import Options


class SoundForm(forms.Form):
    """How results shall sound: the fields that whatever is ordered has.

    What is not among the choices of a field is written into the one behind it, ``…_other``.
    ``formats``: the names of those that have a bit rate to choose, where that is known before.
    """

    loudness = forms.ChoiceField(
        label=_("Loudness"),
        choices=[
            ("", _("As it is")),
            ("-23", _("−23 LUFS, as on radio and television")),  # noqa: RUF001
            ("-16", _("−16 LUFS, as podcasts are")),  # noqa: RUF001
            ("-14", _("−14 LUFS, as streamed music is")),  # noqa: RUF001
            (OTHER, _("Another one …")),
        ],
        required=False,
        help_text=_("All of it is made louder or softer, never so loud that it is distorted."),
    )
    loudness_other = NumberField(
        label=_("Loudness in LUFS"),
        least=variants.SOFTEST_LUFS,
        most=variants.LOUDEST_LUFS,
        places=1,
        help_text=_("From −70 to −5, e.g. −16.5."),  # noqa: RUF001
        refusal=_("Write a loudness from −70 to −5 LUFS, e.g. −16.5."),  # noqa: RUF001
    )

    def __init__(self, *args: Any, formats: Iterable[str] = FORMATS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in formats:
            if FORMATS[name].bitrates_kbps:
                self._add_bitrate(FORMATS[name])

    def _add_bitrate(self, format: Format) -> None:
        name = self._rate_name(format.name)
        rates = [(str(kbps), f"{kbps} kbit/s") for kbps in format.bitrates_kbps]
        self.fields[name] = forms.ChoiceField(
            label=_("Bit rate of {format}").format(format=format.label),
            choices=[("", _("As usual")), *rates, (OTHER, _("Another one …"))],
            required=False,
        )
        span = {"least": LEAST_KBPS, "most": MOST_KBPS, "format": format.label}
        hint = _("From {least} to {most}; {format} gets the nearest that it has.")
        self.fields[f"{name}_other"] = NumberField(
            label=_("Bit rate of {format} in kbit/s").format(format=format.label),
            least=LEAST_KBPS,
            most=MOST_KBPS,
            help_text=(hint if format.steps_kbps else _("From {least} to {most}.")).format(**span),
            refusal=_("Write a whole number from {least} to {most}.").format(**span),
        )

    @staticmethod
    def _rate_name(format_name: str) -> str:
        return f"bitrate_{format_name}"

    @property
    def option_fields(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        """Return each choice, and the field behind it for what is not among them."""
        others = [name for name in self.fields if name.endswith("_other")]
        return [(self[name.removesuffix("_other")], self[name]) for name in others]

    def clean(self) -> dict[str, Any]:
        """Put what was written behind a choice in its place: numbers, None for what is as usual."""
        formats = self.cleaned_data.get("formats", FORMATS)
        for choice, other in self.option_fields:
            name, format_name = choice.name, choice.name.removeprefix("bitrate_")
            if format_name in FORMATS and format_name not in formats:
                self.errors.pop(other.name, None)  # nothing is made of it
            else:
                self.cleaned_data[name] = self._chosen(name)
        return self.cleaned_data

    def _chosen(self, name: str) -> float | None:
        """Return what was chosen or written; None: nothing, or what is wrong."""
        chosen, other = self.cleaned_data.get(name), f"{name}_other"
        if chosen != OTHER:
            self.errors.pop(other, None)  # left behind a choice that was taken back
            return float(chosen) if chosen else None
        if other in self.cleaned_data and self.cleaned_data[other] is None:
            refusal = self.fields[other].refusal
            self.add_error(other, forms.ValidationError(refusal, code="required"))
        return self.cleaned_data.get(other)

    def sound_options(self, formats: Iterable[str]) -> Options:
        """Return what was chosen for all of a sound in these formats, once the form is valid."""
        rates = {name: self.cleaned_data.get(self._rate_name(name)) for name in formats}
        return Options(
            target_lufs=self.cleaned_data["loudness"],
            bitrates={n: FORMATS[n].nearest_kbps(int(kbps)) for n, kbps in rates.items() if kbps},
        )
