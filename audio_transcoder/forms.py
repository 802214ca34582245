"""What people send us."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from django import forms
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db import transaction
from django.forms.boundfield import BoundWidget
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from audio_transcoder import covers, engines, reasons, tags, variants
from audio_transcoder.engines.base import Order, Wanted
from audio_transcoder.file_page import facts
from audio_transcoder.formats import (
    DEFAULT_FORMATS,
    FORMATS,
    LEAST_KBPS,
    MOST_KBPS,
    OWN_SELECTION,
    SELECTIONS,
    Format,
    Selection,
)
from audio_transcoder.models import AudioFile, Rendition
from audio_transcoder.variants import Options
from images import Box, Picture, Refused
from sound import probe
from sound.probe import Sound

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
        widget = forms.TextInput(attrs={"inputmode": mode, "autocomplete": "off"})
        super().__init__(required=False, max_length=10, widget=widget, **kwargs)
        self._least, self._most, self.refusal = least, most, refusal
        part = rf"(?:\.[0-9]{{1,{places}}})?" if places else ""
        self._shape = re.compile(f"-?[0-9]{{1,3}}{part}")

    def clean(self, value: Any) -> float | None:
        text = super().clean(value).replace(variants.MINUS, "-").replace(",", ".")
        if not text:
            return None
        if not self._shape.fullmatch(text) or not self._least <= float(text) <= self._most:
            raise forms.ValidationError(self.refusal, code="invalid")
        return float(text)


class SoundForm(forms.Form):
    """How results shall sound: the fields that whatever is ordered has.

    What is not among the choices of a field is written into the one behind it, ``…_other``.
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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for format in FORMATS.values():
            if format.bitrates_kbps:
                self._add_bitrate(format)

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


class UploadForm(SoundForm):
    """A sound file, its name and what to make of it."""

    token = forms.UUIDField(widget=forms.HiddenInput, required=False)
    mp3_file = forms.FileField(
        label=_("Sound file"),
        max_length=None,
        allow_empty_file=True,  # ours says it with a reason code
        error_messages={
            "required": _("No file arrived. Choose a file; if you did, the upload broke off."),
        },
    )
    name = forms.CharField(
        label=_("Name"), required=False, max_length=200, help_text=_("Empty: the file's own name.")
    )
    # Left out by scripts that know formats alone.
    selection = forms.ChoiceField(
        choices=[
            *((selection.name, selection.label) for selection in SELECTIONS.values()),
            (OWN_SELECTION, _("Choose formats yourself")),
        ],
        required=False,
        initial=OWN_SELECTION,
        widget=forms.RadioSelect,
        error_messages={"invalid_choice": _("Choose one of the ways that are shown.")},
    )
    formats = FormatsField(initial=list(DEFAULT_FORMATS), required=False)

    sound: Sound  # what is in the file, once the form is valid

    def clean_token(self) -> uuid.UUID:
        return self.cleaned_data["token"] or uuid.uuid4()

    def clean_mp3_file(self) -> TemporaryUploadedFile:
        """Refuse what is no sound. The content decides, not the name or the declared type."""
        if len(self.files.getlist("mp3_file")) > 1:
            raise forms.ValidationError(_("Choose one file at a time."), code="too_many")
        upload = self.cleaned_data["mp3_file"]
        upload.file.flush()
        try:
            self.sound = probe.probe(Path(upload.temporary_file_path()), with_picture=True)
        except probe.NotSound as error:
            raise forms.ValidationError(
                reasons.sentence(error.reason), code=error.reason
            ) from error
        return upload

    def clean_formats(self) -> list[str]:
        """Return the formats of the selection, or those that are ticked."""
        selection = SELECTIONS.get(self.cleaned_data.get("selection", ""))
        formats = list(selection.formats) if selection else self.cleaned_data["formats"]
        if not formats:
            required = self.fields["formats"].error_messages["required"]
            raise forms.ValidationError(required, code="required")
        return formats

    def clean(self) -> dict[str, Any]:
        """Refuse what the engine of the site cannot do, before anything of it is stored."""
        super().clean()
        if "mp3_file" in self.cleaned_data:
            refused = engines.refusal(self.sound, self.cleaned_data.get("formats", ()))
            if refused:
                text = reasons.sentence(refused.reason)
                self.add_error("mp3_file", forms.ValidationError(text, code=refused.reason))
        return self.cleaned_data

    @property
    def options(self) -> Options:
        """What was asked for, once the form is valid."""
        return self.sound_options(self.cleaned_data["formats"])

    @property
    def has_options(self) -> bool:
        """Whether anything but formats was chosen, or is wrong."""
        fields = [field for pair in self.option_fields for field in pair]
        return any(field.value() or field.errors for field in fields)

    def selections(self) -> list[tuple[BoundWidget, Selection | None]]:
        """Return each way to choose, with the formats that it stands for; None: one's own."""
        return [(box, SELECTIONS.get(box.data["value"])) for box in self["selection"]]

    def format_groups(self) -> list[tuple[Promise, list[tuple[BoundWidget, Format]]]]:
        """Return the boxes of all formats below the names of their groups."""
        boxes = [(box, FORMATS[box.data["value"]]) for box in self["formats"]]
        groups = ((_("Lossless"), True), (_("Small files"), False))
        return [
            (label, [(box, format) for box, format in boxes if format.is_lossless is is_lossless])
            for label, is_lossless in groups
        ]


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
        elif end_ms is not None and end_ms - (start_ms or 0) < variants.SHORTEST_MS:
            sentence = _("The end must come after the beginning, by a tenth of a second at least.")
            self.add_error("clip_end", forms.ValidationError(sentence, code="order"))

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


