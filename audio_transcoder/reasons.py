"""Why something was refused or failed: one code, one sentence.

The same code stands in the answer to a form, in the job's row, in the person's message and in
the log.
"""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

SENTENCES: dict[str, str | Promise] = {
    "empty": _("The file is empty. Please choose another file."),
    "too_large": _("The file is larger than {limit}. Please choose a smaller file."),
    "quota": _(
        "Your space or today's number of uploads is used up."
        " Delete something to get space, or wait."
    ),
    "result_quota": _(
        "Your results take up all the space they may have. Delete files that you no longer need."
    ),
    "flood": _("Too many uploads at once. Please wait a moment."),
    "not_audio": _("This is not a sound file we know. We take {kinds}."),
    "no_audio": _("There is no sound in this file. Please choose another file."),
    "damaged": _("The file is damaged. Please export it again and upload the new copy."),
    "unsupported": _("We cannot convert this kind of sound. We take {kinds}."),
    "unsupported_here": _(
        "What converts here does not take this kind of sound. Please upload it as WAV, FLAC or MP3 "
        "in stereo."
    ),
    "too_long": _("The sound is too long, or its result would be too large. Please cut it."),
    "timed_out": _("The conversion took too long and was stopped. Please try once more."),
    "bad_result": _("The result did not pass our check. Please try once more."),
    "lost": _("The uploaded file is no longer in the store. Please upload it again."),
    "storage_down": _("The store does not answer; nothing was saved. Try again in a minute."),
    "engine_down": _("The transcoder did not answer for a whole day. Please try once more."),
    "unknown_owner": _("Nobody here has the name under which the file was put."),
    "picture_too_large": _("The picture is larger than 10 MB. Please choose a smaller one."),
    "not_a_picture": _("This is not a picture we know. We take JPEG, PNG, WebP, GIF and BMP."),
    "too_many_pixels": _("The picture has too many pixels. Please choose a smaller one."),
    "damaged_picture": _("The picture is damaged. Please export it again, or choose another."),
    "too_many_results": _(
        "This file has as many results as one file may have. Upload it once more to make others."
    ),
    "internal": _("Something went wrong on our side. Please try once more."),
}


def sentence(reason: str) -> str:
    """Return the plain sentence for ``reason``; an unknown code reads as ``internal``."""
    from django.conf import settings
    from django.template.defaultfilters import filesizeformat

    from audio_transcoder import engines

    text = str(SENTENCES.get(reason, SENTENCES["internal"]))
    return text.format(
        limit=filesizeformat(settings.UPLOAD_MAX_BYTES),
        kinds=", ".join(engines.kinds()),
    )


def refusal(reason: str) -> ValidationError:
    """Return the error of a form with this reason as its code."""
    return ValidationError(sentence(reason), code=reason)
