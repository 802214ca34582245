"""What people send us."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from django import forms
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.utils.translation import gettext_lazy as _

from audio_transcoder import engines, reasons
from audio_transcoder.formats import DEFAULT_FORMATS, FORMATS
from sound import probe
from sound.probe import Sound


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


class UploadForm(forms.Form):
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
    formats = FormatsField(initial=list(DEFAULT_FORMATS))

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
            self.sound = probe.probe(Path(upload.temporary_file_path()))
        except probe.NotSound as error:
            raise forms.ValidationError(
                reasons.sentence(error.reason), code=error.reason
            ) from error
        return upload

    def clean(self) -> dict[str, Any]:
        """Refuse what the engine of the site cannot do, before anything of it is stored."""
        if "mp3_file" in self.cleaned_data:
            refused = engines.refusal(self.sound, self.cleaned_data.get("formats", ()))
            if refused:
                text = reasons.sentence(refused.reason)
                self.add_error("mp3_file", forms.ValidationError(text, code=refused.reason))
        return self.cleaned_data


class OrderForm(forms.Form):
    """More formats of a file that is already here."""

    formats = FormatsField()