class TagsForm(forms.ModelForm):
    """What the owner says of a sound. Every field may be empty."""

    class Meta:
        model = AudioFile
        fields = list(tags.TAGS)
        labels = {
            "title": _("Title"),
            "artist": _("Artist"),
            "album": _("Album"),
            "year": _("Year"),
            "track": _("Track"),
        }
        help_texts = {
            "year": _("A year or a date, e.g. 2019 or 2019-05-01."),
            "track": _("A number, e.g. 3 or 3/12."),
        }

    def clean(self) -> dict[str, Any]:
        for field, value in self.cleaned_data.items():
            self.cleaned_data[field] = tags.text(field, value)
        self._must_be("year", tags.YEAR, _("Write a year or a date, e.g. 2019 or 2019-05-01."))
        self._must_be("track", tags.TRACK, _("Write a number, e.g. 3 or 3/12."))
        return self.cleaned_data

    def keep(self) -> bool:
        """Write down what was changed; return whether the file is still there."""
        with transaction.atomic():
            now = self.instance.hold()
            if now is None:
                return False
            changed = [
                field for field, value in self.cleaned_data.items() if getattr(now, field) != value
            ]
            if changed:
                edited = {*filter(None, now.edited_tags.split(",")), *changed}
                AudioFile.objects.filter(pk=now.pk).update(
                    **{field: self.cleaned_data[field] for field in changed},
                    edited_tags=",".join(sorted(edited)),
                    label_changed_at=timezone.now(),
                )
        return True

    def _must_be(self, field: str, shape: re.Pattern[str], sentence: str) -> None:
        value = self.cleaned_data.get(field)
        if value and not shape.fullmatch(value):
            self.add_error(field, forms.ValidationError(sentence, code="invalid"))


