"""Fields of several forms."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from audio_transcoder.figures import MINUS
from audio_transcoder.formats import FORMATS

OTHER = "other"  # the choice of what is written into a field behind it


class FormatsField(forms.MultipleChoiceField):
    """A choice of output formats, by name, with what each is good for."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(
            choices=[(f.name, f.label) for f in FORMATS.values()],
            widget=forms.CheckboxSelectMultiple,
            label=_("Convert to"),
            error_messages={"required": _("Choose at least one format.")},
            **kwargs,
        )


class NumberField(forms.CharField):
    """A number from ``least`` to ``most``, with a comma or a point; empty: None.

    ``places``: how many digits may stand behind it. ``refusal`` says what is taken.
    """

    def __init__(
        self, *, least: int, most: int, refusal: str | Promise, places: int = 0, **kwargs: Any
    ) -> None:
        mode = "text" if least < 0 else "numeric"  # keyboards of numbers alone have no minus
        part = rf"(?:\.[0-9]{{1,{places}}})?" if places else ""
        shape = f"-?[0-9]{{1,3}}{part}"
        # To scripts: browsers themselves would look at fields that are left behind, too.
        told = {"data-least": least, "data-most": most, "data-refusal": refusal}
        told["data-shape"] = shape
        widget = forms.TextInput(attrs={"inputmode": mode, "autocomplete": "off", **told})
        super().__init__(required=False, max_length=10, widget=widget, **kwargs)
        self._least, self._most, self.refusal = least, most, refusal
        self._shape = re.compile(shape)

    def clean(self, value: Any) -> float | None:
        text = super().clean(value).replace(MINUS, "-").replace(",", ".")
        if not text:
            return None
        if not self._shape.fullmatch(text) or not self._least <= float(text) <= self._most:
            raise forms.ValidationError(self.refusal, code="invalid")
        return float(text)


class PositionField(forms.CharField):
    """A place in a sound, e.g. ``0:10``, ``1:02:03.5`` or ``75``, in milliseconds; empty: None."""

    _SHAPE = re.compile(
        r"(?:(?:(?P<hours>[0-9]{1,2}):)?(?P<minutes>[0-9]{1,3}):)?"
        r"(?P<seconds>[0-9]{1,6})(?:[.,](?P<part>[0-9]{1,3}))?"
    )

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"inputmode": "text", "autocomplete": "off", "placeholder": "0:00.000"}
        super().__init__(
            required=False, max_length=20, widget=forms.TextInput(attrs=attrs), **kwargs
        )

    def clean(self, value: Any) -> int | None:
        text = super().clean(value)
        if not text:
            return None
        found = self._SHAPE.fullmatch(text)
        if found is None:
            sentence = _("Write a time, e.g. 0:10 or 1:02:03.5.")
            raise forms.ValidationError(sentence, code="invalid")
        minutes = 60 * int(found["hours"] or 0) + int(found["minutes"] or 0)
        seconds = 60 * minutes + int(found["seconds"])
        return 1000 * seconds + int((found["part"] or "0").ljust(3, "0"))
