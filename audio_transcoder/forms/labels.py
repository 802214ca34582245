"""Tags and covers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django import forms
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from audio_transcoder import covers, reasons, tags
from audio_transcoder.models import AudioFile
from images import Box, Picture, Refused


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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.show_hidden_initial = True

    def clean(self) -> dict[str, Any]:
        for field, value in self.cleaned_data.items():
            self.cleaned_data[field] = tags.text(field, value)
        self._must_be("year", tags.YEAR, _("Write a year or a date, e.g. 2019 or 2019-05-01."))
        self._must_be("track", tags.TRACK, _("Write a number, e.g. 3 or 3/12."))
        return self.cleaned_data

    def keep(self) -> bool:
        """Write down what was changed; return whether the file is still there.

        A field that says what the form had shown stays as somebody else has saved it since.
        """
        with transaction.atomic():
            now = self.instance.hold()
            if now is None:
                return False
            changed = [
                field
                for field, value in self.cleaned_data.items()
                if getattr(now, field) != value and self._is_touched(field)
            ]
            if changed:
                edited = {*filter(None, now.edited_tags.split(",")), *changed}
                AudioFile.objects.filter(pk=now.pk).update(
                    **{field: self.cleaned_data[field] for field in changed},
                    edited_tags=",".join(sorted(edited)),
                    label_changed_at=timezone.now(),
                )
        return True

    def _is_touched(self, field: str) -> bool:
        """Whether it was edited; where nothing tells what was shown, it was."""
        return self.add_initial_prefix(field) not in self.data or field in self.changed_data

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
