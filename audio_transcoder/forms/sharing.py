"""Links for people without an account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from audio_transcoder.file_page import facts
from audio_transcoder.models import AudioFile, Rendition


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
