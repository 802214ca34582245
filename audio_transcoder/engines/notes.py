"""What engines say of good results that are otherwise than ordered, in the reader's language.

Engines say it in English, in one text for each result (``StatusDetail`` of an output, API
2012-09-25). A sentence that is not known here is shown as it is.
"""

from __future__ import annotations

import re

from django.utils.translation import gettext_lazy as _

from audio_transcoder.figures import signed

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_COVER = "Artwork of the input was left out."
# Patterns of our own transcoder's sentences, and ours; the numbers take the places in order.
# Empty: the page says it elsewhere, among what changed.
_SENTENCES = (
    (re.escape(_COVER), ""),
    (r"The input has \d+ audio channels, the output \d+ channels?\.", ""),
    (r"Some artwork of the input was left out\.", _("Some pictures of the sound were left out.")),
    (r"The input is a video; its sound was used\.", _("The file is a video; its sound was used.")),
    (
        rf"The input has {_NUMBER} sound tracks; the first one was used\.",
        _("Of the {} sound tracks of the file the first one was used."),
    ),
    (
        rf"Its loudness is {_NUMBER} LUFS, not {_NUMBER}: any louder, its peaks would be above "
        rf"{_NUMBER} dBTP\.",
        _("Its loudness is {} LUFS, not {}: any louder, its peaks would be above {} dBTP."),
    ),
    (
        r"It is too short or too soft to be measured, and left as loud as it is\.",
        _("It is too short or too soft to be measured, and left as loud as it is."),
    ),
)


def told(detail: str) -> str:
    """Return ``detail`` of a good result for its page."""
    for pattern, sentence in _SENTENCES:
        detail = re.sub(
            pattern,
            lambda found, sentence=sentence: str(sentence).format(*map(signed, found.groups())),
            detail,
        )
    return " ".join(detail.split())


def has_lost_cover(detail: str) -> bool:
    """Return whether ``detail`` says that the sound's cover is not in the result."""
    return _COVER in detail
