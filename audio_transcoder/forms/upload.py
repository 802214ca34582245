"""What comes with an upload."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django import forms
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.forms.boundfield import BoundWidget
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from audio_transcoder import engines, reasons
from audio_transcoder.formats import (
    DEFAULT_FORMATS,
    FORMATS,
    OWN_SELECTION,
    SELECTIONS,
    Format,
    Selection,
)
from audio_transcoder.forms.fields import FormatsField
from audio_transcoder.forms.sound import SoundForm
from audio_transcoder.variants import Options
from sound import probe
from sound.probe import Sound


class UploadForm(SoundForm):
    """A sound file, its name and what to make of it."""

    token = forms.Field(widget=forms.HiddenInput, required=False)
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
        """Return the token that was sent, or a new one: of a hidden field nobody can be told."""
        try:
            return uuid.UUID(self.cleaned_data["token"] or "")
        except ValueError:
            return uuid.uuid4()

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