class CoverForm(forms.Form):
    """A picture, and the part of it that shall be the cover, in percent of its sides."""

    picture = forms.FileField(
        label=_("Picture"),
        required=False,
        max_length=None,
        allow_empty_file=True,  # ours says it with a reason code
        help_text=_("JPEG, PNG, WebP, GIF or BMP, up to 10 MB."),
        widget=forms.FileInput(
            attrs={"accept": "image/jpeg,image/png,image/webp,image/gif,image/bmp"}
        ),
    )
    left = forms.IntegerField(label=_("From the left, %"), min_value=0, max_value=99, initial=0)
    top = forms.IntegerField(label=_("From the top, %"), min_value=0, max_value=99, initial=0)
    width = forms.IntegerField(label=_("Width, %"), min_value=1, max_value=100, initial=100)
    height = forms.IntegerField(label=_("Height, %"), min_value=1, max_value=100, initial=100)

    BOX = ("left", "top", "width", "height")
    drawn: Picture | None = None  # the new cover, once the form is valid; None: nothing changes

    def __init__(self, *args: Any, audio_file: AudioFile, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.audio_file = audio_file

    @property
    def box_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.BOX]

    def clean(self) -> dict[str, Any]:
        """Draw the new cover. Raises images.Cannot, and BucketError where the old one is cut."""
        upload = self.cleaned_data.get("picture")
        if len(self.files.getlist("picture")) > 1:
            self.add_error("picture", _("Choose one file at a time."))
        elif not upload and not self.audio_file.cover:
            self.add_error("picture", _("Choose a picture."))
        box = self._box()
        if self.errors or (not upload and box is None):
            return self.cleaned_data
        try:
            self.drawn = self._draw(upload, box)
        except Refused as error:
            reason = "damaged_picture" if error.reason == "damaged" else error.reason
            sentence = reasons.sentence(reason)
            self.add_error("picture", forms.ValidationError(sentence, code=reason))
        return self.cleaned_data

    def _draw(self, upload: TemporaryUploadedFile | None, box: Box | None) -> Picture:
        if upload:
            upload.file.flush()
            return covers.redrawn(Path(upload.temporary_file_path()), box)
        with covers.original(self.audio_file) as path:
            return covers.redrawn(path, box)

    def _box(self) -> Box | None:
        """Return the part that is wanted, None for all of it or where a field is wrong."""
        left, top, width, height = (self.cleaned_data.get(name) for name in self.BOX)
        if None in (left, top, width, height) or (left, top, width, height) == (0, 0, 100, 100):
            return None
        for field, start, length in (("width", left, width), ("height", top, height)):
            if start + length > 100:
                self.add_error(field, _("The part ends outside the picture."))
                return None
        return Box(10 * left, 10 * top, 10 * width, 10 * height)


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


class ShareForm(forms.Form):
    """What of a file a link opens, and for how long."""

    ALL = "all"
    # Days; the last one means until it is revoked.
    LASTS = (
        ("1", _("one day")),
        ("7", _("7 days")),
        ("30", _("30 days")),
        ("", _("until I end it")),
    )

    what = forms.ChoiceField(label=_("What the link opens"))
    lasts = forms.ChoiceField(
        label=_("How long it works"), choices=LASTS, initial="7", required=False
    )
    with_original = forms.BooleanField(label=_("With the original file"), required=False)

    def __init__(self, *args: Any, audio_file: AudioFile, **kwargs: Any) -> None:
        """``audio_file``: read ``with_work``."""
        super().__init__(*args, **kwargs)
        self._ready = {str(one.code): one for one in audio_file.ready_renditions}
        results = [(code, self._words(one)) for code, one in self._ready.items()]
        self.fields["what"].choices = [(self.ALL, _("All results")), *results]

    @property
    def rendition(self) -> Rendition | None:
        """The one that is wanted; None: all."""
        return self._ready.get(self.cleaned_data["what"])

    @property
    def time(self) -> timedelta | None:
        days = self.cleaned_data["lasts"]
        return timedelta(days=int(days)) if days else None

    def _words(self, rendition: Rendition) -> str:
        """Return what tells it from the file's other results."""
        return " · ".join([rendition.format.label, *facts.of_variant(rendition)])
